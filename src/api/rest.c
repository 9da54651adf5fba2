#include "api/rest.h"

#include "api/handlers.h"
#include "api/resource_rules.h"
#include "base/check.h"
#include "core/audit.h"
#include "model/resources.h"
#include "wire/base64.h"
#include "wire/url.h"

#include <ctype.h>

/* --- rows in --- */

static void *member(const resource_t *res, const char *name, void *row)
{
  int i = resource_field(res, slice_str(name));
  return i < 0 ? NULL : field_at(&res->fields[i], row);
}

static void stamp_times(request_t *rq, const resource_t *res, void *row, bool created)
{
  us_t *at = member(res, "updated_at", row);
  if (at) *at = rq->now;
  at = member(res, "created_at", row);
  if (at && created) *at = rq->now;
}

static rc_t id_check(slice_t id, err_t *e)
{
  if (id.n > 128) return err_limit(e, RC_INVALID, "id_length", "id", "must be {limit} characters or fewer", 128);
  bool dots = slice_is(id, ".") || slice_is(id, "..");
  for (size_t i = 0; i < id.n; i++)
    if (!isalnum(id.p[i]) && id.p[i] != '.' && id.p[i] != '_' && id.p[i] != '-') dots = true;
  if (!dots) return rc(RC_OK);
  return err_quote(e, RC_INVALID, "id_characters", "id", "may hold letters, digits, dot, underscore and hyphen only", id);
}

rc_t rest_read_new(request_t *rq, const rest_t *re, void *row, uint64_t *ret_set, err_t *e)
{
  char id[ID_MAX];
  uint64_t set = 0;
  slice_t *at = member(re->res, "id", row);
  TRY(request_json(rq, e));
  TRY(json_row_read(re->res, rq->a, rq->body.root, row, &set, e));
  TRY(json_row_defaults(re->res, rq->a, set, row, e));
  TRY(json_row_required(re->res, row, e));
  if (at->n == 0) *at = arena_dup(rq->a, slice_of(id, id_new(re->res->id_prefix, rq->now.us, id)));
  if (!at->p) return rc(RC_NOMEM);
  TRY(id_check(*at, e));
  stamp_times(rq, re->res, row, true);
  if (re->check) TRY(re->check(rq, row, NULL, &set, e));
  *ret_set = set;
  return rc(RC_OK);
}

static uint64_t bits_of(const resource_t *res, uint32_t flag)
{
  uint64_t bits = 0;
  for (uint32_t i = 0; i < res->nfields; i++)
    if (res->fields[i].flags & flag) bits |= UINT64_C(1) << i;
  return bits;
}

rc_t rest_read_change(request_t *rq, const rest_t *re, void *row, uint64_t *ret_set, err_t *e)
{
  uint64_t set = 0;
  void *old = arena_alloc(rq->a, re->res->row_size), *sent = arena_alloc(rq->a, re->res->row_size);
  if (!old || !sent) return rc(RC_NOMEM);
  memcpy(old, row, re->res->row_size);
  memcpy(sent, row, re->res->row_size);
  TRY(request_json(rq, e));
  TRY(json_row_read(re->res, rq->a, rq->body.root, sent, &set, e));
  uint64_t fixed = bits_of(re->res, FF_IMMUTABLE);
  for (uint32_t i = 0; i < re->res->nfields; i++) {
    const field_t *f = &re->res->fields[i];
    static const size_t sizes[] = {
        [FT_TEXT] = sizeof(slice_t), [FT_ENUM] = sizeof(slice_t),  [FT_INT] = sizeof(int64_t), [FT_BOOL] = sizeof(bool),
        [FT_TIME] = sizeof(us_t),    [FT_TEXTS] = sizeof(texts_t), [FT_JSON] = sizeof(slice_t)};
    if ((set & ~fixed) >> i & 1) memcpy(field_at(f, row), field_at(f, sent), sizes[f->type]);
  }
  set &= ~fixed;
  TRY(json_row_required(re->res, row, e));
  stamp_times(rq, re->res, row, false);
  if (re->check) TRY(re->check(rq, row, old, &set, e));
  int updated = resource_field(re->res, S("updated_at"));
  if (updated >= 0) set |= UINT64_C(1) << updated;
  *ret_set = set;
  return rc(RC_OK);
}

