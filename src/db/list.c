/*
 * Rows in and out by field table, and lists: bind, run, read.
 */
#include "db/list.h"

#include "base/buf.h"
#include "base/check.h"
#include "db/db_int.h"
#include "db/memo.h"
#include "db/shape.h"

/* --- rows out --- */

/* Bytes of the row's text columns, so that they take one allocation. */
static size_t row_bytes(db_read_t *r, const resource_t *res)
{
  size_t n = 0;
  int col = 0;
  for (uint32_t i = 0; i < res->nfields; i++) {
    const field_t *f = &res->fields[i];
    if (!shape_stored(f)) continue;
    if (f->type == FT_TEXT || f->type == FT_ENUM || f->type == FT_JSON) n += db_col_text(r, col).n;
    col++;
  }
  return n;
}

/* Stored in any case, shown in the table's own spelling. */
static slice_t enum_shown(const field_t *f, slice_t s)
{
  for (const char *const *v = f->values; v && *v; v++)
    if (slice_ieq(s, slice_str(*v))) return slice_str(*v);
  return s;
}

static slice_t put_text(uint8_t **at, slice_t s)
{
  if (!s.p) return (slice_t){NULL, 0};
  uint8_t *p = *at;
  if (s.n) memcpy(p, s.p, s.n);
  *at += s.n;
  return slice_of(p, s.n);
}

static rc_t read_field(db_read_t *r, arena_t *a, const field_t *f, int col, uint8_t **at, void *row)
{
  void *m = field_at(f, row);
  switch (f->type) {
  case FT_TEXT:
  case FT_JSON: *(slice_t *)m = put_text(at, db_col_text(r, col)); break;
  case FT_ENUM: *(slice_t *)m = enum_shown(f, put_text(at, db_col_text(r, col))); break;
  case FT_INT: *(int64_t *)m = db_col_int(r, col); break;
  case FT_BOOL: *(bool *)m = db_col_bool(r, col); break;
  case FT_TIME: *(us_t *)m = db_col_time(r, col); break;
  case FT_TEXTS: return db_col_texts_dup(r, col, a, m);
  }
  return rc(RC_OK);
}

/* Reads the current row of a query whose columns are those of the resource. */
static rc_t row_read(db_read_t *r, arena_t *a, const resource_t *res, void *ret_row, err_t *e)
{
  int col = 0;
  uint8_t *at = arena_alloc(a, row_bytes(r, res) + 1);
  if (!at) return err_set(e, RC_NOMEM, "memory", NULL, "the rows do not fit into the memory of the request");
  for (uint32_t i = 0; i < res->nfields; i++) {
    const field_t *f = &res->fields[i];
    if (!shape_stored(f)) continue;
    rc_t res_f = read_field(r, a, f, col++, &at, ret_row);
    if (!rc_ok(res_f)) return err_set(e, res_f.code, "column", f->name, "cannot be read from the store");
  }
  return rc(RC_OK);
}

/* --- rows in --- */

static val_t json_val(const field_t *f, slice_t s)
{
  if (s.n) return val_json(s);
  return f->flags & FF_NULLABLE ? val_null() : val_json(f->def ? slice_str(f->def) : S("{}"));
}

static val_t field_val(const field_t *f, const void *row)
{
  const void *m = field_at(f, row);
  bool nullable = f->flags & FF_NULLABLE;
  slice_t s = {NULL, 0};
  if (f->type == FT_TEXT || f->type == FT_ENUM || f->type == FT_JSON) s = *(const slice_t *)m;
  switch (f->type) {
  case FT_TEXT:
  case FT_ENUM: return nullable && s.n == 0 ? val_null() : val_text(s);
  case FT_JSON: return json_val(f, s);
  case FT_INT: return val_int(*(const int64_t *)m);
  case FT_BOOL: return val_bool(*(const bool *)m);
  case FT_TIME: return nullable ? val_time_or_null(*(const us_t *)m) : val_time(*(const us_t *)m);
  case FT_TEXTS: {
    texts_t t = *(const texts_t *)m;
    return nullable && t.n == 0 ? val_null() : val_texts(t);
  }
  }
  return val_null();
}

