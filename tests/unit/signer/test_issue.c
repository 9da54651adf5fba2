#include "fixture.h"

#include "csrs.h"

static const slice_t www[] = {{(const uint8_t *)"www.example.com", 15}};

static slice_t sample(fixture_t *f, const char *name)
{
  for (size_t i = 0; i < COUNT_OF(sample_csrs); i++) {
    if (strcmp(sample_csrs[i].name, name) != 0) continue;
    size_t n = strlen(sample_csrs[i].hex) / 2, got;
    uint8_t *p = (uint8_t *)arena_alloc(f->arena, n);
    assert_non_null(p);
    assert_true(rc_ok(hex_decode(slice_str(sample_csrs[i].hex), p, n, &got)));
    return slice_of(p, got);
  }
  fail_msg("no sample %s", name);
  return (slice_t){NULL, 0};
}

static sign_request_t request_for(fixture_t *f, const char *csr, const char *ref)
{
  return (sign_request_t){.ref = arena_dup(f->arena, slice_str(ref)), .issuer = S("iss-local"), .csr_der = sample(f, csr), .names = {www, 1},
                          .lifetime_s = 86400};
}

/* What a CSR may ask beside its names, and what not; the leaf never has what was only wished. */
static void test_extension_requests(void **state)
{
  static const struct {
    const char *csr, *reason, *field; /* reason NULL: signed */
    bool must_staple;
  } rows[] = {
      {"san", NULL, NULL, false},
      {"basic_false", NULL, NULL, false},
      {"ski", NULL, NULL, false},
      {"staple", NULL, NULL, true},
      {"staple", "csr_extension", "tlsFeature", false},
      {"ca_true", "csr_ca", NULL, false},
      {"cert_sign", "csr_extension", "keyUsage", false},
      {"code_sign", "csr_extension", "extKeyUsage", false},
      {"constraints", "csr_extension", NULL, false},
      {"policy", "csr_extension", NULL, false},
      {"unknown", "csr_extension", NULL, false},
      {"dirname", "name_kind", NULL, false},
      {"weak", "ceiling_key", "key", false},
      {"trailing", "der_trailing", NULL, false},
  };
  fixture_t f;
  fixture_start(&f, (slice_t){NULL, 0});
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    char ref[32];
    err_t e = {0};
    sign_answer_t a;
    cert_t leaf;
    (void)snprintf(ref, sizeof ref, "row-%zu", i);
    sign_request_t rq = request_for(&f, rows[i].csr, ref);
    rq.must_staple = rows[i].must_staple;
    rc_t r = signer_sign(f.client, &rq, f.arena, &a, &e);
    if (rows[i].reason) {
      assert_false(rc_ok(r));
      assert_string_equal(e.reason, rows[i].reason);
      if (rows[i].field) assert_string_equal(e.field, rows[i].field);
      continue;
    }
    must_be_ok(r, &e);
    must_be_ok(cert_parse(f.arena, a.der, &leaf, &e), &e);
    assert_false(leaf.is_ca);
    assert_int_equal(leaf.must_staple, rows[i].must_staple);
    assert_int_equal(leaf.nekus, 2);
    assert_int_equal(leaf.key_usage, KU_DIGITAL_SIGNATURE);
  }
  fixture_stop(&f);
}

static void test_common_names(void **state)
{
  static const struct {
    const char *cn, *reason;
  } rows[] = {
      {"", NULL},
      {"www.example.com", NULL},
      {"WWW.Example.com.", NULL},
      {"Shop of the house", NULL},
      {"St. Example Inc.", NULL},
      {"gateway", "common_name_not_asked"}, /* a single label is a name */
      {"10.0.0.1", "common_name_not_asked"},
      {"*.com", "common_name_form"},
      {"b\xc3\xbc" "cher.example", "common_name_form"},
      {"two\nlines", "common_name_form"},
      {"caf\xc3 bar", "common_name_form"},
  };
  fixture_t f;
  fixture_start(&f, (slice_t){NULL, 0});
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    char ref[32];
    err_t e = {0};
    sign_answer_t a;
    cert_t leaf;
    slice_t cn;
    (void)snprintf(ref, sizeof ref, "cn-%zu", i);
    sign_request_t rq = request_for(&f, "san", ref);
    rq.common_name = slice_str(rows[i].cn);
    rc_t r = signer_sign(f.client, &rq, f.arena, &a, &e);
    if (rows[i].reason) {
      assert_false(rc_ok(r));
      assert_string_equal(e.reason, rows[i].reason);
      continue;
    }
    must_be_ok(r, &e);
    must_be_ok(cert_parse(f.arena, a.der, &leaf, &e), &e);
    must_be_ok(dn_cn(f.arena, &leaf.subject, &cn), NULL);
    assert_true(slice_is(cn, i == 2 ? "www.example.com" : rows[i].cn));
  }
  fixture_stop(&f);
}

