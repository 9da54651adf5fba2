#include "signer/issue.h"

#include "crypto/hash.h"
#include "x509/csr.h"
#include "x509/lint.h"

/*
 * What makes two requests the same: everything that shapes the certificate. Profiles only narrow, so they do not
 * count.
 */
typedef struct issue_subject {
  slice_t issuer, spki, common_name;
  texts_t names;           /* normalised */
  int64_t lifetime_s;
  texts_t ekus;
  bool must_staple;
} issue_subject_t;

static const msg_field_t subject_fields[] = {
    MSG_TEXT(issue_subject_t, issuer, 128),
    MSG_TEXT(issue_subject_t, spki, LIM_CSR_DER),
    MSG_TEXT(issue_subject_t, common_name, LIM_SIGN_NAME),
    MSG_TEXTS(issue_subject_t, names, LIM_SIGN_NAME, LIM_CERT_NAMES),
    MSG_PLAIN(issue_subject_t, lifetime_s, FT_INT),
    MSG_TEXTS(issue_subject_t, ekus, 64, 16),
    MSG_PLAIN(issue_subject_t, must_staple, FT_BOOL),
};
static const msg_shape_t subject_shape = MSG_SHAPE(issue_subject_t, subject_fields);

static const slice_t default_ekus[] = {{(const uint8_t *)"serverAuth", 10}, {(const uint8_t *)"clientAuth", 10}};

/* A request taken apart; slices in the arena or the request. */
typedef struct issue {
  csr_t csr;
  names_t names;
  slice_t common_name;     /* normalised where it is a name */
  texts_t ekus;
  uint8_t digest[RECORD_DIGEST];
} issue_t;

static MUST rc_t no_memory(err_t *e)
{
  return err_set(e, RC_NOMEM, "signer_memory", NULL, "out of memory");
}

/*
 * Old software matches host names against the common name, so a common name that is a name, or looks like one,
 * must be one of the names that were checked.
 */
static MUST rc_t check_common_name(arena_t *a, slice_t cn, names_t names, slice_t *ret, err_t *e)
{
  name_t n;
  *ret = cn;
  if (cn.n == 0) return rc(RC_OK);
  if (rc_ok(names_parse(a, cn, &n, NULL))) {
    if (!names_have(names, &n))
      return err_quote(e, RC_INVALID, "common_name_not_asked", "common_name", "is not one of the names", cn);
    *ret = n.text;
    return rc(RC_OK);
  }
  bool blank = slice_find(cn, ' ') < cn.n, mark = false;
  for (size_t i = 0; i < cn.n; i++) {
    if (cn.p[i] < 0x20 || cn.p[i] == 0x7f)
      return err_quote(e, RC_INVALID, "common_name_form", "common_name", "has a control character", cn);
    mark = mark || memchr(".*@:", cn.p[i], 4) != NULL;
  }
  if (mark && !blank)
    return err_quote(e, RC_INVALID, "common_name_form", "common_name", "looks like a name but is none", cn);
  return slice_utf8(cn) ? rc(RC_OK) : err_quote(e, RC_INVALID, "common_name_form", "common_name", "is not UTF-8", cn);
}

static MUST rc_t digest_of(arena_t *a, const sign_request_t *rq, issue_t *it)
{
  slice_t *texts = ARENA_ARRAY(a, slice_t, it->names.n ? it->names.n : 1);
  if (!texts) return rc(RC_NOMEM);
  for (size_t i = 0; i < it->names.n; i++) texts[i] = it->names.v[i].text;
  issue_subject_t s = {.issuer = rq->issuer, .spki = it->csr.spki.raw, .common_name = it->common_name,
                       .names = {texts, it->names.n}, .lifetime_s = rq->lifetime_s, .ekus = it->ekus, .must_staple = rq->must_staple};
  buf_t b = buf_on(a, 256 * 1024);
  TRY(msg_put(&subject_shape, &s, &b));
  sha256(buf_slice(&b), it->digest);
  return rc(RC_OK);
}

