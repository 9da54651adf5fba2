/*
 * Issuing: a CSR in, a certificate version out. The job, the version, the
 * certificate, its deployment jobs and the audit row are one command; the
 * signer's record makes the step repeatable (spec/model.md 3.4, design D2, D4).
 */
#ifndef CORE_ISSUE_H
#define CORE_ISSUE_H

#include "core/actor.h"
#include "core/core.h"

typedef struct csr_submission {
  slice_t agent_id; /* who holds the key */
  slice_t certificate_id;
  slice_t csr_pem;
  const actor_t *who;
} csr_submission_t;

/*
 * Answers the agent's waiting job, or, for an operator without one, issues directly.
 * RC_NOTFOUND: no such certificate, or an agent without a job; RC_INVALID, RC_DENIED: the CSR
 * is refused (the job fails and says why); RC_CONFLICT: state does not allow it; RC_CLOSED,
 * RC_AGAIN: nothing was decided, send the same again. A repetition whose key already has its
 * certificate succeeds.
 */
MUST rc_t issue_csr(const core_t *core, arena_t *a, const csr_submission_t *in, err_t *e);

/* At start: gives every signature of the record's tail its row, if a crash kept it from having one. */
MUST rc_t issue_adopt(const core_t *core, err_t *e);

/* Of an agent that could not make its CSR: the job fails with its words. RC_CONFLICT: not its job. */
MUST rc_t issue_give_up(const core_t *core, arena_t *a, slice_t job_id, slice_t agent_id, slice_t why,
                        const actor_t *who, err_t *e);

#endif
