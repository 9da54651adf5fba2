#include "crypto/key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "base/mem.h"
#include "crypto/lib_int.h"

struct sigkey {
  EVP_PKEY *pkey;
  EVP_PKEY_CTX *sign; /* not for Ed25519, which the library signs through a digest context only */
  key_parts_t parts; /* into data */
  slice_t spki;      /* into data */
  uint8_t *data;
};

static const kind_t kinds[] = {
  [KEY_RSA] = {"RSA", NULL, "RSA", 0, 0, SIG_RSA_SHA256},
  [KEY_P256] = {"EC", "prime256v1", "ECDSA", 65, 256, SIG_ECDSA_SHA256},
  [KEY_P384] = {"EC", "secp384r1", "ECDSA", 97, 384, SIG_ECDSA_SHA384},
  [KEY_ED25519] = {"ED25519", NULL, "Ed25519", 32, 256, SIG_ED25519}
};

const kind_t *lib_kind(key_kind_t kind) { return &kinds[kind]; }
EVP_PKEY *lib_pkey(const sigkey_t *k) { return k->pkey; }

/* ---- signature algorithms ---- */

#define DER(lit) {(const uint8_t *)(lit), sizeof(lit) - 1}
#define ECDSA_WITH(last) DER("\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03" last)
#define RSA_WITH(last) DER("\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01" last "\x05\x00")

static const struct sigalg {
  const char *type; /* kind_t.type of the keys it fits */
  slice_t der;
} sigalgs[] = {
  [SIG_ECDSA_SHA256] = {"EC", ECDSA_WITH("\x02")},
  [SIG_ECDSA_SHA384] = {"EC", ECDSA_WITH("\x03")},
  [SIG_ECDSA_SHA512] = {"EC", ECDSA_WITH("\x04")},
  [SIG_RSA_SHA256] = {"RSA", RSA_WITH("\x0b")},
  [SIG_RSA_SHA384] = {"RSA", RSA_WITH("\x0c")},
  [SIG_RSA_SHA512] = {"RSA", RSA_WITH("\x0d")},
  [SIG_ED25519] = {"ED25519", DER("\x30\x05\x06\x03\x2b\x65\x70")}
};

slice_t sigalg_der(key_sigalg_t alg) { return sigalgs[alg].der; }

static rc_t sigalg_refused(err_t *e, const char *text)
{
  return err_set(e, RC_INVALID, "signature_algorithm", NULL, text);
}

rc_t sigalg_from_der(slice_t der, key_sigalg_t *ret, err_t *e)
{
  for (size_t i = 0; i < COUNT_OF(sigalgs); i++) {
    if (!slice_eq(der, sigalgs[i].der)) continue;
    *ret = (key_sigalg_t)i;
    return rc(RC_OK);
  }
  return sigalg_refused(e, "signature algorithm is not supported");
}

static bool sigalg_fits(key_kind_t kind, key_sigalg_t alg)
{
  return strcmp(lib_kind(kind)->type, sigalgs[alg].type) == 0;
}

static EVP_MD *sigalg_md(key_sigalg_t alg)
{
  const lib_t *l = lib_get();
  switch (alg) {
    case SIG_ECDSA_SHA256:
    case SIG_RSA_SHA256: return l->sha256;
    case SIG_ECDSA_SHA384:
    case SIG_RSA_SHA384: return l->sha384;
    case SIG_ECDSA_SHA512:
    case SIG_RSA_SHA512: return l->sha512;
    case SIG_ED25519: break;
  }
  return NULL;
}

/* ---- contexts ---- */

static EVP_PKEY_CTX *context_new(EVP_PKEY *pkey, bool sign)
{
  EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
  bool ok = c && (sign ? EVP_PKEY_sign_init(c) : EVP_PKEY_verify_init(c)) == 1;
  if (ok && EVP_PKEY_is_a(pkey, "RSA"))
    ok = EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PADDING) == 1 &&
         EVP_PKEY_CTX_set_signature_md(c, lib_get()->sha256) == 1;
  if (ok) return c;
  EVP_PKEY_CTX_free(c);
  return NULL;
}

static rc_t signature_wrong(err_t *e)
{
  ERR_clear_error();
  return err_set(e, RC_CRYPTO, "signature", NULL, "signature is wrong");
}

