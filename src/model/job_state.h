/*
 * States of a job (spec/model.md 2.2): which change of state is allowed. Every
 * update in the store is guarded by the old state; this table says which
 * guards exist and is what reports from agents are held against.
 */
#ifndef MODEL_JOB_STATE_H
#define MODEL_JOB_STATE_H

#include "base/slice.h"

typedef enum job_state {
  JOB_PENDING,
  JOB_AWAITING_CSR,
  JOB_AWAITING_APPROVAL,
  JOB_RUNNING,
  JOB_COMPLETED,
  JOB_FAILED,
  JOB_CANCELLED,
  JOB_STATE_COUNT
} job_state_t;

/* RC_INVALID for a text that is no state; any case. */
MUST rc_t job_state_parse(slice_t text, job_state_t *ret);

bool job_state_allows(job_state_t from, job_state_t to);

/* True while the job still counts as under way. */
bool job_state_live(job_state_t s);

#endif
