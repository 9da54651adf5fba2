#include "der_oracle.h"
#include "finding.h"

#include <openssl/bn.h>
#include <openssl/x509v3.h>

#include <time.h>

static bool bytes_eq(slice_t ours, const void *p, int n) { return n >= 0 && slice_eq(ours, slice_of(p, (size_t)n)); }

/* ours equals the encoding that an i2d function gave; frees it. */
static bool der_eq(slice_t ours, unsigned char *der, int n)
{
  bool eq = bytes_eq(ours, der, n);
  OPENSSL_free(der);
  return eq;
}

static bool serial_eq(arena_t *a, slice_t serial, const ASN1_INTEGER *theirs)
{
  slice_t text;
  BIGNUM *n = ASN1_INTEGER_to_BN(theirs, NULL);
  char *hex = n ? BN_bn2hex(n) : NULL;
  bool eq = false;
  if (hex && rc_ok(cert_serial_text(a, serial, &text))) {
    bool negative = *hex == '-';
    const char *p = hex + negative;
    while (*p == '0' && p[1]) p++;
    slice_t digits = slice_sub(text, negative, text.n);
    eq = slice_ieq(digits, slice_str(p)) && (text.p[0] == '-') == negative;
  }
  OPENSSL_free(hex);
  BN_free(n);
  return eq;
}

static bool time_eq(us_t ours, const ASN1_TIME *theirs)
{
  struct tm tm;
  us_t t;
  if (!ASN1_TIME_to_tm(theirs, &tm)) return false;
  civil_t c = {tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, 0};
  return rc_ok(civil_to_us(&c, &t)) && t.us == ours.us;
}

/* True if every type has a keyword in ours and the same one in theirs, so that the texts can be compared. */
static bool text_comparable(const dn_t *dn)
{
  dn_iter_t it = {0};
  dn_attr_t attr;
  while (dn_next(dn, &it, &attr)) {
    switch (attr.id) {
    case OID_CN: case OID_L: case OID_ST: case OID_O: case OID_OU: case OID_C:
    case OID_STREET: case OID_DC: case OID_UID: case OID_SERIAL_NUMBER: case OID_POSTAL_CODE: break;
    default: return false;
    }
    /* Theirs turns the order inside an RDN round too, and leaves 7f alone. */
    if (attr.tag == DER_BITS || attr.joined) return false;
    for (size_t i = 0; i < attr.value.n; i++)
      if (attr.value.p[i] == 0x7f || attr.value.p[i] == 0) return false;
  }
  return dn->n > 0;
}

static bool text_eq(arena_t *a, const dn_t *ours, const X509_NAME *theirs)
{
  slice_t text;
  if (!text_comparable(ours)) return true;
  BIO *b = BIO_new(BIO_s_mem());
  unsigned long flags = XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB;
  X509_NAME_print_ex(b, theirs, 0, flags);
  char *p;
  long n = BIO_get_mem_data(b, &p);
  bool eq = rc_ok(dn_text(a, ours, &text)) && slice_ieq(text, slice_of(p, (size_t)n));
  BIO_free(b);
  return eq;
}

static bool cn_eq(arena_t *a, const dn_t *ours, const X509_NAME *theirs)
{
  slice_t cn;
  const ASN1_STRING *last = NULL;
  for (int at = -1; (at = X509_NAME_get_index_by_NID(theirs, NID_commonName, at)) >= 0;) {
    const ASN1_STRING *s = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(theirs, at));
    if (ASN1_STRING_type(s) != V_ASN1_BIT_STRING) last = s; /* that one is no text */
  }
  if (!last) return ours->cn_tag == 0;
  unsigned char *utf8 = NULL;
  int n = ASN1_STRING_to_UTF8(&utf8, last);
  bool eq = rc_ok(dn_cn(a, ours, &cn)) && bytes_eq(cn, utf8, n);
  OPENSSL_free(utf8);
  return eq;
}

static const char *dn_differs(arena_t *a, const dn_t *ours, const X509_NAME *theirs)
{
  unsigned char *der = NULL;
  int n = i2d_X509_NAME(theirs, &der);
  if (!der_eq(ours->raw, der, n)) return "name";
  if (!cn_eq(a, ours, theirs)) return "common name";
  return text_eq(a, ours, theirs) ? NULL : "name text";
}

