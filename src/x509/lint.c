#include "x509/lint.h"

#include "crypto/key.h"

/* ---- in front of the extensions ---- */

static bool version_not_3(const cert_t *c) { return c->version != 3; }
static bool serial_not_positive(const cert_t *c)
{
  return c->serial.n == 0 || c->serial.p[0] > 0x7f || (c->serial.n == 1 && c->serial.p[0] == 0);
}
static bool serial_long(const cert_t *c) { return c->serial.n > 20; }

static bool signature_unsupported(const cert_t *c)
{
  key_sigalg_t alg;
  return !rc_ok(sigalg_from_der(c->tbs_sig_alg, &alg, NULL));
}

static bool issuer_empty(const cert_t *c) { return c->issuer.n == 0; }
static bool ends_before_it_begins(const cert_t *c) { return us_cmp(c->not_before, c->not_after) > 0; }

static bool time_form_wrong(const cert_t *c)
{
  static const us_t y2050 = {INT64_C(2524608000) * US_PER_S};
  return (c->not_before_tag == DER_GENERALIZED_TIME) != (us_cmp(c->not_before, y2050) >= 0) ||
         (c->not_after_tag == DER_GENERALIZED_TIME) != (us_cmp(c->not_after, y2050) >= 0);
}

static bool cn_long(const cert_t *c)
{
  size_t n = c->subject.cn.n;
  switch (c->subject.cn_tag) {
    case DER_UTF8: n = slice_utf8_len(c->subject.cn); break;
    case DER_BMP: n /= 2; break;
    case DER_UNIVERSAL: n /= 4; break;
    default: break;
  }
  return n > LIM_COMMON_NAME;
}

static bool subject_empty_without_san(const cert_t *c) { return c->subject.n == 0 && !c->has_san; }
static bool key_type_unknown(const cert_t *c) { return !c->spki.usable; }
static bool rsa_short(const cert_t *c) { return c->spki.algorithm == OID_RSA && c->spki.size < KEY_RSA_MIN_BITS; }

/* ---- names ---- */

static bool has_eku(const cert_t *c, oid_t id)
{
  for (size_t i = 0; i < c->nekus; i++)
    if (slice_eq(c->ekus[i], oid_der(id))) return true;
  return false;
}

static bool server_without_san(const cert_t *c) { return !c->has_san && has_eku(c, OID_SERVER_AUTH); }
static bool san_not_critical(const cert_t *c) { return c->subject.n == 0 && c->has_san && !c->san_critical; }
static bool san_without_names(const cert_t *c) { return c->has_san && c->sans.n == 0; }

/* True if a name of that kind (any, for NAME_OTHER) is bad. */
static bool some_name(const cert_t *c, name_kind_t kind, bool (*bad)(slice_t bytes))
{
  for (size_t i = 0; i < c->sans.n; i++)
    if ((kind == NAME_OTHER || c->sans.v[i].kind == kind) && bad(c->sans.v[i].bytes)) return true;
  return false;
}

static bool is_empty(slice_t s) { return s.n == 0; }
static bool is_long(slice_t s) { return s.n > LIM_NAME_LEN; }
static bool is_star(slice_t s) { return slice_is(s, "*"); }
static bool not_ascii(slice_t s)
{
  for (size_t i = 0; i < s.n; i++)
    if (s.p[i] > 0x7f) return true;
  return false;
}

/* Dot-atom "@" domain (RFC 5321 4.1.2): no quotes, comments, literals (RFC 5280 4.2.1.6). */
static bool no_mailbox(slice_t s)
{
  static const slice_t atext = {(const uint8_t *)"!#$%&'*+-/=?^_`{|}~.", 20};
  size_t at = slice_find(s, '@');
  if (at == 0 || at + 1 >= s.n) return true;
  for (size_t i = 0; i < s.n; i++) {
    uint8_t b = s.p[i];
    bool ok = ascii_is_alnum(b) || (i < at ? slice_find(atext, b) < atext.n : i == at || b == '-' || b == '.');
    if (!ok) return true;
  }
  return false;
}

/* No scheme (RFC 3986 3.1) in front of the first colon. */
static bool no_scheme(slice_t s)
{
  size_t n = slice_find(s, ':');
  if (n == 0 || n + 1 >= s.n || !ascii_is_alpha(s.p[0])) return true;
  for (size_t i = 1; i < n; i++)
    if (!ascii_is_alnum(s.p[i]) && s.p[i] != '+' && s.p[i] != '-' && s.p[i] != '.') return true;
  return false;
}

