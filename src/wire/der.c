#include "wire/der.h"

void der_init(der_t *r, slice_t in)
{
  r->p = r->base = in.p;
  r->end = in.n ? in.p + in.n : in.p;
  r->field = NULL;
  r->code = 0;
  r->reason = r->text = NULL;
  r->offset = 0;
  r->depth = 0;
}

void der_fail(der_t *r, int32_t code, const char *reason, const char *text)
{
  if (r->code != 0) return;
  r->code = code;
  r->reason = reason;
  r->text = text;
  r->offset = r->p ? (size_t)(r->p - r->base) : 0;
  r->p = r->end; /* der_more is false from here on */
}

static void syntax(der_t *r, const char *reason, const char *text)
{
  der_fail(r, RC_SYNTAX, reason, text);
}

typedef struct header {
  uint8_t tag;
  const uint8_t *body;
  size_t n;
} header_t;

/* Long form of a length (X.690 8.1.3.5 and 10.1): minimal, at most three octets. */
static bool long_length(der_t *r, header_t *h)
{
  const uint8_t *p = r->p + 1;
  size_t left = (size_t)(r->end - p) - 1;
  unsigned octets = *p & 0x7fu;
  if (octets == 0) return syntax(r, "der_indefinite_length", "has an indefinite length"), false;
  if (octets > left) return syntax(r, "der_truncated", "is cut off"), false;
  size_t n = 0;
  for (unsigned i = 1; i <= octets && i <= 3; i++) n = n << 8 | p[i];
  if (p[1] == 0 || n < 0x80) return syntax(r, "der_length_not_minimal", "has a length that is not minimal"), false;
  /* 16 MiB is above every input cap, so a longer length cannot be satisfied. */
  if (octets > 3) return syntax(r, "der_truncated", "is cut off"), false;
  h->body = p + 1 + octets;
  h->n = n;
  return true;
}

/* Reads one header and moves nothing. */
static bool header(der_t *r, header_t *h)
{
  if (r->code != 0) return false;
  size_t left = (size_t)(r->end - r->p);
  if (left < 2) return syntax(r, left ? "der_truncated" : "der_missing", left ? "is cut off" : "is missing"), false;
  h->tag = r->p[0];
  if ((h->tag & 0x1f) == 0x1f) return syntax(r, "der_high_tag", "has a tag number above 30"), false;
  if (r->p[1] < 0x80) {
    h->n = r->p[1];
    h->body = r->p + 2;
  } else if (!long_length(r, h)) {
    return false;
  }
  if (h->n > (size_t)(r->end - h->body)) return syntax(r, "der_truncated", "is cut off"), false;
  return true;
}

static bool expect(der_t *r, uint8_t tag, header_t *h)
{
  if (!header(r, h)) return false;
  if (h->tag != tag) return syntax(r, "der_tag", "has an unexpected tag"), false;
  return true;
}

static bool push(der_t *r, const uint8_t *body, const uint8_t *end)
{
  if (r->depth == LIM_DER_DEPTH) return der_fail(r, RC_FULL, "der_depth", "is nested too deep"), false;
  r->ends[r->depth++] = r->end;
  r->p = body;
  r->end = end;
  return true;
}

bool der_enter(der_t *r, uint8_t tag)
{
  header_t h;
  return expect(r, tag, &h) && push(r, h.body, h.body + h.n);
}

void der_leave(der_t *r)
{
  if (r->code != 0) return;
  if (r->p != r->end) syntax(r, "der_trailing", "has trailing bytes");
  else r->end = r->ends[--r->depth];
}

slice_t der_get(der_t *r, uint8_t tag)
{
  header_t h;
  if (!expect(r, tag, &h)) return (slice_t){NULL, 0};
  r->p = h.body + h.n;
  return slice_of(h.body, h.n);
}

slice_t der_raw(der_t *r, uint8_t tag)
{
  header_t h;
  if (!(tag ? expect(r, tag, &h) : header(r, &h))) return (slice_t){NULL, 0};
  const uint8_t *start = r->p;
  r->p = h.body + h.n;
  return slice_of(start, (size_t)(r->p - start));
}

slice_t der_any(der_t *r, uint8_t *ret_tag)
{
  header_t h;
  if (!header(r, &h)) {
    *ret_tag = 0;
    return (slice_t){NULL, 0};
  }
  *ret_tag = h.tag;
  r->p = h.body + h.n;
  return slice_of(h.body, h.n);
}

