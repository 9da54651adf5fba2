/*
 * Does the server show the new certificate? A reload that fails still exits 0,
 * and the old workers go on answering: only a handshake tells.
 */
#ifndef TARGETS_ENDPOINT_H
#define TARGETS_ENDPOINT_H

#include "base/limits.h"
#include "targets/target.h"

/* Of a file target's configuration (spec/agent.md 4.3). */
typedef struct endpoint_conf {
  slice_t host;            /* empty: nothing to verify */
  uint16_t port;
  int64_t timeout_ms;      /* of one handshake */
  int64_t attempts;
  int64_t backoff_ms, max_backoff_ms;
} endpoint_conf_t;

/*
 * Reads `post_deploy_verify` ({enabled, endpoint, timeout}; empty text: absent)
 * into host, port and timeout; the other members are the caller's. RC_INVALID
 * or RC_SYNTAX with the member's name.
 */
MUST rc_t endpoint_conf_read(slice_t json, arena_t *a, endpoint_conf_t *ret, err_t *e);

/*
 * Compares the SHA-256 of the served leaf with ret->expected_sha256. `once`: one
 * try, now. Otherwise one early look, which is enough for most reloads, then
 * `attempts` tries, each after a pause of backoff_ms that doubles up to its
 * maximum. `name` is asked for by SNI; a wildcard stands for one of its hosts,
 * empty sends none. Sets verified, verify_skipped, probed and actual_sha256.
 * RC_INVALID "deploy_verify"; cx->report says what was served instead.
 */
MUST rc_t endpoint_verify(const deploy_context_t *cx, const endpoint_conf_t *c, slice_t name, bool once,
                          deploy_result_t *ret, err_t *e);

#endif
