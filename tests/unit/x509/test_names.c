/* Names: RFC 1123 2.1, RFC 1035 2.3.4, RFC 5890 2.3, RFC 3492 7.1, RFC 6125 6.4.3, RFC 5321 4.1.2, RFC 3986. */
#include "base/check.h"
#include "x509/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define L61 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define L62 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define L63 L62 "a"
#define N253 L63 "." L63 "." L63 "." "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void test_accepted(void **state)
{
  static const struct {
    const char *in, *text;
    name_kind_t kind;
  } rows[] = {
    {"www.example.test", "www.example.test", NAME_DNS},
    {"Www.Example.TEST", "www.example.test", NAME_DNS},
    {"www.example.test.", "www.example.test", NAME_DNS},
    {"intranet", "intranet", NAME_DNS},
    {"localhost", "localhost", NAME_DNS},
    {"*.example.test", "*.example.test", NAME_DNS},
    {"a-b.c--d.test", "a-b.c--d.test", NAME_DNS}, /* hyphens in second and third place */
    {"3com.example", "3com.example", NAME_DNS},
    {"1.2.3.4.example", "1.2.3.4.example", NAME_DNS},
    {"xn--mller-kva.example.test", "xn--mller-kva.example.test", NAME_DNS},
    {"XN--MLLER-KVA.example.test", "xn--mller-kva.example.test", NAME_DNS},
    {"xn--n3h.test", "xn--n3h.test", NAME_DNS},                                   /* no basic code points */
    {"xn--ihqwcrb4cv8a8dqg056pqjye.test", "xn--ihqwcrb4cv8a8dqg056pqjye.test", NAME_DNS},       /* RFC 3492 7.1 (B) */
    {"xn--PorqunopuedensimplementehablarenEspaol-fmd56a.test", "xn--porqunopuedensimplementehablarenespaol-fmd56a.test", NAME_DNS}, /* (J) */
    {L63 ".test", L63 ".test", NAME_DNS},
    {N253, N253, NAME_DNS},
    {N253 ".", N253, NAME_DNS},
    {"192.0.2.1", "192.0.2.1", NAME_IP},
    {"2001:DB8:0::1", "2001:db8::1", NAME_IP},
    {"::ffff:192.0.2.1", "::ffff:192.0.2.1", NAME_IP},
    {"Jane.Doe+x@Example.TEST", "Jane.Doe+x@example.test", NAME_EMAIL},
    {L63 "a@" L63 "." L63 "." L61, L63 "a@" L63 "." L63 "." L61, NAME_EMAIL},
    {"git+ssh://example.test/", "git+ssh://example.test/", NAME_URI},
    {"view-source://example.test/%0a", "view-source://example.test/%0a", NAME_URI},
    {"a.b://example.test", "a.b://example.test", NAME_URI},
    {"spiffe://Example.test/Ns/A", "spiffe://example.test/Ns/A", NAME_URI},
    {"HTTPS://example.test:8443/a%20b?q#f", "https://example.test:8443/a%20b?q#f", NAME_URI},
    {"https://[2001:DB8::1]:1/", "https://[2001:db8::1]:1/", NAME_URI},
    {"https://example.test:65535", "https://example.test:65535", NAME_URI},
    {"https://192.0.2.1/", "https://192.0.2.1/", NAME_URI},
    {"urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6", NAME_URI},
  };
  ARENA_SCOPED arena_t *a = arena_new(1 << 16);
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    name_t n, again;
    err_t e = {0};
    rc_t r = names_parse(a, arena_dup(a, slice_str(rows[i].in)), &n, &e); /* a look behind the end is seen */
    if (!rc_ok(r)) fail_msg("%s: %s", rows[i].in, e.reason);
    if (n.kind != rows[i].kind || !slice_is(n.text, rows[i].text))
      fail_msg("%s became %.*s", rows[i].in, SLICE_ARG(n.text));
    /* A normalised name stays as it is, and means the same when it arrives typed. */
    assert_true(rc_ok(names_parse(a, n.text, &again, &e)) && name_eq(&n, &again));
    assert_true(rc_ok(names_from_wire(a, n.kind, n.bytes, &again, &e)) && name_eq(&n, &again));
  }
}

