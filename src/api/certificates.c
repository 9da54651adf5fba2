#include "api/handlers.h"
#include "api/resource_rules.h"
#include "base/limits.h"
#include "core/deploy.h"
#include "core/inventory.h"
#include "db/sql_stmts.h"
#include "model/resources.h"

/* --- rules --- */

static rc_t tags_check(request_t *rq, slice_t tags, err_t *e)
{
  json_doc_t doc;
  json_iter_t it = {0};
  slice_t key;
  const json_t *v;
  TRY(json_parse(rq->a, tags, &doc, e));
  if (json_kind(doc.root) != JK_OBJECT) return err_set(e, RC_INVALID, "tags", "tags", "must be an object of texts");
  while (json_next(doc.root, &it, &key, &v))
    if (json_kind(v) != JK_TEXT) return err_quote(e, RC_INVALID, "tags", "tags", "must hold texts only", key);
  return rc(RC_OK);
}

rc_t certificates_check(request_t *rq, void *row, const void *old, uint64_t *set, err_t *e)
{
  certificate_t *c = row;
  if (!old && c->expires_at.us == 0) c->expires_at = US_NEVER; /* not sent */
  if (!old) c->last_renewal_at = c->last_deployment_at = US_NEVER;
  TRY(tags_check(rq, c->tags, e));
  const field_t *f = &res_certificate.fields[resource_field(&res_certificate, S("target_ids"))];
  return json_get_texts(rq->body.root, f->name, (size_t)f->max, rq->a, &c->target_ids, e);
}

rc_t certificates_shape(request_t *rq, void *rows, size_t n, err_t *e)
{
  certificate_t *c = rows;
  db_read_t *db;
  rc_t got;
  slice_t *ids = ARENA_ARRAY(rq->a, slice_t, n + 1);
  if (!ids) return rc(RC_NOMEM);
  for (size_t i = 0; i < n; i++) ids[i] = c[i].id;
  TRY(request_db(rq, &db, e));
  TRY(db_query(db, SQL(rq->a, mapping_of_many, .ids = {ids, n}), e));
  while (rc_ok(got = db_next(db, e))) {
    slice_t id, target;
    TRY(db_col_text_dup(db, 0, rq->a, &id));
    TRY(db_col_text_dup(db, 1, rq->a, &target));
    for (size_t i = 0; i < n; i++) {
      if (!slice_eq(c[i].id, id)) continue;
      /* Rows come ordered by certificate; grow by doubling at powers of two. */
      size_t have = c[i].target_ids.n;
      slice_t *v = (slice_t *)(uintptr_t)c[i].target_ids.v;
      if ((have & (have - 1)) == 0) {
        v = ARENA_ARRAY(rq->a, slice_t, have ? have * 2 : 1);
        if (!v) return rc(RC_NOMEM);
        if (have) memcpy(v, c[i].target_ids.v, have * sizeof *v);
      }
      v[have] = target;
      c[i].target_ids = (texts_t){v, have + 1};
      break;
    }
  }
  return rc_is(got, RC_NOTFOUND) ? rc(RC_OK) : got;
}

rc_t certificates_filters(request_t *rq, list_filter_t *f, size_t *n, err_t *e)
{
  static const struct {
    const char *name, *field;
    list_op_t op;
  } times[] = {{"expires_before", "expires_at", LO_LT},
               {"expires_after", "expires_at", LO_GT},
               {"created_after", "created_at", LO_GT},
               {"updated_after", "updated_at", LO_GT}};
  slice_t text;
  us_t t;
  for (size_t i = 0; i < COUNT_OF(times); i++) {
    text = (slice_t){NULL, 0};
    TRY(request_query(rq, times[i].name, &text));
    if (text.n && rc_ok(rfc3339_parse(text, &t)))
      rest_filter_add(f, n,
                      (list_filter_t){.field = resource_field(&res_certificate, slice_str(times[i].field)),
                                      .op = times[i].op,
                                      .value = val_time(t)});
  }
  text = (slice_t){NULL, 0};
  TRY(request_query(rq, "profile_id", &text));
  if (text.n)
    rest_filter_add(f, n,
                    (list_filter_t){.field = resource_field(&res_certificate, S("certificate_profile_id")),
                                    .op = LO_EQ,
                                    .value = val_text(text)});
  text = (slice_t){NULL, 0};
  TRY(request_query(rq, "agent_id", &text));
  if (text.n)
    rest_filter_add(
        f, n,
        (list_filter_t){.op = LO_IN_SUBQUERY,
                        .value = val_text(text),
                        .subquery = "id in (select m.certificate_id from certificate_target_mappings m "
                                    "join deployment_targets t on t.id = m.target_id where t.agent_id = ?)"});
  return rc(RC_OK);
}