/* EC and RSA: digest here, arithmetic there. */
static rc_t verify_with(EVP_PKEY_CTX *c, key_sigalg_t alg, slice_t message, slice_t sig, err_t *e)
{
  uint8_t digest[EVP_MAX_MD_SIZE];
  size_t n = lib_digest(sigalg_md(alg), message, digest);
  if (n == 0) return lib_failed(e);
  if (sigalg_fits(KEY_RSA, alg) && EVP_PKEY_CTX_set_signature_md(c, sigalg_md(alg)) != 1) return lib_failed(e);
  return EVP_PKEY_verify(c, sig.p, sig.n, digest, n) == 1 ? rc(RC_OK) : signature_wrong(e);
}

/* ---- building ---- */

static EVP_PKEY *from_params(const char *type, OSSL_PARAM *params)
{
  EVP_PKEY *pkey = NULL;
  EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
  bool ok = c && EVP_PKEY_fromdata_init(c) == 1 && EVP_PKEY_fromdata(c, &pkey, EVP_PKEY_PUBLIC_KEY, params) == 1;
  EVP_PKEY_CTX_free(c);
  return ok ? pkey : NULL;
}

/* `point` has the size of its kind. */
static EVP_PKEY *ec_public(const kind_t *kind, slice_t point)
{
  char group[16];
  uint8_t copy[97];
  memcpy(group, kind->group, strlen(kind->group) + 1);
  memcpy(copy, point.p, point.n);
  OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
                         OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, copy, point.n),
                         OSSL_PARAM_construct_end()};
  return from_params(kind->type, params);
}

static EVP_PKEY *rsa_public(slice_t n, slice_t x)
{
  OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
  BIGNUM *bn = BN_bin2bn(n.p, (int)n.n, NULL), *bx = BN_bin2bn(x.p, (int)x.n, NULL);
  OSSL_PARAM *params = NULL;
  if (bld && bn && bx && OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, bn) == 1 &&
      OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, bx) == 1)
    params = OSSL_PARAM_BLD_to_param(bld);
  EVP_PKEY *pkey = params ? from_params("RSA", params) : NULL;
  OSSL_PARAM_free(params);
  OSSL_PARAM_BLD_free(bld);
  BN_free(bn);
  BN_free(bx);
  return pkey;
}

lib_ec_t *lib_ec_load(const key_parts_t *parts)
{
  const kind_t *kind = lib_kind(parts->kind);
  lib_ec_t *ec = &lib_thread()->ec[parts->kind - KEY_P256];
  slice_t point = parts->point;
  if (point.n != kind->point_n || point.p[0] != 4) return NULL;
  if (!ec->pkey) {
    ec->pkey = ec_public(kind, point);
    ec->verify = ec->pkey ? context_new(ec->pkey, false) : NULL;
    if (!ec->verify) {
      EVP_PKEY_free(ec->pkey);
      ec->pkey = NULL;
    }
  }
  /* The library checks the curve equation when it decodes a point; the cofactor of both curves is 1. */
  if (ec->pkey && EVP_PKEY_set1_encoded_public_key(ec->pkey, point.p, point.n) == 1) return ec;
  ERR_clear_error();
  return NULL;
}

rc_t lib_point_refused(err_t *e)
{
  return err_set(e, RC_INVALID, "ec_point", NULL, "EC key is not an uncompressed point of its curve");
}

/* RC_INVALID for anything but the four kinds. */
static rc_t kind_of(EVP_PKEY *pkey, key_kind_t *ret, err_t *e)
{
  char group[32] = "";
  size_t n = 0;
  int is_explicit = 0;
  if (EVP_PKEY_is_a(pkey, "EC")) {
    /* Curves spelled out by their constants are refused (CVE-2020-0601 is what comes of them). */
    EVP_PKEY_get_int_param(pkey, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &is_explicit);
    if (is_explicit || EVP_PKEY_get_group_name(pkey, group, sizeof group, &n) != 1) group[0] = 0;
  }
  for (size_t i = 0; i < COUNT_OF(kinds); i++) {
    if (!EVP_PKEY_is_a(pkey, kinds[i].type) || (kinds[i].group && strcmp(kinds[i].group, group) != 0)) continue;
    *ret = (key_kind_t)i;
    return rc(RC_OK);
  }
  ERR_clear_error();
  return err_set(e, RC_INVALID, "key_kind", NULL, "is not an RSA, ECDSA P-256, ECDSA P-384 or Ed25519 key");
}

