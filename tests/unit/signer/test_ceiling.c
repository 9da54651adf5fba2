#include "fixture.h"

#define CEILING(names, rest) "{\"names\":{" names "}," rest "}"
#define NAMES "\"dns\":[\"*.example.com\",\"one.org\"],\"ip\":[\"10.0.0.0/8\",\"192.0.2.1\",\"2001:db8::/32\"],\"email\":[\"root@a.org\",\"b.org\",\"*.c.org\"],\"uri\":[\"*.example.com\"]"
#define REST "\"max_lifetime_s\":86400,\"keys\":[{\"algorithm\":\"ecdsa\",\"min_size\":256,\"max_size\":256},{\"algorithm\":\"RSA\",\"min_size\":3072}],\"usages\":[\"serverAuth\"],\"path_len\":0"

static arena_t *arena;

static ceiling_t parsed(const char *json)
{
  err_t e = {0};
  ceiling_t c;
  must_be_ok(ceiling_parse(arena, slice_str(json), &c, &e), &e);
  return c;
}

static void test_default_is_what_the_decisions_say(void **state)
{
  err_t e = {0};
  ceiling_t c;
  must_be_ok(ceiling_parse(arena, ceiling_default(), &c, &e), &e);
  assert_int_equal(c.max_lifetime_s, 398 * 86400);
  assert_int_equal(c.path_len, 0);
  assert_int_equal(c.nkeys, 3);
  assert_int_equal(c.usages.n, 2);
  texts_t none = {NULL, 0};
  assert_true(rc_ok(ceiling_check_key(&c, S("ECDSA"), 384, none, NULL)));
  assert_true(rc_is(ceiling_check_key(&c, S("ECDSA"), 521, none, NULL), RC_DENIED));
  assert_true(rc_is(ceiling_check_key(&c, S("RSA"), 2047, none, NULL), RC_DENIED));
  assert_true(rc_ok(ceiling_check_key(&c, S("Ed25519"), 256, none, NULL)));
}

static void test_names(void **state)
{
  static const struct {
    const char *name;
    bool allowed;
  } rows[] = {
      {"www.example.com", true}, {"a.b.example.com", true}, {"*.example.com", true}, {"*.a.example.com", true},
      {"example.com", false}, {"wwwexample.com", false}, {"example.com.evil.org", false}, {"one.org", true}, {"www.one.org", false},
      {"10.255.0.1", true}, {"11.0.0.1", false}, {"192.0.2.1", true}, {"192.0.2.2", false},
      {"2001:db8:1::1", true}, {"2001:db9::1", false}, {"::ffff:10.0.0.1", false},
      {"root@a.org", true}, {"other@a.org", false}, {"any@b.org", true}, {"any@x.b.org", false}, {"any@x.c.org", true}, {"any@c.org", false},
      {"https://www.example.com/p", true}, {"https://www.example.com:8443/p?q#f", true}, {"https://example.com/", false},
      {"https://evil.org/www.example.com", false}, {"https://evil.org?x=.example.com", false}, {"urn:www.example.com", false},
  };
  ceiling_t c = parsed(CEILING(NAMES, REST));
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    err_t e = {0};
    name_t n;
    must_be_ok(names_parse(arena, slice_str(rows[i].name), &n, &e), &e);
    rc_t r = ceiling_check_names(&c, (names_t){&n, 1}, &e);
    if (rc_ok(r) != rows[i].allowed) fail_msg("%s", rows[i].name);
    if (!rows[i].allowed) assert_string_equal(e.reason, "ceiling_names");
  }
}

static void test_lifetime_key_usages(void **state)
{
  ceiling_t c = parsed(CEILING(NAMES, REST));
  err_t e = {0};
  texts_t none = {NULL, 0};
  const slice_t rsa = S("RSA:4096"), bad = S("RSA"), wide = S("Ed25519:0"), usages[] = {S("serverAuth"), S("clientAuth")};
  assert_true(rc_ok(ceiling_check_lifetime(&c, 86400, 0, &e)));
  assert_true(rc_is(ceiling_check_lifetime(&c, 86401, 0, &e), RC_DENIED));
  assert_string_equal(e.reason, "ceiling_lifetime");
  assert_int_equal(e.limit, 86400);
  assert_true(rc_is(ceiling_check_lifetime(&c, 86401, 1000000, &e), RC_DENIED));
  assert_string_equal(e.reason, "ceiling_lifetime");
  assert_true(rc_is(ceiling_check_lifetime(&c, 3601, 3600, &e), RC_DENIED));
  assert_string_equal(e.reason, "profile_lifetime");
  assert_true(rc_ok(ceiling_check_lifetime(&c, 3600, 3600, &e)));
  assert_true(rc_is(ceiling_check_lifetime(&c, 0, 0, &e), RC_INVALID));
  assert_true(rc_is(ceiling_check_lifetime(&c, 60, -1, &e), RC_INVALID));

  assert_true(rc_ok(ceiling_check_key(&c, S("ECDSA"), 256, none, &e)));
  assert_true(rc_is(ceiling_check_key(&c, S("ECDSA"), 384, none, &e), RC_DENIED));
  assert_true(rc_ok(ceiling_check_key(&c, S("RSA"), 3072, none, &e)));
  assert_true(rc_is(ceiling_check_key(&c, S("RSA"), 3072, (texts_t){&rsa, 1}, &e), RC_DENIED));
  assert_string_equal(e.reason, "profile_key");
  assert_true(rc_ok(ceiling_check_key(&c, S("RSA"), 4096, (texts_t){&rsa, 1}, &e)));
  assert_true(rc_is(ceiling_check_key(&c, S("Ed25519"), 256, (texts_t){&wide, 1}, &e), RC_DENIED));
  assert_string_equal(e.reason, "ceiling_key");
  assert_true(rc_is(ceiling_check_key(&c, S("RSA"), 4096, (texts_t){&bad, 1}, &e), RC_INVALID));
  assert_string_equal(e.reason, "profile_key_form");

  assert_true(rc_ok(ceiling_check_usages(&c, (texts_t){usages, 1}, &e)));
  assert_true(rc_is(ceiling_check_usages(&c, (texts_t){usages, 2}, &e), RC_DENIED));
  assert_string_equal(e.value, "clientAuth");
}