static void test_refused(void **state)
{
  static const struct {
    const char *in, *why;
  } rows[] = {
    {"", "name_empty"},
    {".", "name_empty_label"},
    {"..", "name_empty_label"},
    {"a..b", "name_empty_label"},
    {".a", "name_empty_label"},
    {"a.test..", "name_empty_label"},
    {"a_b.example.test", "name_underscore"},
    {"_dmarc.example.test", "name_underscore"},
    {"-a.test", "name_hyphen"},
    {"a-.test", "name_hyphen"},
    {"abcde-.test", "name_hyphen"},
    {"a b.test", "name_character"},
    {" a.test", "name_character"},
    {"a.test\n", "name_character"},
    {"a/b", "name_character"},
    {"example.test:443", "name_character"},
    {"b\xc3\xbc" "cher.test", "name_not_ascii"},
    {"a\x80.test", "name_not_ascii"},
    {"a\xe2\x80\xae.test", "name_not_ascii"},
    {"*", "name_wildcard"},
    {"*.test", "name_wildcard_wide"},
    {"a.*.example.test", "name_wildcard"},
    {"*a.example.test", "name_wildcard"},
    {"a*.example.test", "name_wildcard"},
    {"*.*.example.test", "name_wildcard"},
    {"**.example.test", "name_wildcard"},
    {"ab--c.test", "name_reserved_label"},
    {"xn--.test", "name_punycode"},
    {"xn--a.test", "name_punycode"},
    {"xn--a-.test", "name_punycode"},
    {"xn--99zzz-.example.test", "name_punycode"},
    {"xn---.test", "name_punycode"},
    {"xn--99999999.test", "name_punycode"},
    {"xn--www-hn0a.test", "name_punycode"}, /* www with U+200B */
    /* The same between and behind other points: each is where the points before it say. */
    {"xn--tda610n.test", "name_punycode"},
    {"xn--ab-xka7192a.test", "name_punycode"},
    {"xn--b-qgn969r.test", "name_punycode"},
    {"xn--9ca1b061oy34bboya.test", "name_punycode"},
    {"xn--zugy92powogfxxqa.test", "name_punycode"},
    {"xn--mnchen-3ya052by20g.test", "name_punycode"},
    {"xn--80aswg7766a.test", "name_punycode"},
    {"xn--tda610nfi63a.test", "name_punycode"},
    {"xn--kba1naaaaaaaaaaaaaaaaaaa.test", "name_punycode"},
    {"1.2.3", "name_numeric"},
    {"1.2.3.4.5", "name_numeric"},
    {"256.1.1.1", "name_numeric"},
    {"01.2.3.4", "name_numeric"},
    {"127", "name_numeric"},
    {"a.1", "name_numeric"},
    {L63 "a.test", "name_label_long"},
    {N253 "a", "name_long"},
    {"@example.test", "name_email"},
    {"a@", "name_empty"},
    {"a@b@c", "name_character"},
    {"a..b@example.test", "name_email"},
    {"\"a b\"@example.test", "name_email"},
    {"a@*.example.test", "name_wildcard"},
    {"\xc3\xa9@example.test", "name_not_ascii"},
    {"\x80@example.test", "name_not_ascii"},
    {L63 "aa@example.test", "name_email"},
    {L63 "a@" L63 "." L63 "." L61 "a", "name_long"},
    {"http://", "name_empty"},
    {"http:///x", "name_empty"},
    {"http://user@example.test/", "name_uri_user"},
    {"http://a_b.test/", "name_underscore"},
    {"http://example.test:/", "name_uri"},
    {"http://example.test:x/", "name_uri"},
    {"http://example.test:123456/", "name_uri"},
    {"http://[::1", "name_uri"},
    {"http://[192.0.2.1]/", "name_ip"},
    {"http://example.test/a b", "name_uri"},
    {"3http://example.test/", "name_character"},
    {"a_b://example.test/", "name_underscore"},
    {"http://example.test/\x80", "name_not_ascii"},
    {"http://example.test/%2", "name_uri"},
    {"http://example.test/%zz", "name_uri"},
    {"urn:", "name_uri"},
    {"://x", "name_character"},
  };
  ARENA_SCOPED arena_t *a = arena_new(1 << 16);
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    name_t n = {.kind = NAME_EDI};
    err_t e = {0};
    rc_t r = names_parse(a, arena_dup(a, slice_str(rows[i].in)), &n, &e);
    if (rc_ok(r)) fail_msg("accepted \"%s\"", rows[i].in);
    if (strcmp(e.reason, rows[i].why) != 0) fail_msg("\"%s\": %s, not %s", rows[i].in, e.reason, rows[i].why);
    assert_int_equal(n.kind, NAME_EDI);
    assert_string_equal(e.field, "name");
    assert_true(e.text[0] != 0);
  }
}

static void test_longest_uri(void **state)
{
  ARENA_SCOPED arena_t *a = arena_new(1 << 16);
  char text[LIM_URI_NAME + 1];
  name_t n;
  memset(text, 'a', sizeof text);
  memcpy(text, "http://example.test/", 20);
  assert_true(rc_ok(names_parse(a, slice_of(text, LIM_URI_NAME), &n, NULL)));
  assert_true(rc_is(names_parse(a, slice_of(text, LIM_URI_NAME + 1), &n, NULL), RC_FULL));
}

