#include "db/shape.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/mem.h"
#include "db/migrate.h"

#include <pthread.h>

enum { RESOURCES_MAX = 64 };

/* --- composing --- */

typedef struct out {
  buf_t b;
  db_engine_t engine;
  const char *table;
  uint32_t nvals;
} out_t;

static const char *const pg_casts[] = {
  [FT_TEXT] = "text", [FT_ENUM] = "text", [FT_INT] = "bigint", [FT_BOOL] = "boolean",
  [FT_TIME] = "timestamptz", [FT_TEXTS] = "jsonb", [FT_JSON] = "jsonb",
};

static void put(out_t *o, const char *s) { buf_puts(&o->b, s); }

static void put_name(out_t *o, const char *name)
{
  buf_byte(&o->b, '"');
  buf_puts(&o->b, name);
  buf_byte(&o->b, '"');
}

static void put_param(out_t *o, const char *pg_cast)
{
  buf_byte(&o->b, o->engine == DB_SQLITE ? '?' : '$');
  buf_i64(&o->b, ++o->nvals);
  if (o->engine == DB_SQLITE) return;
  buf_puts(&o->b, "::");
  buf_puts(&o->b, pg_cast);
}

static void put_field_param(out_t *o, const field_t *f)
{
  const db_column_t *c = f->type == FT_TEXTS ? column_find(o->table, field_column(f)) : NULL;
  put_param(o, c && c->pg_array ? "text[]" : pg_casts[f->type]);
}

bool shape_keyset(const resource_t *res, int field)
{
  const db_column_t *c = column_find(res->table, field_column(&res->fields[field]));
  field_type_t t = res->fields[field].type;
  return c && c->not_null && t != FT_TEXTS && t != FT_JSON;
}

int shape_column(const resource_t *res, const char *column)
{
  for (uint32_t i = 0; i < res->nfields; i++)
    if (strcmp(field_column(&res->fields[i]), column) == 0) return (int)i;
  check_failed(__FILE__, __LINE__, column);
}

static void put_columns(out_t *o, const resource_t *res, const char *lead)
{
  for (uint32_t i = 0; i < res->nfields; i++) {
    if (!shape_stored(&res->fields[i])) continue;
    put(o, lead);
    put_name(o, field_column(&res->fields[i]));
    lead = ", ";
  }
}

static void put_from(out_t *o, const resource_t *res)
{
  put(o, " from ");
  put_name(o, res->table);
}

static const char *put_filter(out_t *o, const shape_t *s, const shape_filter_t *f, const char *lead)
{
  put(o, lead);
  if (f->op == LO_IN_SUBQUERY) {
    for (const char *p = f->subquery; *p; p++) {
      if (*p == '?') put_param(o, "text");
      else buf_byte(&o->b, (uint8_t)*p);
    }
    return " and ";
  }
  const field_t *fd = &s->res->fields[f->field];
  if (f->op == LO_IEQ) {
    put(o, "lower(");
    put_name(o, field_column(fd));
    put(o, ") = lower(");
    put_field_param(o, fd);
    put(o, ")");
    return " and ";
  }
  put_name(o, field_column(fd));
  put(o, f->op == LO_LT ? " < " : f->op == LO_GT ? " > " : " = ");
  put_field_param(o, fd);
  return " and ";
}

static void put_order_by(out_t *o, const shape_t *s)
{
  const field_t *f = &s->res->fields[s->sort];
  const char *dir = s->desc ? " desc" : " asc";
  put(o, " order by ");
  put_name(o, field_column(f));
  put(o, dir);
  if (strcmp(field_column(f), "id") == 0) return;
  put(o, ", \"id\"");
  put(o, dir);
}

/* Rows behind one: a row comparison follows the order of the index. */
static void put_keyset(out_t *o, const shape_t *s, const char *lead)
{
  const field_t *f = &s->res->fields[s->sort];
  put(o, lead);
  put(o, "(");
  put_name(o, field_column(f));
  put(o, s->desc ? ", \"id\") < (" : ", \"id\") > (");
  put_field_param(o, f);
  put(o, ", ");
  put_param(o, "text");
  put(o, ")");
}

static void put_where(out_t *o, const shape_t *s)
{
  const char *lead = " where ";
  if (s->res->where) {
    put(o, lead);
    put(o, "(");
    put(o, s->res->where);
    put(o, ")");
    lead = " and ";
  }
  for (uint32_t i = 0; i < s->nfilters; i++) lead = put_filter(o, s, &s->filters[i], lead);
  if (s->keyset) put_keyset(o, s, lead);
}

static void put_insert(out_t *o, const resource_t *res)
{
  const char *lead = "";
  put(o, "insert into ");
  put_name(o, res->table);
  put_columns(o, res, " (");
  put(o, ") values (");
  for (uint32_t i = 0; i < res->nfields; i++) {
    if (!shape_stored(&res->fields[i])) continue;
    put(o, lead);
    put_field_param(o, &res->fields[i]);
    lead = ", ";
  }
  put(o, ")");
}

