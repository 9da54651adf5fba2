/*
 * Deployment: one job per mapped target, reports and verification of agents
 * (spec/model.md 3.8, 3.9).
 */
#ifndef CORE_DEPLOY_H
#define CORE_DEPLOY_H

#include "core/actor.h"
#include "core/core.h"

/*
 * Adds a Pending deployment job to the command for every target of the certificate
 * that is enabled and lives; with an agent only for its targets. *ret_n: how many.
 * Reads the store first, so nothing else may be reading.
 */
MUST rc_t deploy_add_jobs(const core_t *core, cmd_t *c, arena_t *a, us_t now, slice_t certificate, slice_t agent,
                          int64_t max_attempts, size_t *ret_n, err_t *e);

/* Manual deployment to one target or to all; *ret_n jobs. RC_NOTFOUND, RC_CONFLICT (archived, nothing issued), RC_INVALID (no such target of it). */
MUST rc_t deploy_trigger(const core_t *core, arena_t *a, slice_t certificate, slice_t target, const actor_t *who,
                         size_t *ret_n, err_t *e);

/*
 * A status report of an agent: Running renews the lease, Completed and Failed end the
 * job. RC_NOTFOUND: no such job; RC_INVALID: no such status; RC_DENIED: another agent's.
 * A change of state that is not allowed changes nothing and is RC_OK.
 */
MUST rc_t deploy_report(const core_t *core, arena_t *a, slice_t job, slice_t agent, slice_t status, slice_t error,
                        const actor_t *who, err_t *e);

typedef struct verification {
  slice_t job, target, expected, actual, error;
  bool verified;
} verification_t;

/* What the agent saw at the endpoint, onto the deployment's row. RC_NOTFOUND, RC_DENIED. */
MUST rc_t deploy_verified(const core_t *core, arena_t *a, const verification_t *v, const actor_t *who, err_t *e);

#endif
