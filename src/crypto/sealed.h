/*
 * Key files of the signer, sealed under a passphrase: scrypt and AES-256-GCM.
 * Plain text comes back in secret memory; derived keys are wiped before return.
 */
#ifndef CRYPTO_SEALED_H
#define CRYPTO_SEALED_H

#include "base/buf.h"
#include "base/random.h"
#include "base/secret.h"

/*
 * Magic, scrypt parameters, salt, nonce, cipher text, tag, appended to *ret. The header and `aad` (at most 256 bytes)
 * are authenticated, so a file moved to another name or with cheaper parameters does not open. RC_INVALID
 * "passphrase_empty"; RC_FULL over ret's cap or that of aad; RC_CRYPTO.
 */
MUST rc_t sealed_seal(slice_t passphrase, slice_t aad, slice_t plain, const rng_t *rng, buf_t *ret, err_t *e);

/*
 * RC_INVALID "passphrase_empty"; RC_SYNTAX "sealed_format": no such file; RC_CRYPTO "sealed_open": another passphrase,
 * aad or byte.
 */
MUST rc_t sealed_open(slice_t passphrase, slice_t aad, slice_t sealed, secret_t *ret, err_t *e);

#endif
