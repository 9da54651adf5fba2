/*
 * Tells the server what the handshake after a deployment showed (spec/agent.md
 * 2.7): the verification stage of the deployment's own job.
 */
#ifndef AGENT_VERIFY_H
#define AGENT_VERIFY_H

#include "agent/job.h"
#include "targets/target.h"

/*
 * POST /jobs/{id}/verify. Nothing is sent when the connector had no endpoint to
 * ask, or never came to it. `error` is the deployment's report where it failed.
 * Best effort: a failure to send is logged, since the job's own report follows.
 */
void verify_report(agent_t *g, const work_item_t *item, const deploy_result_t *result, bool deployed, slice_t error);

#endif
