/*
 * SubjectPublicKeyInfo (RFC 5280 4.1.2.7), taken apart for crypto/key.h without its
 * decoders. Values that point into the DER. No arithmetic here: whether a point lies on its
 * curve is key_check's business.
 */
#ifndef X509_SPKI_H
#define X509_SPKI_H

#include "crypto/key.h"
#include "wire/der.h"
#include "x509/oid.h"

typedef struct spki {
  slice_t raw;        /* whole, header included: what digests are taken of */
  slice_t oid;        /* algorithm, content octets */
  oid_t algorithm;    /* OID_RSA, OID_EC, OID_ED25519 …, or OID_UNKNOWN */
  oid_t curve;        /* of EC keys; OID_UNKNOWN for others */
  slice_t bits;       /* content of subjectPublicKey: what key identifiers are taken of */
  int64_t size;       /* bits of the modulus or field, 256 for Ed25519; 0: unknown */
  bool usable;        /* `parts` is set: RSA, P-256, P-384, Ed25519 */
  key_parts_t parts;
  const char *fault;  /* NULL, or why the key is not as its RFC wants it: "spki_parameters", "spki_key" … */
  const char *text;   /* sentence part for `fault` */
  const char *rule;   /* zlint's rule for `fault`, or NULL */
} spki_t;

/*
 * Reads one AlgorithmIdentifier and returns it whole, for sigalg_from_der; its parameters are
 * checked to the bottom as DER.
 */
slice_t algorithm_read(der_t *r);

/* Reads one SubjectPublicKeyInfo. Its frame is strict; what is wrong inside goes to `fault`. */
spki_t spki_read(der_t *r);

/* "RSA", "ECDSA", "Ed25519", "DSA", "Ed448" …; "" for algorithms that are not known. Static. */
const char *spki_algorithm(const spki_t *k);

#endif
