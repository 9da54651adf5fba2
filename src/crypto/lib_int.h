/*
 * What the files of this folder share: algorithms fetched once per process and
 * contexts kept per thread. A fetch by name costs more than a short digest.
 */
#ifndef CRYPTO_LIB_INT_H
#define CRYPTO_LIB_INT_H

#include "base/check.h"
#include "crypto/key.h"

#include <openssl/evp.h>

typedef struct lib {
  EVP_MD *sha256, *sha384, *sha512;
  EVP_CIPHER *aes256gcm;
} lib_t;

/* A key whose point is replaced for each verification, and its prepared context. */
typedef struct lib_ec {
  EVP_PKEY *pkey;
  EVP_PKEY_CTX *verify;
} lib_ec_t;

typedef struct lib_thread {
  EVP_MD_CTX *md;
  lib_ec_t ec[2]; /* P-256, P-384; made at first use */
} lib_thread_t;

/* The process's algorithms. The library without SHA-256 or AES is a broken installation: CHECK. */
const lib_t *lib_get(void);

/* This thread's contexts; freed when it ends. */
lib_thread_t *lib_thread(void);

/* Digest of s by md into out; its length. 0 when the library fails. */
size_t lib_digest(EVP_MD *md, slice_t s, uint8_t out[EVP_MAX_MD_SIZE]);

/* RC_CRYPTO with reason "library", and the library's error queue emptied. */
MUST rc_t lib_failed(err_t *e);

/*
 * This thread's key of that curve, its point replaced by the one in `parts` (checked to lie on the curve).
 * NULL when it is refused.
 */
lib_ec_t *lib_ec_load(const key_parts_t *parts);

/* RC_INVALID "ec_point". */
MUST rc_t lib_point_refused(err_t *e);

/* Constants of one kind of key. */
typedef struct kind {
  const char *type;      /* the library's name */
  const char *group;     /* EC only */
  const char *algorithm; /* ours */
  size_t point_n;        /* octets of key_parts_t.point; 0 for RSA */
  int bits;              /* 0 for RSA */
  key_sigalg_t sigalg;
} kind_t;

const kind_t *lib_kind(key_kind_t kind);

/* A key object around a private pkey, which it takes over, also on failure. */
MUST rc_t lib_adopt(EVP_PKEY *pkey, sigkey_t **ret, err_t *e);

EVP_PKEY *lib_pkey(const sigkey_t *k);

#endif
