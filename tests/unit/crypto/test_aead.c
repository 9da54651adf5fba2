/* AES-256-GCM, configuration blobs and key files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "vectors.h"

/* McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 13, 14 and 16. */
static const struct gcm {
  const char *key, *nonce, *aad, *plain, *sealed;
} gcm[] = {
  {"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000", "", "",
   "530f8afbc74536b9a963b4f1c4cb738b"},
  {"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000", "",
   "00000000000000000000000000000000", "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"},
  {"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
   "feedfacedeadbeeffeedfacedeadbeefabaddad2",
   "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
   "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
   "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
   "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b"},
};

static void gcm_vectors(void **state)
{
  for (size_t i = 0; i < COUNT_OF(gcm); i++) {
    vec_t key = vec(gcm[i].key), nonce = vec(gcm[i].nonce), aad = vec(gcm[i].aad), plain = vec(gcm[i].plain);
    vec_t sealed = vec(gcm[i].sealed);
    uint8_t out[256];
    assert_true(rc_ok(aead_seal(key.p, nonce.p, vec_slice(&aad), vec_slice(&plain), out)));
    assert_memory_equal(out, sealed.p, sealed.n);
    assert_true(rc_ok(aead_open(key.p, nonce.p, vec_slice(&aad), vec_slice(&sealed), out)));
    assert_memory_equal(out, plain.p, plain.n);
  }
}

static void gcm_refuses_and_wipes(void **state)
{
  const struct gcm *g = &gcm[2];
  vec_t key = vec(g->key), nonce = vec(g->nonce), aad = vec(g->aad), sealed = vec(g->sealed);
  uint8_t out[256], zero[256] = {0};
  size_t plain_n = sealed.n - AEAD_TAG;
  for (size_t i = 0; i < sealed.n; i++) {
    memset(out, 0xff, sizeof out);
    sealed.p[i] ^= 1;
    assert_true(rc_is(aead_open(key.p, nonce.p, vec_slice(&aad), vec_slice(&sealed), out), RC_CRYPTO));
    assert_memory_equal(out, zero, plain_n);
    sealed.p[i] ^= 1;
  }
  aad.p[0] ^= 1;
  assert_true(rc_is(aead_open(key.p, nonce.p, vec_slice(&aad), vec_slice(&sealed), out), RC_CRYPTO));
  assert_true(rc_is(aead_open(key.p, nonce.p, slice_of(NULL, 0), slice_of(sealed.p, AEAD_TAG - 1), out), RC_CRYPTO));
}

static rng_t rng;
static uint64_t rng_state = 42;

static void assert_secret(secret_t *s, slice_t want)
{
  assert_true(secret_eq(slice_of(s->p, s->n), want));
  secret_fini(s);
}

static void blob_v3_round_trip(void **state)
{
  buf_t b = buf_heap(4096);
  err_t e = {0};
  secret_t s = {0};
  slice_t plain = S("{\"token\":\"x\"}");
  assert_true(rc_ok(blob_seal(S("pass phrase"), plain, &rng, &b, &e)));
  assert_int_equal(b.n, 1 + 16 + 12 + plain.n + 16);
  assert_int_equal(b.p[0], 3);
  assert_true(rc_ok(blob_open(S("pass phrase"), buf_slice(&b), &s, &e)));
  assert_secret(&s, plain);

  assert_true(rc_is(blob_open(S("pass phrasf"), buf_slice(&b), &s, &e), RC_CRYPTO));
  assert_string_equal(e.reason, "blob_open");
  assert_null(s.p);
  buf_fini(&b);
}

/* Old layouts, built here from the format's own description; a v1 blob that begins with 2 or 3 still opens. */
static void blob_v2_v1_open(void **state)
{
  static const struct {
    int version;
    uint8_t first;
  } v[] = {{2, 2}, {1, 0x77}, {1, 3}, {1, 2}};
  for (size_t i = 0; i < COUNT_OF(v); i++) {
    uint8_t blob[128] = {0}, key[AEAD_KEY];
    slice_t salt = S("certctl-config-encryption-v1");
    size_t at = 0;
    if (v[i].version == 2) {
      memset(blob + 1, 0x5a, 16);
      salt = slice_of(blob + 1, 16);
      at = 17;
    }
    memset(blob + at, 0x11, AEAD_NONCE);
    blob[0] = v[i].first;
    assert_true(rc_ok(kdf_pbkdf2_sha256(S("old"), salt, 100000, key, sizeof key)));
    assert_true(rc_ok(aead_seal(key, blob + at, slice_of(NULL, 0), S("secret of 20 octets!"), blob + at + AEAD_NONCE)));
    secret_t s = {0};
    assert_true(rc_ok(blob_open(S("old"), slice_of(blob, at + AEAD_NONCE + 20 + AEAD_TAG), &s, NULL)));
    assert_secret(&s, S("secret of 20 octets!"));
  }
}

static void blob_bad_arguments(void **state)
{
  buf_t b = buf_heap(20);
  err_t e = {0};
  secret_t s = {0};
  assert_true(rc_is(blob_seal(S(""), S("x"), &rng, &b, &e), RC_INVALID));
  assert_string_equal(e.reason, "passphrase_empty");
  assert_true(rc_is(blob_open(S(""), S("x"), &s, &e), RC_INVALID));
  assert_true(rc_is(blob_open(S("p"), S(""), &s, &e), RC_CRYPTO));
  assert_true(rc_is(blob_open(S("p"), S("\3short"), &s, &e), RC_CRYPTO));
  assert_true(rc_is(blob_seal(S("p"), S("x"), &rng, &b, &e), RC_FULL));
  assert_int_equal(b.n, 0);
  buf_fini(&b);
}

static void sealed_round_trip(void **state)
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

  /* Two seals of the same text share neither salt nor nonce. */
  buf_t c = buf_heap(4096);
  assert_true(rc_ok(sealed_seal(S("pw"), S("iss-local"), S("key material"), &rng, &c, &e)));
  assert_memory_not_equal(b.p + 11, c.p + 11, 28);
  buf_fini(&c);
  buf_fini(&b);
}

/* Magic, parameters, salt, nonce, text and tag all count. Cheaper parameters do not open, dear ones are not tried. */
static void sealed_every_part_counts(void **state)
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
  uint8_t big[300] = {0};
  assert_true(rc_is(sealed_seal(S("pw"), slice_of(big, sizeof big), S("k"), &rng, &b, NULL), RC_FULL));
  buf_fini(&b);
}

int main(void)
{
  rng = rng_seeded(&rng_state);
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(gcm_vectors),        cmocka_unit_test(gcm_refuses_and_wipes),
    cmocka_unit_test(blob_v3_round_trip), cmocka_unit_test(blob_v2_v1_open),
    cmocka_unit_test(blob_bad_arguments), cmocka_unit_test(sealed_round_trip),
    cmocka_unit_test(sealed_every_part_counts)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
