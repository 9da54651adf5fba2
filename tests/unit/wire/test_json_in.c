/* JSON in: what is refused and by which name, typed getters, rows by field table. */
#include "base/check.h"
#include "base/limits.h"
#include "base/mem.h"
#include "wire/json_in.h"
#include "wire/json_out.h"
#include "../arena.h"

static const json_t *good(const char *text)
{
  json_doc_t doc;
  err_t e = {0};
  rc_t r = json_parse(arena, slice_str(text), &doc, &e);
  if (!rc_ok(r)) fail_msg("%s: %s", text, e.reason);
  return doc.root;
}

static void test_refused_by_name(void **state)
{
  static const struct {
    slice_t text;
    int32_t code;
    const char *reason;
  } rows[] = {
#define ROW(lit, code, reason) {{(const uint8_t *)(lit), sizeof(lit) - 1}, code, reason}
    ROW("", RC_SYNTAX, "json_syntax"),
    ROW("   ", RC_SYNTAX, "json_syntax"),
    ROW("{", RC_SYNTAX, "json_syntax"),
    ROW("[\"a", RC_SYNTAX, "json_syntax"),
    ROW("[\"a\\", RC_SYNTAX, "json_syntax"),
    ROW("{\"a\":1", RC_SYNTAX, "json_syntax"),
    ROW("{\"a\":1,}", RC_SYNTAX, "json_syntax"),
    ROW("{a:1}", RC_SYNTAX, "json_syntax"),
    ROW("{'a':1}", RC_SYNTAX, "json_syntax"),
    ROW("[1 2]", RC_SYNTAX, "json_syntax"),
    ROW("[01]", RC_SYNTAX, "json_syntax"),
    ROW("[+1]", RC_SYNTAX, "json_syntax"),
    ROW("[.5]", RC_SYNTAX, "json_syntax"),
    ROW("[1.]", RC_SYNTAX, "json_syntax"),
    ROW("[NaN]", RC_SYNTAX, "json_syntax"),
    ROW("[Infinity]", RC_SYNTAX, "json_syntax"),
    ROW("[tru]", RC_SYNTAX, "json_syntax"),
    ROW("[\"a\nb\"]", RC_SYNTAX, "json_syntax"),
    ROW("[\"\\x41\"]", RC_SYNTAX, "json_syntax"),
    ROW("[\"\\ud800\"]", RC_SYNTAX, "json_syntax"),
    ROW("[\"\\udc00\"]", RC_SYNTAX, "json_syntax"),
    ROW("[1] // c", RC_SYNTAX, "json_trailing"),
    ROW("\xef\xbb\xbf{}", RC_SYNTAX, "json_syntax"),
    ROW("{}\0", RC_SYNTAX, "json_trailing"),
    ROW("{}{}", RC_SYNTAX, "json_trailing"),
    ROW("{} x", RC_SYNTAX, "json_trailing"),
    ROW("1 2", RC_SYNTAX, "json_trailing"),
    ROW("]", RC_SYNTAX, "json_syntax"),
    ROW("{\"a\":1,\"a\":2}", RC_SYNTAX, "json_duplicate_key"),
    ROW("{\"a\":{\"b\":1,\"c\":2,\"b\":3}}", RC_SYNTAX, "json_duplicate_key"),
    ROW("{\"a\":1,\"\\u0061\":2}", RC_SYNTAX, "json_duplicate_key"),
    ROW("[\"\xff\"]", RC_SYNTAX, "json_utf8"),
    ROW("[\"\xc0\xaf\"]", RC_SYNTAX, "json_utf8"),
    ROW("[\"\xed\xa0\x80\"]", RC_SYNTAX, "json_utf8"),
    ROW("[\"\xf4\x90\x80\x80\"]", RC_SYNTAX, "json_utf8"),
    ROW("{\"\xc3\":1}", RC_SYNTAX, "json_utf8"),
    ROW("[\"\\u0000\"]", RC_SYNTAX, "json_nul"),
    ROW("{\"a\\u0000b\":1}", RC_SYNTAX, "json_nul"),
    ROW("[9223372036854775808]", RC_SYNTAX, "json_number"),
    ROW("[1e999]", RC_SYNTAX, "json_number"),
#undef ROW
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    json_doc_t doc = {NULL};
    err_t e = {0};
    rc_t r = json_parse(arena, arena_dup(arena, rows[i].text), &doc, &e); /* a look behind the end is seen */
    if (r.code != rows[i].code || strcmp(e.reason ? e.reason : "", rows[i].reason) != 0)
      fail_msg("%s: rc %d reason %s, expected %s", (const char *)rows[i].text.p, r.code, e.reason ? e.reason : "-",
               rows[i].reason);
    assert_null(doc.root);
    assert_int_equal(json_parse(arena, rows[i].text, &doc, NULL).code, rows[i].code);
  }
  json_doc_t doc;
  err_t e = {0};
  assert_false(rc_ok(json_parse(arena, S("{\"a\": tru}"), &doc, &e)));
  assert_int_equal(e.offset, 9);
}

