/*
 * One sign request, from bytes to certificate: everything that decides whether
 * the CA may sign it stands here, once. The server checked before; that does not count.
 *
 * A CSR may ask, beside its names, for keyUsage (digitalSignature, keyEncipherment, keyAgreement), extKeyUsage and
 * tlsFeature within what the request grants, basicConstraints without cA and a subjectKeyIdentifier: such wishes
 * change nothing, since the leaf is made from the request alone. Anything else is refused "csr_extension".
 */
#ifndef SIGNER_ISSUE_H
#define SIGNER_ISSUE_H

#include "signer/record.h"
#include "signer/store.h"

typedef struct issue_env {
  ca_t *ca;
  record_t *record;
  const timesrc_t *time;
  const rng_t *rng;
} issue_env_t;

/*
 * Signs, or finds in the record, the leaf of one request; a new one is added to the record, not yet committed.
 * Slices of *ret live in the arena. Refusals (RC_DENIED, RC_INVALID, RC_SYNTAX, RC_FULL, RC_CONFLICT, RC_NOTFOUND) by
 * reason: "ref_length", "issuer_unknown", the reasons of csr_parse, names_parse_all, ceiling.h and key_verify,
 * "csr_signature", "csr_extension", "name_not_asked", "common_name_not_asked", "common_name_form", "ref_reused",
 * "ca_expired", and zlint's name of a rule that the certificate would break (x509/lint.h).
 */
MUST rc_t issue_leaf(const issue_env_t *env, const sign_request_t *rq, arena_t *a, sign_answer_t *ret, err_t *e);

#endif
