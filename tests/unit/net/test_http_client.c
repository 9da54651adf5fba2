/* The client against a small scripted TLS server on loopback: what it returns, when it reconnects, what it refuses. */
#include "base/check.h"
#include "base/mem.h"
#include "identity.h"
#include "net/http_client.h"
#include "net/tls.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* --- the server: one connection after the other, behaviour chosen by the path --- */

static struct {
  int fd;
  uint16_t port;
  pthread_t thread;
  tls_server_t *tls;
  atomic_int requests;
  atomic_int dying; /* how many requests are still to be met by a close without an answer */
} server;

typedef struct peer {
  int fd;
  tls_t *tls;
  buf_t plain, out;
} peer_t;

static bool peer_flush(peer_t *p)
{
  bool ok = p->out.n == 0 || send(p->fd, p->out.p, p->out.n, MSG_NOSIGNAL) == (ssize_t)p->out.n;
  buf_reset(&p->out);
  return ok;
}

static bool peer_read(peer_t *p)
{
  uint8_t in[16384];
  ssize_t n = recv(p->fd, in, sizeof in, 0);
  if (n <= 0) return false;
  rc_t r = tls_recv(p->tls, slice_of(in, (size_t)n), &p->plain, &p->out, NULL);
  return peer_flush(p) && (rc_ok(r) || rc_is(r, RC_AGAIN));
}

static bool peer_say(peer_t *p, slice_t text)
{
  return rc_ok(tls_send(p->tls, text, &p->out, NULL)) && peer_flush(p);
}

static bool peer_says(peer_t *p, const char *text)
{
  return peer_say(p, slice_str(text));
}

static void peer_bye(peer_t *p)
{
  tls_close(p->tls, &p->out);
  (void)peer_flush(p);
}

