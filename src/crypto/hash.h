/*
 * SHA-256, HMAC and key derivation of the crypto library, with algorithms
 * fetched once and one context kept per thread: a short digest costs half a
 * microsecond. Nothing is owned by the caller except a streaming context.
 * Every function may be called from any thread.
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

/* Digest of a message that comes in pieces; one owner, one thread. */
typedef struct sha256_stream sha256_stream_t;

MUST rc_t sha256_new(sha256_stream_t **ret);
void sha256_free(sha256_stream_t *h);

/* RC_CRYPTO when the library fails. */
MUST rc_t sha256_add(sha256_stream_t *h, slice_t piece);

/* The digest of what was added; the stream then starts anew. RC_CRYPTO. */
MUST rc_t sha256_end(sha256_stream_t *h, uint8_t ret_digest[SHA256_LEN]);

/* RFC 2104 with SHA-256; any key length. RC_CRYPTO. */
MUST rc_t hmac_sha256(slice_t key, slice_t message, uint8_t ret_mac[SHA256_LEN]);

/* RFC 8018 5.2 with HMAC-SHA-256; rounds >= 1. RC_INVALID on sizes, RC_CRYPTO. */
MUST rc_t kdf_pbkdf2_sha256(slice_t passphrase, slice_t salt, uint32_t rounds, uint8_t *ret_key, size_t n);

/* RFC 7914; cost = 1 << log2_n, at most 64 MiB of memory. RC_INVALID on parameters, RC_CRYPTO. */
MUST rc_t kdf_scrypt(slice_t passphrase, slice_t salt, unsigned log2_n, uint32_t r, uint32_t p, uint8_t *ret_key,
                     size_t n);

#endif
