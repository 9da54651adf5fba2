#include "x509/cert.h"

#include "base/check.h"

enum { FINDINGS_MAX = 48 }; /* more than there are rules here and in spki.c, each of which is found once */

typedef struct builder {
  arena_t *a;
  cert_t *c;
  finding_t found[FINDINGS_MAX];
  size_t n;
} builder_t;

static void find_fault(builder_t *b, const char *rule, severity_t severity, const char *text)
{
  for (size_t i = 0; i < b->n; i++)
    if (strcmp(b->found[i].rule, rule) == 0) return;
  CHECK(b->n < COUNT_OF(b->found));
  b->found[b->n++] = (finding_t){rule, severity, text};
}

/* Bodies of extensions: one row per type. A body that does not parse is a finding of the row's rule. */

static rc_t take_san(builder_t *b, const ext_t *x, err_t *e)
{
  static const struct {
    name_kind_t kind;
    const char *rule, *text;
  } ascii[] = {
    {NAME_DNS, "e_ext_san_dns_not_ia5_string", "a DNS name that is not ASCII"},
    {NAME_URI, "e_ext_san_uri_not_ia5", "a URI that is not ASCII"},
    {NAME_EMAIL, "e_ext_san_rfc822_format_invalid", "an e-mail address that is not ASCII"},
  };
  names_t *s = &b->c->sans;
  b->c->has_san = true;
  b->c->san_critical = x->critical;
  TRY(ext_names(b->a, x->value, s, e));
  if (s->n == 0) find_fault(b, "e_ext_san_no_entries", SEV_ERROR, "subjectAltName without names");
  for (size_t i = 0; i < s->n; i++) {
    slice_t v = s->v[i].bytes;
    bool high = false;
    for (size_t k = 0; k < v.n; k++) high = high || v.p[k] >= 0x80;
    for (size_t k = 0; high && k < COUNT_OF(ascii); k++)
      if (ascii[k].kind == s->v[i].kind) find_fault(b, ascii[k].rule, SEV_ERROR, ascii[k].text);
    if (v.n == 0) find_fault(b, "e_ext_san_empty_name", SEV_ERROR, "an empty name");
    if (s->v[i].kind == NAME_DNS && slice_find(v, 0) < v.n)
      find_fault(b, "e_san_dns_name_includes_null_char", SEV_ERROR, "a DNS name with a zero octet");
    if (s->v[i].kind == NAME_IP && v.n != 4 && v.n != 16)
      find_fault(b, "cert_san_ip_length", SEV_ERROR, "an IP address that is not 4 or 16 octets");
  }
  return rc(RC_OK);
}

static rc_t take_key_usage(builder_t *b, const ext_t *x, err_t *e)
{
  TRY(ext_key_usage(x->value, &b->c->key_usage, e));
  b->c->has_key_usage = true;
  if (b->c->key_usage == 0) find_fault(b, "e_ext_key_usage_without_bits", SEV_ERROR, "keyUsage without bits");
  return rc(RC_OK);
}

static rc_t take_basic(builder_t *b, const ext_t *x, err_t *e)
{
  TRY(ext_basic(x->value, &b->c->is_ca, &b->c->path_len, e));
  if (b->c->path_len >= 0 && !b->c->is_ca)
    find_fault(b, "e_path_len_constraint_improperly_included", SEV_ERROR, "a path length without cA");
  return rc(RC_OK);
}

static rc_t take_ekus(builder_t *b, const ext_t *x, err_t *e)
{
  return ext_oids(b->a, x->value, &b->c->ekus, &b->c->nekus, e);
}
static rc_t take_ski(builder_t *b, const ext_t *x, err_t *e) { return ext_octets(x->value, &b->c->ski, e); }
static rc_t take_aki(builder_t *b, const ext_t *x, err_t *e) { return ext_aki(x->value, &b->c->aki, e); }
static rc_t take_aia(builder_t *b, const ext_t *x, err_t *e) { return ext_aia(x->value, e); }
static rc_t take_cdp(builder_t *b, const ext_t *x, err_t *e) { return ext_cdp(x->value, e); }
static rc_t take_staple(builder_t *b, const ext_t *x, err_t *e)
{
  return ext_must_staple(x->value, &b->c->must_staple, e);
}

static const struct {
  oid_t id;
  rc_t (*take)(builder_t *b, const ext_t *x, err_t *e);
  const char *rule, *text;
} bodies[] = {
  {OID_SUBJECT_ALT_NAME, take_san, "e_cert_ext_invalid_der", "subjectAltName cannot be read"},
  {OID_KEY_USAGE, take_key_usage, "e_incorrect_ku_encoding", "keyUsage is not encoded as RFC 5280 wants it"},
  {OID_BASIC_CONSTRAINTS, take_basic, "e_basic_constr_invalid_der", "basicConstraints cannot be read"},
  {OID_EXT_KEY_USAGE, take_ekus, "e_cert_ext_invalid_der", "extKeyUsage cannot be read"},
  {OID_SUBJECT_KEY_ID, take_ski, "e_cert_ext_invalid_der", "subjectKeyIdentifier cannot be read"},
  {OID_AUTHORITY_KEY_ID, take_aki, "e_cert_ext_invalid_der", "authorityKeyIdentifier cannot be read"},
  {OID_AUTHORITY_INFO, take_aia, "e_cert_ext_invalid_der", "authorityInfoAccess cannot be read"},
  {OID_CRL_DISTRIBUTION_POINTS, take_cdp, "e_cert_ext_invalid_der", "cRLDistributionPoints cannot be read"},
  {OID_TLS_FEATURE, take_staple, "e_cert_ext_invalid_der", "tlsFeature cannot be read"},
};