static bool answer_echo(peer_t *p, const http1_head_t *h, slice_t body)
{
  BUF_SCOPED buf_t b = buf_heap(8 << 20);
  slice_t auth = http1_header(h, "authorization");
  size_t n = h->target.n + body.n + auth.n + 2;
  buf_printf(&b, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nX-Method: %.*s\r\nX-Host: %.*s\r\n\r\n", n, SLICE_ARG(h->method_text), SLICE_ARG(h->host));
  buf_printf(&b, "%.*s|%.*s|", SLICE_ARG(h->target), (int)auth.n, auth.n ? (const char *)auth.p : "");
  buf_put(&b, body);
  return peer_say(p, buf_slice(&b));
}

/* Answers one request; false ends the connection. */
static bool answer(peer_t *p, const http1_head_t *h, slice_t body)
{
  static const struct {
    const char *path, *text;
    bool bye; /* close_notify behind it; otherwise just the end of the stream where `stay` is false */
    bool stay;
  } fixed[] = {
    {"/chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nT: v\r\n\r\n", false, true},
    {"/interim", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", false, true},
    {"/none", "HTTP/1.1 204 No Content\r\n\r\n", false, true},
    {"/until-close", "HTTP/1.1 200 OK\r\n\r\nall of it", true, false},
    {"/cut", "HTTP/1.1 200 OK\r\n\r\nhalf of i", false, false},
    {"/short", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", true, false},
    {"/bad-chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", false, true},
    {"/junk", "SSH-2.0-OpenSSH_9.2\r\n\r\n", false, true},
    {"/smuggle", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", false, true},
    {"/goodbye", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true, false},
    {"/close", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", true, false},
    {"/all-it-may", "HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n0123456789012345678901234567890123456789012345678901234567890123", false, true},
    {"/one-more", "HTTP/1.1 200 OK\r\nContent-Length: 65\r\n\r\n01234567890123456789012345678901234567890123456789012345678901234", false, false},
    {"/empty", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false, true},
    {"/long", "HTTP/1.1 200 OK\r\nContent-Length: 4096\r\n\r\n", false, false},
    {"/long-chunks",
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n41\r\n0123456789012345678901234567890123456789012345678901234567890123X\r\n0\r\n\r\n", false, false},
  };
  for (size_t i = 0; i < COUNT_OF(fixed); i++) {
    if (!slice_is(h->path, fixed[i].path)) continue;
    bool ok = peer_says(p, fixed[i].text);
    if (fixed[i].bye) peer_bye(p);
    return ok && fixed[i].stay;
  }
  if (slice_is(h->path, "/silent")) {
    uint8_t c;
    (void)!recv(p->fd, &c, 1, 0); /* until the client goes */
    return false;
  }
  if (slice_is(h->path, "/drip")) {
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\ndrops";
    bool ok = true;
    for (size_t i = 0; ok && i < sizeof text - 1; i++) ok = peer_say(p, slice_of(text + i, 1));
    return ok;
  }
  return answer_echo(p, h, body);
}

static void serve(peer_t *p)
{
  http1_head_t h;
  for (;;) {
    size_t scan = 0;
    rc_t r;
    while (rc_is(r = http1_request(buf_slice(&p->plain), &scan, &h, NULL), RC_AGAIN))
      if (!peer_read(p)) return;
    if (!rc_ok(r)) return;
    atomic_fetch_add(&server.requests, 1);
    if (atomic_load(&server.dying) > 0) {
      atomic_fetch_sub(&server.dying, 1);
      return;
    }
    if (slice_is(h.path, "/early")) { /* does not read the body */
      (void)peer_says(p, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig");
      peer_bye(p);
      while (recv(p->fd, (uint8_t[65536]){0}, 65536, 0) > 0) {}
      return;
    }
    size_t body = h.content_length > 0 ? (size_t)h.content_length : 0;
    while (p->plain.n < h.size + body) {
      if (!peer_read(p)) return;
      scan = 0; /* the bytes may have moved */
      if (!rc_ok(http1_request(buf_slice(&p->plain), &scan, &h, NULL))) return;
    }
    if (!answer(p, &h, slice_sub(buf_slice(&p->plain), h.size, body))) return;
    buf_consume(&p->plain, h.size + body);
  }
}

static void *server_run(void *arg)
{
  (void)arg;
  for (;;) {
    peer_t p = {.fd = accept(server.fd, NULL, NULL), .plain = buf_heap(8 << 20), .out = buf_heap(8 << 20)};
    if (p.fd < 0) return NULL;
    p.tls = tls_accept(server.tls);
    if (p.tls) serve(&p);
    tls_free(p.tls);
    close(p.fd);
    buf_fini(&p.plain);
    buf_fini(&p.out);
  }
}

static int start(void **state)
{
  (void)state;
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t n = sizeof a;
  server.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (server.fd < 0 || bind(server.fd, (struct sockaddr *)&a, n) < 0 || listen(server.fd, 16) < 0) return -1;
  if (getsockname(server.fd, (struct sockaddr *)&a, &n) < 0) return -1;
  server.port = ntohs(a.sin_port);
  if (!rc_ok(tls_server_new(slice_str(identity_cert), slice_str(identity_key), &server.tls, NULL))) return -1;
  return pthread_create(&server.thread, NULL, server_run, NULL);
}

static int stop(void **state)
{
  (void)state;
  shutdown(server.fd, SHUT_RDWR);
  pthread_join(server.thread, NULL);
  close(server.fd);
  tls_server_free(server.tls);
  return 0;
}

/* --- the client's side --- */

typedef struct world {
  arena_t *arena;
  http_client_t *client;
  int ticks, ticks_allowed;
} world_t;

static bool tick(void *self)
{
  world_t *w = self;
  return ++w->ticks <= w->ticks_allowed;
}

static MUST rc_t client_new(world_t *w, const char *host, const char *prefix, const char *ca, bool insecure, err_t *e)
{
  char url[100];
  snprintf(url, sizeof url, "https://%s:%u%s", host, server.port, prefix);
  return http_client_new(&(http_client_options_t){.base_url = slice_str(url), .ca_pem = slice_str(ca), .insecure = insecure,
                           .user_agent = S("test/1"), .time = &timesrc_system, .tick = tick, .self = w}, &w->client, e);
}

static int setup(void **state)
{
  static world_t w;
  w = (world_t){.arena = arena_new(16 << 20), .ticks_allowed = 1000};
  *state = &w;
  atomic_store(&server.requests, 0);
  atomic_store(&server.dying, 0);
  return w.arena && rc_ok(client_new(&w, "127.0.0.1", "", identity_cert, false, NULL)) ? 0 : -1;
}

static int teardown(void **state)
{
  world_t *w = *state;
  http_client_free(w->client);
  arena_free(w->arena);
  return 0;
}

static MUST rc_t call(world_t *w, http1_method_t method, const char *path, slice_t body, http_answer_t *ret, err_t *e)
{
  return http_client_call(w->client, &(http_call_t){.method = method, .path = slice_str(path), .body = body, .timeout_ms = 10000, .body_max = 64,
                            .headers = S("Authorization: Bearer k\r\n")}, w->arena, ret, e);
}

static http_answer_t get(world_t *w, const char *path)
{
  http_answer_t a = {0};
  err_t e = {0};
  if (!rc_ok(call(w, HTTP1_GET, path, (slice_t){0}, &a, &e))) fail_msg("%s: %s %s", path, e.reason, e.text);
  return a;
}

static void refused(world_t *w, const char *path, int32_t code, const char *reason)
{
  http_answer_t a = {.status = -1};
  err_t e = {0};
  rc_t r = call(w, HTTP1_GET, path, (slice_t){0}, &a, &e);
  assert_int_equal(e.retry, code == RC_CLOSED || code == RC_IO || code == RC_NOTFOUND); /* what may be different another time */
  if (r.code != code || !e.reason || (reason && strcmp(e.reason, reason) != 0)) fail_msg("%s: rc %d, %s", path, r.code, e.reason ? e.reason : "-");
  assert_int_equal(a.status, -1);
}

static void test_one_connection(void **state)
{
  world_t *w = *state;
  http_answer_t a = get(w, "/x?y=1");
  assert_int_equal(a.status, 200);
  assert_true(slice_is(a.body, "/x?y=1|Bearer k|") && slice_is(http1_header(a.head, "x-method"), "GET"));
  char host[32];
  snprintf(host, sizeof host, "127.0.0.1:%u", server.port);
  assert_true(slice_is(http1_header(a.head, "X-Host"), host));
  assert_true(rc_ok(call(w, HTTP1_POST, "/p", S("{}"), &a, NULL)) && slice_is(a.body, "/p|Bearer k|{}"));
  assert_true(slice_is(get(w, "/chunked").body, "abc0123456789"));
  assert_true(slice_is(get(w, "/interim").body, "ok"));
  assert_true(slice_is(get(w, "/drip").body, "drops"));
  a = get(w, "/none");
  assert_true(a.status == 204 && a.body.n == 0);
  assert_true(rc_ok(call(w, HTTP1_DELETE, "/d", (slice_t){0}, &a, NULL)) && slice_is(http1_header(a.head, "x-method"), "DELETE"));
  assert_int_equal(http_client_connects(w->client), 1);
}

static void test_reconnects(void **state)
{
  world_t *w = *state;
  assert_int_equal(get(w, "/goodbye").status, 200); /* the server closes without having announced it */
  assert_int_equal(get(w, "/close").status, 200);
  assert_int_equal(http_client_connects(w->client), 2);
  assert_true(slice_is(get(w, "/until-close").body, "all of it"));
  assert_int_equal(get(w, "/x").status, 200);
  assert_int_equal(http_client_connects(w->client), 4);
  assert_int_equal(server.requests, 4);

  atomic_store(&server.dying, 1); /* the kept connection dies under a GET: sent again */
  assert_int_equal(get(w, "/x").status, 200);
  assert_int_equal(server.requests, 6);
  atomic_store(&server.dying, 2); /* … once only */
  refused(w, "/x", RC_CLOSED, "http_closed");
  assert_int_equal(server.requests, 8);
  atomic_store(&server.dying, 1); /* a new connection that dies is not replaced */
  refused(w, "/x", RC_CLOSED, "http_closed");
  assert_int_equal(server.requests, 9);

  http_answer_t a;
  assert_int_equal(get(w, "/x").status, 200);
  atomic_store(&server.dying, 1); /* a POST may have been acted on: not sent again */
  assert_int_equal(call(w, HTTP1_POST, "/p", S("{}"), &a, NULL).code, RC_CLOSED);
  assert_int_equal(server.requests, 11);
  assert_int_equal(server.dying, 0);
}

static void test_refusals(void **state)
{
  world_t *w = *state;
  refused(w, "/a b", RC_INVALID, "http_path");
  refused(w, "/a\r\nX: y", RC_INVALID, "http_path");
  refused(w, "/\x7f", RC_INVALID, "http_path");
  refused(w, "x", RC_INVALID, "http_path");
  assert_int_equal(server.requests, 0);
  refused(w, "/cut", RC_CLOSED, "http_closed"); /* no close_notify: it may have been cut by somebody */
  refused(w, "/short", RC_CLOSED, "http_closed");
  refused(w, "/long", RC_FULL, "http_body_max");
  refused(w, "/one-more", RC_FULL, "http_body_max");
  assert_int_equal(get(w, "/all-it-may").body.n, 64);
  assert_int_equal(get(w, "/empty").body.n, 0);
  refused(w, "/long-chunks", RC_FULL, "http_body_max");
  refused(w, "/bad-chunk", RC_SYNTAX, NULL);
  refused(w, "/junk", RC_SYNTAX, NULL);
  assert_true(slice_is(get(w, "/smuggle").body, "ok")); /* what follows is nobody's answer */
  assert_true(slice_is(get(w, "/y").body, "/y|Bearer k|"));
}

static void test_big_bodies(void **state)
{
  world_t *w = *state;
  size_t n = 3 << 20;
  uint8_t *body = arena_alloc(w->arena, n);
  assert_non_null(body);
  memset(body, 'b', n);
  http_answer_t a;
  assert_true(rc_ok(http_client_call(w->client, &(http_call_t){.method = HTTP1_POST, .path = S("/e"), .body = slice_of(body, n), .timeout_ms = 30000,
                                       .body_max = 4 << 20}, w->arena, &a, NULL)));
  assert_int_equal(a.body.n, n + 4);
  assert_true(rc_ok(call(w, HTTP1_POST, "/early", slice_of(body, 1 << 20), &a, NULL)));
  assert_true(a.status == 413 && slice_is(a.body, "big"));
}

static void test_waiting(void **state)
{
  world_t *w = *state;
  http_answer_t a;
  err_t e = {0};
  http_call_t c = {.method = HTTP1_GET, .path = S("/silent"), .timeout_ms = 200, .body_max = 64};
  assert_int_equal(http_client_call(w->client, &c, w->arena, &a, &e).code, RC_TIMEOUT);
  assert_string_equal(e.reason, "http_timeout");
  assert_true(e.retry);
  c.timeout_ms = 20000;
  w->ticks = 0;
  w->ticks_allowed = 0;
  assert_int_equal(http_client_call(w->client, &c, w->arena, &a, &e).code, RC_AGAIN);
  assert_string_equal(e.reason, "http_given_up");
  assert_int_equal(w->ticks, 1);
}

static void test_trust(void **state)
{
  world_t *w = *state;
  http_client_free(w->client);
  w->client = NULL;
  assert_true(rc_ok(client_new(w, "localhost", "/prefix/", identity_cert, false, NULL)));
  assert_true(slice_is(get(w, "/x").body, "/prefix/x|Bearer k|"));
  http_client_free(w->client);
  assert_true(rc_ok(client_new(w, "127.0.0.1", "", stranger_cert, false, NULL)));
  refused(w, "/x", RC_DENIED, "tls_verify");
  http_client_free(w->client);
  assert_true(rc_ok(client_new(w, "127.1", "", identity_cert, false, NULL))); /* the same address under a name the certificate lacks */
  refused(w, "/x", RC_DENIED, "tls_verify");
  err_t e = {0};
  http_client_free(w->client);
  assert_true(rc_ok(client_new(w, "127.0.0.1", "", stranger_cert, true, NULL)));
  assert_int_equal(get(w, "/x").status, 200);
  assert_int_equal(server.requests, 2);
  http_client_free(w->client);
  w->client = NULL;
  assert_int_equal(client_new(w, "127.0.0.1", "", "no pem", false, &e).code, RC_SYNTAX);
}

/* Whichever allocation fails: the answer, or RC_NOMEM and an untouched one; the next call works again. */
static void test_out_of_memory(void **state)
{
  world_t *w = *state;
  int failed = 0;
  for (long n = 0; n < 40; n++) {
    http_answer_t a = {.status = -1};
    http_client_close(w->client);
    arena_reset(w->arena);
    mem_fail_after(n);
    rc_t r = call(w, HTTP1_POST, "/p", S("{}"), &a, NULL);
    mem_fail_after(-1);
    if (!rc_ok(r)) {
      failed++;
      assert_int_equal(a.status, -1);
      assert_int_equal(r.code, RC_NOMEM);
    }
    assert_int_equal(get(w, "/x").status, 200);
  }
  assert_true(failed > 3);
  http_client_free(w->client);
  w->client = NULL;
  err_t e = {0};
  for (long n = 0; n < 40; n++) {
    mem_fail_after(n);
    rc_t r = client_new(w, "127.0.0.1", "", identity_cert, false, &e);
    mem_fail_after(-1);
    if (rc_ok(r)) return;
    assert_int_equal(r.code, RC_NOMEM);
    assert_null(w->client);
  }
  fail();
}

static void test_no_server(void **state)
{
  world_t *w = *state;
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t n = sizeof a;
  int fd = socket(AF_INET, SOCK_STREAM, 0); /* bound, not listening: nobody else gets the port */
  assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
  char url[64];
  snprintf(url, sizeof url, "https://127.0.0.1:%u", ntohs(a.sin_port));
  http_client_free(w->client);
  assert_true(rc_ok(http_client_new(&(http_client_options_t){.base_url = slice_str(url), .time = &timesrc_system, .user_agent = S("t")}, &w->client, NULL)));
  refused(w, "/x", RC_IO, "sock_connect");
  close(fd);
  http_client_free(w->client);
  assert_true(rc_ok(http_client_new(&(http_client_options_t){.base_url = S("https://no-such-name.invalid"), .time = &timesrc_system,
                                    .user_agent = S("t")}, &w->client, NULL)));
  refused(w, "/x", RC_NOTFOUND, "sock_resolve");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    T(test_one_connection), T(test_reconnects), T(test_refusals), T(test_big_bodies), T(test_waiting), T(test_trust), T(test_out_of_memory),
    T(test_no_server),
  };
  return cmocka_run_group_tests(tests, start, stop);
}
