#include "crypto/sealed.h"

#include <limits.h>

#include "crypto/lib_int.h"

enum { AEAD_KEY = 32, AEAD_NONCE = 12, AEAD_TAG = 16, SCRYPT_MEMORY_MAX = 64 * 1024 * 1024 };

/* Layout: magic 8, log2 N, r, p, salt 16, nonce 12, cipher text, tag. */
enum {
  SEALED_SALT = 16,
  SEALED_LOG2_N = 15, /* with r = 8: 32 MiB and about 0.1 s, once per start of the signer */
  SEALED_R = 8,
  SEALED_P = 1,
  SEALED_PARAMS = 8, /* offset of log2 N */
  SEALED_SALT_AT = SEALED_PARAMS + 3,
  SEALED_NONCE_AT = SEALED_SALT_AT + SEALED_SALT,
  SEALED_HEAD = SEALED_NONCE_AT + AEAD_NONCE,
  SEALED_AAD_MAX = 256
};

#define SEALED_MAGIC S("CCSEAL1\n")

/* The library is called with a length and no address for empty parts. */
static bool feed(EVP_CIPHER_CTX *c, bool seal, slice_t in, uint8_t *out)
{
  int n = 0;
  if (in.n == 0) return true;
  if (in.n > INT_MAX) return false;
  int ok = seal ? EVP_EncryptUpdate(c, out, &n, in.p, (int)in.n) : EVP_DecryptUpdate(c, out, &n, in.p, (int)in.n);
  return ok == 1 && (size_t)n == in.n;
}

/*
 * AES-256-GCM (NIST SP 800-38D). `out` takes plain.n + AEAD_TAG bytes: cipher text, then tag. A nonce must never repeat
 * under one key.
 */
static rc_t aead_seal(const uint8_t key[AEAD_KEY], const uint8_t nonce[AEAD_NONCE], slice_t aad, slice_t plain,
                      uint8_t *out)
{
  EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
  int n = 0;
  bool ok = c && EVP_EncryptInit_ex2(c, lib_get()->aes256gcm, key, nonce, NULL) == 1 && feed(c, true, aad, NULL) &&
            feed(c, true, plain, out) && EVP_EncryptFinal_ex(c, out + plain.n, &n) == 1 && n == 0 &&
            EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG, out + plain.n) == 1;
  EVP_CIPHER_CTX_free(c);
  return ok ? rc(RC_OK) : lib_failed(NULL);
}

/* `sealed` is cipher text and tag. `out` takes sealed.n - AEAD_TAG bytes and is zeroed when the tag is wrong. */
static rc_t aead_open(const uint8_t key[AEAD_KEY], const uint8_t nonce[AEAD_NONCE], slice_t aad, slice_t sealed,
                      uint8_t *out)
{
  slice_t text = slice_of(sealed.p, sealed.n - AEAD_TAG);
  uint8_t tag[AEAD_TAG];
  memcpy(tag, sealed.p + text.n, AEAD_TAG);
  uint8_t rest[AEAD_TAG];
  int n = 0;
  EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
  bool ok = c && EVP_DecryptInit_ex2(c, lib_get()->aes256gcm, key, nonce, NULL) == 1 && feed(c, false, aad, NULL) &&
            feed(c, false, text, out) && EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG, tag) == 1 &&
            EVP_DecryptFinal_ex(c, rest, &n) == 1 && n == 0;
  EVP_CIPHER_CTX_free(c);
  if (ok) return rc(RC_OK);
  /* Unauthenticated plain text must not be used by mistake. */
  if (text.n) secret_wipe(out, text.n);
  return lib_failed(NULL);
}

/* What is authenticated: the header, then the caller's data. */
static rc_t sealed_aad(const uint8_t head[SEALED_HEAD], slice_t aad, uint8_t out[SEALED_HEAD + SEALED_AAD_MAX],
                       slice_t *ret)
{
  if (aad.n > SEALED_AAD_MAX) return rc(RC_FULL);
  memcpy(out, head, SEALED_HEAD);
  if (aad.n) memcpy(out + SEALED_HEAD, aad.p, aad.n);
  *ret = slice_of(out, SEALED_HEAD + aad.n);
  return rc(RC_OK);
}