/* "xn--" and one code point above ASCII (RFC 3492 6.3). */
static void put_point(char *out, uint32_t c)
{
  static const char digits[] = "abcdefghijklmnopqrstuvwxyz0123456789";
  uint32_t q = c - 128;
  memcpy(out, "xn--", 4);
  for (uint32_t k = 36, n = 4;; k += 36) {
    uint32_t t = k <= 72 ? 1 : k >= 72 + 26 ? 26 : k - 72;
    out[n++] = digits[q < t ? q : t + (q - t) % (36 - t)];
    out[n] = 0;
    if (q < t) return;
    q = (q - t) / (36 - t);
  }
}

/* Both ends of what may not stand in a name, and what lies beside them. */
static void test_points(void **state)
{
  static const struct {
    uint32_t first, last;
  } forbidden[] = {
    {0x80, 0xa0}, {0xad, 0xad}, {0x115f, 0x1160}, {0x2000, 0x200b}, {0x200e, 0x200f}, {0x2028, 0x202f}, {0x205f, 0x206f},
    {0xd800, 0xf8ff}, {0xfff0, 0xffff}, {0xe0000, 0x10ffff},
  };
  ARENA_SCOPED arena_t *a = arena_new(1 << 16);
  for (size_t i = 0; i < COUNT_OF(forbidden); i++) {
    const uint32_t points[] = {forbidden[i].first - 1, forbidden[i].first, forbidden[i].last, forbidden[i].last + 1};
    for (size_t k = 0; k < COUNT_OF(points); k++) {
      char text[32];
      name_t n;
      bool good = (k == 0 || k == 3) && points[k] >= 0x80 && points[k] <= 0x10ffff;
      if (points[k] < 0x80) continue;
      put_point(text, points[k]);
      if (rc_ok(names_parse(a, slice_str(text), &n, NULL)) != good) fail_msg("U+%04X: %s", points[k], text);
    }
  }
  assert_string_equal(name_kind_text(NAME_REGISTERED_ID), "registeredID");
  assert_string_equal(name_kind_text((name_kind_t)(NAME_REGISTERED_ID + 1)), "");
}

/* The wording is one of what users see; the limit is in it. */
static void test_wording(void **state)
{
  ARENA_SCOPED arena_t *a = arena_new(1 << 16);
  name_t n;
  err_t e = {0};
  char text[256];
  assert_false(rc_ok(names_parse(a, S("a_b.example.test"), &n, &e)));
  err_format(&e, text, sizeof text);
  assert_string_equal(text, "name has an underscore, which host names may not have (RFC 1123): \"a_b.example.test\"");
  e = (err_t){0};
  assert_true(rc_is(names_parse(a, S(L63 "a.test"), &n, &e), RC_FULL));
  err_format(&e, text, sizeof text);
  assert_non_null(strstr(text, "has a label longer than 63 characters"));
}

static void test_wire(void **state)
{
  static const struct {
    name_kind_t kind;
    const char *bytes;
    size_t n;
    const char *why;
    name_kind_t becomes;
  } rows[] = {
    {NAME_DNS, "A.test.", 7, "", NAME_DNS},
    {NAME_DNS, "192.0.2.1", 9, "", NAME_IP},
    {NAME_DNS, "::1", 3, "", NAME_IP},
    {NAME_DNS, "", 0, "name_empty", 0},
    {NAME_DNS, "a\0.test", 7, "name_character", 0},
    {NAME_DNS, "xn--\xff.example.test", 18, "name_not_ascii", 0},
    {NAME_DNS, "a@b.test", 8, "name_character", 0},
    {NAME_DNS, "http://x", 8, "name_character", 0},
    {NAME_IP, "\xc0\0\2\1", 4, "", NAME_IP},
    {NAME_IP, "\xc0\0\2", 3, "name_ip", 0},
    {NAME_IP, "\xc0\0\2\1\xff\xff\xff\0", 8, "name_ip", 0},
    {NAME_EMAIL, "a@b.test", 8, "", NAME_EMAIL},
    {NAME_EMAIL, "b.test", 6, "name_email", 0},
    {NAME_URI, "sip:x", 5, "", NAME_URI},
    {NAME_URI, "/a", 2, "name_uri", 0},
    {NAME_OTHER, "x", 1, "name_kind", 0},
    {NAME_DIRECTORY, "0\0", 2, "name_kind", 0},
    {NAME_REGISTERED_ID, "\x2a", 1, "name_kind", 0},
  };
  ARENA_SCOPED arena_t *a = arena_new(1 << 16);
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    name_t n;
    err_t e = {0};
    rc_t r = names_from_wire(a, rows[i].kind, slice_of(rows[i].bytes, rows[i].n), &n, &e);
    if (strcmp(e.reason ? e.reason : "", rows[i].why) != 0)
      fail_msg("row %zu: %s", i, e.reason ? e.reason : "accepted");
    if (rc_ok(r)) assert_int_equal(n.kind, rows[i].becomes);
  }
}

