/*
 * Certificate authorities: one kind per file. A kind checks its configuration
 * and turns a CSR into a leaf with its chain.
 */
#ifndef ISSUERS_ISSUER_H
#define ISSUERS_ISSUER_H

#include "signer/client.h"

/* What is wanted; slices live until the call returns. */
typedef struct issue_order {
  slice_t ref;    /* idempotency key: the job id, or a fresh id */
  slice_t config; /* of the issuer's row */
  slice_t csr_der, common_name;
  texts_t names;         /* of the certificate row */
  int64_t profile_max_s; /* 0: none */
  texts_t profile_keys;  /* "ECDSA:256"; empty: any */
  texts_t ekus;
  bool must_staple;
  slice_t context; /* what a lost commit needs to be finished */
} issue_order_t;

typedef struct issue_result {
  sign_answer_t leaf;
  slice_t pem_chain; /* leaf, then chain */
} issue_result_t;

typedef struct issuer_kind {
  const char *type;           /* as stored */
  const char *const *aliases; /* other spellings taken, any case; NULL-terminated */
  const field_t *fields;      /* of its configuration */
  uint32_t nfields;
  /* Checks a configuration object at write. */
  rc_t (*check)(slice_t config, arena_t *a, err_t *e);
  /* PEM of the CA certificates, the issuing one first. */
  rc_t (*chain)(signer_client_t *signer, arena_t *a, slice_t *ret_pem, err_t *e);
  /* RC_CLOSED and RC_AGAIN: try again later; anything else is final for this CSR. */
  rc_t (*issue)(signer_client_t *signer, const issue_order_t *o, arena_t *a, issue_result_t *ret, err_t *e);
} issuer_kind_t;

/* By type or alias, any case; NULL if unknown. */
const issuer_kind_t *issuer_find(slice_t type);

extern const issuer_kind_t issuer_local;

#endif
