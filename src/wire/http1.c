#include "wire/http1.h"

/* Classes of bytes (RFC 9110 5.6.2 and 5.5, RFC 3986 2 and 3.3). */
enum {
  C_TOKEN = 1,  /* tchar */
  C_VALUE = 2,  /* field content: VCHAR, blank, tab, obs-text */
  C_TARGET = 4, /* what may stand in a path or query; with the brackets of IPv6 hosts and of browsers' queries */
  C_HOST = 8,   /* reg-name, with the percent sign of an escape */
  C_HEX = 16,
  C_DIGIT = 32
};

#define ALNUM_DIGIT (C_TOKEN | C_VALUE | C_TARGET | C_HOST | C_HEX | C_DIGIT)
#define ALPHA_HEX (C_TOKEN | C_VALUE | C_TARGET | C_HOST | C_HEX)
#define ALPHA (C_TOKEN | C_VALUE | C_TARGET | C_HOST)

#define VALUE_8 C_VALUE, C_VALUE, C_VALUE, C_VALUE, C_VALUE, C_VALUE, C_VALUE, C_VALUE
#define VALUE_64 VALUE_8, VALUE_8, VALUE_8, VALUE_8, VALUE_8, VALUE_8, VALUE_8, VALUE_8

static const uint8_t classes[256] = {
  ['\t'] = C_VALUE, [' '] = C_VALUE,
  ['!'] = ALPHA, ['"'] = C_VALUE, ['#'] = C_TOKEN | C_VALUE, ['$'] = ALPHA, ['%'] = ALPHA, ['&'] = ALPHA, ['\''] = ALPHA,
  ['('] = C_VALUE | C_TARGET | C_HOST, [')'] = C_VALUE | C_TARGET | C_HOST, ['*'] = ALPHA, ['+'] = ALPHA,
  [','] = C_VALUE | C_TARGET | C_HOST, ['-'] = ALPHA, ['.'] = ALPHA, ['/'] = C_VALUE | C_TARGET,
  ['0'] = ALNUM_DIGIT, ['1'] = ALNUM_DIGIT, ['2'] = ALNUM_DIGIT, ['3'] = ALNUM_DIGIT, ['4'] = ALNUM_DIGIT,
  ['5'] = ALNUM_DIGIT, ['6'] = ALNUM_DIGIT, ['7'] = ALNUM_DIGIT, ['8'] = ALNUM_DIGIT, ['9'] = ALNUM_DIGIT,
  [':'] = C_VALUE | C_TARGET, [';'] = C_VALUE | C_TARGET | C_HOST, ['<'] = C_VALUE, ['='] = C_VALUE | C_TARGET | C_HOST,
  ['>'] = C_VALUE, ['?'] = C_VALUE | C_TARGET, ['@'] = C_VALUE | C_TARGET,
  ['A'] = ALPHA_HEX, ['B'] = ALPHA_HEX, ['C'] = ALPHA_HEX, ['D'] = ALPHA_HEX, ['E'] = ALPHA_HEX, ['F'] = ALPHA_HEX,
  ['G'] = ALPHA, ['H'] = ALPHA, ['I'] = ALPHA, ['J'] = ALPHA, ['K'] = ALPHA, ['L'] = ALPHA, ['M'] = ALPHA,
  ['N'] = ALPHA, ['O'] = ALPHA, ['P'] = ALPHA, ['Q'] = ALPHA, ['R'] = ALPHA, ['S'] = ALPHA, ['T'] = ALPHA,
  ['U'] = ALPHA, ['V'] = ALPHA, ['W'] = ALPHA, ['X'] = ALPHA, ['Y'] = ALPHA, ['Z'] = ALPHA,
  ['['] = C_VALUE | C_TARGET, ['\\'] = C_VALUE, [']'] = C_VALUE | C_TARGET, ['^'] = C_TOKEN | C_VALUE, ['_'] = ALPHA, ['`'] = C_TOKEN | C_VALUE,
  ['a'] = ALPHA_HEX, ['b'] = ALPHA_HEX, ['c'] = ALPHA_HEX, ['d'] = ALPHA_HEX, ['e'] = ALPHA_HEX, ['f'] = ALPHA_HEX,
  ['g'] = ALPHA, ['h'] = ALPHA, ['i'] = ALPHA, ['j'] = ALPHA, ['k'] = ALPHA, ['l'] = ALPHA, ['m'] = ALPHA,
  ['n'] = ALPHA, ['o'] = ALPHA, ['p'] = ALPHA, ['q'] = ALPHA, ['r'] = ALPHA, ['s'] = ALPHA, ['t'] = ALPHA,
  ['u'] = ALPHA, ['v'] = ALPHA, ['w'] = ALPHA, ['x'] = ALPHA, ['y'] = ALPHA, ['z'] = ALPHA,
  ['{'] = C_VALUE, ['|'] = C_TOKEN | C_VALUE, ['}'] = C_VALUE, ['~'] = ALPHA,
  [128] = VALUE_64, VALUE_64,
};

