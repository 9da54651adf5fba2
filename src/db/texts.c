#include "db/texts.h"

void texts_emit(buf_t *b, texts_t t)
{
  static const char hex[] = "0123456789abcdef";
  buf_byte(b, '[');
  for (size_t i = 0; i < t.n; i++) {
    buf_puts(b, i ? ",\"" : "\"");
    for (size_t k = 0; k < t.v[i].n; k++) {
      uint8_t c = t.v[i].p[k];
      if (c == '"' || c == '\\') {
        buf_byte(b, '\\');
        buf_byte(b, c);
      } else if (c < 0x20) {
        buf_puts(b, "\\u00");
        buf_byte(b, (uint8_t)hex[c >> 4]);
        buf_byte(b, (uint8_t)hex[c & 15]);
      } else {
        buf_byte(b, c);
      }
    }
    buf_byte(b, '"');
  }
  buf_byte(b, ']');
}

typedef struct cursor {
  const uint8_t *p, *end;
} cursor_t;

static void skip_blanks(cursor_t *c)
{
  while (c->p < c->end && (*c->p == ' ' || *c->p == '\t' || *c->p == '\n' || *c->p == '\r')) c->p++;
}

static bool take(cursor_t *c, uint8_t want)
{
  if (c->p == c->end || *c->p != want) return false;
  c->p++;
  return true;
}

static bool take_hex4(cursor_t *c, uint32_t *ret)
{
  uint32_t v = 0;
  for (int i = 0; i < 4; i++) {
    int h = c->p < c->end ? hex_digit(*c->p++) : -1;
    if (h < 0) return false;
    v = v << 4 | (uint32_t)h;
  }
  *ret = v;
  return true;
}

static size_t put_utf8(uint8_t *out, uint32_t v)
{
  if (v < 0x80) {
    out[0] = (uint8_t)v;
    return 1;
  }
  if (v < 0x800) {
    out[0] = (uint8_t)(0xc0 | v >> 6);
    out[1] = (uint8_t)(0x80 | (v & 63));
    return 2;
  }
  size_t n = v < 0x10000 ? 3 : 4;
  out[0] = n == 3 ? (uint8_t)(0xe0 | v >> 12) : (uint8_t)(0xf0 | v >> 18);
  for (size_t i = 1; i < n; i++) out[i] = (uint8_t)(0x80 | (v >> 6 * (n - 1 - i) & 63));
  return n;
}

/*
 * The character behind a backslash; a \u escape of six bytes never needs more than that as UTF-8. The second half of a
 * pair without its first becomes what no UTF-8 has, and is refused with the string.
 */
static size_t take_escape(cursor_t *c, uint8_t *out)
{
  static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
  if (c->p == c->end) return 0;
  uint8_t k = *c->p++;
  if (k != 'u') {
    const char *at = k ? strchr(from, k) : NULL;
    if (!at) return 0;
    out[0] = (uint8_t)to[at - from];
    return 1;
  }
  uint32_t v, low;
  if (!take_hex4(c, &v)) return 0;
  if (v >= 0xd800 && v < 0xdc00) {
    if (!take(c, '\\') || !take(c, 'u') || !take_hex4(c, &low) || low < 0xdc00 || low > 0xdfff) return 0;
    v = 0x10000 + ((v - 0xd800) << 10) + (low - 0xdc00);
  }
  return put_utf8(out, v);
}

/* One string into out, which has room for all that is left of the input. */
static rc_t take_string(cursor_t *c, uint8_t *out, slice_t *ret)
{
  size_t n = 0;
  if (!take(c, '"')) return rc(RC_SYNTAX);
  while (c->p < c->end && *c->p != '"') {
    uint8_t k = *c->p++;
    if (k < 0x20) return rc(RC_SYNTAX);
    if (k != '\\') {
      out[n++] = k;
      continue;
    }
    size_t m = take_escape(c, out + n);
    if (!m) return rc(RC_SYNTAX);
    n += m;
  }
  if (!take(c, '"')) return rc(RC_SYNTAX);
  *ret = slice_of(out, n);
  return slice_utf8(*ret) ? rc(RC_OK) : rc(RC_SYNTAX);
}

/* No JSON array has more elements than quotes / 2; escaped quotes only raise the bound. */
static size_t elements_most(slice_t s)
{
  size_t quotes = 0;
  for (size_t i = 0; i < s.n; i++) quotes += s.p[i] == '"';
  return quotes / 2;
}

rc_t texts_parse(slice_t s, arena_t *a, texts_t *ret)
{
  texts_t t = {NULL, 0};
  size_t most = elements_most(s);
  if (most > TEXTS_MAX) return rc(RC_FULL);
  slice_t *v = ARENA_ARRAY(a, slice_t, most + 1);
  uint8_t *out = arena_alloc(a, s.n + 1);
  if (!v || !out) return rc(RC_NOMEM);
  cursor_t c = {s.p, s.p + s.n};
  skip_blanks(&c);
  if (!take(&c, '[')) return rc(RC_SYNTAX);
  skip_blanks(&c);
  if (!take(&c, ']')) {
    do {
      skip_blanks(&c);
      TRY(take_string(&c, out, &v[t.n]));
      out += v[t.n++].n;
      skip_blanks(&c);
    } while (take(&c, ','));
    if (!take(&c, ']')) return rc(RC_SYNTAX);
  }
  skip_blanks(&c);
  if (c.p != c.end) return rc(RC_SYNTAX);
  t.v = v;
  *ret = t;
  return rc(RC_OK);
}
