/* The field tables: consistent in themselves, equal to the schema, and the same through JSON and through the store. */
#include "world.h"

#include "model/permission.h"
#include "wire/json_in.h"
#include "wire/json_out.h"

#include <stdio.h>

static const resource_t *const every[] = {&res_team,        &res_owner,   &res_issuer,        &res_profile,
                                          &res_policy,      &res_agent,   &res_agent_retired, &res_target,
                                          &res_certificate, &res_version, &res_job,           &res_audit};

static int setup(void **state)
{
  static world_t w;
  world_open(&w);
  *state = &w;
  return 0;
}

#define ASK(cond, r, f)                                                          \
  do {                                                                           \
    if (!(cond)) fail_msg("%s.%s: %s", (r)->table, (f) ? (f)->name : "", #cond); \
  } while (0)

static const field_t *named(const resource_t *r, const char *name)
{
  int i = resource_field(r, slice_str(name));
  return i < 0 ? NULL : &r->fields[i];
}

static bool is_table(const char *name)
{
  for (size_t i = 0; i < COUNT_OF(every); i++)
    if (strcmp(every[i]->table, name) == 0) return true;
  return false;
}

/* --- in themselves --- */

static void check_field(const resource_t *r, const field_t *f)
{
  static const size_t sizes[] = {
      [FT_TEXT] = sizeof(slice_t), [FT_ENUM] = sizeof(slice_t),  [FT_INT] = sizeof(int64_t), [FT_BOOL] = sizeof(bool),
      [FT_TIME] = sizeof(us_t),    [FT_TEXTS] = sizeof(texts_t), [FT_JSON] = sizeof(slice_t)};
  ASK(f->offset + sizes[f->type] <= r->row_size, r, f);
  ASK(f->help && f->help[0], r, f);
  ASK(!(f->flags & FF_REQUIRED && f->flags & (FF_READONLY | FF_HIDDEN | FF_VIRTUAL)), r, f);
  ASK(!(f->flags & FF_HIDDEN && f->flags & (FF_FILTER | FF_SORT)), r, f);
  ASK(!(f->flags & FF_VIRTUAL && f->flags & (FF_FILTER | FF_SORT)), r, f);
  ASK(!(f->flags & FF_NULLABLE && f->type == FT_BOOL), r, f);
  /* A keyset over a column that may be NULL would lose rows. */
  ASK(!(f->flags & FF_SORT && f->flags & FF_NULLABLE), r, f);
  ASK((f->type == FT_ENUM) == (f->values != NULL), r, f);
  ASK(!f->ref || f->type == FT_TEXT, r, f);
  ASK(!f->ref || is_table(f->ref), r, f);
  ASK(f->type != FT_INT || f->flags & FF_READONLY || f->max > 0, r, f);
  ASK(!(f->type == FT_TEXT && !(f->flags & FF_READONLY)) || f->max > 0, r, f);
  for (const field_t *o = r->fields; o < f; o++) {
    ASK(strcmp(o->name, f->name) != 0, r, f);
    ASK(o->offset != f->offset, r, f);
  }
}

static void test_tables_are_consistent(void **state)
{
  (void)state;
  for (size_t i = 0; i < COUNT_OF(every); i++) {
    const resource_t *r = every[i];
    ASK(r->nfields > 0 && r->nfields <= 64, r, (const field_t *)NULL);
    ASK(strcmp(r->fields[0].name, "id") == 0, r, (const field_t *)NULL);
    const field_t *order = named(r, r->order);
    ASK(order != NULL, r, order);
    ASK(r->category != NULL, r, order);
    for (uint32_t k = 0; k < r->nfields; k++) check_field(r, &r->fields[k]);
  }
}

static void test_defaults_are_what_a_request_could_have_sent(void **state)
{
  world_t *w = *state;
  for (size_t i = 0; i < COUNT_OF(every); i++) {
    err_t e = {0};
    void *row = arena_alloc(w->a, every[i]->row_size);
    must(json_row_defaults(every[i], w->a, 0, row, &e), &e);
    for (uint32_t k = 0; k < every[i]->nfields; k++) {
      const field_t *f = &every[i]->fields[k];
      if (f->type != FT_INT || !f->def || f->flags & FF_READONLY) continue;
      const int64_t *v = field_at(f, row);
      ASK(*v >= f->min && *v <= f->max, every[i], f);
    }
  }
}

/* --- rows with something in every field --- */

static const char *const links[][2] = {{"team_id", "row-team"},
                                       {"owner_id", "row-owner"},
                                       {"issuer_id", "row-issuer"},
                                       {"renewal_policy_id", "row-renewal_policy"},
                                       {"certificate_profile_id", "row-profile"},
                                       {"certificate_id", "row-certificate"},
                                       {"target_id", "row-target"},
                                       {"agent_id", "row-agent"}};

static slice_t text_for(world_t *w, const resource_t *r, const field_t *f)
{
  if (strcmp(f->name, "id") == 0) return arena_printf(w->a, "row-%s", r->name);
  for (size_t i = 0; i < COUNT_OF(links); i++)
    if (strcmp(f->name, links[i][0]) == 0) return slice_str(links[i][1]);
  return arena_printf(w->a, "%.2s<%s> \"\xc3\xa9\"", r->name,
                      f->name); /* what JSON must escape, and two bytes of one character */
}

static void fill_field(world_t *w, const resource_t *r, const field_t *f, void *row)
{
  void *at = field_at(f, row);
  slice_t *v;
  switch (f->type) {
  case FT_TEXT: *(slice_t *)at = text_for(w, r, f); break;
  case FT_ENUM: *(slice_t *)at = slice_str(f->values[0]); break;
  case FT_INT: *(int64_t *)at = f->max ? (f->min + f->max) / 2 : 7; break;
  case FT_BOOL: *(bool *)at = true; break;
  case FT_TIME: *(us_t *)at = (us_t){w->now.us + (int64_t)f->offset}; break;
  case FT_JSON: *(slice_t *)at = S("{\"k\":[1,\"x\"]}"); break;
  case FT_TEXTS:
    v = ARENA_ARRAY(w->a, slice_t, 2);
    v[0] = S("one"), v[1] = S("two, \"2\"");
    *(texts_t *)at = (texts_t){v, 2};
    break;
  }
}

static void *filled(world_t *w, const resource_t *r)
{
  void *row = arena_alloc(w->a, r->row_size);
  assert_non_null(row);
  for (uint32_t i = 0; i < r->nfields; i++) fill_field(w, r, &r->fields[i], row);
  return row;
}

static bool same(const field_t *f, const void *x, const void *y)
{
  const void *a = field_at(f, x), *b = field_at(f, y);
  const texts_t *s = a, *t = b;
  switch (f->type) {
  case FT_TEXT:
  case FT_ENUM:
  case FT_JSON: return slice_eq(*(const slice_t *)a, *(const slice_t *)b);
  case FT_INT: return *(const int64_t *)a == *(const int64_t *)b;
  case FT_BOOL: return *(const bool *)a == *(const bool *)b;
  case FT_TIME: return us_cmp(*(const us_t *)a, *(const us_t *)b) == 0;
  case FT_TEXTS: break;
  }
  if (s->n != t->n) return false;
  for (size_t i = 0; i < s->n; i++)
    if (!slice_eq(s->v[i], t->v[i])) return false;
  return true;
}

/* --- through JSON --- */

static void test_every_field_goes_through_json(void **state)
{
  world_t *w = *state;
  for (size_t i = 0; i < COUNT_OF(every); i++) {
    const resource_t *r = every[i];
    err_t e = {0};
    json_doc_t doc;
    uint64_t present = 0;
    void *row = filled(w, r), *back = arena_alloc(w->a, r->row_size);
    buf_t b = buf_on(w->a, 65536);
    jw_t j = jw_on(&b);
    json_row_write(&j, r, row, NULL);
    must(buf_rc(&b), NULL);
    must(json_parse_object(w->a, buf_slice(&b), &doc, &e), &e);
    must(json_row_read(r, w->a, doc.root, back, &present, &e), &e);
    for (uint32_t k = 0; k < r->nfields; k++) {
      const field_t *f = &r->fields[k];
      bool on_wire = !(f->flags & (FF_HIDDEN | FF_SECRET)), taken = present >> k & 1;
      ASK(json_has(doc.root, f->name) == on_wire, r, f);
      if (f->flags & FF_VIRTUAL) continue;
      ASK(taken == (on_wire && !(f->flags & FF_READONLY)), r, f);
      if (taken) ASK(same(f, row, back), r, f);
    }
  }
}

static void test_one_field_wrong_names_that_field(void **state)
{
  world_t *w = *state;
  for (size_t i = 0; i < COUNT_OF(every); i++)
    for (uint32_t k = 0; k < every[i]->nfields; k++) {
      const field_t *f = &every[i]->fields[k];
      err_t e = {0};
      json_doc_t doc;
      uint64_t present = 0;
      void *row = arena_alloc(w->a, every[i]->row_size);
      if (f->flags & (FF_READONLY | FF_HIDDEN | FF_VIRTUAL)) continue;
      must(json_parse_object(
               w->a,
               arena_printf(w->a, "{\"%s\":%s}", f->name, f->type == FT_BOOL || f->type == FT_JSON ? "3" : "true"),
               &doc, &e),
           &e);
      ASK(rc_is(json_row_read(every[i], w->a, doc.root, row, &present, &e), RC_INVALID), every[i], f);
      ASK(e.field && strcmp(e.field, f->name) == 0, every[i], f);
    }
}

/* --- through the store --- */

static void compare_stored(world_t *w, const resource_t *r, const void *row)
{
  err_t e = {0};
  db_read_t *d = NULL;
  void *back = arena_alloc(w->a, r->row_size);
  must(db_read_begin(w->core.db, &d, &e), &e);
  rc_t got = list_get(d, w->a, r, *(const slice_t *)field_at(&r->fields[0], row), back, &e);
  db_read_end(d);
  must(got, &e);
  for (uint32_t k = 0; k < r->nfields; k++)
    if (!(r->fields[k].flags & FF_VIRTUAL)) ASK(same(&r->fields[k], row, back), r, &r->fields[k]);
}

static void test_every_field_goes_through_the_store(void **state)
{
  world_t *w = *state;
  for (size_t i = 0; i < COUNT_OF(every); i++) {
    if (every[i] == &res_agent_retired) continue; /* the agents' rows again */
    void *row = filled(w, every[i]);
    world_put(w, every[i], row);
    compare_stored(w, every[i], row);
  }
}

static void list_by(world_t *w, const resource_t *r, const list_query_t *q, int64_t want)
{
  err_t e = {0};
  void *rows;
  size_t n;
  int64_t total = -1;
  db_read_t *d = NULL;
  must(db_read_begin(w->core.db, &d, &e), &e);
  rc_t got = list_page(d, w->a, q, &rows, &n, &total, &e);
  db_read_end(d);
  must(got, &e);
  if (want >= 0) ASK(total == want && n == (size_t)want, r, q->nfilters ? &r->fields[q->filters[0].field] : NULL);
}

/* Each filter finds the row that the previous test stored, and not with another value. */
static void test_every_list_filters_and_sorts(void **state)
{
  world_t *w = *state;
  for (size_t i = 0; i < COUNT_OF(every); i++) {
    const resource_t *r = every[i];
    list_query_t q = {.res = r, .sort = -1, .page = 1, .per_page = 100};
    list_by(w, r, &q, -1);
    for (uint32_t k = 0; k < r->nfields; k++) {
      const field_t *f = &r->fields[k];
      q = (list_query_t){.res = r, .sort = (int)k, .page = 1, .per_page = 100};
      if (f->flags & FF_SORT) list_by(w, r, &q, -1);
      if (!(f->flags & FF_FILTER) || f->type == FT_BOOL || f->type == FT_ENUM) continue;
      slice_t value = text_for(w, r, f);
      list_filter_t filter = {.field = (int)k, .op = LO_EQ, .value = val_text(value)};
      q = (list_query_t){.res = r, .filters = &filter, .nfilters = 1, .sort = -1, .page = 1, .per_page = 100};
      list_by(w, r, &q, r->where && strstr(r->where, "is null") ? 0 : 1); /* the agent stored is a retired one */
      filter.value = val_text(S("nobody has this"));
      list_by(w, r, &q, 0);
    }
  }
}

/* --- permissions --- */

static void test_catalogue_is_what_the_store_was_seeded_with(void **state)
{
  world_t *w = *state;
  for (int i = 0; i < PERMISSION_COUNT; i++) {
    char sql[160];
    assert_int_equal(permission_find(slice_str(permission_names[i])), i);
    (void)snprintf(sql, sizeof sql, "select count(*) from permissions where name = '%s'", permission_names[i]);
    if (world_number(w, sql) != 1) fail_msg("%s is not in the store", permission_names[i]);
  }
  assert_int_equal(world_number(w, "select count(*) from permissions"), PERMISSION_COUNT);
  assert_int_equal(permission_find(S("cert.rea")), -1);
  assert_int_equal(permission_find(S("")), -1);
  assert_int_equal(world_number(w, "select count(*) from role_permissions where role_id = 'r-admin'"),
                   PERMISSION_COUNT);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_tables_are_consistent),
      cmocka_unit_test(test_defaults_are_what_a_request_could_have_sent),
      cmocka_unit_test(test_every_field_goes_through_json),
      cmocka_unit_test(test_one_field_wrong_names_that_field),
      cmocka_unit_test(test_every_field_goes_through_the_store),
      cmocka_unit_test(test_every_list_filters_and_sorts),
      cmocka_unit_test(test_catalogue_is_what_the_store_was_seeded_with),
  };
  return cmocka_run_group_tests(tests, setup, world_teardown);
}
