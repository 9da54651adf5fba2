#include "wire/url.h"

/* The byte of the escape at s.p[i] == '%', or 0: %00 is none. */
static int escape_at(slice_t s, size_t i)
{
  if (s.n - i < 3) return 0;
  int hi = hex_digit(s.p[i + 1]), lo = hex_digit(s.p[i + 2]);
  return hi < 0 || lo < 0 ? 0 : hi * 16 + lo;
}

rc_t url_decode(arena_t *a, slice_t s, bool form, slice_t *ret)
{
  if (slice_find(s, 0) < s.n) return rc(RC_SYNTAX);
  uint8_t *out = arena_alloc(a, s.n);
  if (!out) return rc(RC_NOMEM);
  size_t n = 0;
  for (size_t i = 0; i < s.n; i++) {
    int c = s.p[i];
    if (c == '%') {
      c = escape_at(s, i);
      if (!c) return rc(RC_SYNTAX);
      i += 2;
    } else if (form && c == '+') {
      c = ' ';
    }
    out[n++] = (uint8_t)c;
  }
  if (!slice_utf8(slice_of(out, n))) return rc(RC_SYNTAX);
  *ret = slice_of(out, n);
  return rc(RC_OK);
}

/* Next "name=value" of *query, decoded. RC_NOTFOUND at the end; empty parts are skipped. */
static MUST rc_t query_next(arena_t *a, slice_t *query, slice_t *ret_name, slice_t *ret_value)
{
  slice_t part, name, value;
  do
    if (!slice_split(query, '&', &part)) return rc(RC_NOTFOUND);
  while (part.n == 0);
  size_t eq = slice_find(part, '=');
  TRY(url_decode(a, slice_sub(part, 0, eq), true, &name));
  TRY(url_decode(a, slice_sub(part, eq + 1, part.n), true, &value));
  *ret_name = name;
  *ret_value = value;
  return rc(RC_OK);
}

rc_t url_query(arena_t *a, slice_t query, const char *name, slice_t *ret)
{
  slice_t n, v;
  while (query.p) {
    rc_t r = query_next(a, &query, &n, &v);
    if (rc_is(r, RC_NOTFOUND)) break;
    TRY(r);
    if (!slice_is(n, name)) continue;
    *ret = v;
    break;
  }
  return rc(RC_OK);
}

/* RFC 3986 2.3 */
static bool is_unreserved(uint8_t c)
{
  return ascii_is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

void url_encode(buf_t *b, slice_t s)
{
  static const char hex[] = "0123456789ABCDEF";
  for (size_t i = 0; i < s.n; i++) {
    uint8_t c = s.p[i];
    if (is_unreserved(c))
      buf_byte(b, c);
    else
      buf_put(b, slice_of((const char[]){'%', hex[c >> 4], hex[c & 15]}, 3));
  }
}

static MUST rc_t base_error(err_t *e, slice_t text, const char *reason, const char *say)
{
  return err_quote(e, RC_INVALID, reason, NULL, say, text);
}

/* ALPHA *( ALPHA / DIGIT / "+" / "-" / "." ) before "://" (RFC 3986 3.1); length of it, or 0. */
static size_t scheme_len(slice_t s)
{
  size_t n = 0;
  while (n < s.n && is_unreserved(s.p[n]) && s.p[n] != '_' && s.p[n] != '~') n++;
  return n > 0 && slice_starts(slice_sub(s, n, s.n), S("://")) ? n : 0;
}

static MUST rc_t check_scheme(slice_t text, slice_t scheme, err_t *e)
{
  if (text.n == 0) return base_error(e, text, "url_empty", "server URL is empty: set it to https://host:port");
  if (scheme.n == 0)
    return base_error(e, text, "url_no_scheme", "server URL has no scheme: write https:// before the host");
  if (slice_ieq(scheme, S("http")))
    return base_error(e, text, "url_http", "server URL is plain http, which the server does not speak: write https://");
  if (!slice_ieq(scheme, S("https"))) return base_error(e, text, "url_scheme", "server URL must begin with https://");
  return rc(RC_OK);
}

/* The part behind the host: "", or ":" and 1 to 65535. */
static bool parse_port(slice_t s, uint16_t *ret)
{
  int64_t port = 0;
  if (s.n == 0) return true;
  if (s.p[0] != ':' || !rc_ok(slice_i64(slice_sub(s, 1, s.n - 1), &port)) || port < 1 || port > 65535) return false;
  *ret = (uint16_t)port;
  return true;
}

static bool is_host(slice_t host, bool v6)
{
  for (size_t i = 0; i < host.n; i++) {
    uint8_t c = host.p[i];
    if (v6 ? hex_digit(c) < 0 && c != ':' && c != '.' : !is_unreserved(c)) return false;
  }
  return host.n > 0 && host.n <= 253;
}

rc_t url_base_parse(slice_t text, url_base_t *ret, err_t *e)
{
  text = slice_trim(text);
  slice_t scheme = slice_sub(text, 0, scheme_len(text));
  TRY(check_scheme(text, scheme, e));
  slice_t rest = slice_sub(text, scheme.n + 3, text.n);
  size_t slash = slice_find(rest, '/');
  url_base_t out = {.port = 443, .authority = slice_sub(rest, 0, slash), .path = slice_sub(rest, slash, rest.n)};
  if (slice_find(rest, '@') < rest.n || slice_find(rest, '?') < rest.n || slice_find(rest, '#') < rest.n)
    return base_error(e, S(""), "url_extra", "server URL must hold only host, port and path");
  while (out.path.n && out.path.p[out.path.n - 1] == '/') out.path.n--;

  slice_t auth = out.authority;
  out.v6 = auth.n && auth.p[0] == '[';
  size_t end = slice_find(auth, out.v6 ? ']' : ':');
  out.host = out.v6 ? slice_sub(auth, 1, end - 1) : slice_sub(auth, 0, end);
  if (!is_host(out.host, out.v6) || (out.v6 && end == auth.n))
    return base_error(e, text, "url_host", "server URL has no valid host");
  if (!parse_port(slice_sub(auth, out.v6 ? end + 1 : end, auth.n), &out.port))
    return base_error(e, text, "url_port", "server URL has no valid port");
  *ret = out;
  return rc(RC_OK);
}