/* --- handlers --- */

static rc_t not_found(request_t *rq, reply_t *rp) { return reply_message(rq, rp, 404, "Certificate not found"); }

rc_t certificates_create(request_t *rq, reply_t *rp)
{
  const rest_t *re = rest_of(&res_certificate);
  certificate_t c = {0};
  uint64_t set;
  err_t e = {0};
  rc_t got = rest_read_new(rq, re, &c, &set, &e);
  request_release(rq);
  if (rc_ok(got)) got = inventory_create(rq->core, rq->a, &c, rq->actor, &e);
  if (!rc_ok(got)) return rest_reply_conflict(rq, rp, re, &c, got, &e);
  jw_t j = reply_json(rp, 201);
  json_row_write(&j, re->res, &c, NULL);
  return rc(RC_OK);
}

/* The stored row with its targets, as a PUT begins from. */
static rc_t load(request_t *rq, certificate_t *c, err_t *e)
{
  db_read_t *db;
  TRY(request_db(rq, &db, e));
  TRY(list_get(db, rq->a, &res_certificate, rq->param[0], c, e));
  return certificates_shape(rq, c, 1, e);
}

rc_t certificates_update(request_t *rq, reply_t *rp)
{
  const rest_t *re = rest_of(&res_certificate);
  certificate_t c = {0};
  uint64_t set;
  err_t e = {0};
  rc_t got = load(rq, &c, &e);
  if (rc_is(got, RC_NOTFOUND)) return not_found(rq, rp);
  if (rc_ok(got)) got = rest_read_change(rq, re, &c, &set, &e);
  if (!rc_ok(got)) return reply_error(rq, rp, got, &e);
  bool targets = json_has(rq->body.root, "target_ids");
  slice_t changed = rest_changed(rq, re->res, set);
  if (targets) changed = arena_printf(rq->a, "%.*s%starget_ids", SLICE_ARG(changed), changed.n ? "," : "");
  request_release(rq);
  got = inventory_update(rq->core, rq->a, &c, set, targets, changed, rq->actor, &e);
  if (!rc_ok(got)) return rest_reply_conflict(rq, rp, re, &c, got, &e);
  jw_t j = reply_json(rp, 200);
  json_row_write(&j, re->res, &c, NULL);
  return rc(RC_OK);
}

rc_t certificates_archive(request_t *rq, reply_t *rp)
{
  err_t e = {0};
  request_release(rq);
  rc_t got = inventory_archive(rq->core, rq->a, rq->param[0], rq->actor, &e);
  if (!rc_ok(got)) return reply_error(rq, rp, got, &e);
  rp->status = 204;
  return rc(RC_OK);
}

/* A list that belongs to the certificate of the path; RC_NOTFOUND when there is no such certificate. */
static rc_t list_of(request_t *rq, const list_query_t *q, void **ret_rows, size_t *ret_n, int64_t *ret_total, err_t *e)
{
  certificate_t c;
  db_read_t *db;
  TRY(request_db(rq, &db, e));
  TRY(list_get(db, rq->a, &res_certificate, rq->param[0], &c, e));
  return list_page(db, rq->a, q, ret_rows, ret_n, ret_total, e);
}

rc_t certificates_versions(request_t *rq, reply_t *rp)
{
  err_t e = {0};
  void *rows;
  size_t n;
  int64_t total;
  list_filter_t f = {
      .field = resource_field(&res_version, S("certificate_id")), .op = LO_EQ, .value = val_text(rq->param[0])};
  list_query_t q = {.res = &res_version, .filters = &f, .nfilters = 1, .sort = -1, .desc = true};
  TRY(rest_paging(rq, &q.page, &q.per_page));
  rc_t got = list_of(rq, &q, &rows, &n, &total, &e);
  if (rc_is(got, RC_NOTFOUND)) return not_found(rq, rp);
  if (!rc_ok(got)) return reply_error(rq, rp, got, &e);
  return rest_reply_rows(rq, rp, &res_version, rows, n, total, q.page, q.per_page);
}

