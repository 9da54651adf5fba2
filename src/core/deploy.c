#include "core/deploy.h"

#include "core/audit.h"
#include "core/inventory.h"
#include "core/mapping.h"
#include "work/jobs.h"

/* A job for each usable target of the certificate, of this agent or this target alone when they are given. */
static rc_t add_jobs(const core_t *core, cmd_t *c, arena_t *a, us_t now, slice_t certificate, slice_t agent,
                     slice_t target, int64_t max_attempts, size_t *ret_n, err_t *e)
{
  mapping_t m;
  slice_t id;
  *ret_n = 0;
  TRY(mapping_of(core, a, certificate, agent, &m, e));
  for (size_t i = 0; i < m.n; i++) {
    if (target.n && !slice_eq(target, m.v[i].target)) continue;
    TRY(job_add(c, a, now,
                &(job_spec_t){.type = S("Deployment"),
                              .certificate = certificate,
                              .target = m.v[i].target,
                              .agent = m.v[i].agent,
                              .status = S("Pending"),
                              .max_attempts = max_attempts},
                &id));
    (*ret_n)++;
  }
  return rc(RC_OK);
}

rc_t deploy_add_jobs(const core_t *core, cmd_t *c, arena_t *a, us_t now, slice_t certificate, slice_t agent,
                     int64_t max_attempts, size_t *ret_n, err_t *e)
{
  return add_jobs(core, c, a, now, certificate, agent, (slice_t){NULL, 0}, max_attempts, ret_n, e);
}

rc_t deploy_trigger(const core_t *core, arena_t *a, slice_t certificate, slice_t target, const actor_t *who,
                    size_t *ret_n, err_t *e)
{
  certificate_state_t st;
  size_t added;
  us_t now = time_wall(core->time);
  TRY(certificate_state_read(core, a, certificate, &st, e));
  if (slice_ieq(st.status, S("Archived")))
    return err_set(e, RC_CONFLICT, "archived", NULL, "cannot deploy archived certificate");
  if (us_is_never(st.last_renewal_at))
    return err_set(e, RC_CONFLICT, "not_issued", NULL, "certificate was not issued yet");
  cmd_t *c = cmd_new(a);
  if (!c) return rc(RC_NOMEM);
  TRY(add_jobs(core, c, a, now, certificate, (slice_t){NULL, 0}, target, st.attempts, &added, e));
  if (target.n && added == 0)
    return err_quote(e, RC_INVALID, "target", "target_id", "is not an enabled target of this certificate", target);
  AUDIT(c, a, now, who, .action = "deployment_triggered", .resource_type = "certificate", .resource_id = certificate,
        .details = AUDIT_FACTS(a, fact_s("target_id", target), fact_i("job_count", (int64_t)added)));
  TRY(db_submit(core->db, c, e));
  *ret_n = added;
  return rc(RC_OK);
}