static rc_t take_bodies(builder_t *b, err_t *e)
{
  for (size_t i = 0; i < b->c->exts.n; i++) {
    const ext_t *x = &b->c->exts.v[i];
    for (size_t k = 0; k < COUNT_OF(bodies); k++) {
      if (bodies[k].id != x->id) continue;
      rc_t r = bodies[k].take(b, x, e);
      if (rc_is(r, RC_NOMEM)) return r;
      if (!rc_ok(r)) find_fault(b, bodies[k].rule, SEV_ERROR, bodies[k].text);
      break;
    }
  }
  if (e) *e = (err_t){0}; /* what the bodies left there is a finding now */
  return rc(RC_OK);
}

/* Parts of the TBSCertificate */

static void read_version(der_t *r, cert_t *c)
{
  der_field(r, "version");
  c->version = 1;
  if (der_peek(r) != DER_CTX_CONS(0)) return;
  (void)der_enter(r, DER_CTX_CONS(0));
  uint32_t v = der_small(r, INT16_MAX);
  if (der_ok(r) && v == 0) der_fail(r, RC_SYNTAX, "der_default", "writes a default value out");
  if (der_ok(r) && v > 2) der_fail(r, RC_INVALID, "cert_version", "is a version above 3 (2)");
  der_leave(r);
  c->version = (int)v + 1;
}

static void check_serial(builder_t *b)
{
  slice_t s = b->c->serial;
  bool negative = s.p[0] >= 0x80, zero = s.n == 1 && s.p[0] == 0;
  if (negative) find_fault(b, "e_serial_number_not_positive", SEV_ERROR, "negative serial");
  if (zero) find_fault(b, "e_serial_number_not_positive", SEV_ERROR, "zero serial");
  if (s.n > 20) find_fault(b, "e_serial_number_longer_than_20_octets", SEV_ERROR, "serial too long");
}

static void read_validity(der_t *r, cert_t *c)
{
  der_field(r, "validity");
  (void)der_enter(r, DER_SEQUENCE);
  c->not_before = der_time(r, &c->not_before_tag);
  c->not_after = der_time(r, &c->not_after_tag);
  der_leave(r);
}

/* [1] and [2] IMPLICIT UniqueIdentifier, a BIT STRING. */
static void read_unique_id(builder_t *b, der_t *r, uint8_t tag)
{
  if (der_peek(r) != tag) return;
  slice_t v = der_get(r, tag);
  if (der_ok(r) && !der_bits_valid(v)) der_fail(r, RC_SYNTAX, "der_bits", "is a bit string with wrong padding");
  find_fault(b, "e_cert_contains_unique_identifier", SEV_ERROR, "a unique identifier");
  if (b->c->version == 1)
    find_fault(b, "e_cert_unique_identifier_version_not_2_or_3", SEV_ERROR, "a unique identifier in version 1");
}

static void read_extensions(builder_t *b, der_t *r)
{
  der_field(r, "extensions");
  if (der_peek(r) != DER_CTX_CONS(3)) return;
  (void)der_enter(r, DER_CTX_CONS(3));
  b->c->exts = exts_read(b->a, r);
  der_leave(r);
  if (b->c->exts.n == 0) find_fault(b, "e_ext_cannot_be_empty_sequence", SEV_ERROR, "an empty list of extensions");
  if (b->c->version != 3)
    find_fault(b, "e_cert_extensions_version_not_3", SEV_ERROR, "extensions in a version other than 3");
}

static void read_tbs(builder_t *b, der_t *r)
{
  cert_t *c = b->c;
  der_field(r, "certificate");
  const uint8_t *start = r->p;
  (void)der_enter(r, DER_SEQUENCE);
  read_version(r, c);
  der_field(r, "serialNumber");
  c->serial = der_integer(r);
  der_field(r, "signature");
  c->tbs_sig_alg = algorithm_read(r);
  der_field(r, "issuer");
  c->issuer = dn_read(r);
  read_validity(r, c);
  der_field(r, "subject");
  c->subject = dn_read(r);
  der_field(r, "subjectPublicKeyInfo");
  c->spki = spki_read(r);
  der_field(r, "uniqueID");
  read_unique_id(b, r, DER_CTX(1));
  read_unique_id(b, r, DER_CTX(2));
  read_extensions(b, r);
  der_field(r, "certificate");
  der_leave(r);
  if (der_ok(r)) c->tbs = slice_of(start, (size_t)(r->p - start));
}

