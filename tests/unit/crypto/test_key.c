/* Keys: files, signatures, and keys that must be refused. The library's own encoders are the second opinion. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <pthread.h>

#include "base/buf.h"
#include "base/mem.h"
#include "crypto/key.h"
#include "vectors.h"

static const struct {
  key_kind_t kind;
  unsigned bits;
  const char *algorithm, *pem_head;
  key_sigalg_t sigalg;
} kinds[] = {
  {KEY_P256, 256, "ECDSA", "-----BEGIN EC PRIVATE KEY-----", SIG_ECDSA_SHA256},
  {KEY_P384, 384, "ECDSA", "-----BEGIN EC PRIVATE KEY-----", SIG_ECDSA_SHA384},
  {KEY_RSA, 2048, "RSA", "-----BEGIN PRIVATE KEY-----", SIG_RSA_SHA256},
  {KEY_ED25519, 256, "Ed25519", "-----BEGIN PRIVATE KEY-----", SIG_ED25519},
};

enum { KINDS = COUNT_OF(kinds) };

/* One key of each kind for the whole run: RSA is slow to make. */
static sigkey_t *made[KINDS];

static int setup(void **state)
{
  for (size_t i = 0; i < KINDS; i++)
    if (!rc_ok(key_generate(kinds[i].kind, kinds[i].bits, &made[i], NULL))) return -1;
  return 0;
}

static int teardown(void **state)
{
  for (size_t i = 0; i < KINDS; i++) key_free(made[i]);
  return 0;
}

static void refused(rc_t r, const err_t *e, int32_t code, const char *reason)
{
  assert_int_equal(r.code, code);
  assert_non_null(e->reason);
  assert_string_equal(e->reason, reason);
}

static void describes_itself(void **state)
{
  for (size_t i = 0; i < KINDS; i++) {
    key_parts_t p = key_parts(made[i]);
    assert_int_equal(key_kind(made[i]), kinds[i].kind);
    assert_int_equal(key_bits(&p), kinds[i].bits);
    assert_string_equal(key_algorithm(kinds[i].kind), kinds[i].algorithm);
    assert_int_equal(key_sigalg(made[i]), kinds[i].sigalg);
    const uint8_t *der = key_spki(made[i]).p;
    EVP_PKEY *other = d2i_PUBKEY(NULL, &der, (long)key_spki(made[i]).n);
    assert_non_null(other);
    assert_int_equal(EVP_PKEY_get_bits(other), kinds[i].bits);
    EVP_PKEY_free(other);
    for (size_t j = 0; j < KINDS; j++) assert_int_equal(key_match(made[i], key_spki(made[j])), i == j);
  }
}

static void sigalgs_read_back(void **state)
{
  for (int a = SIG_ECDSA_SHA256; a <= SIG_ED25519; a++) {
    key_sigalg_t back = SIG_ED25519;
    assert_true(rc_ok(sigalg_from_der(sigalg_der((key_sigalg_t)a), &back, NULL)));
    assert_int_equal(back, a);
    X509_ALGOR *x = NULL;
    const uint8_t *p = sigalg_der((key_sigalg_t)a).p;
    assert_non_null(d2i_X509_ALGOR(&x, &p, (long)sigalg_der((key_sigalg_t)a).n));
    X509_ALGOR_free(x);
  }
  err_t e = {0};
  key_sigalg_t alg;
  refused(sigalg_from_der(S("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05\x05\x00"), &alg, &e), &e, RC_INVALID,
          "signature_algorithm"); /* SHA-1 with RSA */
}

static void pem_round_trip(void **state)
{
  for (size_t i = 0; i < KINDS; i++) {
    SECRET_SCOPED secret_t pem = {0};
    KEY_SCOPED sigkey_t *back = NULL;
    assert_true(rc_ok(key_to_pem(made[i], &pem, NULL)));
    assert_true(slice_starts(slice_of(pem.p, pem.n), slice_str(kinds[i].pem_head)));
    assert_true(rc_ok(key_from_pem(slice_of(pem.p, pem.n), &back, NULL)));
    assert_true(slice_eq(key_spki(back), key_spki(made[i])));
    uint8_t sig[KEY_SIG_MAX];
    size_t n = 0;
    assert_true(rc_ok(key_sign(back, S("m"), sig, &n)));
    key_parts_t parts = key_parts(made[i]);
    assert_true(rc_ok(key_verify(&parts, kinds[i].sigalg, S("m"), slice_of(sig, n), NULL)));
  }
}