/* The value at `at`, which was read whole, breaks a rule of its type. Returns nothing, for `return`. */
static slice_t refuse(der_t *r, const uint8_t *at, int32_t code, const char *reason, const char *text)
{
  if (r->code == 0) r->p = at;
  der_fail(r, code, reason, text);
  return (slice_t){NULL, 0};
}

/* X.690 8.3.2: the first nine bits are not all alike. */
static const char *integer_fault(slice_t v)
{
  if (v.n == 0) return "der_integer_empty";
  if (v.n > 1 && ((v.p[0] == 0 && v.p[1] < 0x80) || (v.p[0] == 0xff && v.p[1] >= 0x80)))
    return "der_integer_not_minimal";
  return NULL;
}

slice_t der_integer(der_t *r)
{
  const uint8_t *at = r->p;
  slice_t v = der_get(r, DER_INTEGER);
  if (r->code != 0) return v;
  const char *fault = integer_fault(v);
  if (!fault) return v;
  return refuse(r, at, RC_SYNTAX, fault, v.n ? "is an integer that is not minimal" : "is an integer without content");
}

slice_t der_unsigned(der_t *r)
{
  const uint8_t *at = r->p;
  slice_t v = der_integer(r);
  if (!v.p) return v;
  if (v.p[0] >= 0x80) return refuse(r, at, RC_INVALID, "der_integer_negative", "is negative");
  return v.n > 1 && v.p[0] == 0 ? slice_of(v.p + 1, v.n - 1) : v;
}

uint32_t der_small(der_t *r, uint32_t max)
{
  const uint8_t *at = r->p;
  slice_t v = der_unsigned(r);
  if (r->code != 0) return 0;
  uint32_t n = 0;
  for (size_t i = 0; i < v.n; i++) n = n << 8 | v.p[i];
  if (v.n <= sizeof n && n <= max) return n;
  (void)refuse(r, at, RC_INVALID, "der_integer_range", "is out of range");
  return 0;
}

bool der_bool(der_t *r)
{
  const uint8_t *at = r->p;
  slice_t v = der_get(r, DER_BOOLEAN);
  if (r->code != 0) return false;
  if (v.n == 1 && (v.p[0] == 0 || v.p[0] == 0xff)) return v.p[0] != 0;
  (void)refuse(r, at, RC_SYNTAX, "der_boolean", "is a boolean other than 00 and FF");
  return false;
}

bool der_oid_valid(slice_t v)
{
  if (v.n == 0 || v.p[v.n - 1] >= 0x80) return false;
  bool first = true; /* of a component: 80 there would be padding (X.690 8.19.2) */
  for (size_t i = 0; i < v.n; i++) {
    if (first && v.p[i] == 0x80) return false;
    first = v.p[i] < 0x80;
  }
  return true;
}

slice_t der_oid(der_t *r)
{
  const uint8_t *at = r->p;
  slice_t v = der_get(r, DER_OID);
  if (r->code != 0 || der_oid_valid(v)) return v;
  return refuse(r, at, RC_SYNTAX, "der_oid", "is a malformed object identifier");
}

/* X.690 8.6.2.2, 11.2.1: count of unused bits at most 7, none without octets, and those bits zero. */
bool der_bits_valid(slice_t v)
{
  if (v.n == 0 || v.p[0] > 7) return false;
  if (v.n == 1) return v.p[0] == 0;
  return (v.p[v.n - 1] & ((1u << v.p[0]) - 1)) == 0;
}

slice_t der_bits(der_t *r, unsigned *ret_unused)
{
  const uint8_t *at = r->p;
  slice_t v = der_get(r, DER_BITS);
  if (r->code != 0) return v;
  if (!der_bits_valid(v) || (!ret_unused && v.p[0] != 0))
    return refuse(r, at, RC_SYNTAX, "der_bits", "is a bit string with wrong padding");
  if (ret_unused) *ret_unused = v.p[0];
  return slice_of(v.p + 1, v.n - 1);
}

static int two(const uint8_t *p) { return (p[0] - '0') * 10 + (p[1] - '0'); }

static bool time_parse(uint8_t tag, slice_t v, us_t *ret)
{
  size_t year_n = tag == DER_UTC_TIME ? 2 : 4;
  if (v.n != year_n + 11 || v.p[v.n - 1] != 'Z') return false;
  for (size_t i = 0; i + 1 < v.n; i++)
    if (v.p[i] < '0' || v.p[i] > '9') return false;
  const uint8_t *p = v.p + year_n;
  int yy = two(v.p);
  civil_t c = {.month = two(p), .day = two(p + 2), .hour = two(p + 4), .minute = two(p + 6), .second = two(p + 8)};
  c.year = tag == DER_UTC_TIME ? (yy < 50 ? 2000 + yy : 1900 + yy) : yy * 100 + two(v.p + 2);
  return rc_ok(civil_to_us(&c, ret));
}