static void put_update(out_t *o, const shape_t *s)
{
  const char *lead = " set ";
  put(o, "update ");
  put_name(o, s->res->table);
  for (uint32_t i = 0; i < s->res->nfields; i++) {
    if (!(s->set >> i & 1)) continue;
    put(o, lead);
    put_name(o, field_column(&s->res->fields[i]));
    put(o, " = ");
    put_field_param(o, &s->res->fields[i]);
    lead = ", ";
  }
  if (!s->set) put(o, " set \"id\" = \"id\"");
  put(o, " where \"id\" = ");
  put_param(o, "text");
}

static void put_select(out_t *o, const shape_t *s)
{
  if (s->kind == SH_COUNT) {
    put(o, "select count(*)");
  } else if (s->kind == SH_ANCHOR) {
    put(o, "select ");
    put_name(o, field_column(&s->res->fields[s->sort]));
    put(o, ", \"id\"");
  } else {
    put_columns(o, s->res, "select ");
  }
  put_from(o, s->res);
  put_where(o, s);
  if (s->kind == SH_COUNT) return;
  put_order_by(o, s);
  put(o, " limit ");
  put_param(o, "bigint");
  if (s->keyset) return;
  put(o, " offset ");
  put_param(o, "bigint");
}

static void compose(out_t *o, const shape_t *s)
{
  switch ((shape_kind_t)s->kind) {
  case SH_GET:
    put_columns(o, s->res, "select ");
    put_from(o, s->res);
    put(o, " where \"id\" = ");
    put_param(o, "text");
    break;
  case SH_INSERT: put_insert(o, s->res); break;
  case SH_UPDATE: put_update(o, s); break;
  case SH_DELETE:
    put(o, "delete");
    put_from(o, s->res);
    put(o, " where \"id\" = ");
    put_param(o, "text");
    break;
  case SH_COUNT:
  case SH_PAGE:
  case SH_ANCHOR: put_select(o, s); break;
  }
  buf_byte(&o->b, 0);
}

static const char *const kind_names[] = {
  [SH_GET] = "get", [SH_INSERT] = "insert", [SH_UPDATE] = "update", [SH_DELETE] = "delete",
  [SH_COUNT] = "count", [SH_PAGE] = "page", [SH_ANCHOR] = "anchor",
};

static bool fill(const shape_t *s, sql_text_t *t, out_t out[DB_ENGINES])
{
  bool writes = s->kind == SH_INSERT || s->kind == SH_UPDATE || s->kind == SH_DELETE;
  for (db_engine_t i = DB_SQLITE; i < DB_ENGINES; i++) {
    out[i].engine = i;
    out[i].table = s->res->table;
    compose(&out[i], s);
    if (!rc_ok(buf_rc(&out[i].b))) return false;
    t->text[i] = (const char *)out[i].b.p;
  }
  t->name = kind_names[s->kind];
  t->table = writes ? s->res->table : NULL;
  t->removes = s->kind == SH_DELETE;
  t->nvals = out[DB_SQLITE].nvals;
  return true;
}

/* --- keeping --- */

typedef struct kept {
  shape_t shape;
  sql_text_t text;
} kept_t;

typedef struct shelf {
  const resource_t *res;
  kept_t *kept[SHAPES_MAX];
  size_t n;
} shelf_t;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static shelf_t *shelves[RESOURCES_MAX];
static size_t nshelves;

static shelf_t *shelf_of(const resource_t *res)
{
  for (size_t i = 0; i < nshelves; i++)
    if (shelves[i]->res == res) return shelves[i];
  if (nshelves == RESOURCES_MAX) return NULL;
  shelf_t *s = mem_alloc(sizeof *s);
  if (!s) return NULL;
  s->res = res;
  shelves[nshelves++] = s;
  return s;
}

static kept_t *keep(shelf_t *sh, const shape_t *s)
{
  out_t out[DB_ENGINES] = {{.b = buf_heap(LIM_SQL_TEXT)}, {.b = buf_heap(LIM_SQL_TEXT)}};
  kept_t *k = sh->n < SHAPES_MAX ? mem_alloc(sizeof *k) : NULL;
  if (!k) return NULL;
  k->shape = *s;
  if (!fill(s, &k->text, out)) {
    for (int i = 0; i < DB_ENGINES; i++) buf_fini(&out[i].b);
    mem_free(k);
    return NULL;
  }
  sh->kept[sh->n++] = k;
  return k;
}

static const sql_text_t *find_or_keep(const shape_t *s)
{
  shelf_t *sh = shelf_of(s->res);
  if (!sh) return NULL;
  for (size_t i = 0; i < sh->n; i++)
    if (memcmp(&sh->kept[i]->shape, s, sizeof *s) == 0) return &sh->kept[i]->text;
  kept_t *k = keep(sh, s);
  return k ? &k->text : NULL;
}

const sql_text_t *shape_text(arena_t *a, const shape_t *s)
{
  (void)pthread_mutex_lock(&lock);
  const sql_text_t *found = find_or_keep(s);
  (void)pthread_mutex_unlock(&lock);
  if (found) return found;
  out_t out[DB_ENGINES] = {{.b = buf_on(a, LIM_SQL_TEXT)}, {.b = buf_on(a, LIM_SQL_TEXT)}};
  sql_text_t *t = ARENA_NEW(a, sql_text_t);
  if (!t || !fill(s, t, out)) return NULL;
  t->passing = true;
  return t;
}
