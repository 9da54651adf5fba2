#include "x509/ext.h"

#include "wire/ip.h"
#include "x509/dn.h"

static void no_memory(der_t *r) { der_fail(r, RC_NOMEM, "memory", "needs more memory than it may have"); }

exts_t exts_read(arena_t *a, der_t *r)
{
  ext_t v[LIM_CERT_EXTENSIONS];
  size_t n = 0;
  exts_t none = {NULL, 0};
  if (!der_enter(r, DER_SEQUENCE)) return none;
  while (der_more(r)) {
    if (n == COUNT_OF(v)) return der_fail(r, RC_FULL, "ext_count", "has too many extensions"), none;
    const uint8_t *at = r->p;
    if (!der_enter(r, DER_SEQUENCE)) return none;
    ext_t x = {.oid = der_oid(r)};
    if (der_peek(r) == DER_BOOLEAN) {
      x.critical = der_bool(r);
      if (der_ok(r) && !x.critical) der_fail(r, RC_SYNTAX, "der_default", "writes a default value out");
    }
    x.value = der_get(r, DER_OCTETS);
    der_leave(r);
    if (!der_ok(r)) return none;
    x.id = oid_find(x.oid);
    for (size_t i = 0; i < n; i++) {
      if (!slice_eq(v[i].oid, x.oid)) continue;
      r->p = at;
      return der_fail(r, RC_INVALID, "ext_duplicate", "has the same extension twice"), none;
    }
    v[n++] = x;
  }
  der_leave(r);
  if (!der_ok(r)) return none;
  ext_t *kept = ARENA_ARRAY(a, ext_t, n);
  if (!kept) return no_memory(r), none;
  memcpy(kept, v, n * sizeof *v);
  return (exts_t){kept, n};
}

const ext_t *exts_find(exts_t exts, oid_t id)
{
  for (size_t i = 0; i < exts.n; i++)
    if (exts.v[i].id == id) return &exts.v[i];
  return NULL;
}

/* GeneralName (RFC 5280 4.2.1.6) */

static slice_t dup_or_fail(arena_t *a, der_t *r, slice_t text)
{
  slice_t s = arena_dup(a, text);
  if (!s.p) no_memory(r);
  return s;
}

/* Text of an IA5String: as it is when that is UTF-8, else taken as Latin-1. */
static slice_t ia5_text(arena_t *a, der_t *r, slice_t v)
{
  if (slice_utf8(v)) return v;
  buf_t b = buf_on(a, v.n * 2);
  dn_string(&b, DER_IA5, v);
  if (b.code != 0) no_memory(r);
  return buf_slice(&b);
}

static slice_t ip_text(arena_t *a, der_t *r, slice_t v)
{
  char text[IP_TEXT_MAX];
  ip_t ip;
  if (!rc_ok(ip_from_bytes(v, &ip))) return S("");
  size_t n = ip_format(&ip, text);
  return dup_or_fail(a, r, slice_of(text, n));
}

static slice_t dotted(arena_t *a, der_t *r, slice_t oid)
{
  buf_t b = buf_on(a, oid.n * 4 + 8);
  oid_dotted(&b, oid);
  if (b.code != 0) no_memory(r);
  return buf_slice(&b);
}

/* Checks an opaque part to the bottom and hands its failure to the reader. */
static void deep_check(der_t *r, slice_t part)
{
  err_t e = {0};
  if (der_ok(r) && !rc_ok(der_check(part, &e))) der_fail(r, RC_SYNTAX, e.reason, e.text);
}

/* OtherName ::= SEQUENCE { type-id OID, value [0] EXPLICIT ANY }, implicitly tagged. */
static slice_t other_name(arena_t *a, der_t *r, slice_t content)
{
  der_t in;
  der_init(&in, content);
  slice_t oid = der_oid(&in);
  slice_t value = der_raw(&in, DER_CTX_CONS(0));
  err_t e = {0};
  if (!rc_ok(der_end(&in, &e))) return der_fail(r, RC_SYNTAX, e.reason, e.text), S("");
  deep_check(r, value);
  der_init(&in, value);
  (void)der_enter(&in, DER_CTX_CONS(0));
  (void)der_raw(&in, 0);
  der_leave(&in);
  if (!rc_ok(der_end(&in, &e))) return der_fail(r, RC_SYNTAX, e.reason, e.text), S("");
  return dotted(a, r, oid);
}

