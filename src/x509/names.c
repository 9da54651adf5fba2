#include "x509/names.h"

#include "wire/ip.h"

typedef struct fault {
  int32_t code;
  const char *reason, *text;
  int64_t limit;
} fault_t;

static rc_t refuse(const fault_t *f, slice_t value, err_t *e)
{
  rc_t r = err_limit(e, f->code, f->reason, "name", f->text, f->limit);
  err_value(e, value.p, value.n);
  return r;
}

#define FAULT(name, token, what) static const fault_t name = {RC_INVALID, token, what, 0}
#define FAULT_LIMIT(name, token, what, lim) static const fault_t name = {RC_FULL, token, what, lim}

FAULT(f_empty, "name_empty", "is empty");
FAULT(f_kind, "name_kind", "is of a kind that certificates here do not carry (DNS, IP, e-mail and URI)");
FAULT(f_unicode, "name_not_ascii", "is not ASCII; write international names in their xn-- form");
FAULT(f_character, "name_character", "has a character other than letters, digits, hyphens and dots");
FAULT(f_underscore, "name_underscore", "has an underscore, which host names may not have (RFC 1123)");
FAULT(f_empty_label, "name_empty_label", "has an empty label");
FAULT(f_hyphen, "name_hyphen", "has a label that begins or ends with a hyphen");
FAULT(f_reserved, "name_reserved_label", "has a label with \"--\" in third place that does not begin with xn--");
FAULT(f_punycode, "name_punycode", "has an xn-- label that is not valid punycode");
FAULT(f_wildcard, "name_wildcard", "may have \"*\" only as its whole leftmost label");
FAULT(f_wildcard_wide, "name_wildcard_wide", "has \"*\" directly above a single label");
FAULT(f_numeric, "name_numeric", "ends in a label of digits, but is no IPv4 address");
FAULT(f_ip, "name_ip", "is not an IP address of 4 or 16 octets");
FAULT(f_email, "name_email", "is not an e-mail address (local part of letters, digits and !#$%&'*+-/=?^_`{|}~, one @, a DNS name)");
FAULT(f_uri, "name_uri", "is not a URI with scheme and host (RFC 3986)");
FAULT(f_userinfo, "name_uri_user", "is a URI with user information");
FAULT_LIMIT(f_long, "name_long", "is longer than {limit} characters", LIM_NAME_LEN);
FAULT_LIMIT(f_label_long, "name_label_long", "has a label longer than {limit} characters", 63);
FAULT_LIMIT(f_email_long, "name_long", "is longer than {limit} characters", LIM_EMAIL_LEN);
FAULT_LIMIT(f_uri_long, "name_long", "is longer than {limit} characters", LIM_URI_NAME);
FAULT_LIMIT(f_count, "name_count", "has more than {limit} names", LIM_CERT_NAMES);
static const fault_t f_memory = {RC_NOMEM, "memory", "needs more memory than it may have", 0};

const char *name_kind_text(name_kind_t kind)
{
  static const char *const words[] = {"otherName",    "email", "DNS", "x400Address", "directoryName",
                                      "ediPartyName", "URI",   "IP",  "registeredID"};
  return (size_t)kind < COUNT_OF(words) ? words[kind] : "";
}

/* Punycode (RFC 3492) */

enum {
  PUNY_BASE = 36,
  PUNY_TMIN = 1,
  PUNY_TMAX = 26,
  PUNY_SKEW = 38,
  PUNY_DAMP = 700,
  PUNY_BIAS = 72,
  PUNY_FIRST = 128
};

static uint32_t puny_adapt(uint32_t delta, uint32_t points, bool first)
{
  uint32_t k = 0;
  delta = first ? delta / PUNY_DAMP : delta / 2;
  delta += delta / points;
  for (; delta > (PUNY_BASE - PUNY_TMIN) * PUNY_TMAX / 2; k += PUNY_BASE) delta /= PUNY_BASE - PUNY_TMIN;
  return k + (PUNY_BASE - PUNY_TMIN + 1) * delta / (delta + PUNY_SKEW);
}

