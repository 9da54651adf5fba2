#include "agent/link.h"

#include "base/limits.h"
#include "base/log.h"
#include "base/mem.h"
#include "io/proc.h"
#include "wire/json_out.h"
#include "wire/url.h"

#include <stdio.h>

enum {
  HEARTBEAT_MS = 5 * 1000, /* it may be sent while a command runs, whose deadline must not slip far */
  HEARTBEAT_ARENA = 64 * 1024,
  HEADERS_MAX = 8 * 1024,
  SEGMENT_MAX = 3 * 256,
  NAP_MS = 1000
};

struct link {
  http_client_t *http;
  arena_t *arena;           /* of heartbeats */
  secret_t headers;         /* complete lines; with the API key */
  size_t plain_n;           /* without the last one, Prefer */
  char segment[SEGMENT_MAX]; /* the agent id, encoded */
  char version_text[64];
  const timesrc_t *time;
  const rng_t *rng;
  bool (*stopping)(void *self);
  void *self;
  int64_t heartbeat_due_us;
  uint32_t heartbeat_failures;
  bool busy;                /* a call is under way */
  bool may_give_up;         /* and ends early when stopping */
  bool retired;
};

static bool on_tick(void *self)
{
  const link_t *l = self;
  return !(l->may_give_up && l->stopping(l->self));
}

static rc_t make_headers(link_t *l, const link_options_t *o, err_t *e)
{
  uint8_t instance[LINK_INSTANCE_HEX / 2];
  char hex[LINK_INSTANCE_HEX + 1];
  if (o->api_key.n == 0 || !http1_visible(o->api_key))
    return err_set(e, RC_INVALID, "agent_api_key", "CERTCTL_API_KEY", "must be printable characters without blanks");
  rng_fill(o->rng, instance, sizeof instance);
  hex_encode(slice_of(instance, sizeof instance), hex);
  buf_t b = buf_heap(HEADERS_MAX);
  /* All at once: a buffer that moves while it grows would leave the key behind. */
  if (buf_grow(&b, HEADERS_MAX)) b.n = 0;
  buf_puts(&b, "Authorization: Bearer ");
  buf_put(&b, o->api_key);
  buf_printf(&b, "\r\nContent-Type: application/json\r\nCertctl-Instance: %s\r\n", hex);
  l->plain_n = b.n;
  buf_printf(&b, "Prefer: wait=%d\r\n", LINK_WAIT_S);
  rc_t r = buf_rc(&b);
  if (rc_ok(r)) r = secret_take(&l->headers, b.p, b.n);
  buf_fini(&b);
  return rc_ok(r) ? r : err_set(e, r.code, "agent_memory", NULL, "no locked memory for the API key");
}

rc_t link_new(const link_options_t *o, link_t **ret, err_t *e)
{
  http_client_options_t http = o->http;
  link_t *l = mem_alloc(sizeof *l);
  if (!l) return err_set(e, RC_NOMEM, "agent_memory", NULL, "out of memory");
  l->time = o->time;
  l->rng = o->rng;
  l->stopping = o->stopping;
  l->self = o->self;
  snprintf(l->version_text, sizeof l->version_text, "%.*s", SLICE_ARG(o->version));
  BUF_SCOPED buf_t id = buf_heap(sizeof l->segment - 1);
  url_encode(&id, o->agent_id);
  rc_t r = rc_ok(buf_rc(&id)) ? rc(RC_OK) : err_set(e, RC_INVALID, "agent_id", "CERTCTL_AGENT_ID", "is too long");
  if (rc_ok(r)) memcpy(l->segment, id.p, id.n);
  if (rc_ok(r)) r = make_headers(l, o, e);
  http.tick = on_tick;
  http.self = l;
  http.time = o->time;
  if (rc_ok(r)) r = http_client_new(&http, &l->http, e);
  if (rc_ok(r)) {
    l->arena = arena_new(HEARTBEAT_ARENA);
    if (!l->arena) r = err_set(e, RC_NOMEM, "agent_memory", NULL, "out of memory");
  }
  if (!rc_ok(r)) {
    link_free(l);
    return r;
  }
  *ret = l;
  return rc(RC_OK);
}

void link_free(link_t *l)
{
  if (!l) return;
  http_client_free(l->http);
  arena_free(l->arena);
  secret_fini(&l->headers);
  mem_free(l);
}

bool link_is_retired(const link_t *l)
{
  return l->retired;
}

slice_t link_agent_path(const link_t *l, arena_t *a, const char *tail)
{
  return arena_printf(a, "/agents/%s%s", l->segment, tail);
}

/* One exchange, no second try. */
static rc_t exchange(link_t *l, http1_method_t method, slice_t path, slice_t body, bool wait, int64_t timeout_ms, arena_t *a,
                     http_answer_t *ret, err_t *e)
{
  slice_t whole = arena_printf(a, "/api/v1%.*s", SLICE_ARG(path));
  if (!whole.p) return err_set(e, RC_NOMEM, "agent_memory", NULL, "out of memory");
  l->busy = true;
  rc_t r = http_client_call(l->http,
                            &(http_call_t){.method = method,
                                           .path = whole,
                                           .headers = slice_of(l->headers.p, wait ? l->headers.n : l->plain_n),
                                           .body = body,
                                           .timeout_ms = timeout_ms,
                                           .body_max = LIM_AGENT_REPLY},
                            a, ret, e);
  l->busy = false;
  return r;
}