/* What comes out is what other programs read, with the public half in it. */
static void pem_is_read_by_the_library(void **state)
{
  for (size_t i = 0; i < KINDS; i++) {
    SECRET_SCOPED secret_t pem = {0};
    assert_true(rc_ok(key_to_pem(made[i], &pem, NULL)));
    BIO *in = BIO_new_mem_buf(pem.p, (int)pem.n);
    EVP_PKEY *k = PEM_read_bio_PrivateKey(in, NULL, NULL, NULL);
    assert_non_null(k);
    uint8_t *der = NULL;
    int n = i2d_PUBKEY(k, &der);
    assert_true(n > 0 && slice_eq(key_spki(made[i]), slice_of(der, (size_t)n)));
    OPENSSL_free(der);
    EVP_PKEY_free(k);
    BIO_free(in);
  }
}

static void sign_and_verify(void **state)
{
  uint8_t sig[KEY_SIG_MAX];
  size_t n = 0;
  for (size_t i = 0; i < KINDS; i++) {
    key_parts_t parts = key_parts(made[i]);
    err_t e = {0};
    for (int round = 0; round < 3; round++) {
      assert_true(rc_ok(key_sign(made[i], S("message"), sig, &n)));
      slice_t s = slice_of(sig, n), cut = slice_sub(s, 0, n - 1), none = slice_of(NULL, 0);
      assert_true(rc_ok(key_verify(&parts, kinds[i].sigalg, S("message"), s, NULL)));
      refused(key_verify(&parts, kinds[i].sigalg, S("massage"), s, &e), &e, RC_CRYPTO, "signature");
      refused(key_verify(&parts, kinds[i].sigalg, S("message"), cut, &e), &e, RC_CRYPTO, "signature");
      refused(key_verify(&parts, kinds[i].sigalg, S("message"), none, &e), &e, RC_CRYPTO, "signature");
      sig[n / 2] ^= 4;
      refused(key_verify(&parts, kinds[i].sigalg, S("message"), s, &e), &e, RC_CRYPTO, "signature");
    }
    key_sigalg_t foreign = kinds[i].kind == KEY_RSA ? SIG_ECDSA_SHA256 : SIG_RSA_SHA256;
    refused(key_verify(&parts, foreign, S("m"), slice_of(sig, n), &e), &e, RC_INVALID, "signature_algorithm");
  }
}

/* Other digests than a key's own, as CSR tools use them (P-384 with SHA-256 is OpenSSL's default). */
static void other_digests(void **state)
{
  static const struct {
    size_t key;
    const char *md;
    key_sigalg_t alg;
  } v[] = {{0, "SHA384", SIG_ECDSA_SHA384}, {0, "SHA512", SIG_ECDSA_SHA512}, {1, "SHA256", SIG_ECDSA_SHA256},
           {2, "SHA384", SIG_RSA_SHA384},   {2, "SHA512", SIG_RSA_SHA512}};
  for (size_t i = 0; i < COUNT_OF(v); i++) {
    SECRET_SCOPED secret_t pem = {0};
    assert_true(rc_ok(key_to_pem(made[v[i].key], &pem, NULL)));
    BIO *in = BIO_new_mem_buf(pem.p, (int)pem.n);
    EVP_PKEY *k = PEM_read_bio_PrivateKey(in, NULL, NULL, NULL);
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    uint8_t sig[KEY_SIG_MAX];
    size_t n = sizeof sig;
    assert_int_equal(EVP_DigestSignInit_ex(c, NULL, v[i].md, NULL, NULL, k, NULL), 1);
    assert_int_equal(EVP_DigestSign(c, sig, &n, (const uint8_t *)"m", 1), 1);
    key_parts_t parts = key_parts(made[v[i].key]);
    assert_true(rc_ok(key_verify(&parts, v[i].alg, S("m"), slice_of(sig, n), NULL)));
    key_sigalg_t own = key_sigalg(made[v[i].key]);
    assert_true(rc_is(key_verify(&parts, own, S("m"), slice_of(sig, n), NULL), RC_CRYPTO));
    EVP_MD_CTX_free(c);
    EVP_PKEY_free(k);
    BIO_free(in);
  }
}

