#include "net/http_reply.h"

#include "wire/http1.h"

#include <stdio.h>

/* spec/api.md 1.10 */
#define SECURITY_HEADERS                                                                                     \
  "Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n"                                       \
  "X-Frame-Options: DENY\r\n"                                                                                \
  "X-Content-Type-Options: nosniff\r\n"                                                                      \
  "Referrer-Policy: no-referrer-when-downgrade\r\n"                                                          \
  "Content-Security-Policy: default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "    \
  "script-src 'self'; connect-src 'self'; frame-ancestors 'none'\r\n"                                        \
  "Permissions-Policy: accelerometer=(), camera=(), geolocation=(), microphone=(), payment=(), usb=(), "     \
  "interest-cohort=()\r\n"

static void take_random(void *self, void *out, size_t n)
{
  http_stamp_t *st = self;
  if (st->left < n) {
    rng_fill(&rng_system, st->random, sizeof st->random);
    st->left = sizeof st->random;
  }
  st->left -= n;
  memcpy(out, st->random + st->left, n);
}

void http_stamp_id(http_stamp_t *st, char out[UUID_LEN + 1])
{
  const rng_t rng = {take_random, st};
  uuid_new(&rng, out);
}

/* IMF-fixdate (RFC 9110 5.6.7), made anew once a second. */
static slice_t date(http_stamp_t *st, us_t now)
{
  static const char *const days[] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"}; /* 1970-01-01 was a Thursday */
  static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  int64_t second = us_floor_s(now).us / US_PER_S;
  if (second != st->second || !st->date[0]) {
    civil_t c = civil_from_us(now);
    int64_t day = (second >= 0 ? second : second - 86399) / 86400 % 7;
    snprintf(st->date, sizeof st->date, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[day < 0 ? day + 7 : day], c.day % 100,
             months[(c.month + 11) % 12], c.year % 10000, c.hour % 100, c.minute % 100, c.second % 100);
    st->second = second;
  }
  return slice_str(st->date);
}

void http_reply_put(buf_t *out, http_stamp_t *st, us_t now, const http_reply_t *r)
{
  bool bodyless = r->status < 200 || r->status == 204 || r->status == 304;
  buf_puts(out, "HTTP/1.1 ");
  buf_i64(out, r->status);
  buf_byte(out, ' ');
  buf_puts(out, http1_reason(r->status));
  buf_put(out, S("\r\nDate: "));
  buf_put(out, date(st, now));
  if (!bodyless) {
    buf_put(out, S("\r\nContent-Length: "));
    buf_i64(out, (int64_t)r->body.n);
  }
  buf_put(out, S("\r\n" SECURITY_HEADERS "X-Request-ID: "));
  buf_put(out, r->request_id);
  buf_put(out, S("\r\n"));
  buf_put(out, r->headers);
  if (!r->keep_alive) buf_put(out, S("Connection: close\r\n"));
  else if (r->version == 10) buf_put(out, S("Connection: keep-alive\r\n"));
  buf_put(out, S("\r\n"));
  if (!bodyless && !r->head_only) buf_put(out, r->body);
}
