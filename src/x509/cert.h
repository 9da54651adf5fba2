/*
 * Certificates (RFC 5280), read into a struct. The reader refuses what is not DER or
 * cannot be told apart (duplicate extensions); everything else that is wrong with a
 * certificate is a finding beside it, since an inventory must list bad certificates.
 * A cert_t lies in the caller's arena and points into the DER, which must outlive it.
 */
#ifndef X509_CERT_H
#define X509_CERT_H

#include "x509/dn.h"
#include "x509/ext.h"
#include "x509/spki.h"

typedef enum severity { SEV_NOTICE, SEV_WARNING, SEV_ERROR } severity_t;

/* zlint's name for the rule where it has one, else "cert_…"; static text. */
typedef struct finding {
  const char *rule;
  severity_t severity;
  const char *text; /* for people: "negative serial" */
} finding_t;

typedef struct cert {
  slice_t der;          /* whole; empty from cert_parse_tbs */
  slice_t tbs;          /* TBSCertificate, header included: the signed bytes */
  int version;          /* 1, 2, 3 */
  slice_t serial;       /* content octets, two's complement, sign kept */
  slice_t tbs_sig_alg;  /* AlgorithmIdentifier DER inside the TBS */
  slice_t sig_alg;      /* the one beside the signature; empty from cert_parse_tbs */
  slice_t signature;    /* octets */
  dn_t issuer, subject;
  us_t not_before, not_after;
  uint8_t not_before_tag, not_after_tag; /* DER_UTC_TIME or DER_GENERALIZED_TIME */
  spki_t spki;
  exts_t exts;          /* all, in order */
  bool has_san, san_critical;
  names_t sans;         /* as they stand, not normalised, any kind */
  bool is_ca;
  int32_t path_len;     /* -1: none */
  bool has_key_usage;
  uint32_t key_usage;   /* bits of enum key_usage */
  const slice_t *ekus;  /* content octets */
  size_t nekus;
  slice_t ski, aki;     /* key identifiers; empty: none */
  bool must_staple;
  const finding_t *findings;
  size_t nfindings;
} cert_t;

/*
 * Parses one certificate. RC_SYNTAX, RC_INVALID or RC_FULL with the reasons of der.h, dn.h and
 * exts_read, "cert_size" above LIM_CERT_DER, "cert_version"; bytes behind the certificate are "der_trailing".
 * RC_NOMEM when the arena is full. e->field tells the part.
 */
MUST rc_t cert_parse(arena_t *a, slice_t der, cert_t *ret, err_t *e);

/* The same for a TBSCertificate that is not signed yet. */
MUST rc_t cert_parse_tbs(arena_t *a, slice_t tbs, cert_t *ret, err_t *e);

/* Serial as hex without padding, lower case, "-" before a negative one (as OpenSSL shows it). RC_NOMEM. */
MUST rc_t cert_serial_text(arena_t *a, slice_t serial, slice_t *ret);

/* "RSA", "ECDSA", "Ed25519" …, else the dotted algorithm. RC_NOMEM. */
MUST rc_t cert_key_algorithm(arena_t *a, const cert_t *c, slice_t *ret);

#endif