slice_t rest_changed(request_t *rq, const resource_t *res, uint64_t set)
{
  buf_t b = buf_on(rq->a, 4096);
  for (uint32_t i = 0; i < res->nfields; i++)
    if (set >> i & 1 && strcmp(res->fields[i].name, "updated_at") != 0) {
      if (b.n) buf_byte(&b, ',');
      buf_puts(&b, res->fields[i].name);
    }
  return buf_slice(&b);
}

/* --- rows out --- */

rc_t rest_reply_row(request_t *rq, reply_t *rp, const rest_t *re, void *row, int status)
{
  err_t e = {0};
  if (re->shape) TRY(re->shape(rq, row, 1, &e));
  jw_t j = reply_json(rp, status);
  json_row_write(&j, re->res, row, NULL);
  return rc(RC_OK);
}

/* fields=a,b as bits; absent: all. */
static rc_t only_fields(request_t *rq, const resource_t *res, uint64_t *bits, bool *ret_given)
{
  slice_t text = {NULL, 0}, one;
  TRY(request_query(rq, "fields", &text));
  *ret_given = text.n > 0;
  while (text.n && slice_split(&text, ',', &one)) {
    int i = resource_field(res, slice_trim(one));
    if (i >= 0 && !(res->fields[i].flags & FF_HIDDEN)) *bits |= UINT64_C(1) << i;
  }
  return rc(RC_OK);
}

void rest_rows_write(jw_t *j, const resource_t *res, const void *rows, size_t n, const uint64_t *only)
{
  jw_key(j, "data");
  jw_array(j);
  for (size_t i = 0; i < n; i++) json_row_write(j, res, (const uint8_t *)rows + i * res->row_size, only);
  jw_array_end(j);
}

rc_t rest_reply_rows(request_t *rq, reply_t *rp, const resource_t *res, const void *rows, size_t n, int64_t total,
                     int64_t page, int64_t per_page)
{
  jw_t j = reply_json(rp, 200);
  jw_object(&j);
  rest_rows_write(&j, res, rows, n, NULL);
  jw_put_int(&j, "total", total);
  jw_put_int(&j, "page", page);
  jw_put_int(&j, "per_page", per_page);
  jw_object_end(&j);
  return rc(RC_OK);
}

/* --- list --- */

static rc_t query_int(request_t *rq, const char *name, int64_t lo, int64_t hi, int64_t otherwise, int64_t *ret)
{
  slice_t text = {NULL, 0};
  int64_t v;
  TRY(request_query(rq, name, &text));
  *ret = text.n && rc_ok(slice_i64(text, &v)) && v >= lo && v <= hi ? v : otherwise;
  return rc(RC_OK);
}

rc_t rest_paging(request_t *rq, int64_t *ret_page, int64_t *ret_per_page)
{
  TRY(query_int(rq, "page", 1, INT32_MAX, 1, ret_page));
  TRY(query_int(rq, "per_page", 1, 500, 50, ret_per_page));
  return rc(RC_OK);
}

static val_t filter_value(const field_t *f, slice_t text, bool *ret_ok)
{
  int64_t n = 0;
  *ret_ok = true;
  switch (f->type) {
  case FT_BOOL: *ret_ok = slice_is(text, "true") || slice_is(text, "false"); return val_bool(slice_is(text, "true"));
  case FT_INT: *ret_ok = rc_ok(slice_i64(text, &n)); return val_int(n);
  case FT_TEXT:
  case FT_ENUM: return val_text(text);
  default: *ret_ok = false; return val_null();
  }
}

