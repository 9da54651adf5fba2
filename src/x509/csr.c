#include "x509/csr.h"

#include "wire/pem.h"

static rc_t spki_accept(const spki_t *k, err_t *e)
{
  static const char field[] = "subjectPublicKeyInfo";
  if (k->fault) return err_set(e, RC_INVALID, k->fault, field, k->text);
  if (!k->usable)
    return err_set(e, RC_INVALID, "spki_algorithm", field,
                   "is of an algorithm other than RSA, ECDSA P-256, ECDSA P-384 and Ed25519");
  return rc(RC_OK);
}

/* Which requested extensions a request may carry at all; only SANs are honoured, the rest is compared by the signer. */
static rc_t read_extension(arena_t *a, const ext_t *x, csr_t *csr, err_t *e)
{
  bool ca = false;
  int32_t path_len;
  names_t names;
  slice_t key_id;
  switch (x->id) {
  case OID_SUBJECT_ALT_NAME:
    TRY(ext_names(a, x->value, &names, e));
    csr->names = names; /* as they stand; read_names makes them proper */
    return rc(RC_OK);
  case OID_KEY_USAGE: return ext_key_usage(x->value, &csr->key_usage, e);
  case OID_EXT_KEY_USAGE: return ext_oids(a, x->value, &csr->ekus, &csr->nekus, e);
  case OID_TLS_FEATURE: return ext_must_staple(x->value, &csr->must_staple, e);
  case OID_SUBJECT_KEY_ID: return ext_octets(x->value, &key_id, e);
  case OID_BASIC_CONSTRAINTS:
    TRY(ext_basic(x->value, &ca, &path_len, e));
    return ca ? err_set(e, RC_INVALID, "csr_ca", "basicConstraints", "asks for a CA certificate") : rc(RC_OK);
  default: break;
  }
  rc_t r = err_set(e, RC_INVALID, "csr_extension", "csr", "asks for an extension that is not honoured");
  buf_t dotted = buf_on(a, x->oid.n * 4 + 8);
  oid_text(&dotted, x->oid);
  err_value(e, dotted.p, dotted.n);
  return r;
}

static rc_t read_extensions(arena_t *a, csr_t *csr, err_t *e)
{
  for (size_t i = 0; i < csr->exts.n; i++) {
    const ext_t *x = &csr->exts.v[i];
    rc_t r = read_extension(a, x, csr, e);
    if (!rc_ok(r) && e && !e->field) e->field = oid_name(x->id);
    if (!rc_ok(r)) return r;
  }
  return rc(RC_OK);
}

static rc_t no_memory(err_t *e)
{
  return err_set(e, RC_NOMEM, "memory", "csr", "needs more memory than it may have");
}

/* Adds one name unless it is there. */
static rc_t add_name(const name_t *one, name_t *v, size_t *n, err_t *e)
{
  if (names_have((names_t){v, *n}, one)) return rc(RC_OK);
  if (*n == LIM_CERT_NAMES)
    return err_limit(e, RC_FULL, "name_count", "csr", "has more than {limit} names", LIM_CERT_NAMES);
  v[(*n)++] = *one;
  return rc(RC_OK);
}

/* Normalises the SANs and joins the CN to them where it is a name; a CN that is none ("Jane Doe") is just text. */
static rc_t read_names(arena_t *a, csr_t *csr, err_t *e)
{
  names_t asked = csr->names;
  size_t most = asked.n + 1, n = 0;
  if (most > LIM_CERT_NAMES) most = LIM_CERT_NAMES;
  name_t one, *v = ARENA_ARRAY(a, name_t, most);
  if (!v) return no_memory(e);
  for (size_t i = 0; i < asked.n; i++) {
    TRY(names_from_wire(a, asked.v[i].kind, asked.v[i].bytes, &one, e));
    TRY(add_name(&one, v, &n, e));
  }
  slice_t cn;
  if (!rc_ok(dn_cn(a, &csr->subject, &cn))) return no_memory(e);
  if (cn.n) {
    err_t why = {0};
    rc_t r = names_parse(a, cn, &one, &why);
    if (rc_is(r, RC_NOMEM)) return err_set(e, RC_NOMEM, why.reason, "csr", why.text);
    if (rc_ok(r)) TRY(add_name(&one, v, &n, e));
  }
  csr->names = (names_t){v, n};
  return rc(RC_OK);
}

/* One value of a string type, for attributes that hold text (RFC 2985 5.4). */
static void check_text(der_t *r)
{
  uint8_t tag;
  slice_t v = der_any(r, &tag);
  if (tag != DER_IA5 && !dn_directory_string(tag, v))
    der_fail(r, RC_SYNTAX, "csr_attribute", "has an attribute whose value is no text");
}

