/*
 * What the signer keeps secret: a CA (key, chain and ceiling sealed together in ca-<issuer>.sealed, so that none
 * can be exchanged for another's) and its own passphrase. Files are written whole or not at all; a ca_t owns what
 * it points at.
 */
#ifndef SIGNER_STORE_H
#define SIGNER_STORE_H

#include "base/random.h"
#include "crypto/key.h"
#include "io/file.h"
#include "signer/ceiling.h"
#include "x509/cert.h"
#include "x509/emit.h"

typedef struct ca {
  slice_t issuer;          /* "iss-local" */
  sigkey_t *key;
  cert_t cert;
  slice_t pem;             /* chain, the CA first */
  leaf_issuer_t leaf;      /* what every leaf of it shares */
  ceiling_t ceiling;
  uint8_t key_id[EMIT_KEY_ID];
  arena_t *arena;
} ca_t;

typedef struct store {
  const dir_t *dir;
  slice_t passphrase;
  const rng_t *rng;
} store_t;

/* 1 to 64 of A-Z a-z 0-9 . _ -, not beginning with a dot: it becomes part of a file name. */
MUST rc_t store_issuer_check(slice_t issuer, err_t *e);

/* RC_NOTFOUND when there is none; RC_CRYPTO "sealed_open" for a wrong passphrase or a changed file. */
MUST rc_t store_ca_load(const store_t *s, slice_t issuer, ca_t **ret, err_t *e);

/*
 * A new self-signed CA: ECDSA P-256, ten years from `now`, path length of the ceiling. Sealed before it is returned.
 */
MUST rc_t store_ca_make(const store_t *s, slice_t issuer, slice_t common_name, slice_t ceiling, us_t now, ca_t **ret,
                        err_t *e);

/*
 * Takes over an existing CA. RC_INVALID by name: "ca_missing" (no certificate in the PEM), "ca_key" (key and
 * certificate differ), "ca_not_ca", "ca_usage" (no certSign), "ca_dates", "ca_chain" (each certificate must be signed
 * by the next), "ca_path_len" (the ceiling allows more CAs below than the certificate).
 */
MUST rc_t store_ca_import(const store_t *s, slice_t issuer, slice_t cert_pem, slice_t key_pem, slice_t ceiling,
                          us_t now, ca_t **ret, err_t *e);

/* Seals the CA anew with another ceiling. The reasons of ceiling_parse, "ca_path_len". */
MUST rc_t store_ca_set_ceiling(const store_t *s, slice_t issuer, slice_t ceiling, err_t *e);

void ca_free(ca_t *ca);

/* The passphrase kept in the folder, made once (64 hex digits), for installations that set none. */
MUST rc_t store_passphrase(const dir_t *dir, const rng_t *rng, secret_t *ret, err_t *e);

#endif
