/*
 * SHA-256 of the crypto library, fetched once, with one context kept per thread: a short digest costs half a
 * microsecond. Every function may be called from any thread.
 */
#ifndef CRYPTO_HASH_H
#define CRYPTO_HASH_H

#include "base/slice.h"

enum { SHA256_LEN = 32 };

/*
 * FIPS 180-4 digest of s. Cannot fail once the thread has its context; a
 * library that cannot give that one is a broken installation and stops the
 * process (CHECK).
 */
void sha256(slice_t s, uint8_t ret_digest[SHA256_LEN]);

/* Lower-case hex of the digest, terminated. */
void sha256_hex(slice_t s, char ret_hex[2 * SHA256_LEN + 1]);

#endif
