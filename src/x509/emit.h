/*
 * Certificates of the built-in CA, written field by field with our own DER
 * writer: a leaf is a few dozen memory copies. A TBSCertificate is emitted, checked
 * (x509/lint.h), signed, then wrapped. Nothing is owned; slices of a spec must
 * live until the call returns.
 */
#ifndef X509_EMIT_H
#define X509_EMIT_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/random.h"
#include "crypto/key.h"
#include "desc/field.h"
#include "x509/names.h"

enum {
  EMIT_SERIAL = 20,       /* octets of a serial number (RFC 5280 4.1.2.2: at most 20) */
  EMIT_KEY_ID = 20,       /* octets of a key identifier (RFC 7093 2, method 1) */
  EMIT_BACKDATE_S = 300   /* for clocks that run late */
};

/* What is the same in every leaf of a CA. */
typedef struct leaf_issuer {
  slice_t dn;         /* subject of the CA certificate, raw Name */
  slice_t key_id;     /* its subjectKeyIdentifier; without one, emit_key_id of its key */
  key_sigalg_t sigalg;
} leaf_issuer_t;

typedef struct leaf_spec {
  const leaf_issuer_t *issuer;
  slice_t serial;      /* emit_serial */
  us_t not_before, not_after;
  slice_t common_name; /* UTF-8; left out of the subject when longer than LIM_COMMON_NAME characters */
  names_t names;       /* subjectAltName, in this order; kinds DNS, IP, EMAIL, URI */
  slice_t spki;        /* raw SubjectPublicKeyInfo of the CSR */
  key_kind_t key_kind;
  texts_t ekus;        /* "serverAuth" … (spec/model.md 3.5a); empty: serverAuth and clientAuth */
  bool must_staple;    /* RFC 7633 */
} leaf_spec_t;

/*
 * Appends the TBSCertificate of a leaf. subjectAltName is critical when the subject
 * is empty; timeStamping is critical and stands alone (RFC 3161 2.3). RC_INVALID
 * "serial", "validity", "common_name", "names_missing", "name_kind", "eku_unknown",
 * "eku_missing" (ocspNoCheck alone), "eku_alone"; RC_FULL "name_count" or the buffer's cap; RC_NOMEM.
 */
MUST rc_t leaf_tbs_emit(const leaf_spec_t *spec, buf_t *tbs, err_t *e);

/* A self-signed CA certificate. */
typedef struct ca_spec {
  slice_t serial;
  us_t not_before, not_after;
  slice_t common_name; /* 1 to LIM_COMMON_NAME characters */
  int32_t path_len;    /* -1: no limit */
} ca_spec_t;

/* Appends the TBSCertificate of a CA that signs with `key`. Same errors. */
MUST rc_t ca_tbs_emit(const ca_spec_t *spec, const sigkey_t *key, buf_t *tbs, err_t *e);

/* Signs a TBSCertificate with `key` and appends the certificate (RFC 5280 4.1). RC_CRYPTO, RC_FULL, RC_NOMEM. */
MUST rc_t cert_sign(slice_t tbs, sigkey_t *key, buf_t *der);

/* Appends a Name of one commonName, or of nothing. UTF8String, which RFC 5280 4.1.2.4 asks for. */
void emit_cn(buf_t *b, slice_t cn);

/* Appends GeneralNames (RFC 5280 4.2.1.6): a kind's number is its context tag. */
void emit_names(buf_t *b, names_t names);

/* Random serial number, positive, first octet 01 to 7f so that it is 20 octets long always. */
void emit_serial(const rng_t *rng, uint8_t ret_serial[EMIT_SERIAL]);

/*
 * Key identifier of a SubjectPublicKeyInfo: the leftmost 160 bits of the SHA-256 of
 * subjectPublicKey (RFC 7093 2, method 1). RC_SYNTAX if it is none.
 */
MUST rc_t emit_key_id(slice_t spki, uint8_t ret_id[EMIT_KEY_ID], err_t *e);

/* Wanted and allowed life of a leaf. */
typedef struct leaf_life {
  us_t now;
  int64_t lifetime_s;  /* wanted, from now */
  int64_t ceiling_s;   /* most from first to last second, both counted; 0: no ceiling */
  us_t ca_not_before, ca_not_after;
} leaf_life_t;

/*
 * Whole seconds. Begins before `now` by the smaller of EMIT_BACKDATE_S and a tenth of
 * the lifetime, not before the CA; ends lifetime_s after `now`, not after the CA, and
 * within the ceiling. RC_INVALID "lifetime" below one second, "ca_expired" when
 * nothing is left, "ca_not_valid" when the CA's time has not come.
 */
MUST rc_t leaf_validity(const leaf_life_t *life, us_t *ret_not_before, us_t *ret_not_after, err_t *e);

#endif