static slice_t row_id(const resource_t *res, const void *row)
{
  return *(const slice_t *)field_at(&res->fields[shape_column(res, "id")], row);
}

/* A statement without text tells cmd_add and db_query that memory was short. */
static stmt_t make(arena_t *a, const shape_t *s, const val_t *vals, size_t n)
{
  const sql_text_t *t = vals ? shape_text(a, s) : NULL;
  if (t) CHECK(t->nvals == n);
  return (stmt_t){t, vals, n};
}

static stmt_t by_id(arena_t *a, const resource_t *res, shape_kind_t kind, slice_t id)
{
  shape_t s;
  memset(&s, 0, sizeof s);
  s.res = res;
  s.kind = kind;
  val_t *v = ARENA_NEW(a, val_t);
  if (v) *v = val_text(id);
  return make(a, &s, v, 1);
}

stmt_t list_insert(arena_t *a, const resource_t *res, const void *row)
{
  shape_t s;
  memset(&s, 0, sizeof s);
  s.res = res;
  s.kind = SH_INSERT;
  size_t n = 0;
  val_t *v = ARENA_ARRAY(a, val_t, res->nfields);
  for (uint32_t i = 0; v && i < res->nfields; i++)
    if (shape_stored(&res->fields[i])) v[n++] = field_val(&res->fields[i], row);
  return make(a, &s, v, n);
}

static uint64_t settable(const resource_t *res, uint64_t set)
{
  for (uint32_t i = 0; i < res->nfields; i++)
    if (!shape_stored(&res->fields[i]) || strcmp(field_column(&res->fields[i]), "id") == 0) set &= ~(UINT64_C(1) << i);
  return res->nfields < 64 ? set & ((UINT64_C(1) << res->nfields) - 1) : set;
}

stmt_t list_update(arena_t *a, const resource_t *res, const void *row, uint64_t set)
{
  shape_t s;
  memset(&s, 0, sizeof s);
  s.res = res;
  s.kind = SH_UPDATE;
  s.set = settable(res, set);
  size_t n = 0;
  val_t *v = ARENA_ARRAY(a, val_t, res->nfields + 1);
  for (uint32_t i = 0; v && i < res->nfields; i++)
    if (s.set >> i & 1) v[n++] = field_val(&res->fields[i], row);
  if (v) v[n++] = val_text(row_id(res, row));
  return make(a, &s, v, n);
}

stmt_t list_delete(arena_t *a, const resource_t *res, slice_t id) { return by_id(a, res, SH_DELETE, id); }

rc_t list_get(db_read_t *r, arena_t *a, const resource_t *res, slice_t id, void *ret_row, err_t *e)
{
  TRY(db_one(r, by_id(a, res, SH_GET, id), e));
  return row_read(r, a, res, ret_row, e);
}

/* --- lists --- */

/* One list request while it is worked on. */
typedef struct work {
  db_read_t *r;
  arena_t *a;
  const list_query_t *q;
  shape_t shape;
  val_t vals[LIST_FILTERS_MAX + 4];
  size_t nvals;      /* those of the filters */
  bool everything;   /* a filter looks into other tables */
  bool remembers;    /* stamp and key are good */
  uint64_t stamp;
  uint8_t key[MEMO_KEY_MAX];
  size_t nkey;
} work_t;

static rc_t prepare(work_t *w, err_t *e)
{
  const list_query_t *q = w->q;
  shape_t *s = &w->shape;
  memset(s, 0, sizeof *s);
  if (q->nfilters > LIST_FILTERS_MAX) return err_limit(e, RC_FULL, "filters", NULL, "at most {limit} filters", LIST_FILTERS_MAX);
  if (q->per_page < 1 || q->per_page > LIST_ROWS_MAX || (!q->by_cursor && q->page < 1))
    return err_limit(e, RC_INVALID, "page", "per_page", "must be 1 to {limit}", LIST_ROWS_MAX);
  s->res = q->res;
  s->nfilters = (uint32_t)q->nfilters;
  for (size_t i = 0; i < q->nfilters; i++) {
    const list_filter_t *f = &q->filters[i];
    s->filters[i].op = (uint16_t)f->op;
    if (f->op == LO_IN_SUBQUERY) s->filters[i].subquery = f->subquery;
    else s->filters[i].field = (int16_t)f->field;
    w->everything |= f->op == LO_IN_SUBQUERY;
    w->vals[w->nvals++] = f->value;
  }
  bool by_default = q->sort < 0 || q->by_cursor;
  s->sort = (int16_t)(by_default ? shape_column(q->res, q->res->order) : q->sort);
  s->desc = q->sort < 0 ? q->res->order_desc : q->desc;
  return rc(RC_OK);
}