us_t der_time(der_t *r, uint8_t *ret_tag)
{
  const uint8_t *at = r->p;
  us_t t = {0};
  uint8_t tag;
  slice_t v = der_any(r, &tag);
  if (r->code != 0) return t;
  if (tag != DER_UTC_TIME && tag != DER_GENERALIZED_TIME) {
    (void)refuse(r, at, RC_SYNTAX, "der_tag", "has an unexpected tag");
  } else if (!time_parse(tag, v, &t)) {
    (void)refuse(r, at, RC_SYNTAX, "der_time", "is not a time as RFC 5280 4.1.2.5 wants it");
  } else if (ret_tag) {
    *ret_tag = tag;
  }
  return t;
}

/* X.690 11.6 pads the shorter value with zeros; none is the beginning of another, so that the padding never counts. */
void der_check_set(der_t *r, slice_t set)
{
  der_t in;
  slice_t last = {NULL, 0};
  der_init(&in, set);
  while (der_more(&in)) {
    slice_t one = der_raw(&in, 0);
    if (!der_ok(&in)) break;
    if (last.p && slice_cmp(last, one) > 0) {
      syntax(r, "der_set_order", "is a SET OF that is not sorted");
      return;
    }
    last = one;
  }
  if (!der_ok(&in)) syntax(r, in.reason, in.text);
}

rc_t der_end(der_t *r, err_t *e)
{
  if (r->code == 0 && r->p != r->end) syntax(r, "der_trailing", "has trailing bytes");
  if (r->code == 0) return rc(RC_OK);
  rc_t failed = err_set(e, r->code, r->reason, r->field, r->text);
  if (e) e->offset = r->offset;
  return failed;
}

/* Universal types that X.509 structures use: bit i is type number i. Not EXTERNAL, REAL, EMBEDDED PDV and the like. */
enum { TYPES_KNOWN = 0x5fdf147e };

/* One primitive value of any type: what its tag says about its content. */
static void check_value(der_t *r)
{
  const uint8_t *at = r->p;
  uint8_t tag = der_peek(r);
  unsigned unused;
  slice_t v;
  switch (tag) {
  case DER_BOOLEAN: (void)der_bool(r); return;
  case DER_INTEGER: (void)der_integer(r); return;
  case DER_NULL:
    if (der_any(r, &tag).n) (void)refuse(r, at, RC_SYNTAX, "der_null", "is a NULL with content");
    return;
  case DER_OID: (void)der_oid(r); return;
  case DER_BITS: (void)der_bits(r, &unused); return;
  case DER_UTC_TIME:
  case DER_GENERALIZED_TIME: (void)der_time(r, NULL); return;
  default: v = der_any(r, &tag); break;
  }
  size_t width = tag == DER_BMP ? 2 : tag == DER_UNIVERSAL ? 4 : 1;
  if (v.n % width)
    (void)refuse(r, at, RC_SYNTAX, "der_string", "is a string whose length is no multiple of its characters");
  if (tag == DER_ENUMERATED && integer_fault(v))
    (void)refuse(r, at, RC_SYNTAX, "der_integer_not_minimal", "is an enumeration that is not minimal");
}

/* X.690 8.9.1, 8.11.1, 10.2: SEQUENCE and SET are constructed, all else of the universal class is primitive. */
static bool check_form(der_t *r, uint8_t tag)
{
  bool cons = (tag & 0x20) != 0, must = (tag | 0x20) == DER_SEQUENCE || (tag | 0x20) == DER_SET;
  if (tag & 0xc0) return true;
  if (!(TYPES_KNOWN >> (tag & 0x1f) & 1)) syntax(r, "der_type", "is of a type that certificates do not use");
  else if (cons != must) syntax(r, "der_form", "is constructed where it must be primitive, or the reverse");
  return r->code == 0;
}

rc_t der_check(slice_t in, err_t *e)
{
  der_t r;
  der_init(&r, in);
  for (;;) {
    while (der_ok(&r) && r.depth > 0 && !der_more(&r)) der_leave(&r);
    if (!der_more(&r)) return der_end(&r, e);
    uint8_t tag = der_peek(&r);
    if (!check_form(&r, tag)) continue;
    if (tag & 0x20) (void)der_enter(&r, tag);
    else check_value(&r);
  }
}

/* Writing */

