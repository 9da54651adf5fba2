#include "net/http_client.h"

#include "base/limits.h"
#include "base/mem.h"
#include "io/sock.h"
#include "net/tls.h"
#include "wire/url.h"

enum { READ_SIZE = 4096, RECORD_MAX = 17 * 1024 };

struct http_client {
  char *url; /* owns what `base` points into */
  url_base_t base;
  char *user_agent;
  tls_client_t *trust;
  sock_patience_t patience; /* but for the deadline, which is each call's */
  sock_t sock;
  tls_t *tls; /* NULL: not connected */
  uint64_t connects;
};

/* One exchange under way. */
typedef struct exchange {
  http_client_t *c;
  const http_call_t *call;
  arena_t *arena;
  sock_patience_t patience;
  buf_t plain; /* decrypted and not yet used */
  buf_t out;   /* ciphertext to send */
  bool sent;   /* bytes of the request may have reached the server */
  bool heard;  /* bytes of the answer have come */
  bool ended;  /* the server has closed; what it sent before is in `plain` */
} exchange_t;

static MUST rc_t fail(err_t *e, int32_t code, const char *reason, const char *text)
{
  rc_t r = err_set(e, code, reason, NULL, text);
  if (e) e->retry = code == RC_TIMEOUT || code == RC_CLOSED || code == RC_IO;
  return r;
}

static MUST rc_t no_memory(err_t *e)
{
  return fail(e, RC_NOMEM, "http_memory", "out of memory for the request");
}

rc_t http_client_new(const http_client_options_t *o, http_client_t **ret, err_t *e)
{
  url_base_t base;
  TRY(url_base_parse(o->base_url, &base, e));
  http_client_t *c = mem_alloc(sizeof *c);
  if (!c) return no_memory(e);
  *c = (http_client_t){.patience = {.time = o->time, .tick = o->tick, .self = o->self}, .sock = SOCK_CLOSED};
  c->url = mem_dup_text(o->base_url.p, o->base_url.n);
  c->user_agent = mem_dup_text(o->user_agent.p, o->user_agent.n);
  rc_t r = c->url && c->user_agent ? url_base_parse(slice_str(c->url), &c->base, e) : no_memory(e);
  tls_client_options_t t = {.ca_pem = o->ca_pem, .insecure = o->insecure};
  if (rc_ok(r)) r = tls_client_new(&t, &c->trust, e);
  if (!rc_ok(r)) {
    http_client_free(c);
    return r;
  }
  *ret = c;
  return rc(RC_OK);
}

/* Lets go of the connection without a word. */
static void drop(http_client_t *c)
{
  tls_free(c->tls);
  c->tls = NULL;
  sock_close(&c->sock);
}

void http_client_close(http_client_t *c)
{
  if (!c->tls) return;
  BUF_SCOPED buf_t out = buf_heap(RECORD_MAX);
  size_t n;
  tls_close(c->tls, &out);
  if (out.n && !rc_ok(sock_write(&c->sock, out.p, out.n, &n))) out.n = 0; /* a courtesy: the peer sees the end anyway */
  drop(c);
}

void http_client_free(http_client_t *c)
{
  if (!c) return;
  http_client_close(c);
  if (c->trust) tls_client_free(c->trust);
  mem_free(c->user_agent);
  mem_free(c->url);
  mem_free(c);
}

uint64_t http_client_connects(const http_client_t *c)
{
  return c->connects;
}

static MUST rc_t closed(err_t *e)
{
  return fail(e, RC_CLOSED, "http_closed", "the server closed the connection");
}

static MUST rc_t wait_for(exchange_t *x, int what, err_t *e)
{
  rc_t r = sock_wait(&x->c->sock, what, &x->patience);
  if (rc_is(r, RC_TIMEOUT)) return fail(e, RC_TIMEOUT, "http_timeout", "the server did not answer in time");
  if (rc_is(r, RC_AGAIN)) return fail(e, RC_AGAIN, "http_given_up", "the request was given up");
  if (!rc_ok(r)) return fail(e, RC_IO, "http_io", "the connection to the server failed");
  return r;
}

/* Sends all of x->out. */
static MUST rc_t flush(exchange_t *x, err_t *e)
{
  while (x->out.n) {
    size_t n;
    rc_t r = sock_write(&x->c->sock, x->out.p, x->out.n, &n);
    if (rc_ok(r))
      buf_consume(&x->out, n);
    else if (rc_is(r, RC_AGAIN))
      TRY(wait_for(x, SOCK_WRITE, e));
    else
      return closed(e);
  }
  return rc(RC_OK);
}

/*
 * Decrypts what has come into x->plain and answers what TLS itself asks for.
 * The last bytes may come together with the end: they are handed on first.
 */
