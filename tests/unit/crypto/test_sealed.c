/* Key files: what they must be made of, and what must not open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "crypto/sealed.h"

static rng_t rng;
static uint64_t rng_state = 42;

static void assert_secret(secret_t *s, slice_t want)
{
  assert_true(secret_eq(slice_of(s->p, s->n), want));
  secret_fini(s);
}

static void round_trip(void **state)
{
  buf_t b = buf_heap(4096);
  err_t e = {0};
  secret_t s = {0};
  assert_true(rc_ok(sealed_seal(S("pw"), S("iss-local"), S("key material"), &rng, &b, &e)));
  assert_true(rc_ok(sealed_open(S("pw"), S("iss-local"), buf_slice(&b), &s, &e)));
  assert_secret(&s, S("key material"));
  assert_true(rc_is(sealed_open(S("pw"), S("iss-other"), buf_slice(&b), &s, &e), RC_CRYPTO));
  assert_string_equal(e.reason, "sealed_open");
  assert_true(rc_is(sealed_open(S("pv"), S("iss-local"), buf_slice(&b), &s, &e), RC_CRYPTO));
  assert_null(s.p);

  buf_t none = buf_heap(4096);
  assert_true(rc_ok(sealed_seal(S("pw"), S(""), S(""), &rng, &none, &e)));
  assert_true(rc_ok(sealed_open(S("pw"), S(""), buf_slice(&none), &s, &e)));
  assert_secret(&s, S(""));
  assert_true(rc_is(sealed_open(S("pw"), S(""), slice_of(none.p, none.n - 1), &s, &e), RC_SYNTAX));
  buf_fini(&none);

  assert_true(rc_is(sealed_seal(S(""), S(""), S("x"), &rng, &b, &e), RC_INVALID));
  assert_string_equal(e.reason, "passphrase_empty");
  assert_true(rc_is(sealed_open(S(""), S("iss-local"), buf_slice(&b), &s, &e), RC_INVALID));

  /* Two seals of the same text share neither salt nor nonce. */
  buf_t c = buf_heap(4096);
  assert_true(rc_ok(sealed_seal(S("pw"), S("iss-local"), S("key material"), &rng, &c, &e)));
  assert_memory_not_equal(b.p + 11, c.p + 11, 28);
  buf_fini(&c);
  buf_fini(&b);
}

/* Magic, parameters, salt, nonce, text and tag all count. Cheaper parameters do not open, dear ones are not tried. */
static void every_part_counts(void **state)
{
  static const size_t parts[] = {0, 8, 11, 27, 39};
  buf_t b = buf_heap(4096);
  secret_t s = {0};
  assert_true(rc_ok(sealed_seal(S("pw"), S("a"), S("k"), &rng, &b, NULL)));
  assert_int_equal(b.n, 56);
  for (size_t j = 0; j < COUNT_OF(parts); j++) {
    size_t i = parts[j];
    b.p[i] ^= 1;
    err_t e = {0};
    rc_t r = sealed_open(S("pw"), S("a"), buf_slice(&b), &s, &e);
    assert_int_equal(r.code, i < 8 ? RC_SYNTAX : RC_CRYPTO);
    assert_string_equal(e.reason, i < 8 ? "sealed_format" : "sealed_open");
    b.p[i] ^= 1;
  }
  b.p[8] = 60;
  assert_true(rc_is(sealed_open(S("pw"), S("a"), buf_slice(&b), &s, NULL), RC_CRYPTO));
  b.p[8] = 15;
  assert_true(rc_is(sealed_open(S("pw"), S("a"), slice_of(b.p, 50), &s, NULL), RC_SYNTAX));
  assert_true(rc_ok(sealed_open(S("pw"), S("a"), buf_slice(&b), &s, NULL)));
  assert_secret(&s, S("k"));
  uint8_t big[257] = {0};
  assert_true(rc_is(sealed_seal(S("pw"), slice_of(big, 257), S("k"), &rng, &b, NULL), RC_FULL));
  assert_true(rc_ok(sealed_seal(S("pw"), slice_of(big, 256), S("k"), &rng, &b, NULL)));
  buf_fini(&b);
}

/* A file put together by the library alone, from the layout: "plain" for "name" under "pw", its key at these costs. */
static slice_t library_file(uint8_t file[8 + 3 + 16 + 12 + 5 + 16], uint8_t log2_n, uint8_t r, uint8_t p)
{
  uint8_t key[32], *salt = file + 11, *nonce = salt + 16, *text = nonce + 12;
  int n = 0;
  memcpy(file, "CCSEAL1\n", 8);
  memcpy(file + 8, (const uint8_t[]){log2_n, r, p}, 3);
  memset(salt, 0x11, 16);
  memset(nonce, 0x22, 12);
  assert_int_equal(EVP_PBE_scrypt("pw", 2, salt, 16, UINT64_C(1) << log2_n, r, p, 512 << 20, key, sizeof key), 1);
  EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
  assert_int_equal(EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, nonce), 1);
  assert_int_equal(EVP_EncryptUpdate(c, NULL, &n, file, 8 + 3 + 16 + 12), 1);
  assert_int_equal(EVP_EncryptUpdate(c, NULL, &n, (const uint8_t *)"name", 4), 1);
  assert_int_equal(EVP_EncryptUpdate(c, text, &n, (const uint8_t *)"plain", 5), 1);
  assert_int_equal(EVP_EncryptFinal_ex(c, text + 5, &n), 1);
  assert_int_equal(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, 16, text + 5), 1);
  EVP_CIPHER_CTX_free(c);
  return slice_of(file, 8 + 3 + 16 + 12 + 5 + 16);
}

/* Files of earlier versions must open for ever; what costs too much to try does not. */
static void layout_and_costs_are_kept(void **state)
{
  static const struct {
    uint8_t log2_n, r, p;
    bool opens;
  } v[] = {
    {15, 8, 1, true},   {1, 64, 16, true}, {18, 2, 1, true}, /* 64 MiB */
    {1, 65, 1, false},  {1, 1, 17, false}, {19, 2, 1, false}, {16, 9, 1, false},
  };
  for (size_t i = 0; i < COUNT_OF(v); i++) {
    uint8_t file[8 + 3 + 16 + 12 + 5 + 16];
    secret_t s = {0};
    slice_t sealed = library_file(file, v[i].log2_n, v[i].r, v[i].p);
    rc_t r = sealed_open(S("pw"), S("name"), sealed, &s, NULL);
    if (r.code != (v[i].opens ? RC_OK : RC_CRYPTO)) fail_msg("costs %zu: %d", i, r.code);
    if (v[i].opens) assert_secret(&s, S("plain"));
  }
}

int main(void)
{
  rng = rng_seeded(&rng_state);
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(round_trip),
    cmocka_unit_test(every_part_counts),
    cmocka_unit_test(layout_and_costs_are_kept),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