static MUST rc_t take_apart(const sign_request_t *rq, arena_t *a, issue_t *it, err_t *e)
{
  TRY(csr_parse(a, rq->csr_der, &it->csr, e));
  TRY(names_parse_all(a, rq->names.v, rq->names.n, "names", &it->names, e));
  TRY(check_common_name(a, rq->common_name, it->names, &it->common_name, e));
  it->ekus = rq->ekus.n ? rq->ekus : (texts_t){default_ekus, COUNT_OF(default_ekus)};
  return rc_ok(digest_of(a, rq, it)) ? rc(RC_OK) : no_memory(e);
}

/* Wishes of the CSR must lie within what the request grants (see issue.h). */
static MUST rc_t check_wishes(const sign_request_t *rq, const issue_t *it, err_t *e)
{
  const csr_t *csr = &it->csr;
  if (csr->key_usage & ~(uint32_t)(KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT | KU_KEY_AGREEMENT))
    return err_set(e, RC_DENIED, "csr_extension", "keyUsage", "asks for a usage that a leaf does not get");
  if (csr->must_staple && !rq->must_staple)
    return err_set(e, RC_DENIED, "csr_extension", "tlsFeature", "was not granted");
  for (size_t i = 0; i < csr->nekus; i++) {
    size_t k = 0;
    while (k < it->ekus.n && !slice_eq(oid_der(oid_eku(it->ekus.v[k])), csr->ekus[i])) k++;
    if (k == it->ekus.n)
      return err_set(e, RC_DENIED, "csr_extension", "extKeyUsage", "asks for a usage that was not granted");
  }
  return rc(RC_OK);
}

static MUST rc_t check_possession(const csr_t *csr, err_t *e)
{
  key_sigalg_t alg;
  if (!rc_ok(sigalg_from_der(csr->sig_alg, &alg, NULL)))
    return err_set(e, RC_INVALID, "csr_signature", "csr", "is signed by an algorithm that is not accepted");
  rc_t r = key_verify(&csr->spki.parts, alg, csr->tbs, csr->signature, e);
  if (!rc_is(r, RC_CRYPTO)) return r; /* done, or a key or algorithm that is refused by name */
  return err_set(e, RC_INVALID, "csr_signature", "csr", "has a signature that its key did not make");
}

static MUST rc_t check(const issue_env_t *env, const sign_request_t *rq, const issue_t *it, err_t *e)
{
  const ceiling_t *c = &env->ca->ceiling;
  const name_t *extra = names_missing(it->csr.names, it->names);
  if (extra)
    return err_quote(e, RC_DENIED, "name_not_asked", "csr", "asks for a name that the certificate does not have",
                     extra->text);
  TRY(ceiling_check_names(c, it->names, e));
  TRY(ceiling_check_lifetime(c, rq->lifetime_s, rq->profile_max_s, e));
  TRY(ceiling_check_usages(c, it->ekus, e));
  TRY(ceiling_check_key(c, slice_str(spki_algorithm(&it->csr.spki)), it->csr.spki.size, rq->profile_keys, e));
  TRY(check_wishes(rq, it, e));
  return check_possession(&it->csr, e);
}

/* The answer's fields, read back from the certificate that is handed out. */
static MUST rc_t describe(arena_t *a, slice_t der, const cert_t *c, bool from_record, sign_answer_t *ret)
{
  enum { HEX = 2 * SHA256_LEN };
  char *hex = (char *)arena_alloc(a, HEX + 1 + 2 * EMIT_SERIAL + 1);
  if (!hex || c->serial.n > EMIT_SERIAL) return rc(RC_NOMEM);
  sha256_hex(der, hex);
  hex_encode(c->serial, hex + HEX + 1);
  *ret = (sign_answer_t){
      .der = der,
      .serial_hex = slice_of(hex + HEX + 1, 2 * c->serial.n),
      .not_before = c->not_before,
      .not_after = c->not_after,
      .fingerprint_hex = slice_of(hex, HEX),
      .key_algorithm = slice_str(spki_algorithm(&c->spki)),
      .key_size = c->spki.size,
      .from_record = from_record,
  };
  return rc(RC_OK);
}

