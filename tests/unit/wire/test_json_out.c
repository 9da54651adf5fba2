/* JSON out: commas, escapes, rows by field table, sticky errors. */
#include "wire/json_in.h"
#include "wire/json_out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char *text_of(buf_t *b)
{
  assert_true(rc_ok(buf_rc(b)));
  buf_byte(b, 0);
  b->n--;
  return (const char *)b->p;
}

static void test_structure(void **state)
{
  BUF_SCOPED buf_t b = buf_heap(4096);
  jw_t j = jw_on(&b);
  jw_object(&j);
  jw_key(&j, "a");
  jw_array(&j);
  jw_array_end(&j);
  jw_key(&j, "b");
  jw_array(&j);
  jw_int(&j, INT64_MIN);
  jw_bool(&j, true);
  jw_null(&j);
  jw_object(&j);
  jw_object_end(&j);
  jw_raw(&j, S("{\"r\":0}"));
  jw_array_end(&j);
  jw_put_time(&j, "t", (us_t){INT64_C(1795572244500000)});
  jw_put_time(&j, "never", US_NEVER);
  jw_put_str(&j, "s", NULL);
  jw_put_bool(&j, "f", false);
  jw_object_end(&j);
  assert_string_equal(text_of(&b), "{\"a\":[],\"b\":[-9223372036854775808,true,null,{},{\"r\":0}],"
                                   "\"t\":\"2026-11-25T02:04:04.5Z\",\"never\":\"0001-01-01T00:00:00Z\",\"s\":null,\"f\":false}");
}

static void test_deep(void **state)
{
  BUF_SCOPED buf_t b = buf_heap(4096);
  jw_t j = jw_on(&b);
  for (int i = 0; i < 63; i++) jw_array(&j);
  jw_int(&j, 1);
  jw_int(&j, 2);
  for (int i = 0; i < 63; i++) jw_array_end(&j);
  assert_int_equal(b.n, 2 * 63 + 3);
}

static void test_escapes(void **state)
{
  static const char *const rows[][2] = {
    {"", "\"\""},
    {"plain", "\"plain\""},
    {"a\"b\\c", "\"a\\\"b\\\\c\""},
    {"<script>&", "\"\\u003cscript\\u003e\\u0026\""},
    {"\n\r\t\b\f\x01\x1f\x7f", "\"\\n\\r\\t\\u0008\\u000c\\u0001\\u001f\x7f\""},
    {"h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "\"h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\""},
    {"\xe0\xa0\x80 \xf0\x90\x80\x80", "\"\xe0\xa0\x80 \xf0\x90\x80\x80\""},
    {"x\xffy", "\"x\xef\xbf\xbdy\""},
    {"\xc3", "\"\xef\xbf\xbd\""},
    {"\xe2\x82", "\"\xef\xbf\xbd\xef\xbf\xbd\""},
    {"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    {"\xf8", "\"\xef\xbf\xbd\""},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++)
    for (size_t cap = 1; cap <= 64; cap += 63) { /* once with room in the buffer, once growing */
      BUF_SCOPED buf_t b = buf_heap(256);
      if (cap == 64) {
        buf_puts(&b, "0123456789012345678901234567890123456789012345678901234567890123");
        buf_reset(&b);
      }
      json_text_emit(&b, slice_str(rows[i][0]));
      assert_string_equal(text_of(&b), rows[i][1]);
    }
}

/* Every byte string comes out as JSON that the strict reader takes, and equal when it was UTF-8 without U+0000. */
static void test_round_trip(void **state)
{
  uint32_t x = 12345;
  for (int k = 0; k < 5000; k++) {
    uint8_t in[24];
    size_t n = (size_t)k % sizeof in;
    for (size_t i = 0; i < n; i++) {
      x = x * 1664525 + 1013904223;
      in[i] = (uint8_t)(k % 3 ? 1 + (x >> 24) % 127 : x >> 24);
    }
    ARENA_SCOPED arena_t *a = arena_new(1 << 16);
    BUF_SCOPED buf_t b = buf_heap(1024);
    json_doc_t doc;
    slice_t out = {0};
    json_text_emit(&b, slice_of(in, n));
    assert_true(slice_utf8(buf_slice(&b)));
    assert_true(rc_ok(json_parse(a, buf_slice(&b), &doc, NULL)) || memchr(in, 0, n));
    if (k % 3 == 0) continue;
    assert_true(json_as_text(doc.root, &out) && slice_eq(out, slice_of(in, n)));
  }
}

