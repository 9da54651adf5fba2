#include "io/loop.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>
#include <uv.h>

enum { READ_SIZE = 64 * 1024, BACKLOG = 1024 };

struct loop {
  uv_loop_t uv;
  uv_async_t wake;
  uv_prepare_t rest;
  void (*at_rest)(void *self);
  void *at_rest_self;
  _Atomic(loop_task_t *) tasks; /* newest first; turned round when taken */
  atomic_bool stopping;
  bool started;
  pthread_t thread;
  char name[16];
  uint8_t *input; /* one read buffer for all streams of this thread */
};

/* Begins listeners and streams, so that a walk over the handles can tell them apart. */
typedef struct tcp {
  uv_tcp_t uv;
  bool listens;
} tcp_t;

struct loop_listener {
  tcp_t tcp;
  uv_tcp_t refused;    /* takes a connection for which there is no memory, to close it */
  bool refusing, waits; /* `refused` is busy; another connection waits for it */
  int open;            /* handles not yet closed */
  loop_t *loop;
  const loop_stream_ops_t *ops;
  void *self;
};

struct loop_stream {
  tcp_t tcp;
  loop_t *loop;
  const loop_stream_ops_t *ops;
  size_t queued;
  bool reading, ended, shut, closing;
  _Alignas(16) uint8_t user[];
};

struct loop_timer {
  uv_timer_t uv;
  void (*fire)(void *self);
  void *self;
};

/* A write that could not be done at once. */
typedef struct pending {
  uv_write_t uv;
  size_t n;
  uint8_t bytes[];
} pending_t;

static rc_t uv_err(err_t *e, int code, const char *reason)
{
  return err_set(e, code == UV_ENOMEM ? RC_NOMEM : RC_IO, reason, NULL, uv_strerror(code));
}

static void accept_one(uv_stream_t *server, int status);

/* --- tasks --- */

static void run_tasks(loop_t *l)
{
  loop_task_t *newest = atomic_exchange_explicit(&l->tasks, NULL, memory_order_acquire), *oldest = NULL;
  while (newest) {
    loop_task_t *next = newest->next;
    newest->next = oldest;
    oldest = newest;
    newest = next;
  }
  while (oldest) {
    loop_task_t *next = oldest->next; /* run may free it */
    oldest->run(oldest);
    oldest = next;
  }
}

static void timer_gone(uv_handle_t *h) { mem_free(h->data); }

static void listener_gone(uv_handle_t *h)
{
  loop_listener_t *ln = h->data;
  if (--ln->open == 0) mem_free(ln);
}

static void stream_gone(uv_handle_t *h)
{
  loop_stream_t *s = h->data;
  s->ops->closed(s->user);
  mem_free(s);
}

static void close_any(uv_handle_t *h, void *arg)
{
  loop_t *l = arg;
  if (uv_is_closing(h)) return;
  if (h == (uv_handle_t *)&l->wake || h == (uv_handle_t *)&l->rest) uv_close(h, NULL);
  else if (h->type == UV_TIMER) uv_close(h, timer_gone);
  else if (((tcp_t *)h)->listens) uv_close(h, listener_gone);
  else loop_stream_close(h->data);
}

static void on_wake(uv_async_t *a)
{
  loop_t *l = a->data;
  run_tasks(l);
  if (atomic_load(&l->stopping)) uv_walk(&l->uv, close_any, l);
}

void loop_post(loop_t *l, loop_task_t *t)
{
  loop_task_t *head = atomic_load_explicit(&l->tasks, memory_order_relaxed);
  do t->next = head;
  while (!atomic_compare_exchange_weak_explicit(&l->tasks, &head, t, memory_order_release, memory_order_relaxed));
  if (!head) uv_async_send(&l->wake); /* whoever finds the list filled was preceded by a wake-up */
}

/* --- life --- */

rc_t loop_new(loop_t **ret, err_t *e)
{
  loop_t *l = mem_alloc(sizeof *l);
  if (!l) return rc(RC_NOMEM);
  l->input = mem_alloc(READ_SIZE);
  int r = l->input ? uv_loop_init(&l->uv) : UV_ENOMEM;
  if (r == 0) {
    l->wake.data = l;
    l->uv.data = l;
    r = uv_async_init(&l->uv, &l->wake, on_wake);
    if (r) (void)uv_loop_close(&l->uv);
  }
  if (r) {
    mem_free(l->input);
    mem_free(l);
    return uv_err(e, r, "loop");
  }
  *ret = l;
  return rc(RC_OK);
}

/* A peer that goes away while we write must not end the process. */
static void block_sigpipe(void)
{
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, NULL);
}

static void run_here(loop_t *l)
{
  block_sigpipe();
  (void)uv_run(&l->uv, UV_RUN_DEFAULT); /* ends when every handle is closed */
}

