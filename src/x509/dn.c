#include "x509/dn.h"

/* String types of DirectoryString and the attributes of RFC 5280 A.1, and BIT STRING for x500UniqueIdentifier. */
enum { DER_NUMERIC = 0x12 };

static bool point_ok(uint32_t c) { return c <= 0x10ffff && (c < 0xd800 || c > 0xdfff); }

/* BMPString and UniversalString: whole characters, no surrogates. */
static bool wide_ok(slice_t v, size_t width)
{
  if (v.n % width) return false;
  for (size_t i = 0; i < v.n; i += width) {
    uint32_t c = 0;
    for (size_t k = 0; k < width; k++) c = c << 8 | v.p[i + k];
    if (!point_ok(c)) return false;
  }
  return true;
}

static bool printable_ok(slice_t v)
{
  for (size_t i = 0; i < v.n; i++) {
    uint8_t c = v.p[i];
    bool ok = ascii_is_alnum(c) || (c && strchr(" '()+,-./:=?", c));
    if (!ok) return false;
  }
  return true;
}

bool dn_directory_string(uint8_t tag, slice_t v)
{
  switch (tag) {
  case DER_UTF8: return slice_utf8(v);
  case DER_BMP: return wide_ok(v, 2);
  case DER_UNIVERSAL: return wide_ok(v, 4);
  case DER_PRINTABLE:
  case DER_T61: return true;
  default: return false;
  }
}

static void check_string(der_t *r, const uint8_t *at, uint8_t tag, slice_t v)
{
  bool ok = true, known = true;
  switch (tag) {
  case DER_UTF8:
  case DER_BMP:
  case DER_UNIVERSAL:
  case DER_PRINTABLE:
  case DER_T61: ok = dn_directory_string(tag, v); break;
  case DER_BITS: ok = der_bits_valid(v); break;
  case DER_IA5:
  case DER_NUMERIC: break;
  default: known = false;
  }
  if (known && ok) return;
  r->p = at;
  if (!known) der_fail(r, RC_SYNTAX, "dn_string_type", "has a value that is no string");
  else der_fail(r, RC_SYNTAX, "dn_string", "has a string that is not well formed in its type");
}

static void read_attribute(der_t *r, dn_t *dn)
{
  if (!der_enter(r, DER_SEQUENCE)) return;
  slice_t oid = der_oid(r);
  const uint8_t *at = r->p;
  uint8_t tag;
  slice_t v = der_any(r, &tag);
  der_leave(r);
  if (!der_ok(r)) return;
  check_string(r, at, tag, v);
  if (tag == DER_PRINTABLE && !printable_ok(v)) dn->bad_printable = true;
  if (oid_find(oid) == OID_CN && tag != DER_BITS) {
    dn->cn = v;
    dn->cn_tag = tag;
  }
  if (++dn->n > LIM_DN_ATTRIBUTES) der_fail(r, RC_FULL, "dn_attributes", "has too many attributes");
}

dn_t dn_read(der_t *r)
{
  dn_t dn = {0};
  const uint8_t *start = r->p;
  if (!der_enter(r, DER_SEQUENCE)) return dn;
  while (der_more(r)) {
    if (!der_enter(r, DER_SET)) return dn;
    slice_t set = slice_of(r->p, (size_t)(r->end - r->p));
    uint32_t before = dn.n;
    while (der_more(r)) read_attribute(r, &dn);
    if (dn.n == before) dn.empty_rdn = true;
    if (dn.n > before + 1) der_check_set(r, set);
    der_leave(r);
  }
  der_leave(r);
  if (der_ok(r)) dn.raw = slice_of(start, (size_t)(r->p - start));
  return dn;
}

bool dn_next(const dn_t *dn, dn_iter_t *it, dn_attr_t *ret)
{
  der_t *r = &it->r;
  if (!it->begun) {
    it->begun = true;
    der_init(r, dn->raw);
    if (!der_enter(r, DER_SEQUENCE)) return false;
  }
  bool joined = it->inside && der_more(r);
  while (!(it->inside && der_more(r))) { /* an RDN may be empty */
    if (it->inside) der_leave(r);
    it->inside = der_more(r) && der_enter(r, DER_SET);
    if (!it->inside) return false;
  }
  if (!der_enter(r, DER_SEQUENCE)) return false;
  dn_attr_t a = {.oid = der_oid(r), .joined = joined};
  const uint8_t *raw = r->p;
  a.value = der_any(r, &a.tag);
  a.raw = slice_of(raw, (size_t)(r->p - raw));
  der_leave(r);
  if (!der_ok(r)) return false;
  a.id = oid_find(a.oid);
  *ret = a;
  return true;
}

