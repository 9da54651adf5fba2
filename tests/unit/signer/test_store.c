#include "folder.h"

#include "wire/pem.h"

static const us_t now = {INT64_C(1790000000) * US_PER_S};

static store_t store_of(fixture_t *f, const char *passphrase)
{
  return (store_t){&f->dir, slice_str(passphrase), &rng_system};
}

static void test_a_ca_comes_back_as_it_was_made(void **state)
{
  err_t e = {0};
  ca_t *made, *loaded;
  store_t s = store_of(&fx, "one");
  assert_true(rc_is(store_ca_load(&s, S("iss-local"), &made, &e), RC_NOTFOUND));
  e = (err_t){0};
  must_be_ok(store_ca_make(&s, S("iss-local"), S("House CA"), ceiling_default(), now, &made, &e), &e);
  must_be_ok(store_ca_load(&s, S("iss-local"), &loaded, &e), &e);
  assert_true(slice_eq(made->cert.der, loaded->cert.der));
  assert_true(slice_eq(made->pem, loaded->pem));
  assert_true(slice_eq(made->ceiling.text, loaded->ceiling.text));
  assert_true(key_match(loaded->key, made->cert.spki.raw));
  assert_true(made->cert.is_ca);
  assert_int_equal(made->cert.path_len, 0);
  assert_int_equal(made->cert.key_usage, KU_CERT_SIGN | KU_CRL_SIGN);
  assert_int_equal(made->cert.spki.parts.kind, KEY_P256);
  int64_t days = (made->cert.not_after.us - made->cert.not_before.us) / US_PER_S / 86400;
  assert_in_range(days, 3650, 3653);
  ca_free(made);
  ca_free(loaded);
}

static void test_wrong_passphrase_foreign_name_and_changed_bytes(void **state)
{
  err_t e = {0};
  ca_t *ca;
  store_t s = store_of(&fx, "one"), wrong = store_of(&fx, "two");
  must_be_ok(store_ca_make(&s, S("iss-local"), S("House CA"), ceiling_default(), now, &ca, &e), &e);
  ca_free(ca);
  assert_true(rc_is(store_ca_load(&wrong, S("iss-local"), &ca, &e), RC_CRYPTO));
  must_be_ok(file_rename(&fx.dir, "ca-iss-local.sealed", &fx.dir, "ca-iss-other.sealed", NULL), NULL);
  assert_true(rc_is(store_ca_load(&s, S("iss-other"), &ca, &e), RC_CRYPTO)); /* one CA cannot pass for another */
  buf_t bytes = buf_on(fx.arena, 1 << 20);
  must_be_ok(file_read(&fx.dir, "ca-iss-other.sealed", 1 << 20, &bytes, NULL), NULL);
  for (size_t i = 0; i < bytes.n; i += 311) {
    bytes.p[i] ^= 4;
    must_be_ok(file_write(&fx.dir, "ca-iss-local.sealed", buf_slice(&bytes), FILE_PRIVATE, NULL), NULL);
    assert_false(rc_ok(store_ca_load(&s, S("iss-local"), &ca, &e)));
    bytes.p[i] ^= 4;
  }
  assert_null(memmem(bytes.p, bytes.n, "PRIVATE KEY", 11));
  assert_null(memmem(bytes.p, bytes.n, "House CA", 8));
}

static void test_issuer_names_that_are_no_file_names(void **state)
{
  static const char *const rows[] = {"", ".", "..", ".hidden", "a/b", "../x", "a b", "a\nb",
                                     "0123456789012345678901234567890123456789012345678901234567890123456789"};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    err_t e = {0};
    assert_true(rc_is(store_issuer_check(slice_str(rows[i]), &e), RC_INVALID));
    assert_string_equal(e.reason, "issuer_name");
  }
  static const char longest[] = "01234567890123456789012345678901234567890123456789012345678901234";
  assert_true(rc_ok(store_issuer_check(S("iss-local"), NULL)));
  assert_true(rc_ok(store_issuer_check(S("A.b_c-9"), NULL)));
  assert_true(rc_ok(store_issuer_check(slice_of(longest, 64), NULL)));
  assert_false(rc_ok(store_issuer_check(slice_of(longest, 65), NULL)));
}

static void test_ceiling_is_exchanged_under_the_same_key(void **state)
{
  static const char narrow[] = "{\"names\":{\"dns\":[],\"ip\":[],\"email\":[],\"uri\":[]},\"max_lifetime_s\":60,\"keys\":[],\"usages\":[],\"path_len\":0}";
  static const char deep[] = "{\"names\":{\"dns\":[],\"ip\":[],\"email\":[],\"uri\":[]},\"max_lifetime_s\":60,\"keys\":[],\"usages\":[],\"path_len\":1}";
  err_t e = {0};
  ca_t *before, *after;
  store_t s = store_of(&fx, "one");
  must_be_ok(store_ca_make(&s, S("iss-local"), S("House CA"), ceiling_default(), now, &before, &e), &e);
  must_be_ok(store_ca_set_ceiling(&s, S("iss-local"), slice_str(narrow), &e), &e);
  assert_true(rc_is(store_ca_set_ceiling(&s, S("iss-local"), slice_str(deep), &e), RC_INVALID));
  assert_string_equal(e.reason, "ca_path_len");
  must_be_ok(store_ca_load(&s, S("iss-local"), &after, &e), &e);
  assert_true(slice_eq(before->cert.der, after->cert.der));
  assert_int_equal(after->ceiling.max_lifetime_s, 60);
  ca_free(before);
  ca_free(after);
}

