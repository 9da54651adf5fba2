#include "net/http_server_int.h"

#include "base/check.h"
#include "base/mem.h"

enum {
  PLAIN_MAX = 96 * 1024,   /* one read of 64 KiB and what the record before it had left */
  SEND_PART = 256 * 1024,  /* of a response encrypted at a time, so that a large one is not held twice */
  KEEP_OUT = 16 * 1024,    /* response buffers up to this size stay with a pooled call */
  KEEP_SCRATCH = 512 * 1024,
  FREE_CALLS = 256,        /* pooled per loop */
  RESUMING = 64,           /* parked requests of a loop with the workers at once: a wake of thousands must not fill the queue */
  LINGER_MS = 2000         /* for the peer to read the last answer before the connection is reset (RFC 9112 9.6) */
};

typedef enum phase {
  PH_HANDSHAKE,
  PH_IDLE,    /* between requests */
  PH_READ,    /* part of a request is there */
  PH_BUSY,    /* a worker has it */
  PH_PARKED,
  PH_WRITE,   /* the response is on its way */
  PH_LINGER,  /* nothing more is answered */
  PH_DEAD
} phase_t;

struct http_conn {
  http_loop_t *l;          /* NULL if it never was opened */
  http_conn_t *prev, *next;
  tls_t *tls;
  wheel_node_t timer;
  http_call_t *call;
  http_parked_t *parked;
  buf_t rest;              /* read ahead while a request is answered */
  size_t sent;             /* of call->out */
  uint8_t phase;
  bool spoke;              /* a first byte came */
  bool peer_done;          /* the peer sends no more */
  bool keep_alive;         /* after the response that is being written */
  uint8_t addr_n;
  char addr[HTTP_ADDR_MAX];
};

static http_conn_t *conn_of_timer(wheel_node_t *n) { return (http_conn_t *)((uintptr_t)n - offsetof(http_conn_t, timer)); }

static void feed(http_conn_t *c, slice_t bytes);
static void close_conn(http_conn_t *c);

/* --- calls --- */

static http_call_t *call_get(http_loop_t *l)
{
  http_call_t *call = l->free_calls;
  if (call) {
    l->free_calls = (http_call_t *)(void *)call->job.next; /* job is its first member */
    l->free_count--;
    return call;
  }
  call = mem_alloc(sizeof *call);
  if (!call) return NULL;
  call->l = l;
  call->done.run = http_conn_done;
  call->out = buf_heap(LIM_RESPONSE);
  http_intake_init(&call->in);
  return call;
}

void http_call_free(http_call_t *call)
{
  http_intake_fini(&call->in);
  buf_fini(&call->out);
  mem_free(call);
}

static void call_put(http_call_t *call)
{
  http_loop_t *l = call->l;
  if (l->free_count >= FREE_CALLS) {
    http_call_free(call);
    return;
  }
  http_intake_reset(&call->in);
  buf_reset(&call->out);
  if (call->out.size > KEEP_OUT) buf_fini(&call->out);
  call->conn = NULL;
  call->resumed = call->wait_over = call->park = false;
  call->job.next = (pool_job_t *)(void *)l->free_calls;
  l->free_calls = call;
  l->free_count++;
}

static void drop_call(http_conn_t *c)
{
  if (c->call) call_put(c->call);
  c->call = NULL;
}

/* --- deadlines --- */

static void deadline(http_conn_t *c, int64_t ms)
{
  http_loop_t *l = c->l;
  int64_t now = loop_now_ms(l->loop);
  if (!l->ticking) {
    wheel_turn(&l->wheel, now, NULL, NULL); /* empty: only moves it to the present */
    loop_timer_set(l->tick, WHEEL_TICK_MS, WHEEL_TICK_MS);
    l->ticking = true;
  }
  wheel_set(&l->wheel, &c->timer, now + ms);
}

static void no_deadline(http_conn_t *c) { wheel_clear(&c->l->wheel, &c->timer); }

/* --- sending --- */

