/* String arrays as JSON: what is read, what is refused, and that what is written comes back. */
#include "base/mem.h"
#include "db/texts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Reads a copy that ends with its last byte, so that the address sanitizer sees a look behind it. */
static rc_t parse(slice_t json, arena_t *a, texts_t *ret)
{
  MEM_SCOPED uint8_t *bytes = mem_alloc(json.n + (json.n == 0));
  assert_non_null(bytes);
  if (json.n) memcpy(bytes, json.p, json.n);
  return texts_parse(slice_of(bytes, json.n), a, ret);
}

static void arrays_accepted(void **state)
{
  static const struct {
    const char *json;
    size_t n;
    const char *v[3];
  } t[] = {
      {"[]", 0, {NULL}},
      {" \t\r\n[ ] \n", 0, {NULL}},
      {"[\"\"]", 1, {""}},
      {"[ \"a\" ,\t\"b\"\r,\n\"c\" ]", 3, {"a", "b", "c"}},
      {"[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\", \"x\"]", 2, {"\"\\/\b\f\n\r\t", "x"}},
      {"[\"\\u0041\\u004f\\u004F\\u0039\\u004a\\u004A\"]", 1, {"AOO9JJ"}},
      {"[\"\\u007f\\u0080\\u07ff\\u0800\\uffff\"]", 1, {"\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf"}},
      {"[\"\\ud7ff\\ue000\\ud800\\udc00\\uDBFF\\uDFFF\"]", 1, {"\xed\x9f\xbf\xee\x80\x80\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"}},
      {"[\"\xc3\xa9 \x7f\"]", 1, {"\xc3\xa9 \x7f"}},
  };
  for (size_t i = 0; i < COUNT_OF(t); i++) {
    arena_t *a = arena_new(4096);
    texts_t got = {NULL, 99};
    if (!rc_ok(parse(slice_str(t[i].json), a, &got))) fail_msg("%s was refused", t[i].json);
    assert_int_equal(got.n, t[i].n);
    for (size_t k = 0; k < t[i].n; k++) assert_true(slice_is(got.v[k], t[i].v[k]));
    arena_free(a);
  }
}

static void arrays_refused(void **state)
{
  static const char *const t[] = {
      "", " ", "[", "[ ", "]", "\"a\"", "[a]", "[1]", "[\"a\"", "[\"a", "[\"a\\", "[\"a\\\"", "[\"a\",", "[\"a\",]", "[,]", "[\"a\" \"b\"]",
      "[\"a\"] x", "[\"a\"]]", "{\"a\"}", "[\"\\x\"]", "[\"\\'\"]", "[\"\\U0041\"]", "[\"\\u\"]", "[\"\\u004\"]", "[\"\\u004",
      "[\"\\u004g\"]", "[\"\\u004G\"]", "[\"\\u004/\"]", "[\"\\u004:\"]", "[\"\\u004@\"]", "[\"\\u004`\"]", "[\"\\ud800\"]", "[\"\\ud800x\"]",
      "[\"\\ud800\\n\"]", "[\"\\ud800\\u0041\"]", "[\"\\ud800\\udbff\"]", "[\"\\ud800\\ue000\"]", "[\"\\ud800\\u00\"]", "[\"\\udbff",
      "[\"\\udc00\"]", "[\"\\udfff\"]", "[\"\n\"]", "[\"\x1f\"]", "[\"\xff\"]", "[\"\xc3\"]",
  };
  for (size_t i = 0; i < COUNT_OF(t); i++) {
    arena_t *a = arena_new(4096);
    texts_t got = {NULL, 99};
    if (!rc_is(parse(slice_str(t[i]), a, &got), RC_SYNTAX)) fail_msg("%s was not refused", t[i]);
    assert_int_equal(got.n, 99);
    arena_free(a);
  }
  arena_t *a = arena_new(4096);
  texts_t got;
  assert_true(rc_is(parse(slice_of("[\"\\\0\"]", 6), a, &got), RC_SYNTAX));
  arena_free(a);
}

/* As many elements as are allowed are read; one more is refused, whatever stands in them. */
static void arrays_have_a_longest(void **state)
{
  static char json[3 * (TEXTS_MAX + 1) + 2];
  arena_t *a = arena_new(1024 * 1024);
  texts_t got;
  for (size_t n = TEXTS_MAX; n <= TEXTS_MAX + 1; n++) {
    size_t at = 0;
    json[at++] = '[';
    for (size_t i = 0; i < n; i++, at += 3) memcpy(json + at, "\"\",", 3);
    json[at - 1] = ']';
    rc_t r = parse(slice_of(json, at), a, &got);
    assert_int_equal(r.code, n == TEXTS_MAX ? RC_OK : RC_FULL);
    assert_int_equal(got.n, TEXTS_MAX);
  }
  arena_free(a);
}

static void what_is_written_comes_back(void **state)
{
  uint8_t all[128];
  for (size_t i = 0; i < sizeof all; i++) all[i] = (uint8_t)i;
  const slice_t v[] = {S(""), S("a\"b\\c/d"), slice_of(all, sizeof all), S("\xc3\xa9\xf0\x9f\x98\x80")};
  BUF_SCOPED buf_t b = buf_heap(4096);
  texts_emit(&b, (texts_t){v, COUNT_OF(v)});
  assert_true(rc_ok(buf_rc(&b)));
  arena_t *a = arena_new(8192);
  texts_t got;
  assert_true(rc_ok(parse(buf_slice(&b), a, &got)));
  assert_int_equal(got.n, COUNT_OF(v));
  for (size_t i = 0; i < COUNT_OF(v); i++) assert_true(slice_eq(got.v[i], v[i]));
  arena_free(a);
}

static void memory_may_be_short(void **state)
{
  static char json[4000];
  arena_t *a = arena_new(4096); /* the elements fit, their text does not */
  texts_t got = {NULL, 99};
  memset(json, ' ', sizeof json);
  json[0] = '[';
  json[sizeof json - 1] = ']';
  uint8_t *taken = arena_alloc(a, 1000);
  assert_non_null(taken);
  assert_true(rc_is(parse(slice_of(json, sizeof json), a, &got), RC_NOMEM));
  while (arena_alloc(a, 8)) {}
  assert_true(rc_is(parse(S("[]"), a, &got), RC_NOMEM));
  assert_int_equal(got.n, 99);
  arena_free(a);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(arrays_accepted),            cmocka_unit_test(arrays_refused),     cmocka_unit_test(arrays_have_a_longest),
      cmocka_unit_test(what_is_written_comes_back), cmocka_unit_test(memory_may_be_short),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