int64_t link_backoff_ms(const rng_t *rng, uint32_t failures)
{
  static const uint16_t seconds[] = {0, 1, 2, 5, 10, 30, 60, 90, 120, 180, 240, 300};
  uint32_t last = COUNT_OF(seconds) - 1;
  int64_t ms = seconds[failures < last ? failures : last] * 1000;
  if (ms == 0) return 0;
  return ms * 9 / 10 + (int64_t)rng_below(rng, (uint64_t)ms / 5);
}

/* --- heartbeat --- */

static void plan_heartbeat(link_t *l, int64_t after_ms)
{
  l->heartbeat_due_us = time_mono_us(l->time) + after_ms * 1000;
}

static rc_t send_heartbeat(link_t *l, err_t *e)
{
  host_t h;
  http_answer_t answer = {0};
  host_read(&h);
  arena_reset(l->arena);
  buf_t body = buf_on(l->arena, HEARTBEAT_ARENA / 4);
  jw_t j = jw_on(&body);
  jw_object(&j);
  jw_put_str(&j, "version", l->version_text);
  jw_put_str(&j, "hostname", h.hostname);
  jw_put_str(&j, "os", h.os);
  jw_put_str(&j, "architecture", h.architecture);
  jw_put_str(&j, "ip_address", h.address);
  jw_object_end(&j);
  TRY(buf_rc(&body));
  TRY(exchange(l, HTTP1_POST, link_agent_path(l, l->arena, "/heartbeat"), buf_slice(&body), false, HEARTBEAT_MS, l->arena,
               &answer, e));
  if (answer.status == 410) l->retired = true;
  if (answer.status == 200 || answer.status == 410) return rc(RC_OK);
  return err_limit(e, RC_CONFLICT, "agent_status", NULL, "heartbeat was answered with status {limit}", answer.status);
}

rc_t link_heartbeat(link_t *l, int64_t early_s, err_t *e)
{
  if (l->busy || l->retired || time_mono_us(l->time) + early_s * US_PER_S < l->heartbeat_due_us) return rc(RC_OK);
  rc_t r = send_heartbeat(l, e);
  l->heartbeat_failures = rc_ok(r) ? 0 : l->heartbeat_failures + 1;
  int64_t tenth_ms = LINK_HEARTBEAT_S * 100;
  plan_heartbeat(l, rc_ok(r) ? 9 * tenth_ms + (int64_t)rng_below(l->rng, (uint64_t)(2 * tenth_ms))
                             : link_backoff_ms(l->rng, l->heartbeat_failures));
  return r;
}

void link_tick(void *link)
{
  link_t *l = link;
  err_t e = {0};
  if (!rc_ok(link_heartbeat(l, 0, &e))) log_err(LOG_WARN, "heartbeat failed", &e);
}

void link_pause(link_t *l, int64_t ms)
{
  int64_t end = time_mono_us(l->time) + ms * 1000;
  while (!l->stopping(l->self) && !l->retired) {
    int64_t left_ms = (end - time_mono_us(l->time)) / 1000;
    if (left_ms <= 0) return;
    proc_pause(left_ms < NAP_MS ? left_ms : NAP_MS, l->time, link_tick, l);
  }
}

/* --- calls --- */

rc_t link_work(link_t *l, arena_t *a, http_answer_t *ret, bool *ret_waits, err_t *e)
{
  http_answer_t answer = {0};
  l->may_give_up = true;
  rc_t r = exchange(l, HTTP1_GET, link_agent_path(l, a, "/work"), (slice_t){NULL, 0}, true, LINK_POLL_MS, a, &answer,
                    e);
  l->may_give_up = false;
  TRY(r);
  if (answer.status == 410) l->retired = true;
  char offered[24];
  snprintf(offered, sizeof offered, "wait=%d", LINK_WAIT_S);
  *ret_waits = slice_ieq(http1_header(answer.head, "Preference-Applied"), slice_str(offered));
  *ret = answer;
  return r;
}

static bool is_passing(int status)
{
  return status == 429 || status == 502 || status == 503 || status == 504;
}

rc_t link_call(link_t *l, http1_method_t method, slice_t path, slice_t body, arena_t *a, http_answer_t *ret, err_t *e)
{
  int64_t end = time_mono_us(l->time) + LINK_PATIENCE_S * US_PER_S;
  for (uint32_t failures = 1;; failures++) {
    err_t why = {0};
    http_answer_t answer = {0};
    rc_t r = exchange(l, method, path, body, false, LINK_CALL_MS, a, &answer, &why);
    bool again = rc_ok(r) ? is_passing(answer.status) : !rc_is(r, RC_NOMEM) && !rc_is(r, RC_FULL);
    if (!again || time_mono_us(l->time) >= end) {
      if (rc_ok(r)) *ret = answer;
      else if (e) *e = why;
      return r;
    }
    if (!rc_ok(r)) log_err(LOG_WARN, "server does not answer, trying again", &why);
    else log_line(LOG_WARN, "server is busy, trying again", log_i("status", answer.status));
    proc_pause(link_backoff_ms(l->rng, failures), l->time, NULL, NULL);
    if (l->stopping(l->self)) end = 0; /* one more try, then leave it to the next run */
  }
}