/* Sends what the TLS side has put into the loop's scratch buffer. False: the connection is closed now. */
static bool flush(http_conn_t *c)
{
  buf_t *out = &c->l->out;
  rc_t r = out->code ? rc(out->code) : loop_stream_write(loop_stream_of(c), buf_slice(out));
  buf_reset(out);
  if (out->size > KEEP_SCRATCH) buf_fini(out);
  if (rc_ok(r)) return true;
  close_conn(c);
  return false;
}

/* Says goodbye and waits a moment, so that the last answer is read before a reset can destroy it. */
static void linger(http_conn_t *c)
{
  drop_call(c);
  buf_fini(&c->rest);
  tls_close(c->tls, &c->l->out);
  if (!flush(c)) return;
  if (c->peer_done && loop_stream_queued(loop_stream_of(c)) == 0) {
    close_conn(c);
    return;
  }
  c->phase = PH_LINGER;
  loop_stream_shutdown(loop_stream_of(c));
  loop_stream_read(loop_stream_of(c), true);
  deadline(c, LINGER_MS);
}

/* The response is written: on to the next request, which may have been read already. */
static void answered(http_conn_t *c)
{
  if (!c->keep_alive || c->peer_done || atomic_load_explicit(&c->l->s->draining, memory_order_relaxed)) {
    linger(c);
    return;
  }
  drop_call(c);
  c->phase = PH_IDLE;
  deadline(c, c->l->s->o.idle_timeout_ms);
  if (c->rest.n) {
    buf_t rest BUF_SCOPED = c->rest;
    c->rest = buf_heap(rest.cap);
    feed(c, buf_slice(&rest));
  }
  if (c->phase != PH_DEAD && c->phase != PH_LINGER) loop_stream_read(loop_stream_of(c), c->rest.n <= LIM_HTTP_AHEAD);
}

/* Encrypts and sends as much of the response as the socket takes without queueing. */
static void pump(http_conn_t *c)
{
  slice_t all = buf_slice(&c->call->out);
  loop_stream_t *st = loop_stream_of(c);
  while (c->sent < all.n && loop_stream_queued(st) == 0) {
    slice_t part = slice_sub(all, c->sent, SEND_PART);
    if (!rc_ok(tls_send(c->tls, part, &c->l->out, NULL))) {
      close_conn(c);
      return;
    }
    c->sent += part.n;
    if (!flush(c)) return;
  }
  if (c->sent == all.n && loop_stream_queued(st) == 0) answered(c);
}

static void begin_answer(http_conn_t *c, bool keep_alive)
{
  c->phase = PH_WRITE;
  c->keep_alive = keep_alive;
  c->sent = 0;
  deadline(c, c->l->s->o.write_timeout_ms);
  pump(c);
}

/* Answers in the server's own name; the request in c->call may be anything. */
static void refuse(http_conn_t *c, int status, bool keep_alive)
{
  http_server_t *s = c->l->s;
  http_intake_t *in = &c->call->in;
  keep_alive = keep_alive && in->has_head && in->head.keep_alive;
  buf_reset(&c->call->out);
  atomic_fetch_add_explicit(&s->refused, 1, memory_order_relaxed);
  http_refusal_put(s, &c->l->own.stamp, in->has_head ? &in->head : NULL, status, keep_alive, &c->call->out);
  if (c->call->out.code) close_conn(c);
  else begin_answer(c, keep_alive);
}

/* --- requests --- */

static void finished(http_conn_t *c);

static void uncount(http_call_t *call)
{
  call->l->resuming -= call->counted;
  call->counted = false;
}

/* To a worker, or to the handler at once where the plan says so; never twice, so that parking cannot recurse. */
static void dispatch(http_conn_t *c)
{
  http_loop_t *l = c->l;
  http_call_t *call = c->call;
  call->conn = c;
  memcpy(call->addr, c->addr, c->addr_n);
  call->addr_n = c->addr_n;
  call->park = false;
  c->phase = PH_BUSY;
  no_deadline(c);
  call->on_loop = call->in.plan.on_loop && !call->resumed;
  if (call->on_loop) http_call_run(l->s, &l->own, call);
  if (call->on_loop && !call->elsewhere) {
    finished(c);
    return;
  }
  call->on_loop = false;
  if (pool_put(l->s->pool, call->in.plan.queue, &call->job)) {
    l->put = true;
  } else {
    uncount(call);
    refuse(c, 503, true);
  }
}

