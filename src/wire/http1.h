/*
 * HTTP/1.1 codec (RFC 9112), strict on purpose: what another parser could read
 * in a second way is refused, so this server can never be the lenient half of
 * a request smuggling pair. Sans-IO: bytes in, values out; the slices of a
 * head point into the bytes that were parsed, nothing is owned or allocated.
 */
#ifndef WIRE_HTTP1_H
#define WIRE_HTTP1_H

#include "base/buf.h"
#include "base/limits.h"

typedef enum http1_method {
  HTTP1_NONE, /* a response */
  HTTP1_GET,
  HTTP1_HEAD,
  HTTP1_POST,
  HTTP1_PUT,
  HTTP1_DELETE,
  HTTP1_PATCH,
  HTTP1_OPTIONS,
  HTTP1_TRACE
} http1_method_t;

typedef struct http1_field {
  slice_t name;  /* as sent; compare with slice_ieq */
  slice_t value; /* without blanks around it; bytes 0x80 and up are possible */
} http1_field_t;

/* Head of a request or of a response. */
typedef struct http1_head {
  size_t size;            /* bytes of the head, up to and with its empty line */
  int version;            /* 10 or 11 */
  /* request */
  http1_method_t method;
  slice_t method_text;
  slice_t target;         /* as sent */
  slice_t path;           /* begins with '/', still percent-encoded; "*" for OPTIONS * */
  slice_t query;          /* behind the first '?', without it */
  slice_t host;           /* Host, or the authority of an absolute target; empty only in HTTP/1.0 */
  bool expect_continue;
  /* response */
  int status;             /* 100 to 599 */
  slice_t reason;
  bool until_close;       /* the body ends with the connection (neither length nor chunks) */
  /* both */
  int64_t content_length; /* -1: not given. A response that has no body by its kind has 0 */
  bool chunked;
  bool keep_alive;
  size_t nfields;
  http1_field_t fields[LIM_HTTP_HEADERS];
} http1_head_t;

/*
 * Parses the request at the start of `in`, which may grow (and move) between
 * calls: *scan is the caller's, 0 for a new message, and keeps the work linear.
 * RC_AGAIN while the empty line has not come. Anything refused is RC_SYNTAX,
 * RC_INVALID or RC_FULL with e->reason, and http1_status(e) is the answer to
 * give before closing; then nothing behind it may be read. One empty line before
 * the request is skipped (RFC 9112 2.2). *ret is only valid on RC_OK.
 */
MUST rc_t http1_request(slice_t in, size_t *scan, http1_head_t *ret, err_t *e);

/* The same for a response to a request of this method, which decides whether a body follows (RFC 9112 6.3). */
MUST rc_t http1_response(slice_t in, size_t *scan, http1_method_t request, http1_head_t *ret, err_t *e);

/* HTTP status for a refused request: 400, 414, 417, 431, 501 or 505. */
int http1_status(const err_t *e);

/* First field of this name in any case; {NULL, 0} when absent. */
slice_t http1_header(const http1_head_t *head, const char *name);

/* True for visible ASCII alone (VCHAR of RFC 5234): text that cannot end its header line and begin another. */
bool http1_visible(slice_t s);

/* Decoder of a chunked body (RFC 9112 7.1); {0} is a new one. */
typedef struct http1_chunks {
  uint8_t state;
  uint8_t digits;    /* of the size being read */
  uint16_t extra;    /* bytes of extensions and trailers so far */
  uint64_t left;     /* of the chunk being read */
} http1_chunks_t;

/*
 * Moves data from *in, which is advanced past what was used, to the end of
 * `body`. RC_OK: the body is complete and *in is at the next message. RC_AGAIN:
 * more input is needed. RC_FULL with reason "body_limit": `body` is at its cap.
 * RC_SYNTAX, RC_FULL: refused. Extensions and trailers are checked, counted and dropped.
 */
MUST rc_t http1_chunks_feed(http1_chunks_t *c, slice_t *in, buf_t *body, err_t *e);

/* Standard reason phrase of a status; "" for an unknown one. Static storage. */
const char *http1_reason(int status);

/* Name of a method as sent ("GET"); static storage. */
const char *http1_method_name(http1_method_t m);

#endif
