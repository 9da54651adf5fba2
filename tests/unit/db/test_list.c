/* Rows by field table, filters, order, pages and cursors; field cases 45 and 46. */
#include "fixture.h"

#include <sqlite3.h>
#include <stdio.h>

enum { NAME = 1, ENVIRONMENT = 4, OWNER = 5, STATUS = 9, EXPIRES = 11, CREATED = 12, UPDATED = 13 };

static void store(fix_t *f, const certificate_t *rows, size_t n)
{
  for (size_t i = 0; i < n; i += 100) {
    err_t e = {0};
    cmd_t *c = cmd_new(f->a);
    for (size_t k = i; k < n && k < i + 100; k++) cmd_add(c, list_insert(f->a, &res_certificate, &rows[k]), 1);
    fix_must(db_submit(f->db, c, &e), &e);
  }
}

static char *text(fix_t *f, const char *fmt, int i)
{
  char b[64];
  (void)snprintf(b, sizeof b, "%s%05d", fmt, i);
  return arena_text(f->a, slice_str(b));
}

typedef struct page {
  certificate_t *rows;
  size_t n;
  int64_t total;
} page_t;

/* One list in a read of its own, in an arena that lives until the end of the test. */
static page_t ask(fix_t *f, list_query_t q)
{
  err_t e = {0};
  page_t p = {0};
  void *rows = NULL;
  db_read_t *r = NULL;
  q.res = &res_certificate;
  if (!q.page) q.page = 1;
  if (!q.per_page) q.per_page = 50;
  fix_must(db_read_begin(f->db, &r, &e), &e);
  db_read_limits(r, LIST_STATEMENTS, (uint32_t)q.per_page + 3);
  fix_must(list_page(r, f->a, &q, &rows, &p.n, &p.total, &e), &e);
  db_read_end(r);
  p.rows = rows;
  return p;
}

static void test_round_trip(void **state)
{
  fix_t *f = *state;
  err_t e = {0};
  const slice_t names[] = {S("a.example"), S("quote \" back \\ tab \t"), S("\xc3\xa9 \xf0\x9f\x94\x92"), S("")};
  certificate_t in = sample_certificate("cert-1", "a.example", 1700000000123456), out = {0};
  in.sans = (texts_t){names, COUNT_OF(names)};
  in.tags = S("{\"k\":\"v\"}");
  in.status = S("renewalINPROGRESS");
  in.environment = S("");
  store(f, &in, 1);
  db_read_t *r = NULL;
  fix_must(db_read_begin(f->db, &r, &e), &e);
  fix_must(list_get(r, f->a, &res_certificate, S("cert-1"), &out, &e), &e);
  assert_int_equal(list_get(r, f->a, &res_certificate, S("cert-2"), &out, &e).code, RC_NOTFOUND);
  db_read_end(r);
  assert_true(slice_eq(out.name, in.name));
  assert_int_equal(out.sans.n, COUNT_OF(names));
  for (size_t i = 0; i < COUNT_OF(names); i++) assert_true(slice_eq(out.sans.v[i], names[i]));
  assert_true(slice_is(out.tags, "{\"k\":\"v\"}"));
  assert_true(slice_is(out.status, "RenewalInProgress"));
  assert_null(out.environment.p);
  assert_true(us_is_never(out.expires_at));
  assert_int_equal(out.created_at.us, 1700000000123456);
  assert_int_equal(sql_number(f, "select count(*) from managed_certificates where environment is null"), 1);
}

static void test_update_and_delete(void **state)
{
  fix_t *f = *state;
  err_t e = {0};
  certificate_t row = sample_certificate("cert-1", "a.example", 5);
  store(f, &row, 1);
  row.name = S("b.example");
  row.status = S("Active");
  row.created_at.us = 9;
  cmd_t *c = cmd_new(f->a);
  cmd_add(c, list_update(f->a, &res_certificate, &row, 1u << NAME | 1u << STATUS | 1u), 1);
  fix_must(db_submit(f->db, c, &e), &e);
  assert_int_equal(sql_number(f, "select count(*) from managed_certificates where name = 'b.example' and status = 'Active' and created_at = 5"), 1);
  c = cmd_new(f->a);
  cmd_add(c, list_update(f->a, &res_certificate, &row, 0), 1); /* nothing to set: is it there? */
  cmd_add(c, list_delete(f->a, &res_certificate, S("cert-1")), 1);
  fix_must(db_submit(f->db, c, &e), &e);
  assert_int_equal(sql_number(f, "select count(*) from managed_certificates"), 0);
}

