#include "core/verify.h"

#include "core/audit.h"
#include "db/sql_stmts.h"
#include "work/jobs.h"

rc_t verify_record(const core_t *core, arena_t *a, const verification_t *v, const actor_t *who, err_t *e)
{
  job_look_t x;
  us_t now = time_wall(core->time);
  bool ok = v->verified && v->error.n == 0;
  TRY(job_look(core->db, a, v->job, &x, e));
  if (actor_is_agent(who) && !slice_eq(x.job.agent_id, who->id))
    return err_set(e, RC_DENIED, "foreign_job", NULL, "job belongs to another agent");
  cmd_t *c = cmd_new(a);
  if (!c) return rc(RC_NOMEM);
  cmd_add(c,
          SQL(a, job_verified, .id = v->job, .status = ok ? S("success") : S("failed"),
              .fingerprint = v->actual.n ? v->actual : (slice_t){NULL, 0},
              .error = v->error.n ? v->error : (slice_t){NULL, 0}, .at = now),
          1);
  AUDIT(c, a, now, who, .action = ok ? "job_verification_success" : "job_verification_failed", .resource_type = "job",
        .resource_id = v->job,
        .details = AUDIT_FACTS(a, fact_s("target_id", v->target), fact_s("expected_fingerprint", v->expected),
                               fact_s("actual_fingerprint", v->actual), fact_s("error", v->error)));
  return db_submit(core->db, c, e);
}