static void ready(http_conn_t *c)
{
  atomic_fetch_add_explicit(&c->l->s->requests, 1, memory_order_relaxed);
  if (c->call->in.plan.status) refuse(c, c->call->in.plan.status, true);
  else dispatch(c);
}

static bool begin_request(http_conn_t *c)
{
  c->call = call_get(c->l);
  if (!c->call) {
    close_conn(c);
    return false;
  }
  c->phase = PH_READ;
  deadline(c, c->l->s->o.head_timeout_ms);
  return true;
}

/* Plaintext that arrived: requests one after the other; what comes while one is answered waits in c->rest. */
static void feed(http_conn_t *c, slice_t bytes)
{
  while (bytes.n && (c->phase == PH_IDLE || c->phase == PH_READ)) {
    if (c->phase == PH_IDLE && !begin_request(c)) return;
    bool had_head = c->call->in.has_head;
    int status = 0;
    http_step_t step = http_intake_feed(&c->call->in, &bytes, &c->l->s->app, &status);
    if (step == HTTP_READY) ready(c);
    else if (step == HTTP_REFUSED) refuse(c, status, false);
    else if (!had_head && c->call->in.has_head) deadline(c, c->l->s->o.read_timeout_ms);
    if (step == HTTP_CONTINUE) {
      if (!rc_ok(tls_send(c->tls, S("HTTP/1.1 100 Continue\r\n\r\n"), &c->l->out, NULL))) close_conn(c);
      else if (!flush(c)) return;
    }
  }
  if (bytes.n == 0 || c->phase == PH_LINGER || c->phase == PH_DEAD || (c->phase == PH_WRITE && !c->keep_alive)) return;
  buf_put(&c->rest, bytes);
  if (c->rest.code) close_conn(c);
  else if (c->rest.n > LIM_HTTP_AHEAD) loop_stream_read(loop_stream_of(c), false);
}

/* --- parked requests --- */

static void park(http_conn_t *c)
{
  http_call_t *call = c->call;
  const http_intake_t *in = &call->in;
  http_parked_t *pk = mem_alloc(sizeof *pk + in->text.n + in->body.n);
  if (!pk) {
    refuse(c, 503, true);
    return;
  }
  pk->l = c->l;
  pk->conn = c;
  pk->plan = in->plan;
  pk->text_n = in->text.n;
  pk->body_n = in->body.n;
  memcpy(pk->bytes, in->text.p, in->text.n);
  if (in->body.n) memcpy(pk->bytes + in->text.n, in->body.p, in->body.n);
  slice_t key = slice_of(call->park_key, call->park_key_n);
  if (!park_add(c->l->s->park, &pk->entry, call->park_kind, key, call->since)) {
    mem_free(pk); /* woken in between: look again */
    call->resumed = true;
    dispatch(c);
    return;
  }
  c->parked = pk;
  c->phase = PH_PARKED;
  deadline(c, call->park_ms);
  drop_call(c);
}

/* Runs the request again. The entry is out of the index already. */
static void unpark(http_conn_t *c)
{
  http_parked_t *pk = c->parked;
  c->parked = NULL;
  c->call = call_get(c->l);
  if (!c->call || !rc_ok(http_intake_restore(&c->call->in, slice_of(pk->bytes, pk->text_n), slice_of(pk->bytes + pk->text_n, pk->body_n), &pk->plan))) {
    mem_free(pk);
    close_conn(c);
    return;
  }
  c->call->resumed = c->call->counted = true;
  c->call->wait_over = pk->over;
  mem_free(pk);
  c->l->resuming++;
  dispatch(c);
}

static void unpark_due(http_loop_t *l)
{
  while (l->due && l->resuming < RESUMING) {
    http_parked_t *pk = l->due;
    l->due = pk->next;
    if (!l->due) l->due_last = &l->due;
    if (pk->conn) unpark(pk->conn);
    else mem_free(pk);
  }
}

static void is_due(http_parked_t *pk, bool over)
{
  pk->over = over;
  pk->next = NULL;
  *pk->l->due_last = pk;
  pk->l->due_last = &pk->next;
  unpark_due(pk->l);
}