/* Case 45: signs in names match themselves only, and the filter comes before the page. */
static void test_search_signs(void **state)
{
  fix_t *f = *state;
  char long64[65], long65[66];
  memset(long64, 'n', 64);
  memset(long65, 'n', 65);
  long64[64] = long65[65] = 0;
  const char *const names[] = {"a_b", "axb", "50%", "50x", "back\\slash", "\xc3\xa9", "e\xcc\x81", long64, long65, "o'brien", "?1", "x\" or 1=1 --"};
  enum { N = COUNT_OF(names) };
  certificate_t rows[N + 1000];
  for (int i = 0; i < 1000; i++) rows[i] = sample_certificate(text(f, "other", i), text(f, "other", i), i);
  for (int i = 0; i < N; i++) rows[1000 + i] = sample_certificate(text(f, "sign", i), names[i], 5000 + i);
  store(f, rows, COUNT_OF(rows));
  for (int i = 0; i < N; i++) {
    list_filter_t fl = {.field = NAME, .op = LO_EQ, .value = val_text(slice_str(names[i]))};
    page_t p = ask(f, (list_query_t){.filters = &fl, .nfilters = 1, .sort = -1, .per_page = 1});
    assert_int_equal(p.total, 1);
    assert_int_equal(p.n, 1);
    assert_true(slice_is(p.rows[0].name, names[i]));
  }
}

static void test_filters(void **state)
{
  fix_t *f = *state;
  certificate_t rows[6];
  const char *const status[] = {"active", "Active", "ACTIVE", "Failed", "Activ", "Pending"};
  for (int i = 0; i < 6; i++) {
    rows[i] = sample_certificate(text(f, "c", i), text(f, "n", i), 10 + i);
    rows[i].status = slice_str(status[i]);
    rows[i].expires_at.us = 100 + i;
  }
  store(f, rows, 6);
  list_filter_t st = {.field = STATUS, .op = LO_IEQ, .value = val_text(S("aCTIVE"))};
  page_t p = ask(f, (list_query_t){.filters = &st, .nfilters = 1, .sort = -1});
  assert_int_equal(p.total, 3);
  for (size_t i = 0; i < p.n; i++) assert_true(slice_is(p.rows[i].status, "Active"));
  list_filter_t range[] = {{.field = EXPIRES, .op = LO_GT, .value = val_time((us_t){101})},
                           {.field = EXPIRES, .op = LO_LT, .value = val_time((us_t){104})}};
  p = ask(f, (list_query_t){.filters = range, .nfilters = 2, .sort = EXPIRES, .desc = true});
  assert_int_equal(p.total, 2); /* strict on both sides */
  assert_int_equal(p.rows[0].expires_at.us, 103);
  list_filter_t sub = {.op = LO_IN_SUBQUERY, .value = val_text(S("nobody")),
                       .subquery = "id in (select m.certificate_id from certificate_target_mappings m"
                                   " join deployment_targets t on t.id = m.target_id where t.agent_id = ?)"};
  p = ask(f, (list_query_t){.filters = &sub, .nfilters = 1, .sort = -1});
  assert_int_equal(p.total, 0);
  assert_int_equal(sql_run(f, "insert into agents (id, name, hostname, api_key_hash) values ('nobody', 'n', 'h', 'x');"
                              "insert into deployment_targets (id, name, type, agent_id) values ('t', 't', 'NGINX', 'nobody');"
                              "insert into certificate_target_mappings values ('c00002', 't')"), SQLITE_OK);
  p = ask(f, (list_query_t){.filters = &sub, .nfilters = 1, .sort = -1}); /* the mapping counts, not only the certificate */
  assert_int_equal(p.total, 1);
  assert_true(slice_is(p.rows[0].id, "c00002"));
}