/* Everything that is refused, by name; `status` is what a server answers. */
typedef enum refusal {
  NOT_REFUSED,
  R_BARE_LF, R_BARE_CR, R_HEAD_LIMIT, R_FIELDS_LIMIT, R_TARGET_LIMIT, R_METHOD, R_METHOD_UNKNOWN, R_TARGET, R_VERSION,
  R_VERSION_UNKNOWN, R_FOLD, R_NAME, R_VALUE, R_HOST_ABSENT, R_HOST_TWICE, R_HOST, R_LENGTH, R_LENGTH_TWICE, R_CODING,
  R_CODING_UNKNOWN, R_CODING_OLD, R_CODING_LENGTH, R_EXPECT, R_STATUS, R_CHUNK_SIZE, R_CHUNK_LIMIT, R_CHUNK_END,
  R_CHUNK_EXTRA, R_BODY_LIMIT, R_COUNT
} refusal_t;

static const struct {
  const char *reason;
  int32_t code;
  int status;
  const char *text;
  int64_t limit; /* 0: none, or the caller's */
} refusals[R_COUNT] = {
  [R_BARE_LF] = {"http_bare_lf", RC_SYNTAX, 400, "a line must end with CR LF"},
  [R_BARE_CR] = {"http_bare_cr", RC_SYNTAX, 400, "CR must be followed by LF"},
  [R_HEAD_LIMIT] = {"http_head_limit", RC_FULL, 431, "message head is longer than {limit} bytes", LIM_HTTP_HEAD},
  [R_FIELDS_LIMIT] = {"http_fields_limit", RC_FULL, 431, "message has more than {limit} header fields", LIM_HTTP_HEADERS},
  [R_TARGET_LIMIT] = {"http_target_limit", RC_FULL, 414, "request target is longer than {limit} bytes", LIM_HTTP_TARGET},
  [R_METHOD] = {"http_method", RC_SYNTAX, 400, "method is not a token"},
  [R_METHOD_UNKNOWN] = {"http_method_unknown", RC_INVALID, 501, "method is not implemented"},
  [R_TARGET] = {"http_target", RC_SYNTAX, 400, "request target is not valid"},
  [R_VERSION] = {"http_version", RC_SYNTAX, 400, "protocol version is not valid"},
  [R_VERSION_UNKNOWN] = {"http_version_unknown", RC_INVALID, 505, "protocol version is not 1.0 or 1.1"},
  [R_FOLD] = {"http_fold", RC_SYNTAX, 400, "header field must not be folded"},
  [R_NAME] = {"http_field_name", RC_SYNTAX, 400, "header field name is not valid"},
  [R_VALUE] = {"http_field_value", RC_SYNTAX, 400, "header field value has a control character"},
  [R_HOST_ABSENT] = {"http_host_absent", RC_INVALID, 400, "Host is required"},
  [R_HOST_TWICE] = {"http_host_twice", RC_INVALID, 400, "Host must stand once"},
  [R_HOST] = {"http_host", RC_SYNTAX, 400, "Host is not valid"},
  [R_LENGTH] = {"http_length", RC_SYNTAX, 400, "Content-Length is not a number that can be used"},
  [R_LENGTH_TWICE] = {"http_length_twice", RC_INVALID, 400, "Content-Length must stand once"},
  [R_CODING] = {"http_coding", RC_INVALID, 400, "Transfer-Encoding must be chunked, once"},
  [R_CODING_UNKNOWN] = {"http_coding_unknown", RC_INVALID, 501, "transfer coding is not implemented"},
  [R_CODING_OLD] = {"http_coding_old", RC_INVALID, 400, "Transfer-Encoding is not part of HTTP/1.0"},
  [R_CODING_LENGTH] = {"http_coding_length", RC_INVALID, 400, "Transfer-Encoding and Content-Length exclude each other"},
  [R_EXPECT] = {"http_expect", RC_INVALID, 417, "expectation is not 100-continue"},
  [R_STATUS] = {"http_status_line", RC_SYNTAX, 400, "status line is not valid"},
  [R_CHUNK_SIZE] = {"http_chunk_size", RC_SYNTAX, 400, "chunk size is not valid"},
  [R_CHUNK_LIMIT] = {"http_chunk_limit", RC_FULL, 400, "chunk size is too large"},
  [R_CHUNK_END] = {"http_chunk_end", RC_SYNTAX, 400, "chunk must end with CR LF"},
  [R_CHUNK_EXTRA] = {"http_chunk_extra", RC_FULL, 400, "chunk extensions and trailers are longer than {limit} bytes",
                     LIM_HTTP_CHUNK_EXTRA},
  [R_BODY_LIMIT] = {"body_limit", RC_FULL, 413, "body is longer than {limit} bytes"},
};