/* Equality of the fields that filter; a value that cannot be one is ignored (spec/api.md 1.14). */
static rc_t equality_filters(request_t *rq, const resource_t *res, list_filter_t *f, size_t *n)
{
  for (uint32_t i = 0; i < res->nfields; i++) {
    const field_t *field = &res->fields[i];
    slice_t text = {NULL, 0};
    bool ok;
    if (!(field->flags & FF_FILTER)) continue;
    TRY(request_query(rq, field->name, &text));
    if (text.n == 0) continue;
    val_t v = filter_value(field, text, &ok);
    const list_op_t op = field->type == FT_ENUM ? LO_IEQ : LO_EQ;
    if (ok) rest_filter_add(f, n, (list_filter_t){.field = (int)i, .op = op, .value = v});
  }
  return rc(RC_OK);
}

/* "commonName" and "common_name" are the same key; notAfter is expires_at. */
static int sort_field(const resource_t *res, slice_t key)
{
  char name[64];
  size_t n = 0;
  if (slice_is(key, "notAfter")) key = S("expires_at");
  for (size_t i = 0; i < key.n && n < sizeof name - 2; i++) {
    if (isupper(key.p[i])) name[n++] = '_';
    name[n++] = (char)tolower(key.p[i]);
  }
  int i = resource_field(res, slice_of(name, n));
  return i >= 0 && res->fields[i].flags & FF_SORT ? i : -1;
}

static rc_t sorting(request_t *rq, list_query_t *q)
{
  slice_t sort = {NULL, 0}, desc = {NULL, 0};
  q->sort = -1;
  q->desc = q->res->order_desc;
  TRY(request_query(rq, "sort", &sort));
  TRY(request_query(rq, "sort_desc", &desc));
  if (sort.n == 0) return rc(RC_OK);
  bool minus = sort.p[0] == '-';
  int i = sort_field(q->res, minus ? slice_sub(sort, 1, sort.n) : sort);
  if (i < 0) return rc(RC_OK);
  q->sort = i;
  q->desc = minus || slice_is(desc, "true");
  return rc(RC_OK);
}

/* Cursor: base64url of "<created_at>:<id>"; the time ends at its last colon before the id, behind the Z. */
static bool cursor_read(request_t *rq, slice_t token, list_query_t *q)
{
  uint8_t raw[256];
  size_t n;
  if (!rc_ok(base64_decode(BASE64_URL, token, raw, sizeof raw, &n))) return false;
  slice_t text = arena_dup(rq->a, slice_of(raw, n));
  size_t z = slice_find(text, 'Z');
  if (z + 2 >= text.n || text.p[z + 1] != ':') return false;
  q->after_id = slice_sub(text, z + 2, text.n);
  q->by_cursor = rc_ok(rfc3339_parse(slice_sub(text, 0, z + 1), &q->after_time));
  return q->by_cursor;
}

static void cursor_write(jw_t *j, request_t *rq, const certificate_t *last)
{
  char when[RFC3339_MAX];
  size_t n = rfc3339_format(last->created_at, when);
  slice_t text = arena_printf(rq->a, "%.*s:%.*s", (int)n, when, SLICE_ARG(last->id));
  buf_t b = buf_on(rq->a, 1024);
  base64_encode(&b, BASE64_URL, text);
  if (rc_ok(buf_rc(&b))) jw_put_text(j, "next_cursor", buf_slice(&b));
}

static rc_t list_write(request_t *rq, reply_t *rp, const list_query_t *q, void *rows, size_t n, int64_t total)
{
  uint64_t only = 0;
  bool given;
  bool cursors = q->res == &res_certificate && q->sort < 0;
  TRY(only_fields(rq, q->res, &only, &given));
  jw_t j = reply_json(rp, 200);
  jw_object(&j);
  rest_rows_write(&j, q->res, rows, n, given ? &only : NULL);
  jw_put_int(&j, "total", total);
  if (cursors && n > 0 && (q->by_cursor ? (int64_t)n == q->per_page : q->page * q->per_page < total))
    cursor_write(&j, rq, (const certificate_t *)rows + n - 1);
  if (q->by_cursor) {
    jw_put_int(&j, "page_size", q->per_page);
  } else {
    jw_put_int(&j, "page", q->page);
    jw_put_int(&j, "per_page", q->per_page);
  }
  jw_object_end(&j);
  return rc(RC_OK);
}

