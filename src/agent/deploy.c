#include "agent/deploy.h"

#include "agent/key.h"
#include "agent/verify.h"
#include "base/failpoint.h"
#include "base/limits.h"
#include "base/log.h"
#include "targets/target.h"
#include "wire/json_out.h"
#include "wire/pem.h"
#include "x509/cert.h"

#include <stdio.h>

enum { NOTE_MAX = LIM_AGENT_REPLY + 1024 };

/* Not a possible certificate id, so it cannot be one's folder. */
static const char notes_folder[] = "+deploying";

/* Everything a deployment needs, gathered before anything is changed. */
typedef struct deployment {
  const target_kind_t *kind;
  slice_t leaf, leaf_der, chain, name;
  secret_t key;
  cert_t cert;
} deployment_t;

static void deployment_fini(deployment_t *d)
{
  secret_fini(&d->key);
}

rc_t deploy_split(slice_t pem, arena_t *a, slice_t *ret_leaf, slice_t *ret_leaf_der, slice_t *ret_chain, err_t *e)
{
  pem_file_t file = {0};
  buf_t leaf = buf_on(a, LIM_PEM_FILE), chain = buf_on(a, LIM_PEM_FILE);
  TRY(pem_parse(a, pem, &file, e));
  if (file.n == 0) return err_set(e, RC_SYNTAX, "pickup_empty", "certificate_pem", "holds no certificate");
  for (size_t i = 0; i < file.nproblems; i++) {
    if (file.problems[i].lost) return err_set(e, RC_SYNTAX, "pickup_damaged", "certificate_pem", file.problems[i].text);
  }
  for (size_t i = 0; i < file.n; i++) {
    if (file.blocks[i].kind != PEM_CERT)
      return err_set(e, RC_INVALID, "pickup_block", "certificate_pem", "holds something that is no certificate");
    pem_emit(i == 0 ? &leaf : &chain, "CERTIFICATE", file.blocks[i].der);
  }
  if (!rc_ok(buf_rc(&leaf)) || !rc_ok(buf_rc(&chain)))
    return err_set(e, RC_NOMEM, "agent_memory", NULL, "out of memory");
  *ret_leaf = buf_slice(&leaf);
  *ret_leaf_der = file.blocks[0].der;
  *ret_chain = buf_slice(&chain);
  return rc(RC_OK);
}

/* --- notes of what is under way --- */

static rc_t note_write(agent_t *g, const work_item_t *item, err_t *e)
{
  DIR_SCOPED dir_t notes = DIR_CLOSED;
  char name[LIM_NAME];
  buf_t text = buf_on(g->arena, NOTE_MAX);
  jw_t j = jw_on(&text);
  jw_object(&j);
  jw_put_text(&j, "target_type", item->target_type);
  jw_put_raw(&j, "target_config", item->target_config);
  jw_object_end(&j);
  if (!rc_ok(buf_rc(&text))) return err_set(e, text.code, "deploy_note", NULL, "does not fit");
  snprintf(name, sizeof name, "%.*s", SLICE_ARG(item->id));
  TRY(dir_private_at(g->keys, notes_folder, &notes, e));
  return file_write(&notes, name, buf_slice(&text), FILE_PRIVATE, e);
}

static void note_remove(agent_t *g, const work_item_t *item)
{
  DIR_SCOPED dir_t notes = DIR_CLOSED;
  char name[LIM_NAME];
  err_t e = {0};
  snprintf(name, sizeof name, "%.*s", SLICE_ARG(item->id));
  rc_t r = dir_private_at(g->keys, notes_folder, &notes, &e);
  if (rc_ok(r)) r = file_remove(&notes, name, &e);
  if (rc_ok(r)) r = dir_sync(&notes, &e);
  if (!rc_ok(r)) log_err(LOG_WARN, "note of a finished deployment not removed", &e);
}

