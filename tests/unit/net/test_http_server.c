#include "net/http_server.h"
#include "base/mem.h"
#include "base/random.h"
#include "net/tls.h"

#include "identity.h"

#include "../eventually.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "../eventually.h"

enum { ROOM = 40 << 20 };

static http_server_t *server;
static tls_client_t *trust;
static sem_t gate;          /* /block waits here */
static atomic_int blocked, found, runs, resumed, over;
static slice_t big;

/* --- the application under the server --- */

static void plan(void *self, const http1_head_t *head, http_plan_t *ret)
{
  ret->arena_max = 1 << 20;
  ret->body_max = slice_is(head->path, "/nobody") ? 0 : 1000;
  ret->queue = slice_is(head->path, "/other") ? 0 : 1;
  ret->on_loop = slice_is(head->path, "/loop") || slice_is(head->path, "/looppark") || slice_is(head->path, "/elsewhere");
  if (slice_is(head->path, "/missing")) ret->status = 404;
}

static void wait_for(const http_request_t *rq, http_response_t *rp)
{
  atomic_fetch_add(&runs, 1);
  if (rq->resumed) atomic_fetch_add(&resumed, 1);
  if (rq->wait_over) atomic_fetch_add(&over, 1);
  int here = atomic_load(&found);
  /* The event comes between looking and parking: it must not be lost. */
  if (slice_is(rq->head->query, "race") && !rq->resumed) {
    atomic_store(&found, 1);
    http_server_wake(server, 'k', S("race"));
  }
  rp->park = !here && !rq->wait_over;
  rp->park_kind = 'k';
  rp->park_key = rq->head->query;
  rp->park_ms = slice_is(rq->head->query, "short") ? 50 : slice_is(rq->head->query, "never") ? -1 : slice_is(rq->head->query, "atonce") ? 0 : 60000;
  rp->body = rq->wait_over ? S("nothing") : S("there");
}

static void handle(void *self, const http_request_t *rq, http_response_t *rp)
{
  slice_t path = rq->head->path;
  rp->status = 200;
  rp->body = arena_dup(rq->arena, rq->body.n ? rq->body : path);
  if (slice_is(path, "/block")) {
    atomic_fetch_add(&blocked, 1);
    (void)sem_wait(&gate);
  } else if (slice_is(path, "/park") || slice_is(path, "/looppark")) {
    wait_for(rq, rp);
  } else if (slice_is(path, "/elsewhere")) {
    rp->elsewhere = rq->on_loop;
    rp->body = rq->on_loop ? S("loop") : S("worker");
  } else if (slice_is(path, "/big")) {
    rp->body = big;
  } else if (slice_is(path, "/none")) {
    rp->status = 204;
    rp->body = S("");
  } else if (slice_is(path, "/bye")) {
    rp->close = true;
  } else if (slice_is(path, "/silent")) {
    rp->status = 0;
  } else if (slice_is(path, "/who")) {
    rp->body = arena_printf(rq->arena, "%.*s %.*s", SLICE_ARG(rq->remote_addr), SLICE_ARG(rq->request_id));
  } else if (slice_is(path, "/nobody")) {
    rp->body = arena_printf(rq->arena, "%zu", rq->body.n);
  }
}

static void refuse(void *self, int status, const http1_head_t *head, slice_t request_id, buf_t *headers, buf_t *body)
{
  buf_printf(body, "refused %d", status);
}

static const http_app_t app = {plan, handle, refuse, NULL};

static void serve(http_server_options_t o)
{
  err_t e = {0};
  o.host = S("127.0.0.1");
  if (!o.loops) o.loops = 2;
  rc_t r = http_server_start(&o, &app, slice_str(identity_cert), slice_str(identity_key), &server, &e);
  if (!rc_ok(r)) fail_msg("%s", e.text);
  atomic_store(&found, 0);
  atomic_store(&runs, 0);
  atomic_store(&resumed, 0);
  atomic_store(&over, 0);
  atomic_store(&blocked, 0);
}