static void *thread_main(void *arg)
{
  loop_t *l = arg;
  sigset_t all;
  sigfillset(&all); /* signals are for the main thread */
  pthread_sigmask(SIG_BLOCK, &all, NULL);
  pthread_setname_np(pthread_self(), l->name);
  run_here(l);
  return NULL;
}

rc_t loop_start(loop_t *l, const char *name, err_t *e)
{
  snprintf(l->name, sizeof l->name, "%s", name);
  int r = pthread_create(&l->thread, NULL, thread_main, l);
  if (r) return err_set(e, RC_IO, "thread", NULL, strerror(r));
  l->started = true;
  return rc(RC_OK);
}

void loop_stop(loop_t *l)
{
  atomic_store(&l->stopping, true);
  uv_async_send(&l->wake);
}

void loop_free(loop_t *l)
{
  if (!l) return;
  CHECK(atomic_load(&l->stopping));
  if (l->started) pthread_join(l->thread, NULL);
  else run_here(l); /* never ran: let the handles close */
  CHECK(uv_loop_close(&l->uv) == 0);
  mem_free(l->input);
  mem_free(l);
}

static void on_rest(uv_prepare_t *h)
{
  loop_t *l = h->data;
  l->at_rest(l->at_rest_self);
}

void loop_at_rest(loop_t *l, void (*fn)(void *self), void *self)
{
  l->at_rest = fn;
  l->at_rest_self = self;
  l->rest.data = l;
  CHECK(uv_prepare_init(&l->uv, &l->rest) == 0 && uv_prepare_start(&l->rest, on_rest) == 0);
}

int64_t loop_now_ms(const loop_t *l) { return (int64_t)uv_now(&l->uv); }

/* --- timers --- */

rc_t loop_timer_new(loop_t *l, void (*fire)(void *self), void *self, loop_timer_t **ret)
{
  loop_timer_t *t = mem_alloc(sizeof *t);
  if (!t) return rc(RC_NOMEM);
  CHECK(uv_timer_init(&l->uv, &t->uv) == 0);
  t->uv.data = t;
  t->fire = fire;
  t->self = self;
  *ret = t;
  return rc(RC_OK);
}

static void timer_fire(uv_timer_t *h)
{
  loop_timer_t *t = h->data;
  t->fire(t->self);
}

void loop_timer_set(loop_timer_t *t, int64_t first_ms, int64_t every_ms)
{
  CHECK(first_ms >= 0 && every_ms >= 0);
  if (!uv_is_closing((uv_handle_t *)&t->uv))
    CHECK(uv_timer_start(&t->uv, timer_fire, (uint64_t)first_ms, (uint64_t)every_ms) == 0);
}

void loop_timer_clear(loop_timer_t *t) { (void)uv_timer_stop(&t->uv); }

/* --- listening --- */

static rc_t parse_address(slice_t host, uint16_t port, struct sockaddr_storage *ret, err_t *e)
{
  char text[LOOP_ADDR_MAX];
  if (host.n == 0) host = S("::");
  if (slice_ieq(host, S("localhost"))) host = S("127.0.0.1");
  if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']') host = slice_sub(host, 1, host.n - 2);
  if (host.n < sizeof text) {
    memcpy(text, host.p, host.n);
    text[host.n] = 0;
    memset(ret, 0, sizeof *ret);
    bool v4 = uv_ip4_addr(text, port, (struct sockaddr_in *)ret) == 0;
    if (v4 || uv_ip6_addr(text, port, (struct sockaddr_in6 *)ret) == 0) return rc(RC_OK);
  }
  return err_quote(e, RC_INVALID, "listen_host", NULL, "listen address must be an IP address or localhost", host);
}

static bool set_flag(int fd, int level, int name, int on) { return setsockopt(fd, level, name, &on, sizeof on) == 0; }

/*
 * One listening socket; 0 or an errno. The first of a group binds without SO_REUSEPORT, so that it fails where
 * another process listens already, even one of ours, and lets its own siblings in afterwards.
 */