/* True if a label of a DNS name is bad; `first` tells the leftmost. */
static bool some_label(const cert_t *c, bool (*bad)(slice_t label, bool first))
{
  for (size_t i = 0; i < c->sans.n; i++) {
    slice_t rest = c->sans.v[i].bytes, label;
    if (c->sans.v[i].kind != NAME_DNS || rest.n == 0) continue;
    for (bool first = true; slice_split(&rest, '.', &label); first = false)
      if (bad(label, first)) return true;
  }
  return false;
}

static bool has_star(slice_t s) { return slice_find(s, '*') < s.n; }
static bool label_long(slice_t s, bool first) { return s.n > 63; }
static bool label_empty(slice_t s, bool first) { return s.n == 0; }
static bool star_behind(slice_t s, bool first) { return !first && has_star(s); }
static bool star_with_others(slice_t s, bool first) { return first && has_star(s) && s.n > 1; }
static bool label_characters(slice_t s, bool first)
{
  for (size_t i = 0; i < s.n; i++)
    if (!ascii_is_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '_' && s.p[i] != '*') return true;
  return false;
}

static bool name_empty(const cert_t *c) { return some_name(c, NAME_OTHER, is_empty); }
static bool dns_not_ascii(const cert_t *c) { return some_name(c, NAME_DNS, not_ascii); }
static bool dns_long(const cert_t *c) { return some_name(c, NAME_DNS, is_long); }
static bool dns_label_long(const cert_t *c) { return some_label(c, label_long); }
static bool dns_label_empty(const cert_t *c) { return some_label(c, label_empty); }
static bool dns_characters(const cert_t *c) { return some_label(c, label_characters); }
static bool dns_star_behind(const cert_t *c) { return some_label(c, star_behind); }
static bool dns_star_with_others(const cert_t *c) { return some_label(c, star_with_others); }
static bool dns_star_alone(const cert_t *c) { return some_name(c, NAME_DNS, is_star); }
static bool email_form(const cert_t *c) { return some_name(c, NAME_EMAIL, no_mailbox); }
static bool uri_relative(const cert_t *c) { return some_name(c, NAME_URI, no_scheme); }

static bool dns_twice(const cert_t *c)
{
  for (size_t i = 1; i < c->sans.n; i++)
    for (size_t j = 0; c->sans.v[i].kind == NAME_DNS && j < i; j++)
      if (c->sans.v[j].kind == NAME_DNS && slice_ieq(c->sans.v[i].bytes, c->sans.v[j].bytes)) return true;
  return false;
}

/* ---- extensions ---- */

static bool is_critical(const cert_t *c, oid_t id)
{
  const ext_t *x = exts_find(c->exts, id);
  return x && x->critical;
}

static bool usage_without_bits(const cert_t *c) { return c->has_key_usage && c->key_usage == 0; }
static bool usage_not_critical(const cert_t *c) { return !is_critical(c, OID_KEY_USAGE); }
static bool signs_without_ca(const cert_t *c) { return (c->key_usage & KU_CERT_SIGN) && !c->is_ca; }

static bool ecdsa_usage(const cert_t *c)
{
  return c->spki.algorithm == OID_EC && (c->key_usage & (KU_KEY_ENCIPHERMENT | KU_DATA_ENCIPHERMENT));
}

static bool rsa_usage(const cert_t *c)
{
  uint32_t may = KU_DIGITAL_SIGNATURE | KU_CONTENT_COMMITMENT | KU_KEY_ENCIPHERMENT | KU_DATA_ENCIPHERMENT;
  return c->spki.algorithm == OID_RSA && (c->key_usage & ~may);
}

static bool no_eku(const cert_t *c) { return c->nekus == 0; }
static bool is_ca(const cert_t *c) { return c->is_ca; }
static bool is_no_ca(const cert_t *c) { return !c->is_ca; }
static bool path_len_out_of_place(const cert_t *c)
{
  return c->path_len >= 0 && !(c->is_ca && (c->key_usage & KU_CERT_SIGN));
}
static bool basic_not_critical(const cert_t *c) { return c->is_ca && !is_critical(c, OID_BASIC_CONSTRAINTS); }
static bool no_cert_sign(const cert_t *c) { return !(c->key_usage & KU_CERT_SIGN); }
static bool no_ski(const cert_t *c) { return c->ski.n == 0; }
static bool ski_critical(const cert_t *c) { return is_critical(c, OID_SUBJECT_KEY_ID); }
static bool no_aki(const cert_t *c) { return c->aki.n == 0; }
static bool aki_critical(const cert_t *c) { return is_critical(c, OID_AUTHORITY_KEY_ID); }

