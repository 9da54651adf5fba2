/*
 * Private keys in files: PEM and DER in, PEM out.
 */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/decoder.h>
#include <openssl/encoder.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "crypto/lib_int.h"

enum {
  PEM_BLOCKS_MAX = 64, /* blocks looked through for a key: parameters and certificates may stand before it */
  SCALAR_SLACK = 64    /* a random scalar is this many bits short once in 2^64 keys */
};

/* Small private scalars have come out of faulty libraries and are found by search. */
static rc_t check_scalar(const sigkey_t *k, err_t *e)
{
  BIGNUM *d = NULL;
  if (!lib_kind(key_kind(k))->group) return rc(RC_OK);
  if (EVP_PKEY_get_bn_param(lib_pkey(k), OSSL_PKEY_PARAM_PRIV_KEY, &d) != 1) return lib_failed(e);
  bool small = BN_num_bits(d) < lib_kind(key_kind(k))->bits - SCALAR_SLACK;
  BN_clear_free(d);
  return small ? err_set(e, RC_INVALID, "ecdsa_scalar", NULL, "private key is a small number") : rc(RC_OK);
}

/* Both halves belong together if one verifies what the other signs. */
static rc_t check_pair(sigkey_t *k, err_t *e)
{
  uint8_t sig[KEY_SIG_MAX];
  size_t n = 0;
  key_parts_t parts = key_parts(k);
  rc_t r = key_sign(k, S("key pair"), sig, &n);
  if (rc_ok(r)) r = key_verify(&parts, key_sigalg(k), S("key pair"), slice_of(sig, n), NULL);
  return rc_ok(r) ? r : err_set(e, RC_INVALID, "key_pair", NULL, "private and public half do not belong together");
}

rc_t key_from_der(slice_t der, sigkey_t **ret, err_t *e)
{
  EVP_PKEY *pkey = NULL;
  const uint8_t *p = der.p;
  size_t left = der.n;
  OSSL_DECODER_CTX *c =
    OSSL_DECODER_CTX_new_for_pkey(&pkey, "DER", NULL, NULL, OSSL_KEYMGMT_SELECT_PRIVATE_KEY, NULL, NULL);
  bool ok = c && OSSL_DECODER_from_data(c, &p, &left) == 1 && pkey && left == 0;
  OSSL_DECODER_CTX_free(c);
  if (!ok) {
    EVP_PKEY_free(pkey);
    ERR_clear_error();
    return err_set(e, RC_SYNTAX, "key_syntax", NULL, "is not a private key in PKCS#8, SEC 1 or PKCS#1 form");
  }
  sigkey_t *k = NULL;
  TRY(lib_adopt(pkey, &k, e));
  key_parts_t parts = key_parts(k);
  rc_t r = key_check(&parts, e);
  if (rc_ok(r)) r = check_scalar(k, e);
  if (rc_ok(r)) r = check_pair(k, e);
  if (rc_ok(r))
    *ret = k;
  else
    key_free(k);
  return r;
}

/* One PEM block; memory goes back wiped. */
typedef struct block {
  char *label, *header;
  uint8_t *der;
  long n;
} block_t;

static bool block_read(BIO *in, block_t *b)
{
  *b = (block_t){0};
  return PEM_read_bio_ex(in, &b->label, &b->header, &b->der, &b->n, PEM_FLAG_SECURE | PEM_FLAG_EAY_COMPATIBLE) == 1;
}

static void block_free(block_t *b)
{
  OPENSSL_secure_free(b->label);
  OPENSSL_secure_free(b->header);
  OPENSSL_secure_clear_free(b->der, (size_t)b->n);
}

static bool is_private_label(const char *label)
{
  static const char *const labels[] = {"PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY", "ENCRYPTED PRIVATE KEY"};
  for (size_t i = 0; i < COUNT_OF(labels); i++)
    if (strcmp(label, labels[i]) == 0) return true;
  return false;
}

static rc_t block_key(const block_t *b, sigkey_t **ret, err_t *e)
{
  /* Encrypted either by PKCS#8 or by the header of RFC 1421 4.6.1.1. */
  if (strncmp(b->label, "ENCRYPTED", 9) == 0 || strstr(b->header, "ENCRYPTED"))
    return err_set(e, RC_INVALID, "key_encrypted", NULL, "private key is encrypted; decrypt it first");
  return key_from_der(slice_of(b->der, (size_t)b->n), ret, e);
}

rc_t key_from_pem(slice_t pem, sigkey_t **ret, err_t *e)
{
  if (pem.n > INT32_MAX) return rc(RC_FULL);
  BIO *in = BIO_new_mem_buf(pem.n ? (const void *)pem.p : "", (int)pem.n);
  if (!in) return lib_failed(e);
  rc_t r = rc(RC_NOTFOUND);
  block_t b;
  for (int i = 0; rc_is(r, RC_NOTFOUND) && i < PEM_BLOCKS_MAX && block_read(in, &b); i++) {
    if (is_private_label(b.label)) r = block_key(&b, ret, e);
    block_free(&b);
  }
  BIO_free(in);
  ERR_clear_error();
  if (!rc_is(r, RC_NOTFOUND)) return r;
  return err_set(e, RC_NOTFOUND, "key_pem_missing", NULL, "no private key in PEM form found");
}

rc_t key_to_pem(const sigkey_t *k, secret_t *ret, err_t *e)
{
  bool ec = lib_kind(key_kind(k))->group != NULL;
  uint8_t *pem = NULL;
  size_t n = 0;
  OSSL_ENCODER_CTX *c = OSSL_ENCODER_CTX_new_for_pkey(lib_pkey(k), OSSL_KEYMGMT_SELECT_PRIVATE_KEY, "PEM",
                                                      ec ? "type-specific" : "PrivateKeyInfo", NULL);
  bool ok = c && OSSL_ENCODER_to_data(c, &pem, &n) == 1;
  OSSL_ENCODER_CTX_free(c);
  rc_t r = ok ? secret_take(ret, pem, n) : lib_failed(e);
  OPENSSL_clear_free(pem, n);
  return r;
}