static void test_lists(void **state)
{
  ARENA_SCOPED arena_t *a = arena_new(1 << 20);
  slice_t texts[] = {S("Www.Example.TEST"), S("www.example.test"), S("192.0.2.1"), S("www.example.test."), S("a@b.test")};
  names_t all, sub;
  err_t e = {0};
  assert_true(rc_ok(names_parse_all(a, texts, COUNT_OF(texts), "sans", &all, &e)));
  assert_int_equal(all.n, 3);
  assert_true(slice_is(all.v[0].text, "www.example.test") && slice_is(all.v[1].text, "192.0.2.1"));
  assert_true(rc_ok(names_parse_all(a, texts + 2, 2, "sans", &sub, &e)));
  assert_null(names_missing(sub, all));
  assert_ptr_equal(names_missing(all, sub), &all.v[2]);
  slice_t bad[] = {S("a.test"), S("a_b")};
  assert_false(rc_ok(names_parse_all(a, bad, 2, "sans", &all, &e)));
  assert_string_equal(e.field, "sans");
  assert_int_equal(all.n, 3);

  slice_t many[LIM_CERT_NAMES + 2];
  for (size_t i = 0; i < COUNT_OF(many); i++) many[i] = arena_printf(a, "n%zu.test", i < LIM_CERT_NAMES ? i : 0);
  assert_true(rc_ok(names_parse_all(a, many, COUNT_OF(many), "sans", &all, &e)));
  assert_int_equal(all.n, LIM_CERT_NAMES);
  many[0] = S("other.test");
  e = (err_t){0};
  assert_true(rc_is(names_parse_all(a, many, COUNT_OF(many), "sans", &all, &e), RC_FULL));
  assert_string_equal(e.reason, "name_count");
  assert_int_equal(e.limit, LIM_CERT_NAMES);

  name_t twice[] = {sub.v[0], sub.v[1], sub.v[0]};
  assert_true(rc_ok(names_dedupe(a, (names_t){twice, 3}, &all)));
  assert_int_equal(all.n, 2);
}

static void test_covers(void **state)
{
  static const struct {
    const char *pattern, *host;
    bool covered;
  } rows[] = {
    {"a.test", "a.test", true},          {"*.example.test", "a.example.test", true}, {"*.example.test", "a.b.example.test", false},
    {"*.example.test", "example.test", false}, {"a.test", "b.test", false},          {"*.example.test", "*.example.test", true},
    {"192.0.2.1", "192.0.2.1", true},    {"*.0.2.1.test", "192.0.2.1", false},       {"*.a.example.test", "*.example.test", false},
  };
  ARENA_SCOPED arena_t *a = arena_new(1 << 16);
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    name_t p, h;
    assert_true(rc_ok(names_parse(a, slice_str(rows[i].pattern), &p, NULL)) && rc_ok(names_parse(a, slice_str(rows[i].host), &h, NULL)));
    if (name_covers(&p, &h) != rows[i].covered) fail_msg("%s over %s", rows[i].pattern, rows[i].host);
  }
  const name_t wild = {NAME_DNS, S("*.example.test"), S("")}, host = {NAME_DNS, S("a.example.test"), S("")};
  const name_t other_wild = {NAME_URI, wild.bytes, S("")}, other = {NAME_URI, host.bytes, S("")};
  assert_true(name_covers(&wild, &host));
  assert_false(name_covers(&wild, &other) || name_covers(&other_wild, &host)); /* DNS names alone have wildcards */
}

/* Out of memory at any point is RC_NOMEM and leaves the output alone. */
static void test_memory(void **state)
{
  static const char *const texts[] = {"a.test", "192.0.2.1", "a@b.test", "http://a.test/"};
  for (size_t i = 0; i < COUNT_OF(texts); i++) {
    bool done = false;
    for (size_t budget = 0; !done; budget += 16) {
      ARENA_SCOPED arena_t *a = arena_new(budget);
      name_t n = {.kind = NAME_EDI};
      rc_t r = names_parse(a, slice_str(texts[i]), &n, NULL);
      done = rc_ok(r);
      assert_true(budget < 64 && (done ? budget > 0 : rc_is(r, RC_NOMEM)));
      assert_int_equal(n.kind == NAME_EDI, !done);
      if (done) assert_true(n.bytes.p && n.text.p);
    }
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_accepted), cmocka_unit_test(test_refused), cmocka_unit_test(test_longest_uri),
    cmocka_unit_test(test_points), cmocka_unit_test(test_wording), cmocka_unit_test(test_wire),
    cmocka_unit_test(test_lists),    cmocka_unit_test(test_covers),  cmocka_unit_test(test_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
