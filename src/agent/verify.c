#include "agent/verify.h"

#include "base/limits.h"
#include "base/log.h"
#include "wire/json_out.h"

static rc_t send(agent_t *g, const work_item_t *item, const deploy_result_t *result, slice_t error, err_t *e)
{
  http_answer_t answer = {0};
  buf_t body = buf_on(g->arena, JOB_REPORT_MAX);
  jw_t j = jw_on(&body);
  jw_object(&j);
  jw_put_text(&j, "target_id", item->target_id);
  jw_put_str(&j, "expected_fingerprint", result->expected_sha256);
  jw_put_str(&j, "actual_fingerprint", result->actual_sha256);
  jw_put_bool(&j, "verified", result->verified);
  jw_put_text(&j, "error", slice_sub(error, 0, LIM_DEPLOY_REPORT));
  jw_object_end(&j);
  slice_t path = arena_printf(g->arena, "/jobs/%.*s/verify", SLICE_ARG(item->id));
  if (!rc_ok(buf_rc(&body)) || !path.p) return err_set(e, RC_NOMEM, "agent_memory", NULL, "out of memory");
  TRY(link_call(g->link, HTTP1_POST, path, buf_slice(&body), g->arena, &answer, e));
  if (answer.status == 200) return rc(RC_OK);
  return err_limit(e, RC_CONFLICT, "agent_status", NULL, "verification was answered with status {limit}",
                   answer.status);
}

void verify_report(agent_t *g, const work_item_t *item, const deploy_result_t *result, bool deployed, slice_t error)
{
  err_t e = {0};
  if (!result->probed || item->target_id.n == 0) return;
  if (!rc_ok(send(g, item, result, deployed ? (slice_t){NULL, 0} : error, &e)))
    log_err(LOG_WARN, "verification not reported", &e);
}
