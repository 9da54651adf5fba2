/*
 * Signature keys: ECDSA P-256 and P-384, RSA, Ed25519. A sigkey_t holds a private key together with its prepared
 * context, so a signature costs what the arithmetic costs; it is used by one thread at a time and wiped when freed.
 * Public keys of others arrive as key_parts_t, already taken apart by the DER reader: the library's key decoders are
 * never given foreign bytes.
 */
#ifndef CRYPTO_KEY_H
#define CRYPTO_KEY_H

#include "base/secret.h"

typedef enum key_kind { KEY_RSA, KEY_P256, KEY_P384, KEY_ED25519 } key_kind_t;

typedef enum key_sigalg {
  SIG_ECDSA_SHA256,
  SIG_ECDSA_SHA384,
  SIG_ECDSA_SHA512,
  SIG_RSA_SHA256, /* PKCS#1 v1.5 */
  SIG_RSA_SHA384,
  SIG_RSA_SHA512,
  SIG_ED25519
} key_sigalg_t;

enum {
  KEY_SIG_MAX = 1024,     /* longest signature: RSA-8192 */
  KEY_RSA_MIN_BITS = 2048,
  KEY_RSA_MAX_BITS = 8192 /* cost of a stranger's key is bounded */
};

/* A public key in its parts; views, big-endian, no leading sign octet needed. */
typedef struct key_parts {
  key_kind_t kind;
  slice_t n, e;   /* RSA */
  slice_t point;  /* EC: 04, x, y (RFC 5480 2.2). Ed25519: 32 octets (RFC 8032) */
} key_parts_t;

typedef struct sigkey sigkey_t;

/* New private key; rsa_bits is 2048, 3072 or 4096 for KEY_RSA, ignored otherwise. RC_INVALID, RC_CRYPTO. */
MUST rc_t key_generate(key_kind_t kind, unsigned rsa_bits, sigkey_t **ret, err_t *e);

/*
 * The first private key of a PEM file: "PRIVATE KEY" (PKCS#8), "EC PRIVATE KEY"
 * (SEC 1) or "RSA PRIVATE KEY" (PKCS#1). RC_NOTFOUND "key_pem_missing",
 * RC_INVALID "key_encrypted", and the reasons of key_from_der.
 */
MUST rc_t key_from_pem(slice_t pem, sigkey_t **ret, err_t *e);

/*
 * A private key as PKCS#8, SEC 1 or PKCS#1 DER. RC_SYNTAX "key_syntax";
 * RC_INVALID "key_kind" for other algorithms and curves, "key_pair" when the
 * private and public halves differ, and the reasons of key_check.
 */
MUST rc_t key_from_der(slice_t der, sigkey_t **ret, err_t *e);

/* "EC PRIVATE KEY" for EC, "PRIVATE KEY" otherwise. RC_CRYPTO. */
MUST rc_t key_to_pem(const sigkey_t *k, secret_t *ret, err_t *e);

void key_free(sigkey_t *k);
void key_free_ptr(sigkey_t **k);
#define KEY_SCOPED CLEANUP(key_free_ptr)

/*
 * Refuses keys that prove nothing, RC_INVALID: "rsa_modulus_small",
 * "rsa_modulus_large", "rsa_modulus_even", "rsa_exponent" (even, below 65537 or
 * above 64 bits), "rsa_small_factor" (below 752, CA/Browser BR 6.1.6),
 * "rsa_roca" (CVE-2017-15361), "rsa_close_primes" (100 rounds of Fermat, BR
 * 6.1.1.3), "ec_point" (form, or not on the curve), "ed25519_point" (small order
 * or not canonical).
 */
MUST rc_t key_check(const key_parts_t *parts, err_t *e);

key_kind_t key_kind(const sigkey_t *k);

/* Public half; views into the key. */
key_parts_t key_parts(const sigkey_t *k);

/* SubjectPublicKeyInfo DER, owned by the key. */
slice_t key_spki(const sigkey_t *k);

/* True if the key's public half is that SubjectPublicKeyInfo. */
bool key_match(const sigkey_t *k, slice_t spki);

/* "RSA", "ECDSA", "Ed25519". */
const char *key_algorithm(key_kind_t kind);

/* 256, 384, 256 for Ed25519, or the bits of the RSA modulus. */
int64_t key_bits(const key_parts_t *parts);

/* Bits of a big-endian number; zeros in front of it do not count. */
int64_t key_number_bits(slice_t n);

/* What key_sign makes: SHA-256 for P-256 and RSA, SHA-384 for P-384. */
key_sigalg_t key_sigalg(const sigkey_t *k);

/* AlgorithmIdentifier DER of a signature algorithm (RFC 5758 3.2, RFC 4055 5, RFC 8410 3); static. */
slice_t sigalg_der(key_sigalg_t alg);

/* The reverse, octet for octet. RC_INVALID "signature_algorithm". */
MUST rc_t sigalg_from_der(slice_t der, key_sigalg_t *ret, err_t *e);

/* Signature of the message (not of its digest). RC_CRYPTO. */
MUST rc_t key_sign(sigkey_t *k, slice_t message, uint8_t ret_sig[KEY_SIG_MAX], size_t *ret_n);

/*
 * key_check, then the signature over the message: no need to check the key before. EC keys go through a per-thread key
 * whose point is replaced, at 1 us instead of 18. RC_INVALID with the reasons of key_check, or "signature_algorithm" if
 * it does not fit the key; RC_CRYPTO "signature" if it is wrong.
 */
MUST rc_t key_verify(const key_parts_t *parts, key_sigalg_t alg, slice_t message, slice_t sig, err_t *e);

#endif