/* RFC 8032, section 7.1, tests 1 to 3. */
static void ed25519_vectors(void **state)
{
  static const struct {
    const char *seed, *pub, *message, *sig;
  } v[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
     "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
     "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
     "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
  };
  for (size_t i = 0; i < COUNT_OF(v); i++) {
    char pkcs8[128] = "302e020100300506032b657004220420";
    memcpy(pkcs8 + strlen(pkcs8), v[i].seed, strlen(v[i].seed) + 1);
    vec_t der = vec(pkcs8), pub = vec(v[i].pub), message = vec(v[i].message), want = vec(v[i].sig);
    KEY_SCOPED sigkey_t *k = NULL;
    uint8_t sig[KEY_SIG_MAX];
    size_t n = 0;
    assert_true(rc_ok(key_from_der(vec_slice(&der), &k, NULL)));
    assert_true(slice_eq(key_parts(k).point, vec_slice(&pub)));
    assert_true(rc_ok(key_sign(k, vec_slice(&message), sig, &n)));
    assert_true(slice_eq(slice_of(sig, n), vec_slice(&want)));
    key_parts_t parts = {.kind = KEY_ED25519, .point = vec_slice(&pub)};
    assert_true(rc_ok(key_verify(&parts, SIG_ED25519, vec_slice(&message), vec_slice(&want), NULL)));
  }
}

/* ---- files that must be refused, or read although odd ---- */

static rc_t from_library(EVP_PKEY *k, sigkey_t **ret, err_t *e)
{
  uint8_t *der = NULL;
  int n = i2d_PrivateKey(k, &der);
  assert_true(n > 0);
  rc_t r = key_from_der(slice_of(der, (size_t)n), ret, e);
  OPENSSL_free(der);
  EVP_PKEY_free(k);
  return r;
}

static EVP_PKEY *library_ec(const char *group, const char *param, const char *value)
{
  EVP_PKEY *k = EVP_EC_gen(group);
  assert_non_null(k);
  if (param) assert_int_equal(EVP_PKEY_set_utf8_string_param(k, param, value), 1);
  return k;
}

static void other_kinds_are_refused(void **state)
{
  static const char *const groups[] = {"secp521r1", "secp256k1", "secp224r1", "brainpoolP256r1"};
  err_t e = {0};
  sigkey_t *k = NULL;
  for (size_t i = 0; i < COUNT_OF(groups); i++)
    refused(from_library(library_ec(groups[i], NULL, NULL), &k, &e), &e, RC_INVALID, "key_kind");
  EVP_PKEY *spelled_out = library_ec("P-256", OSSL_PKEY_PARAM_EC_ENCODING, "explicit");
  refused(from_library(spelled_out, &k, &e), &e, RC_INVALID, "key_kind");
  refused(from_library(EVP_RSA_gen(1024), &k, &e), &e, RC_INVALID, "rsa_modulus_small");
  refused(from_library(EVP_PKEY_Q_keygen(NULL, NULL, "X25519"), &k, &e), &e, RC_INVALID, "key_kind");
  refused(from_library(EVP_PKEY_Q_keygen(NULL, NULL, "ED448"), &k, &e), &e, RC_INVALID, "key_kind");
  refused(key_generate(KEY_RSA, 1024, &k, &e), &e, RC_INVALID, "rsa_size");
  assert_null(k);
}

static void compressed_point_comes_out_whole(void **state)
{
  KEY_SCOPED sigkey_t *k = NULL;
  EVP_PKEY *own = library_ec("P-256", OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, "compressed");
  assert_true(rc_ok(from_library(own, &k, NULL)));
  assert_int_equal(key_parts(k).point.n, 65);
  assert_int_equal(key_spki(k).n, 91);
}

