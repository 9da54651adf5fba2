/*
 * AES-256-GCM, and the two sealed formats made of it: blobs of the
 * configuration columns (spec: secrets at rest) and the signer's key files.
 * Plain text comes back in secret memory; keys are wiped before return.
 */
#ifndef CRYPTO_AEAD_H
#define CRYPTO_AEAD_H

#include "base/buf.h"
#include "base/random.h"
#include "base/secret.h"

enum { AEAD_KEY = 32, AEAD_NONCE = 12, AEAD_TAG = 16 };

/*
 * NIST SP 800-38D. `out` takes plain.n + AEAD_TAG bytes: cipher text, then tag.
 * A nonce must never repeat under one key. RC_CRYPTO.
 */
MUST rc_t aead_seal(const uint8_t key[AEAD_KEY], const uint8_t nonce[AEAD_NONCE], slice_t aad, slice_t plain,
                    uint8_t *out);

/* `out` takes sealed.n - AEAD_TAG bytes and is zeroed when the tag is wrong. RC_CRYPTO. */
MUST rc_t aead_open(const uint8_t key[AEAD_KEY], const uint8_t nonce[AEAD_NONCE], slice_t aad, slice_t sealed,
                    uint8_t *out);

/*
 * Blob v3: 0x03, salt 16, nonce 12, cipher text, tag; key by PBKDF2-HMAC-SHA-256
 * with 600,000 rounds (0.2 s of CPU). Appended to *ret. RC_INVALID with reason
 * "passphrase_empty"; RC_FULL over ret's cap; RC_CRYPTO.
 */
MUST rc_t blob_seal(slice_t passphrase, slice_t plain, const rng_t *rng, buf_t *ret, err_t *e);

/*
 * Reads v3, v2 (0x02, 100,000 rounds) and v1 (no version octet, fixed salt): by
 * the first octet, then v1 when the tag is wrong, since a v1 blob may begin with
 * any octet. RC_CRYPTO with reason "blob_open" when none fits.
 */
MUST rc_t blob_open(slice_t passphrase, slice_t blob, secret_t *ret, err_t *e);

/*
 * Key file of the signer: magic, scrypt parameters, salt, nonce, cipher text,
 * tag. The header and `aad` are authenticated, so a file moved to another name
 * or with cheaper parameters does not open. Appended to *ret. Same errors.
 */
MUST rc_t sealed_seal(slice_t passphrase, slice_t aad, slice_t plain, const rng_t *rng, buf_t *ret, err_t *e);

/* RC_SYNTAX "sealed_format": no such file; RC_CRYPTO "sealed_open": another passphrase, aad or byte. */
MUST rc_t sealed_open(slice_t passphrase, slice_t aad, slice_t sealed, secret_t *ret, err_t *e);

#endif