static void woken_here(loop_task_t *t) { is_due((http_parked_t *)((uintptr_t)t - offsetof(http_parked_t, task)), false); }

void http_conn_woken(park_entry_t *en)
{
  http_parked_t *pk = (http_parked_t *)(void *)en; /* entry is its first member */
  pk->task.run = woken_here;
  loop_post(pk->l->loop, &pk->task);
}

/* The wait is over without a wake, or the server stops. If the entry is out already, it is on its way. */
static void wait_over(http_conn_t *c)
{
  if (park_del(c->l->s->park, &c->parked->entry)) is_due(c->parked, true);
}

/* The handler has returned: answer, or wait. */
static void finished(http_conn_t *c)
{
  http_call_t *call = c->call;
  c->phase = PH_WRITE; /* the call is ours again */
  if (!call->park) {
    begin_answer(c, call->keep_alive);
  } else if (atomic_load_explicit(&c->l->s->draining, memory_order_relaxed)) {
    call->resumed = call->wait_over = true;
    dispatch(c);
  } else if (c->peer_done) {
    close_conn(c); /* nobody is waiting any more */
  } else {
    park(c);
  }
}

void http_conn_done(loop_task_t *t)
{
  http_call_t *call = (http_call_t *)((uintptr_t)t - offsetof(http_call_t, done));
  http_loop_t *l = call->l;
  uncount(call);
  if (call->conn) finished(call->conn);
  else call_put(call);
  unpark_due(l);
}

void http_conn_rest(void *self)
{
  http_loop_t *l = self;
  if (!l->put) return;
  l->put = false;
  pool_kick(l->s->pool);
}

/* --- the connection --- */

static bool on_opened(void *user, void *self)
{
  http_conn_t *c = user;
  http_loop_t *l = self;
  http_server_t *s = l->s;
  long long now = atomic_fetch_add(&s->connections, 1) + 1;
  c->tls = now <= (long long)s->o.max_connections && !atomic_load(&s->draining) ? tls_accept(s->tls) : NULL;
  if (!c->tls) {
    atomic_fetch_sub(&s->connections, 1);
    atomic_fetch_add_explicit(&s->shed, 1, memory_order_relaxed);
    return false;
  }
  atomic_fetch_add_explicit(&s->accepted, 1, memory_order_relaxed);
  c->l = l;
  c->rest = buf_heap(LIM_HTTP_AHEAD + PLAIN_MAX);
  c->next = l->conns;
  if (c->next) c->next->prev = c;
  l->conns = c;
  char addr[LOOP_ADDR_MAX];
  size_t n = loop_stream_peer(loop_stream_of(c), addr);
  c->addr_n = (uint8_t)(n < sizeof c->addr ? n : sizeof c->addr - 1);
  memcpy(c->addr, addr, c->addr_n);
  deadline(c, s->o.head_timeout_ms);
  return true;
}

static void on_closed(void *user)
{
  http_conn_t *c = user;
  if (!c->l) return;
  close_conn(c);
  if (c->prev) c->prev->next = c->next;
  else c->l->conns = c->next;
  if (c->next) c->next->prev = c->prev;
  tls_free(c->tls);
  http_server_t *s = c->l->s;
  if (atomic_fetch_sub(&s->connections, 1) == 1 && atomic_load(&s->draining)) {
    pthread_mutex_lock(&s->lock);
    pthread_cond_broadcast(&s->empty);
    pthread_mutex_unlock(&s->lock);
  }
}

/* Lets go of everything at once; on_closed follows. Safe to call twice. */
static void close_conn(http_conn_t *c)
{
  if (c->phase == PH_DEAD) return;
  if (c->phase == PH_BUSY) c->call->conn = NULL; /* its worker still has the call */
  else drop_call(c);
  c->call = NULL;
  c->phase = PH_DEAD;
  no_deadline(c);
  buf_fini(&c->rest);
  if (c->parked) {
    if (park_del(c->l->s->park, &c->parked->entry)) mem_free(c->parked);
    else c->parked->conn = NULL; /* it is on its way to `due`, or there */
    c->parked = NULL;
  }
  loop_stream_close(loop_stream_of(c));
}

