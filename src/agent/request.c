#include "agent/request.h"

#include "agent/key.h"
#include "base/failpoint.h"
#include "base/limits.h"
#include "base/log.h"
#include "wire/json_out.h"
#include "wire/pem.h"
#include "x509/csr_emit.h"

enum { BODY_MAX = 2 * LIM_CSR_DER, ANSWER_SHOWN = 512 };

rc_t request_names(const work_item_t *item, arena_t *a, names_t *ret, slice_t *ret_first_dns, err_t *e)
{
  name_t cn = {0};
  slice_t *texts = ARENA_ARRAY(a, slice_t, item->sans.n + 1);
  names_t names = {0};
  size_t n = 0;
  if (!texts) return err_set(e, RC_NOMEM, "agent_memory", NULL, "out of memory");
  if (rc_ok(names_parse(a, item->common_name, &cn, NULL)) && cn.kind == NAME_DNS) texts[n++] = item->common_name;
  for (size_t i = 0; i < item->sans.n; i++) texts[n++] = item->sans.v[i];
  TRY(names_parse_all(a, texts, n, "sans", &names, e));
  *ret_first_dns = (slice_t){0};
  for (size_t i = names.n; i-- > 0;) {
    if (names.v[i].kind == NAME_DNS) *ret_first_dns = names.v[i].text;
  }
  *ret = names;
  return rc(RC_OK);
}

static rc_t make_body(const work_item_t *item, sigkey_t *key, names_t names, arena_t *a, buf_t *body, err_t *e)
{
  buf_t der = buf_on(a, LIM_CSR_DER), pem = buf_on(a, BODY_MAX);
  TRY(csr_emit(key, item->common_name, names, &der, e));
  pem_emit(&pem, "CERTIFICATE REQUEST", buf_slice(&der));
  jw_t j = jw_on(body);
  jw_object(&j);
  jw_put_text(&j, "csr_pem", buf_slice(&pem));
  jw_put_text(&j, "certificate_id", item->certificate_id);
  jw_object_end(&j);
  if (rc_ok(buf_rc(&pem)) && rc_ok(buf_rc(body))) return rc(RC_OK);
  return err_limit(e, RC_FULL, "csr_size", NULL, "request is over {limit} bytes", LIM_CSR_DER);
}

static rc_t send(agent_t *g, const work_item_t *item, slice_t body, err_t *e)
{
  http_answer_t answer = {0};
  err_t why = {0};
  rc_t r = link_call(g->link, HTTP1_POST, link_agent_path(g->link, g->arena, "/csr"), body, g->arena, &answer, &why);
  FAILPOINT(csr_sent);
  if (!rc_ok(r)) return job_fail_err(g, item, "CSR submission failed", &why, e);
  if (answer.status != 202) return job_fail(g, item, "CSR rejected", slice_sub(answer.body, 0, ANSWER_SHOWN), e);
  log_line(LOG_INFO, "certificate requested");
  return r;
}

rc_t request_run(agent_t *g, const work_item_t *item, err_t *e)
{
  KEY_SCOPED sigkey_t *key = NULL;
  names_t names = {0};
  slice_t first = {0};
  err_t why = {0};
  buf_t body = buf_on(g->arena, 2 * BODY_MAX);
  if (!rc_ok(key_id_check("certificate_id", item->certificate_id, &why)))
    return job_fail_err(g, item, "key path validation failed", &why, e);
  if (slice_trim(item->common_name).n == 0) return job_fail(g, item, "empty common name", (slice_t){NULL, 0}, e);
  if (!rc_ok(request_names(item, g->arena, &names, &first, &why)))
    return job_fail_err(g, item, "CSR creation failed", &why, e);
  if (!rc_ok(key_for_job(g->keys, item->certificate_id, item->id, first, g->arena, &key, &why)))
    return job_fail_err(g, item, "key storage failed", &why, e);
  if (!rc_ok(make_body(item, key, names, g->arena, &body, &why)))
    return job_fail_err(g, item, "CSR creation failed", &why, e);
  return send(g, item, buf_slice(&body), e);
}
