#include "agent/job.h"

#include "agent/deploy.h"
#include "agent/key.h"
#include "agent/request.h"
#include "base/failpoint.h"
#include "base/limits.h"
#include "base/log.h"
#include "wire/json_out.h"

rc_t work_item_read(const json_t *node, arena_t *a, work_item_t *ret, err_t *e)
{
  work_item_t w = {0};
  const json_t *config = NULL;
  if (json_kind(node) != JK_OBJECT) return err_set(e, RC_INVALID, "work_item", "jobs", "must hold objects");
  TRY(json_get_text(node, "id", &w.id, e));
  TRY(json_get_text(node, "type", &w.type, e));
  TRY(json_get_text(node, "status", &w.status, e));
  TRY(json_get_text(node, "certificate_id", &w.certificate_id, e));
  TRY(json_get_text(node, "common_name", &w.common_name, e));
  TRY(json_get_texts(node, "sans", LIM_CERT_NAMES, a, &w.sans, e));
  TRY(json_get_text(node, "target_id", &w.target_id, e));
  TRY(json_get_text(node, "target_type", &w.target_type, e));
  TRY(json_get_object(node, "target_config", &config, e));
  TRY(key_id_check("id", w.id, e)); /* it becomes part of paths, of files and of URLs */
  buf_t text = buf_on(a, LIM_AGENT_REPLY);
  if (config) json_emit(config, &text);
  else buf_puts(&text, "{}");
  if (!rc_ok(buf_rc(&text))) return err_set(e, text.code, "work_item", "target_config", "is too large");
  w.target_config = buf_slice(&text);
  *ret = w;
  return rc(RC_OK);
}

rc_t job_report(agent_t *g, slice_t job_id, const char *status, slice_t error, err_t *e)
{
  http_answer_t answer = {0};
  buf_t body = buf_on(g->arena, JOB_REPORT_MAX);
  buf_t tail = buf_on(g->arena, 256);
  jw_t j = jw_on(&body);
  jw_object(&j);
  jw_put_str(&j, "status", status);
  if (error.n) jw_put_text(&j, "error", slice_sub(error, 0, LIM_DEPLOY_REPORT));
  jw_object_end(&j);
  buf_printf(&tail, "/jobs/%.*s/status", SLICE_ARG(job_id));
  buf_byte(&tail, 0);
  if (!rc_ok(buf_rc(&body)) || !rc_ok(buf_rc(&tail))) return err_set(e, RC_NOMEM, "job_report", NULL, "out of memory");
  TRY(link_call(g->link, HTTP1_POST, link_agent_path(g->link, g->arena, (const char *)tail.p), buf_slice(&body),
                g->arena, &answer, e));
  if (answer.status != 200)
    log_line(LOG_WARN, "status report refused", log_i("status", answer.status));
  return rc(RC_OK);
}

rc_t job_fail(agent_t *g, const work_item_t *item, const char *what, slice_t detail, err_t *e)
{
  slice_t text = detail.n ? arena_printf(g->arena, "%s: %.*s", what, SLICE_ARG(detail)) : slice_str(what);
  log_line(LOG_ERROR, "job failed", log_s("error", text));
  TRY(job_report(g, item->id, "Failed", text, e));
  FAILPOINT(report_sent);
  return err_set(e, RC_CONFLICT, "job_failed", NULL, "job failed");
}

rc_t job_fail_err(agent_t *g, const work_item_t *item, const char *what, const err_t *why, err_t *e)
{
  char text[512];
  size_t n = err_format(why, text, sizeof text);
  return job_fail(g, item, what, slice_of(text, n), e);
}

rc_t job_run(agent_t *g, const work_item_t *item, err_t *e)
{
  if (slice_ieq(item->status, S("AwaitingCSR"))) return request_run(g, item, e);
  if (slice_ieq(item->type, S("Deployment"))) return deploy_run(g, item, e);
  log_line(LOG_DEBUG, "work item of no concern", log_s("type", item->type));
  return rc(RC_OK);
}
