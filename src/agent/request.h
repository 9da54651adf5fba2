/*
 * The CSR step (spec/agent.md 2.3): this host's key for the job, a request for
 * exactly the names that the server asked for, sent once more as often as the
 * job comes again, always with the same key.
 */
#ifndef AGENT_REQUEST_H
#define AGENT_REQUEST_H

#include "agent/job.h"
#include "x509/names.h"

/* As job_run. */
MUST rc_t request_run(agent_t *g, const work_item_t *item, err_t *e);

/*
 * The names of the request: the common name if it is a DNS name, then the sans,
 * typed, without repetitions. *ret_first_dns is the first DNS name, or empty.
 */
MUST rc_t request_names(const work_item_t *item, arena_t *a, names_t *ret, slice_t *ret_first_dns, err_t *e);

#endif
