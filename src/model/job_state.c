#include "model/job_state.h"

#include "model/resources.h"

#define TO(s) (1u << (s))

static const unsigned allowed[JOB_STATE_COUNT] = {
    [JOB_PENDING] = TO(JOB_RUNNING) | TO(JOB_AWAITING_CSR) | TO(JOB_CANCELLED) | TO(JOB_FAILED),
    [JOB_AWAITING_CSR] = TO(JOB_COMPLETED) | TO(JOB_FAILED) | TO(JOB_CANCELLED),
    [JOB_AWAITING_APPROVAL] = TO(JOB_PENDING) | TO(JOB_AWAITING_CSR) | TO(JOB_FAILED) | TO(JOB_CANCELLED),
    [JOB_RUNNING] = TO(JOB_RUNNING) | TO(JOB_PENDING) | TO(JOB_COMPLETED) | TO(JOB_FAILED) | TO(JOB_CANCELLED),
    [JOB_FAILED] = TO(JOB_PENDING) | TO(JOB_AWAITING_CSR),
};

rc_t job_state_parse(slice_t text, job_state_t *ret)
{
  for (int i = 0; job_statuses[i]; i++)
    if (slice_ieq(text, slice_str(job_statuses[i]))) {
      *ret = (job_state_t)i;
      return rc(RC_OK);
    }
  return rc(RC_INVALID);
}

bool job_state_allows(job_state_t from, job_state_t to) { return allowed[from] & TO(to); }

bool job_state_live(job_state_t s) { return s <= JOB_RUNNING; }
