/*
 * Agents: registered with a key of their own, alive by heartbeats, retired
 * (spec/model.md 2.3, spec/agent.md 3).
 */
#ifndef CORE_AGENTS_H
#define CORE_AGENTS_H

#include "core/actor.h"
#include "core/core.h"
#include "model/resources.h"

enum { AGENT_KEY_LEN = 43 }; /* base64url of 32 octets */

/* Stores the agent (name, hostname and optional metadata set by the caller) and makes its key, shown this once. RC_CONFLICT: name taken. */
MUST rc_t agent_register(const core_t *core, arena_t *a, agent_t *g, const actor_t *who,
                         char ret_key[AGENT_KEY_LEN + 1], err_t *e);

/* Sign of life; empty metadata keeps what is stored. RC_NOTFOUND, RC_GONE (retired). */
MUST rc_t agent_heartbeat(const core_t *core, arena_t *a, const agent_t *g, err_t *e);

/* A poll by the process `instance`: a new one puts back what its predecessor had in hand. RC_NOTFOUND, RC_GONE. */
MUST rc_t agent_seen(const core_t *core, arena_t *a, slice_t id, slice_t instance, err_t *e);

typedef struct agent_counts {
  int64_t active_targets, active_certificates, pending_jobs;
} agent_counts_t;

typedef struct agent_retirement {
  us_t retired_at;
  bool already;
  agent_counts_t counts;
} agent_retirement_t;

/*
 * RC_DENIED: reserved sentinel; RC_CONFLICT "blocked_by_dependencies" with *ret->counts; RC_NOTFOUND. With force its
 * targets retire too and its live jobs are cancelled.
 */
MUST rc_t agent_retire(const core_t *core, arena_t *a, slice_t id, bool force, slice_t reason, const actor_t *who,
                       agent_retirement_t *ret, err_t *e);

#endif