size_t der_open(buf_t *b, uint8_t tag)
{
  size_t mark = b->n;
  uint8_t *p = buf_grow(b, 2);
  if (p) p[0] = tag;
  return mark;
}

/* Octets that the long form of length n needs after its first one; 0: short form. */
static size_t length_octets(size_t n)
{
  return n < 0x80 ? 0 : n <= 0xff ? 1 : n <= 0xffff ? 2 : n <= 0xffffff ? 3 : 4;
}

static void length_write(uint8_t *p, size_t n, size_t octets)
{
  if (octets == 0) {
    *p = (uint8_t)n;
    return;
  }
  *p++ = (uint8_t)(0x80 | octets);
  for (size_t i = octets; i-- > 0;) *p++ = (uint8_t)(n >> (8 * i));
}

void der_close(buf_t *b, size_t mark)
{
  if (b->code != 0) return;
  size_t n = b->n - mark - 2, octets = length_octets(n);
  if (octets) {
    if (!buf_grow(b, octets)) return;
    memmove(b->p + mark + 2 + octets, b->p + mark + 2, n);
  }
  length_write(b->p + mark + 1, n, octets);
}

/* Header and room for n bytes of content; NULL when it does not fit. */
static uint8_t *put_header(buf_t *b, uint8_t tag, size_t n)
{
  size_t octets = length_octets(n);
  uint8_t *p = buf_grow(b, 2 + octets + n);
  if (!p) return NULL;
  p[0] = tag;
  length_write(p + 1, n, octets);
  return p + 2 + octets;
}

void der_put(buf_t *b, uint8_t tag, slice_t content)
{
  uint8_t *p = put_header(b, tag, content.n);
  if (p && content.n) memcpy(p, content.p, content.n);
}

void der_put_unsigned(buf_t *b, slice_t v)
{
  while (v.n && v.p[0] == 0) v = slice_of(v.p + 1, v.n - 1);
  if (v.n == 0) v = S("\0");
  size_t sign = v.p[0] >> 7;
  uint8_t *p = put_header(b, DER_INTEGER, v.n + sign);
  if (!p) return;
  p[0] = 0;
  memcpy(p + sign, v.p, v.n);
}

void der_put_int(buf_t *b, int64_t v)
{
  uint8_t be[8];
  for (unsigned i = 0; i < 8; i++) be[i] = (uint8_t)((uint64_t)v >> (56 - 8 * i));
  size_t skip = 0;
  while (skip < 7 && ((be[skip] == 0 && be[skip + 1] < 0x80) || (be[skip] == 0xff && be[skip + 1] >= 0x80))) skip++;
  der_put(b, DER_INTEGER, slice_of(be + skip, 8 - skip));
}

void der_put_bits(buf_t *b, slice_t octets, unsigned unused)
{
  uint8_t *p = put_header(b, DER_BITS, octets.n + 1);
  if (!p) return;
  p[0] = (uint8_t)unused;
  if (octets.n) memcpy(p + 1, octets.p, octets.n);
}

void der_put_named_bits(buf_t *b, uint32_t bits)
{
  uint8_t out[4] = {0};
  unsigned used = 0;
  for (unsigned i = 0; i < 32; i++)
    if (bits >> i & 1u) {
      out[i / 8] |= (uint8_t)(0x80u >> (i % 8));
      used = i + 1;
    }
  size_t n = (used + 7) / 8;
  der_put_bits(b, slice_of(out, n), (unsigned)(n * 8) - used);
}

void der_put_bool(buf_t *b, bool v) { der_put(b, DER_BOOLEAN, v ? S("\xff") : S("\0")); }

void der_put_null(buf_t *b) { der_put(b, DER_NULL, (slice_t){NULL, 0}); }

static uint8_t *digits(uint8_t *p, int v, int n)
{
  for (int i = n; i-- > 0; v /= 10) p[i] = (uint8_t)('0' + v % 10);
  return p + n;
}

void der_put_time(buf_t *b, us_t t)
{
  civil_t c = civil_from_us(t);
  bool utc = c.year >= 1950 && c.year < 2050;
  uint8_t *p = put_header(b, utc ? DER_UTC_TIME : DER_GENERALIZED_TIME, utc ? 13 : 15);
  if (!p) return;
  p = utc ? digits(p, c.year % 100, 2) : digits(p, c.year, 4);
  p = digits(p, c.month, 2);
  p = digits(p, c.day, 2);
  p = digits(p, c.hour, 2);
  p = digits(p, c.minute, 2);
  p = digits(p, c.second, 2);
  *p = 'Z';
}