static void key_put(work_t *w, const void *p, size_t n)
{
  if (n > MEMO_KEY_MAX - w->nkey) w->remembers = false;
  if (!w->remembers) return;
  if (n) memcpy(w->key + w->nkey, p, n);
  w->nkey += n;
}

/* Everything that the set of rows depends on, values with their lengths. */
static void key_build(work_t *w)
{
  w->nkey = 0;
  key_put(w, &w->shape.res, sizeof w->shape.res);
  for (uint32_t i = 0; i < w->shape.nfilters; i++) {
    const val_t *v = &w->vals[i];
    key_put(w, &w->shape.filters[i], sizeof w->shape.filters[i]);
    key_put(w, &v->type, sizeof v->type);
    key_put(w, &v->num, sizeof v->num);
    key_put(w, &v->text.n, sizeof v->text.n);
    key_put(w, v->text.p, v->text.n);
    if (v->type == VT_TEXTS) w->remembers = false;
  }
}

static bool has_stamp(const db_t *db, const char *table)
{
  for (size_t i = 0; i < db->ntables; i++)
    if (strcmp(db->tables[i], table) == 0) return true;
  return false;
}

static rc_t begin_memory(work_t *w, err_t *e)
{
  const char *table = w->q->res->table;
  w->remembers = has_stamp(w->r->db, table);
  if (!w->remembers) return rc(RC_OK);
  key_build(w);
  if (!w->remembers) return rc(RC_OK);
  return w->everything ? stamp_everything(w->r, &w->stamp, e) : db_stamp(w->r, &table, 1, &w->stamp, e);
}

static slice_t key_slice(const work_t *w) { return slice_of(w->key, w->nkey); }

static stmt_t text_of(work_t *w, shape_kind_t kind, bool keyset, size_t nvals)
{
  shape_t s = w->shape;
  s.kind = kind;
  s.keyset = keyset;
  if (kind == SH_COUNT) s.sort = 0, s.desc = 0;
  const sql_text_t *t = shape_text(w->a, &s);
  if (t) CHECK(t->nvals == nvals);
  return (stmt_t){t, w->vals, nvals};
}

static rc_t total(work_t *w, int64_t *ret, err_t *e)
{
  memo_t *memo = w->r->db->memo;
  memo_value_t v = {.text = S(""), .id = S("")};
  if (w->remembers && memo_get(memo, key_slice(w), w->stamp, w->a, &v)) {
    *ret = v.num;
    return rc(RC_OK);
  }
  TRY(db_one(w->r, text_of(w, SH_COUNT, false, w->nvals), e));
  v.num = db_col_int(w->r, 0);
  if (w->remembers) memo_put(memo, key_slice(w), w->stamp, &v);
  *ret = v.num;
  return rc(RC_OK);
}

/* Behind the part of the key that names the set: order and position of an anchor. */
static void key_anchor(work_t *w, int64_t offset)
{
  key_build(w);
  key_put(w, &w->shape.sort, sizeof w->shape.sort);
  key_put(w, &w->shape.desc, sizeof w->shape.desc);
  key_put(w, &offset, sizeof offset);
}

static val_t anchor_val(const field_t *f, const memo_value_t *m)
{
  if (f->type == FT_TIME) return val_time((us_t){m->num});
  if (f->type == FT_INT) return val_int(m->num);
  if (f->type == FT_BOOL) return val_bool(m->num);
  return val_text(m->text);
}

static void use_anchor(work_t *w, const memo_value_t *m)
{
  w->vals[w->nvals] = anchor_val(&w->q->res->fields[w->shape.sort], m);
  w->vals[w->nvals + 1] = val_text(m->id);
  w->vals[w->nvals + 2] = val_int(w->q->per_page);
}

