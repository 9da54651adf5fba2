/*
 * Reads one request from a connection's plaintext: head, plan, body. Sans-IO,
 * so that tests and the fuzzer drive what the server runs.
 */
#ifndef NET_HTTP_INTAKE_H
#define NET_HTTP_INTAKE_H

#include "net/http_server.h"

typedef struct http_intake {
  buf_t text;            /* the head, exactly; its slices point here */
  buf_t body;
  size_t scan;
  size_t body_max;
  http1_chunks_t chunks;
  bool has_head, continued, done;
  http_plan_t plan;
  http1_head_t head;     /* valid once has_head */
} http_intake_t;

typedef enum http_step {
  HTTP_MORE,     /* all bytes were taken; the request is not complete */
  HTTP_CONTINUE, /* send "100 Continue", then feed on */
  HTTP_READY,    /* complete; head, body and plan are valid */
  HTTP_REFUSED   /* answer *ret_status and close; head is valid if has_head */
} http_step_t;

void http_intake_init(http_intake_t *in);

/* For the next request; keeps small buffers. */
void http_intake_reset(http_intake_t *in);
void http_intake_fini(http_intake_t *in);

/* Takes bytes from the front of *bytes, never beyond the end of this request. */
http_step_t http_intake_feed(http_intake_t *in, slice_t *bytes, const http_app_t *app, int *ret_status);

/* A request that was read before, from its head and its decoded body (a parked one). RC_NOMEM. */
MUST rc_t http_intake_restore(http_intake_t *in, slice_t text, slice_t body, const http_plan_t *plan);

/* The body as the handler gets it: empty where the plan takes none. */
slice_t http_intake_body(const http_intake_t *in);

#endif