static rc_t refuse(err_t *e, refusal_t r)
{
  return err_limit(e, refusals[r].code, refusals[r].reason, NULL, refusals[r].text, refusals[r].limit);
}

int http1_status(const err_t *e)
{
  for (size_t i = 1; e && e->reason && i < R_COUNT; i++) {
    if (refusals[i].reason == e->reason) return refusals[i].status;
  }
  return 400;
}

/* --- where the head ends --- */

#define ONES UINT64_C(0x0101010101010101)
#define HIGHS (0x80 * ONES)

/* High bit of each byte of w that is 0; above such a byte a byte of 1 may be marked too. */
static inline uint64_t zero_bytes(uint64_t w) { return (w - ONES) & ~w & HIGHS; }

/* CR LF CR LF with its first LF at k, which is at `from` or behind it; two more bytes are there. */
static bool ends_at(slice_t in, size_t k, size_t from)
{
  return in.p[k] == '\n' && in.p[k + 1] == '\r' && in.p[k + 2] == '\n' && k > from && in.p[k - 1] == '\r';
}

/*
 * Offset behind the first CR LF CR LF at or after `from`, or 0. Two LF with one byte between are looked for eight bytes
 * at a time.
 */
static size_t find_end(slice_t in, size_t from)
{
  size_t i = from;
  while (i + 8 <= in.n) {
    uint64_t w;
    memcpy(&w, in.p + i, 8);
    uint64_t lf = zero_bytes(w ^ '\n' * ONES);
    if (lf & lf >> 16) { /* in either byte order */
      for (size_t k = i; k < i + 6; k++)
        if (ends_at(in, k, from)) return k + 3;
    }
    i += 6;
  }
  for (; i + 3 <= in.n; i++)
    if (ends_at(in, i, from)) return i + 3;
  return 0;
}

/* Lines of a head that is not complete: each must end with CR LF, so that a peer with another idea hears of it now. */
static refusal_t check_lines(slice_t in, size_t at, size_t start)
{
  for (size_t i; (i = at + slice_find(slice_sub(in, at, in.n), '\n')) < in.n; at = i + 1) {
    if (i == 0 || in.p[i - 1] != '\r') return R_BARE_LF;
    if (i == start + 1) return R_METHOD; /* a second empty line before the request */
  }
  return NOT_REFUSED;
}

/*
 * Sets *ret_size behind the empty line, or to 0 while it has not come. A head that cannot fit is refused before it is
 * complete.
 */
static refusal_t head_end(slice_t in, size_t *scan, size_t start, size_t *ret_size)
{
  size_t from = *scan > start + 3 ? *scan - 3 : start, line = start + LIM_HTTP_TARGET + 64;
  *ret_size = find_end(in, from);
  size_t seen = *ret_size ? *ret_size : in.n;
  if (seen > line && !memchr(in.p + start, '\n', LIM_HTTP_TARGET + 64)) return R_TARGET_LIMIT;
  if (seen > LIM_HTTP_HEAD || (!*ret_size && seen == LIM_HTTP_HEAD)) return R_HEAD_LIMIT;
  refusal_t r = *ret_size ? NOT_REFUSED : check_lines(in, *scan > start ? *scan : start, start);
  *scan = *ret_size ? 0 : in.n;
  return r;
}