/*
 * The row before position `offset`: remembered, or found by walking the index of
 * the order alone. RC_NOTFOUND when the list ends before.
 */
static rc_t find_anchor(work_t *w, int64_t offset, err_t *e)
{
  memo_t *memo = w->r->db->memo;
  memo_value_t m;
  key_anchor(w, offset);
  if (w->remembers && memo_get(memo, key_slice(w), w->stamp, w->a, &m)) {
    use_anchor(w, &m);
    return rc(RC_OK);
  }
  w->vals[w->nvals] = val_int(1);
  w->vals[w->nvals + 1] = val_int(offset - 1);
  TRY(db_one(w->r, text_of(w, SH_ANCHOR, false, w->nvals + 2), e));
  m = (memo_value_t){.num = db_col_int(w->r, 0), .text = arena_dup(w->a, db_col_text(w->r, 0)),
                     .id = arena_dup(w->a, db_col_text(w->r, 1))};
  if (!m.text.p || !m.id.p) return err_set(e, RC_NOMEM, "memory", NULL, "the rows do not fit into the memory of the request");
  if (w->remembers) memo_put(memo, key_slice(w), w->stamp, &m);
  use_anchor(w, &m);
  return rc(RC_OK);
}

/* Where the page begins and how it is asked for; RC_NOTFOUND when it lies behind the end. */
static rc_t locate(work_t *w, bool *ret_keyset, int64_t *ret_offset, err_t *e)
{
  const list_query_t *q = w->q;
  const field_t *order = &q->res->fields[w->shape.sort];
  int64_t offset = 0;
  if (q->by_cursor) {
    CHECK(order->type == FT_TIME);
    use_anchor(w, &(memo_value_t){.num = q->after_time.us, .id = q->after_id});
    *ret_keyset = true;
    return rc(RC_OK);
  }
  if (__builtin_mul_overflow(q->page - 1, q->per_page, &offset) || __builtin_add_overflow(offset, q->per_page, ret_offset))
    return rc(RC_NOTFOUND);
  *ret_offset = offset;
  if (offset > LIST_OFFSET_MAX && shape_keyset(q->res, w->shape.sort)) {
    *ret_keyset = true;
    return find_anchor(w, offset, e);
  }
  w->vals[w->nvals] = val_int(q->per_page);
  w->vals[w->nvals + 1] = val_int(offset);
  *ret_keyset = false;
  return rc(RC_OK);
}

typedef struct rows {
  uint8_t *p;
  size_t n, cap;
} rows_t;

static bool rows_grow(work_t *w, rows_t *out)
{
  size_t size = w->q->res->row_size;
  if (out->n < out->cap) return true;
  size_t cap = out->cap ? out->cap * 2 : 16;
  if ((int64_t)cap > w->q->per_page) cap = (size_t)w->q->per_page;
  uint8_t *more = arena_array(w->a, size, cap);
  if (!more) return false;
  if (out->n) memcpy(more, out->p, out->n * size);
  out->p = more;
  out->cap = cap;
  return true;
}

static rc_t read_rows(work_t *w, stmt_t s, rows_t *out, err_t *e)
{
  TRY(db_query(w->r, s, e));
  for (;;) {
    rc_t r = db_next(w->r, e);
    if (rc_is(r, RC_NOTFOUND)) return rc(RC_OK);
    TRY(r);
    if (!rows_grow(w, out)) return err_set(e, RC_NOMEM, "memory", NULL, "the rows do not fit into the memory of the request");
    TRY(row_read(w->r, w->a, w->q->res, out->p + out->n * w->q->res->row_size, e));
    out->n++;
  }
}

/* The next page of a far walk begins behind this page's last row. */
static void remember_end(work_t *w, const rows_t *out, int64_t offset)
{
  const resource_t *res = w->q->res;
  const field_t *f = &res->fields[w->shape.sort];
  int64_t next = offset + w->q->per_page;
  if (!w->remembers || (int64_t)out->n < w->q->per_page || next <= LIST_OFFSET_MAX || !shape_keyset(res, w->shape.sort)) return;
  const void *last = out->p + (out->n - 1) * res->row_size;
  val_t v = field_val(f, last);
  memo_value_t m = {.num = v.num, .text = v.text, .id = row_id(res, last)};
  key_anchor(w, next);
  if (f->type != FT_ENUM) memo_put(w->r->db->memo, key_slice(w), w->stamp, &m);
}

