/*
 * Distinguished names (RFC 5280 4.1.2.4): read strictly, kept raw, turned into text only
 * when somebody asks. Values that point into the DER.
 */
#ifndef X509_DN_H
#define X509_DN_H

#include "wire/der.h"
#include "x509/oid.h"

typedef struct dn {
  slice_t raw;        /* the Name, header included */
  slice_t cn;         /* content of its last commonName, in its own string type; empty: none */
  uint8_t cn_tag;     /* that string type; 0: none */
  uint32_t n;         /* attributes */
  bool empty_rdn;     /* an RDN has no attributes, against its SIZE (1..MAX) */
  bool bad_printable; /* a PrintableString has characters outside its set */
} dn_t;

typedef struct dn_attr {
  oid_t id;       /* OID_UNKNOWN: see oid */
  slice_t oid;    /* content octets */
  uint8_t tag;    /* string type */
  slice_t value;  /* content octets */
  slice_t raw;    /* the value, header included */
  bool joined;    /* in the same RDN as the attribute before */
} dn_attr_t;

/*
 * Reads one Name. Refused through the reader: what der.h refuses, a value that is no
 * string type ("dn_string_type") or not well formed in its type ("dn_string"), more than
 * LIM_DN_ATTRIBUTES attributes ("dn_attributes").
 */
dn_t dn_read(der_t *r);

/* True for a DirectoryString (RFC 5280 4.1.2.4) that is well formed in its type: whole characters, no surrogates. */
bool dn_directory_string(uint8_t tag, slice_t value);

/* Attributes in order of the DER; `it` starts zeroed. False at the end. */
typedef struct dn_iter {
  der_t r;
  bool begun;
  bool inside; /* an RDN */
} dn_iter_t;
bool dn_next(const dn_t *dn, dn_iter_t *it, dn_attr_t *ret);

/* The common name in UTF-8; empty if there is none. RC_NOMEM. */
MUST rc_t dn_cn(arena_t *a, const dn_t *dn, slice_t *ret);

/*
 * Text as RFC 4514: last RDN first, "CN=a,O=b", joined attributes with "+", unknown types
 * dotted with their value as "#" and hex. RC_NOMEM.
 */
MUST rc_t dn_text(arena_t *a, const dn_t *dn, slice_t *ret);

/*
 * Appends a string of this ASN.1 type as UTF-8 (single-byte types as Latin-1). Must be well formed, as dn_read checks.
 */
void dn_string(buf_t *b, uint8_t tag, slice_t value);

#endif
