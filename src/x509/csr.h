/*
 * PKCS#10 certificate requests (RFC 2986), read strictly. The request lies in the caller's
 * arena and points into the DER, which must outlive it. The signature is not verified here:
 * key_verify(&csr.spki.parts, alg, csr.tbs, csr.signature) does, once, in the signer.
 */
#ifndef X509_CSR_H
#define X509_CSR_H

#include "x509/dn.h"
#include "x509/ext.h"
#include "x509/spki.h"

enum { CSR_ATTRIBUTES_MAX = 16 }; /* Windows clients send 4 */

typedef struct csr {
  slice_t der;
  slice_t tbs;        /* CertificationRequestInfo, header included: the signed bytes */
  dn_t subject;
  spki_t spki;        /* always `usable` */
  names_t names;      /* asked for: SANs, then the CN if it is a name; normalised, each once, in order */
  exts_t exts;        /* requested, of the kinds below */
  uint32_t key_usage; /* requested bits; 0: none */
  const slice_t *ekus; /* requested, content octets */
  size_t nekus;
  bool must_staple;
  slice_t sig_alg;    /* AlgorithmIdentifier DER, for sigalg_from_der */
  slice_t signature;
} csr_t;

/*
 * Parses one CSR. Refusals, by reason:
 *  - those of der.h, dn.h, exts_read; trailing bytes behind the request: "der_trailing";
 *  - "dn_rdn_empty"; "csr_size" above LIM_CSR_DER, "csr_version";
 *  - "spki_algorithm", "spki_parameters", "spki_key" for keys that crypto/key.h does not take;
 *  - "csr_attribute" for values that do not fit their attribute, "csr_attribute_duplicate",
 *    "csr_attribute_count" above CSR_ATTRIBUTES_MAX;
 *  - "csr_extension" for requested extensions other than subjectAltName, keyUsage,
 *    extKeyUsage, tlsFeature, subjectKeyIdentifier and basicConstraints; "csr_ca" for
 *    basicConstraints with cA; bodies that do not parse;
 *  - "name_…" for names that names.h refuses.
 * e->field tells the part ("csr", "subject", "subjectPublicKeyInfo", "name" …).
 */
MUST rc_t csr_parse(arena_t *a, slice_t der, csr_t *ret, err_t *e);

/* The same for PEM text with one request in it. */
MUST rc_t csr_parse_pem(arena_t *a, slice_t pem, csr_t *ret, err_t *e);

#endif