/* A CA certificate of `key` with this common name, or a leaf signed by itself, as PEM. */
static slice_t ca_pem(fixture_t *f, sigkey_t *key, us_t from, us_t to, int32_t path_len)
{
  err_t e = {0};
  uint8_t serial[EMIT_SERIAL];
  buf_t tbs = buf_on(f->arena, 8192), der = buf_on(f->arena, 8192), pem = buf_on(f->arena, 16384);
  emit_serial(&rng_system, serial);
  ca_spec_t spec = {.serial = {serial, sizeof serial}, .not_before = from, .not_after = to, .common_name = S("House Root"), .path_len = path_len};
  must_be_ok(ca_tbs_emit(&spec, key, &tbs, &e), &e);
  must_be_ok(cert_sign(buf_slice(&tbs), key, &der), NULL);
  pem_emit(&pem, "CERTIFICATE", buf_slice(&der));
  return buf_slice(&pem);
}

static slice_t key_pem(fixture_t *f, sigkey_t *key)
{
  err_t e = {0};
  SECRET_SCOPED secret_t pem = {0};
  must_be_ok(key_to_pem(key, &pem, &e), &e);
  return arena_dup(f->arena, slice_of(pem.p, pem.n));
}

static slice_t both(fixture_t *f, slice_t a, slice_t b)
{
  return arena_printf(f->arena, "%.*s%.*s", SLICE_ARG(a), SLICE_ARG(b));
}

static void test_import(void **state)
{
  ca_t *ca;
  store_t s = store_of(&fx, "one");
  KEY_SCOPED sigkey_t *key = fixture_key(KEY_P384, 0), *other = fixture_key(KEY_P256, 0);
  us_t later = us_add_s(now, 86400), earlier = us_add_s(now, -86400);
  slice_t good = ca_pem(&fx, key, earlier, later, -1);
  const struct {
    slice_t cert, key;
    const char *reason; /* NULL: imported */
  } rows[] = {
      {good, key_pem(&fx, key), NULL},
      {both(&fx, good, ca_pem(&fx, other, earlier, later, -1)), key_pem(&fx, key), "ca_chain"},
      {good, key_pem(&fx, other), "ca_key"},
      {S("no certificate"), key_pem(&fx, key), "ca_missing"},
      {good, S("no key"), "key_pem_missing"},
      {ca_pem(&fx, key, earlier, us_add_s(now, -1), -1), key_pem(&fx, key), "ca_dates"},
      {ca_pem(&fx, key, us_add_s(now, 1), later, -1), key_pem(&fx, key), "ca_dates"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    err_t e = {0};
    rc_t r = store_ca_import(&s, S("iss-local"), rows[i].cert, rows[i].key, ceiling_default(), now, &ca, &e);
    if (rows[i].reason) {
      assert_false(rc_ok(r));
      assert_string_equal(e.reason, rows[i].reason);
      continue;
    }
    must_be_ok(r, &e);
    assert_true(slice_eq(ca->pem, good));
    ca_free(ca);
  }
  err_t e = {0};
  must_be_ok(store_ca_load(&s, S("iss-local"), &ca, &e), &e); /* refused imports left the first one alone */
  assert_true(slice_eq(ca->pem, good));
  ca_free(ca);
}

static void test_passphrase_is_made_once(void **state)
{
  err_t e = {0};
  secret_t a = {0}, b = {0};
  file_info_t info;
  must_be_ok(store_passphrase(&fx.dir, &rng_system, &a, &e), &e);
  must_be_ok(store_passphrase(&fx.dir, &rng_system, &b, &e), &e);
  assert_int_equal(a.n, 64);
  assert_true(secret_eq(slice_of(a.p, a.n), slice_of(b.p, b.n)));
  secret_fini(&a);
  secret_fini(&b);
  must_be_ok(file_info(&fx.dir, "passphrase", &info, &e), &e);
  assert_int_equal(info.mode, 0600);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, fresh, gone)
      T(test_a_ca_comes_back_as_it_was_made),
      T(test_wrong_passphrase_foreign_name_and_changed_bytes),
      cmocka_unit_test(test_issuer_names_that_are_no_file_names),
      T(test_ceiling_is_exchanged_under_the_same_key),
      T(test_import),
      T(test_passphrase_is_made_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
