#include "api/handlers.h"
#include "api/rest.h"
#include "api/dispatch.h"
#include "base/failpoint.h"
#include "core/agents.h"
#include "core/audit.h"
#include "core/issue.h"
#include "core/report.h"
#include "db/sql_stmts.h"
#include "model/resources.h"
#include "work/jobs.h"

enum { WORK_WAIT_MAX_S = 50 };

/* An agent's key acts only as that agent; an operator's for any (decisions: Who is who). */
static bool speaks_for(const request_t *rq)
{
  return !actor_is_agent(rq->actor) || slice_eq(rq->actor->id, rq->param[0]);
}

static rc_t foreign(request_t *rq, reply_t *rp)
{
  return reply_denied(rq, rp, 403, "foreign_agent", "Insufficient permissions");
}

static rc_t retired(request_t *rq, reply_t *rp) { return reply_message(rq, rp, 410, "Agent has been retired"); }

/* Common to all agent routes; true when the reply is already made. */
static bool stopped(request_t *rq, reply_t *rp, rc_t *ret)
{
  if (!speaks_for(rq)) *ret = foreign(rq, rp);
  else if (rq->actor->retired) *ret = retired(rq, rp);
  else return false;
  return true;
}

/* --- registration --- */

/* The bootstrap token, sent as Bearer, may register too. */
static bool by_bootstrap(const request_t *rq)
{
  const secret_t *token = &rq->core->conf->agent_bootstrap_token;
  slice_t header = http1_header(rq->http->head, "Authorization");
  return token->n && slice_starts(header, S("Bearer ")) &&
         secret_eq(slice_sub(header, 7, header.n), slice_of(token->p, token->n));
}

rc_t agents_register(request_t *rq, reply_t *rp)
{
  static const actor_t bootstrap = {.id = {(const uint8_t *)"bootstrap-token", 15},
                                    .type = {(const uint8_t *)"System", 6}};
  const rest_t *re = rest_of(&res_agent);
  agent_t g = {0};
  uint64_t set;
  char key[AGENT_KEY_LEN + 1];
  err_t e = {0};
  rc_t got;
  if (by_bootstrap(rq)) rq->actor = &bootstrap;
  else if (request_authorise(rq, rp, "agent.edit", &got)) return got;
  got = rest_read_new(rq, re, &g, &set, &e);
  request_release(rq);
  if (rc_ok(got)) got = agent_register(rq->core, rq->a, &g, rq->actor, key, &e);
  if (!rc_ok(got)) return rest_reply_conflict(rq, rp, re, &g, got, &e);
  jw_t j = reply_json(rp, 201);
  jw_object(&j);
  json_row_members(&j, &res_agent, &g, NULL);
  jw_put_str(&j, "api_key", key);
  jw_object_end(&j);
  secret_wipe(key, sizeof key);
  return rc(RC_OK);
}

static void counts_write(jw_t *j, const agent_counts_t *c)
{
  jw_key(j, "counts");
  jw_object(j);
  jw_put_int(j, "active_targets", c->active_targets);
  jw_put_int(j, "active_certificates", c->active_certificates);
  jw_put_int(j, "pending_jobs", c->pending_jobs);
  jw_object_end(j);
}

static rc_t force_read(request_t *rq, bool *ret, slice_t *ret_reason, err_t *e)
{
  slice_t text = {NULL, 0};
  TRY(request_query(rq, "force", &text));
  TRY(request_query(rq, "reason", ret_reason));
  *ret = slice_is(text, "true") || slice_is(text, "1");
  if (text.n && !*ret && !slice_is(text, "false") && !slice_is(text, "0"))
    return err_set(e, RC_INVALID, "force", "force", "must be true or false");
  if (*ret && ret_reason->n == 0) return err_set(e, RC_INVALID, "reason", "reason", "is required with force");
  if (ret_reason->n > 1024)
    return err_limit(e, RC_INVALID, "reason", "reason", "must be {limit} characters or fewer", 1024);
  return rc(RC_OK);
}

rc_t agents_retire(request_t *rq, reply_t *rp)
{
  agent_retirement_t x = {0};
  slice_t reason = {NULL, 0};
  bool force;
  err_t e = {0};
  request_release(rq);
  rc_t got = force_read(rq, &force, &reason, &e);
  if (rc_ok(got)) got = agent_retire(rq->core, rq->a, rq->param[0], force, reason, rq->actor, &x, &e);
  if (rc_is(got, RC_CONFLICT)) {
    jw_t j = reply_json(rp, 409);
    jw_object(&j);
    jw_put_str(&j, "error", "blocked_by_dependencies");
    jw_put_str(&j, "message", e.text);
    counts_write(&j, &x.counts);
    jw_object_end(&j);
    return rc(RC_OK);
  }
  if (!rc_ok(got)) return reply_error(rq, rp, got, &e);
  if (x.already) {
    rp->status = 204;
    return rc(RC_OK);
  }
  jw_t j = reply_json(rp, 200);
  jw_object(&j);
  jw_put_time(&j, "retired_at", x.retired_at);
  jw_put_bool(&j, "already_retired", false);
  jw_put_bool(&j, "cascade", force);
  counts_write(&j, &x.counts);
  jw_object_end(&j);
  return rc(RC_OK);
}

/* --- what the agent itself calls --- */

/* Heartbeat bodies are optional and any body is tolerated (decisions: Values). */
rc_t agents_heartbeat(request_t *rq, reply_t *rp)
{
  agent_t g = {.id = rq->param[0]};
  uint64_t set;
  err_t e = {0};
  rc_t got;
  if (stopped(rq, rp, &got)) return got;
  request_release(rq);
  if (rc_ok(request_json(rq, &e)) && !rc_ok(json_row_read(&res_agent, rq->a, rq->body.root, &g, &set, &e)))
    g = (agent_t){.id = rq->param[0]};
  got = agent_heartbeat(rq->core, rq->a, &g, &e);
  return rc_ok(got) ? reply_status(rp, 200, "heartbeat_recorded") : reply_error(rq, rp, got, &e);
}