static deploy_context_t context_of(agent_t *g, buf_t *report)
{
  return (deploy_context_t){.arena = g->arena, .time = g->time, .tick = link_tick, .self = g->link, .report = report};
}

static rc_t recover_note(agent_t *g, const dir_t *notes, const char *name, err_t *e)
{
  json_doc_t doc = {0};
  work_item_t item = {0};
  const json_t *config = NULL;
  buf_t text = buf_on(g->arena, NOTE_MAX), plain = buf_on(g->arena, NOTE_MAX);
  buf_t report = buf_on(g->arena, LIM_DEPLOY_REPORT);
  TRY(file_read(notes, name, NOTE_MAX, &text, e));
  TRY(json_parse_object(g->arena, buf_slice(&text), &doc, e));
  TRY(json_get_text(doc.root, "target_type", &item.target_type, e));
  TRY(json_get_object(doc.root, "target_config", &config, e));
  json_emit(config, &plain);
  TRY(buf_rc(&plain));
  const target_kind_t *kind = target_find(item.target_type);
  deploy_context_t cx = context_of(g, &report);
  if (kind && kind->recover) {
    rc_t r = kind->recover(&cx, buf_slice(&plain), e);
    if (!rc_ok(r)) {
      log_line(LOG_ERROR, "unfinished deployment not undone", log_c("job_id", name),
               log_s("report", buf_slice(&report)));
      return r;
    }
  }
  TRY(file_remove(notes, name, e));
  return dir_sync(notes, e);
}

typedef struct recovery {
  agent_t *g;
  const dir_t *notes;
} recovery_t;

static rc_t recover_one(void *self, const char *name)
{
  const recovery_t *x = self;
  err_t e = {0};
  rc_t r = name[0] == '.' ? file_remove(x->notes, name, &e) : recover_note(x->g, x->notes, name, &e);
  if (!rc_ok(r)) log_err(LOG_ERROR, "unfinished deployment", &e);
  arena_reset(x->g->arena);
  return rc(RC_OK);
}

rc_t deploy_recover(agent_t *g, err_t *e)
{
  DIR_SCOPED dir_t notes = DIR_CLOSED;
  TRY(dir_private_at(g->keys, notes_folder, &notes, e));
  return dir_each(&notes, recover_one, &(recovery_t){.g = g, .notes = &notes}, e);
}

/* --- the step --- */

static rc_t pick_up(agent_t *g, const work_item_t *item, slice_t *ret_pem, err_t *e)
{
  http_answer_t answer = {0};
  json_doc_t doc = {0};
  slice_t pem = {0};
  char tail[KEY_ID_MAX + 32];
  snprintf(tail, sizeof tail, "/certificates/%.*s", SLICE_ARG(item->certificate_id));
  TRY(link_call(g->link, HTTP1_GET, link_agent_path(g->link, g->arena, tail), (slice_t){NULL, 0}, g->arena, &answer,
                e));
  if (answer.status != 200) {
    rc_t r = err_limit(e, RC_NOTFOUND, "pickup_status", NULL, "server answered with status {limit}", answer.status);
    err_value(e, answer.body.p, answer.body.n);
    return r;
  }
  TRY(json_parse_object(g->arena, answer.body, &doc, e));
  TRY(json_get_text(doc.root, "certificate_pem", &pem, e));
  *ret_pem = pem;
  return rc(RC_OK);
}

/* The name to verify with: the job's, else the one the request was made for, else the certificate's first. */
static slice_t choose_name(const work_item_t *item, const deployment_t *d, slice_t kept, arena_t *a)
{
  name_t n = {0};
  if (rc_ok(names_parse(a, item->common_name, &n, NULL)) && n.kind == NAME_DNS) return n.text;
  for (size_t i = 0; i < item->sans.n; i++) {
    if (rc_ok(names_parse(a, item->sans.v[i], &n, NULL)) && n.kind == NAME_DNS) return n.text;
  }
  if (kept.n) return kept;
  for (size_t i = 0; i < d->cert.sans.n; i++) {
    if (d->cert.sans.v[i].kind == NAME_DNS) return d->cert.sans.v[i].text;
  }
  return (slice_t){0};
}

