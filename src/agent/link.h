/*
 * The agent's line to its server: one kept HTTPS connection, every call of
 * spec/agent.md 2 with its headers, the heartbeat that is due in between, and
 * the patience to bridge a restart of the server.
 */
#ifndef AGENT_LINK_H
#define AGENT_LINK_H

#include "base/random.h"
#include "base/secret.h"
#include "io/host.h"
#include "net/http_client.h"

enum {
  LINK_INSTANCE_HEX = 32,
  LINK_CALL_MS = 30 * 1000,      /* one ordinary exchange (spec/agent.md 1.1) */
  LINK_WAIT_S = 50,              /* asked for by Prefer: wait */
  LINK_POLL_MS = 70 * 1000,      /* a long poll: the wait and what the network takes */
  LINK_HEARTBEAT_S = 60,
  LINK_PATIENCE_S = 120          /* how long a step of a job waits for a server that does not answer */
};

typedef struct link_options {
  http_client_options_t http;    /* tick and self are the link's own */
  slice_t agent_id, api_key, version;
  const timesrc_t *time;
  const rng_t *rng;
  bool (*stopping)(void *self);  /* the process was asked to end */
  void *self;
} link_options_t;

typedef struct link link_t;

/* Does not connect. The agent id becomes a path segment. Errors of http_client_new. */
MUST rc_t link_new(const link_options_t *o, link_t **ret, err_t *e);
void link_free(link_t *l);

/* The server said 410: this agent is retired (heartbeat and work poll only). */
bool link_is_retired(const link_t *l);

/* GET …/work, waiting at the server for something to do. *ret_waits: the server offers that. Given up when stopping. */
MUST rc_t link_work(link_t *l, arena_t *a, http_answer_t *ret, bool *ret_waits, err_t *e);

/*
 * One call of a job's step: path behind /api/v1. Tried again, LINK_PATIENCE_S
 * long, while the server does not answer or answers 429, 502, 503 or 504; every
 * such call has the same effect twice as once.
 */
MUST rc_t link_call(link_t *l, http1_method_t method, slice_t path, slice_t body, arena_t *a, http_answer_t *ret,
                    err_t *e);

/* Path "/agents/{id}<tail>" of this agent; {NULL, 0} if out of memory. */
slice_t link_agent_path(const link_t *l, arena_t *a, const char *tail);

/* Sends the heartbeat if it is due within `early_s`. A failure is retried soon. */
MUST rc_t link_heartbeat(link_t *l, int64_t early_s, err_t *e);

/* For commands and probes: sends a heartbeat that is due, when no call is under way. */
void link_tick(void *link);

/* Waits ms or until stopping, keeping the heartbeat. */
void link_pause(link_t *l, int64_t ms);

/*
 * Milliseconds to wait after n failures in a row: short at first so that a restart of the server is bridged, then as
 * spec/agent.md 1.2; jittered.
 */
int64_t link_backoff_ms(const rng_t *rng, uint32_t failures);

#endif
