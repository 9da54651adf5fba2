/*
 * What agents report of a job: that it goes on, that it ended (spec/agent.md 2.5).
 */
#ifndef CORE_REPORT_H
#define CORE_REPORT_H

#include "core/actor.h"
#include "core/core.h"

/*
 * Running renews the lease, Completed and Failed end the job. RC_NOTFOUND: no such job; RC_INVALID: no such status;
 * RC_DENIED: another agent's. A change of state that is not allowed changes nothing and is RC_OK.
 */
MUST rc_t report_status(const core_t *core, arena_t *a, slice_t job, slice_t agent, slice_t status, slice_t error,
                        const actor_t *who, err_t *e);

#endif