rc_t certificates_deployments(request_t *rq, reply_t *rp)
{
  err_t e = {0};
  void *rows;
  size_t n;
  int64_t total;
  list_filter_t f = {.op = LO_IN_SUBQUERY,
                     .value = val_text(rq->param[0]),
                     .subquery = "id in (select target_id from certificate_target_mappings where certificate_id = ?)"};
  const list_query_t q = {.res = &res_target,
                          .filters = &f,
                          .nfilters = 1,
                          .sort = resource_field(&res_target, S("name")),
                          .page = 1,
                          .per_page = LIM_CERT_TARGETS};
  rc_t got = list_of(rq, &q, &rows, &n, &total, &e);
  if (rc_is(got, RC_NOTFOUND)) return not_found(rq, rp);
  if (!rc_ok(got)) return reply_error(rq, rp, got, &e);
  jw_t j = reply_json(rp, 200);
  jw_object(&j);
  rest_rows_write(&j, &res_target, rows, n, NULL);
  jw_put_int(&j, "total", total);
  jw_object_end(&j);
  return rc(RC_OK);
}

/* The renew and deploy bodies count only when they are declared as JSON (spec/api.md 1.1). */
static bool body_is_json(const request_t *rq)
{
  return slice_is(http1_header(rq->http->head, "Content-Type"), "application/json");
}

rc_t certificates_renew(request_t *rq, reply_t *rp)
{
  slice_t text = {NULL, 0}, job;
  bool force = false;
  err_t e = {0};
  TRY(request_query(rq, "force", &text));
  rc_t got = rc(RC_OK);
  if (body_is_json(rq)) got = request_json(rq, &e);
  if (rc_ok(got)) got = json_get_bool(rq->body.root, "force", &force, &e);
  if (!rc_ok(got)) return reply_error(rq, rp, got, &e);
  force = force || slice_is(text, "true") || slice_is(text, "1");
  request_release(rq);
  got = inventory_renew(rq->core, rq->a, rq->param[0], force, rq->actor, &job, &e);
  if (!rc_ok(got)) return reply_error(rq, rp, got, &e);
  jw_t j = reply_json(rp, 202);
  jw_object(&j);
  jw_put_str(&j, "status", "renewal_triggered");
  jw_put_text(&j, "job_id", job);
  jw_object_end(&j);
  return rc(RC_OK);
}

rc_t certificates_deploy(request_t *rq, reply_t *rp)
{
  slice_t target = {NULL, 0};
  size_t n;
  err_t e = {0};
  rc_t got = rc(RC_OK);
  if (body_is_json(rq)) got = request_json(rq, &e);
  if (rc_ok(got)) got = json_get_text(rq->body.root, "target_id", &target, &e);
  request_release(rq);
  if (rc_ok(got)) got = deploy_trigger(rq->core, rq->a, rq->param[0], target, rq->actor, &n, &e);
  if (!rc_ok(got)) return reply_error(rq, rp, got, &e);
  jw_t j = reply_json(rp, 202);
  jw_object(&j);
  jw_put_str(&j, "status", "deployment_triggered");
  jw_put_int(&j, "jobs", (int64_t)n);
  jw_object_end(&j);
  return rc(RC_OK);
}

static rc_t map(request_t *rq, reply_t *rp, bool add)
{
  err_t e = {0};
  request_release(rq);
  rc_t got = inventory_map(rq->core, rq->a, rq->param[0], rq->param[1], add, rq->actor, &e);
  if (!rc_ok(got)) return reply_error(rq, rp, got, &e);
  rp->status = 204;
  return rc(RC_OK);
}

rc_t certificates_map(request_t *rq, reply_t *rp) { return map(rq, rp, true); }
rc_t certificates_unmap(request_t *rq, reply_t *rp) { return map(rq, rp, false); }