static int open_one(const struct sockaddr_storage *a, bool first, int *ret_fd)
{
  int fd = socket(a->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return errno;
  socklen_t n = a->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
  bool ok = set_flag(fd, SOL_SOCKET, SO_REUSEADDR, 1) && set_flag(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (ok && a->ss_family == AF_INET6) ok = set_flag(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0);
  if (ok && !first) ok = set_flag(fd, SOL_SOCKET, SO_REUSEPORT, 1);
  ok = ok && bind(fd, (const struct sockaddr *)a, n) == 0;
  if (ok && first) ok = set_flag(fd, SOL_SOCKET, SO_REUSEPORT, 1);
  ok = ok && listen(fd, BACKLOG) == 0;
  if (ok) {
    *ret_fd = fd;
    return 0;
  }
  int why = errno;
  (void)close(fd);
  return why;
}

static rc_t listen_failed(slice_t host, uint16_t port, int why, err_t *e)
{
  rc_t r = err_set(e, RC_IO, "listen", NULL, why == EADDRINUSE ? "address already in use" : strerror(why));
  char at[LOOP_ADDR_MAX + 8];
  snprintf(at, sizeof at, "%.*s:%u", SLICE_ARG(slice_sub(host, 0, LOOP_ADDR_MAX)), (unsigned)port);
  err_value(e, at, strlen(at));
  return r;
}

rc_t loop_listen_open(slice_t host, uint16_t port, int n, int *ret_fds, uint16_t *ret_port, err_t *e)
{
  struct sockaddr_storage a;
  CHECK(n > 0);
  TRY(parse_address(host, port, &a, e));
  int why = open_one(&a, true, &ret_fds[0]);
  if (why == EAFNOSUPPORT && host.n == 0) { /* a kernel without IPv6 */
    TRY(parse_address(S("0.0.0.0"), port, &a, e));
    why = open_one(&a, true, &ret_fds[0]);
  }
  if (why) return listen_failed(host, port, why, e);
  struct sockaddr_storage got;
  socklen_t len = sizeof got;
  if (getsockname(ret_fds[0], (struct sockaddr *)&got, &len) == 0) a = got;
  for (int i = 1; i < n; i++) {
    why = open_one(&a, false, &ret_fds[i]);
    if (why == 0) continue;
    while (i > 0) (void)close(ret_fds[--i]);
    return listen_failed(host, port, why, e);
  }
  /* sin_port and sin6_port are at the same place. */
  *ret_port = ntohs(((const struct sockaddr_in *)(const void *)&a)->sin_port);
  return rc(RC_OK);
}

rc_t loop_listen(loop_t *l, int fd, const loop_stream_ops_t *ops, void *self, loop_listener_t **ret, err_t *e)
{
  loop_listener_t *ln = mem_alloc(sizeof *ln);
  int r = ln ? uv_tcp_init(&l->uv, &ln->tcp.uv) : UV_ENOMEM;
  if (r) {
    mem_free(ln);
    (void)close(fd);
    return uv_err(e, r, "listen");
  }
  ln->tcp.uv.data = ln;
  ln->tcp.listens = true;
  ln->open = 1;
  ln->loop = l;
  ln->ops = ops;
  ln->self = self;
  r = uv_tcp_open(&ln->tcp.uv, fd);
  if (r) (void)close(fd);
  else r = uv_listen((uv_stream_t *)&ln->tcp.uv, BACKLOG, accept_one);
  if (r) {
    uv_close((uv_handle_t *)&ln->tcp.uv, listener_gone);
    return uv_err(e, r, "listen");
  }
  *ret = ln;
  return rc(RC_OK);
}

void loop_listen_close(loop_listener_t *ln)
{
  if (ln && !uv_is_closing((uv_handle_t *)&ln->tcp.uv)) uv_close((uv_handle_t *)&ln->tcp.uv, listener_gone);
}

/* --- streams --- */

loop_stream_t *loop_stream_of(const void *user)
{
  return (loop_stream_t *)((uintptr_t)user - offsetof(loop_stream_t, user));
}

size_t loop_stream_queued(const loop_stream_t *s) { return s->queued; }

static void give_buffer(uv_handle_t *h, size_t hint, uv_buf_t *ret)
{
  loop_stream_t *s = h->data;
  *ret = uv_buf_init((char *)s->loop->input, READ_SIZE);
}

static void on_read(uv_stream_t *h, ssize_t n, const uv_buf_t *b)
{
  loop_stream_t *s = h->data;
  if (s->closing || n == 0) return;
  if (n > 0) {
    s->ops->data(s->user, slice_of(b->base, (size_t)n));
    return;
  }
  (void)uv_read_stop(h);
  s->ended = true;
  s->ops->ended(s->user, rc(n == UV_EOF ? RC_CLOSED : RC_IO));
}

static void refused_gone(uv_handle_t *h)
{
  loop_listener_t *ln = h->data;
  ln->refusing = false;
  bool again = ln->waits && !uv_is_closing((uv_handle_t *)&ln->tcp.uv);
  ln->waits = false;
  if (again) accept_one((uv_stream_t *)&ln->tcp.uv, 0);
  listener_gone(h);
}

/* Accepts and closes: libuv would wait for ever for the connection to be taken. */
static void refuse_one(loop_listener_t *ln)
{
  ln->waits = ln->refusing;
  if (ln->refusing) return;
  CHECK(uv_tcp_init(&ln->loop->uv, &ln->refused) == 0);
  ln->refused.data = ln;
  ln->refusing = true;
  ln->open++;
  (void)uv_accept((uv_stream_t *)&ln->tcp.uv, (uv_stream_t *)&ln->refused);
  uv_close((uv_handle_t *)&ln->refused, refused_gone);
}

static void accept_one(uv_stream_t *server, int status)
{
  loop_listener_t *ln = server->data;
  if (status < 0) return; /* out of descriptors: libuv sheds the connection */
  loop_stream_t *s = mem_alloc(sizeof *s + ln->ops->user_size);
  if (!s) {
    refuse_one(ln);
    return;
  }
  CHECK(uv_tcp_init(&ln->loop->uv, &s->tcp.uv) == 0);
  s->tcp.uv.data = s;
  s->loop = ln->loop;
  s->ops = ln->ops;
  if (uv_accept(server, (uv_stream_t *)&s->tcp.uv) != 0 || !s->ops->opened(s->user, ln->self)) {
    loop_stream_close(s);
    return;
  }
  loop_stream_read(s, true);
}

void loop_stream_read(loop_stream_t *s, bool on)
{
  if (s->reading == on || s->closing || s->ended) return;
  s->reading = on;
  if (!on) (void)uv_read_stop((uv_stream_t *)&s->tcp.uv);
  else if (uv_read_start((uv_stream_t *)&s->tcp.uv, give_buffer, on_read) != 0) s->reading = false;
}

static void write_done(uv_write_t *w, int status)
{
  pending_t *p = (pending_t *)w; /* uv is its first member */
  loop_stream_t *s = w->handle->data;
  s->queued -= p->n;
  mem_free(p);
  if (s->closing) return;
  if (status < 0) {
    if (s->ended) return;
    s->ended = true;
    (void)uv_read_stop((uv_stream_t *)&s->tcp.uv);
    s->ops->ended(s->user, rc(RC_IO));
  } else if (s->queued == 0) {
    s->ops->sent(s->user);
  }
}

rc_t loop_stream_write(loop_stream_t *s, slice_t bytes)
{
  if (s->closing || s->shut) return rc(RC_CLOSED);
  if (bytes.n == 0) return rc(RC_OK);
  size_t done = 0;
  while (s->queued == 0 && done < bytes.n) {
    size_t part = bytes.n - done, most = 1u << 30;
    if (part > most) part = most;
    uv_buf_t b = uv_buf_init((char *)(uintptr_t)(bytes.p + done), (unsigned int)part);
    int r = uv_try_write((uv_stream_t *)&s->tcp.uv, &b, 1);
    if (r == UV_EAGAIN) break;
    if (r < 0) return rc(RC_IO);
    done += (size_t)r;
    if ((size_t)r < part) break;
  }
  if (done == bytes.n) return rc(RC_OK);
  size_t left = bytes.n - done;
  if (left > LIM_RESPONSE * 2u) return rc(RC_FULL);
  pending_t *p = mem_alloc(sizeof *p + left);
  if (!p) return rc(RC_NOMEM);
  p->n = left;
  memcpy(p->bytes, bytes.p + done, left);
  uv_buf_t b = uv_buf_init((char *)p->bytes, (unsigned int)left);
  if (uv_write(&p->uv, (uv_stream_t *)&s->tcp.uv, &b, 1, write_done) != 0) {
    mem_free(p);
    return rc(RC_IO);
  }
  s->queued += left;
  return rc(RC_OK);
}

static void shutdown_done(uv_shutdown_t *r, int status) { mem_free(r); }

void loop_stream_shutdown(loop_stream_t *s)
{
  if (s->closing || s->shut) return;
  s->shut = true;
  uv_shutdown_t *r = mem_alloc(sizeof *r);
  if (r && uv_shutdown(r, (uv_stream_t *)&s->tcp.uv, shutdown_done) != 0) mem_free(r);
}

void loop_stream_close(loop_stream_t *s)
{
  if (s->closing) return;
  s->closing = true;
  uv_close((uv_handle_t *)&s->tcp.uv, stream_gone);
}

size_t loop_stream_peer(const loop_stream_t *s, char out[LOOP_ADDR_MAX])
{
  struct sockaddr_storage a;
  int n = sizeof a;
  out[0] = 0;
  if (uv_tcp_getpeername(&s->tcp.uv, (struct sockaddr *)&a, &n) != 0) return 0;
  if (a.ss_family == AF_INET) {
    (void)uv_ip4_name((const struct sockaddr_in *)(const void *)&a, out, LOOP_ADDR_MAX);
  } else if (a.ss_family == AF_INET6) {
    const struct in6_addr *v6 = &((const struct sockaddr_in6 *)(const void *)&a)->sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(v6)) (void)uv_inet_ntop(AF_INET, &v6->s6_addr[12], out, LOOP_ADDR_MAX);
    else (void)uv_inet_ntop(AF_INET6, v6, out, LOOP_ADDR_MAX);
  }
  return strlen(out);
}
