#include "core/deploy.h"

#include "core/audit.h"
#include "core/issue.h"
#include "db/sql_stmts.h"
#include "model/job_state.h"
#include "model/resources.h"
#include "work/jobs.h"

enum { TARGETS_MAX = 1000 };

typedef struct place {
  slice_t target, agent;
} place_t;

static rc_t places_read(const core_t *core, arena_t *a, slice_t certificate, place_t **ret, size_t *ret_n, err_t *e)
{
  DB_READ_SCOPED db_read_t *r = NULL;
  size_t n = 0;
  rc_t got;
  place_t *v = NULL;
  TRY(db_read_begin(core->db, &r, e));
  TRY(db_query(r, SQL(a, certificate_targets, .certificate = certificate), e));
  while (rc_ok(got = db_next(r, e)) && n < TARGETS_MAX) {
    if (!v) v = ARENA_ARRAY(a, place_t, TARGETS_MAX);
    if (!v) return rc(RC_NOMEM);
    TRY(db_col_text_dup(r, 0, a, &v[n].target));
    TRY(db_col_text_dup(r, 1, a, &v[n++].agent));
  }
  if (!rc_ok(got) && !rc_is(got, RC_NOTFOUND)) return got;
  *ret = v;
  *ret_n = n;
  return rc(RC_OK);
}

static rc_t add_job(cmd_t *c, arena_t *a, us_t now, slice_t certificate, const place_t *p, int64_t max_attempts)
{
  slice_t id;
  return job_add(c, a, now,
                 &(job_spec_t){.type = S("Deployment"),
                               .certificate = certificate,
                               .target = p->target,
                               .agent = p->agent,
                               .status = S("Pending"),
                               .max_attempts = max_attempts},
                 &id);
}

rc_t deploy_add_jobs(const core_t *core, cmd_t *c, arena_t *a, us_t now, slice_t certificate, slice_t agent,
                     int64_t max_attempts, size_t *ret_n, err_t *e)
{
  place_t *v;
  size_t n, added = 0;
  TRY(places_read(core, a, certificate, &v, &n, e));
  for (size_t i = 0; i < n; i++) {
    if (agent.n && !slice_eq(agent, v[i].agent)) continue;
    TRY(add_job(c, a, now, certificate, &v[i], max_attempts));
    added++;
  }
  *ret_n = added;
  return rc(RC_OK);
}

typedef struct cert_state {
  slice_t status;
  us_t last_renewal_at;
} cert_state_t;

static rc_t state_read(const core_t *core, arena_t *a, slice_t certificate, cert_state_t *ret, int64_t *ret_attempts,
                       err_t *e)
{
  DB_READ_SCOPED db_read_t *r = NULL;
  TRY(db_read_begin(core->db, &r, e));
  TRY(db_query(r, SQL(a, certificate_state, .id = certificate), e));
  rc_t got = db_next(r, e);
  if (rc_is(got, RC_NOTFOUND)) return err_set(e, RC_NOTFOUND, "certificate", NULL, "Certificate not found");
  TRY(got);
  TRY(db_col_text_dup(r, 0, a, &ret->status));
  ret->last_renewal_at = db_col_time(r, 1);
  *ret_attempts = db_col_int(r, 2) + 1;
  return rc(RC_OK);
}