/* --- fields --- */

#define NAME_IS(s, lit) slice_ieq((s), S(lit))

static bool all_of(slice_t s, uint8_t class)
{
  for (size_t i = 0; i < s.n; i++)
    if (!(classes[s.p[i]] & class)) return false;
  return true;
}

/* uri-host [ ":" port ] (RFC 9110 7.2), not empty, no user part. */
static bool host_ok(slice_t h)
{
  bool literal = h.n && h.p[0] == '[';
  size_t end = slice_find(h, literal ? ']' : ':');
  slice_t port = slice_sub(h, literal ? end + 1 : end, h.n);
  if (literal) {
    if (end == h.n || end < 3) return false;
    for (size_t i = 1; i < end; i++)
      if (!(classes[h.p[i]] & C_HEX) && h.p[i] != ':' && h.p[i] != '.') return false;
  } else if (end == 0 || !all_of(slice_sub(h, 0, end), C_HOST)) {
    return false;
  }
  return port.n == 0 || (port.p[0] == ':' && port.n <= 6 && all_of(slice_sub(port, 1, port.n), C_DIGIT));
}

/* What the framing fields said so far. */
typedef struct framing {
  bool host, length, coding, te_chunked, te_other, close, keep;
} framing_t;

static refusal_t take_length(http1_head_t *h, slice_t v, framing_t *f)
{
  if (f->length) return R_LENGTH_TWICE;
  f->length = true;
  if (v.n == 0 || v.n > 18) return R_LENGTH; /* 18 digits cannot overflow; no real body needs more */
  int64_t n = 0;
  for (size_t i = 0; i < v.n; i++) {
    if (!(classes[v.p[i]] & C_DIGIT)) return R_LENGTH;
    n = n * 10 + (v.p[i] - '0');
  }
  h->content_length = n;
  return NOT_REFUSED;
}

/* chunked must be the last coding and stand once (RFC 9112 6.1); no other coding is implemented. */
static refusal_t take_coding(slice_t v, framing_t *f)
{
  slice_t part;
  f->coding = true;
  while (slice_split(&v, ',', &part)) {
    part = slice_trim(part);
    if (part.n == 0 || f->te_chunked) return R_CODING;
    if (NAME_IS(part, "chunked")) f->te_chunked = true;
    else f->te_other = true;
  }
  return NOT_REFUSED;
}

static void take_connection(slice_t v, framing_t *f)
{
  slice_t part;
  while (slice_split(&v, ',', &part)) {
    part = slice_trim(part);
    if (NAME_IS(part, "close")) f->close = true;
    if (NAME_IS(part, "keep-alive")) f->keep = true;
  }
}

/* Fields that decide where the message ends and whom it is for; chosen by length, then compared. */
static inline refusal_t take_field(http1_head_t *h, slice_t name, slice_t v, framing_t *f)
{
  switch (name.n) {
  case 4:
    if (!NAME_IS(name, "host")) break;
    if (f->host) return R_HOST_TWICE;
    f->host = true;
    if (!host_ok(v)) return R_HOST;
    h->host = v;
    break;
  case 6:
    if (!NAME_IS(name, "expect")) break;
    if (!NAME_IS(v, "100-continue")) return R_EXPECT;
    h->expect_continue = h->version == 11; /* RFC 9110 10.1.1: ignored in 1.0 */
    break;
  case 10:
    if (NAME_IS(name, "connection")) take_connection(v, f);
    break;
  case 14:
    if (NAME_IS(name, "content-length")) return take_length(h, v, f);
    break;
  case 17:
    if (NAME_IS(name, "transfer-encoding")) return take_coding(v, f);
    break;
  default:
    break;
  }
  return NOT_REFUSED;
}

/*
 * First byte at or after p that is no field content; eight at a time while there is neither control character nor DEL.
 */
