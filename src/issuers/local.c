/*
 * The built-in CA: its key lives in the signer (spec/protocols.md 8, decisions: Certificates).
 * Issuers of this kind differ in their settings; all sign with the one CA.
 */
#include "issuers/issuer.h"

#include "base/limits.h"
#include "wire/json_in.h"
#include "wire/pem.h"

#include <stddef.h>

typedef struct local_config {
  int64_t validity_days;
} local_config_t;

static const field_t fields[] = {
    FIELD(local_config_t, validity_days, FT_INT, 0, .min = 1, .max = 398, .def = "90",
          .help = "lifetime of a leaf in days"),
};

static const resource_t schema = {
    .name = "config", .fields = fields, .nfields = COUNT_OF(fields), .row_size = sizeof(local_config_t)};

static rc_t config_read(slice_t config, arena_t *a, local_config_t *ret, err_t *e)
{
  json_doc_t doc;
  local_config_t c = {0};
  uint64_t present = 0;
  TRY(json_parse_object(a, config.n ? config : S("{}"), &doc, e));
  TRY(json_row_read(&schema, a, doc.root, &c, &present, e));
  TRY(json_row_defaults(&schema, a, present, &c, e));
  *ret = c;
  return rc(RC_OK);
}

static rc_t check(slice_t config, arena_t *a, err_t *e)
{
  local_config_t c;
  return config_read(config, a, &c, e);
}

/* Name of the built-in CA in the signer. */
static const slice_t ca_id = {(const uint8_t *)"iss-local", 9};

static rc_t chain(signer_client_t *signer, arena_t *a, slice_t *ret_pem, err_t *e)
{
  return signer_ca_chain(signer, ca_id, a, ret_pem, e);
}

static int64_t shorter(int64_t a, int64_t b) { return b > 0 && b < a ? b : a; }

static rc_t issue(signer_client_t *signer, const issue_order_t *o, arena_t *a, issue_result_t *ret, err_t *e)
{
  local_config_t c;
  issue_result_t r;
  slice_t above;
  TRY(config_read(o->config, a, &c, e));
  TRY(chain(signer, a, &above, e));
  TRY(signer_sign(signer,
                  &(sign_request_t){.ref = o->ref,
                                    .issuer = ca_id,
                                    .csr_der = o->csr_der,
                                    .common_name = o->common_name,
                                    .names = o->names,
                                    .lifetime_s = shorter(c.validity_days * 86400, o->profile_max_s),
                                    .profile_max_s = o->profile_max_s,
                                    .profile_keys = o->profile_keys,
                                    .ekus = o->ekus,
                                    .must_staple = o->must_staple,
                                    .context = o->context},
                  a, &r.leaf, e));
  buf_t pem = buf_on(a, 2 * (size_t)LIM_CERT_DER + above.n);
  pem_emit(&pem, "CERTIFICATE", r.leaf.der);
  buf_put(&pem, above);
  TRY(buf_rc(&pem));
  r.pem_chain = buf_slice(&pem);
  *ret = r;
  return rc(RC_OK);
}

static const char *const aliases[] = {"local", "local_ca", NULL};

const issuer_kind_t issuer_local = {.type = "GenericCA",
                                    .aliases = aliases,
                                    .fields = fields,
                                    .nfields = COUNT_OF(fields),
                                    .check = check,
                                    .chain = chain,
                                    .issue = issue};