/* A ceiling that is not understood whole is not used at all. */
static void test_refused_texts(void **state)
{
  static const char *const rows[][2] = {
      {"", "json_syntax"},
      {"[]", NULL},
      {"{}", "ceiling_member"},
      {CEILING(NAMES, REST ",\"max_lifetime\":1"), "ceiling_member"},
      {CEILING("\"dns\":[\"*\"]", REST), "ceiling_member"},
      {CEILING(NAMES ",\"directory\":[]", REST), "ceiling_member"},
      {CEILING("\"dns\":[\"*.*\"],\"ip\":[],\"email\":[],\"uri\":[]", REST), "ceiling_pattern"},
      {CEILING("\"dns\":[\"Example.com\"],\"ip\":[],\"email\":[],\"uri\":[]", REST), "ceiling_pattern"},
      {CEILING("\"dns\":[\".example.com\"],\"ip\":[],\"email\":[],\"uri\":[]", REST), "ceiling_pattern"},
      {CEILING("\"dns\":[],\"ip\":[\"10.0.0.1/8\"],\"email\":[],\"uri\":[]", REST), "ceiling_pattern"},
      {CEILING("\"dns\":[],\"ip\":[\"www.example.com\"],\"email\":[],\"uri\":[]", REST), "ceiling_pattern"},
      {CEILING("\"dns\":[],\"ip\":[],\"email\":[\"@a.org\"],\"uri\":[]", REST), "ceiling_pattern"},
      {CEILING(NAMES, "\"max_lifetime_s\":0,\"keys\":[],\"usages\":[],\"path_len\":0"), NULL},
      {CEILING(NAMES, "\"max_lifetime_s\":1,\"keys\":[{\"algorithm\":\"DSA\",\"min_size\":1}],\"usages\":[],\"path_len\":0"), "ceiling_keys"},
      {CEILING(NAMES, "\"max_lifetime_s\":1,\"keys\":[\"RSA\"],\"usages\":[],\"path_len\":0"), NULL},
      {CEILING(NAMES, "\"max_lifetime_s\":1,\"keys\":[],\"usages\":[],\"path_len\":-1"), NULL},
      {CEILING(NAMES, "\"max_lifetime_s\":1,\"max_lifetime_s\":2,\"keys\":[],\"usages\":[],\"path_len\":0"), "json_duplicate_key"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    err_t e = {0};
    ceiling_t c;
    rc_t r = ceiling_parse(arena, slice_str(rows[i][0]), &c, &e);
    if (rc_ok(r)) fail_msg("row %zu was accepted", i);
    if (rows[i][1]) assert_string_equal(e.reason, rows[i][1]);
  }
}

/* Keys and usages may be empty: a CA that signs nothing. */
static void test_an_empty_ceiling_allows_nothing(void **state)
{
  ceiling_t c = parsed(CEILING("\"dns\":[],\"ip\":[],\"email\":[],\"uri\":[]",
                               "\"max_lifetime_s\":1,\"keys\":[],\"usages\":[],\"path_len\":0"));
  err_t e = {0};
  name_t n;
  const slice_t usage = S("serverAuth");
  must_be_ok(names_parse(arena, S("a.b"), &n, &e), &e);
  assert_false(rc_ok(ceiling_check_names(&c, (names_t){&n, 1}, &e)));
  assert_false(rc_ok(ceiling_check_key(&c, S("RSA"), 4096, (texts_t){NULL, 0}, &e)));
  assert_false(rc_ok(ceiling_check_usages(&c, (texts_t){&usage, 1}, &e)));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_default_is_what_the_decisions_say),
      cmocka_unit_test(test_names),
      cmocka_unit_test(test_lifetime_key_usages),
      cmocka_unit_test(test_refused_texts),
      cmocka_unit_test(test_an_empty_ceiling_allows_nothing),
  };
  arena = arena_new(16 * 1024 * 1024);
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  arena_free(arena);
  return failed;
}