static uint32_t puny_threshold(uint32_t k, uint32_t bias)
{
  return k <= bias ? PUNY_TMIN : k >= bias + PUNY_TMAX ? PUNY_TMAX : k - bias;
}

/* One variable-length integer (RFC 3492 6.2) added to *i; false on a wrong digit, overflow or the end. */
static bool puny_integer(slice_t s, size_t *at, uint32_t bias, uint64_t *i)
{
  uint64_t weight = 1;
  for (uint32_t k = PUNY_BASE;; k += PUNY_BASE) {
    if (*at == s.n) return false;
    uint8_t c = s.p[(*at)++];
    uint32_t digit = ascii_is_digit(c) ? c - '0' + 26u : ascii_is_alpha(c) ? (uint32_t)ascii_lower(c) - 'a' : PUNY_BASE;
    if (digit >= PUNY_BASE) return false;
    *i += digit * weight;
    if (*i > UINT32_MAX) return false;
    uint32_t t = puny_threshold(k, bias);
    if (digit < t) return true;
    weight *= PUNY_BASE - t;
    if (weight > UINT32_MAX) return false;
  }
}

/*
 * Code points that a name may not hold: controls, surrogates, white space, and what is
 * invisible or reverses the text on screen (spec/auth.md 13).
 */
static bool point_forbidden(uint32_t c)
{
  static const uint32_t ranges[][2] = {
    {0x80, 0xa0}, {0xad, 0xad}, {0x34f, 0x34f}, {0x61c, 0x61c}, {0x115f, 0x1160}, {0x1680, 0x1680}, {0x17b4, 0x17b5},
    {0x180b, 0x180f}, {0x2000, 0x200b}, {0x200e, 0x200f}, {0x2028, 0x202f}, {0x205f, 0x206f}, {0x3000, 0x3000},
    {0x3002, 0x3002}, {0x3164, 0x3164}, {0xd800, 0xf8ff}, {0xfdd0, 0xfdef}, {0xfe00, 0xfe0f}, {0xfeff, 0xfeff},
    {0xff0e, 0xff0e}, {0xff61, 0xff61}, {0xffa0, 0xffa0}, {0xfff0, 0xffff}, {0xe0000, UINT32_MAX},
  };
  for (size_t i = 0; i < COUNT_OF(ranges); i++)
    if (c >= ranges[i][0] && c <= ranges[i][1]) return true;
  return false;
}

/*
 * The part behind "xn--", which does not end with a hyphen, decodes: to at least one code point above ASCII and none
 * that is forbidden.
 */
static bool puny_valid(slice_t s)
{
  size_t basic = 0;
  for (size_t i = 0; i < s.n; i++)
    if (s.p[i] == '-') basic = i;
  /* The last hyphen ends the basic code points; it is not written when there are none (RFC 3492 6.2). */
  size_t at = basic ? basic + 1 : 0;
  uint32_t points = (uint32_t)basic, n = PUNY_FIRST, bias = PUNY_BIAS;
  uint64_t i = 0;
  while (at < s.n) {
    uint64_t before = i;
    if (!puny_integer(s, &at, bias, &i)) return false;
    points++;
    bias = puny_adapt((uint32_t)(i - before), points, before == 0);
    if (i / points > 0x10ffff - n) return false;
    n += (uint32_t)(i / points);
    i = i % points + 1;
    if (point_forbidden(n)) return false;
  }
  return true;
}

/* DNS names */

static const fault_t *check_label(slice_t l)
{
  if (l.n == 0) return &f_empty_label;
  for (size_t i = 0; i < l.n; i++) {
    if (l.p[i] >= 0x80) return &f_unicode;
    if (l.p[i] == '_') return &f_underscore;
    if (l.p[i] == '*') return &f_wildcard;
    if (!ascii_is_alnum(l.p[i]) && l.p[i] != '-') return &f_character;
  }
  if (l.n > 63) return &f_label_long;
  if (l.p[0] == '-' || l.p[l.n - 1] == '-') {
    /* "xn--a-" is a broken A-label first of all. */
    return slice_ieq(slice_sub(l, 0, 4), S("xn--")) ? &f_punycode : &f_hyphen;
  }
  if (!slice_is(slice_sub(l, 2, 2), "--")) return NULL;
  if (!slice_ieq(slice_sub(l, 0, 4), S("xn--"))) return &f_reserved;
  return puny_valid(slice_sub(l, 4, l.n)) ? NULL : &f_punycode;
}