static inline const uint8_t *skip_value(const uint8_t *p, const uint8_t *end)
{
  for (;;) {
    uint64_t w;
    while (end - p >= 8) {
      memcpy(&w, p, 8);
      if (((w - 0x20 * ONES) & ~w & HIGHS) | zero_bytes(w ^ 0x7f * ONES)) break;
      p += 8;
    }
    while (classes[*p] & C_VALUE) {
      if (*p++ == '\t') break; /* a tab stops the fast way only */
    }
    if (!(classes[*p] & C_VALUE)) return p;
  }
}

/* The lines from `p` to the empty line before `end`; every line is known to end with CR LF. */
static refusal_t parse_fields(const uint8_t *p, const uint8_t *end, http1_head_t *h, framing_t *f)
{
  const uint8_t *stop = end - 2;
  while (p < stop) {
    if (*p == ' ' || *p == '\t') return R_FOLD;
    const uint8_t *name = p;
    while (classes[*p] & C_TOKEN) p++;
    if (*p != ':' || p == name) return R_NAME;
    slice_t n = slice_of(name, (size_t)(p - name));
    p++;
    while (*p == ' ' || *p == '\t') p++;
    const uint8_t *value = p;
    p = skip_value(p, end);
    if (*p != '\r') return *p == '\n' ? R_BARE_LF : R_VALUE;
    if (p[1] != '\n') return R_BARE_CR;
    const uint8_t *last = p;
    while (last > value && (last[-1] == ' ' || last[-1] == '\t')) last--;
    slice_t v = slice_of(value, (size_t)(last - value));
    p += 2;
    if (h->nfields == LIM_HTTP_HEADERS) return R_FIELDS_LIMIT;
    h->fields[h->nfields++] = (http1_field_t){n, v};
    refusal_t r = take_field(h, n, v, f);
    if (r) return r;
  }
  return NOT_REFUSED;
}

/* What requests and responses have in common once all fields are read. */
static refusal_t settle(http1_head_t *h, const framing_t *f)
{
  if (f->coding) {
    if (h->version == 10) return R_CODING_OLD;
    if (f->length) return R_CODING_LENGTH;
    if (!f->te_chunked) return R_CODING;
    if (f->te_other) return R_CODING_UNKNOWN;
    h->chunked = true;
  }
  h->keep_alive = !f->close && (h->version == 11 || f->keep);
  return NOT_REFUSED;
}

static void head_init(http1_head_t *h, size_t size)
{
  /* All but the fields, one by one: cheaper than clearing the block. */
  h->size = size;
  h->version = h->status = 0;
  h->method = HTTP1_NONE;
  h->method_text = h->target = h->path = h->query = h->host = h->reason = (slice_t){NULL, 0};
  h->expect_continue = h->until_close = h->chunked = h->keep_alive = false;
  h->content_length = -1;
  h->nfields = 0;
}

/* --- request --- */

static const slice_t methods[] = {
  [HTTP1_NONE] = {(const uint8_t *)"", 0},         [HTTP1_GET] = {(const uint8_t *)"GET", 3},
  [HTTP1_HEAD] = {(const uint8_t *)"HEAD", 4},     [HTTP1_POST] = {(const uint8_t *)"POST", 4},
  [HTTP1_PUT] = {(const uint8_t *)"PUT", 3},       [HTTP1_DELETE] = {(const uint8_t *)"DELETE", 6},
  [HTTP1_PATCH] = {(const uint8_t *)"PATCH", 5},   [HTTP1_OPTIONS] = {(const uint8_t *)"OPTIONS", 7},
  [HTTP1_TRACE] = {(const uint8_t *)"TRACE", 5},
};

static http1_method_t method_of(slice_t m)
{
  for (int i = HTTP1_GET; i <= HTTP1_TRACE; i++) {
    if (slice_eq(m, methods[i])) return (http1_method_t)i;
  }
  return HTTP1_NONE;
}

const char *http1_method_name(http1_method_t m) { return m <= HTTP1_TRACE ? (const char *)methods[m].p : ""; }

