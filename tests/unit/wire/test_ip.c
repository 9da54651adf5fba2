/* Addresses and prefixes; the texts come from RFC 4291 2.2 and RFC 5952 4, and the system's parser is the witness. */
#include "base/check.h"
#include "base/mem.h"
#include "wire/ip.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void test_canonical(void **state)
{
  static const char *const rows[][2] = {
    {"0.0.0.0", "0.0.0.0"},
    {"255.255.255.255", "255.255.255.255"},
    {"::", "::"},
    {"::1", "::1"},
    {"1::", "1::"},
    {"2001:DB8:0:0:8:800:200C:417A", "2001:db8::8:800:200c:417a"},
    {"FF01:0:0:0:0:0:0:101", "ff01::101"},
    {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
    {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
    {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
    {"0:0:0:0:0:0:13.1.68.3", "::d01:4403"},
    {"::FFFF:129.144.52.38", "::ffff:129.144.52.38"},
    {"::ffff:0:0", "::ffff:0.0.0.0"},
    {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
    {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
    {"1:0:0:4:0:0:7:8", "1::4:0:0:7:8"},
    {"0:0:3:4:5:6:0:0", "::3:4:5:6:0:0"},
    {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    ip_t ip, again;
    char text[IP_TEXT_MAX];
    assert_true(rc_ok(ip_parse(slice_str(rows[i][0]), &ip)));
    assert_int_equal(ip_format(&ip, text), strlen(rows[i][1]));
    assert_string_equal(text, rows[i][1]);
    assert_true(rc_ok(ip_parse(slice_str(text), &again)) && ip_eq(&ip, &again));
  }
}

static void test_refused(void **state)
{
  static const char *const bad[] = {
    "", " ", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.04", "0x1.2.3.4", "1.2.3.4 ", " 1.2.3.4", "1.2.3.", ".1.2.3",
    "1..2.3", "+1.2.3.4", "1.2.3.4%eth0", "1.2.3.1000", ":", ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "12345::", "g::",
    "::1%lo", "[::1]", "1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", ":1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:", "::1.2.3", "::1.2.3.04",
    "1.2.3.4::", "::1.2.3.4:5", "1:2:3:4:5:6:7:1.2.3.4", "::ffff:1.2.3.4.5", "::/0",
  };
  for (size_t i = 0; i < COUNT_OF(bad); i++) {
    ip_t ip = {.n = 9};
    size_t n = strlen(bad[i]);
    MEM_SCOPED char *copy = mem_alloc(n); /* of its own size, so that the sanitizer sees a look behind the end */
    memcpy(copy, bad[i], n);
    if (rc_ok(ip_parse(slice_of(copy, n), &ip))) fail_msg("accepted %s", bad[i]);
    assert_int_equal(ip.n, 9);
  }
  ip_t ip;
  assert_false(rc_ok(ip_parse(S("1:2:3:4:5:6:7::8"), &ip)));
  assert_false(rc_ok(ip_parse(S("1.2.3.4\0"), &ip)));
  ip_t a, b;
  assert_true(rc_ok(ip_parse(S("1.2.3.4"), &a)) && rc_ok(ip_parse(S("102:304::"), &b)));
  assert_memory_equal(a.b, b.b, 4);
  assert_false(ip_eq(&a, &b)); /* the same first bytes in the other family */
  assert_true(rc_ok(ip_parse(S("1.2.3.5"), &b)) && !ip_eq(&a, &b) && ip_eq(&a, &a));
}

/* Random text of the right letters: we accept nothing that inet_pton refuses, and agree on the bytes. */
static void test_agrees_with_system(void **state)
{
  static const char letters[] = "0123456789abF:::::....";
  uint32_t x = 99;
  size_t accepted = 0;
  for (int k = 0; k < 400000; k++) {
    char text[20];
    x = x * 1664525 + 1013904223;
    size_t n = 2 + (x >> 24) % 16;
    for (size_t i = 0; i < n; i++) {
      x = x * 1664525 + 1013904223;
      text[i] = letters[(x >> 16) % (sizeof letters - 1)];
    }
    text[n] = 0;
    ip_t ip;
    uint8_t sys[16];
    int family = strchr(text, ':') ? AF_INET6 : AF_INET;
    bool theirs = inet_pton(family, text, sys) == 1, ours = rc_ok(ip_parse(slice_str(text), &ip));
    if (ours != theirs) fail_msg("%s: ours %d, the system's %d", text, ours, theirs);
    if (!ours) continue;
    accepted++;
    assert_memory_equal(ip.b, sys, ip.n);
    char mine[IP_TEXT_MAX], system_text[INET6_ADDRSTRLEN];
    ip_format(&ip, mine);
    assert_non_null(inet_ntop(family, ip.b, system_text, sizeof system_text));
    ip_t back;
    assert_true(rc_ok(ip_parse(slice_str(mine), &back)) && ip_eq(&ip, &back));
    if (!strchr(system_text, '.')) assert_string_equal(mine, system_text); /* it still writes ::1.2.3.4 (deprecated) */
  }
  assert_true(accepted > 500);
}

static void test_bytes(void **state)
{
  ip_t ip = {.n = 9};
  char text[IP_TEXT_MAX];
  static const uint8_t octets[17] = {192, 0, 2, 1};
  for (size_t n = 0; n <= sizeof octets; n++) {
    bool good = n == 4 || n == 16;
    ip.n = 9;
    assert_int_equal(rc_ok(ip_from_bytes(slice_of(octets, n), &ip)), good);
    assert_int_equal(ip.n, good ? n : 9);
    if (good) ip_format(&ip, text);
    if (good) assert_string_equal(text, n == 4 ? "192.0.2.1" : "c000:201::");
  }
}

static void test_cidr(void **state)
{
  static const char *const good[] = {"10.0.0.0/8", "0.0.0.0/0", "192.0.2.1/32", "2001:db8::/32", "::/0", "fe80::/10", "::1/128"};
  for (size_t i = 0; i < COUNT_OF(good); i++) {
    cidr_t c;
    char text[IP_TEXT_MAX + 4];
    assert_true(rc_ok(cidr_parse(slice_str(good[i]), &c)));
    (void)snprintf(text + ip_format(&c.ip, text), 5, "/%u", c.bits);
    assert_string_equal(text, good[i]);
    assert_true(cidr_contains(&c, &c.ip));
  }
  static const struct {
    const char *text;
    int32_t code;
  } bad[] = {
    {"10.0.0.0", RC_SYNTAX},     {"10.0.0.0/", RC_SYNTAX},  {"10.0.0.0/33", RC_SYNTAX}, {"10.0.0.0/08", RC_SYNTAX},
    {"10.0.0.1/8", RC_INVALID},  {"::1/127", RC_INVALID},   {"::/129", RC_SYNTAX},      {"10.0.0.0/-1", RC_SYNTAX},
    {"10.0.0.0/8/8", RC_SYNTAX}, {"10.0.0.0/ 8", RC_SYNTAX}, {"/8", RC_SYNTAX},         {"::/00", RC_SYNTAX},
  };
  for (size_t i = 0; i < COUNT_OF(bad); i++) {
    cidr_t c;
    assert_int_equal(cidr_parse(slice_str(bad[i].text), &c).code, bad[i].code);
  }
  static const struct {
    const char *cidr, *ip;
    bool in;
  } rows[] = {
    {"10.0.0.0/8", "10.255.1.2", true},       {"10.0.0.0/8", "11.0.0.0", false},      {"192.168.128.0/17", "192.168.255.0", true},
    {"192.168.128.0/17", "192.168.127.255", false}, {"0.0.0.0/0", "1.2.3.4", true},    {"0.0.0.0/0", "::1", false},
    {"2001:db8::/33", "2001:db8:7fff::", true}, {"2001:db8::/33", "2001:db8:8000::", false},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    cidr_t c;
    ip_t ip;
    assert_true(rc_ok(cidr_parse(slice_str(rows[i].cidr), &c)) && rc_ok(ip_parse(slice_str(rows[i].ip), &ip)));
    assert_int_equal(cidr_contains(&c, &ip), rows[i].in);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_canonical),
    cmocka_unit_test(test_refused),
    cmocka_unit_test(test_agrees_with_system),
    cmocka_unit_test(test_bytes),
    cmocka_unit_test(test_cidr),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