static bool all_digits(slice_t s)
{
  for (size_t i = 0; i < s.n; i++)
    if (!ascii_is_digit(s.p[i])) return false;
  return true;
}

/* Checks a name without trailing dot. */
static const fault_t *check_dns(slice_t s, bool wildcard_allowed)
{
  if (s.n == 0) return &f_empty;
  bool wild = s.p[0] == '*' && (s.n == 1 || s.p[1] == '.');
  if (wild && !wildcard_allowed) return &f_wildcard;
  slice_t rest = s, label, last = {NULL, 0};
  size_t labels = 0;
  while (slice_split(&rest, '.', &label)) {
    const fault_t *f = wild && labels == 0 ? NULL : check_label(label);
    if (f) return f;
    labels++;
    last = label;
  }
  if (wild && labels < 3) return labels == 1 ? &f_wildcard : &f_wildcard_wide;
  if (all_digits(last)) return &f_numeric;
  return s.n > LIM_NAME_LEN ? &f_long : NULL;
}

static slice_t lower_dup(arena_t *a, slice_t s)
{
  uint8_t *p = arena_alloc(a, s.n);
  if (!p) return (slice_t){NULL, 0};
  for (size_t i = 0; i < s.n; i++) p[i] = ascii_lower(s.p[i]);
  return slice_of(p, s.n);
}

static rc_t make(arena_t *a, name_kind_t kind, slice_t text, name_t *ret, err_t *e)
{
  slice_t kept = kind == NAME_DNS ? lower_dup(a, text) : arena_dup(a, text);
  if (!kept.p) return refuse(&f_memory, text, e);
  *ret = (name_t){kind, kept, kept};
  return rc(RC_OK);
}

static slice_t without_dot(slice_t s) { return s.n > 1 && s.p[s.n - 1] == '.' ? slice_sub(s, 0, s.n - 1) : s; }

static rc_t parse_dns(arena_t *a, slice_t text, name_t *ret, err_t *e)
{
  slice_t s = without_dot(text);
  const fault_t *f = check_dns(s, true);
  return f ? refuse(f, text, e) : make(a, NAME_DNS, s, ret, e);
}

/* Addresses */

static rc_t make_ip(arena_t *a, const ip_t *ip, name_t *ret, err_t *e)
{
  char text[IP_TEXT_MAX];
  size_t n = ip_format(ip, text);
  slice_t bytes = arena_dup(a, slice_of(ip->b, ip->n)), shown = arena_dup(a, slice_of(text, n));
  if (!bytes.p || !shown.p) return refuse(&f_memory, slice_of(text, n), e);
  *ret = (name_t){NAME_IP, bytes, shown};
  return rc(RC_OK);
}

static rc_t ip_from_wire(arena_t *a, slice_t bytes, name_t *ret, err_t *e)
{
  ip_t ip;
  if (!rc_ok(ip_from_bytes(bytes, &ip))) return refuse(&f_ip, (slice_t){NULL, 0}, e);
  return make_ip(a, &ip, ret, e);
}

/* E-mail (RFC 5321 4.1.2, dot-atom form) */

static const fault_t *check_local_part(slice_t s)
{
  slice_t rest = s, atom;
  if (s.n == 0 || s.n > 64) return &f_email;
  while (slice_split(&rest, '.', &atom)) {
    if (atom.n == 0) return &f_email;
    for (size_t i = 0; i < atom.n; i++) {
      if (atom.p[i] >= 0x80) return &f_unicode;
      if (atom.p[i] == 0 || (!ascii_is_alnum(atom.p[i]) && !strchr("!#$%&'*+-/=?^_`{|}~", atom.p[i]))) return &f_email;
    }
  }
  return NULL;
}