/* origin-form, absolute-form of http(s), or the asterisk (RFC 9112 3.2); authority-form belongs to CONNECT alone. */
static refusal_t take_target(http1_head_t *h, slice_t *ret_authority)
{
  slice_t t = h->target;
  if (t.p[0] == '*') {
    if (t.n != 1 || h->method != HTTP1_OPTIONS) return R_TARGET;
    h->path = t;
    return NOT_REFUSED;
  }
  if (t.p[0] != '/') {
    size_t skip = NAME_IS(slice_sub(t, 0, 8), "https://") ? 8 : NAME_IS(slice_sub(t, 0, 7), "http://") ? 7 : 0;
    if (skip == 0) return R_TARGET;
    t = slice_sub(t, skip, t.n);
    size_t slash = slice_find(t, '/'), query = slice_find(t, '?'), end = slash < query ? slash : query;
    *ret_authority = slice_sub(t, 0, end);
    if (!host_ok(*ret_authority)) return R_TARGET;
    t = slice_sub(t, end, t.n);
    if (t.n == 0) {
      h->path = h->method == HTTP1_OPTIONS ? S("*") : S("/");
      return NOT_REFUSED;
    }
  }
  size_t q = slice_find(t, '?');
  h->path = q == 0 ? S("/") : slice_sub(t, 0, q);
  h->query = slice_sub(t, q + 1, t.n);
  return NOT_REFUSED;
}

/* "HTTP/" DIGIT "." DIGIT, case-sensitive; p has 8 readable bytes. */
static refusal_t take_version(const uint8_t *p, int *ret)
{
  if (memcmp(p, "HTTP/", 5) != 0 || !(classes[p[5]] & C_DIGIT) || p[6] != '.' || !(classes[p[7]] & C_DIGIT))
    return R_VERSION;
  int v = (p[5] - '0') * 10 + (p[7] - '0');
  if (v != 10 && v != 11) return R_VERSION_UNKNOWN;
  *ret = v;
  return NOT_REFUSED;
}

static refusal_t request_line(const uint8_t **pp, const uint8_t *end, http1_head_t *h, slice_t *ret_authority)
{
  const uint8_t *p = *pp, *from = p;
  while (classes[*p] & C_TOKEN) p++;
  if (p == from || *p != ' ') return R_METHOD;
  h->method_text = slice_of(from, (size_t)(p - from));
  from = ++p;
  while (classes[*p] & C_TARGET) p++;
  h->target = slice_of(from, (size_t)(p - from));
  if (h->target.n > LIM_HTTP_TARGET) return R_TARGET_LIMIT;
  if (h->target.n == 0 || *p != ' ') return R_TARGET;
  p++;
  if (end - p < 10 || p[8] != '\r' || p[9] != '\n') return R_VERSION;
  refusal_t r = take_version(p, &h->version);
  if (r) return r;
  *pp = p + 10;
  h->method = method_of(h->method_text);
  if (h->method == HTTP1_NONE) return R_METHOD_UNKNOWN;
  return take_target(h, ret_authority);
}

static refusal_t parse_request(slice_t in, size_t start, size_t size, http1_head_t *h)
{
  head_init(h, size);
  const uint8_t *p = in.p + start, *end = in.p + size;
  slice_t authority = {NULL, 0};
  framing_t f = {0};
  refusal_t r = request_line(&p, end, h, &authority);
  if (r) return r;
  r = parse_fields(p, end, h, &f);
  if (r) return r;
  if (!f.host && h->version == 11) return R_HOST_ABSENT;
  if (authority.n) h->host = authority; /* RFC 9112 3.2.2: the target wins over Host */
  return settle(h, &f);
}

rc_t http1_request(slice_t in, size_t *scan, http1_head_t *ret, err_t *e)
{
  size_t start = 0, size = 0;
  if (in.n && in.p[0] == '\r') {
    if (in.n < 2) return rc(RC_AGAIN);
    if (in.p[1] != '\n') return refuse(e, R_BARE_CR);
    start = 2;
  }
  refusal_t r = head_end(in, scan, start, &size);
  if (r) return refuse(e, r);
  if (size == 0) return rc(RC_AGAIN);
  r = parse_request(in, start, size, ret);
  return r ? refuse(e, r) : rc(RC_OK);
}

/* --- response --- */

/*
 * status-line = HTTP-version SP 3DIGIT SP [ reason ]; the second SP may be missing with the reason, as many servers do.
 */
