/*
 * Deployment: one job per mapped target (spec/model.md 3.8).
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

#endif