/* SEC 1 with the scalar of one key and the point of another; then with a scalar of a few bits. */
static void halves_must_match(void **state)
{
  EVP_PKEY *own = library_ec("P-256", NULL, NULL);
  uint8_t *der = NULL;
  int n = i2d_PrivateKey(own, &der);
  EVP_PKEY_free(own);
  assert_int_equal(n, 121); /* 30 77, version, 04 20 scalar at 7, [0] curve, [1] point in the last 65 */
  err_t e = {0};
  sigkey_t *k = NULL;
  memcpy(der + n - 65, key_parts(made[0]).point.p, 65);
  refused(key_from_der(slice_of(der, (size_t)n), &k, &e), &e, RC_INVALID, "key_pair");
  memset(der + 7, 0, 8); /* 64 bits short */
  der[15] = 0x80;
  refused(key_from_der(slice_of(der, (size_t)n), &k, &e), &e, RC_INVALID, "key_pair");
  der[15] = 0x7f;
  refused(key_from_der(slice_of(der, (size_t)n), &k, &e), &e, RC_INVALID, "ecdsa_scalar");
  memset(der + 7, 0, 31);
  refused(key_from_der(slice_of(der, (size_t)n), &k, &e), &e, RC_INVALID, "ecdsa_scalar");
  refused(key_from_der(slice_of(der, (size_t)n - 1), &k, &e), &e, RC_SYNTAX, "key_syntax");
  OPENSSL_free(der);
  assert_null(k);
}