static void test_orders(void **state)
{
  fix_t *f = *state;
  certificate_t rows[30];
  for (int i = 0; i < 30; i++) {
    rows[i] = sample_certificate(text(f, "c", i), text(f, "n", 29 - i), 10);
    rows[i].expires_at.us = i % 3;
    rows[i].environment = i % 2 ? S("x") : S("");
  }
  store(f, rows, 30);
  page_t p = ask(f, (list_query_t){.sort = -1});
  for (int i = 0; i < 30; i++) assert_true(slice_eq(p.rows[i].id, rows[i].id)); /* ties by id */
  p = ask(f, (list_query_t){.sort = NAME});
  for (int i = 0; i < 30; i++) assert_true(slice_eq(p.rows[i].id, rows[29 - i].id));
  p = ask(f, (list_query_t){.sort = EXPIRES, .desc = true});
  for (int i = 1; i < 30; i++) {
    const certificate_t *a = &p.rows[i - 1], *b = &p.rows[i];
    assert_true(a->expires_at.us > b->expires_at.us || (a->expires_at.us == b->expires_at.us && slice_cmp(a->id, b->id) > 0));
  }
  p = ask(f, (list_query_t){.sort = ENVIRONMENT, .page = 2, .per_page = 20});
  assert_int_equal(p.n, 10);
  assert_int_equal(p.total, 30);
}

static void test_page_bounds(void **state)
{
  fix_t *f = *state;
  certificate_t row = sample_certificate("c", "n", 1);
  store(f, &row, 1);
  page_t p = ask(f, (list_query_t){.sort = -1, .page = 2});
  assert_int_equal(p.n, 0);
  assert_int_equal(p.total, 1);
  p = ask(f, (list_query_t){.sort = -1, .page = INT64_MAX, .per_page = 500});
  assert_int_equal(p.n, 0);
  assert_int_equal(p.total, 1);
  p = ask(f, (list_query_t){.sort = -1, .page = 100000, .per_page = 500});
  assert_int_equal(p.n, 0);
  err_t e = {0};
  void *rows = NULL;
  size_t n = 7;
  int64_t total = 7;
  db_read_t *r = NULL;
  fix_must(db_read_begin(f->db, &r, &e), &e);
  const list_query_t bad[] = {{.res = &res_team, .sort = -1, .page = 1, .per_page = 0}, {.res = &res_team, .sort = -1, .page = 0, .per_page = 1},
                              {.res = &res_team, .sort = -1, .page = 1, .per_page = LIST_ROWS_MAX + 1}};
  for (size_t i = 0; i < COUNT_OF(bad); i++) assert_int_equal(list_page(r, f->a, &bad[i], &rows, &n, &total, &e).code, RC_INVALID);
  assert_int_equal(n + (size_t)total, 14);
  db_read_end(r);
}

/* Which of the first n rows (by the number in their id) a walk saw, and whether once. */
typedef struct seen {
  uint8_t times[8192];
  size_t rows;
} seen_t;

static void see(seen_t *s, const page_t *p)
{
  for (size_t i = 0; i < p->n; i++) {
    int64_t k = -1;
    assert_true(rc_ok(slice_i64(slice_sub(p->rows[i].id, 1, 9), &k)) && k < (int64_t)sizeof s->times);
    s->times[k]++;
    s->rows++;
  }
}

static void churn(fix_t *f, int round)
{
  char sql[512];
  (void)snprintf(sql, sizeof sql,
                 "delete from managed_certificates where id in (select id from managed_certificates where cast(substr(id, 2) as integer) %% 10 = 3"
                 " and cast(substr(id, 2) as integer) < 5000 limit 10);"
                 "insert into managed_certificates (id, name, common_name, owner_id, team_id, issuer_id, renewal_policy_id, created_at)"
                 " with recursive n(i) as (select 0 union all select i + 1 from n where i < 9)"
                 " select 'c' || (5000 + %d + i), 'new' || (%d + i), 'x', 'o-alice', 't-platform', 'iss-local', 'rp-standard', 77 from n",
                 round * 10, round * 10);
  assert_int_equal(sql_run(f, sql), SQLITE_OK);
}