/* The peer sends no more: an answer that is under way is still given. A goodbye is answered (RFC 8446 6.1), a mere FIN is not. */
static void peer_ended(http_conn_t *c, bool said_goodbye)
{
  c->peer_done = true;
  if (c->phase == PH_BUSY || c->phase == PH_WRITE) return;
  if (c->phase == PH_IDLE && said_goodbye) {
    tls_close(c->tls, &c->l->out);
    if (!flush(c)) return;
  }
  close_conn(c);
}

/* A browser or script that speaks plain HTTP to this port is told so instead of being dropped. */
static void refuse_plaintext(http_conn_t *c)
{
  static const char text[] = "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
                             "Client sent an HTTP request to an HTTPS server.\n";
  if (!rc_ok(loop_stream_write(loop_stream_of(c), slice_of(text, sizeof text - 1)))) {
    close_conn(c);
    return;
  }
  loop_stream_shutdown(loop_stream_of(c));
  c->phase = PH_LINGER;
  deadline(c, LINGER_MS);
}

static void on_data(void *user, slice_t in)
{
  http_conn_t *c = user;
  if (c->phase == PH_LINGER || c->phase == PH_DEAD) return;
  if (!c->spoke) {
    c->spoke = true;
    if (in.p[0] >= 'A' && in.p[0] <= 'Z') { /* a method; TLS begins with 0x16 (RFC 8446 5.1) */
      refuse_plaintext(c);
      return;
    }
  }
  http_loop_t *l = c->l;
  rc_t r = tls_recv(c->tls, in, &l->plain, &l->out, NULL);
  if (l->out.n && !flush(c)) {
    buf_reset(&l->plain);
    return;
  }
  if (c->phase == PH_HANDSHAKE && tls_is_ready(c->tls)) {
    atomic_fetch_add_explicit(&l->s->handshakes, 1, memory_order_relaxed);
    c->phase = PH_IDLE;
    deadline(c, l->s->o.idle_timeout_ms);
  }
  if (l->plain.n) feed(c, buf_slice(&l->plain));
  buf_reset(&l->plain);
  if (rc_is(r, RC_AGAIN) || c->phase == PH_DEAD) return;
  if (rc_is(r, RC_CLOSED)) peer_ended(c, true);
  else close_conn(c);
}

static void on_ended(void *user, rc_t why)
{
  http_conn_t *c = user;
  if (c->phase == PH_DEAD) return;
  if (rc_is(why, RC_CLOSED)) peer_ended(c, false);
  else close_conn(c);
}

static void on_sent(void *user)
{
  http_conn_t *c = user;
  if (c->phase == PH_WRITE) pump(c);
  else if (c->phase == PH_LINGER && c->peer_done) close_conn(c);
}

const loop_stream_ops_t http_conn_ops = {sizeof(http_conn_t), on_opened, on_data, on_ended, on_sent, on_closed};

static void timed_out(wheel_node_t *n, void *self)
{
  http_conn_t *c = conn_of_timer(n);
  switch ((phase_t)c->phase) {
  case PH_READ:
    refuse(c, 408, false);
    break;
  case PH_PARKED:
    wait_over(c);
    break;
  case PH_IDLE:
    linger(c);
    break;
  default:
    close_conn(c);
    break;
  }
}

void http_conn_tick(void *self)
{
  http_loop_t *l = self;
  wheel_turn(&l->wheel, loop_now_ms(l->loop), timed_out, l);
  if (l->wheel.count == 0) {
    loop_timer_clear(l->tick);
    l->ticking = false;
  }
}

void http_conn_drain(loop_task_t *t)
{
  http_loop_t *l = (http_loop_t *)((uintptr_t)t - offsetof(http_loop_t, drain));
  loop_listen_close(l->listener);
  for (http_conn_t *c = l->conns, *next; c; c = next) {
    next = c->next;
    if (c->phase == PH_HANDSHAKE) close_conn(c);
    else if (c->phase == PH_IDLE) linger(c);
    else if (c->phase == PH_PARKED) wait_over(c);
  }
}