static void work_write(jw_t *j, const work_item_t *w)
{
  bool csr = slice_is(w->status, "AwaitingCSR");
  jw_object(j);
  jw_put_text(j, "id", w->id);
  jw_put_text(j, "type", w->type);
  jw_put_text(j, "certificate_id", w->certificate_id);
  if (csr) {
    jw_put_text(j, "common_name", w->common_name);
    jw_key(j, "sans");
    jw_texts(j, w->sans);
  }
  if (w->target_id.n) {
    jw_put_text(j, "target_id", w->target_id);
    jw_put_text(j, "target_type", w->target_type);
    jw_put_raw(j, "target_config", w->target_config.n ? w->target_config : S("{}"));
  }
  jw_put_text(j, "status", w->status);
  jw_object_end(j);
}

rc_t agents_work(request_t *rq, reply_t *rp)
{
  work_item_t *items;
  size_t n = 0;
  err_t e = {0};
  rc_t got;
  if (stopped(rq, rp, &got)) return got;
  int64_t wait_s = request_prefer_wait(rq, WORK_WAIT_MAX_S);
  request_release(rq);
  got = agent_seen(rq->core, rq->a, rq->param[0], http1_header(rq->http->head, "Certctl-Instance"), &e);
  if (rc_ok(got)) got = jobs_claim(rq->core->db, rq->a, rq->param[0], rq->now, &items, &n, &e);
  if (!rc_ok(got)) return reply_error(rq, rp, got, &e);
  if (wait_s > 0 && n == 0 && !rq->http->wait_over) return reply_park(rp, 'a', rq->param[0], wait_s * 1000);
  if (wait_s > 0) buf_printf(&rp->headers, "Preference-Applied: wait=%lld\r\n", (long long)wait_s);
  jw_t j = reply_json(rp, 200);
  jw_object(&j);
  jw_key(&j, "jobs");
  jw_array(&j);
  for (size_t i = 0; i < n; i++) work_write(&j, &items[i]);
  jw_array_end(&j);
  jw_put_int(&j, "count", (int64_t)n);
  jw_object_end(&j);
  return rc(RC_OK);
}

static rc_t csr_read(request_t *rq, csr_submission_t *in, err_t *e)
{
  TRY(request_json(rq, e));
  TRY(json_get_text(rq->body.root, "csr_pem", &in->csr_pem, e));
  TRY(json_get_text(rq->body.root, "certificate_id", &in->certificate_id, e));
  if (in->csr_pem.n == 0) return err_set(e, RC_INVALID, "csr_pem", "csr_pem", "is required");
  return rc(RC_OK);
}

rc_t agents_csr(request_t *rq, reply_t *rp)
{
  csr_submission_t in = {.agent_id = rq->param[0], .who = rq->actor};
  err_t e = {0};
  rc_t got;
  if (stopped(rq, rp, &got)) return got;
  request_release(rq);
  got = csr_read(rq, &in, &e);
  if (rc_ok(got) && in.certificate_id.n == 0) return reply_status(rp, 202, "csr_accepted");
  if (rc_ok(got)) got = issue_csr(rq->core, rq->a, &in, &e);
  if (!rc_ok(got)) {
    /* A CSR above what the CA may sign is bad input, not a missing right of the caller. */
    if (rc_is(got, RC_DENIED)) got = rc(RC_INVALID);
    return reply_error(rq, rp, got, &e);
  }
  FAILPOINT(csr_reply);
  return reply_status(rp, 202, "csr_signed");
}

rc_t agents_pickup(request_t *rq, reply_t *rp)
{
  slice_t pem = {NULL, 0};
  err_t e = {0};
  db_read_t *db;
  rc_t got;
  if (stopped(rq, rp, &got)) return got;
  got = request_db(rq, &db, &e);
  if (rc_ok(got))
    got = db_one(db, SQL(rq->a, version_latest, .certificate = rq->param[1], .agent = rq->param[0]), &e);
  if (rc_is(got, RC_NOTFOUND)) return reply_message(rq, rp, 404, "Certificate not found or not ready");
  if (rc_ok(got)) got = db_col_text_dup(db, 0, rq->a, &pem);
  if (!rc_ok(got)) return reply_error(rq, rp, got, &e);
  FAILPOINT(pickup_reply);
  jw_t j = reply_json(rp, 200);
  jw_object(&j);
  jw_put_text(&j, "certificate_pem", pem);
  jw_object_end(&j);
  return rc(RC_OK);
}

rc_t agents_job_status(request_t *rq, reply_t *rp)
{
  slice_t status = {NULL, 0}, error = {NULL, 0};
  err_t e = {0};
  rc_t got;
  if (stopped(rq, rp, &got)) return got;
  request_release(rq);
  got = request_json(rq, &e);
  if (rc_ok(got)) got = json_get_text(rq->body.root, "status", &status, &e);
  if (rc_ok(got)) got = json_get_text(rq->body.root, "error", &error, &e);
  if (rc_ok(got) && status.n == 0) got = err_set(&e, RC_INVALID, "status", "status", "is required");
  if (rc_ok(got))
    got = report_status(rq->core, rq->a, rq->param[1], rq->param[0], status, slice_sub(error, 0, 4096), rq->actor, &e);
  return rc_ok(got) ? reply_status(rp, 200, "updated") : reply_error(rq, rp, got, &e);
}