rc_t deploy_trigger(const core_t *core, arena_t *a, slice_t certificate, slice_t target, const actor_t *who,
                    size_t *ret_n, err_t *e)
{
  cert_state_t st;
  place_t *v;
  int64_t attempts;
  size_t n, added = 0;
  us_t now = time_wall(core->time);
  TRY(state_read(core, a, certificate, &st, &attempts, e));
  if (slice_ieq(st.status, S("Archived")))
    return err_set(e, RC_CONFLICT, "archived", NULL, "cannot deploy archived certificate");
  if (us_is_never(st.last_renewal_at))
    return err_set(e, RC_CONFLICT, "not_issued", NULL, "certificate was not issued yet");
  TRY(places_read(core, a, certificate, &v, &n, e));
  cmd_t *c = cmd_new(a);
  if (!c) return rc(RC_NOMEM);
  for (size_t i = 0; i < n; i++) {
    if (target.n && !slice_eq(target, v[i].target)) continue;
    TRY(add_job(c, a, now, certificate, &v[i], attempts));
    added++;
  }
  if (target.n && added == 0) {
    rc_t got = err_set(e, RC_INVALID, "target", "target_id", "is not an enabled target of this certificate");
    err_value(e, target.p, target.n);
    return got;
  }
  AUDIT(c, a, now, who, .action = "deployment_triggered", .resource_type = "certificate", .resource_id = certificate,
        .details = AUDIT_FACTS(a, fact_s("target_id", target), fact_i("job_count", (int64_t)added)));
  TRY(db_submit(core->db, c, e));
  *ret_n = added;
  return rc(RC_OK);
}

/* --- reports --- */

typedef struct report {
  job_t job;
  int64_t retry_s;
} report_t;

static rc_t job_read(const core_t *core, arena_t *a, slice_t id, report_t *ret, err_t *e)
{
  DB_READ_SCOPED db_read_t *r = NULL;
  report_t x = {.job.id = id, .retry_s = 3600};
  TRY(db_read_begin(core->db, &r, e));
  TRY(db_query(r, SQL(a, job_for_end, .id = id), e));
  rc_t got = db_next(r, e);
  if (rc_is(got, RC_NOTFOUND)) return err_set(e, RC_NOTFOUND, "job", NULL, "Job not found");
  TRY(got);
  TRY(db_col_text_dup(r, 0, a, &x.job.type));
  TRY(db_col_text_dup(r, 1, a, &x.job.certificate_id));
  x.job.attempts = db_col_int(r, 2);
  x.job.max_attempts = db_col_int(r, 3);
  if (!db_col_null(r, 4)) x.retry_s = db_col_int(r, 4);
  TRY(db_col_text_dup(r, 5, a, &x.job.status));
  TRY(db_col_text_dup(r, 6, a, &x.job.target_id));
  TRY(db_col_text_dup(r, 7, a, &x.job.agent_id));
  *ret = x;
  return rc(RC_OK);
}

static rc_t keepalive(const core_t *core, arena_t *a, const report_t *x, slice_t agent, us_t now, err_t *e)
{
  cmd_t *c = cmd_new(a);
  if (!c) return rc(RC_NOMEM);
  cmd_add(c, SQL(a, job_keepalive, .id = x->job.id, .agent = agent, .until = us_add_s(now, JOB_LEASE_S)), CMD_ANY_ROWS);
  return db_submit(core->db, c, e);
}

static rc_t end(const core_t *core, arena_t *a, const report_t *x, slice_t agent, bool failed, slice_t error,
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

rc_t deploy_report(const core_t *core, arena_t *a, slice_t job, slice_t agent, slice_t status, slice_t error,
                   const actor_t *who, err_t *e)
{
  report_t x;
  job_state_t to, from;
  us_t now = time_wall(core->time);
  if (!rc_ok(job_state_parse(status, &to)) || (to != JOB_RUNNING && to != JOB_COMPLETED && to != JOB_FAILED)) {
    rc_t bad = err_set(e, RC_INVALID, "status", "status", "must be Running, Completed or Failed");
    err_value(e, status.p, status.n);
    return bad;
  }
  TRY(job_read(core, a, job, &x, e));
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

rc_t deploy_verified(const core_t *core, arena_t *a, const verification_t *v, const actor_t *who, err_t *e)
{
  report_t x;
  us_t now = time_wall(core->time);
  bool ok = v->verified && v->error.n == 0;
  TRY(job_read(core, a, v->job, &x, e));
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
