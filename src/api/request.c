#include "api/request.h"

#include "base/log.h"

#include "wire/url.h"

rc_t request_db(request_t *rq, db_read_t **ret, err_t *e)
{
  if (!rq->db) {
    TRY(db_read_begin(rq->core->db, &rq->db, e));
    const route_t *r = rq->route;
    db_read_limits(rq->db, r->statements_max ? r->statements_max : ROUTE_STATEMENTS,
                   r->rows_max ? r->rows_max : ROUTE_ROWS);
  }
  *ret = rq->db;
  return rc(RC_OK);
}

void request_release(request_t *rq)
{
  if (rq->db) db_read_end(rq->db);
  rq->db = NULL;
}

rc_t request_json(request_t *rq, err_t *e)
{
  if (rq->body.root) return rc(RC_OK);
  return json_parse_object(rq->a, rq->http->body.n ? rq->http->body : S("{}"), &rq->body, e);
}

rc_t request_query(request_t *rq, const char *name, slice_t *ret) { return url_query(rq->a, rq->query, name, ret); }

int64_t request_prefer_wait(const request_t *rq, int64_t most)
{
  slice_t rest = http1_header(rq->http->head, "Prefer"), part;
  int64_t s = 0;
  while (slice_split(&rest, ',', &part)) {
    part = slice_trim(part);
    if (slice_starts(part, S("wait=")) && rc_ok(slice_i64(slice_sub(part, 5, part.n), &s))) return s < most ? s : most;
  }
  return 0;
}

/* Status of a failure by its class. */
static int status_of(rc_t why)
{
  static const struct {
    int32_t code;
    int status;
  } map[] = {
      {RC_SYNTAX, 400}, {RC_INVALID, 400}, {RC_FULL, 400},  {RC_CRYPTO, 400}, {RC_NOTFOUND, 404}, {RC_CONFLICT, 409},
      {RC_DENIED, 403}, {RC_GONE, 410},    {RC_NOMEM, 413}, {RC_AGAIN, 503},  {RC_CLOSED, 503},   {RC_TIMEOUT, 503},
  };
  for (size_t i = 0; i < COUNT_OF(map); i++)
    if (why.code == map[i].code) return map[i].status;
  return 500;
}

rc_t reply_message(request_t *rq, reply_t *rp, int status, const char *message)
{
  buf_reset(&rp->body);
  jw_t j = reply_json(rp, status);
  jw_object(&j);
  jw_put_str(&j, "error", http1_reason(status));
  jw_put_str(&j, "message", message);
  jw_put_text(&j, "request_id", rq->http->request_id);
  jw_object_end(&j);
  if (status == 503) buf_puts(&rp->headers, "Retry-After: 1\r\n");
  return rc(RC_OK);
}

rc_t reply_error(request_t *rq, reply_t *rp, rc_t why, const err_t *e)
{
  char text[512];
  int status = status_of(why);
  err_t named = *e;
  if (!named.text) named.text = rc_name(why);
  err_format(&named, text, sizeof text);
  if (rc_is(why, RC_IO) && e->retry) { /* no room, or a medium that fails: nothing was changed, it may be well again */
    log_err(LOG_ERROR, "request failed", e);
    return reply_message(rq, rp, 503, e->text);
  }
  if (status == 500) {
    log_line(LOG_ERROR, "request failed", log_c("route", rq->route->path),
             log_c("reason", e->reason ? e->reason : rc_name(why)), log_c("error", text));
    return reply_message(rq, rp, 500, "The request failed; nothing was changed");
  }
  if (rc_is(why, RC_CLOSED)) return reply_message(rq, rp, 503, "The signer is restarting; try again");
  if (status == 413) return reply_message(rq, rp, 413, "The request needs more memory than its route allows");
  return reply_message(rq, rp, status, text);
}

rc_t reply_status(reply_t *rp, int status, const char *word)
{
  jw_t j = reply_json(rp, status);
  jw_object(&j);
  jw_put_str(&j, "status", word);
  jw_object_end(&j);
  return rc(RC_OK);
}
