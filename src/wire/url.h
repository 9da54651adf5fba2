/*
 * URLs as this project needs them: path segments and query values decoded (RFC 3986
 * 3.3, 3.4; query by the HTML form rules), safe encoding of one segment, and the base
 * URL a client is given. Decoded text is checked UTF-8; %00 and broken escapes are refused.
 */
#ifndef WIRE_URL_H
#define WIRE_URL_H

#include "base/arena.h"
#include "base/buf.h"

/* Decodes %XX, and '+' as a blank when `form`. RC_SYNTAX, RC_NOMEM. */
MUST rc_t url_decode(arena_t *a, slice_t s, bool form, slice_t *ret);

/*
 * First value of `name`; absent: RC_OK and *ret untouched, so the caller
 * presets {NULL, 0} (a present value has a pointer even when empty).
 */
MUST rc_t url_query(arena_t *a, slice_t query, const char *name, slice_t *ret);

/* Appends s with everything but RFC 3986 unreserved characters as %XX; good for a segment and a query value. */
void url_encode(buf_t *b, slice_t s);

/* Base URL of a server, as given to agent and CLI. Slices point into the text parsed. */
typedef struct url_base {
  slice_t host;      /* without brackets */
  uint16_t port;     /* 443 unless written */
  bool v6;           /* host is an IPv6 literal */
  slice_t authority; /* "host:port" as written, for the Host header */
  slice_t path;      /* prefix without trailing slash; often empty */
} url_base_t;

/*
 * Only https:// is served. RC_INVALID with one reason each: url_empty,
 * url_http, url_no_scheme, url_scheme, url_host, url_port, url_extra (user,
 * query or fragment). The text says what to write instead.
 */
MUST rc_t url_base_parse(slice_t text, url_base_t *ret, err_t *e);

#endif