static MUST rc_t decrypt(exchange_t *x, slice_t in, err_t *e)
{
  size_t before = x->plain.n;
  rc_t r = tls_recv(x->c->tls, in, &x->plain, &x->out, e);
  if (rc_is(r, RC_CLOSED)) {
    x->ended = true;
    return x->plain.n > before ? rc(RC_OK) : closed(e);
  }
  if (rc_is(r, RC_FULL)) return fail(e, RC_FULL, "http_plain_max", "the server sent more than fits");
  if (rc_ok(r) || rc_is(r, RC_AGAIN)) return flush(x, e);
  if (!rc_ok(flush(x, NULL))) buf_reset(&x->out); /* an alert: sent if it can be */
  return r;
}

/* Reads once. Without `wait`, RC_AGAIN when nothing is there. RC_CLOSED at the end of the stream. */
static MUST rc_t receive(exchange_t *x, bool wait, err_t *e)
{
  uint8_t in[READ_SIZE];
  size_t n;
  rc_t r;
  if (x->ended) return closed(e);
  while (rc_is(r = sock_read(&x->c->sock, in, sizeof in, &n), RC_AGAIN)) {
    if (!wait) return r;
    TRY(wait_for(x, SOCK_READ, e));
  }
  if (!rc_ok(r)) return closed(e);
  return decrypt(x, slice_of(in, n), e);
}

static MUST rc_t handshake(exchange_t *x, err_t *e)
{
  http_client_t *c = x->c;
  TRY(tls_connect(c->trust, c->base.host, &c->tls, e));
  TRY(decrypt(x, (slice_t){NULL, 0}, e)); /* makes the first flight */
  while (!tls_is_ready(c->tls)) TRY(receive(x, true, e));
  return rc(RC_OK);
}

static MUST rc_t connect_now(exchange_t *x, err_t *e)
{
  http_client_t *c = x->c;
  drop(c);
  x->sent = x->heard = x->ended = false;
  buf_reset(&x->plain);
  buf_reset(&x->out);
  TRY(sock_connect(c->base.host, c->base.port, &x->patience, &c->sock, e));
  c->connects++;
  rc_t r = handshake(x, e);
  if (!rc_ok(r)) drop(c);
  return r;
}

/* Whether the kept connection is still good: nothing but session tickets may have come since the last answer. */
static MUST bool is_kept(exchange_t *x)
{
  rc_t r = rc(RC_OK);
  if (!x->c->tls) return false;
  while (rc_ok(r)) r = receive(x, false, NULL);
  return rc_is(r, RC_AGAIN) && x->plain.n == 0;
}

/* Request line and headers. Values come from callers that have checked them. */
static void head_emit(const exchange_t *x, buf_t *b)
{
  const http_call_t *call = x->call;
  const url_base_t *base = &x->c->base;
  buf_printf(b, "%s %.*s%.*s HTTP/1.1\r\nHost: %.*s\r\nUser-Agent: %s\r\n", http1_method_name(call->method),
             SLICE_ARG(base->path), SLICE_ARG(call->path), SLICE_ARG(base->authority), x->c->user_agent);
  if (call->body.p) {
    buf_puts(b, "Content-Length: ");
    buf_i64(b, (int64_t)call->body.n);
    buf_puts(b, "\r\n");
  }
  buf_put(b, call->headers);
  buf_puts(b, "\r\n");
}

/*
 * Head and body in as few records as possible. A server may answer and close
 * before it has read everything (413), so a connection that ends while sending
 * is judged by what can be read from it.
 */
static MUST rc_t send_request(exchange_t *x, err_t *e)
{
  const http_call_t *call = x->call;
  BUF_SCOPED buf_t b = buf_heap(LIM_HTTP_HEAD + call->body.n);
  head_emit(x, &b);
  buf_put(&b, call->body);
  if (rc_is(buf_rc(&b), RC_FULL)) return fail(e, RC_FULL, "http_request_max", "the request's head is too long");
  if (!rc_ok(buf_rc(&b))) return no_memory(e);
  TRY(tls_send(x->c->tls, buf_slice(&b), &x->out, e));
  x->sent = true;
  rc_t r = flush(x, e);
  if (!rc_is(r, RC_CLOSED)) return r;
  buf_reset(&x->out);
  return rc(RC_OK);
}

/* Next head of the answer, interim ones skipped (RFC 9110 15.2); copied into the arena with its bytes. */
static MUST rc_t read_head(exchange_t *x, http1_head_t *head, err_t *e)
{
  size_t scan = 0;
  for (;;) {
    rc_t r = http1_response(buf_slice(&x->plain), &scan, x->call->method, head, e);
    if (rc_is(r, RC_AGAIN)) {
      TRY(receive(x, true, e));
      if (x->plain.n) x->heard = true;
      continue;
    }
    TRY(r);
    if (head->status >= 200) break;
    buf_consume(&x->plain, head->size);
    scan = 0;
  }
  slice_t bytes = arena_dup(x->arena, slice_sub(buf_slice(&x->plain), 0, head->size));
  if (!bytes.p) return no_memory(e);
  scan = 0;
  TRY(http1_response(bytes, &scan, x->call->method, head, e));
  buf_consume(&x->plain, head->size);
  return rc(RC_OK);
}

