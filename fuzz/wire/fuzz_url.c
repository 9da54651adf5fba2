/* URLs and addresses: decode(encode(x)) = x, slices stay inside, the canonical address reads back as itself. */
#include "base/check.h"
#include "wire/ip.h"
#include "wire/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_text(arena_t *a, slice_t s)
{
  slice_t text, back;
  for (int form = 0; form < 2; form++) {
    if (!rc_ok(url_decode(a, s, form, &text))) continue;
    BUF_SCOPED buf_t b = buf_heap(1 << 20);
    url_encode(&b, text);
    CHECK(slice_utf8(text) && rc_ok(url_decode(a, buf_slice(&b), form, &back)) && slice_eq(back, text));
  }
  slice_t value = {NULL, 0};
  if (rc_ok(url_query(a, s, "a", &value))) CHECK(slice_utf8(value));
}

static void check_base(slice_t s)
{
  url_base_t u;
  err_t e = {0};
  if (!rc_ok(url_base_parse(s, &u, &e))) {
    CHECK(e.reason && e.text);
    return;
  }
  CHECK(u.port > 0 && u.host.n > 0 && u.host.p >= s.p && u.path.p + u.path.n <= s.p + s.n);
  CHECK(slice_find(u.authority, '\r') == u.authority.n && slice_find(u.authority, '\n') == u.authority.n);
}

static void check_ip(slice_t s)
{
  ip_t ip, again;
  cidr_t c;
  char text[IP_TEXT_MAX];
  if (rc_ok(ip_parse(s, &ip))) {
    ip_format(&ip, text);
    CHECK(rc_ok(ip_parse(slice_str(text), &again)) && ip_eq(&ip, &again));
  }
  if (rc_ok(cidr_parse(s, &c))) CHECK(c.bits <= 8 * c.ip.n && cidr_contains(&c, &c.ip));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
  ARENA_SCOPED arena_t *a = arena_new(1 << 20);
  CHECK(a);
  check_text(a, slice_of(data, n));
  check_base(slice_of(data, n));
  check_ip(slice_of(data, n));
  return 0;
}