static rc_t list_build(request_t *rq, const rest_t *re, list_filter_t *f, list_query_t *q, err_t *e)
{
  slice_t cursor = {NULL, 0};
  int64_t size;
  *q = (list_query_t){.res = re->res, .filters = f};
  TRY(rest_paging(rq, &q->page, &q->per_page));
  TRY(query_int(rq, "page_size", 1, 500, q->per_page, &size));
  TRY(request_query(rq, "cursor", &cursor));
  TRY(sorting(rq, q));
  TRY(equality_filters(rq, re->res, f, &q->nfilters));
  if (re->filters) TRY(re->filters(rq, f, &q->nfilters, e));
  if (re->res == &res_certificate) q->per_page = size;
  if (cursor.n && q->sort < 0 && re->res == &res_certificate && !cursor_read(rq, cursor, q))
    return err_set(e, RC_INVALID, "cursor", "cursor", "is not one that this server gave out");
  return rc(RC_OK);
}

rc_t rest_list(request_t *rq, reply_t *rp)
{
  const rest_t *re = rest_of(rq->route->out);
  list_filter_t f[REST_FILTERS_MAX];
  list_query_t q;
  err_t e = {0};
  void *rows;
  size_t n;
  int64_t total;
  db_read_t *db;
  rc_t got = list_build(rq, re, f, &q, &e);
  if (rc_ok(got)) got = request_db(rq, &db, &e);
  if (rc_ok(got)) got = list_page(db, rq->a, &q, &rows, &n, &total, &e);
  if (rc_ok(got) && re->shape) got = re->shape(rq, rows, n, &e);
  if (!rc_ok(got)) return reply_error(rq, rp, got, &e);
  return list_write(rq, rp, &q, rows, n, total);
}

size_t rest_stamps(const resource_t *res, const char *ret[DB_STAMP_MAX])
{
  const rest_t *re = rest_of(res);
  size_t n = 0;
  ret[n++] = res->table;
  for (const char *const *s = re->stamps; s && *s; s++) {
    CHECK(n < DB_STAMP_MAX);
    ret[n++] = *s;
  }
  return n;
}

/* --- one row --- */

static rc_t load(request_t *rq, const rest_t *re, void **ret_row, err_t *e)
{
  db_read_t *db;
  void *row = arena_alloc(rq->a, re->res->row_size);
  if (!row) return rc(RC_NOMEM);
  TRY(request_db(rq, &db, e));
  rc_t got = list_get(db, rq->a, re->res, rq->param[0], row, e);
  if (rc_is(got, RC_NOTFOUND)) {
    slice_t text = arena_printf(rq->a, "%s not found", re->label);
    return err_set(e, RC_NOTFOUND, "not_found", NULL, text.p ? (const char *)text.p : "not found");
  }
  TRY(got);
  *ret_row = row;
  return rc(RC_OK);
}

rc_t rest_get(request_t *rq, reply_t *rp)
{
  const rest_t *re = rest_of(rq->route->out);
  err_t e = {0};
  void *row;
  rc_t got = load(rq, re, &row, &e);
  return rc_ok(got) ? rest_reply_row(rq, rp, re, row, 200) : reply_error(rq, rp, got, &e);
}

/* Which reference of the row does not exist? Asked only after the store refused it. */
static rc_t unknown_reference(request_t *rq, const resource_t *res, const void *row, err_t *e)
{
  db_read_t *db;
  TRY(request_db(rq, &db, e));
  for (uint32_t i = 0; i < res->nfields; i++) {
    const field_t *f = &res->fields[i];
    const slice_t *value = f->ref ? field_at(f, row) : NULL;
    if (!value || value->n == 0) continue;
    for (const resource_t *const *other = res_all; *other; other++) {
      if (strcmp((*other)->table, f->ref) != 0) continue;
      void *found = arena_alloc(rq->a, (*other)->row_size);
      if (!found) return rc(RC_NOMEM);
      if (!rc_is(list_get(db, rq->a, *other, *value, found, NULL), RC_NOTFOUND)) continue;
      return err_quote(e, RC_INVALID, "unknown_reference", f->name, "does not exist", *value);
    }
  }
  return err_set(e, RC_INVALID, "unknown_reference", NULL, "something it refers to does not exist");
}

