/*
 * Extensions of certificates and CSRs (RFC 5280 4.2): the list, and the bodies that more
 * than one reader needs. Lists are in the caller's arena; slices point into the DER.
 */
#ifndef X509_EXT_H
#define X509_EXT_H

#include "wire/der.h"
#include "x509/names.h"
#include "x509/oid.h"

typedef struct ext {
  oid_t id;        /* OID_UNKNOWN: see oid */
  slice_t oid;     /* content octets */
  bool critical;
  slice_t value;   /* content of extnValue */
} ext_t;

typedef struct exts {
  const ext_t *v;
  size_t n;
} exts_t;

/* Bits of keyUsage: named bit i is 1 << i (RFC 5280 4.2.1.3). */
enum key_usage {
  KU_DIGITAL_SIGNATURE = 1 << 0,
  KU_CONTENT_COMMITMENT = 1 << 1,
  KU_KEY_ENCIPHERMENT = 1 << 2,
  KU_DATA_ENCIPHERMENT = 1 << 3,
  KU_KEY_AGREEMENT = 1 << 4,
  KU_CERT_SIGN = 1 << 5,
  KU_CRL_SIGN = 1 << 6,
  KU_ENCIPHER_ONLY = 1 << 7,
  KU_DECIPHER_ONLY = 1 << 8
};

/*
 * Reads one Extensions SEQUENCE. Refused through the reader: a second extension of one type
 * ("ext_duplicate"), critical FALSE written out ("der_default", X.690 11.5), more than
 * LIM_CERT_EXTENSIONS ("ext_count"), out of memory ("memory"). An empty list is read.
 */
exts_t exts_read(arena_t *a, der_t *r);

/* The extension of that type, or NULL. */
const ext_t *exts_find(exts_t exts, oid_t id);

/*
 * Bodies. `value` is ext_t.value; each leaves its outputs alone on failure: RC_SYNTAX with
 * the reasons of der.h, RC_INVALID, RC_FULL, RC_NOMEM.
 */

/* GeneralNames as they stand: kind, content octets, and their text ("" where there is none). At most LIM_CERT_SANS. */
MUST rc_t ext_names(arena_t *a, slice_t value, names_t *ret, err_t *e);

/* Named bits; a bit string with trailing zero bits is "ext_key_usage_zeros" (X.690 11.2.2). */
MUST rc_t ext_key_usage(slice_t value, uint32_t *ret, err_t *e);

/* Content octets of the identifiers of extKeyUsage, certificatePolicies-like lists. At most 64, at least 1. */
MUST rc_t ext_oids(arena_t *a, slice_t value, const slice_t **ret, size_t *ret_n, err_t *e);

/* basicConstraints; *ret_path_len is -1 when absent. */
MUST rc_t ext_basic(slice_t value, bool *ret_ca, int32_t *ret_path_len, err_t *e);

/* One OCTET STRING (subjectKeyIdentifier). */
MUST rc_t ext_octets(slice_t value, slice_t *ret, err_t *e);

/* keyIdentifier of authorityKeyIdentifier; empty when absent. */
MUST rc_t ext_aki(slice_t value, slice_t *ret, err_t *e);

/* authorityInfoAccess and cRLDistributionPoints: their form alone. */
MUST rc_t ext_aia(slice_t value, err_t *e);
MUST rc_t ext_cdp(slice_t value, err_t *e);

/* tlsFeature (RFC 7633): true if it has status_request (5). */
MUST rc_t ext_must_staple(slice_t value, bool *ret, err_t *e);

#endif