static slice_t directory_name(arena_t *a, der_t *r, slice_t content)
{
  der_t in;
  der_init(&in, content);
  dn_t dn = dn_read(&in);
  err_t e = {0};
  slice_t text = {NULL, 0};
  if (!rc_ok(der_end(&in, &e))) der_fail(r, e.code, e.reason, e.text);
  else if (!rc_ok(dn_text(a, &dn, &text))) no_memory(r);
  return text;
}

/* EDIPartyName ::= SEQUENCE { nameAssigner [0] DirectoryString OPTIONAL, partyName [1] DirectoryString }. */
static void edi_name(der_t *r, slice_t content)
{
  der_t in;
  der_init(&in, content);
  for (uint8_t i = der_peek(&in) == DER_CTX_CONS(0) ? 0 : 1; i < 2; i++) {
    uint8_t tag = 0;
    (void)der_enter(&in, DER_CTX_CONS(i));
    slice_t v = der_any(&in, &tag);
    der_leave(&in);
    if (der_ok(&in) && (v.n == 0 || !dn_directory_string(tag, v)))
      der_fail(&in, RC_SYNTAX, "ext_general_name", "has an ediPartyName that is no string");
  }
  err_t e = {0};
  if (!rc_ok(der_end(&in, &e))) der_fail(r, RC_SYNTAX, e.reason, e.text);
}

static name_t read_general_name(arena_t *a, der_t *r)
{
  static const bool constructed[] = {true, false, false, true, true, true, false, false, false};
  name_t name = {0};
  uint8_t tag;
  slice_t v = der_any(r, &tag);
  uint8_t number = tag & 0x1f;
  if (!der_ok(r)) return name;
  if ((tag & 0xc0) != 0x80 || number >= COUNT_OF(constructed) || ((tag & 0x20) != 0) != constructed[number]) {
    der_fail(r, RC_SYNTAX, "ext_general_name", "has a general name of no known kind");
    return name;
  }
  name = (name_t){(name_kind_t)number, v, S("")};
  switch (name.kind) {
  case NAME_EMAIL:
  case NAME_DNS:
  case NAME_URI: name.text = ia5_text(a, r, v); break;
  case NAME_IP: name.text = ip_text(a, r, v); break;
  case NAME_OTHER: name.text = other_name(a, r, v); break;
  case NAME_DIRECTORY: name.text = directory_name(a, r, v); break;
  case NAME_EDI: edi_name(r, v); break;
  case NAME_X400: deep_check(r, v); break;
  case NAME_REGISTERED_ID:
    if (!der_oid_valid(v)) der_fail(r, RC_SYNTAX, "der_oid", "is a malformed object identifier");
    else name.text = dotted(a, r, v);
    break;
  }
  return name;
}

/* Values left in the innermost value; its end is not checked. */
static size_t count_values(const der_t *r)
{
  der_t ahead;
  size_t n = 0;
  der_init(&ahead, slice_of(r->p, (size_t)(r->end - r->p)));
  while (der_more(&ahead)) {
    (void)der_raw(&ahead, 0);
    n++;
  }
  return n;
}

rc_t ext_names(arena_t *a, slice_t value, names_t *ret, err_t *e)
{
  der_t r;
  der_init(&r, value);
  (void)der_enter(&r, DER_SEQUENCE);
  size_t most = count_values(&r), n = 0;
  if (most > LIM_CERT_SANS) der_fail(&r, RC_FULL, "ext_names_count", "has too many names");
  name_t *v = der_ok(&r) ? ARENA_ARRAY(a, name_t, most) : NULL;
  if (!v) no_memory(&r);
  while (der_more(&r) && n < most) v[n++] = read_general_name(a, &r);
  der_leave(&r);
  TRY(der_end(&r, e));
  *ret = (names_t){v, n};
  return rc(RC_OK);
}

/* Other bodies */

rc_t ext_key_usage(slice_t value, uint32_t *ret, err_t *e)
{
  der_t r;
  unsigned unused = 0;
  uint32_t bits = 0;
  der_init(&r, value);
  slice_t v = der_bits(&r, &unused);
  if (v.n > 2) der_fail(&r, RC_INVALID, "ext_key_usage_long", "has more bits than there are usages");
  else if (v.n && !(v.p[v.n - 1] >> unused & 1))
    der_fail(&r, RC_SYNTAX, "ext_key_usage_zeros", "has trailing zero bits");
  TRY(der_end(&r, e));
  for (size_t i = 0; i < v.n * 8; i++)
    if (v.p[i / 8] & (0x80u >> (i % 8))) bits |= 1u << i;
  *ret = bits;
  return rc(RC_OK);
}

enum { OIDS_MAX = 64 };