static void stop(void)
{
  http_server_stop(server, 2000);
  server = NULL;
}

/* --- a blocking client --- */

typedef struct peer {
  int fd;
  tls_t *t;
  buf_t out, in;
  bool closed;
} peer_t;

static int dial(void)
{
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(http_server_port(server)), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  struct timeval patience = {.tv_sec = 10};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  assert_true(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
  return fd;
}

static void flush(peer_t *p)
{
  if (p->out.n) (void)send(p->fd, p->out.p, p->out.n, MSG_NOSIGNAL);
  buf_reset(&p->out);
}

/* Reads once from the socket. */
static void pull(peer_t *p)
{
  uint8_t bytes[65536];
  ssize_t n = recv(p->fd, bytes, sizeof bytes, 0);
  if (n < 0) fail_msg("no answer within 10 s");
  p->closed = n == 0;
  rc_t r = tls_recv(p->t, slice_of(bytes, (size_t)n), &p->in, &p->out, NULL);
  if (!rc_is(r, RC_AGAIN)) p->closed = true;
  flush(p);
}

static peer_t join(void)
{
  peer_t p = {.fd = dial(), .out = buf_heap(ROOM), .in = buf_heap(ROOM)};
  assert_int_equal(tls_connect(trust, S("localhost"), &p.t, NULL).code, RC_OK);
  assert_int_equal(tls_recv(p.t, S(""), &p.in, &p.out, NULL).code, RC_AGAIN);
  flush(&p);
  while (!tls_is_ready(p.t) && !p.closed) pull(&p);
  return p;
}

static void leave(peer_t *p)
{
  (void)close(p->fd);
  tls_free(p->t);
  buf_fini(&p->out);
  buf_fini(&p->in);
}

static void say(peer_t *p, const char *text)
{
  assert_int_equal(tls_send(p->t, slice_str(text), &p->out, NULL).code, RC_OK);
  flush(p);
}

/* The next answer; its head stays valid until the next call. Status 0: the connection was closed instead. */
typedef struct answer {
  int status;
  http1_head_t head;
  slice_t body;
  buf_t bytes;
} answer_t;

static void answer_fini(answer_t *a) { buf_fini(&a->bytes); }
#define ANSWER_SCOPED CLEANUP(answer_fini)

static answer_t hear(peer_t *p, http1_method_t m)
{
  answer_t a = {.bytes = buf_heap(ROOM)};
  size_t scan = 0;
  for (;;) {
    rc_t r = http1_response(buf_slice(&p->in), &scan, m, &a.head, NULL);
    size_t all = rc_ok(r) ? a.head.size + (size_t)(a.head.content_length > 0 ? a.head.content_length : 0) : SIZE_MAX;
    assert_true(rc_ok(r) || rc_is(r, RC_AGAIN));
    if (p->in.n >= all) {
      buf_put(&a.bytes, slice_of(p->in.p, all));
      buf_consume(&p->in, all);
      scan = 0;
      assert_int_equal(http1_response(buf_slice(&a.bytes), &scan, m, &a.head, NULL).code, RC_OK);
      a.status = a.head.status;
      a.body = slice_sub(buf_slice(&a.bytes), a.head.size, all);
      return a;
    }
    if (p->closed) return a;
    pull(p);
  }
}

static void expect(peer_t *p, http1_method_t m, int status, const char *body)
{
  answer_t a ANSWER_SCOPED = hear(p, m);
  assert_int_equal(a.status, status);
  if (!slice_is(a.body, body)) fail_msg("body \"%.*s\", not \"%s\"", SLICE_ARG(a.body), body);
}

static void expect_closed(peer_t *p)
{
  while (!p->closed) pull(p);
  assert_int_equal(p->in.n, 0);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

/* --- tests --- */

static void test_answers(void **state)
{
  serve((http_server_options_t){0});
  peer_t p = join();
  say(&p, GET("/one"));
  expect(&p, HTTP1_GET, 200, "/one");
  say(&p, GET("/loop"));
  expect(&p, HTTP1_GET, 200, "/loop");
  for (int i = 0; i < 3; i++) say(&p, GET("/elsewhere"));
  for (int i = 0; i < 3; i++) expect(&p, HTTP1_GET, 200, "worker");
  say(&p, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
  expect(&p, HTTP1_POST, 200, "hello");
  say(&p, "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  expect(&p, HTTP1_POST, 200, "abcde");
  say(&p, "HEAD /head HTTP/1.1\r\nHost: a\r\n\r\n");
  answer_t a ANSWER_SCOPED = hear(&p, HTTP1_HEAD);
  assert_int_equal(a.status, 200);
  assert_true(slice_is(http1_header(&a.head, "content-length"), "5"));
  say(&p, GET("/none"));
  expect(&p, HTTP1_GET, 204, "");
  say(&p, GET("/missing"));
  expect(&p, HTTP1_GET, 404, "refused 404");
  say(&p, "DELETE /nobody HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}");
  expect(&p, HTTP1_DELETE, 200, "0");
  say(&p, GET("/silent"));
  expect(&p, HTTP1_GET, 500, "refused 500");
  expect_closed(&p);
  leave(&p);
  stop();
}

static void test_headers(void **state)
{
  static const char *const names[] = {"Strict-Transport-Security", "X-Frame-Options", "X-Content-Type-Options", "Referrer-Policy",
                                      "Content-Security-Policy", "Permissions-Policy", "X-Request-ID", "Date"};
  serve((http_server_options_t){0});
  peer_t p = join();
  char last[UUID_LEN + 1] = "";
  static const char *const requests[] = {GET("/who"), GET("/missing"), GET("/loop"), "bad\r\n\r\n"};
  for (size_t i = 0; i < COUNT_OF(requests); i++) {
    say(&p, requests[i]);
    answer_t a ANSWER_SCOPED = hear(&p, HTTP1_GET);
    for (size_t k = 0; k < COUNT_OF(names); k++) {
      size_t n = 0;
      for (size_t f = 0; f < a.head.nfields; f++) n += slice_ieq(a.head.fields[f].name, slice_str(names[k]));
      if (n != 1) fail_msg("%s is there %zu times", names[k], n);
    }
    slice_t id = http1_header(&a.head, "x-request-id");
    assert_int_equal(id.n, UUID_LEN);
    assert_true(id.p[14] == '4' && !slice_is(id, last));
    memcpy(last, id.p, id.n);
    if (i == 0) {
      assert_true(slice_starts(a.body, S("127.0.0.1 ")));
      assert_true(slice_ends(a.body, id));
    }
  }
  leave(&p);
  stop();
}

static void test_pipeline(void **state)
{
  serve((http_server_options_t){0});
  peer_t p = join();
  say(&p, GET("/1") GET("/missing") GET("/loop") "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" GET("/5"));
  expect(&p, HTTP1_GET, 200, "/1");
  expect(&p, HTTP1_GET, 404, "refused 404");
  expect(&p, HTTP1_GET, 200, "/loop");
  expect(&p, HTTP1_POST, 200, "abc");
  expect(&p, HTTP1_GET, 200, "/5");
  /* More than is read ahead: reading stops and goes on. */
  buf_t many BUF_SCOPED = buf_heap(ROOM);
  for (int i = 0; i < 3000; i++) buf_puts(&many, GET("/again"));
  buf_byte(&many, 0);
  say(&p, (const char *)many.p);
  for (int i = 0; i < 3000; i++) expect(&p, HTTP1_GET, 200, "/again");
  /* Nothing is answered behind an answer that closes, or behind a refusal. */
  say(&p, GET("/bye") GET("/never"));
  expect(&p, HTTP1_GET, 200, "/bye");
  expect_closed(&p);
  leave(&p);
  p = join();
  say(&p, "GET / HTTP/1.1\r\nHost : a\r\n\r\n" GET("/never"));
  expect(&p, HTTP1_GET, 400, "refused 400");
  expect_closed(&p);
  leave(&p);
  stop();
}

static void test_refusals(void **state)
{
  static const struct {
    const char *text;
    int status;
  } rows[] = {
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n", 413},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n", 413},
    {"POST /nobody HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n", 413},
    {"POST /missing HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n", 404},
    {"GET / HTTP/1.1\r\nHost: a\r\nExpect: cake\r\n\r\n", 417},
    {"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505},
    {"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501},
  };
  serve((http_server_options_t){0});
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    peer_t p = join();
    say(&p, rows[i].text);
    answer_t a ANSWER_SCOPED = hear(&p, HTTP1_GET);
    assert_int_equal(a.status, rows[i].status);
    assert_false(a.head.keep_alive);
    expect_closed(&p);
    leave(&p);
  }
  assert_int_equal(http_server_stats(server).refused, COUNT_OF(rows));
  stop();
}

static void test_expect_continue(void **state)
{
  serve((http_server_options_t){0});
  peer_t p = join();
  say(&p, "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  expect(&p, HTTP1_POST, 100, "");
  say(&p, "abc");
  expect(&p, HTTP1_POST, 200, "abc");
  say(&p, "POST /missing HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  expect(&p, HTTP1_POST, 404, "refused 404");
  leave(&p);
  stop();
}

static void test_slow_bytes(void **state)
{
  serve((http_server_options_t){0});
  peer_t p = join();
  const char *text = "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
  for (const char *c = text; *c; c++) {
    char one[2] = {*c, 0};
    say(&p, one);
  }
  expect(&p, HTTP1_POST, 200, "abc");
  leave(&p);
  stop();
}

static void test_large_answer(void **state)
{
  buf_t b BUF_SCOPED = buf_heap(ROOM);
  for (int i = 0; i < 20 << 20; i++) buf_byte(&b, (uint8_t)(i ^ i >> 8));
  big = buf_slice(&b);
  serve((http_server_options_t){0});
  peer_t p = join();
  say(&p, GET("/big") GET("/after"));
  usleep(100000); /* let it run into the socket's limit */
  answer_t a ANSWER_SCOPED = hear(&p, HTTP1_GET);
  assert_true(slice_eq(a.body, big));
  expect(&p, HTTP1_GET, 200, "/after");
  leave(&p);
  p = join(); /* a peer that goes away in the middle */
  say(&p, GET("/big"));
  pull(&p);
  leave(&p);
  EVENTUALLY(http_server_stats(server).connections == 0);
  stop();
}

static void test_timeouts(void **state)
{
  serve((http_server_options_t){.head_timeout_ms = 200, .read_timeout_ms = 300, .idle_timeout_ms = 400});
  peer_t p = join();
  say(&p, "GET / HT");
  expect(&p, HTTP1_GET, 408, "refused 408");
  expect_closed(&p);
  leave(&p);
  p = join();
  say(&p, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
  expect(&p, HTTP1_POST, 408, "refused 408");
  leave(&p);
  p = join(); /* idle: closed without a word */
  expect_closed(&p);
  leave(&p);
  int fd = dial(); /* no handshake */
  char c;
  assert_int_equal(recv(fd, &c, 1, 0), 0);
  (void)close(fd);
  stop();
}

/* What begins as a method does is told so, be it one or not; the rest gets a TLS alert. */
static void test_plain_http(void **state)
{
  static const struct {
    const char *said;
    bool told;
  } t[] = {{GET("/"), true}, {"ACL / HTTP/1.1\r\n\r\n", true}, {"ZZZ\r\n", true}, {"@AAAAA", false}, {"[AAAAA", false}};
  serve((http_server_options_t){0});
  for (size_t i = 0; i < COUNT_OF(t); i++) {
    int fd = dial();
    assert_true(send(fd, t[i].said, strlen(t[i].said), MSG_NOSIGNAL) > 0);
    char text[512];
    size_t n = 0;
    for (ssize_t got; n < sizeof text - 1 && (got = recv(fd, text + n, sizeof text - 1 - n, 0)) > 0;) n += (size_t)got;
    text[n] = 0;
    assert_int_equal(strstr(text, "HTTP/1.0 400") != NULL, t[i].told);
    assert_int_equal(strstr(text, "Client sent an HTTP request to an HTTPS server.") != NULL, t[i].told);
    (void)close(fd);
  }
  stop();
}

/* Whichever of the first allocations fails, the start is refused and the port free again. */
static void test_start_without_memory(void **state)
{
  http_server_options_t o = {.host = S("127.0.0.1"), .loops = 1, .workers = 1};
  int failed = 0;
  for (long n = 0; n < 60; n++) {
    err_t e = {0};
    http_server_t *s = NULL;
    mem_fail_after(n);
    rc_t r = http_server_start(&o, &app, slice_str(identity_cert), slice_str(identity_key), &s, &e);
    mem_fail_after(-1);
    if (rc_ok(r)) {
      http_server_stop(s, 100);
      continue;
    }
    failed++;
    assert_null(s);
    assert_true(rc_is(r, RC_NOMEM));
  }
  assert_true(failed > 5);
}

static void test_park(void **state)
{
  serve((http_server_options_t){0});
  peer_t p = join(), q = join();
  say(&p, GET("/park?a"));
  say(&q, GET("/park?b"));
  EVENTUALLY(http_server_stats(server).parked == 2);
  arena_t *arena = arena_new(4096);
  slice_t keys[4];
  assert_int_equal(http_server_parked(server, 'k', keys, 4, arena), 2);
  assert_int_equal(http_server_parked(server, 'x', keys, 4, arena), 0);
  arena_free(arena);
  atomic_store(&found, 1);
  http_server_wake(server, 'x', S("a")); /* another kind */
  http_server_wake(server, 'k', S("a"));
  expect(&p, HTTP1_GET, 200, "there");
  assert_int_equal(http_server_stats(server).parked, 1);
  leave(&q); /* a peer that goes away is forgotten at once */
  EVENTUALLY(http_server_stats(server).parked == 0 && http_server_stats(server).connections == 1);
  atomic_store(&found, 0);
  say(&p, GET("/park?short"));
  expect(&p, HTTP1_GET, 200, "nothing");
  assert_int_equal(atomic_load(&over), 1);
  say(&p, GET("/park?race"));
  expect(&p, HTTP1_GET, 200, "there");
  atomic_store(&found, 0);
  say(&p, GET("/looppark?c"));
  EVENTUALLY(http_server_stats(server).parked == 1);
  atomic_store(&found, 1);
  http_server_wake(server, 'k', S("c"));
  expect(&p, HTTP1_GET, 200, "there");
  leave(&p);
  stop();
}

/* Woken again and again by several threads while peers come and go: every request is answered once. */
static void *waker(void *arg)
{
  const atomic_bool *ended = arg;
  while (!atomic_load(ended)) http_server_wake(server, 'k', S("z"));
  return NULL;
}

/* A wish to wait that cannot be met is a fault of the application, and said so; the longest key is none. */
static void test_park_that_cannot_be(void **state)
{
  char key[LIM_HTTP_PARK_KEY + 1], request[LIM_HTTP_PARK_KEY + 64];
  serve((http_server_options_t){0});
  memset(key, 'k', sizeof key);
  for (int n = LIM_HTTP_PARK_KEY; n <= LIM_HTTP_PARK_KEY + 1; n++) {
    peer_t p = join();
    snprintf(request, sizeof request, "GET /park?%.*s HTTP/1.1\r\nHost: a\r\n\r\n", n, key);
    say(&p, request);
    if (n == LIM_HTTP_PARK_KEY) {
      EVENTUALLY(http_server_stats(server).parked == 1);
      atomic_store(&found, 1);
      http_server_wake(server, 'k', slice_of(key, LIM_HTTP_PARK_KEY));
      expect(&p, HTTP1_GET, 200, "there");
      atomic_store(&found, 0);
    } else {
      expect(&p, HTTP1_GET, 500, "refused 500");
    }
    leave(&p);
  }
  peer_t p = join();
  say(&p, GET("/park?never"));
  expect(&p, HTTP1_GET, 500, "refused 500");
  leave(&p);
  p = join();
  say(&p, GET("/park?atonce"));
  expect(&p, HTTP1_GET, 200, "nothing");
  leave(&p);
  stop();
}

static void test_park_storm(void **state)
{
  serve((http_server_options_t){0});
  atomic_bool ended = false;
  pthread_t t[2];
  for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&t[i], NULL, waker, &ended), 0);
  for (int i = 0; i < 20; i++) {
    peer_t p = join(), q = join();
    say(&p, GET("/park?z"));
    say(&q, GET("/park?z"));
    leave(&q);
    EVENTUALLY(atomic_load(&resumed) > i * 4);
    atomic_store(&found, 1);
    expect(&p, HTTP1_GET, 200, "there");
    leave(&p);
    atomic_store(&found, 0);
  }
  atomic_store(&ended, true);
  for (int i = 0; i < 2; i++) pthread_join(t[i], NULL);
  EVENTUALLY(http_server_stats(server).parked == 0);
  stop();
}

/* More requests woken at once than the queue is deep: all are answered. */
static void test_mass_wake(void **state)
{
  enum { N = 300 };
  static peer_t p[N];
  serve((http_server_options_t){.queue_depth = {80, 80, 80}, .loops = 1});
  for (int i = 0; i < N; i++) p[i] = join();
  for (int i = 0; i < N; i++) {
    say(&p[i], GET("/park?m"));
    if (i % 50 == 49) EVENTUALLY(http_server_stats(server).parked == i + 1); /* this burst must fit the queue */
  }
  atomic_store(&found, 1);
  http_server_wake(server, 'k', S("m"));
  for (int i = 0; i < N - 10; i++) expect(&p[i], HTTP1_GET, 200, "there");
  for (int i = 0; i < N; i++) leave(&p[i]);
  assert_int_equal(http_server_stats(server).refused, 0);
  EVENTUALLY(http_server_stats(server).connections == 0);
  stop();
}

static void test_full_queue(void **state)
{
  serve((http_server_options_t){.workers = 2, .queue_depth = {1, 1, 1}, .queue_workers = {1, 1, 1}});
  peer_t a = join(), b = join(), c = join(), d = join();
  say(&a, GET("/block"));
  EVENTUALLY(atomic_load(&blocked) == 1);
  say(&b, GET("/waits"));
  EVENTUALLY(http_server_stats(server).queue[1].waiting == 1);
  say(&c, GET("/x"));
  answer_t r ANSWER_SCOPED = hear(&c, HTTP1_GET);
  assert_int_equal(r.status, 503);
  assert_true(slice_is(http1_header(&r.head, "retry-after"), "1"));
  say(&d, GET("/other")); /* another class is not held up */
  expect(&d, HTTP1_GET, 200, "/other");
  sem_post(&gate);
  expect(&a, HTTP1_GET, 200, "/block");
  expect(&b, HTTP1_GET, 200, "/waits");
  say(&c, GET("/x")); /* the connection lives on */
  expect(&c, HTTP1_GET, 200, "/x");
  leave(&a);
  leave(&b);
  leave(&c);
  leave(&d);
  stop();
}

static void test_too_many(void **state)
{
  serve((http_server_options_t){.max_connections = 2});
  peer_t a = join(), b = join();
  int fd = dial();
  char c;
  assert_true(recv(fd, &c, 1, 0) <= 0);
  (void)close(fd);
  assert_int_equal(http_server_stats(server).shed, 1);
  leave(&a);
  EVENTUALLY(http_server_stats(server).connections == 1);
  a = join();
  say(&a, GET("/x"));
  expect(&a, HTTP1_GET, 200, "/x");
  leave(&a);
  leave(&b);
  stop();
}

static void *stopper(void *arg)
{
  http_server_stop(arg, 5000);
  return NULL;
}

static void test_drain(void **state)
{
  serve((http_server_options_t){0});
  peer_t busy = join(), parked = join(), idle = join();
  say(&busy, GET("/block"));
  say(&parked, GET("/park?p"));
  EVENTUALLY(atomic_load(&blocked) == 1 && http_server_stats(server).parked == 1);
  pthread_t t;
  assert_int_equal(pthread_create(&t, NULL, stopper, server), 0);
  expect(&parked, HTTP1_GET, 200, "nothing");
  expect_closed(&idle);
  sem_post(&gate);
  answer_t a ANSWER_SCOPED = hear(&busy, HTTP1_GET);
  assert_int_equal(a.status, 200);
  assert_false(a.head.keep_alive);
  leave(&busy);
  leave(&parked);
  leave(&idle);
  pthread_join(t, NULL);
}

static void test_stop_cuts(void **state)
{
  serve((http_server_options_t){0});
  peer_t p = join();
  say(&p, "GET / HTTP/1.1\r\nHo"); /* never finished */
  struct timespec from, to;
  clock_gettime(CLOCK_MONOTONIC, &from);
  http_server_stop(server, 100);
  clock_gettime(CLOCK_MONOTONIC, &to);
  assert_true(to.tv_sec - from.tv_sec < 3);
  while (!p.closed) pull(&p);
  leave(&p);
}

static void test_identity_and_address(void **state)
{
  serve((http_server_options_t){0});
  assert_int_equal(http_server_identity(server, slice_str(stranger_cert), slice_str(identity_key), NULL).code, RC_INVALID);
  assert_int_equal(http_server_identity(server, slice_str(identity_cert), slice_str(identity_key), NULL).code, RC_OK);
  peer_t p = join();
  say(&p, GET("/x"));
  expect(&p, HTTP1_GET, 200, "/x");
  leave(&p);
  http_server_t *second = NULL;
  err_t e = {0};
  http_server_options_t o = {.host = S("127.0.0.1"), .port = http_server_port(server)};
  assert_int_equal(http_server_start(&o, &app, slice_str(identity_cert), slice_str(identity_key), &second, &e).code, RC_IO);
  assert_string_equal(e.text, "address already in use");
  assert_null(second);
  o.host = S("not an address");
  assert_int_equal(http_server_start(&o, &app, slice_str(identity_cert), slice_str(identity_key), &second, &e).code, RC_INVALID);
  stop();
}

static int setup(void **state)
{
  tls_client_options_t o = {.ca_pem = slice_str(identity_cert)};
  (void)sem_init(&gate, 0, 0);
  return rc_ok(tls_client_new(&o, &trust, NULL)) ? 0 : -1;
}

static int teardown(void **state)
{
  tls_client_free(trust);
  return 0;
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_answers),      cmocka_unit_test(test_headers),    cmocka_unit_test(test_pipeline),
    cmocka_unit_test(test_refusals),     cmocka_unit_test(test_expect_continue), cmocka_unit_test(test_slow_bytes),
    cmocka_unit_test(test_large_answer), cmocka_unit_test(test_timeouts),   cmocka_unit_test(test_plain_http),  cmocka_unit_test(test_start_without_memory),
    cmocka_unit_test(test_park),         cmocka_unit_test(test_park_that_cannot_be), cmocka_unit_test(test_park_storm), cmocka_unit_test(test_mass_wake), cmocka_unit_test(test_full_queue),
    cmocka_unit_test(test_too_many),     cmocka_unit_test(test_drain),      cmocka_unit_test(test_stop_cuts),
    cmocka_unit_test(test_identity_and_address),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
