#include "net/http_server_int.h"

#include "base/check.h"
#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { ARENA_FIRST = 64 * 1024 };

/* --- answers of the server itself --- */

void http_refusal_put(http_server_t *s, http_stamp_t *st, const http1_head_t *head, int status, bool keep_alive, buf_t *out)
{
  char id[UUID_LEN + 1];
  buf_t headers BUF_SCOPED = buf_heap(LIM_HTTP_HEAD);
  buf_t body BUF_SCOPED = buf_heap(LIM_HTTP_HEAD);
  http_stamp_id(st, id);
  if (status == 503) buf_puts(&headers, "Retry-After: 1\r\n");
  s->app.refuse(s->app.self, status, head, slice_of(id, UUID_LEN), &headers, &body);
  if (headers.code || body.code) {
    buf_reset(&headers);
    buf_reset(&body);
  }
  const http_reply_t r = {
    .status = status,
    .version = head ? head->version : 11,
    .head_only = head && head->method == HTTP1_HEAD,
    .keep_alive = keep_alive,
    .request_id = slice_of(id, UUID_LEN),
    .headers = buf_slice(&headers),
    .body = buf_slice(&body),
  };
  http_reply_put(out, st, time_wall(s->o.time), &r);
}

/* --- workers --- */

static void *worker_new(void *self)
{
  http_worker_t *w = mem_alloc(sizeof *w);
  if (w) w->arena = arena_new(ARENA_FIRST);
  if (w && !w->arena) {
    mem_free(w);
    return NULL;
  }
  return w;
}

static void worker_free(void *self, void *mine)
{
  http_worker_t *w = mine;
  arena_free(w->arena);
  mem_free(w);
}

static void compose(http_server_t *s, http_worker_t *w, http_call_t *call, const http_response_t *rp, slice_t id)
{
  const http1_head_t *head = &call->in.head;
  call->keep_alive = head->keep_alive && !rp->close && !atomic_load_explicit(&s->draining, memory_order_relaxed);
  const http_reply_t r = {
    .status = rp->status,
    .version = head->version,
    .head_only = head->method == HTTP1_HEAD,
    .keep_alive = call->keep_alive,
    .request_id = id,
    .headers = rp->headers,
    .body = rp->body,
  };
  http_reply_put(&call->out, &w->stamp, time_wall(s->o.time), &r);
}

/* Says whether the handler's wish to wait can be met; a second wait after the first ran out cannot. */
static bool take_park(http_call_t *call, const http_response_t *rp)
{
  if (!rp->park || call->wait_over || rp->park_key.n > LIM_HTTP_PARK_KEY || rp->park_ms < 0) return false;
  call->park = true;
  call->park_kind = rp->park_kind;
  call->park_key_n = (uint8_t)rp->park_key.n;
  if (rp->park_key.n) memcpy(call->park_key, rp->park_key.p, rp->park_key.n);
  call->park_ms = rp->park_ms;
  return true;
}

void http_call_run(http_server_t *s, http_worker_t *w, http_call_t *call)
{
  char id[UUID_LEN + 1];
  http_stamp_id(&w->stamp, id);
  arena_set_budget(w->arena, call->in.plan.arena_max);
  const http_request_t rq = {
    .head = &call->in.head,
    .body = http_intake_body(&call->in),
    .remote_addr = slice_of(call->addr, call->addr_n),
    .request_id = slice_of(id, UUID_LEN),
    .route = call->in.plan.route,
    .arena = w->arena,
    .resumed = call->resumed,
    .wait_over = call->wait_over,
    .on_loop = call->on_loop,
  };
  http_response_t rp = {0};
  call->since = park_now(s->park);
  buf_reset(&call->out);
  s->app.handle(s->app.self, &rq, &rp);
  call->elsewhere = call->on_loop && rp.elsewhere;
  if (call->elsewhere) {
    arena_reset(w->arena);
    return;
  }
  if (!take_park(call, &rp)) {
    if (!rp.park && rp.status) compose(s, w, call, &rp, rq.request_id);
    if (rp.park || !rp.status || call->out.code) { /* no answer, or none that fits */
      buf_reset(&call->out);
      call->keep_alive = false;
      atomic_fetch_add_explicit(&s->refused, 1, memory_order_relaxed);
      http_refusal_put(s, &w->stamp, &call->in.head, 500, false, &call->out);
    }
  }
  arena_reset(w->arena);
}