static void bulk(fix_t *f)
{
  certificate_t *rows = ARENA_ARRAY(f->a, certificate_t, 5000);
  assert_non_null(rows);
  for (int i = 0; i < 5000; i++) rows[i] = sample_certificate(text(f, "c", i), text(f, "n", i), 77);
  store(f, rows, 5000);
}

/* Case 46, cursor: 5,000 rows of one instant, walked while rows come and go. */
static void test_cursor_walk(void **state)
{
  fix_t *f = *state;
  bulk(f);
  for (int desc = 0; desc < 2; desc++) {
    static seen_t s;
    memset(&s, 0, sizeof s);
    us_t at = {desc ? INT64_MAX : INT64_MIN};
    slice_t id = S("");
    for (int round = 0;; round++) {
      page_t p = ask(f, (list_query_t){.by_cursor = true, .sort = CREATED, .desc = desc, .per_page = 100, .after_time = at, .after_id = id});
      if (!p.n) break;
      see(&s, &p);
      at = p.rows[p.n - 1].created_at;
      id = p.rows[p.n - 1].id;
      if (round < 25) churn(f, desc * 25 + round);
    }
    for (int i = 0; i < 5000; i++) {
      if (i % 10 == 3) assert_in_range(s.times[i], 0, 1); /* may have gone in between */
      else assert_int_equal(s.times[i], 1);
    }
  }
  assert_int_equal(sql_number(f, "select count(*) from managed_certificates"), 5000);
}

/* Case 46, pages: without writes no row twice and none left out. */
static void test_page_walk(void **state)
{
  fix_t *f = *state;
  bulk(f);
  for (int desc = 0; desc < 2; desc++) {
    static seen_t s;
    memset(&s, 0, sizeof s);
    for (int page = 1; page <= 51; page++) {
      page_t p = ask(f, (list_query_t){.sort = CREATED, .desc = desc, .per_page = 100, .page = page});
      assert_int_equal(p.total, 5000);
      see(&s, &p);
    }
    assert_int_equal(s.rows, 5000);
    for (int i = 0; i < 5000; i++) assert_int_equal(s.times[i], 1);
  }
}

/* Beyond row 10,000 pages begin at remembered rows: same answer as counting, in any order of asking, also after a change. */
static void test_far_pages(void **state)
{
  fix_t *f = *state;
  assert_int_equal(sql_run(f, "insert into managed_certificates (id, name, common_name, owner_id, team_id, issuer_id, renewal_policy_id, created_at, expires_at)"
                              " with recursive n(i) as (select 0 union all select i + 1 from n where i < 29999)"
                              " select printf('c%05d', i), printf('n%05d', (i * 7919) % 30000), 'x', 'o-alice', 't-platform', 'iss-local', 'rp-standard', i / 50, i % 7 from n"),
                   SQLITE_OK);
  static const int pages[] = {60, 59, 58, 41, 42, 43, 60, 40, 61};
  for (int round = 0; round < 2; round++) {
    for (size_t i = 0; i < COUNT_OF(pages); i++) {
      int64_t from = (pages[i] - 1) * 500;
      page_t p = ask(f, (list_query_t){.sort = CREATED, .per_page = 500, .page = pages[i]});
      assert_int_equal(p.total, 30000 - round);
      assert_int_equal(p.n, pages[i] == 61 ? 0 : pages[i] == 60 ? 500 - round : 500);
      for (size_t k = 0; k < p.n; k++) assert_true(slice_is(p.rows[k].id, text(f, "c", (int)(from + (int64_t)k) + round)));
      p = ask(f, (list_query_t){.sort = NAME, .desc = true, .per_page = 500, .page = pages[i]});
      for (size_t k = 0; k < p.n && !round; k++) assert_true(slice_is(p.rows[k].name, text(f, "n", (int)(29999 - from - (int64_t)k))));
    }
    if (!round) assert_int_equal(sql_run(f, "delete from managed_certificates where id = 'c00000'"), SQLITE_OK);
  }
}

