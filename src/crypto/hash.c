#include "crypto/hash.h"

#include "crypto/lib_int.h"

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
