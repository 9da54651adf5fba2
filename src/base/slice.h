/*
 * slice_t: a read-only view of bytes, passed by value; owns nothing. Text is
 * UTF-8 in a slice; NUL-terminated text exists only at libc's edges.
 */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include "base/rc.h"

#include <string.h>

typedef struct slice {
  const uint8_t *p;
  size_t n;
} slice_t;

/* A slice of a string literal. */
#define S(lit) ((slice_t){(const uint8_t *)("" lit), sizeof(lit) - 1})

/* For printf("%.*s", SLICE_ARG(s)). */
#define SLICE_ARG(s) ((int)(s).n), ((const char *)(s).p)

static inline slice_t slice_of(const void *p, size_t n) { return (slice_t){(const uint8_t *)p, n}; }
static inline slice_t slice_str(const char *s) { return s ? slice_of(s, strlen(s)) : (slice_t){NULL, 0}; }
static inline bool slice_eq(slice_t a, slice_t b) { return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0); }
static inline bool slice_is(slice_t a, const char *s) { return slice_eq(a, slice_str(s)); }

/* err_set with the offending value, as err_value cuts it. Returns rc(code). */
rc_t err_quote(err_t *e, int32_t code, const char *reason, const char *field, const char *text, slice_t value);

/* ASCII, whatever the locale. */
static inline bool ascii_is_digit(uint8_t c) { return c >= '0' && c <= '9'; }
static inline bool ascii_is_alpha(uint8_t c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }
static inline bool ascii_is_alnum(uint8_t c) { return ascii_is_digit(c) || ascii_is_alpha(c); }
static inline uint8_t ascii_lower(uint8_t c) { return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c; }

/* Value of a hex digit of either case; -1 for anything else. */
static inline int hex_digit(uint8_t c)
{
  if (ascii_is_digit(c)) return c - '0';
  c = ascii_lower(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Little-endian numbers of n octets, 1 to 8. */
static inline void le_put(uint8_t *p, uint64_t v, size_t n)
{
  for (size_t i = 0; i < n; i++) p[i] = (uint8_t)(v >> (8 * i));
}
static inline uint64_t le_get(const uint8_t *p, size_t n)
{
  uint64_t v = 0;
  for (size_t i = n; i > 0; i--) v = v << 8 | p[i - 1];
  return v;
}

/* Byte-wise order, shorter first on a tie: <0, 0, >0. */
int slice_cmp(slice_t a, slice_t b);

/* ASCII case folded compare. Not for secrets. */
bool slice_ieq(slice_t a, slice_t b);

bool slice_starts(slice_t s, slice_t prefix);
bool slice_ends(slice_t s, slice_t suffix);

/* Bytes from..from+n, cut to what is there. */
slice_t slice_sub(slice_t s, size_t from, size_t n);

/* Index of byte c, or s.n if absent. */
size_t slice_find(slice_t s, uint8_t c);

/* Without leading and trailing blanks and tabs. */
slice_t slice_trim(slice_t s);

/*
 * Splits off the part of *rest before `sep` into *ret_part and moves *rest
 * behind it. False when *rest was exhausted (p == NULL); an empty slice is one
 * empty part.
 */
bool slice_split(slice_t *rest, uint8_t sep, slice_t *ret_part);

/* Digits only, no sign, no blanks. RC_SYNTAX, or RC_FULL above INT64_MAX. */
MUST rc_t slice_i64(slice_t s, int64_t *ret);

enum { I64_TEXT_MAX = 20 };

/* Decimal of v, without printf; the slice lies in `out`. */
slice_t slice_from_i64(int64_t v, char out[I64_TEXT_MAX]);

/* True if s is well-formed UTF-8 (no surrogates, no overlong forms). */
bool slice_utf8(slice_t s);

/* Number of code points of well-formed UTF-8. */
size_t slice_utf8_len(slice_t s);

/* Lower-case hex of s into out[2 * s.n + 1], terminated. */
void hex_encode(slice_t s, char *out);

/* Either case; RC_SYNTAX on an odd length or other characters, RC_FULL above cap. */
MUST rc_t hex_decode(slice_t hex, uint8_t *out, size_t cap, size_t *ret_n);

#endif
