#include "targets/pair.h"

#include "crypto/hash.h"
#include "crypto/key.h"
#include "wire/pem.h"
#include "x509/cert.h"

static rc_t read_leaf(slice_t pem, arena_t *a, cert_t *ret, err_t *e)
{
  slice_t der;
  rc_t r = pem_one(a, pem, PEM_CERT, &der, e);
  if (rc_ok(r)) r = cert_parse(a, der, ret, e);
  if (!rc_ok(r) && e) {
    e->reason = "pair_leaf";
    e->field = "certificate";
  }
  return r;
}

/* Every block must be a certificate: what else would be served behind the leaf? */
static rc_t read_chain(slice_t pem, arena_t *a, err_t *e)
{
  pem_file_t file = {0};
  cert_t c;
  if (pem.n == 0) return rc(RC_OK);
  TRY(pem_parse(a, pem, &file, e));
  rc_t r = rc(RC_OK);
  for (size_t i = 0; i < file.n && rc_ok(r); i++) {
    r = file.blocks[i].kind == PEM_CERT ? cert_parse(a, file.blocks[i].der, &c, e)
                                        : err_set(e, RC_INVALID, NULL, NULL, "holds something that is no certificate");
  }
  for (size_t i = 0; i < file.nproblems && rc_ok(r); i++) {
    if (file.problems[i].lost) r = err_set(e, RC_SYNTAX, NULL, NULL, file.problems[i].text);
  }
  if (!rc_ok(r) && e) {
    e->reason = "pair_chain";
    e->field = "chain";
  }
  return r;
}

static rc_t check_key(slice_t pem, const cert_t *leaf, err_t *e)
{
  KEY_SCOPED sigkey_t *key = NULL;
  rc_t r = key_from_pem(pem, &key, e);
  if (!rc_ok(r)) {
    if (e) e->reason = "pair_key";
    return r;
  }
  if (key_match(key, leaf->spki.raw)) return r;
  return err_set(e, RC_INVALID, "pair_key_mismatch", "key", "does not belong to the certificate");
}

static rc_t check_name(slice_t text, const cert_t *leaf, arena_t *a, err_t *e)
{
  name_t want, have;
  if (text.n == 0) return rc(RC_OK);
  TRY(names_parse(a, text, &want, e));
  for (size_t i = 0; i < leaf->sans.n; i++) {
    const name_t *n = &leaf->sans.v[i];
    if (rc_ok(names_from_wire(a, n->kind, n->bytes, &have, NULL)) && name_covers(&have, &want)) return rc(RC_OK);
  }
  return err_quote(e, RC_INVALID, "pair_name", "certificate", "does not cover the name", text);
}

static rc_t check_dates(const cert_t *leaf, us_t now, err_t *e)
{
  char text[RFC3339_MAX];
  bool early = us_cmp(now, leaf->not_before) < 0;
  if (!early && us_cmp(now, leaf->not_after) <= 0) return rc(RC_OK);
  rc_t r = early ? err_set(e, RC_INVALID, "pair_not_yet", "certificate", "is not valid yet on this host's clock, from")
                 : err_set(e, RC_INVALID, "pair_expired", "certificate", "has expired, at");
  size_t n = rfc3339_format(early ? leaf->not_before : leaf->not_after, text);
  err_value(e, text, n);
  return r;
}

rc_t pair_check(const deploy_job_t *job, us_t now, arena_t *a, char ret_sha256[65], err_t *e)
{
  cert_t leaf = {0};
  TRY(read_leaf(job->leaf_pem, a, &leaf, e));
  sha256_hex(leaf.der, ret_sha256);
  TRY(read_chain(job->chain_pem, a, e));
  TRY(check_key(job->key_pem, &leaf, e));
  TRY(check_name(job->first_dns_name, &leaf, a, e));
  return check_dates(&leaf, now, e);
}