/*
 * RFC 7914 with the parameters of the header. They are read before anything authenticates them, so what they may cost
 * is bounded here. RC_INVALID, RC_CRYPTO.
 */
static rc_t sealed_key(slice_t passphrase, const uint8_t head[SEALED_HEAD], uint8_t key[AEAD_KEY])
{
  unsigned log2_n = head[SEALED_PARAMS], r = head[SEALED_PARAMS + 1], p = head[SEALED_PARAMS + 2];
  /* N of 2^16 and more goes with r of 2 and more (RFC 7914 2), so 2^18 is the most that the memory allows. */
  if (log2_n == 0 || log2_n > 18 || r == 0 || r > 64 || p == 0 || p > 16) return rc(RC_INVALID);
  uint64_t cost = UINT64_C(1) << log2_n;
  if (128 * cost * r > SCRYPT_MEMORY_MAX) return rc(RC_INVALID);
  int ok = EVP_PBE_scrypt((const char *)passphrase.p, passphrase.n, head + SEALED_SALT_AT, SEALED_SALT, cost, r, p,
                          2 * (uint64_t)SCRYPT_MEMORY_MAX, key, AEAD_KEY);
  return ok == 1 ? rc(RC_OK) : lib_failed(NULL);
}

static rc_t passphrase_check(slice_t passphrase, err_t *e)
{
  if (passphrase.n) return rc(RC_OK);
  return err_set(e, RC_INVALID, "passphrase_empty", NULL, "the passphrase is empty");
}

rc_t sealed_seal(slice_t passphrase, slice_t aad, slice_t plain, const rng_t *rng, buf_t *ret, err_t *e)
{
  TRY(passphrase_check(passphrase, e));
  uint8_t head[SEALED_HEAD], bound[SEALED_HEAD + SEALED_AAD_MAX], key[AEAD_KEY];
  memcpy(head, SEALED_MAGIC.p, SEALED_MAGIC.n);
  memcpy(head + SEALED_PARAMS, (const uint8_t[]){SEALED_LOG2_N, SEALED_R, SEALED_P}, 3);
  rng_fill(rng, head + SEALED_SALT_AT, SEALED_SALT + AEAD_NONCE);
  slice_t all = {NULL, 0};
  rc_t r = sealed_aad(head, aad, bound, &all);
  if (rc_ok(r)) r = sealed_key(passphrase, head, key);
  size_t start = ret->n;
  if (rc_ok(r)) {
    buf_put(ret, slice_of(head, sizeof head));
    uint8_t *out = buf_grow(ret, plain.n + AEAD_TAG);
    r = out ? aead_seal(key, head + SEALED_NONCE_AT, all, plain, out) : buf_rc(ret);
  }
  secret_wipe(key, sizeof key);
  if (rc_ok(r)) return r;
  ret->n = start;
  return err_set(e, r.code, "sealed_seal", NULL, "could not be sealed");
}

rc_t sealed_open(slice_t passphrase, slice_t aad, slice_t sealed, secret_t *ret, err_t *e)
{
  TRY(passphrase_check(passphrase, e));
  if (sealed.n < SEALED_HEAD + AEAD_TAG || !slice_starts(sealed, SEALED_MAGIC))
    return err_set(e, RC_SYNTAX, "sealed_format", NULL, "is not a sealed key file");
  slice_t text = slice_sub(sealed, SEALED_HEAD, sealed.n), all = {NULL, 0};
  uint8_t bound[SEALED_HEAD + SEALED_AAD_MAX], key[AEAD_KEY] = {0};
  secret_t plain = {0};
  TRY(secret_alloc(&plain, text.n - AEAD_TAG));
  rc_t r = sealed_aad(sealed.p, aad, bound, &all);
  if (rc_ok(r)) r = sealed_key(passphrase, sealed.p, key);
  if (rc_ok(r)) r = aead_open(key, sealed.p + SEALED_NONCE_AT, all, text, plain.p);
  secret_wipe(key, sizeof key);
  if (rc_ok(r)) {
    *ret = plain;
    return r;
  }
  secret_fini(&plain);
  /* Parameters outside the bounds are as wrong as a wrong tag: both mean the file is not what was written. */
  int32_t code = rc_is(r, RC_NOMEM) ? RC_NOMEM : RC_CRYPTO;
  return err_set(e, code, "sealed_open", NULL, "does not open with this passphrase");
}
