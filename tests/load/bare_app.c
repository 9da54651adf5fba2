/*
 * The HTTP server with next to nothing behind it: a fixed reply. For the
 * strictness test, the load figures and the memory of idle connections.
 *
 *   bare_app --cert FILE --key FILE [--port N] [--loops N] [--workers N] [--bytes 700]
 *
 * Any path: the reply, counted; /loop: without a worker. /count: how many were counted, and how many the
 * server refused by itself. /echo: the body
 * back. /park?KEY: waits up to 60 s for /wake?KEY.
 */
#include "net/http_server.h"

#include "base/mem.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct bare {
  atomic_llong count;
  slice_t body;
  http_server_t *server;
} bare_t;

static void plan(void *self, const http1_head_t *head, http_plan_t *ret)
{
  ret->body_max = 1 << 20;
  ret->arena_max = 2 << 20;
  ret->queue = slice_is(head->path, "/park") ? 0 : 1;
  ret->on_loop = slice_is(head->path, "/loop");
  if (slice_is(head->path, "/missing")) ret->status = 404;
}

static void handle(void *self, const http_request_t *rq, http_response_t *rp)
{
  bare_t *b = self;
  slice_t path = rq->head->path;
  rp->status = 200;
  rp->headers = S("Content-Type: application/json\r\n");
  if (slice_is(path, "/count")) {
    rp->body = arena_printf(rq->arena, "{\"handled\":%lld,\"refused\":%lld}\n", (long long)atomic_load(&b->count), (long long)http_server_stats(b->server).refused);
  } else if (slice_is(path, "/echo")) {
    rp->body = rq->body;
  } else if (slice_is(path, "/wake")) {
    http_server_wake(b->server, 'p', rq->head->query);
    rp->body = S("woken\n");
  } else if (slice_is(path, "/park") && !rq->resumed) {
    rp->park = true;
    rp->park_kind = 'p';
    rp->park_key = rq->head->query;
    rp->park_ms = 60000;
  } else {
    atomic_fetch_add_explicit(&b->count, 1, memory_order_relaxed);
    rp->body = b->body;
  }
}

static void refuse(void *self, int status, const http1_head_t *head, slice_t request_id, buf_t *headers, buf_t *body)
{
  buf_puts(headers, "Content-Type: application/json\r\n");
  buf_printf(body, "{\"error\":\"%s\",\"request_id\":\"%.*s\"}", http1_reason(status), SLICE_ARG(request_id));
}

static slice_t read_all(const char *path)
{
  FILE *f = fopen(path, "r");
  static char bufs[2][64 * 1024];
  static int next;
  if (!f || next == 2) {
    fprintf(stderr, "bare_app: cannot read %s\n", path);
    exit(1);
  }
  char *p = bufs[next++];
  size_t n = fread(p, 1, sizeof bufs[0], f);
  (void)fclose(f);
  return slice_of(p, n);
}

int main(int argc, char **argv)
{
  const char *cert = NULL, *key = NULL;
  size_t bytes = 700;
  http_server_options_t o = {.host = S("127.0.0.1"), .port = 0};
  for (int i = 1; i + 1 < argc; i += 2) {
    slice_t a = slice_str(argv[i]);
    if (slice_is(a, "--cert")) cert = argv[i + 1];
    else if (slice_is(a, "--key")) key = argv[i + 1];
    else if (slice_is(a, "--port")) o.port = (uint16_t)strtoul(argv[i + 1], NULL, 10);
    else if (slice_is(a, "--loops")) o.loops = (int)strtol(argv[i + 1], NULL, 10);
    else if (slice_is(a, "--workers")) o.workers = (int)strtol(argv[i + 1], NULL, 10);
    else if (slice_is(a, "--bytes")) bytes = strtoul(argv[i + 1], NULL, 10);
    else cert = NULL;
  }
  if (!cert || !key || bytes > (16 << 20)) {
    fprintf(stderr, "usage: bare_app --cert FILE --key FILE [--port N] [--loops N] [--workers N] [--bytes N]\n");
    return 2;
  }
  static bare_t b;
  char *body = mem_alloc(bytes);
  if (!body) return 1;
  memset(body, 'x', bytes);
  b.body = slice_of(body, bytes);
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  sigaddset(&stop, SIGINT);
  pthread_sigmask(SIG_BLOCK, &stop, NULL);
  signal(SIGPIPE, SIG_IGN);
  const http_app_t app = {plan, handle, refuse, &b};
  err_t e = {0};
  if (!rc_ok(http_server_start(&o, &app, read_all(cert), read_all(key), &b.server, &e))) {
    char text[256];
    err_format(&e, text, sizeof text);
    fprintf(stderr, "bare_app: %s\n", text);
    return 1;
  }
  printf("listening on %u\n", (unsigned)http_server_port(b.server));
  (void)fflush(stdout);
  int sig;
  (void)sigwait(&stop, &sig);
  http_server_stop(b.server, 2000);
  mem_free(body);
  return 0;
}