static void test_total_follows(void **state)
{
  fix_t *f = *state;
  for (int i = 0; i < 5; i++) {
    certificate_t row = sample_certificate(text(f, "c", i), text(f, "n", i), i);
    store(f, &row, 1);
    for (int k = 0; k < 2; k++) assert_int_equal(ask(f, (list_query_t){.sort = -1, .per_page = 1}).total, i + 1);
  }
  assert_int_equal(sql_run(f, "delete from managed_certificates where id = 'c00000'"), SQLITE_OK);
  assert_int_equal(ask(f, (list_query_t){.sort = -1}).total, 4);
}

/* More combinations of filters than are kept: the answers stay right. */
static void test_many_shapes(void **state)
{
  fix_t *f = *state;
  certificate_t row = sample_certificate("c", "n", 1);
  store(f, &row, 1);
  const list_filter_t all[] = {
    {.field = ENVIRONMENT, .op = LO_EQ, .value = val_text(S("test"))}, {.field = OWNER, .op = LO_EQ, .value = val_text(S("o-alice"))},
    {.field = STATUS, .op = LO_IEQ, .value = val_text(S("pending"))},  {.field = CREATED, .op = LO_GT, .value = val_time((us_t){0})},
    {.field = UPDATED, .op = LO_GT, .value = val_time((us_t){0})},     {.field = NAME, .op = LO_EQ, .value = val_text(S("n"))},
  };
  for (unsigned set = 0; set < 64; set++) {
    list_filter_t some[6];
    size_t n = 0;
    for (unsigned i = 0; i < 6; i++)
      if (set >> i & 1) some[n++] = all[i];
    for (int sort = NAME; sort <= UPDATED; sort += 4) {
      page_t p = ask(f, (list_query_t){.filters = some, .nfilters = n, .sort = sort == OWNER ? -1 : sort});
      assert_int_equal(p.n, 1);
      assert_int_equal(p.total, 1);
    }
  }
  /* More than is kept for this resource now pass by; another one's texts are kept all the same. */
  assert_true(list_update(f->a, &res_certificate, &row, 1u << NAME | 1u << EXPIRES | 1u << STATUS).sql->passing);
  assert_false(list_delete(f->a, &res_job, S("j")).sql->passing);
}

/* The limits of a list, each met exactly and passed by one. */
static void test_limits(void **state)
{
  fix_t *f = *state;
  list_filter_t filters[LIST_FILTERS_MAX + 1];
  for (size_t i = 0; i < COUNT_OF(filters); i++) filters[i] = (list_filter_t){.field = OWNER, .op = LO_EQ, .value = val_text(S("o-alice"))};
  const struct {
    list_query_t q;
    int32_t code;
  } t[] = {
      {{.page = 1, .per_page = 1}, RC_OK},
      {{.page = 1, .per_page = LIST_ROWS_MAX}, RC_OK},
      {{.page = 1, .per_page = LIST_ROWS_MAX + 1}, RC_INVALID},
      {{.page = 1, .per_page = 0}, RC_INVALID},
      {{.page = 0, .per_page = 1}, RC_INVALID},
      {{.page = 0, .per_page = 1, .by_cursor = true, .after_id = S("")}, RC_OK},
      {{.page = INT64_MAX, .per_page = LIST_ROWS_MAX}, RC_OK}, /* behind the end */
      {{.page = 1, .per_page = 1, .filters = filters, .nfilters = LIST_FILTERS_MAX}, RC_OK},
      {{.page = 1, .per_page = 1, .filters = filters, .nfilters = LIST_FILTERS_MAX + 1}, RC_FULL},
  };
  for (size_t i = 0; i < COUNT_OF(t); i++) {
    err_t e = {0};
    db_read_t *r = NULL;
    void *rows;
    size_t n;
    int64_t total;
    list_query_t q = t[i].q;
    q.res = &res_certificate;
    q.sort = -1;
    fix_must(db_read_begin(f->db, &r, &e), &e);
    rc_t got = list_page(r, f->a, &q, &rows, &n, &total, &e);
    db_read_end(r);
    if (got.code != t[i].code) fail_msg("row %zu: %s", i, rc_name(got));
  }
}