/* Copies modulus and exponent into fresh memory. */
static rc_t take_rsa(sigkey_t *k)
{
  BIGNUM *n = NULL, *x = NULL;
  rc_t r = rc(RC_CRYPTO);
  if (EVP_PKEY_get_bn_param(k->pkey, OSSL_PKEY_PARAM_RSA_N, &n) == 1 &&
      EVP_PKEY_get_bn_param(k->pkey, OSSL_PKEY_PARAM_RSA_E, &x) == 1) {
    size_t nn = (size_t)BN_num_bytes(n), xn = (size_t)BN_num_bytes(x);
    k->data = mem_alloc(nn + xn);
    if (k->data) {
      BN_bn2bin(n, k->data);
      BN_bn2bin(x, k->data + nn);
      k->parts.n = slice_of(k->data, nn);
      k->parts.e = slice_of(k->data + nn, xn);
    }
    r = rc(k->data ? RC_OK : RC_NOMEM);
  }
  BN_free(n);
  BN_free(x);
  return r;
}

static rc_t take_point(sigkey_t *k)
{
  size_t want = lib_kind(k->parts.kind)->point_n, n = want;
  k->data = mem_alloc(want);
  if (!k->data) return rc(RC_NOMEM);
  int ok = k->parts.kind == KEY_ED25519
             ? EVP_PKEY_get_raw_public_key(k->pkey, k->data, &n)
             : EVP_PKEY_get_octet_string_param(k->pkey, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, k->data, want, &n);
  if (ok != 1 || n != want) return rc(RC_CRYPTO);
  k->parts.point = slice_of(k->data, n);
  return rc(RC_OK);
}

static rc_t take_spki(sigkey_t *k)
{
  uint8_t *der = NULL;
  int n = i2d_PUBKEY(k->pkey, &der);
  if (n <= 0) return rc(RC_CRYPTO);
  uint8_t *copy = mem_alloc((size_t)n);
  if (copy) {
    memcpy(copy, der, (size_t)n);
    k->spki = slice_of(copy, (size_t)n);
  }
  OPENSSL_free(der);
  return rc(copy ? RC_OK : RC_NOMEM);
}

static rc_t fill(sigkey_t *k, err_t *e)
{
  TRY(kind_of(k->pkey, &k->parts.kind, e));
  bool ec = lib_kind(k->parts.kind)->group != NULL;
  /* A key that was stored with a compressed point is emitted in the form everybody reads. */
  if (ec && EVP_PKEY_set_utf8_string_param(k->pkey, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, "uncompressed") != 1)
    return lib_failed(e);
  rc_t r = k->parts.kind == KEY_RSA ? take_rsa(k) : take_point(k);
  if (rc_ok(r)) r = take_spki(k);
  if (!rc_ok(r)) return rc_is(r, RC_NOMEM) ? r : lib_failed(e);
  if (k->parts.kind == KEY_ED25519) return r;
  k->sign = context_new(k->pkey, true);
  return k->sign ? r : lib_failed(e);
}

rc_t lib_adopt(EVP_PKEY *pkey, sigkey_t **ret, err_t *e)
{
  sigkey_t *k = mem_alloc(sizeof *k);
  if (!k) {
    EVP_PKEY_free(pkey);
    return rc(RC_NOMEM);
  }
  k->pkey = pkey;
  rc_t r = fill(k, e);
  if (rc_ok(r))
    *ret = k;
  else
    key_free(k);
  return r;
}

rc_t key_generate(key_kind_t kind, unsigned rsa_bits, sigkey_t **ret, err_t *e)
{
  EVP_PKEY *pkey = NULL;
  if (kind == KEY_RSA) {
    if (rsa_bits != 2048 && rsa_bits != 3072 && rsa_bits != 4096)
      return err_set(e, RC_INVALID, "rsa_size", NULL, "RSA keys are made with 2048, 3072 or 4096 bits");
    pkey = EVP_RSA_gen(rsa_bits);
  } else {
    const kind_t *k = lib_kind(kind);
    pkey = k->group ? EVP_EC_gen(k->group) : EVP_PKEY_Q_keygen(NULL, NULL, k->type);
  }
  return pkey ? lib_adopt(pkey, ret, e) : lib_failed(e);
}

void key_free(sigkey_t *k)
{
  if (!k) return;
  EVP_PKEY_CTX_free(k->sign);
  EVP_PKEY_free(k->pkey); /* the library wipes private numbers */
  mem_free((void *)(uintptr_t)k->spki.p);
  mem_free(k->data);
  mem_free(k);
}

