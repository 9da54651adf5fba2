/*
 * The server's side of the signer: requests of many workers are gathered into
 * messages of up to 64 over one socket; a caller blocks until its answer is
 * there. The client never waits to fill a message. Thread-safe.
 */
#ifndef SIGNER_CLIENT_H
#define SIGNER_CLIENT_H

#include "base/arena.h"
#include "base/clock.h"
#include "desc/field.h"

typedef struct signer_client signer_client_t;

/*
 * What one leaf is to be. The signer checks proof of possession, that the CSR asks
 * for no name outside `names`, the CA's ceiling and its lint table; it makes the
 * TBSCertificate itself. The digest of (issuer, key, names, lifetime, usages) is
 * bound to `ref`: the same ref and digest return the recorded bytes, the same ref
 * with another digest is refused "ref_reused".
 */
typedef struct sign_request {
  slice_t ref;             /* 1..128 bytes; "<job id>" or, without a job, a fresh id */
  slice_t issuer;          /* "iss-local" */
  slice_t csr_der;
  slice_t common_name;     /* of the certificate row; subject CN when it fits 64 characters */
  texts_t names;           /* names of the row (CN when it is a name, and SANs), untyped text */
  int64_t lifetime_s;      /* wanted; clamped to the ceiling's CA end, refused above max_lifetime_s */
  int64_t profile_max_s;   /* 0 = none; narrows */
  texts_t profile_keys;    /* "ECDSA:256", "RSA:2048", "Ed25519:0"; empty = any the ceiling has */
  texts_t ekus;            /* "serverAuth", …; empty = serverAuth and clientAuth */
  bool must_staple;
  slice_t context;         /* opaque, at most 1 KiB, kept in the record so that a lost commit can be finished later */
} sign_request_t;

typedef struct sign_answer {
  slice_t der;             /* in the caller's arena */
  slice_t serial_hex;      /* 40 lower-case digits */
  us_t not_before, not_after;
  slice_t fingerprint_hex; /* SHA-256 of der */
  slice_t key_algorithm;   /* RSA, ECDSA, Ed25519 */
  int64_t key_size;
  slice_t spki_sha256_hex;
  bool from_record;        /* answered from the record, not signed now */
} sign_answer_t;

/* Takes over the connected socket `fd`; starts the client's thread. */
MUST rc_t signer_client_new(int fd, signer_client_t **ret, err_t *e);
void signer_client_free(signer_client_t *c);

/* Signs one leaf. RC_DENIED or RC_INVALID with e->reason by name (ceiling_names, ceiling_lifetime, csr_signature, name_not_asked …); RC_CLOSED when the signer died (retry). */
MUST rc_t signer_sign(signer_client_t *c, const sign_request_t *rq, arena_t *a, sign_answer_t *ret, err_t *e);

/* PEM chain of a CA (leaf's issuer first) in the arena. RC_NOTFOUND. */
MUST rc_t signer_ca_chain(signer_client_t *c, slice_t issuer, arena_t *a, slice_t *ret_pem, err_t *e);

typedef struct record_entry {
  slice_t ref, issuer, context, der;
} record_entry_t;

/* The newest `most` signatures of the record, oldest first: what a crash may have left without its row. */
MUST rc_t signer_record_tail(signer_client_t *c, size_t most, arena_t *a, record_entry_t **ret, size_t *ret_n, err_t *e);

/* Ed25519 signature of the audit key over up to 4 KiB; and its public key (32 bytes). */
MUST rc_t signer_audit_sign(signer_client_t *c, slice_t message, uint8_t ret_sig[64], err_t *e);
MUST rc_t signer_audit_key(signer_client_t *c, uint8_t ret_key[32], err_t *e);

#endif