/* Content octets of a general name of the kinds with plain content; others are compared by kind alone. */
static bool general_name_eq(const name_t *ours, GENERAL_NAME *theirs)
{
  static const int types[] = {GEN_OTHERNAME, GEN_EMAIL, GEN_DNS, GEN_X400, GEN_DIRNAME, GEN_EDIPARTY, GEN_URI, GEN_IPADD, GEN_RID};
  if (theirs->type != types[ours->kind]) return false;
  const ASN1_STRING *s = NULL;
  switch (ours->kind) {
  case NAME_EMAIL: s = theirs->d.rfc822Name; break;
  case NAME_DNS: s = theirs->d.dNSName; break;
  case NAME_URI: s = theirs->d.uniformResourceIdentifier; break;
  case NAME_IP: s = theirs->d.iPAddress; break;
  case NAME_REGISTERED_ID:
    return bytes_eq(ours->bytes, OBJ_get0_data(theirs->d.registeredID), (int)OBJ_length(theirs->d.registeredID));
  case NAME_DIRECTORY: {
    unsigned char *der = NULL;
    int n = i2d_X509_NAME(theirs->d.directoryName, &der);
    return der_eq(ours->bytes, der, n);
  }
  default: return true;
  }
  return bytes_eq(ours->bytes, ASN1_STRING_get0_data(s), ASN1_STRING_length(s));
}

static const char *sans_differ(const cert_t *c, X509 *x)
{
  int crit;
  GENERAL_NAMES *gens = X509_get_ext_d2i(x, NID_subject_alt_name, &crit, NULL);
  /* ours could not read the body: that is a finding with its name */
  if (c->has_san && !c->sans.v)
    return GENERAL_NAMES_free(gens), cert_finding(c, "e_cert_ext_invalid_der") ? NULL : "san finding";
  if (c->has_san != (gens != NULL)) return GENERAL_NAMES_free(gens), "san presence";
  const char *differ = gens && (size_t)sk_GENERAL_NAME_num(gens) != c->sans.n ? "san count" : NULL;
  for (size_t i = 0; gens && !differ && i < c->sans.n; i++)
    if (!general_name_eq(&c->sans.v[i], sk_GENERAL_NAME_value(gens, (int)i))) differ = "san";
  if (gens && !differ && (crit > 0) != c->san_critical) differ = "san criticality";
  GENERAL_NAMES_free(gens);
  return differ;
}

static const char *usage_differs(const cert_t *c, X509 *x)
{
  const char *differ = NULL;
  ASN1_BIT_STRING *ku = X509_get_ext_d2i(x, NID_key_usage, NULL, NULL);
  if (c->has_key_usage && !ku) differ = "key usage";
  for (int i = 0; c->has_key_usage && ku && i < 16; i++)
    if ((c->key_usage >> i & 1u) != (unsigned)ASN1_BIT_STRING_get_bit(ku, i)) differ = "key usage bits";
  ASN1_BIT_STRING_free(ku);
  BASIC_CONSTRAINTS *bc = X509_get_ext_d2i(x, NID_basic_constraints, NULL, NULL);
  bool read = exts_find(c->exts, OID_BASIC_CONSTRAINTS) && !cert_finding(c, "e_basic_constr_invalid_der");
  if (read && (!bc || (bc->ca != 0) != c->is_ca || (bc->pathlen ? ASN1_INTEGER_get(bc->pathlen) : -1) != c->path_len))
    differ = "basic constraints";
  BASIC_CONSTRAINTS_free(bc);
  return differ;
}

static const char *key_differs(const spki_t *ours, X509_PUBKEY *theirs)
{
  unsigned char *der = NULL;
  int n = i2d_X509_PUBKEY(theirs, &der);
  if (!der_eq(ours->raw, der, n)) return "key";
  const EVP_PKEY *key = X509_PUBKEY_get0(theirs);
  if (key && ours->usable && EVP_PKEY_get_bits(key) != (int)ours->size) return "key size";
  ASN1_OBJECT *oid = NULL;
  const unsigned char *bits;
  int bits_n;
  X509_PUBKEY_get0_param(&oid, &bits, &bits_n, NULL, theirs);
  if (!bytes_eq(ours->oid, OBJ_get0_data(oid), (int)OBJ_length(oid))) return "key algorithm";
  return bytes_eq(ours->bits, bits, bits_n) ? NULL : "key bits";
}

