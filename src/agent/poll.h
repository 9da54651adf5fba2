/*
 * The agent's one loop: heartbeat, ask for work, do it. Work is awaited at the
 * server (Prefer: wait); a server that does not offer that is asked every 30
 * seconds (spec/agent.md 1.2).
 */
#ifndef AGENT_POLL_H
#define AGENT_POLL_H

#include "agent/job.h"

/* Runs until `stopping` (of the link) or until the server says that this agent is retired; both are RC_OK. */
MUST rc_t poll_run(agent_t *g, const rng_t *rng, bool (*stopping)(void *self), void *self, err_t *e);

#endif