void key_free_ptr(sigkey_t **k) { key_free(*k); }

/* ---- reading ---- */

key_kind_t key_kind(const sigkey_t *k) { return k->parts.kind; }
key_parts_t key_parts(const sigkey_t *k) { return k->parts; }
slice_t key_spki(const sigkey_t *k) { return k->spki; }
bool key_match(const sigkey_t *k, slice_t spki) { return slice_eq(k->spki, spki); }
const char *key_algorithm(key_kind_t kind) { return lib_kind(kind)->algorithm; }
key_sigalg_t key_sigalg(const sigkey_t *k) { return lib_kind(k->parts.kind)->sigalg; }

int64_t key_number_bits(slice_t n)
{
  while (n.n && n.p[0] == 0) n = slice_sub(n, 1, n.n);
  if (n.n == 0) return 0;
  return (int64_t)n.n * 8 - (__builtin_clz(n.p[0]) - 24);
}

int64_t key_bits(const key_parts_t *parts)
{
  return parts->kind == KEY_RSA ? key_number_bits(parts->n) : lib_kind(parts->kind)->bits;
}

/* ---- signing ---- */

static rc_t sign_ed25519(EVP_PKEY *pkey, slice_t message, uint8_t *sig, size_t *n)
{
  EVP_MD_CTX *c = EVP_MD_CTX_new();
  bool ok = c && EVP_DigestSignInit(c, NULL, NULL, NULL, pkey) == 1 &&
            EVP_DigestSign(c, sig, n, message.p, message.n) == 1;
  EVP_MD_CTX_free(c);
  return ok ? rc(RC_OK) : lib_failed(NULL);
}

rc_t key_sign(sigkey_t *k, slice_t message, uint8_t ret_sig[KEY_SIG_MAX], size_t *ret_n)
{
  size_t n = KEY_SIG_MAX;
  if (k->parts.kind == KEY_ED25519) {
    TRY(sign_ed25519(k->pkey, message, ret_sig, &n));
  } else {
    uint8_t digest[EVP_MAX_MD_SIZE];
    size_t dn = lib_digest(sigalg_md(key_sigalg(k)), message, digest);
    if (dn == 0 || EVP_PKEY_sign(k->sign, ret_sig, &n, digest, dn) != 1) return lib_failed(NULL);
  }
  *ret_n = n;
  return rc(RC_OK);
}

static rc_t verify_rsa(const key_parts_t *parts, key_sigalg_t alg, slice_t message, slice_t sig, err_t *e)
{
  EVP_PKEY *pkey = rsa_public(parts->n, parts->e);
  EVP_PKEY_CTX *c = pkey ? context_new(pkey, false) : NULL;
  rc_t r = c ? verify_with(c, alg, message, sig, e) : lib_failed(e);
  EVP_PKEY_CTX_free(c);
  EVP_PKEY_free(pkey);
  return r;
}

static rc_t verify_ed25519(slice_t point, slice_t message, slice_t sig, err_t *e)
{
  EVP_PKEY *pkey = EVP_PKEY_new_raw_public_key_ex(NULL, "ED25519", NULL, point.p, point.n);
  EVP_MD_CTX *c = EVP_MD_CTX_new();
  bool ready = pkey && c && EVP_DigestVerifyInit(c, NULL, NULL, NULL, pkey) == 1;
  bool right = ready && EVP_DigestVerify(c, sig.p, sig.n, message.p, message.n) == 1;
  EVP_MD_CTX_free(c);
  EVP_PKEY_free(pkey);
  if (right) return rc(RC_OK);
  return ready ? signature_wrong(e) : lib_failed(e);
}

rc_t key_verify(const key_parts_t *parts, key_sigalg_t alg, slice_t message, slice_t sig, err_t *e)
{
  if (!sigalg_fits(parts->kind, alg)) return sigalg_refused(e, "signature algorithm does not fit the key");
  if (lib_kind(parts->kind)->group) {
    const lib_ec_t *ec = lib_ec_load(parts);
    return ec ? verify_with(ec->verify, alg, message, sig, e) : lib_point_refused(e);
  }
  TRY(key_check(parts, e));
  return parts->kind == KEY_RSA ? verify_rsa(parts, alg, message, sig, e) : verify_ed25519(parts->point, message, sig, e);
}