static refusal_t status_line(const uint8_t **pp, const uint8_t *end, http1_head_t *h)
{
  const uint8_t *p = *pp;
  if (end - p < 14) return R_STATUS;
  refusal_t r = take_version(p, &h->version);
  if (r) return r;
  p += 8;
  if (p[0] != ' ' || p[1] < '1' || p[1] > '5' || !(classes[p[2]] & C_DIGIT) || !(classes[p[3]] & C_DIGIT))
    return R_STATUS;
  h->status = (p[1] - '0') * 100 + (p[2] - '0') * 10 + (p[3] - '0');
  p += 4;
  const uint8_t *from = p;
  if (*p == ' ') {
    from = ++p;
    while (classes[*p] & C_VALUE) p++;
  }
  if (p[0] != '\r' || p[1] != '\n') return R_STATUS;
  h->reason = slice_of(from, (size_t)(p - from));
  *pp = p + 2;
  return NOT_REFUSED;
}

rc_t http1_response(slice_t in, size_t *scan, http1_method_t request, http1_head_t *ret, err_t *e)
{
  size_t size = 0;
  refusal_t r = head_end(in, scan, 0, &size);
  if (r == R_TARGET_LIMIT) r = R_HEAD_LIMIT;
  if (r) return refuse(e, r);
  if (size == 0) return rc(RC_AGAIN);
  head_init(ret, size);
  const uint8_t *p = in.p, *end = in.p + size;
  framing_t f = {0};
  r = status_line(&p, end, ret);
  if (!r) r = parse_fields(p, end, ret, &f);
  if (!r) r = settle(ret, &f);
  if (r) return refuse(e, r);
  bool bodyless = request == HTTP1_HEAD || ret->status < 200 || ret->status == 204 || ret->status == 304;
  if (bodyless) {
    ret->content_length = 0;
    ret->chunked = false;
  } else if (!ret->chunked && ret->content_length < 0) {
    ret->until_close = true;
    ret->keep_alive = false;
  }
  return rc(RC_OK);
}

/* --- looking up --- */

bool http1_visible(slice_t s)
{
  for (size_t i = 0; i < s.n; i++)
    if (s.p[i] <= 0x20 || s.p[i] >= 0x7f) return false;
  return true;
}

slice_t http1_header(const http1_head_t *head, const char *name)
{
  slice_t want = slice_str(name);
  for (size_t i = 0; i < head->nfields; i++) {
    if (head->fields[i].name.n == want.n && slice_ieq(head->fields[i].name, want)) return head->fields[i].value;
  }
  return (slice_t){NULL, 0};
}