static rc_t parse_email(arena_t *a, slice_t text, name_t *ret, err_t *e)
{
  size_t at = slice_find(text, '@');
  if (at == text.n) return refuse(&f_email, text, e);
  slice_t local = slice_sub(text, 0, at), host = without_dot(slice_sub(text, at + 1, text.n));
  const fault_t *f = check_local_part(local);
  if (!f) f = check_dns(host, false);
  if (!f && local.n + 1 + host.n > LIM_EMAIL_LEN) f = &f_email_long;
  if (f) return refuse(f, text, e);
  slice_t kept = arena_dup(a, slice_sub(text, 0, at + 1 + host.n));
  if (!kept.p) return refuse(&f_memory, text, e);
  /* The host has no case; the local part may (RFC 5321 2.4). */
  uint8_t *p = (uint8_t *)(uintptr_t)kept.p;
  for (size_t i = at; i < kept.n; i++) p[i] = ascii_lower(p[i]);
  *ret = (name_t){NAME_EMAIL, kept, kept};
  return rc(RC_OK);
}

/* URI (RFC 3986) */

static size_t scheme_len(slice_t s)
{
  if (s.n == 0 || !ascii_is_alpha(s.p[0])) return 0;
  for (size_t i = 1; i < s.n; i++) {
    if (s.p[i] == ':') return i;
    if (!ascii_is_alnum(s.p[i]) && s.p[i] != '+' && s.p[i] != '-' && s.p[i] != '.') return 0;
  }
  return 0;
}

static const fault_t *check_uri_characters(slice_t s)
{
  for (size_t i = 0; i < s.n; i++) {
    uint8_t c = s.p[i];
    if (c >= 0x80) return &f_unicode;
    if (c == '%') {
      if (i + 2 >= s.n || hex_digit(s.p[i + 1]) < 0 || hex_digit(s.p[i + 2]) < 0) return &f_uri;
      i += 2;
    } else if (c == 0 || (!ascii_is_alnum(c) && !strchr("-._~:/?#[]@!$&'()*+,;=", c))) {
      return &f_uri;
    }
  }
  return NULL;
}

/* Host and port of "//authority": a DNS name or an address (RFC 5280 4.2.1.6). */
static const fault_t *check_authority(slice_t auth)
{
  if (slice_find(auth, '@') < auth.n) return &f_userinfo;
  bool literal = auth.n && auth.p[0] == '[';
  size_t host_end = slice_find(auth, literal ? ']' : ':');
  if (literal && host_end == auth.n) return &f_uri;
  slice_t host = literal ? slice_sub(auth, 1, host_end - 1) : slice_sub(auth, 0, host_end);
  slice_t port = slice_sub(auth, literal ? host_end + 1 : host_end, auth.n);
  if (port.n && (port.p[0] != ':' || port.n == 1 || port.n > 6 || !all_digits(slice_sub(port, 1, port.n))))
    return &f_uri;
  ip_t ip;
  bool address = rc_ok(ip_parse(host, &ip));
  if (literal) return address && ip.n == 16 ? NULL : &f_ip;
  return address ? NULL : check_dns(host, false);
}

static rc_t parse_uri(arena_t *a, slice_t text, name_t *ret, err_t *e)
{
  if (text.n > LIM_URI_NAME) return refuse(&f_uri_long, text, e);
  size_t scheme = scheme_len(text), lowered = scheme;
  const fault_t *f = scheme == 0 || scheme + 1 == text.n ? &f_uri : check_uri_characters(text);
  slice_t rest = slice_sub(text, scheme + 1, text.n);
  if (!f && slice_starts(rest, S("//"))) {
    slice_t auth = slice_sub(rest, 2, rest.n);
    size_t end = 0;
    while (end < auth.n && auth.p[end] != '/' && auth.p[end] != '?' && auth.p[end] != '#') end++;
    f = check_authority(slice_sub(auth, 0, end));
    lowered = scheme + 3 + end;
  }
  if (f) return refuse(f, text, e);
  TRY(make(a, NAME_URI, text, ret, e));
  uint8_t *p = (uint8_t *)(uintptr_t)ret->bytes.p; /* scheme and host have no case (RFC 3986 6.2.2.1) */
  for (size_t i = 0; i < lowered; i++) p[i] = ascii_lower(p[i]);
  return rc(RC_OK);
}

