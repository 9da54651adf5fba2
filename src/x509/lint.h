/*
 * The rules that the signer enforces on what it is about to sign, as a table
 * with the names that zlint gives them. The signer says what it means to make,
 * a leaf or a CA; a certificate that breaks a rule of that role is not signed.
 */
#ifndef X509_LINT_H
#define X509_LINT_H

#include "x509/cert.h"

typedef enum lint_role { LINT_LEAF = 1, LINT_CA = 2 } lint_role_t;

typedef struct lint_rule {
  const char *name;     /* zlint's; its source stands beside it in the table */
  const char *text;     /* what is wrong, for people */
  unsigned roles;       /* bits of lint_role_t */
  bool (*broken)(const cert_t *c);
} lint_rule_t;

/* The table; static. */
const lint_rule_t *lint_rules(size_t *ret_n);

/*
 * Checks a parsed certificate or TBSCertificate: RC_INVALID with the name of the
 * first broken rule as reason and its text. After the table, any finding of the
 * reader that is an error refuses under its own rule.
 */
MUST rc_t lint_check(const cert_t *c, lint_role_t role, err_t *e);

/* Parses a TBSCertificate and checks it. Reasons of cert_parse_tbs and lint_check. */
MUST rc_t lint_tbs(arena_t *a, slice_t tbs, lint_role_t role, cert_t *ret, err_t *e);

#endif