const char *http1_reason(int status)
{
  static const struct {
    int status;
    const char *text;
  } phrases[] = {
    {100, "Continue"}, {200, "OK"}, {201, "Created"}, {202, "Accepted"}, {204, "No Content"}, {206, "Partial Content"},
    {301, "Moved Permanently"}, {302, "Found"}, {303, "See Other"}, {304, "Not Modified"}, {307, "Temporary Redirect"},
    {308, "Permanent Redirect"}, {400, "Bad Request"}, {401, "Unauthorized"}, {403, "Forbidden"}, {404, "Not Found"},
    {405, "Method Not Allowed"}, {406, "Not Acceptable"}, {408, "Request Timeout"}, {409, "Conflict"}, {410, "Gone"},
    {411, "Length Required"}, {412, "Precondition Failed"}, {413, "Request Entity Too Large"}, {414, "URI Too Long"},
    {415, "Unsupported Media Type"}, {417, "Expectation Failed"}, {422, "Unprocessable Entity"}, {428, "Precondition Required"},
    {429, "Too Many Requests"}, {431, "Request Header Fields Too Large"}, {500, "Internal Server Error"},
    {501, "Not Implemented"}, {502, "Bad Gateway"}, {503, "Service Unavailable"}, {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
  };
  for (size_t i = 0; i < COUNT_OF(phrases); i++) {
    if (phrases[i].status == status) return phrases[i].text;
  }
  return "";
}

/* --- chunked body --- */

enum {
  CH_SIZE,        /* digits of a size; at least one */
  CH_EXT,         /* behind ';' */
  CH_SIZE_LF,     /* LF of the size line */
  CH_DATA,
  CH_DATA_CR,
  CH_DATA_LF,
  CH_LINE,        /* start of a trailer line, or of the last empty line */
  CH_NAME,
  CH_VALUE,
  CH_VALUE_LF,
  CH_LAST_LF,
  CH_DONE,
  CH_REFUSED
};

/* Steps of one byte outside the data; no blank is allowed around a size, and an extension has no control character. */
static refusal_t chunk_step(http1_chunks_t *c, uint8_t b)
{
  switch (c->state) {
  case CH_SIZE:
    if (classes[b] & C_HEX) {
      if (c->digits == 15) return R_CHUNK_LIMIT; /* 60 bits, leading zeros counted */
      c->digits++;
      c->left = c->left << 4 | (uint64_t)(b <= '9' ? b - '0' : (b | 0x20) - 'a' + 10);
      return NOT_REFUSED;
    }
    if (c->digits == 0) return R_CHUNK_SIZE;
    if (b == '\r') c->state = CH_SIZE_LF;
    else if (b == ';') c->state = CH_EXT;
    else return R_CHUNK_SIZE;
    return NOT_REFUSED;
  case CH_EXT:
    if (b == '\r') c->state = CH_SIZE_LF;
    else if (!(classes[b] & C_VALUE)) return R_CHUNK_SIZE;
    else if (++c->extra > LIM_HTTP_CHUNK_EXTRA) return R_CHUNK_EXTRA;
    return NOT_REFUSED;
  case CH_SIZE_LF:
    if (b != '\n') return R_CHUNK_SIZE;
    c->digits = 0;
    c->state = c->left ? CH_DATA : CH_LINE;
    return NOT_REFUSED;
  case CH_DATA_CR:
    c->state = CH_DATA_LF;
    return b == '\r' ? NOT_REFUSED : R_CHUNK_END;
  case CH_DATA_LF:
    c->state = CH_SIZE;
    return b == '\n' ? NOT_REFUSED : R_CHUNK_END;
  default:
    return R_CHUNK_SIZE;
  }
}

static refusal_t trailer_step(http1_chunks_t *c, uint8_t b)
{
  if (++c->extra > LIM_HTTP_CHUNK_EXTRA) return R_CHUNK_EXTRA;
  switch (c->state) {
  case CH_LINE:
    if (b == '\r') c->state = CH_LAST_LF;
    else if (b == ' ' || b == '\t') return R_FOLD;
    else if (classes[b] & C_TOKEN) c->state = CH_NAME;
    else return R_NAME;
    return NOT_REFUSED;
  case CH_NAME:
    if (b == ':') c->state = CH_VALUE;
    else if (!(classes[b] & C_TOKEN)) return R_NAME;
    return NOT_REFUSED;
  case CH_VALUE:
    if (b == '\r') c->state = CH_VALUE_LF;
    else if (!(classes[b] & C_VALUE)) return R_VALUE;
    return NOT_REFUSED;
  case CH_VALUE_LF:
    c->state = CH_LINE;
    return b == '\n' ? NOT_REFUSED : R_BARE_CR;
  default: /* CH_LAST_LF */
    c->state = CH_DONE;
    return b == '\n' ? NOT_REFUSED : R_BARE_CR;
  }
}

rc_t http1_chunks_feed(http1_chunks_t *c, slice_t *in, buf_t *body, err_t *e)
{
  if (c->state == CH_REFUSED) return refuse(e, R_CHUNK_SIZE);
  while (in->n && c->state != CH_DONE) {
    size_t took = 1;
    refusal_t r = NOT_REFUSED;
    if (c->state == CH_DATA) {
      took = in->n < c->left ? in->n : (size_t)c->left;
      buf_put(body, slice_sub(*in, 0, took));
      TRY(buf_rc(body));
      c->left -= took;
      if (c->left == 0) c->state = CH_DATA_CR;
    } else {
      r = c->state >= CH_LINE ? trailer_step(c, in->p[0]) : chunk_step(c, in->p[0]);
      if (c->state == CH_DATA && c->left > body->cap - body->n) r = R_BODY_LIMIT; /* known from its size alone */
    }
    if (r) {
      c->state = CH_REFUSED;
      return r == R_BODY_LIMIT ? err_limit(e, RC_FULL, refusals[r].reason, NULL, refusals[r].text,
                                           (int64_t)body->cap) : refuse(e, r);
    }
    *in = slice_sub(*in, took, in->n - took);
  }
  return rc(c->state == CH_DONE ? RC_OK : RC_AGAIN);
}