/* Gathers all; the text of the failure begins with what failed, as *ret_what. */
static rc_t gather(agent_t *g, const work_item_t *item, deployment_t *d, const char **ret_what, err_t *e)
{
  slice_t pem = {0}, kept = {0};
  *ret_what = "key path validation failed";
  TRY(key_id_check("certificate_id", item->certificate_id, e));
  *ret_what = "connector init failed";
  d->kind = target_find(item->target_type);
  if (!d->kind)
    return err_quote(e, RC_INVALID, "target_type", NULL, "unsupported target type", item->target_type);
  *ret_what = "target config validation failed";
  TRY(d->kind->check(item->target_config, g->arena, e));
  *ret_what = "certificate pickup failed";
  TRY(pick_up(g, item, &pem, e));
  TRY(deploy_split(pem, g->arena, &d->leaf, &d->leaf_der, &d->chain, e));
  TRY(cert_parse(g->arena, d->leaf_der, &d->cert, e));
  *ret_what = "key read failed";
  TRY(key_find(g->keys, item->certificate_id, d->cert.spki.raw, g->arena, &d->key, &kept, e));
  d->name = choose_name(item, d, kept, g->arena);
  *ret_what = "key switch failed";
  return key_activate(g->keys, item->certificate_id, d->cert.spki.raw, time_wall(g->time), g->arena, e);
}

static rc_t run_connector(agent_t *g, const work_item_t *item, const deployment_t *d, deploy_result_t *ret,
                          buf_t *report, err_t *e)
{
  deploy_context_t cx = context_of(g, report);
  deploy_job_t job = {.leaf_pem = d->leaf,
                      .chain_pem = d->chain,
                      .key_pem = slice_of(d->key.p, d->key.n),
                      .config = item->target_config,
                      .first_dns_name = d->name};
  if (d->kind->recover) TRY(note_write(g, item, e));
  rc_t r = d->kind->deploy(&cx, &job, ret, e);
  /* The note stays where the connector could not restore: the next start tries again. */
  if (d->kind->recover && !rc_is(r, RC_INTERNAL)) note_remove(g, item);
  return r;
}

static rc_t conclude(agent_t *g, const work_item_t *item, rc_t outcome, const deploy_result_t *result, slice_t report,
                     const err_t *why, err_t *e)
{
  verify_report(g, item, result, rc_ok(outcome), report);
  if (!rc_ok(outcome))
    return report.n ? job_fail(g, item, "deployment failed", report, e)
                    : job_fail_err(g, item, "deployment failed", why, e);
  log_line(LOG_INFO, "certificate deployed", log_s("target_id", item->target_id), log_b("skipped", result->skipped),
           log_b("verified", result->verified), log_c("sha256", result->expected_sha256));
  TRY(job_report(g, item->id, "Completed", (slice_t){NULL, 0}, e));
  FAILPOINT(report_sent);
  return rc(RC_OK);
}

rc_t deploy_run(agent_t *g, const work_item_t *item, err_t *e)
{
  CLEANUP(deployment_fini) deployment_t d = {0};
  deploy_result_t result = {0};
  const char *what = "";
  err_t why = {0};
  buf_t report = buf_on(g->arena, LIM_DEPLOY_REPORT);
  if (!rc_ok(job_report(g, item->id, "Running", (slice_t){NULL, 0}, &why)))
    log_err(LOG_WARN, "start not reported", &why);
  why = (err_t){0};
  if (!rc_ok(gather(g, item, &d, &what, &why))) return job_fail_err(g, item, what, &why, e);
  rc_t r = run_connector(g, item, &d, &result, &report, &why);
  return conclude(g, item, r, &result, buf_slice(&report), &why, e);
}