static void run(void *self, void *mine, pool_job_t *job)
{
  http_call_t *call = (http_call_t *)(void *)job; /* job is its first member */
  http_call_run(self, mine, call);
  loop_post(call->l->loop, &call->done);
}

/* --- start --- */

static void or_default(int64_t *v, int64_t def)
{
  if (*v == 0) *v = def;
}

int http_server_loops(void)
{
  long cores = sysconf(_SC_NPROCESSORS_ONLN);
  if (cores < 1) cores = 1;
  if (cores > HTTP_LOOPS_MAX) cores = HTTP_LOOPS_MAX;
  return (int)cores;
}

static void set_defaults(http_server_options_t *o)
{
  if (o->loops == 0) o->loops = http_server_loops();
  if (o->loops > HTTP_LOOPS_MAX) o->loops = HTTP_LOOPS_MAX;
  if (o->workers == 0) o->workers = 64;
  for (int i = 0; i < HTTP_QUEUES; i++) {
    if (o->queue_depth[i] == 0) o->queue_depth[i] = 1024;
  }
  /* Something is always left for the first class, the agents': an eighth when the others take all they may. */
  if (o->queue_workers[1] == 0) o->queue_workers[1] = (o->workers * 5 + 7) / 8;
  if (o->queue_workers[2] == 0) o->queue_workers[2] = (o->workers + 3) / 4;
  or_default(&o->head_timeout_ms, 5000);
  or_default(&o->read_timeout_ms, 30000);
  or_default(&o->write_timeout_ms, 120000);
  or_default(&o->idle_timeout_ms, 60000);
  if (o->max_connections == 0) o->max_connections = 16384;
  if (!o->time) o->time = &timesrc_system;
}

static rc_t make_pool(http_server_t *s)
{
  pool_options_t po = {
    .name = "http",
    .workers = s->o.workers,
    .stack_bytes = s->o.worker_stack,
    .queues = HTTP_QUEUES,
    .worker_new = worker_new,
    .worker_free = worker_free,
    .run = run,
    .self = s,
  };
  for (int i = 0; i < HTTP_QUEUES; i++) {
    po.queue[i].depth = s->o.queue_depth[i];
    po.queue[i].most = s->o.queue_workers[i];
  }
  return pool_new(&po, &s->pool);
}

/* One loop with its listener; not yet running. Takes fd. */
static rc_t make_loop(http_server_t *s, http_loop_t *l, int fd, err_t *e)
{
  l->s = s;
  l->plain = buf_heap(128 * 1024);
  l->out = buf_heap(LIM_RESPONSE);
  l->drain.run = http_conn_drain;
  l->due_last = &l->due;
  rc_t r = loop_new(&l->loop, e);
  if (!rc_ok(r)) {
    (void)close(fd);
    return r;
  }
  wheel_init(&l->wheel, loop_now_ms(l->loop));
  loop_at_rest(l->loop, http_conn_rest, l);
  l->own.arena = arena_new(ARENA_FIRST);
  r = l->own.arena ? loop_timer_new(l->loop, http_conn_tick, l, &l->tick) : rc(RC_NOMEM);
  if (!rc_ok(r)) {
    (void)close(fd);
    return r;
  }
  return loop_listen(l->loop, fd, &http_conn_ops, l, &l->listener, e);
}

static rc_t make_loops(http_server_t *s, err_t *e)
{
  int fds[HTTP_LOOPS_MAX];
  s->port = s->o.port;
  if (s->o.listen_fds) memcpy(fds, s->o.listen_fds, (size_t)s->o.loops * sizeof fds[0]);
  else TRY(loop_listen_open(s->o.host, s->o.port, s->o.loops, fds, &s->port, e));
  rc_t r = rc(RC_OK);
  for (int i = 0; i < s->o.loops; i++) {
    if (!rc_ok(r)) {
      (void)close(fds[i]);
      continue;
    }
    r = make_loop(s, &s->loops[i], fds[i], e);
    s->nloops = i + 1;
  }
  return r;
}

static rc_t start_loops(http_server_t *s, err_t *e)
{
  rc_t r = rc(RC_OK);
  for (int i = 0; rc_ok(r) && i < s->nloops; i++) {
    char name[16];
    snprintf(name, sizeof name, "loop-%d", i % 100);
    r = loop_start(s->loops[i].loop, name, e);
  }
  return r;
}