rc_t list_page(db_read_t *r, arena_t *a, const list_query_t *q, void **ret_rows, size_t *ret_n, int64_t *ret_total, err_t *e)
{
  work_t w = {.r = r, .a = a, .q = q};
  rows_t out = {NULL, 0, 0};
  bool keyset = false;
  int64_t all = 0, offset = 0;
  TRY(prepare(&w, e));
  TRY(begin_memory(&w, e));
  TRY(total(&w, &all, e));
  rc_t res = locate(&w, &keyset, &offset, e);
  if (!rc_ok(res) && !rc_is(res, RC_NOTFOUND)) return res;
  if (rc_ok(res)) {
    TRY(read_rows(&w, text_of(&w, SH_PAGE, keyset, w.nvals + (keyset ? 3 : 2)), &out, e));
    if (!q->by_cursor) remember_end(&w, &out, offset);
  }
  *ret_rows = out.p;
  *ret_n = out.n;
  *ret_total = all;
  return rc(RC_OK);
}

/* --- every shape --- */

typedef struct each {
  void (*fn)(void *self, const sql_text_t *t);
  void *self;
  arena_t *a;
} each_t;

static void show(const each_t *x, shape_t *s, shape_kind_t kind, bool keyset)
{
  s->kind = kind;
  s->keyset = keyset;
  const sql_text_t *t = shape_text(x->a, s);
  CHECK(t != NULL);
  x->fn(x->self, t);
}

static void show_orders(const each_t *x, shape_t *s, int field)
{
  bool keyset = shape_keyset(s->res, field);
  s->sort = (int16_t)field;
  for (int desc = 0; desc < 2; desc++) {
    s->desc = (uint8_t)desc;
    show(x, s, SH_PAGE, false);
    if (keyset) show(x, s, SH_PAGE, true);
    if (keyset) show(x, s, SH_ANCHOR, false);
  }
}

static void show_filter(const each_t *x, shape_t *s, int field, list_op_t op)
{
  s->nfilters = 1;
  s->filters[0] = (shape_filter_t){.field = (int16_t)field, .op = (uint16_t)op};
  show(x, s, SH_COUNT, false);
  show(x, s, SH_PAGE, false);
  s->nfilters = 0;
  memset(s->filters, 0, sizeof s->filters);
}

void list_each_shape(const resource_t *res, void (*fn)(void *self, const sql_text_t *t), void *self)
{
  arena_t *a = arena_new(1024 * 1024);
  each_t x = {fn, self, a};
  shape_t s;
  CHECK(a != NULL);
  memset(&s, 0, sizeof s);
  s.res = res;
  show(&x, &s, SH_GET, false);
  show(&x, &s, SH_INSERT, false);
  show(&x, &s, SH_DELETE, false);
  s.set = settable(res, UINT64_MAX);
  show(&x, &s, SH_UPDATE, false);
  s.set = 0;
  show(&x, &s, SH_COUNT, false);
  int order = shape_column(res, res->order);
  show_orders(&x, &s, order);
  for (uint32_t i = 0; i < res->nfields; i++) {
    const field_t *f = &res->fields[i];
    if ((f->flags & FF_SORT) && (int)i != order) show_orders(&x, &s, (int)i);
  }
  s.sort = (int16_t)order;
  s.desc = res->order_desc;
  for (uint32_t i = 0; i < res->nfields; i++) {
    const field_t *f = &res->fields[i];
    if (!(f->flags & FF_FILTER)) continue;
    show_filter(&x, &s, (int)i, f->type == FT_ENUM ? LO_IEQ : LO_EQ);
    if (f->type != FT_TIME) continue;
    show_filter(&x, &s, (int)i, LO_LT);
    show_filter(&x, &s, (int)i, LO_GT);
  }
  arena_free(a);
}
