#include "net/http_intake.h"

#include "base/check.h"

enum { KEEP_TEXT = 2 * 1024, KEEP_BODY = 16 * 1024 }; /* buffers up to this size stay with a pooled request */

void http_intake_init(http_intake_t *in)
{
  in->text = buf_heap(LIM_HTTP_HEAD);
  in->body = buf_heap(0);
  http_intake_reset(in);
}

static void shrink(buf_t *b, size_t keep)
{
  buf_reset(b);
  if (b->size > keep) buf_fini(b);
}

void http_intake_reset(http_intake_t *in)
{
  shrink(&in->text, KEEP_TEXT);
  shrink(&in->body, KEEP_BODY);
  in->scan = 0;
  in->chunks = (http1_chunks_t){0};
  in->has_head = in->continued = in->done = false;
}

void http_intake_fini(http_intake_t *in)
{
  buf_fini(&in->text);
  buf_fini(&in->body);
}

slice_t http_intake_body(const http_intake_t *in) { return in->plan.body_max ? buf_slice(&in->body) : (slice_t){NULL, 0}; }

static http_step_t refused(int status, int *ret_status)
{
  *ret_status = status;
  return HTTP_REFUSED;
}

/* The head is complete: what may follow it? A route that takes no body still lets a small one pass. */
static http_step_t plan_body(http_intake_t *in, const http_app_t *app, int *ret_status)
{
  in->has_head = true;
  in->plan = (http_plan_t){0};
  app->plan(app->self, &in->head, &in->plan);
  CHECK(in->plan.queue >= 0 && in->plan.queue < HTTP_QUEUES);
  bool drop = in->plan.body_max == 0 || in->plan.status != 0;
  if (in->plan.status != 0) in->plan.body_max = 0;
  in->body_max = drop ? LIM_HTTP_SPARE_BODY : in->plan.body_max;
  in->body.cap = in->body_max;
  if (in->head.content_length > (int64_t)in->body_max) return refused(in->plan.status ? in->plan.status : 413, ret_status);
  return HTTP_MORE;
}

/* Appends to the head until it is complete; what lies behind it is given back to *bytes. */
static http_step_t feed_head(http_intake_t *in, slice_t *bytes, const http_app_t *app, int *ret_status)
{
  size_t before = in->text.n, room = LIM_HTTP_HEAD - before;
  size_t take = bytes->n < room ? bytes->n : room;
  err_t e = {0};
  buf_put(&in->text, slice_sub(*bytes, 0, take));
  if (in->text.code) return refused(503, ret_status);
  rc_t r = http1_request(buf_slice(&in->text), &in->scan, &in->head, &e);
  if (rc_is(r, RC_AGAIN)) {
    *bytes = slice_sub(*bytes, take, bytes->n);
    return HTTP_MORE;
  }
  if (!rc_ok(r)) return refused(http1_status(&e), ret_status);
  *bytes = slice_sub(*bytes, in->head.size - before, bytes->n);
  in->text.n = in->head.size;
  return plan_body(in, app, ret_status);
}

static http_step_t feed_body(http_intake_t *in, slice_t *bytes, int *ret_status)
{
  if (in->head.chunked) {
    err_t e = {0};
    rc_t r = http1_chunks_feed(&in->chunks, bytes, &in->body, &e);
    if (rc_ok(r)) return HTTP_READY;
    if (rc_is(r, RC_AGAIN)) return HTTP_MORE;
    return refused(rc_is(r, RC_NOMEM) ? 503 : http1_status(&e), ret_status);
  }
  size_t want = in->head.content_length > 0 ? (size_t)in->head.content_length - in->body.n : 0;
  size_t take = bytes->n < want ? bytes->n : want;
  buf_put(&in->body, slice_sub(*bytes, 0, take));
  if (in->body.code) return refused(503, ret_status);
  *bytes = slice_sub(*bytes, take, bytes->n);
  return take == want ? HTTP_READY : HTTP_MORE;
}

http_step_t http_intake_feed(http_intake_t *in, slice_t *bytes, const http_app_t *app, int *ret_status)
{
  CHECK(!in->done);
  http_step_t step = HTTP_MORE;
  if (!in->has_head) {
    step = feed_head(in, bytes, app, ret_status);
    if (!in->has_head || step != HTTP_MORE) return step;
  }
  step = feed_body(in, bytes, ret_status);
  if (step == HTTP_MORE && in->head.expect_continue && !in->continued && in->body.n == 0) {
    in->continued = true;
    /* A client that waits for leave to send a body that nobody wants gets the final answer instead. */
    return in->plan.status ? refused(in->plan.status, ret_status) : HTTP_CONTINUE;
  }
  in->done = step == HTTP_READY;
  return step;
}

rc_t http_intake_restore(http_intake_t *in, slice_t text, slice_t body, const http_plan_t *plan)
{
  buf_put(&in->text, text);
  TRY(buf_rc(&in->text));
  CHECK(rc_ok(http1_request(buf_slice(&in->text), &in->scan, &in->head, NULL))); /* it was accepted before */
  in->plan = *plan;
  in->body.cap = body.n;
  buf_put(&in->body, body);
  TRY(buf_rc(&in->body));
  in->has_head = in->done = true;
  return rc(RC_OK);
}