/* All threads have ended or never ran. */
static void free_loop(http_loop_t *l)
{
  while (l->free_calls) {
    http_call_t *call = l->free_calls;
    l->free_calls = (http_call_t *)(void *)call->job.next;
    http_call_free(call);
  }
  while (l->due) {
    http_parked_t *pk = l->due;
    l->due = pk->next;
    mem_free(pk);
  }
  buf_fini(&l->plain);
  buf_fini(&l->out);
  arena_free(l->own.arena);
}

static void server_free(http_server_t *s)
{
  pool_stop(s->pool); /* runs what waits; finished calls go back to loops that still turn */
  for (int i = 0; i < s->nloops; i++) {
    if (s->loops[i].loop) loop_stop(s->loops[i].loop);
  }
  for (int i = 0; i < s->nloops; i++) loop_free(s->loops[i].loop);
  for (int i = 0; i < s->nloops; i++) free_loop(&s->loops[i]);
  pool_free(s->pool);
  park_free(s->park);
  tls_server_free(s->tls);
  pthread_cond_destroy(&s->empty);
  pthread_mutex_destroy(&s->lock);
  mem_free(s->loops);
  mem_free(s);
}

rc_t http_server_start(const http_server_options_t *o, const http_app_t *app, slice_t cert_pem, slice_t key_pem, http_server_t **ret, err_t *e)
{
  http_server_t *s = mem_alloc(sizeof *s);
  if (!s) return rc(RC_NOMEM);
  s->o = *o;
  s->app = *app;
  set_defaults(&s->o);
  pthread_condattr_t attr;
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(&s->empty, &attr);
  pthread_condattr_destroy(&attr);
  pthread_mutex_init(&s->lock, NULL);
  s->loops = mem_alloc((size_t)s->o.loops * sizeof *s->loops);
  s->park = park_new();
  rc_t r = s->loops && s->park ? tls_server_new(cert_pem, key_pem, &s->tls, e) : rc(RC_NOMEM);
  if (rc_ok(r)) r = make_pool(s);
  if (rc_ok(r)) r = make_loops(s, e);
  http_server_t *old = *ret;
  if (rc_ok(r)) {
    *ret = s; /* before a thread exists that could run a handler which wakes others through it */
    r = start_loops(s, e);
  }
  if (!rc_ok(r)) {
    *ret = old;
    server_free(s);
  }
  return r;
}

uint16_t http_server_port(const http_server_t *s) { return s->port; }

rc_t http_server_identity(http_server_t *s, slice_t cert_pem, slice_t key_pem, err_t *e)
{
  return tls_server_identity(s->tls, cert_pem, key_pem, e);
}

void http_server_wake(http_server_t *s, char kind, slice_t key) { park_wake(s->park, kind, key, http_conn_woken); }

size_t http_server_parked(http_server_t *s, char kind, slice_t *keys, size_t cap, arena_t *a)
{
  return park_list(s->park, kind, keys, cap, a);
}

http_stats_t http_server_stats(http_server_t *s)
{
  http_stats_t st = {
    .connections = atomic_load(&s->connections),
    .parked = (int64_t)park_count(s->park),
    .accepted = atomic_load(&s->accepted),
    .shed = atomic_load(&s->shed),
    .requests = atomic_load(&s->requests),
    .refused = atomic_load(&s->refused),
    .handshakes = atomic_load(&s->handshakes),
  };
  for (int i = 0; i < HTTP_QUEUES; i++) {
    pool_stats_t q = pool_stats(s->pool, i);
    st.queue[i].waiting = q.waiting;
    st.queue[i].running = q.running;
    st.queue[i].dropped = q.refused;
    st.workers = q.threads;
  }
  return st;
}

/* --- stop --- */

static void wait_empty(http_server_t *s, int64_t ms)
{
  int64_t until = time_mono_us(&timesrc_system) + ms * 1000;
  const struct timespec at = {.tv_sec = until / US_PER_S, .tv_nsec = until % US_PER_S * 1000};
  pthread_mutex_lock(&s->lock);
  while (atomic_load(&s->connections) > 0) {
    if (pthread_cond_timedwait(&s->empty, &s->lock, &at) == ETIMEDOUT) break;
  }
  pthread_mutex_unlock(&s->lock);
}

void http_server_stop(http_server_t *s, int64_t drain_ms)
{
  if (!s) return;
  atomic_store(&s->draining, true);
  for (int i = 0; i < s->nloops; i++) loop_post(s->loops[i].loop, &s->loops[i].drain);
  wait_empty(s, drain_ms);
  server_free(s);
}
