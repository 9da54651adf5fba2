/*
 * One API request on its way through a handler, and the reply it makes. A
 * handler is straight-line code on a worker: it reads through rq->db, decides,
 * submits one command (which first gives the read connection back), and writes
 * the reply.
 */
#ifndef API_REQUEST_H
#define API_REQUEST_H

#include "api/app.h"
#include "desc/route.h"
#include "net/http_server.h"
#include "wire/json_in.h"
#include "wire/json_out.h"

enum { ROUTE_PARAMS_MAX = 3 };

typedef struct request {
  app_t *app;
  const core_t *core;
  const http_request_t *http;
  const route_t *route;
  arena_t *a;
  slice_t param[ROUTE_PARAMS_MAX]; /* decoded {…} segments, in order */
  slice_t query;                   /* raw, without '?' */
  const actor_t *actor;            /* NULL on open routes */
  db_read_t *db;                   /* open snapshot; NULL after request_release */
  us_t now;
  bool elsewhere;                  /* cannot be answered on the loop: a worker begins anew */
  json_doc_t body; /* parsed by request_json */
} request_t;

typedef struct reply {
  int status;
  buf_t headers; /* complete lines */
  buf_t body;
  const char *content_type; /* NULL: application/json */
  bool park;
  char park_kind;
  slice_t park_key;
  int64_t park_ms;
} reply_t;

/* The open read snapshot, begun on first use. */
MUST rc_t request_db(request_t *rq, db_read_t **ret, err_t *e);

/* Gives the read connection back; needed before anything is submitted. */
void request_release(request_t *rq);

/* The body as one JSON object; an empty body is an empty object. RC_SYNTAX "Invalid request body". */
MUST rc_t request_json(request_t *rq, err_t *e);

/* Value of a query parameter; p == NULL when absent. */
MUST rc_t request_query(request_t *rq, const char *name, slice_t *ret);

/* Seconds of "Prefer: wait=N" (RFC 7240), 0 when absent, at most `most`. */
int64_t request_prefer_wait(const request_t *rq, int64_t most);

/*
 * Writes the error reply of a failure: status by class, the standard envelope with the
 * message from *e (spec/api.md 1.12). Fits in `return`: always RC_OK.
 */
rc_t reply_error(request_t *rq, reply_t *rp, rc_t why, const err_t *e);

/* Envelope with a status and a message of our own. */
rc_t reply_message(request_t *rq, reply_t *rp, int status, const char *message);

/* {"status":"…"} */
rc_t reply_status(reply_t *rp, int status, const char *word);

/* A JSON writer on the reply's body. */
static inline jw_t reply_json(reply_t *rp, int status)
{
  rp->status = status;
  return jw_on(&rp->body);
}

#endif