/* What is inside the attributes that this project knows; RFC 2985 5.4 wants exactly one value in each. */
static void read_values(arena_t *a, der_t *r, oid_t id, csr_t *csr)
{
  if (id == OID_EXTENSION_REQUEST) {
    csr->exts = exts_read(a, r);
  } else if (id == OID_CHALLENGE_PASSWORD) {
    check_text(r);
  } else {
    slice_t values = slice_of(r->p, (size_t)(r->end - r->p));
    err_t e = {0};
    if (der_ok(r) && !rc_ok(der_check(values, &e))) der_fail(r, RC_SYNTAX, e.reason, e.text);
    while (der_more(r)) (void)der_raw(r, 0);
  }
}

/* Types of the attributes so far: none may come twice. */
typedef struct attrs {
  slice_t v[CSR_ATTRIBUTES_MAX];
  size_t n;
} attrs_t;

/* Attribute ::= SEQUENCE { type OID, values SET OF }. */
static void read_attribute(arena_t *a, der_t *r, csr_t *csr, attrs_t *attrs)
{
  if (!der_enter(r, DER_SEQUENCE)) return;
  slice_t oid = der_oid(r);
  if (!der_enter(r, DER_SET)) return;
  slice_t values = slice_of(r->p, (size_t)(r->end - r->p));
  if (values.n == 0) der_fail(r, RC_SYNTAX, "csr_attribute", "has an attribute without a value");
  for (size_t i = 0; i < attrs->n; i++)
    if (slice_eq(attrs->v[i], oid)) der_fail(r, RC_INVALID, "csr_attribute_duplicate", "has the same attribute twice");
  if (attrs->n == COUNT_OF(attrs->v)) der_fail(r, RC_FULL, "csr_attribute_count", "has too many attributes");
  if (!der_ok(r)) return;
  attrs->v[attrs->n++] = oid;
  der_check_set(r, values);
  read_values(a, r, oid_find(oid), csr);
  der_leave(r);
  der_leave(r);
}

/*
 * attributes [0] IMPLICIT SET OF Attribute. Always there in DER (RFC 2986 4.1), but some clients leave an empty one
 * out.
 */
static void read_attributes(arena_t *a, der_t *r, csr_t *csr)
{
  attrs_t attrs;
  attrs.n = 0;
  der_field(r, "attributes");
  if (!der_more(r)) return;
  if (!der_enter(r, DER_CTX_CONS(0))) return;
  der_check_set(r, slice_of(r->p, (size_t)(r->end - r->p)));
  while (der_more(r)) read_attribute(a, r, csr, &attrs);
  der_leave(r);
}

static rc_t read_request(arena_t *a, slice_t der, csr_t *csr, err_t *e)
{
  der_t r;
  der_init(&r, der);
  der_field(&r, "csr");
  (void)der_enter(&r, DER_SEQUENCE);
  const uint8_t *tbs = r.p;
  (void)der_enter(&r, DER_SEQUENCE);
  der_field(&r, "version");
  uint32_t version = der_small(&r, INT16_MAX);
  if (der_ok(&r) && version != 0) der_fail(&r, RC_INVALID, "csr_version", "is a version other than 1 (0)");
  der_field(&r, "subject");
  csr->subject = dn_read(&r);
  if (csr->subject.empty_rdn) der_fail(&r, RC_SYNTAX, "dn_rdn_empty", "has an empty RDN");
  der_field(&r, "subjectPublicKeyInfo");
  csr->spki = spki_read(&r);
  read_attributes(a, &r, csr);
  der_field(&r, "csr");
  der_leave(&r);
  if (der_ok(&r)) csr->tbs = slice_of(tbs, (size_t)(r.p - tbs));
  der_field(&r, "signatureAlgorithm");
  csr->sig_alg = algorithm_read(&r);
  der_field(&r, "signature");
  csr->signature = der_bits(&r, NULL);
  der_field(&r, "csr");
  der_leave(&r);
  return der_end(&r, e);
}

rc_t csr_parse(arena_t *a, slice_t der, csr_t *ret, err_t *e)
{
  csr_t csr = {.der = der};
  if (der.n > LIM_CSR_DER) return err_limit(e, RC_FULL, "csr_size", "csr", "is longer than {limit} bytes", LIM_CSR_DER);
  TRY(read_request(a, der, &csr, e));
  TRY(spki_accept(&csr.spki, e));
  TRY(read_extensions(a, &csr, e));
  TRY(read_names(a, &csr, e));
  *ret = csr;
  return rc(RC_OK);
}

rc_t csr_parse_pem(arena_t *a, slice_t pem, csr_t *ret, err_t *e)
{
  slice_t der;
  rc_t r = pem_one(a, pem, PEM_CSR, &der, e);
  if (!rc_ok(r)) {
    if (e && !e->field) e->field = "csr";
    return r;
  }
  return csr_parse(a, der, ret, e);
}