static void put_point(buf_t *b, uint32_t c)
{
  if (c < 0x80) {
    buf_byte(b, (uint8_t)c);
  } else if (c < 0x800) {
    buf_byte(b, (uint8_t)(0xc0 | c >> 6));
    buf_byte(b, (uint8_t)(0x80 | (c & 0x3f)));
  } else if (c < 0x10000) {
    buf_byte(b, (uint8_t)(0xe0 | c >> 12));
    buf_byte(b, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
    buf_byte(b, (uint8_t)(0x80 | (c & 0x3f)));
  } else {
    buf_byte(b, (uint8_t)(0xf0 | c >> 18));
    buf_byte(b, (uint8_t)(0x80 | (c >> 12 & 0x3f)));
    buf_byte(b, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
    buf_byte(b, (uint8_t)(0x80 | (c & 0x3f)));
  }
}

void dn_string(buf_t *b, uint8_t tag, slice_t v)
{
  size_t width = tag == DER_BMP ? 2 : tag == DER_UNIVERSAL ? 4 : 1;
  if (tag == DER_UTF8) {
    buf_put(b, v);
    return;
  }
  for (size_t i = 0; i + width <= v.n; i += width) {
    uint32_t c = 0;
    for (size_t k = 0; k < width; k++) c = c << 8 | v.p[i + k];
    put_point(b, c);
  }
}

rc_t dn_cn(arena_t *a, const dn_t *dn, slice_t *ret)
{
  bool ascii = true;
  for (size_t i = 0; i < dn->cn.n; i++) ascii = ascii && dn->cn.p[i] < 0x80;
  if (dn->cn_tag == DER_UTF8 || dn->cn.n == 0 || (ascii && dn->cn_tag != DER_BMP && dn->cn_tag != DER_UNIVERSAL)) {
    *ret = dn->cn; /* already UTF-8 */
    return rc(RC_OK);
  }
  buf_t b = buf_on(a, dn->cn.n * 4);
  dn_string(&b, dn->cn_tag, dn->cn);
  TRY(buf_rc(&b));
  *ret = buf_slice(&b);
  return rc(RC_OK);
}

/* Attribute types that RFC 4514 3 names, and the two that Go's printer adds and readers of the field expect. */
static const char *attr_keyword(oid_t id)
{
  switch (id) {
  case OID_CN: case OID_L: case OID_ST: case OID_O: case OID_OU: case OID_C:
  case OID_STREET: case OID_DC: case OID_UID: case OID_SERIAL_NUMBER: case OID_POSTAL_CODE:
    return oid_name(id);
  default: return NULL;
  }
}

static void put_hex(buf_t *b, slice_t v)
{
  for (size_t i = 0; i < v.n; i++) {
    char hex[3];
    hex_encode(slice_of(v.p + i, 1), hex);
    buf_puts(b, hex);
  }
}

/* RFC 4514 2.4: specials, a leading blank or "#", a trailing blank; controls as hex pairs. */
static void put_escaped(buf_t *b, slice_t v)
{
  for (size_t i = 0; i < v.n; i++) {
    uint8_t c = v.p[i];
    bool edge = (c == ' ' && (i == 0 || i + 1 == v.n)) || (c == '#' && i == 0);
    if (c < 0x20 || c == 0x7f) {
      buf_byte(b, '\\');
      put_hex(b, slice_of(&c, 1));
      continue;
    }
    if (edge || strchr(",+\"\\<>;", c)) buf_byte(b, '\\');
    buf_byte(b, c);
  }
}

static void put_attribute(buf_t *b, arena_t *a, const dn_attr_t *attr)
{
  const char *keyword = attr_keyword(attr->id);
  if (!keyword || attr->tag == DER_BITS) {
    oid_dotted(b, attr->oid);
    buf_puts(b, "=#");
    put_hex(b, attr->raw);
    return;
  }
  buf_t value = buf_on(a, attr->value.n * 4);
  dn_string(&value, attr->tag, attr->value);
  if (value.code != 0) b->code = value.code;
  buf_puts(b, keyword);
  buf_byte(b, '=');
  put_escaped(b, buf_slice(&value));
}

rc_t dn_text(arena_t *a, const dn_t *dn, slice_t *ret)
{
  dn_attr_t attrs[LIM_DN_ATTRIBUTES];
  size_t n = 0;
  dn_iter_t it = {0};
  while (n < COUNT_OF(attrs) && dn_next(dn, &it, &attrs[n])) n++;
  /* Longest growth: an unknown type, two hex digits an octet, and its dotted form. */
  buf_t b = buf_on(a, dn->raw.n * 12 + 16);
  for (size_t end = n; end > 0;) {
    size_t start = end - 1;
    while (start > 0 && attrs[start].joined) start--;
    if (end != n) buf_byte(&b, ',');
    for (size_t i = start; i < end; i++) {
      if (i > start) buf_byte(&b, '+');
      put_attribute(&b, a, &attrs[i]);
    }
    end = start;
  }
  TRY(buf_rc(&b));
  *ret = buf_slice(&b);
  return rc(RC_OK);
}