/* What is wrong beyond the encoding, found without looking at other certificates. */
static void check_parts(builder_t *b)
{
  const cert_t *c = b->c;
  static const int64_t y2050 = INT64_C(2524608000) * US_PER_S;
  check_serial(b);
  if (c->sig_alg.p && !slice_eq(c->sig_alg, c->tbs_sig_alg))
    find_fault(b, "e_cert_sig_alg_not_match_tbs_sig_alg", SEV_ERROR, "two different signature algorithms");
  if (c->issuer.n == 0) find_fault(b, "e_issuer_field_empty", SEV_ERROR, "an empty issuer");
  if (c->issuer.empty_rdn || c->subject.empty_rdn)
    find_fault(b, "cert_dn_empty_rdn", SEV_ERROR, "an empty RDN in a name");
  if (c->subject.bad_printable)
    find_fault(b, "e_subject_printable_string_badalpha", SEV_ERROR,
               "a PrintableString with other characters in the subject");
  if (us_cmp(c->not_after, c->not_before) < 0)
    find_fault(b, "e_validity_time_not_positive", SEV_ERROR, "an end before its beginning");
  bool before = c->not_before_tag == DER_GENERALIZED_TIME && c->not_before.us < y2050;
  bool after = c->not_after_tag == DER_GENERALIZED_TIME && c->not_after.us < y2050;
  if (before || after) find_fault(b, "e_wrong_time_format_pre2050", SEV_ERROR, "a GeneralizedTime before 2050");
  if (c->spki.fault) find_fault(b, c->spki.rule ? c->spki.rule : "cert_spki", SEV_ERROR, c->spki.text);
}

static rc_t finish(builder_t *b, der_t *r, cert_t *ret, err_t *e)
{
  TRY(der_end(r, e));
  TRY(take_bodies(b, e));
  check_parts(b);
  finding_t *kept = ARENA_ARRAY(b->a, finding_t, b->n);
  if (!kept) return err_set(e, RC_NOMEM, "memory", "certificate", "needs more memory than it may have");
  if (b->n) memcpy(kept, b->found, b->n * sizeof *kept);
  b->c->findings = kept;
  b->c->nfindings = b->n;
  *ret = *b->c;
  return rc(RC_OK);
}

static rc_t check_size(slice_t in, err_t *e)
{
  if (in.n <= LIM_CERT_DER) return rc(RC_OK);
  return err_limit(e, RC_FULL, "cert_size", "certificate", "is longer than {limit} bytes", LIM_CERT_DER);
}

rc_t cert_parse(arena_t *a, slice_t der, cert_t *ret, err_t *e)
{
  cert_t c = {.der = der, .path_len = -1};
  builder_t b = {.a = a, .c = &c};
  der_t r;
  TRY(check_size(der, e));
  der_init(&r, der);
  der_field(&r, "certificate");
  (void)der_enter(&r, DER_SEQUENCE);
  read_tbs(&b, &r);
  der_field(&r, "signatureAlgorithm");
  c.sig_alg = algorithm_read(&r);
  der_field(&r, "signatureValue");
  c.signature = der_bits(&r, NULL);
  der_field(&r, "certificate");
  der_leave(&r);
  return finish(&b, &r, ret, e);
}

rc_t cert_parse_tbs(arena_t *a, slice_t tbs, cert_t *ret, err_t *e)
{
  cert_t c = {.path_len = -1};
  builder_t b = {.a = a, .c = &c};
  der_t r;
  TRY(check_size(tbs, e));
  der_init(&r, tbs);
  read_tbs(&b, &r);
  return finish(&b, &r, ret, e);
}

rc_t cert_serial_text(arena_t *a, slice_t serial, slice_t *ret)
{
  size_t n = serial.n;
  bool negative = n && serial.p[0] >= 0x80;
  uint8_t *mag = arena_alloc(a, n + 1);
  char *hex = arena_alloc(a, 2 * n + 3);
  if (!mag || !hex) return rc(RC_NOMEM);
  /* Magnitude of a negative two's complement number: invert and add one. */
  unsigned carry = 1;
  for (size_t i = n; i-- > 0;) {
    unsigned v = negative ? (uint8_t)~serial.p[i] + carry : serial.p[i];
    carry = v >> 8;
    mag[i] = (uint8_t)v;
  }
  hex_encode(slice_of(mag, n), hex + 1);
  size_t skip = 1, end = 1 + 2 * n;
  while (skip + 1 < end && hex[skip] == '0') skip++;
  if (negative) hex[--skip] = '-';
  *ret = slice_of(hex + skip, end - skip);
  return rc(RC_OK);
}

rc_t cert_key_algorithm(arena_t *a, const cert_t *c, slice_t *ret)
{
  const char *known = spki_algorithm(&c->spki);
  if (known[0]) {
    *ret = slice_str(known);
    return rc(RC_OK);
  }
  buf_t b = buf_on(a, c->spki.oid.n * 4 + 8);
  oid_dotted(&b, c->spki.oid);
  TRY(buf_rc(&b));
  *ret = buf_slice(&b);
  return rc(RC_OK);
}