/* Names the request has and the CSR does not are fine; an address spelled as dNSName is that address. */
static void test_names_of_the_csr_are_a_subset(void **state)
{
  static const slice_t two[] = {{(const uint8_t *)"www.example.com", 15}, {(const uint8_t *)"10.0.0.7", 8}};
  static const slice_t other[] = {{(const uint8_t *)"other.example.com", 17}};
  fixture_t f;
  err_t e = {0};
  sign_answer_t a;
  cert_t leaf;
  fixture_start(&f, (slice_t){NULL, 0});
  sign_request_t rq = request_for(&f, "san", "n1");
  rq.names = (texts_t){two, 2};
  must_be_ok(signer_sign(f.client, &rq, f.arena, &a, &e), &e);
  must_be_ok(cert_parse(f.arena, a.der, &leaf, &e), &e);
  assert_int_equal(leaf.sans.n, 2);
  assert_int_equal(leaf.sans.v[1].kind, NAME_IP);
  rq = request_for(&f, "san", "n2");
  rq.names = (texts_t){other, 1};
  assert_true(rc_is(signer_sign(f.client, &rq, f.arena, &a, &e), RC_DENIED));
  assert_string_equal(e.reason, "name_not_asked");
  assert_string_equal(e.value, "www.example.com");
  e = (err_t){0};
  rq = request_for(&f, "san", "n3");
  rq.names = (texts_t){NULL, 0};
  assert_false(rc_ok(signer_sign(f.client, &rq, f.arena, &a, &e)));
  fixture_stop(&f);
}

static void test_time_is_clamped_to_the_ca_and_ends_with_it(void **state)
{
  fixture_t f;
  err_t e = {0};
  sign_answer_t a;
  fixture_start(&f, (slice_t){NULL, 0});
  us_t begun = f.now;
  f.now = us_add_s(begun, (10 * 365 + 1) * INT64_C(86400));
  sign_request_t rq = request_for(&f, "san", "t1");
  rq.lifetime_s = 90 * 86400;
  must_be_ok(signer_sign(f.client, &rq, f.arena, &a, &e), &e);
  assert_true(a.not_after.us < us_add_s(f.now, 2 * 86400).us);
  f.now = us_add_s(begun, 11 * 365 * INT64_C(86400));
  rq.ref = S("t2");
  assert_false(rc_ok(signer_sign(f.client, &rq, f.arena, &a, &e)));
  assert_string_equal(e.reason, "ca_expired");
  fixture_stop(&f);
}

static void test_limits_of_a_request(void **state)
{
  static char long_text[2000];
  fixture_t f;
  err_t e = {0};
  sign_answer_t a;
  memset(long_text, 'r', sizeof long_text);
  fixture_start(&f, (slice_t){NULL, 0});
  sign_request_t rq = request_for(&f, "san", "x");
  rq.ref = slice_of(long_text, 129);
  assert_true(rc_is(signer_sign(f.client, &rq, f.arena, &a, &e), RC_FULL));
  assert_string_equal(e.reason, "request_too_large");
  rq.ref = (slice_t){NULL, 0};
  e = (err_t){0};
  assert_true(rc_is(signer_sign(f.client, &rq, f.arena, &a, &e), RC_INVALID));
  assert_string_equal(e.reason, "ref_length");
  rq = request_for(&f, "san", "x");
  rq.context = slice_of(long_text, LIM_SIGN_CONTEXT + 1);
  e = (err_t){0};
  assert_true(rc_is(signer_sign(f.client, &rq, f.arena, &a, &e), RC_FULL));
  rq.context = slice_of(long_text, LIM_SIGN_CONTEXT);
  must_be_ok(signer_sign(f.client, &rq, f.arena, &a, &e), &e);
  fixture_stop(&f);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_extension_requests),
      cmocka_unit_test(test_common_names),
      cmocka_unit_test(test_names_of_the_csr_are_a_subset),
      cmocka_unit_test(test_time_is_clamped_to_the_ca_and_ends_with_it),
      cmocka_unit_test(test_limits_of_a_request),
  };
  log_setup(LOG_ERROR, false);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