rc_t ext_oids(arena_t *a, slice_t value, const slice_t **ret, size_t *ret_n, err_t *e)
{
  der_t r;
  slice_t v[OIDS_MAX];
  size_t n = 0;
  der_init(&r, value);
  (void)der_enter(&r, DER_SEQUENCE);
  do {
    if (n == COUNT_OF(v)) der_fail(&r, RC_FULL, "ext_oids_count", "has too many identifiers");
    else v[n++] = der_oid(&r);
  } while (der_more(&r));
  der_leave(&r);
  TRY(der_end(&r, e));
  slice_t *kept = ARENA_ARRAY(a, slice_t, n);
  if (!kept) return err_set(e, RC_NOMEM, "memory", NULL, "needs more memory than it may have");
  memcpy(kept, v, n * sizeof *v);
  *ret = kept;
  *ret_n = n;
  return rc(RC_OK);
}

rc_t ext_basic(slice_t value, bool *ret_ca, int32_t *ret_path_len, err_t *e)
{
  der_t r;
  bool ca = false;
  int32_t path_len = -1;
  der_init(&r, value);
  (void)der_enter(&r, DER_SEQUENCE);
  if (der_peek(&r) == DER_BOOLEAN) {
    ca = der_bool(&r);
    if (der_ok(&r) && !ca) der_fail(&r, RC_SYNTAX, "der_default", "writes a default value out");
  }
  if (der_more(&r)) path_len = (int32_t)der_small(&r, INT16_MAX);
  der_leave(&r);
  TRY(der_end(&r, e));
  *ret_ca = ca;
  *ret_path_len = path_len;
  return rc(RC_OK);
}

rc_t ext_octets(slice_t value, slice_t *ret, err_t *e)
{
  der_t r;
  der_init(&r, value);
  slice_t v = der_get(&r, DER_OCTETS);
  TRY(der_end(&r, e));
  *ret = v;
  return rc(RC_OK);
}

rc_t ext_aki(slice_t value, slice_t *ret, err_t *e)
{
  der_t r;
  slice_t id = {NULL, 0};
  der_init(&r, value);
  (void)der_enter(&r, DER_SEQUENCE);
  if (der_peek(&r) == DER_CTX(0)) id = der_get(&r, DER_CTX(0));
  if (der_peek(&r) == DER_CTX_CONS(1)) (void)der_raw(&r, 0);
  if (der_peek(&r) == DER_CTX(2)) (void)der_raw(&r, 0);
  der_leave(&r);
  TRY(der_end(&r, e));
  *ret = id;
  return rc(RC_OK);
}

rc_t ext_aia(slice_t value, err_t *e)
{
  der_t r;
  uint8_t tag;
  der_init(&r, value);
  (void)der_enter(&r, DER_SEQUENCE);
  while (der_more(&r)) {
    (void)der_enter(&r, DER_SEQUENCE);
    (void)der_oid(&r);
    (void)der_any(&r, &tag);
    der_leave(&r);
  }
  der_leave(&r);
  return der_end(&r, e);
}

/* DistributionPoint (RFC 5280 4.2.1.13): [0] { [0] fullName | [1] relative }, [1] reasons, [2] cRLIssuer. */
static void read_point(der_t *r)
{
  (void)der_enter(r, DER_SEQUENCE);
  if (der_peek(r) == DER_CTX_CONS(0)) {
    (void)der_enter(r, DER_CTX_CONS(0));
    if (der_peek(r) == DER_CTX_CONS(0)) {
      (void)der_enter(r, DER_CTX_CONS(0));
      while (der_more(r)) (void)der_raw(r, 0);
      der_leave(r);
    } else {
      (void)der_raw(r, DER_CTX_CONS(1));
    }
    der_leave(r);
  }
  if (der_peek(r) == DER_CTX(1)) (void)der_raw(r, 0);
  if (der_peek(r) == DER_CTX_CONS(2)) (void)der_raw(r, 0);
  der_leave(r);
}

rc_t ext_cdp(slice_t value, err_t *e)
{
  der_t r;
  der_init(&r, value);
  (void)der_enter(&r, DER_SEQUENCE);
  while (der_more(&r)) read_point(&r);
  der_leave(&r);
  return der_end(&r, e);
}

rc_t ext_must_staple(slice_t value, bool *ret, err_t *e)
{
  der_t r;
  bool staple = false;
  der_init(&r, value);
  (void)der_enter(&r, DER_SEQUENCE);
  do staple |= der_small(&r, UINT16_MAX) == 5;
  while (der_more(&r));
  der_leave(&r);
  TRY(der_end(&r, e));
  *ret = staple;
  return rc(RC_OK);
}
