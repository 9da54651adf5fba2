/*
 * The deployment step (spec/agent.md 2.5): pick the certificate up, find its key
 * on this host, let the target's connector do it, report what was verified and
 * how it ended. A deployment under way is noted on disk, so that one cut short
 * by a kill is repaired at the next start, server or no server.
 */
#ifndef AGENT_DEPLOY_H
#define AGENT_DEPLOY_H

#include "agent/job.h"

/* As job_run. */
MUST rc_t deploy_run(agent_t *g, const work_item_t *item, err_t *e);

/* At start: undoes what a dead run left unfinished. What cannot be undone is logged and stays noted. */
MUST rc_t deploy_recover(agent_t *g, err_t *e);

/*
 * First certificate of the text as *ret_leaf (PEM and DER), the others as
 * *ret_chain. RC_SYNTAX or RC_INVALID.
 */
MUST rc_t deploy_split(slice_t pem, arena_t *a, slice_t *ret_leaf, slice_t *ret_leaf_der, slice_t *ret_chain, err_t *e);

#endif