static void trailing_bytes_are_refused(void **state)
{
  uint8_t der[200];
  vec_t v = vec("302e020100300506032b6570042204209d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
  err_t e = {0};
  sigkey_t *k = NULL;
  memcpy(der, v.p, v.n);
  der[v.n] = 0;
  refused(key_from_der(slice_of(der, v.n + 1), &k, &e), &e, RC_SYNTAX, "key_syntax");
  refused(key_from_der(slice_of(NULL, 0), &k, &e), &e, RC_SYNTAX, "key_syntax");
  refused(key_from_der(key_spki(made[0]), &k, &e), &e, RC_SYNTAX, "key_syntax");
}

static rc_t from_bio(BIO *b, sigkey_t **ret, err_t *e)
{
  char *p = NULL;
  long n = BIO_get_mem_data(b, &p);
  rc_t r = key_from_pem(slice_of(p, (size_t)n), ret, e);
  BIO_free(b);
  return r;
}

static void encrypted_pem_is_named(void **state)
{
  EVP_PKEY *own = library_ec("P-256", NULL, NULL);
  err_t e = {0};
  sigkey_t *k = NULL;
  char pass[] = "x";
  BIO *out = BIO_new(BIO_s_mem());
  assert_int_equal(PEM_write_bio_PKCS8PrivateKey(out, own, EVP_aes_128_cbc(), pass, 1, NULL, NULL), 1);
  refused(from_bio(out, &k, &e), &e, RC_INVALID, "key_encrypted");
  out = BIO_new(BIO_s_mem());
  const EVP_CIPHER *aes = EVP_aes_128_cbc();
  assert_int_equal(PEM_write_bio_PrivateKey_traditional(out, own, aes, (uint8_t *)pass, 1, NULL, NULL), 1);
  refused(from_bio(out, &k, &e), &e, RC_INVALID, "key_encrypted");
  EVP_PKEY_free(own);
}

/* `openssl ecparam -genkey` puts the curve in front; bundles put certificates there. */
static void pem_blocks_before_the_key(void **state)
{
  SECRET_SCOPED secret_t pem = {0};
  KEY_SCOPED sigkey_t *k = NULL;
  assert_true(rc_ok(key_to_pem(made[0], &pem, NULL)));
  char text[2048];
  int n = snprintf(text, sizeof text,
                   "some words\n-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n%.*s",
                   (int)pem.n, (const char *)pem.p);
  assert_true(n > 0 && rc_ok(key_from_pem(slice_of(text, (size_t)n), &k, NULL)));
  assert_true(key_match(k, key_spki(made[0])));

  err_t e = {0};
  sigkey_t *none = NULL;
  refused(key_from_pem(S(""), &none, &e), &e, RC_NOTFOUND, "key_pem_missing");
  refused(key_from_pem(S("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), &none, &e), &e, RC_NOTFOUND,
          "key_pem_missing");
  refused(key_from_pem(S("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), &none, &e), &e, RC_SYNTAX,
          "key_syntax");
}

static void pem_blocks_are_counted(void **state)
{
  SECRET_SCOPED secret_t pem = {0};
  assert_true(rc_ok(key_to_pem(made[0], &pem, NULL)));
  for (int before = 63; before <= 64; before++) {
    BUF_SCOPED buf_t text = buf_heap(1 << 16);
    KEY_SCOPED sigkey_t *k = NULL;
    for (int i = 0; i < before; i++) buf_puts(&text, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    buf_put(&text, slice_of(pem.p, pem.n));
    assert_int_equal(key_from_pem(buf_slice(&text), &k, NULL).code, before < 64 ? RC_OK : RC_NOTFOUND);
  }
}

/* ---- public keys that must be refused ---- */

typedef struct number {
  uint8_t p[1200];
  size_t n;
} number_t;

static number_t number(const BIGNUM *b)
{
  number_t v = {.n = (size_t)BN_num_bytes(b)};
  assert_true(v.n <= sizeof v.p);
  BN_bn2bin(b, v.p);
  return v;
}

static rc_t check_rsa(const BIGNUM *n, slice_t x, err_t *e)
{
  number_t v = number(n);
  *e = (err_t){0};
  return key_check(&(key_parts_t){.kind = KEY_RSA, .n = slice_of(v.p, v.n), .e = x}, e);
}

#define F4 S("\x01\x00\x01")

static BIGNUM *good_modulus(void)
{
  key_parts_t p = key_parts(made[2]);
  return BN_bin2bn(p.n.p, (int)p.n.n, NULL);
}

static void rsa_sizes(void **state)
{
  err_t e;
  BIGNUM *n = BN_new();
  assert_int_equal(BN_rand(n, 2047, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD), 1);
  refused(check_rsa(n, F4, &e), &e, RC_INVALID, "rsa_modulus_small");
  assert_int_equal(e.limit, 2048);
  assert_int_equal(BN_rand(n, 8193, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD), 1);
  refused(check_rsa(n, F4, &e), &e, RC_INVALID, "rsa_modulus_large");
  assert_int_equal(BN_set_word(n, 3) && BN_lshift(n, n, 8190) && BN_add_word(n, 3), 1); /* 8192 bits, with the factor 3 */
  refused(check_rsa(n, F4, &e), &e, RC_INVALID, "rsa_small_factor");
  BN_zero(n);
  refused(check_rsa(n, F4, &e), &e, RC_INVALID, "rsa_modulus_small");
  BN_free(n);
  n = good_modulus();
  assert_true(rc_ok(check_rsa(n, F4, &e)));
  assert_int_equal(BN_sub_word(n, 1), 1);
  refused(check_rsa(n, F4, &e), &e, RC_INVALID, "rsa_modulus_even");
  BN_free(n);
}

static void rsa_exponents(void **state)
{
  static const struct {
    const char *hex;
    bool good;
  } v[] = {{"010001", true},   {"00010001", true},           {"010003", true},  {"ffffffffffffffff", true},
           {"", false},        {"00", false},                {"01", false},     {"03", false},
           {"ffff", false},    {"010002", false},            {"010000", false}, {"010000000000000001", false},
           {"00ffff", false}};
  BIGNUM *n = good_modulus();
  for (size_t i = 0; i < COUNT_OF(v); i++) {
    vec_t x = vec(v[i].hex);
    err_t e;
    rc_t r = check_rsa(n, vec_slice(&x), &e);
    if (v[i].good)
      assert_true(rc_ok(r));
    else
      refused(r, &e, RC_INVALID, "rsa_exponent");
  }
  BN_free(n);
}

/* Each prime below 752 is found, and the first one above is let through. */
static void rsa_small_factors(void **state)
{
  BIGNUM *good = good_modulus(), *n = BN_new();
  unsigned tried = 0;
  err_t e;
  for (BN_ULONG p = 3; p <= 757; p += 2) {
    bool prime = true;
    for (BN_ULONG d = 3; d * d <= p; d += 2) prime &= p % d != 0;
    if (!prime) continue;
    tried++;
    assert_non_null(BN_copy(n, good));
    assert_int_equal(BN_mul_word(n, p), 1);
    rc_t r = check_rsa(n, F4, &e);
    if (p < 752)
      refused(r, &e, RC_INVALID, "rsa_small_factor");
    else
      assert_true(rc_ok(r));
  }
  assert_int_equal(tried, 133);
  BN_free(good);
  BN_free(n);
}

/* Calls make(n) until the number has no small factor, and returns what key_check says of it. */
static void refused_as(void (*make)(BIGNUM *n, BN_CTX *ctx), const char *reason)
{
  BIGNUM *n = BN_new();
  BN_CTX *ctx = BN_CTX_new();
  err_t e;
  rc_t r;
  int tries = 0;
  do {
    make(n, ctx);
    assert_true(BN_is_odd(n) && BN_num_bits(n) >= 2048);
    r = check_rsa(n, F4, &e);
  } while (rc_is(r, RC_INVALID) && strcmp(e.reason, "rsa_small_factor") == 0 && tries++ < 1000);
  refused(r, &e, RC_INVALID, reason);
  BN_CTX_free(ctx);
  BN_free(n);
}

/* k * M + (65537^a mod M), M the product of the primes to 167: what the faulty generator made, for both factors. */
static void make_roca(BIGNUM *n, BN_CTX *ctx)
{
  BN_CTX_start(ctx);
  BIGNUM *m = BN_CTX_get(ctx), *a = BN_CTX_get(ctx), *g = BN_CTX_get(ctx), *f[2] = {BN_CTX_get(ctx), BN_CTX_get(ctx)};
  assert_int_equal(BN_set_word(m, 2), 1);
  for (BN_ULONG p = 3; p <= 167; p += 2) {
    bool prime = true;
    for (BN_ULONG d = 3; d * d <= p; d += 2) prime &= p % d != 0;
    if (prime) assert_int_equal(BN_mul_word(m, p), 1);
  }
  for (int i = 0; i < 2; i++) {
    assert_int_equal(BN_rand(a, 60, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY), 1);
    assert_int_equal(BN_set_word(g, 65537), 1);
    assert_int_equal(BN_mod_exp_simple(f[i], g, a, m, ctx), 1);
    assert_int_equal(BN_rand(a, 1024 + i * 8 - BN_num_bits(m) + 1, BN_RAND_TOP_TWO, BN_RAND_BOTTOM_ANY), 1);
    assert_int_equal(BN_mul(a, a, m, ctx), 1);
    assert_int_equal(BN_add(f[i], f[i], a), 1);
  }
  assert_int_equal(BN_mul(n, f[0], f[1], ctx), 1);
  BN_CTX_end(ctx);
}

/* (a - b)(a + b) with b of `bits`; 500 bits end in the first round, 514 need some dozens, 0 is a square. */
static void make_close(BIGNUM *n, BN_CTX *ctx, int bits)
{
  BN_CTX_start(ctx);
  BIGNUM *a = BN_CTX_get(ctx), *b = BN_CTX_get(ctx);
  assert_int_equal(BN_rand(a, 1025, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD), 1);
  BN_zero(b);
  if (bits) assert_int_equal(BN_rand(b, bits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD) && BN_sub_word(b, 1), 1);
  assert_int_equal(BN_sqr(a, a, ctx) && BN_sqr(b, b, ctx) && BN_sub(n, a, b), 1);
  BN_CTX_end(ctx);
}

static void make_close_near(BIGNUM *n, BN_CTX *ctx) { make_close(n, ctx, 500); }
static void make_close_far(BIGNUM *n, BN_CTX *ctx) { make_close(n, ctx, 514); }
static void make_square(BIGNUM *n, BN_CTX *ctx) { make_close(n, ctx, 0); }

static void rsa_faulty_generators(void **state)
{
  refused_as(make_roca, "rsa_roca");
  refused_as(make_close_near, "rsa_close_primes");
  refused_as(make_close_far, "rsa_close_primes");
  refused_as(make_square, "rsa_close_primes");
}

/* Numbers that no faulty generator made are let through: the tests for those must not guess. */
static void rsa_sound_moduli(void **state)
{
  BIGNUM *n = BN_new();
  for (int passed = 0, tries = 0; passed < 30; tries++) {
    err_t e;
    assert_int_equal(BN_rand(n, 2048 + tries % 64, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD), 1);
    rc_t r = check_rsa(n, F4, &e);
    passed += rc_ok(r);
    if (!rc_ok(r)) assert_string_equal(e.reason, "rsa_small_factor");
    assert_true(tries < 2000);
  }
  BN_free(n);
}

static void ec_points(void **state)
{
  for (size_t i = 0; i < 2; i++) {
    key_parts_t good = key_parts(made[i]), bad = good;
    uint8_t p[97], sig[KEY_SIG_MAX];
    size_t n = 0;
    err_t e = {0};
    assert_true(rc_ok(key_sign(made[i], S("m"), sig, &n)));
    assert_true(rc_ok(key_check(&good, &e)));
    memcpy(p, good.point.p, good.point.n);
    bad.point = slice_of(p, good.point.n);
    p[good.point.n - 1] ^= 1; /* off the curve */
    refused(key_check(&bad, &e), &e, RC_INVALID, "ec_point");
    refused(key_verify(&bad, kinds[i].sigalg, S("m"), slice_of(sig, n), &e), &e, RC_INVALID, "ec_point");
    /* A refused point leaves nothing behind that would verify or spoil the next. */
    assert_true(rc_ok(key_verify(&good, kinds[i].sigalg, S("m"), slice_of(sig, n), &e)));
    p[good.point.n - 1] ^= 1;
    p[0] = 6; /* hybrid form */
    refused(key_check(&bad, &e), &e, RC_INVALID, "ec_point");
    p[0] = 2; /* compressed */
    bad.point.n = 1 + good.point.n / 2;
    refused(key_check(&bad, &e), &e, RC_INVALID, "ec_point");
    p[0] = 0; /* point at infinity */
    bad.point.n = 1;
    refused(key_check(&bad, &e), &e, RC_INVALID, "ec_point");
    bad.point.n = 0;
    refused(key_check(&bad, &e), &e, RC_INVALID, "ec_point");
    memset(p, 0, sizeof p);
    p[0] = 4;
    bad.point.n = good.point.n;
    refused(key_check(&bad, &e), &e, RC_INVALID, "ec_point");
    bad.point = key_parts(made[1 - i]).point; /* of the other curve */
    refused(key_check(&bad, &e), &e, RC_INVALID, "ec_point");
  }
}

/* The per-thread key must not remember the key before. */
static void once_keys_do_not_mix(void **state)
{
  KEY_SCOPED sigkey_t *other = NULL;
  uint8_t sig[2][KEY_SIG_MAX];
  size_t n[2];
  assert_true(rc_ok(key_generate(KEY_P256, 0, &other, NULL)));
  sigkey_t *const k[2] = {made[0], other};
  for (size_t i = 0; i < 2; i++) assert_true(rc_ok(key_sign(k[i], S("m"), sig[i], &n[i])));
  for (size_t i = 0; i < 8; i++) {
    key_parts_t parts = key_parts(k[i % 2]);
    size_t s = i / 2 % 2;
    rc_t r = key_verify(&parts, SIG_ECDSA_SHA256, S("m"), slice_of(sig[s], n[s]), NULL);
    assert_int_equal(r.code, s == i % 2 ? RC_OK : RC_CRYPTO);
  }
}

static void *verify_in_thread(void *ret_right)
{
  for (size_t i = 0; i < 2; i++) {
    key_parts_t parts = key_parts(made[i]);
    *(bool *)ret_right = *(bool *)ret_right && rc_ok(key_check(&parts, NULL));
  }
  return NULL;
}

/* What a thread keeps for verifying goes with it; the sanitizer sees what does not. */
static void threads_clean_up(void **state)
{
  pthread_t t;
  bool right = true;
  assert_int_equal(pthread_create(&t, NULL, verify_in_thread, &right), 0);
  assert_int_equal(pthread_join(t, NULL), 0);
  assert_true(right);
}

static void ed25519_points(void **state)
{
  static const char *const bad[] = {
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", /* p */
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", /* p + 1, sign set */
    "00",
    "",
  };
  err_t e = {0};
  key_parts_t good = key_parts(made[3]);
  assert_true(rc_ok(key_check(&good, &e)));
  for (size_t i = 0; i < COUNT_OF(bad); i++) {
    vec_t v = vec(bad[i]);
    key_parts_t parts = {.kind = KEY_ED25519, .point = vec_slice(&v)};
    refused(key_check(&parts, &e), &e, RC_INVALID, "ed25519_point");
  }
  /* The largest y that is canonical and of large order is let through. */
  vec_t v = vec("ebffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f");
  assert_true(rc_ok(key_check(&(key_parts_t){.kind = KEY_ED25519, .point = vec_slice(&v)}, &e)));
}

static void bits_of_other_sizes(void **state)
{
  uint8_t n[320] = {0};
  n[0] = 0x80;
  key_parts_t p = {.kind = KEY_RSA, .n = slice_of(n, 320), .e = F4};
  assert_int_equal(key_bits(&p), 2560);
  n[0] = 0x01;
  assert_int_equal(key_bits(&p), 2553);
  n[0] = 0;
  n[1] = 0x40;
  assert_int_equal(key_bits(&p), 2551);
  assert_int_equal(key_number_bits(S("\0\0")), 0);
  assert_int_equal(key_number_bits(S("")), 0);
}

/* Failing each allocation in turn: an error, no leak (the sanitizer sees), output untouched. */
static void out_of_memory(void **state)
{
  SECRET_SCOPED secret_t pem = {0};
  assert_true(rc_ok(key_to_pem(made[0], &pem, NULL)));
  for (int which = 0; which < 2; which++) {
    bool done = false;
    for (long nth = 0; !done; nth++) {
      sigkey_t *k = NULL;
      mem_fail_after(nth);
      rc_t r = which == 0 ? key_from_pem(slice_of(pem.p, pem.n), &k, NULL) : key_generate(KEY_P384, 0, &k, NULL);
      mem_fail_after(-1);
      done = rc_ok(r);
      assert_true(done || (rc_is(r, RC_NOMEM) && k == NULL));
      key_free(k);
      assert_true(nth < 20);
    }
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(describes_itself),
    cmocka_unit_test(sigalgs_read_back),
    cmocka_unit_test(pem_round_trip),
    cmocka_unit_test(pem_is_read_by_the_library),
    cmocka_unit_test(sign_and_verify),
    cmocka_unit_test(other_digests),
    cmocka_unit_test(ed25519_vectors),
    cmocka_unit_test(other_kinds_are_refused),
    cmocka_unit_test(compressed_point_comes_out_whole),
    cmocka_unit_test(halves_must_match),
    cmocka_unit_test(trailing_bytes_are_refused),
    cmocka_unit_test(encrypted_pem_is_named),
    cmocka_unit_test(pem_blocks_before_the_key),
    cmocka_unit_test(pem_blocks_are_counted),
    cmocka_unit_test(rsa_sizes),
    cmocka_unit_test(rsa_exponents),
    cmocka_unit_test(rsa_small_factors),
    cmocka_unit_test(rsa_faulty_generators),
    cmocka_unit_test(rsa_sound_moduli),
    cmocka_unit_test(ec_points),
    cmocka_unit_test(once_keys_do_not_mix),
    cmocka_unit_test(threads_clean_up),
    cmocka_unit_test(ed25519_points),
    cmocka_unit_test(bits_of_other_sizes),
    cmocka_unit_test(out_of_memory),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