static MUST rc_t from_record(const record_signature_t *s, const issue_t *it, arena_t *a, sign_answer_t *ret, err_t *e)
{
  cert_t c;
  if (!slice_eq(s->digest, slice_of(it->digest, sizeof it->digest)))
    return err_quote(e, RC_CONFLICT, "ref_reused", "ref", "was used for another certificate", s->ref);
  TRY(cert_parse(a, s->der, &c, e));
  return rc_ok(describe(a, s->der, &c, true, ret)) ? rc(RC_OK) : no_memory(e);
}

/* TBSCertificate, read back by the parser that reads strangers' certificates, and linted. */
static MUST rc_t emit_tbs(const issue_env_t *env, const sign_request_t *rq, const issue_t *it, arena_t *a, cert_t *ret,
                          err_t *e)
{
  uint8_t serial[EMIT_SERIAL];
  const ca_t *ca = env->ca;
  leaf_spec_t spec = {
      .issuer = &ca->leaf,
      .serial = slice_of(serial, sizeof serial),
      .common_name = it->common_name,
      .names = it->names,
      .spki = it->csr.spki.raw,
      .key_kind = it->csr.spki.parts.kind,
      .ekus = it->ekus,
      .must_staple = rq->must_staple,
  };
  leaf_life_t life = {time_wall(env->time), rq->lifetime_s, ca->ceiling.max_lifetime_s, ca->cert.not_before,
                      ca->cert.not_after};
  TRY(leaf_validity(&life, &spec.not_before, &spec.not_after, e));
  emit_serial(env->rng, serial);
  buf_t tbs = buf_on(a, LIM_CERT_DER);
  TRY(leaf_tbs_emit(&spec, &tbs, e));
  return lint_tbs(a, buf_slice(&tbs), LINT_LEAF, ret, e);
}

static MUST rc_t sign(const issue_env_t *env, const sign_request_t *rq, const issue_t *it, arena_t *a,
                      sign_answer_t *ret, err_t *e)
{
  cert_t c;
  TRY(emit_tbs(env, rq, it, a, &c, e));
  buf_t der = buf_on(a, LIM_CERT_DER);
  rc_t r = cert_sign(c.tbs, env->ca->key, &der);
  if (!rc_ok(r)) return err_set(e, r.code, "signer_sign", NULL, "the CA key could not sign");
  if (!rc_ok(describe(a, buf_slice(&der), &c, false, ret))) return no_memory(e);
  record_signature_t entry = {rq->ref, rq->issuer, slice_of(it->digest, sizeof it->digest), rq->context, ret->der};
  r = record_sign(env->record, time_wall(env->time), &entry);
  return rc_ok(r) ? r : err_set(e, r.code, "record_full", NULL, "the signature could not be recorded");
}

rc_t issue_leaf(const issue_env_t *env, const sign_request_t *rq, arena_t *a, sign_answer_t *ret, err_t *e)
{
  issue_t it;
  record_signature_t known;
  if (rq->ref.n == 0 || rq->ref.n > 128)
    return err_limit(e, RC_INVALID, "ref_length", "ref", "must have 1 to {limit} bytes", 128);
  if (!slice_eq(rq->issuer, env->ca->issuer))
    return err_quote(e, RC_NOTFOUND, "issuer_unknown", "issuer", "is no CA of this signer", rq->issuer);
  TRY(take_apart(rq, a, &it, e));
  rc_t r = record_find(env->record, rq->ref, a, &known, e);
  if (rc_ok(r)) return from_record(&known, &it, a, ret, e);
  if (!rc_is(r, RC_NOTFOUND)) return r;
  TRY(check(env, rq, &it, e));
  return sign(env, rq, &it, a, ret, e);
}