static void test_depth(void **state)
{
  char text[2 * LIM_JSON_DEPTH + 3];
  json_doc_t doc;
  err_t e = {0};
  for (size_t depth = LIM_JSON_DEPTH; depth <= LIM_JSON_DEPTH + 1; depth++) {
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    rc_t r = json_parse(arena, slice_of(text, 2 * depth), &doc, &e);
    assert_int_equal(r.code, depth > LIM_JSON_DEPTH ? RC_FULL : RC_OK);
  }
  assert_string_equal(e.reason, "json_depth");
  assert_int_equal(e.offset, LIM_JSON_DEPTH);
  /* brackets in strings do not nest, escaped quotes do not end them */
  assert_non_null(good("[\"[[[[[[[\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"]"));
}

static void test_tokens(void **state)
{
  size_t n = LIM_JSON_TOKENS;
  BUF_SCOPED buf_t b = buf_heap(2 * n + 16);
  buf_byte(&b, '[');
  for (size_t i = 0; i < n - 1; i++) buf_puts(&b, "1,");
  buf_puts(&b, "1]");
  json_doc_t doc;
  err_t e = {0};
  arena_set_budget(arena, 64 * 1024 * 1024);
  assert_true(rc_ok(json_parse(arena, buf_slice(&b), &doc, &e)));
  assert_int_equal(json_len(doc.root), n);
  b.n--;
  buf_puts(&b, ",1]");
  assert_int_equal(json_parse(arena, buf_slice(&b), &doc, &e).code, RC_FULL);
  assert_string_equal(e.reason, "json_tokens");
}

/* Whatever the budget, the answer is the document or RC_NOMEM: never a part of it, never a write outside. */
static void test_budget(void **state)
{
  slice_t text = S("{\"name\":\"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz\",\"list\":[1,2.5,\"x\",{\"k\":null}],\"t\":true}");
  size_t need = 0;
  for (size_t budget = 0; !need; budget += 8) {
    ARENA_SCOPED arena_t *a = arena_new(budget);
    json_doc_t doc;
    err_t e = {0};
    rc_t r = json_parse(a, text, &doc, &e);
    if (rc_ok(r)) {
      slice_t name = {0};
      assert_true(rc_ok(json_get_text(doc.root, "name", &name, NULL)));
      assert_int_equal(name.n, 52);
      need = budget;
    } else {
      assert_int_equal(r.code, RC_NOMEM);
      assert_string_equal(e.reason, "json_memory");
    }
  }
  assert_true(need > 200 && need < 16 * 1024);
  /* … and the heap under the arena failing is the same */
  for (long n = 0; n < 3; n++) {
    ARENA_SCOPED arena_t *a = arena_new(1 << 20);
    json_doc_t doc;
    mem_fail_after(n);
    rc_t r = json_parse(a, text, &doc, NULL);
    mem_fail_after(-1);
    assert_true(rc_ok(r) || rc_is(r, RC_NOMEM));
    if (n == 0) assert_int_equal(r.code, RC_NOMEM);
  }
}

static void test_getters(void **state)
{
  const json_t *o = good("{\"s\":\"x\",\"i\":-5,\"f\":3.0,\"b\":true,\"n\":null,\"a\":[\"p\",\"q\"],"
                         "\"o\":{\"k\":1},\"t\":\"2026-11-25T02:04:04.5Z\",\"m\":[1]}");
  slice_t s = S("preset");
  int64_t i = 7;
  bool b = false;
  us_t t = {0};
  texts_t v = {0};
  const json_t *node = NULL;
  err_t e = {0};
  assert_true(rc_ok(json_get_text(o, "absent", &s, &e)) && slice_is(s, "preset"));
  assert_true(rc_ok(json_get_text(o, "n", &s, &e)) && slice_is(s, "preset"));
  assert_true(rc_ok(json_get_text(o, "s", &s, &e)) && slice_is(s, "x"));
  assert_true(rc_ok(json_get_i64(o, "i", -10, 10, &i, &e)) && i == -5);
  assert_true(rc_ok(json_get_bool(o, "b", &b, &e)) && b);
  assert_true(rc_ok(json_get_time(o, "t", &t, &e)) && t.us == INT64_C(1795572244500000));
  assert_true(rc_ok(json_get_texts(o, "a", 2, arena, &v, &e)) && v.n == 2 && slice_is(v.v[1], "q"));
  assert_true(rc_ok(json_get_object(o, "o", &node, &e)) && json_len(node) == 1);
  assert_true(rc_ok(json_get_array(o, "a", &node, &e)) && json_len(node) == 2 && !json_at(node, 2));
  assert_true(json_has(o, "s") && !json_has(o, "n") && !json_has(o, "absent") && !json_has(NULL, "s"));

  char text[200];
#define REFUSED(call, says)                   \
  do {                                        \
    e = (err_t){0};                           \
    assert_int_equal((call).code, RC_INVALID); \
    err_format(&e, text, sizeof text);        \
    assert_string_equal(text, says);          \
  } while (0)
  REFUSED(json_get_text(o, "i", &s, &e), "i must be a string");
  REFUSED(json_get_bool(o, "i", &b, &e), "i must be true or false");
  REFUSED(json_get_i64(o, "f", 0, 10, &i, &e), "f must be a whole number");
  REFUSED(json_get_i64(o, "i", 0, 10, &i, &e), "i must be at least 0");
  REFUSED(json_get_i64(o, "i", -10, -6, &i, &e), "i must be -6 or less");
  REFUSED(json_get_time(o, "s", &t, &e), "s must be a time as in RFC 3339: \"x\"");
  REFUSED(json_get_object(o, "a", &node, &e), "a must be an object");
  REFUSED(json_get_array(o, "o", &node, &e), "o must be an array");
  REFUSED(json_get_texts(o, "m", 0, arena, &v, &e), "m must be an array of strings");
  REFUSED(json_get_texts(o, "a", 1, arena, &v, &e), "a must have 1 entries or fewer");
  assert_true(slice_is(s, "x") && i == -5 && v.n == 2); /* untouched by all that failed */

  json_doc_t doc;
  REFUSED(json_parse_object(arena, S("[]"), &doc, &e), "the body must be a JSON object");
}

static void test_emit_is_canonical(void **state)
{
  static const char *const rows[][2] = {
    {" { \"b\" : 1 , \"a\" : [ ] , \"c\":{ } } ", "{\"b\":1,\"a\":[],\"c\":{}}"},
    {"[1.50, 1e2, 0.1, -0.0, 1E-7, 100000000000000000000.0]", "[1.5,100.0,0.1,-0.0,1e-07,1e+20]"},
    {"[0.30000000000000004,0.3333333333333333,1.7976931348623157e308]", "[0.30000000000000004,0.3333333333333333,1.7976931348623157e+308]"},
    {"[true,false,null,-9223372036854775808]", "[true,false,null,-9223372036854775808]"},
    {"\"\\u00e9\\/\\ud83d\\ude00<&\\u001f\\\"\"", "\"\xc3\xa9/\xf0\x9f\x98\x80\\u003c\\u0026\\u001f\\\"\""},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    BUF_SCOPED buf_t b = buf_heap(4096), again = buf_heap(4096);
    json_emit(good(rows[i][0]), &b);
    buf_byte(&b, 0);
    assert_string_equal((const char *)b.p, rows[i][1]);
    json_emit(good((const char *)b.p), &again); /* emit(parse(emit(x))) = emit(x) */
    buf_byte(&again, 0);
    assert_string_equal((const char *)again.p, rows[i][1]);
  }
}

typedef struct row {
  slice_t id, name, status, config, note, key_hash;
  int64_t days, any, share;
  bool enabled;
  us_t expires_at;
  texts_t sans;
} row_t;

static const char *const statuses[] = {"Pending", "Active", NULL};

static const field_t fields[] = {
  FIELD(row_t, id, FT_TEXT, FF_READONLY, ),
  FIELD(row_t, name, FT_TEXT, FF_REQUIRED, .max = 5),
  FIELD(row_t, status, FT_ENUM, 0, .values = statuses, .def = "Pending"),
  FIELD(row_t, config, FT_JSON, 0, .max = 30, .def = "{}"),
  FIELD(row_t, note, FT_TEXT, 0, ),
  FIELD(row_t, key_hash, FT_TEXT, FF_HIDDEN, ),
  FIELD(row_t, days, FT_INT, 0, .min = 1, .max = 30, .def = "30"),
  FIELD(row_t, any, FT_INT, 0, ),
  FIELD(row_t, enabled, FT_BOOL, 0, .def = "true"),
  FIELD(row_t, expires_at, FT_TIME, 0, ),
  FIELD(row_t, sans, FT_TEXTS, 0, .max = 2),
  FIELD(row_t, share, FT_INT, 0, .max = 100),
};

static const field_t all_required[] = {
  FIELD(row_t, status, FT_ENUM, FF_REQUIRED, .values = statuses),
  FIELD(row_t, config, FT_JSON, FF_REQUIRED, ),
  FIELD(row_t, sans, FT_TEXTS, FF_REQUIRED, ),
  FIELD(row_t, expires_at, FT_TIME, FF_REQUIRED, ),
  FIELD(row_t, days, FT_INT, FF_REQUIRED, ),
  FIELD(row_t, enabled, FT_BOOL, FF_REQUIRED, ),
};

static const resource_t res = {.name = "thing", .fields = fields, .nfields = COUNT_OF(fields), .row_size = sizeof(row_t)};

static void test_row_read(void **state)
{
  row_t row = {.id = S("kept"), .note = S("kept")};
  uint64_t present = 0;
  err_t e = {0};
  const json_t *o = good("{\"id\":\"x\",\"key_hash\":\"x\",\"unknown\":[1,{}],\"name\":\"h\xc3\xa9llo\",\"status\":\"aCTIVE\",\"note\":null,"
                         "\"config\":{ \"z\":1, \"a\":[true] },\"days\":30,\"any\":-1,\"enabled\":false,"
                         "\"expires_at\":\"0001-01-01T00:00:00Z\",\"sans\":[\"a\",\"b\"]}");
  assert_true(rc_ok(json_row_read(&res, arena, o, &row, &present, &e)));
  assert_true(slice_is(row.id, "kept") && slice_is(row.note, "kept") && row.key_hash.n == 0);
  assert_true(slice_is(row.name, "h\xc3\xa9llo") && slice_is(row.status, "Active"));
  assert_true(slice_is(row.config, "{\"z\":1,\"a\":[true]}"));
  assert_true(row.days == 30 && row.any == -1 && !row.enabled && us_is_never(row.expires_at) && row.sans.n == 2);
  assert_int_equal(present, 1u << 1 | 1u << 2 | 1u << 3 | 1u << 6 | 1u << 7 | 1u << 8 | 1u << 9 | 1u << 10);
}

static void test_row_refusals(void **state)
{
  static const char *const rows[][2] = {
    {"{\"name\":1}", "name must be a string"},
    {"{\"name\":{}}", "name must be a string"},
    {"{\"name\":\"abcdef\"}", "name must be 5 characters or fewer"},
    {"{\"name\":\"a\\u0001b\"}", "name must not contain control characters: \"a?b\""},
    {"{\"note\":\"a\\r\"}", "note must not contain control characters: \"a?\""},
    {"{\"status\":\"Gone\"}", "status must be one of Pending, Active: \"Gone\""},
    {"{\"status\":true}", "status must be a string"},
    {"{\"config\":\"x\"}", "config must be an object or an array"},
    {"{\"config\":{\"a\":\"0123456789012345678901234567890123456789\"}}", "config must be 30 bytes or fewer"},
    {"{\"days\":0}", "days must be at least 1"},
    {"{\"days\":31}", "days must be 30 or less"},
    {"{\"days\":1.5}", "days must be a whole number"},
    {"{\"share\":-1}", "share must be at least 0"},
    {"{\"share\":101}", "share must be 100 or less"},
    {"{\"days\":\"1\"}", "days must be a whole number"},
    {"{\"enabled\":1}", "enabled must be true or false"},
    {"{\"expires_at\":\"2026-02-30T00:00:00Z\"}", "expires_at must be a time as in RFC 3339: \"2026-02-30T00:00:00Z\""},
    {"{\"expires_at\":5}", "expires_at must be a time as in RFC 3339"},
    {"{\"sans\":\"a\"}", "sans must be an array of strings"},
    {"{\"sans\":[\"a\",null]}", "sans must be an array of strings"},
    {"{\"sans\":[\"a\",\"b\",\"c\"]}", "sans must have 2 entries or fewer"},
    {"{\"sans\":[\"a\\u0007\"]}", "sans must not contain control characters: \"a?\""},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    row_t row = {0};
    uint64_t present = 99;
    err_t e = {0};
    char text[200];
    assert_int_equal(json_row_read(&res, arena, good(rows[i][0]), &row, &present, &e).code, RC_INVALID);
    err_format(&e, text, sizeof text);
    assert_string_equal(text, rows[i][1]);
    assert_int_equal(present, 99);
  }
}

static void test_row_accepts_edges(void **state)
{
  static const char *const rows[] = {
    "{\"name\":\"\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\"}", /* five code points */
    "{\"note\":\"a\\tb\\nc d\"}", "{\"status\":\"\"}", "{\"days\":1}", "{\"any\":-9223372036854775808}", "{\"config\":[]}", "{}",
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    row_t row = {0};
    uint64_t present = 0;
    assert_true(rc_ok(json_row_read(&res, arena, good(rows[i]), &row, &present, NULL)));
    assert_int_equal(row.status.n, 0);
  }
}

static void test_row_defaults_and_required(void **state)
{
  row_t row = {.enabled = false, .days = 5};
  err_t e = {0};
  assert_true(rc_ok(json_row_defaults(&res, arena, UINT64_C(1) << 6, &row, &e)));
  assert_true(row.days == 5 && row.enabled && slice_is(row.status, "Pending") && slice_is(row.config, "{}"));
  row.name = S(" \t");
  assert_int_equal(json_row_required(&res, &row, &e).code, RC_INVALID);
  char text[64];
  err_format(&e, text, sizeof text);
  assert_string_equal(text, "name is required");
  row.name = S("n");
  assert_true(rc_ok(json_row_required(&res, &row, &e)));

  const resource_t every = {.fields = all_required, .nfields = COUNT_OF(all_required)};
  slice_t san = S("a");
  row = (row_t){.expires_at = US_NEVER};
  static const char *const missing[] = {"status", "config", "sans", "expires_at"};
  for (size_t i = 0; i < COUNT_OF(missing); i++) {
    assert_int_equal(json_row_required(&every, &row, &e).code, RC_INVALID);
    assert_string_equal(e.field, missing[i]);
    if (i == 0) row.status = S("Active");
    if (i == 1) row.config = S("{}");
    if (i == 2) row.sans = (texts_t){&san, 1};
    if (i == 3) row.expires_at = (us_t){0};
  }
  assert_true(rc_ok(json_row_required(&every, &row, &e))); /* zero and false are values */
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    T(test_refused_by_name), T(test_depth),        T(test_tokens),
    T(test_budget),          T(test_getters),      T(test_emit_is_canonical),
    T(test_row_read),        T(test_row_refusals), T(test_row_accepts_edges),
    T(test_row_defaults_and_required),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
