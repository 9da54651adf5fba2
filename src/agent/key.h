/*
 * The agent's private keys on disk; they never leave the host. Under the key
 * directory (0700, ours alone):
 *
 *   <certificate>/<sha256 of SPKI>.key   PEM, 0600; one per key ever asked for
 *   <certificate>/<job>.job              JSON: which key a job's request used, and for which name
 *   <certificate>.key                    symbolic link to the key of the certificate picked up last
 *
 * The disk is the only truth: a job that comes again, also after a kill, finds
 * its key, so that it asks for the same certificate. A key is durable before
 * its request leaves.
 */
#ifndef AGENT_KEY_H
#define AGENT_KEY_H

#include "base/clock.h"
#include "crypto/key.h"
#include "io/file.h"

enum { KEY_ID_MAX = 128, KEY_DIGEST_HEX = 64, KEYS_KEPT = 3 };

/* ^[A-Za-z0-9._-]{1,128}$, not "." or ".." (spec/auth.md 13). `field` for the error. */
MUST rc_t key_id_check(const char *field, slice_t id, err_t *e);

/*
 * The key of this (certificate, job): the one it has, or a new ECDSA P-256 key,
 * written and synced. `name` is kept beside it: what a deployment will be
 * verified with. Passes the failpoint key_written when a key was made.
 */
MUST rc_t key_for_job(const dir_t *keys, slice_t certificate, slice_t job, slice_t name, arena_t *a, sigkey_t **ret,
                      err_t *e);

/*
 * PEM of the key whose SubjectPublicKeyInfo is `spki`, also a plain
 * <certificate>.key of an older agent. RC_NOTFOUND "key_missing". *ret_name
 * (in the arena) is the name kept with it, empty if none.
 */
MUST rc_t key_find(const dir_t *keys, slice_t certificate, slice_t spki, arena_t *a, secret_t *ret, slice_t *ret_name,
                   err_t *e);

/*
 * Makes it the certificate's key: marks its job as issued, points
 * <certificate>.key at it, and removes old keys: the current one, those of jobs
 * not yet issued and the newest KEYS_KEPT others stay. A plain file of an older
 * agent is taken into the folder first.
 */
MUST rc_t key_activate(const dir_t *keys, slice_t certificate, slice_t spki, us_t now, arena_t *a, err_t *e);

/* Removes the half-made links that a kill left in the key directory itself. */
MUST rc_t key_sweep(const dir_t *keys, err_t *e);

#endif