/* What is composed, for both engines: columns, parameters, casts. */
static void test_texts(void **state)
{
  fix_t *f = *state;
  const team_t t = {S("t"), S("n"), S(""), {1}, {1}};
  const certificate_t c = sample_certificate("c", "n", 1);
  const struct {
    stmt_t s;
    const char *sqlite, *pg;
  } rows[] = {
      {list_insert(f->a, &res_team, &t),
       "insert into \"teams\" (\"id\", \"name\", \"description\", \"created_at\", \"updated_at\") values (?1, ?2, ?3, ?4, ?5)",
       "insert into \"teams\" (\"id\", \"name\", \"description\", \"created_at\", \"updated_at\")"
       " values ($1::text, $2::text, $3::text, $4::timestamptz, $5::timestamptz)"},
      {list_update(f->a, &res_certificate, &c, 1u << ENVIRONMENT | 1u << UPDATED),
       "update \"managed_certificates\" set \"environment\" = ?1, \"updated_at\" = ?2 where \"id\" = ?3",
       "update \"managed_certificates\" set \"environment\" = $1::text, \"updated_at\" = $2::timestamptz where \"id\" = $3::text"},
      {list_update(f->a, &res_team, &t, UINT64_MAX), /* the id and what is no field stay out */
       "update \"teams\" set \"name\" = ?1, \"description\" = ?2, \"created_at\" = ?3, \"updated_at\" = ?4 where \"id\" = ?5",
       "update \"teams\" set \"name\" = $1::text, \"description\" = $2::text, \"created_at\" = $3::timestamptz,"
       " \"updated_at\" = $4::timestamptz where \"id\" = $5::text"},
      {list_update(f->a, &res_team, &t, 1), "update \"teams\" set \"id\" = \"id\" where \"id\" = ?1",
       "update \"teams\" set \"id\" = \"id\" where \"id\" = $1::text"},
      {list_delete(f->a, &res_team, S("t")), "delete from \"teams\" where \"id\" = ?1", "delete from \"teams\" where \"id\" = $1::text"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    assert_non_null(rows[i].s.sql);
    assert_string_equal(rows[i].s.sql->text[DB_SQLITE], rows[i].sqlite);
    assert_string_equal(rows[i].s.sql->text[DB_PG], rows[i].pg);
    assert_int_equal(rows[i].s.sql->nvals, rows[i].s.nvals);
    assert_string_equal(rows[i].s.sql->table, i == 1 ? "managed_certificates" : "teams");
    assert_int_equal(rows[i].s.sql->removes, i == COUNT_OF(rows) - 1);
  }
  stmt_t s = list_insert(f->a, &res_certificate, &c);
  assert_non_null(strstr(s.sql->text[DB_PG], "$4::text[],")); /* the names: the one array of that engine's own kind */
  assert_non_null(strstr(s.sql->text[DB_PG], "$11::jsonb,"));
}

/* Counts the statements of each kind: "get", "insert" … */
static void count_kind(void *self, const sql_text_t *t)
{
  static const char *const kinds[] = {"get", "insert", "update", "delete", "count", "page", "anchor"};
  int *n = self;
  for (size_t i = 0; i < COUNT_OF(kinds); i++)
    if (strcmp(t->name, kinds[i]) == 0) n[i]++;
}

/*
 * Two directions an order, with a page from a remembered row and the search for that row where the column is never
 * NULL; a page and a count a filter, times also before and after.
 */
static void test_every_shape(void **state)
{
  static const struct {
    const resource_t *res;
    int want[7];
  } t[] = {
      {&res_team, {1, 1, 1, 1, 1 + 1, 4 + 1, 2}},
      {&res_certificate, {1, 1, 1, 1, 1 + 15, 5 * 4 + 2 * 2 + 15, 5 * 2}},
  };
  for (size_t i = 0; i < COUNT_OF(t); i++) {
    int n[7] = {0};
    list_each_shape(t[i].res, count_kind, n);
    for (size_t k = 0; k < COUNT_OF(n); k++)
      if (n[k] != t[i].want[k]) fail_msg("%s: %d of kind %zu, not %d", t[i].res->name, n[k], k, t[i].want[k]);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(test_##name, fix_setup, fix_teardown)
    T(round_trip), T(update_and_delete), T(search_signs), T(filters), T(orders), T(page_bounds), T(cursor_walk), T(page_walk),
    T(far_pages), T(total_follows), T(many_shapes), T(limits), T(texts), T(every_shape),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