static bool refused_for(rc_t why, const err_t *e, const char *reason)
{
  return rc_is(why, RC_CONFLICT) && e->reason && strcmp(e->reason, reason) == 0;
}

rc_t rest_reply_conflict(request_t *rq, reply_t *rp, const rest_t *re, const void *row, rc_t why, err_t *e)
{
  if (refused_for(why, e, "foreign_key")) return reply_error(rq, rp, unknown_reference(rq, re->res, row, e), e);
  if (!refused_for(why, e, "unique")) return reply_error(rq, rp, why, e);
  bool id = e->field && slice_ends(slice_str(e->field), S(".id"));
  slice_t text = arena_printf(rq->a, "%s with this %s already exists", re->label, id ? "id" : "name");
  return reply_message(rq, rp, 409, text.p ? (const char *)text.p : "already exists");
}

static rc_t submit(request_t *rq, const rest_t *re, stmt_t s, const char *action, slice_t id, slice_t changes, err_t *e)
{
  cmd_t *c = cmd_new(rq->a);
  if (!c) return rc(RC_NOMEM);
  cmd_add(c, s, 1);
  AUDIT(c, rq->a, rq->now, rq->actor, .action = action, .resource_type = re->res->name, .resource_id = id,
        .category = re->res->category,
        .details = changes.n ? AUDIT_FACTS(rq->a, fact_s("changes", changes)) : (slice_t){NULL, 0});
  request_release(rq);
  return db_submit(rq->core->db, c, e);
}

rc_t rest_create(request_t *rq, reply_t *rp)
{
  const rest_t *re = rest_of(rq->route->in);
  void *row = arena_alloc(rq->a, re->res->row_size);
  uint64_t set;
  err_t e = {0};
  if (!row) return rc(RC_NOMEM);
  rc_t got = rest_read_new(rq, re, row, &set, &e);
  if (!rc_ok(got)) return reply_error(rq, rp, got, &e);
  const slice_t *id = member(re->res, "id", row);
  got = submit(rq, re, list_insert(rq->a, re->res, row), re->res->audit_create, *id, (slice_t){NULL, 0}, &e);
  return rc_ok(got) ? rest_reply_row(rq, rp, re, row, 201) : rest_reply_conflict(rq, rp, re, row, got, &e);
}

rc_t rest_update(request_t *rq, reply_t *rp)
{
  const rest_t *re = rest_of(rq->route->in);
  void *row;
  uint64_t set;
  err_t e = {0};
  rc_t got = load(rq, re, &row, &e);
  if (rc_ok(got)) got = rest_read_change(rq, re, row, &set, &e);
  if (!rc_ok(got)) return reply_error(rq, rp, got, &e);
  got = submit(rq, re, list_update(rq->a, re->res, row, set), re->res->audit_update, rq->param[0],
               rest_changed(rq, re->res, set), &e);
  return rc_ok(got) ? rest_reply_row(rq, rp, re, row, 200) : rest_reply_conflict(rq, rp, re, row, got, &e);
}

rc_t rest_delete(request_t *rq, reply_t *rp)
{
  const rest_t *re = rest_of(rq->route->out);
  void *row;
  err_t e = {0};
  rc_t got = load(rq, re, &row, &e);
  if (!rc_ok(got)) return reply_error(rq, rp, got, &e);
  stmt_t s = re->remove ? re->remove(rq->a, rq->param[0]) : list_delete(rq->a, re->res, rq->param[0]);
  got = submit(rq, re, s, re->res->audit_delete, rq->param[0], (slice_t){NULL, 0}, &e);
  if (rc_is(got, RC_CONFLICT)) return reply_message(rq, rp, 409, re->in_use);
  if (!rc_ok(got)) return reply_error(rq, rp, got, &e);
  rp->status = 204;
  return rc(RC_OK);
}