/* ---- the table ---- */

enum { LEAF = LINT_LEAF, CA = LINT_CA, BOTH = LINT_LEAF | LINT_CA };

static const lint_rule_t rules[] = {
  {"e_invalid_certificate_version", /* BRs: 7.1.1 */
   "is not version 3", BOTH, version_not_3},
  {"e_serial_number_not_positive", /* RFC 5280: 4.1.2.2 */
   "has a serial that is not positive", BOTH, serial_not_positive},
  {"e_serial_number_longer_than_20_octets", /* RFC 5280: 4.1.2.2 */
   "has a serial over 20 octets", BOTH, serial_long},
  {"e_signature_algorithm_not_supported", /* BRs: 6.1.5 */
   "has an unknown or weak signature algorithm", BOTH, signature_unsupported},
  {"e_issuer_field_empty", /* RFC 5280: 4.1.2.4 */
   "has an empty issuer", BOTH, issuer_empty},
  {"e_validity_time_not_positive", /* lint.AWSLabs certlint */
   "ends before it begins", BOTH, ends_before_it_begins},
  {"e_wrong_time_format_pre2050", /* RFC 5280: 4.1.2.5 */
   "has a time in the form of the other side of 2050", BOTH, time_form_wrong},
  {"e_subject_common_name_max_length", /* RFC 5280: A.1 */
   "has a common name over 64 characters", BOTH, cn_long},
  {"e_subject_empty_without_san", /* RFC 5280: 4.2 & 4.2.1.6 */
   "has no name at all", BOTH, subject_empty_without_san},
  {"e_public_key_type_not_allowed", /* BRs: 6.1.5 */
   "has a key of another kind than RSA, P-256, P-384, Ed25519", BOTH, key_type_unknown},
  {"e_rsa_mod_less_than_2048_bits", /* BRs: 6.1.5 */
   "has an RSA key under 2048 bits", BOTH, rsa_short},
  {"e_ext_san_missing", /* BRs: 7.1.4.2.1 */
   "is for servers and has no subjectAltName", LEAF, server_without_san},
  {"e_ext_san_not_critical_without_subject", /* RFC 5280: 4.2.1.6 */
   "has no subject and a subjectAltName that is not critical", LEAF, san_not_critical},
  {"e_ext_san_no_entries", /* RFC 5280: 4.2.1.6 */
   "has an empty subjectAltName", BOTH, san_without_names},
  {"e_ext_san_empty_name", /* RFC 5280: 4.2.1.6 */
   "has an empty name", BOTH, name_empty},
  {"e_ext_san_dns_not_ia5_string", /* RFC 5280: 4.2.1.6 */
   "has a DNS name that is not ASCII", BOTH, dns_not_ascii},
  {"e_ext_san_dns_name_too_long", /* RFC 5280 */
   "has a DNS name over 253 octets", BOTH, dns_long},
  {"e_rfc_dnsname_label_too_long", /* RFC 5280: 4.2.1.6, citing RFC 1035 */
   "has a DNS label over 63 octets", BOTH, dns_label_long},
  {"e_rfc_dnsname_empty_label", /* RFC5280: 4.2.1.6 */
   "has an empty DNS label", BOTH, dns_label_empty},
  {"e_dnsname_bad_character_in_label", /* BRs: 7.1.4.2 */
   "has a DNS name with other characters than letters, digits, hyphens", BOTH, dns_characters},
  {"e_dnsname_wildcard_only_in_left_label", /* BRs: 1.6.1, Wildcard Domain Name */
   "has a wildcard behind the first label", BOTH, dns_star_behind},
  {"e_dnsname_left_label_wildcard_correct", /* BRs: 1.6.1, Wildcard Certificate and Wildcard Domain Name */
   "has a wildcard that is not the whole label", BOTH, dns_star_with_others},
  {"e_san_bare_wildcard", /* awslabs certlint */
   "has a wildcard over nothing", BOTH, dns_star_alone},
  {"n_san_dns_name_duplicate", /* awslabs certlint */
   "has a DNS name twice", BOTH, dns_twice},
  {"e_ext_san_rfc822_format_invalid", /* RFC 5280: 4.2.1.6 */
   "has an e-mail address that is none", BOTH, email_form},
  {"e_ext_san_uri_relative", /* RFC 5280: 4.2.1.6 */
   "has a URI without scheme", BOTH, uri_relative},
  {"e_ext_key_usage_without_bits", /* RFC 5280: 4.2.1.3 */
   "has an empty keyUsage", BOTH, usage_without_bits},
  {"w_ext_key_usage_not_critical", /* RFC 5280: 4.2.1.3 */
   "has no critical keyUsage", BOTH, usage_not_critical},
  {"e_ext_key_usage_cert_sign_without_ca", /* RFC 5280: 4.2.1.3 & 4.2.1.9 */
   "may sign certificates and is no CA", BOTH, signs_without_ca},
  {"e_ecdsa_allowed_ku", /* RFC 8813 Section 3 */
   "has an ECDSA key for encryption", BOTH, ecdsa_usage},
  {"e_rsa_allowed_ku_ee", /* RFC 3279: 2.3.1 */
   "has a usage that an RSA leaf cannot have", LEAF, rsa_usage},
  {"e_sub_cert_eku_missing", /* BRs: 7.1.2.3 */
   "has no extended key usage", LEAF, no_eku},
  {"e_sub_cert_not_is_ca", /* BRs: 7.1.2.3 */
   "is a CA where a leaf was meant", LEAF, is_ca},
  {"e_path_len_constraint_improperly_included", /* RFC 5280: 4.2.1.9 */
   "has a path length without being a signing CA", BOTH, path_len_out_of_place},
  {"e_basic_constraints_not_critical", /* RFC 5280: 4.2.1.9 */
   "has basicConstraints that are not critical", BOTH, basic_not_critical},
  {"e_ca_is_ca", /* BRs: 7.1.2.1.4, 7.1.2.10.4 */
   "is no CA where one was meant", CA, is_no_ca},
  {"e_ca_key_cert_sign_not_set", /* BRs: 7.1.2.10.7 */
   "is a CA that may not sign certificates", CA, no_cert_sign},
  {"e_ext_subject_key_identifier_missing_ca", /* RFC 5280: 4.2 & 4.2.1.2 */
   "has no subjectKeyIdentifier", CA, no_ski},
  {"w_ext_subject_key_identifier_missing_sub_cert", /* RFC 5280: 4.2 & 4.2.1.2 */
   "has no subjectKeyIdentifier", LEAF, no_ski},
  {"e_ext_subject_key_identifier_critical", /* RFC 5280: 4.2.1.2 */
   "has a critical subjectKeyIdentifier", BOTH, ski_critical},
  {"e_ext_authority_key_identifier_no_key_identifier", /* RFC 5280: 4.2.1.1 */
   "has no authorityKeyIdentifier with a key identifier", LEAF, no_aki},
  {"e_ext_authority_key_identifier_critical", /* RFC 5280: 4.2.1.1 */
   "has a critical authorityKeyIdentifier", BOTH, aki_critical},
};

const lint_rule_t *lint_rules(size_t *ret_n)
{
  *ret_n = COUNT_OF(rules);
  return rules;
}

rc_t lint_check(const cert_t *c, lint_role_t role, err_t *e)
{
  for (size_t i = 0; i < COUNT_OF(rules); i++)
    if ((rules[i].roles & role) && rules[i].broken(c))
      return err_set(e, RC_INVALID, rules[i].name, "certificate", rules[i].text);
  for (size_t i = 0; i < c->nfindings; i++) {
    const finding_t *f = &c->findings[i];
    if (f->severity == SEV_ERROR) return err_set(e, RC_INVALID, f->rule, "certificate", f->text);
  }
  return rc(RC_OK);
}

rc_t lint_tbs(arena_t *a, slice_t tbs, lint_role_t role, cert_t *ret, err_t *e)
{
  cert_t c;
  TRY(cert_parse_tbs(a, tbs, &c, e));
  TRY(lint_check(&c, role, e));
  *ret = c;
  return rc(RC_OK);
}
