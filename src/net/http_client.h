/*
 * HTTPS client of agent and CLI: one server, one kept TLS connection, one
 * request at a time, blocking by a deadline with a tick every second. It holds
 * no buffers between requests, and opens a new connection when the kept one has
 * gone. A client belongs to one thread.
 */
#ifndef NET_HTTP_CLIENT_H
#define NET_HTTP_CLIENT_H

#include "base/arena.h"
#include "base/clock.h"
#include "wire/http1.h"

typedef struct http_client http_client_t;

typedef struct http_client_options {
  slice_t base_url;           /* https://host[:port][/prefix]; see url_base_parse for the refusals */
  slice_t ca_pem;             /* trust exactly these; empty: the system's roots */
  bool insecure;              /* no verification; the caller warns */
  slice_t user_agent;         /* "certctl-agent/0.1.0" */
  const timesrc_t *time;
  bool (*tick)(void *self);   /* at least once a second while waiting; false gives the call up; NULL = none */
  void *self;
} http_client_options_t;

/* Copies what it needs; does not connect. RC_INVALID (bad URL), RC_SYNTAX (no certificate in ca_pem), RC_NOMEM. */
MUST rc_t http_client_new(const http_client_options_t *o, http_client_t **ret, err_t *e);

/* Closes and frees; NULL is fine. */
void http_client_free(http_client_t *c);

/* Ends the kept connection, if any, with close_notify. */
void http_client_close(http_client_t *c);

typedef struct http_call {
  http1_method_t method;
  slice_t path;         /* behind the base URL's prefix: "/api/v1/jobs/x?page=2", encoded by the caller */
  slice_t headers;      /* complete lines, each ended by CRLF; not Host, Content-Length, User-Agent or Connection */
  slice_t body;         /* sent with its length unless p is NULL */
  int64_t timeout_ms;   /* whole exchange with connecting; a long poll's wait is part of it */
  size_t body_max;      /* of the answer */
} http_call_t;

typedef struct http_answer {
  int status;
  const http1_head_t *head; /* for http1_header(); in the arena, as everything here */
  slice_t body;
} http_answer_t;

/*
 * One exchange. Any status is RC_OK; a failure has no answer: RC_TIMEOUT,
 * RC_CLOSED (the connection ended before the answer was whole), RC_AGAIN (the
 * tick gave up), RC_FULL (http_body_max, or a head over the
 * limits), RC_SYNTAX (not HTTP), RC_DENIED (the server's certificate),
 * RC_NOTFOUND, RC_IO (connecting), RC_INVALID (a path that is not encoded). A kept connection that turns out closed
 * before any byte of the answer is replaced once, and the request sent again
 * unless it is a POST of which bytes may have arrived.
 */
MUST rc_t http_client_call(http_client_t *c, const http_call_t *call, arena_t *a, http_answer_t *ret, err_t *e);

/* Connections made so far, for tests and statistics. */
uint64_t http_client_connects(const http_client_t *c);

#endif
