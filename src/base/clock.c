#include "base/clock.h"

#include "base/check.h"

#include <time.h>

static int64_t now_us(clockid_t which)
{
  struct timespec ts;
  CHECK(clock_gettime(which, &ts) == 0);
  return (int64_t)ts.tv_sec * US_PER_S + ts.tv_nsec / 1000;
}

static us_t system_wall(void *self) { return (us_t){now_us(CLOCK_REALTIME)}; }
static int64_t system_mono(void *self) { return now_us(CLOCK_MONOTONIC); }

const timesrc_t timesrc_system = {system_wall, system_mono, NULL};

/*
 * Days since 1970-01-01 and back by counting 400-year eras of 146,097 days from
 * 1 March of year 0, so that the leap day is the last of a year.
 */
static int64_t days_from_civil(int64_t y, int m, int d)
{
  y -= m <= 2;
  int64_t era = y / 400;
  int64_t yoe = y % 400;
  int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
  int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
  return era * 146097 + doe - 719468;
}

static int64_t floor_div(int64_t v, int64_t by) { return v / by - (v % by < 0); }
static int64_t floor_mod(int64_t v, int64_t by) { return v % by + (v % by < 0 ? by : 0); }

static bool leap(int y) { return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0; }

static int month_days(int y, int m)
{
  static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return days[m - 1] + (m == 2 && leap(y));
}

civil_t civil_from_us(us_t t)
{
  int64_t rest = floor_mod(t.us, 86400 * US_PER_S);
  int64_t z = floor_div(t.us, 86400 * US_PER_S) + 719468;
  int64_t era = floor_div(z, 146097);
  int64_t doe = z - era * 146097;
  int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  int64_t mp = (5 * doy + 2) / 153;
  int month = (int)(mp < 10 ? mp + 3 : mp - 9);
  int64_t s = rest / US_PER_S;
  return (civil_t){.year = (int)(yoe + era * 400 + (month <= 2)),
                   .month = month,
                   .day = (int)(doy - (153 * mp + 2) / 5 + 1),
                   .hour = (int)(s / 3600),
                   .minute = (int)(s / 60 % 60),
                   .second = (int)(s % 60),
                   .micro = (int)(rest % US_PER_S)};
}

rc_t civil_to_us(const civil_t *c, us_t *ret)
{
  if (c->year < 1 || c->year > 9999 || c->month < 1 || c->month > 12 || c->day < 1 || c->day > month_days(c->year, c->month) ||
      c->hour < 0 || c->hour > 23 || c->minute < 0 || c->minute > 59 || c->second < 0 || c->second > 59 || c->micro < 0 ||
      c->micro > 999999)
    return rc(RC_INVALID);
  int64_t s = days_from_civil(c->year, c->month, c->day) * 86400 + c->hour * 3600 + c->minute * 60 + c->second;
  *ret = (us_t){s * US_PER_S + c->micro};
  return rc(RC_OK);
}

static void digits(char *out, int n, int v)
{
  for (; n > 0; v /= 10) out[--n] = (char)('0' + v % 10);
}

size_t rfc3339_format(us_t t, char out[RFC3339_MAX])
{
  civil_t c = civil_from_us(t);
  memcpy(out, "0000-00-00T00:00:00", 20);
  digits(out, 4, c.year);
  digits(out + 5, 2, c.month);
  digits(out + 8, 2, c.day);
  digits(out + 11, 2, c.hour);
  digits(out + 14, 2, c.minute);
  digits(out + 17, 2, c.second);
  size_t n = 19;
  if (c.micro) {
    out[n] = '.';
    digits(out + n + 1, 6, c.micro);
    n += 7;
    while (out[n - 1] == '0') n--;
  }
  out[n++] = 'Z';
  out[n] = 0;
  return n;
}

/* Exactly n digits at *at. */
static bool take_digits(slice_t s, size_t *at, size_t n, int *ret)
{
  int v = 0;
  if (s.n - *at < n) return false;
  for (size_t i = 0; i < n; i++) {
    uint8_t c = s.p[*at + i];
    if (c < '0' || c > '9') return false;
    v = v * 10 + (c - '0');
  }
  *at += n;
  *ret = v;
  return true;
}

static bool take_byte(slice_t s, size_t *at, uint8_t c)
{
  if (*at >= s.n || s.p[*at] != c) return false;
  (*at)++;
  return true;
}

/* "Z" or "+hh:mm": seconds to subtract. */
static bool take_offset(slice_t s, size_t *at, int64_t *ret_s)
{
  *ret_s = 0;
  if (take_byte(s, at, 'Z') || take_byte(s, at, 'z')) return true;
  bool minus = *at < s.n && s.p[*at] == '-';
  int h, m;
  if (!take_byte(s, at, minus ? '-' : '+')) return false;
  if (!take_digits(s, at, 2, &h) || !take_byte(s, at, ':') || !take_digits(s, at, 2, &m) || h > 23 || m > 59)
    return false;
  *ret_s = (minus ? -1 : 1) * (int64_t)(h * 3600 + m * 60);
  return true;
}

/* Up to 9 digits after the point; what is below a microsecond is dropped. */
static bool take_fraction(slice_t s, size_t *at, int *ret_micro)
{
  int v = 0, n = 0;
  for (; *at < s.n && s.p[*at] >= '0' && s.p[*at] <= '9'; (*at)++, n++)
    if (n < 6) v = v * 10 + (s.p[*at] - '0');
  if (n == 0 || n > 9) return false;
  for (int k = n; k < 6; k++) v *= 10;
  *ret_micro = v;
  return true;
}

rc_t rfc3339_parse(slice_t s, us_t *ret)
{
  civil_t c = {0};
  size_t at = 0;
  int64_t offset_s;
  us_t t;
  bool ok = take_digits(s, &at, 4, &c.year) && take_byte(s, &at, '-') && take_digits(s, &at, 2, &c.month) &&
            take_byte(s, &at, '-') && take_digits(s, &at, 2, &c.day) &&
            (take_byte(s, &at, 'T') || take_byte(s, &at, 't') || take_byte(s, &at, ' ')) && take_digits(s, &at, 2, &c.hour) &&
            take_byte(s, &at, ':') && take_digits(s, &at, 2, &c.minute) && take_byte(s, &at, ':') &&
            take_digits(s, &at, 2, &c.second);
  if (ok && take_byte(s, &at, '.')) ok = take_fraction(s, &at, &c.micro);
  if (!ok || !take_offset(s, &at, &offset_s) || at != s.n) return rc(RC_SYNTAX);
  TRY(civil_to_us(&c, &t));
  t = us_add_s(t, -offset_s);
  int year = civil_from_us(t).year;
  if (year < 1 || year > 9999) return rc(RC_INVALID); /* the offset led out of what can be written again */
  *ret = t;
  return rc(RC_OK);
}