const char *oracle_cert_differs(arena_t *a, const cert_t *c, X509 *x)
{
  if (!serial_eq(a, c->serial, X509_get0_serialNumber(x))) return "serial";
  if (!time_eq(c->not_before, X509_get0_notBefore(x))) return "not before";
  if (!time_eq(c->not_after, X509_get0_notAfter(x))) return "not after";
  const char *d = dn_differs(a, &c->subject, X509_get_subject_name(x));
  if (!d) d = dn_differs(a, &c->issuer, X509_get_issuer_name(x));
  if (!d) d = key_differs(&c->spki, X509_get_X509_PUBKEY(x));
  if (!d) d = sans_differ(c, x);
  if (!d) d = usage_differs(c, x);
  if (d) return d;
  if (c->version != (int)X509_get_version(x) + 1) return "version";
  if ((int)c->exts.n != X509_get_ext_count(x)) return "extension count";
  const ASN1_BIT_STRING *sig;
  const X509_ALGOR *alg;
  X509_get0_signature(&sig, &alg, x);
  if (!bytes_eq(c->signature, ASN1_STRING_get0_data(sig), ASN1_STRING_length(sig))) return "signature";
  /* Written anew by theirs from what it read: the strongest proof that the reading is the same. */
  unsigned char *der = NULL;
  int n = i2d_re_X509_tbs(x, &der);
  return der_eq(c->tbs, der, n) ? NULL : "signed bytes";
}

/* Every name that libcrypto finds and our rule accepts is among ours, and nothing else but the CN is. */
static const char *csr_names_differ(arena_t *a, const csr_t *c, X509_REQ *x)
{
  STACK_OF(X509_EXTENSION) *exts = X509_REQ_get_extensions(x);
  GENERAL_NAMES *gens = exts ? X509V3_get_d2i(exts, NID_subject_alt_name, NULL, NULL) : NULL;
  const char *differ = exts_find(c->exts, OID_SUBJECT_ALT_NAME) && !gens ? "san presence" : NULL;
  size_t seen = 0;
  name_t *mine = ARENA_ARRAY(a, name_t, LIM_CERT_NAMES + 1);
  for (int i = 0; gens && !differ && i < sk_GENERAL_NAME_num(gens); i++) {
    const GENERAL_NAME *g = sk_GENERAL_NAME_value(gens, i);
    name_t one;
    name_kind_t kind = g->type == GEN_DNS ? NAME_DNS : g->type == GEN_IPADD ? NAME_IP : g->type == GEN_EMAIL ? NAME_EMAIL : NAME_URI;
    slice_t v = slice_of(ASN1_STRING_get0_data(g->d.ia5), (size_t)ASN1_STRING_length(g->d.ia5));
    if (!rc_ok(names_from_wire(a, kind, v, &one, NULL)) || !names_have(c->names, &one)) differ = "san";
    else if (!names_have((names_t){mine, seen}, &one)) mine[seen++] = one;
  }
  if (!differ && c->names.n != seen && c->names.n != seen + (c->subject.cn.n > 0)) differ = "names count";
  GENERAL_NAMES_free(gens);
  sk_X509_EXTENSION_pop_free(exts, X509_EXTENSION_free);
  return differ;
}

const char *oracle_csr_differs(arena_t *a, const csr_t *c, X509_REQ *x)
{
  const char *d = dn_differs(a, &c->subject, X509_REQ_get_subject_name(x));
  if (!d) d = key_differs(&c->spki, X509_REQ_get_X509_PUBKEY(x));
  if (!d) d = csr_names_differ(a, c, x);
  if (d) return d;
  const ASN1_BIT_STRING *sig;
  const X509_ALGOR *alg;
  X509_REQ_get0_signature(x, &sig, &alg);
  if (!bytes_eq(c->signature, ASN1_STRING_get0_data(sig), ASN1_STRING_length(sig))) return "signature";
  unsigned char *der = NULL;
  int n = i2d_re_X509_REQ_tbs(x, &der);
  return der_eq(c->tbs, der, n) ? NULL : "signed bytes";
}
