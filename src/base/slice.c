#include "base/slice.h"

int slice_cmp(slice_t a, slice_t b)
{
  size_t n = a.n < b.n ? a.n : b.n;
  int c = n ? memcmp(a.p, b.p, n) : 0;
  return c ? c : (a.n > b.n) - (a.n < b.n);
}

rc_t err_quote(err_t *e, int32_t code, const char *reason, const char *field, const char *text, slice_t value)
{
  err_set(e, code, reason, field, text);
  err_value(e, value.p, value.n);
  return rc(code);
}

bool slice_ieq(slice_t a, slice_t b)
{
  if (a.n != b.n) return false;
  for (size_t i = 0; i < a.n; i++)
    if (ascii_lower(a.p[i]) != ascii_lower(b.p[i])) return false;
  return true;
}

bool slice_starts(slice_t s, slice_t prefix) { return s.n >= prefix.n && slice_eq(slice_sub(s, 0, prefix.n), prefix); }

bool slice_ends(slice_t s, slice_t suffix)
{
  return s.n >= suffix.n && slice_eq(slice_sub(s, s.n - suffix.n, suffix.n), suffix);
}

slice_t slice_sub(slice_t s, size_t from, size_t n)
{
  if (from > s.n) from = s.n;
  size_t left = s.n - from;
  if (n > left) n = left;
  return (slice_t){s.p ? s.p + from : NULL, n};
}

size_t slice_find(slice_t s, uint8_t c)
{
  const uint8_t *at = s.n ? memchr(s.p, c, s.n) : NULL;
  return at ? (size_t)(at - s.p) : s.n;
}

slice_t slice_trim(slice_t s)
{
  while (s.n && (s.p[0] == ' ' || s.p[0] == '\t')) s = slice_sub(s, 1, s.n);
  while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t')) s.n--;
  return s;
}

bool slice_split(slice_t *rest, uint8_t sep, slice_t *ret_part)
{
  if (!rest->p) return false;
  size_t at = slice_find(*rest, sep);
  *ret_part = slice_sub(*rest, 0, at);
  *rest = at < rest->n ? slice_sub(*rest, at + 1, rest->n) : (slice_t){NULL, 0};
  return true;
}

rc_t slice_i64(slice_t s, int64_t *ret)
{
  int64_t v = 0;
  if (s.n == 0) return rc(RC_SYNTAX);
  for (size_t i = 0; i < s.n; i++) {
    if (s.p[i] < '0' || s.p[i] > '9') return rc(RC_SYNTAX);
    if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, s.p[i] - '0', &v)) return rc(RC_FULL);
  }
  *ret = v;
  return rc(RC_OK);
}

slice_t slice_from_i64(int64_t v, char out[I64_TEXT_MAX])
{
  bool minus = v < 0;
  size_t i = I64_TEXT_MAX;
  uint64_t u = minus ? 0 - (uint64_t)v : (uint64_t)v;
  do out[--i] = (char)('0' + u % 10);
  while (u /= 10);
  if (minus) out[--i] = '-';
  return slice_of(out + i, I64_TEXT_MAX - i);
}

/* Length of the well-formed sequence at s[i], or 0 (Unicode 15, table 3-7). */
static size_t utf8_step(slice_t s, size_t i)
{
  uint8_t c = s.p[i];
  if (c < 0x80) return 1;
  size_t n = c >= 0xc2 && c <= 0xdf ? 2 : (c & 0xf0) == 0xe0 ? 3 : c >= 0xf0 && c <= 0xf4 ? 4 : 0;
  if (n == 0 || i + n > s.n) return 0;
  uint8_t d = s.p[i + 1];
  uint8_t lo = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
  uint8_t hi = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
  if (d < lo || d > hi) return 0;
  for (size_t k = 2; k < n; k++)
    if ((s.p[i + k] & 0xc0) != 0x80) return 0;
  return n;
}

bool slice_utf8(slice_t s)
{
  for (size_t i = 0; i < s.n;) {
    size_t n = utf8_step(s, i);
    if (n == 0) return false;
    i += n;
  }
  return true;
}

size_t slice_utf8_len(slice_t s)
{
  size_t n = 0;
  for (size_t i = 0; i < s.n; i++) n += (s.p[i] & 0xc0) != 0x80;
  return n;
}

void hex_encode(slice_t s, char *out)
{
  static const char digit[] = "0123456789abcdef";
  for (size_t i = 0; i < s.n; i++) {
    out[2 * i] = digit[s.p[i] >> 4];
    out[2 * i + 1] = digit[s.p[i] & 15];
  }
  out[2 * s.n] = 0;
}

rc_t hex_decode(slice_t hex, uint8_t *out, size_t cap, size_t *ret_n)
{
  if (hex.n % 2) return rc(RC_SYNTAX);
  if (hex.n / 2 > cap) return rc(RC_FULL);
  for (size_t i = 0; i < hex.n; i++)
    if (hex_digit(hex.p[i]) < 0) return rc(RC_SYNTAX);
  for (size_t i = 0; i < hex.n / 2; i++) out[i] = (uint8_t)(hex_digit(hex.p[2 * i]) * 16 + hex_digit(hex.p[2 * i + 1]));
  *ret_n = hex.n / 2;
  return rc(RC_OK);
}
