#include "crypto/hash.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>

#include "base/mem.h"
#include "crypto/lib_int.h"

enum { SCRYPT_MEMORY_MAX = 64 * 1024 * 1024 };

void sha256(slice_t s, uint8_t ret_digest[SHA256_LEN])
{
  uint8_t out[EVP_MAX_MD_SIZE];
  CHECK(lib_digest(lib_get()->sha256, s, out) == SHA256_LEN);
  memcpy(ret_digest, out, SHA256_LEN);
}

void sha256_hex(slice_t s, char ret_hex[2 * SHA256_LEN + 1])
{
  uint8_t d[SHA256_LEN];
  sha256(s, d);
  hex_encode(slice_of(d, sizeof d), ret_hex);
}

struct sha256_stream {
  EVP_MD_CTX *ctx;
};

static rc_t stream_start(sha256_stream_t *h)
{
  return EVP_DigestInit_ex2(h->ctx, lib_get()->sha256, NULL) == 1 ? rc(RC_OK) : lib_failed(NULL);
}

rc_t sha256_new(sha256_stream_t **ret)
{
  sha256_stream_t *h = mem_alloc(sizeof *h);
  if (!h) return rc(RC_NOMEM);
  h->ctx = EVP_MD_CTX_new();
  rc_t r = h->ctx ? stream_start(h) : rc(RC_NOMEM);
  if (!rc_ok(r)) {
    sha256_free(h);
    return r;
  }
  *ret = h;
  return r;
}

void sha256_free(sha256_stream_t *h)
{
  if (!h) return;
  EVP_MD_CTX_free(h->ctx);
  mem_free(h);
}

rc_t sha256_add(sha256_stream_t *h, slice_t piece)
{
  return EVP_DigestUpdate(h->ctx, piece.p, piece.n) == 1 ? rc(RC_OK) : lib_failed(NULL);
}

rc_t sha256_end(sha256_stream_t *h, uint8_t ret_digest[SHA256_LEN])
{
  uint8_t out[EVP_MAX_MD_SIZE];
  unsigned n = 0;
  if (EVP_DigestFinal_ex(h->ctx, out, &n) != 1 || n != SHA256_LEN) return lib_failed(NULL);
  TRY(stream_start(h));
  memcpy(ret_digest, out, SHA256_LEN);
  return rc(RC_OK);
}

rc_t hmac_sha256(slice_t key, slice_t message, uint8_t ret_mac[SHA256_LEN])
{
  EVP_MAC_CTX *c = lib_thread()->hmac;
  char name[] = "SHA256";
  OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0), OSSL_PARAM_construct_end()};
  uint8_t out[SHA256_LEN];
  size_t n = 0;
  /* A NULL key means "the previous one" to the library, so an empty key needs an address. */
  const uint8_t *k = key.n ? key.p : out;
  bool ok = EVP_MAC_init(c, k, key.n, params) == 1 && EVP_MAC_update(c, message.p, message.n) == 1 &&
            EVP_MAC_final(c, out, &n, sizeof out) == 1 && n == sizeof out;
  if (!ok) return lib_failed(NULL);
  memcpy(ret_mac, out, SHA256_LEN);
  return rc(RC_OK);
}

rc_t kdf_pbkdf2_sha256(slice_t passphrase, slice_t salt, uint32_t rounds, uint8_t *ret_key, size_t n)
{
  if (rounds == 0 || rounds > INT32_MAX || n == 0 || n > INT32_MAX || passphrase.n > INT32_MAX || salt.n > INT32_MAX)
    return rc(RC_INVALID);
  int ok = PKCS5_PBKDF2_HMAC((const char *)passphrase.p, (int)passphrase.n, salt.p, (int)salt.n, (int)rounds,
                             lib_get()->sha256, (int)n, ret_key);
  return ok == 1 ? rc(RC_OK) : lib_failed(NULL);
}

rc_t kdf_scrypt(slice_t passphrase, slice_t salt, unsigned log2_n, uint32_t r, uint32_t p, uint8_t *ret_key, size_t n)
{
  if (log2_n == 0 || log2_n > 20 || r == 0 || r > 64 || p == 0 || p > 16 || n == 0) return rc(RC_INVALID);
  uint64_t cost = UINT64_C(1) << log2_n;
  if (128 * cost * r > SCRYPT_MEMORY_MAX) return rc(RC_INVALID);
  int ok = EVP_PBE_scrypt((const char *)passphrase.p, passphrase.n, salt.p, salt.n, cost, r, p,
                          2 * (uint64_t)SCRYPT_MEMORY_MAX, ret_key, n);
  return ok == 1 ? rc(RC_OK) : lib_failed(NULL);
}