/* "x://…" or "urn:…": a colon alone may be a port that does not belong into a name. */
static bool looks_like_uri(slice_t s)
{
  size_t scheme = scheme_len(s);
  if (scheme == 0) return false;
  slice_t rest = slice_sub(s, scheme + 1, s.n);
  return slice_starts(rest, S("//")) || slice_ieq(slice_sub(s, 0, scheme), S("urn"));
}

rc_t names_parse(arena_t *a, slice_t text, name_t *ret, err_t *e)
{
  ip_t ip;
  if (text.n == 0) return refuse(&f_empty, text, e);
  if (rc_ok(ip_parse(text, &ip))) return make_ip(a, &ip, ret, e);
  if (looks_like_uri(text)) return parse_uri(a, text, ret, e);
  if (slice_find(text, '@') < text.n) return parse_email(a, text, ret, e);
  return parse_dns(a, text, ret, e);
}

rc_t names_from_wire(arena_t *a, name_kind_t kind, slice_t bytes, name_t *ret, err_t *e)
{
  ip_t ip;
  if (kind == NAME_IP) return ip_from_wire(a, bytes, ret, e);
  if (!name_kind_is_issued(kind)) return refuse(&f_kind, slice_str(name_kind_text(kind)), e);
  if (bytes.n == 0) return refuse(&f_empty, bytes, e);
  if (kind == NAME_EMAIL) return parse_email(a, bytes, ret, e);
  if (kind == NAME_URI) return parse_uri(a, bytes, ret, e);
  if (rc_ok(ip_parse(bytes, &ip))) return make_ip(a, &ip, ret, e);
  return parse_dns(a, bytes, ret, e);
}

bool name_eq(const name_t *a, const name_t *b) { return a->kind == b->kind && slice_eq(a->bytes, b->bytes); }

bool names_have(names_t set, const name_t *one)
{
  for (size_t i = 0; i < set.n; i++)
    if (name_eq(&set.v[i], one)) return true;
  return false;
}

const name_t *names_missing(names_t sub, names_t set)
{
  for (size_t i = 0; i < sub.n; i++)
    if (!names_have(set, &sub.v[i])) return &sub.v[i];
  return NULL;
}

rc_t names_dedupe(arena_t *a, names_t in, names_t *ret)
{
  name_t *v = ARENA_ARRAY(a, name_t, in.n);
  if (!v) return rc(RC_NOMEM);
  names_t out = {v, 0};
  for (size_t i = 0; i < in.n; i++)
    if (!names_have(out, &in.v[i])) v[out.n++] = in.v[i];
  *ret = out;
  return rc(RC_OK);
}

rc_t names_parse_all(arena_t *a, const slice_t *texts, size_t n, const char *field, names_t *ret, err_t *e)
{
  name_t *v = ARENA_ARRAY(a, name_t, n < LIM_CERT_NAMES ? n : LIM_CERT_NAMES);
  rc_t r = v ? rc(RC_OK) : refuse(&f_memory, (slice_t){NULL, 0}, e);
  names_t out = {v, 0};
  for (size_t i = 0; rc_ok(r) && i < n; i++) {
    name_t one;
    r = names_parse(a, texts[i], &one, e);
    if (!rc_ok(r) || names_have(out, &one)) continue;
    if (out.n == LIM_CERT_NAMES) r = refuse(&f_count, (slice_t){NULL, 0}, e);
    else v[out.n++] = one;
  }
  if (rc_ok(r)) *ret = out;
  else if (e) e->field = field;
  return r;
}

bool name_covers(const name_t *pattern, const name_t *host)
{
  if (name_eq(pattern, host)) return true;
  if (pattern->kind != NAME_DNS || host->kind != NAME_DNS) return false;
  if (!slice_starts(pattern->bytes, S("*.")) || slice_starts(host->bytes, S("*"))) return false;
  size_t dot = slice_find(host->bytes, '.');
  return slice_eq(slice_sub(pattern->bytes, 1, pattern->bytes.n), slice_sub(host->bytes, dot, host->bytes.n));
}