static MUST rc_t body_too_long(const exchange_t *x, err_t *e)
{
  int64_t max = (int64_t)x->call->body_max;
  return err_limit(e, RC_FULL, "http_body_max", NULL, "the answer is longer than {limit} bytes", max);
}

/* Moves what x->plain holds into the body; RC_AGAIN while more is to come. */
static MUST rc_t take_body(exchange_t *x, const http1_head_t *head, http1_chunks_t *chunks, buf_t *body, err_t *e)
{
  slice_t in = buf_slice(&x->plain);
  if (head->chunked) {
    rc_t r = http1_chunks_feed(chunks, &in, body, e);
    buf_consume(&x->plain, x->plain.n - in.n);
    return rc_is(r, RC_FULL) ? body_too_long(x, e) : r;
  }
  size_t want = head->until_close ? in.n : (size_t)head->content_length - body->n;
  size_t n = want < in.n ? want : in.n;
  buf_put(body, slice_sub(in, 0, n));
  buf_consume(&x->plain, n);
  rc_t r = buf_rc(body);
  if (rc_is(r, RC_FULL)) return body_too_long(x, e);
  if (!rc_ok(r)) return no_memory(e);
  return rc(!head->until_close && n == want ? RC_OK : RC_AGAIN);
}

static MUST rc_t read_body(exchange_t *x, const http1_head_t *head, slice_t *ret, err_t *e)
{
  if (head->content_length > 0 && (uint64_t)head->content_length > x->call->body_max) return body_too_long(x, e);
  buf_t body = buf_on(x->arena, x->call->body_max);
  http1_chunks_t chunks = {0};
  rc_t r;
  while (rc_is(r = take_body(x, head, &chunks, &body, e), RC_AGAIN)) {
    r = receive(x, true, e);
    if (rc_is(r, RC_CLOSED) && head->until_close && x->ended) break; /* a cut connection has no close_notify */
    TRY(r);
  }
  if (!rc_ok(r) && !rc_is(r, RC_CLOSED)) return r;
  *ret = body.p ? buf_slice(&body) : S("");
  return rc(RC_OK);
}

/* Request and answer over the connection that is there. */
static MUST rc_t exchange(exchange_t *x, http_answer_t *ret, err_t *e)
{
  http1_head_t *head = ARENA_NEW(x->arena, http1_head_t);
  if (!head) return no_memory(e);
  slice_t body = {0};
  TRY(send_request(x, e));
  TRY(read_head(x, head, e));
  TRY(read_body(x, head, &body, e));
  *ret = (http_answer_t){.status = head->status, .head = head, .body = body};
  if (!head->keep_alive || head->until_close || x->plain.n) http_client_close(x->c);
  return rc(RC_OK);
}

static bool may_repeat(const exchange_t *x)
{
  return !x->heard && (!x->sent || x->call->method != HTTP1_POST);
}

static MUST rc_t call_on(exchange_t *x, http_answer_t *ret, err_t *e)
{
  http_answer_t answer;
  bool kept = is_kept(x);
  if (!kept) TRY(connect_now(x, e));
  rc_t r = exchange(x, &answer, e);
  if (kept && may_repeat(x) && (rc_is(r, RC_CLOSED) || rc_is(r, RC_IO))) {
    TRY(connect_now(x, e));
    r = exchange(x, &answer, e);
  }
  if (!rc_ok(r)) drop(x->c);
  TRY(r);
  *ret = answer;
  return rc(RC_OK);
}

/* A blank or a line end in the path would begin another header or request. */
static bool is_target(slice_t path)
{
  for (size_t i = 0; i < path.n; i++)
    if (path.p[i] <= 0x20 || path.p[i] >= 0x7f) return false;
  return path.n > 0 && path.p[0] == '/';
}

rc_t http_client_call(http_client_t *c, const http_call_t *call, arena_t *a, http_answer_t *ret, err_t *e)
{
  if (!is_target(call->path)) return fail(e, RC_INVALID, "http_path", "the request's path is not encoded");
  exchange_t x = {
    .c = c,
    .call = call,
    .arena = a,
    .patience = c->patience,
    .plain = buf_heap(LIM_HTTP_HEAD + 2 * (size_t)RECORD_MAX),
    .out = buf_heap(LIM_HTTP_HEAD + call->body.n + call->body.n / 64 + 2 * (size_t)RECORD_MAX),
  };
  x.patience.deadline_us = time_mono_us(c->patience.time) + call->timeout_ms * 1000;
  rc_t r = call_on(&x, ret, e);
  buf_fini(&x.plain);
  buf_fini(&x.out);
  return r;
}
