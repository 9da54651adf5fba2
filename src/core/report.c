#include "core/report.h"

#include "core/audit.h"
#include "core/issue.h"
#include "db/sql_stmts.h"
#include "model/job_state.h"
#include "work/jobs.h"

static rc_t keepalive(const core_t *core, arena_t *a, const job_look_t *x, slice_t agent, us_t now, err_t *e)
{
  cmd_t *c = cmd_new(a);
  if (!c) return rc(RC_NOMEM);
  cmd_add(c, SQL(a, job_keepalive, .id = x->job.id, .agent = agent, .until = us_add_s(now, JOB_LEASE_S)), CMD_ANY_ROWS);
  return db_submit(core->db, c, e);
}

static rc_t end(const core_t *core, arena_t *a, const job_look_t *x, slice_t agent, bool failed, slice_t error,
                const actor_t *who, us_t now, err_t *e)
{
  bool again = failed && x->job.attempts < x->job.max_attempts;
  cmd_t *c = cmd_new(a);
  if (!c) return rc(RC_NOMEM);
  cmd_add(c,
          SQL(a, job_end, .id = x->job.id, .agent = agent, .status = failed ? S("Failed") : S("Completed"),
              .error = failed ? error : (slice_t){NULL, 0}, .at = now,
              .next = again ? us_add_s(now, x->retry_s) : US_NEVER),
          1);
  if (!failed) cmd_add(c, SQL(a, certificate_deployed, .id = x->job.certificate_id, .at = now), CMD_ANY_ROWS);
  AUDIT(c, a, now, who, .action = failed ? "deployment_job_failed" : "deployment_job_completed",
        .resource_type = "certificate", .resource_id = x->job.certificate_id,
        .details = AUDIT_FACTS(a, fact_s("job_id", x->job.id), fact_s("target_id", x->job.target_id),
                               fact_s("agent_id", agent), fact_s("error", error)));
  cmd_wake(c, 'j', x->job.id);
  rc_t got = db_submit(core->db, c, e);
  return rc_is(got, RC_CONFLICT) ? rc(RC_OK) : got; /* somebody ended it first: nothing changes */
}

rc_t report_status(const core_t *core, arena_t *a, slice_t job, slice_t agent, slice_t status, slice_t error,
                   const actor_t *who, err_t *e)
{
  job_look_t x;
  job_state_t to, from;
  us_t now = time_wall(core->time);
  if (!rc_ok(job_state_parse(status, &to)) || (to != JOB_RUNNING && to != JOB_COMPLETED && to != JOB_FAILED))
    return err_quote(e, RC_INVALID, "status", "status", "must be Running, Completed or Failed", status);
  TRY(job_look(core->db, a, job, &x, e));
  if (x.job.agent_id.n && !slice_eq(x.job.agent_id, agent))
    return err_set(e, RC_DENIED, "foreign_job", NULL, "job belongs to another agent");
  if (!rc_ok(job_state_parse(x.job.status, &from)) || !job_state_allows(from, to)) return rc(RC_OK);
  if (from == JOB_AWAITING_CSR) {
    if (to != JOB_FAILED) return rc(RC_OK);
    rc_t got = issue_give_up(core, a, job, agent, error.n ? error : S("agent reported failure"), who, e);
    return rc_is(got, RC_CONFLICT) ? rc(RC_OK) : got;
  }
  if (from != JOB_RUNNING) return rc(RC_OK);
  if (to == JOB_RUNNING) return keepalive(core, a, &x, agent, now, e);
  return end(core, a, &x, agent, to == JOB_FAILED, error.n || to == JOB_COMPLETED ? error : S("agent reported failure"),
             who, now, e);
}
