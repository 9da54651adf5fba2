#include "api/dispatch.h"
#include "api/handlers.h"
#include "api/rest.h"
#include "core/audit.h"
#include "core/verify.h"
#include "db/sql_stmts.h"
#include "model/job_state.h"
#include "model/resources.h"

enum { JOB_WAIT_MAX_S = 50 };

static rc_t load(request_t *rq, job_t *j, err_t *e)
{
  db_read_t *db;
  TRY(request_db(rq, &db, e));
  rc_t got = list_get(db, rq->a, &res_job, rq->param[0], j, e);
  return rc_is(got, RC_NOTFOUND) ? err_set(e, RC_NOTFOUND, "job", NULL, "Job not found") : got;
}

/* With Prefer: wait=N the answer comes once the job has ended, or when the wait is over. */
rc_t jobs_get(request_t *rq, reply_t *rp)
{
  job_t job;
  job_state_t state;
  err_t e = {0};
  int64_t wait_s = request_prefer_wait(rq, JOB_WAIT_MAX_S);
  rc_t got = load(rq, &job, &e);
  if (!rc_ok(got)) return reply_error(rq, rp, got, &e);
  bool live = rc_ok(job_state_parse(job.status, &state)) && job_state_live(state);
  if (wait_s > 0 && live && !rq->http->wait_over) return reply_park(rp, 'j', rq->param[0], wait_s * 1000);
  if (wait_s > 0) buf_printf(&rp->headers, "Preference-Applied: wait=%lld\r\n", (long long)wait_s);
  return rest_reply_row(rq, rp, rest_of(&res_job), &job, 200);
}

/* A guarded update of one job with its audit row; a missed guard is told with the state that the job is in. */
static rc_t change(request_t *rq, reply_t *rp, stmt_t s, const char *action, const job_t *job, const char *refusal,
                   const char *word)
{
  err_t e = {0};
  cmd_t *c = cmd_new(rq->a);
  if (!c) return rc(RC_NOMEM);
  cmd_add(c, s, 1);
  AUDIT(
      c, rq->a, rq->now, rq->actor, .action = action, .resource_type = "job", .resource_id = job->id,
      .details = AUDIT_FACTS(rq->a, fact_s("old_status", job->status), fact_s("certificate_id", job->certificate_id)));
  if (job->agent_id.n) cmd_wake(c, 'a', job->agent_id);
  cmd_wake(c, 'j', job->id);
  request_release(rq);
  rc_t got = db_submit(rq->core->db, c, &e);
  if (rc_is(got, RC_CONFLICT)) {
    slice_t text = arena_printf(rq->a, "%s with status %.*s", refusal, SLICE_ARG(job->status));
    return reply_message(rq, rp, 409, text.p ? (const char *)text.p : refusal);
  }
  return rc_ok(got) ? reply_status(rp, 200, word) : reply_error(rq, rp, got, &e);
}

rc_t jobs_cancel(request_t *rq, reply_t *rp)
{
  job_t job;
  err_t e = {0};
  rc_t got = load(rq, &job, &e);
  if (!rc_ok(got)) return reply_error(rq, rp, got, &e);
  stmt_t s = SQL(rq->a, job_cancel, .id = job.id, .error = S("cancelled by user"), .at = rq->now);
  return change(rq, rp, s, "job_cancelled", &job, "cannot cancel job", "job_cancelled");
}

rc_t jobs_retry(request_t *rq, reply_t *rp)
{
  job_t job;
  err_t e = {0};
  rc_t got = load(rq, &job, &e);
  if (!rc_ok(got)) return reply_error(rq, rp, got, &e);
  stmt_t s = SQL(rq->a, job_retry, .id = job.id, .at = rq->now);
  return change(rq, rp, s, "job_retry", &job, "cannot retry job", "job_retried");
}

/* --- verification --- */

static rc_t verification_read(request_t *rq, verification_t *v, err_t *e)
{
  TRY(request_json(rq, e));
  TRY(json_get_text(rq->body.root, "target_id", &v->target, e));
  TRY(json_get_text(rq->body.root, "expected_fingerprint", &v->expected, e));
  TRY(json_get_text(rq->body.root, "actual_fingerprint", &v->actual, e));
  TRY(json_get_text(rq->body.root, "error", &v->error, e));
  TRY(json_get_bool(rq->body.root, "verified", &v->verified, e));
  if (v->target.n == 0) return err_set(e, RC_INVALID, "target_id", "target_id", "is required");
  if (v->expected.n == 0) return err_set(e, RC_INVALID, "expected_fingerprint", "expected_fingerprint", "is required");
  if (v->actual.n == 0 && v->verified)
    return err_set(e, RC_INVALID, "actual_fingerprint", "actual_fingerprint", "is required when verified is true");
  if (v->expected.n > 128 || v->actual.n > 128)
    return err_limit(e, RC_INVALID, "fingerprint", "actual_fingerprint", "must be {limit} characters or fewer", 128);
  v->error = slice_sub(v->error, 0, 4096);
  return rc(RC_OK);
}

rc_t jobs_verify(request_t *rq, reply_t *rp)
{
  verification_t v = {.job = rq->param[0]};
  err_t e = {0};
  request_release(rq);
  rc_t got = verification_read(rq, &v, &e);
  if (rc_ok(got)) got = verify_record(rq->core, rq->a, &v, rq->actor, &e);
  if (!rc_ok(got)) return reply_error(rq, rp, got, &e);
  jw_t j = reply_json(rp, 200);
  jw_object(&j);
  jw_put_text(&j, "job_id", v.job);
  jw_put_bool(&j, "verified", v.verified && v.error.n == 0);
  jw_put_time(&j, "verified_at", rq->now);
  jw_object_end(&j);
  return rc(RC_OK);
}

rc_t jobs_verification(request_t *rq, reply_t *rp)
{
  job_t job;
  err_t e = {0};
  rc_t got = load(rq, &job, &e);
  if (!rc_ok(got)) return reply_error(rq, rp, got, &e);
  jw_t j = reply_json(rp, 200);
  jw_object(&j);
  jw_put_text(&j, "job_id", job.id);
  jw_put_text(&j, "target_id", job.target_id);
  jw_put_text(&j, "actual_fingerprint", job.verification_fingerprint);
  jw_put_bool(&j, "verified", slice_is(job.verification_status, "success"));
  jw_put_time(&j, "verified_at", job.verified_at);
  if (job.verification_error.n) jw_put_text(&j, "error", job.verification_error);
  jw_object_end(&j);
  return rc(RC_OK);
}