typedef struct row {
  slice_t id, name, status, config, secret, hash, note, data;
  int64_t size;
  bool on;
  us_t at;
  texts_t sans, tags;
} row_t;

static const field_t fields[] = {
  FIELD(row_t, id, FT_TEXT, FF_READONLY, ),
  FIELD(row_t, name, FT_TEXT, 0, ),
  FIELD(row_t, config, FT_JSON, 0, ),
  FIELD(row_t, secret, FT_JSON, FF_SECRET, ),
  FIELD(row_t, hash, FT_TEXT, FF_HIDDEN, ),
  FIELD(row_t, note, FT_TEXT, FF_OMITEMPTY, ),
  FIELD(row_t, data, FT_JSON, FF_OMITEMPTY, ),
  FIELD(row_t, size, FT_INT, FF_OMITEMPTY, ),
  FIELD(row_t, on, FT_BOOL, FF_OMITEMPTY, ),
  FIELD(row_t, at, FT_TIME, FF_OMITEMPTY, ),
  FIELD(row_t, sans, FT_TEXTS, FF_VIRTUAL, ),
  FIELD(row_t, tags, FT_TEXTS, FF_OMITEMPTY, ),
};

static const resource_t res = {.name = "thing", .fields = fields, .nfields = COUNT_OF(fields)};

static void test_rows(void **state)
{
  BUF_SCOPED buf_t b = buf_heap(4096);
  jw_t j = jw_on(&b);
  row_t empty = {.secret = S("{\"password\":\"x\"}"), .hash = S("x"), .data = S("{}"), .at = US_NEVER};
  json_row_write(&j, &res, &empty, NULL);
  assert_string_equal(text_of(&b), "{\"id\":\"\",\"name\":\"\",\"config\":null,\"sans\":[]}");

  slice_t sans[] = {S("a"), S("b<")};
  row_t full = {S("1"), S("n"), S(""), S("{\"k\":1}"), S("s"), S("h"), S("o"), S("[1]"), 4, true, {0}, {sans, 2}, {sans, 1}};
  buf_reset(&b);
  j = jw_on(&b);
  json_row_write(&j, &res, &full, NULL);
  assert_string_equal(text_of(&b), "{\"id\":\"1\",\"name\":\"n\",\"config\":{\"k\":1},\"note\":\"o\",\"data\":[1],\"size\":4,"
                                   "\"on\":true,\"at\":\"1970-01-01T00:00:00Z\",\"sans\":[\"a\",\"b\\u003c\"],\"tags\":[\"a\"]}");

  /* sparse: only what was asked for, by name; never what is secret or hidden */
  uint64_t only = 1u << 1 | 1u << 3 | 1u << 4 | 1u << 10 | 1u << 0 | 1u << 2;
  buf_reset(&b);
  j = jw_on(&b);
  json_row_write(&j, &res, &full, &only);
  assert_string_equal(text_of(&b), "{\"config\":{\"k\":1},\"id\":\"1\",\"name\":\"n\",\"sans\":[\"a\",\"b\\u003c\"]}");
  only = UINT64_MAX; /* more than there are */
  buf_reset(&b);
  j = jw_on(&b);
  json_row_write(&j, &res, &empty, &only);
  assert_string_equal(text_of(&b), "{\"config\":null,\"id\":\"\",\"name\":\"\",\"sans\":[]}");

  buf_reset(&b);
  j = jw_on(&b);
  jw_object(&j);
  json_row_members(&j, &res, &empty, NULL);
  jw_put_text(&j, "api_key", S("k"));
  jw_object_end(&j);
  assert_string_equal(text_of(&b), "{\"id\":\"\",\"name\":\"\",\"config\":null,\"sans\":[],\"api_key\":\"k\"}");
}

static void test_cap_sticks(void **state)
{
  row_t row = {.name = S("0123456789")};
  for (size_t cap = 0; cap < 47; cap++) {
    BUF_SCOPED buf_t b = buf_heap(cap);
    jw_t j = jw_on(&b);
    json_row_write(&j, &res, &row, NULL);
    assert_true(b.n <= cap);
    assert_true(rc_is(buf_rc(&b), RC_FULL));
    size_t n = b.n;
    json_text_emit(&b, S("")); /* would fit, but what comes before it is missing */
    assert_int_equal(b.n, n);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_structure),  cmocka_unit_test(test_deep),  cmocka_unit_test(test_escapes),    cmocka_unit_test(test_round_trip),
    cmocka_unit_test(test_rows),       cmocka_unit_test(test_cap_sticks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
