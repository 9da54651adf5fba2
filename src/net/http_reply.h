/*
 * Composes a response: status line, the headers that every response has
 * (spec/api.md 1.10), the application's, and the body.
 */
#ifndef NET_HTTP_REPLY_H
#define NET_HTTP_REPLY_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/random.h"

/* Per thread: the Date line of this second, and random bytes for request ids taken 1 KiB at a time. */
typedef struct http_stamp {
  int64_t second;
  char date[32]; /* "Wed, 25 Nov 2026 02:00:00 GMT" */
  size_t left;
  uint8_t random[1024];
} http_stamp_t;

/* A new request id. */
void http_stamp_id(http_stamp_t *st, char out[UUID_LEN + 1]);

typedef struct http_reply {
  int status;
  int version;        /* of the request: 10 or 11 */
  bool head_only;     /* HEAD: the length, not the body */
  bool keep_alive;
  slice_t request_id;
  slice_t headers;    /* complete lines */
  slice_t body;
} http_reply_t;

/* Appends the whole response. */
void http_reply_put(buf_t *out, http_stamp_t *st, us_t now, const http_reply_t *r);

#endif
