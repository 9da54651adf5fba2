#include "conf/conf.h"

#include "base/check.h"

/* Units in nanoseconds; both spellings of micro: U+00B5 and U+03BC. */
static const struct {
  const char *name;
  int64_t ns;
} units[] = {
    {"ns", 1},        {"us", 1000},           {"\xc2\xb5s", 1000},      {"\xce\xbcs", 1000}, {"ms", 1000000},
    {"s", 1000000000}, {"m", 60 * 1000000000LL}, {"h", 3600 * 1000000000LL},
};

static size_t digits(slice_t s)
{
  size_t n = 0;
  while (n < s.n && ascii_is_digit(s.p[n])) n++;
  return n;
}

static bool is_number(uint8_t c) { return ascii_is_digit(c) || c == '.'; }

/* One unit at the start of s: its nanoseconds, 0 if unknown; *ret_n its length. */
static int64_t unit_find(slice_t s, size_t *ret_n)
{
  size_t n = 0;
  while (n < s.n && !is_number(s.p[n])) n++;
  *ret_n = n;
  for (size_t i = 0; i < COUNT_OF(units); i++)
    if (slice_is(slice_sub(s, 0, n), units[i].name)) return units[i].ns;
  return 0;
}

/* value * ns + fraction, where `fraction` holds decimal digits behind the point. */
static rc_t part(int64_t value, slice_t fraction, int64_t ns, int64_t *ret)
{
  int64_t whole, scale = ns, extra = 0;
  if (__builtin_mul_overflow(value, ns, &whole)) return rc(RC_FULL);
  for (size_t i = 0; i < fraction.n && scale >= 10; i++) {
    scale /= 10;
    extra += scale * (fraction.p[i] - '0');
  }
  return __builtin_add_overflow(whole, extra, ret) ? rc(RC_FULL) : rc(RC_OK);
}

/* One "<number><unit>" off the front of *s, in nanoseconds. */
static rc_t term(slice_t *s, int64_t *ret_ns)
{
  int64_t value = 0;
  size_t n = digits(*s), unit_len;
  slice_t fraction = {NULL, 0};
  if (n > 0) TRY(slice_i64(slice_sub(*s, 0, n), &value));
  *s = slice_sub(*s, n, s->n);
  if (s->n > 0 && s->p[0] == '.') {
    *s = slice_sub(*s, 1, s->n);
    fraction = slice_sub(*s, 0, digits(*s));
    *s = slice_sub(*s, fraction.n, s->n);
  }
  if (n == 0 && fraction.n == 0) return rc(RC_SYNTAX);
  int64_t ns = unit_find(*s, &unit_len);
  if (ns == 0) return rc(RC_SYNTAX);
  *s = slice_sub(*s, unit_len, s->n);
  return part(value, fraction, ns, ret_ns);
}

rc_t conf_duration(slice_t s, int64_t *ret_us)
{
  bool minus = s.n > 0 && s.p[0] == '-';
  if (s.n > 0 && (s.p[0] == '-' || s.p[0] == '+')) s = slice_sub(s, 1, s.n);
  if (slice_is(s, "0")) {
    *ret_us = 0;
    return rc(RC_OK);
  }
  if (s.n == 0) return rc(RC_SYNTAX);
  int64_t total = 0;
  while (s.n > 0) {
    int64_t ns;
    TRY(term(&s, &ns));
    if (__builtin_add_overflow(total, ns, &total)) return rc(RC_FULL);
  }
  *ret_us = (minus ? -total : total) / 1000;
  return rc(RC_OK);
}
