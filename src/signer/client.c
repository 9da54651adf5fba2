#include "signer/client.h"

#include "base/log.h"
#include "base/mem.h"
#include "io/channel.h"
#include "signer/frame_io.h"

#include <pthread.h>
#include <semaphore.h>

/*
 * One caller waiting. It lives on the caller's stack; until `done` is posted the client's thread may write to its
 * arena, afterwards nobody but the caller touches it. A semaphore, because a condition would wake its waiter into the
 * lock that the other callers are about to need.
 */
typedef struct call {
  msg_kind_t kind;
  buf_t request;           /* one item, with its length */
  arena_t *arena;
  slice_t reply;           /* items: one of a batch, the whole body of any other kind */
  uint32_t nreply;
  rc_t code;
  sem_t done;
  struct call *next;
} call_t;

/* Lock order: `lock` is a leaf; it is never held across a read or a write of the socket. */
struct signer_client {
  pthread_mutex_t lock;
  pthread_cond_t work;
  call_t *head, **tail;    /* pending, in order of arrival */
  bool stop, dead;
  int fd;
  pthread_t thread;
  buf_t out, in;           /* of the thread */
  struct {
    char *v[LIM_SIGN_WORDS];
    size_t n;
  } words;                 /* texts of errors, kept until the client is freed */
  char *chain_of, *chain;  /* the CA last asked for and its chain: a signer never changes it while it runs */
};

static const char *const dead_text = "the signer is not there";

/*
 * err_t wants static text, a reply brings bytes: each distinct text is kept once.
 * The signer's vocabulary is small; a text beyond the cap is replaced.
 */
static const char *word(signer_client_t *c, slice_t s)
{
  if (s.n == 0) return NULL;
  const char *found = "signer_refused";
  pthread_mutex_lock(&c->lock);
  size_t i = 0;
  while (i < c->words.n && !slice_is(s, c->words.v[i])) i++;
  if (i == c->words.n && i < LIM_SIGN_WORDS && !memchr(s.p, 0, s.n)) {
    char *copy = mem_dup_text(s.p, s.n);
    if (copy) c->words.v[c->words.n++] = copy;
  }
  if (i < c->words.n) found = c->words.v[i];
  pthread_mutex_unlock(&c->lock);
  return found;
}

/* Takes the calls that go into the next frame: a run of sign requests, or one of another kind. */
static call_t *gather(signer_client_t *c, uint32_t *ret_n)
{
  call_t *first = c->head, *last = first;
  uint32_t n = 1;
  size_t bytes = first->request.n;
  while (first->kind == MSG_SIGN && last->next && last->next->kind == MSG_SIGN && n < LIM_SIGN_BATCH &&
         bytes + last->next->request.n <= LIM_SIGN_FRAME) {
    last = last->next;
    bytes += last->request.n;
    n++;
  }
  c->head = last->next;
  if (!c->head) c->tail = &c->head;
  last->next = NULL;
  *ret_n = n;
  return first;
}

static MUST rc_t exchange(signer_client_t *c, call_t *first, uint32_t n, msg_frame_t *ret)
{
  buf_reset(&c->out);
  size_t start = msg_frame_begin(&c->out, first->kind);
  for (call_t *k = first; k; k = k->next) buf_put(&c->out, buf_slice(&k->request));
  TRY(msg_frame_end(&c->out, start, n));
  TRY(channel_write(c->fd, buf_slice(&c->out), NULL));
  TRY(frame_read(c->fd, &c->in, ret, NULL));
  bool fits = ret->reply && ret->kind == first->kind && (ret->kind == MSG_SIGN ? ret->count == n : ret->count >= 1);
  return fits ? rc(RC_OK) : rc(RC_SYNTAX);
}

/* Gives each call its part of the reply, in its own arena. */
static MUST rc_t hand_out(call_t *first, const msg_frame_t *f)
{
  slice_t body = f->body;
  for (call_t *k = first; k; k = k->next) {
    slice_t item, part = body;
    if (f->kind == MSG_SIGN) {
      TRY(msg_item_next(&body, &item));
      part = item;
    }
    k->reply = arena_dup(k->arena, part);
    k->nreply = f->count;
    k->code = k->reply.p ? rc(RC_OK) : rc(RC_NOMEM);
  }
  return rc(RC_OK);
}

static void finish(call_t *k, const rc_t *code)
{
  while (k) {
    call_t *next = k->next; /* the caller's stack is gone once it has `done` */
    if (code) k->code = *code;
    (void)sem_post(&k->done);
    k = next;
  }
}

static void *run(void *self)
{
  signer_client_t *c = (signer_client_t *)self;
  pthread_mutex_lock(&c->lock);
  for (;;) {
    while (!c->head && !c->stop) pthread_cond_wait(&c->work, &c->lock);
    if (c->stop || c->dead) break;
    uint32_t n;
    msg_frame_t f;
    call_t *first = gather(c, &n);
    pthread_mutex_unlock(&c->lock);
    rc_t r = exchange(c, first, n, &f);
    if (rc_ok(r)) r = hand_out(first, &f);
    else if (rc_is(r, RC_AGAIN)) log_line(LOG_ERROR, "signer gave no answer in time");
    if (rc_ok(r)) finish(first, NULL);
    pthread_mutex_lock(&c->lock);
    if (rc_ok(r)) continue;
    c->dead = true; /* before those who learn of it can ask again */
    const rc_t gone = rc(RC_CLOSED);
    finish(first, &gone);
    break;
  }
  c->dead = true;
  const rc_t closed = rc(RC_CLOSED);
  finish(c->head, &closed);
  c->head = NULL;
  c->tail = &c->head;
  pthread_mutex_unlock(&c->lock);
  return NULL;
}

rc_t signer_client_new(int fd, int64_t patience_ms, signer_client_t **ret, err_t *e)
{
  signer_client_t *c = (signer_client_t *)mem_alloc(sizeof *c);
  if (!c) return err_set(e, RC_NOMEM, "signer_client", NULL, "out of memory");
  pthread_mutex_init(&c->lock, NULL);
  pthread_cond_init(&c->work, NULL);
  c->tail = &c->head;
  c->fd = fd;
  channel_patience(fd, patience_ms);
  c->out = buf_heap(LIM_SIGN_FRAME + MSG_HEAD);
  c->in = buf_heap(LIM_SIGN_FRAME + MSG_HEAD);
  if (pthread_create(&c->thread, NULL, run, c) != 0) {
    mem_free(c);
    return err_set(e, RC_IO, "signer_client", NULL, "cannot start a thread");
  }
  *ret = c;
  return rc(RC_OK);
}

bool signer_client_dead(signer_client_t *c)
{
  pthread_mutex_lock(&c->lock);
  bool dead = c->dead;
  pthread_mutex_unlock(&c->lock);
  return dead;
}

void signer_client_free(signer_client_t *c)
{
  if (!c) return;
  pthread_mutex_lock(&c->lock);
  c->stop = true;
  pthread_cond_signal(&c->work);
  pthread_mutex_unlock(&c->lock);
  channel_shut(c->fd);
  pthread_join(c->thread, NULL);
  channel_close(&c->fd);
  buf_fini(&c->out);
  buf_fini(&c->in);
  for (size_t i = 0; i < c->words.n; i++) mem_free(c->words.v[i]);
  mem_free(c->chain_of);
  mem_free(c->chain);
  pthread_cond_destroy(&c->work);
  pthread_mutex_destroy(&c->lock);
  mem_free(c);
}

/* Queues the call and waits. RC_CLOSED when the signer went away before or meanwhile, RC_NOMEM by the call's arena. */
static MUST rc_t wait_for(signer_client_t *c, call_t *k, err_t *e)
{
  if (sem_init(&k->done, 0, 0) != 0) return err_set(e, RC_INTERNAL, "semaphore", NULL, "no semaphore");
  pthread_mutex_lock(&c->lock);
  bool open = !c->dead && !c->stop, first = c->head == NULL;
  if (open) {
    *c->tail = k;
    c->tail = &k->next;
  }
  pthread_mutex_unlock(&c->lock);
  if (!open) k->code = rc(RC_CLOSED);
  else if (first) pthread_cond_signal(&c->work);
  while (open && sem_wait(&k->done) != 0) continue; /* a signal handler ran */
  (void)sem_destroy(&k->done);
  if (rc_ok(k->code)) return k->code;
  if (rc_is(k->code, RC_NOMEM)) return err_set(e, RC_NOMEM, "signer_client", NULL, "out of memory");
  err_set(e, k->code.code, "signer_gone", NULL, dead_text);
  if (e) e->retry = true;
  return k->code;
}

static MUST rc_t misread(err_t *e)
{
  return err_set(e, RC_INTERNAL, "signer_reply", NULL, "was not understood");
}

static MUST rc_t outcome(signer_client_t *c, slice_t *item, arena_t *a, err_t *e)
{
  msg_outcome_t o;
  if (!rc_ok(msg_get(&msg_outcome, item, a, &o))) return misread(e);
  if (o.code == RC_OK) return rc(RC_OK);
  int32_t code = o.code < 0 && o.code >= RC_INTERNAL ? (int32_t)o.code : RC_INTERNAL;
  err_limit(e, code, word(c, o.reason), word(c, o.field), word(c, o.text), o.limit);
  err_value(e, o.value.p, o.value.n);
  if (e) e->retry = o.retry;
  return rc(code);
}

/* One request of any kind; *ret_item is the first reply behind its outcome, *ret_rest the items after it. */
static MUST rc_t ask(signer_client_t *c, msg_kind_t kind, const msg_shape_t *shape, const void *row, arena_t *a,
                     slice_t *ret_item, slice_t *ret_rest, err_t *e)
{
  call_t k = {.kind = kind, .request = buf_heap(LIM_SIGN_FRAME), .arena = a};
  size_t start = msg_item_begin(&k.request);
  rc_t r = msg_put(shape, row, &k.request);
  msg_item_end(&k.request, start);
  if (!rc_ok(r)) {
    buf_fini(&k.request);
    return err_set(e, r.code, "request_too_large", NULL, "the request is over a limit of the signer");
  }
  r = wait_for(c, &k, e);
  buf_fini(&k.request);
  TRY(r);
  slice_t item = k.reply, rest = {NULL, 0};
  if (kind != MSG_SIGN) {
    rest = k.reply;
    if (!rc_ok(msg_item_next(&rest, &item))) return misread(e);
  }
  TRY(outcome(c, &item, a, e));
  *ret_item = item;
  if (ret_rest) *ret_rest = rest;
  return rc(RC_OK);
}

rc_t signer_sign(signer_client_t *c, const sign_request_t *rq, arena_t *a, sign_answer_t *ret, err_t *e)
{
  slice_t item;
  sign_answer_t answer;
  TRY(ask(c, MSG_SIGN, &msg_sign_request, rq, a, &item, NULL, e));
  if (!rc_ok(msg_get(&msg_sign_answer, &item, a, &answer))) return misread(e);
  *ret = answer;
  return rc(RC_OK);
}

static void chain_keep(signer_client_t *c, slice_t issuer, slice_t pem)
{
  char *of = mem_dup_text(issuer.p, issuer.n), *text = mem_dup_text(pem.p, pem.n);
  pthread_mutex_lock(&c->lock);
  if (of && text && !c->chain_of) {
    c->chain_of = of;
    c->chain = text;
    of = text = NULL;
  }
  pthread_mutex_unlock(&c->lock);
  mem_free(of);
  mem_free(text);
}

/* Asked at each issuance; a message of its own would part the run of sign requests in two. */
rc_t signer_ca_chain(signer_client_t *c, slice_t issuer, arena_t *a, slice_t *ret_pem, err_t *e)
{
  slice_t pem = {NULL, 0};
  pthread_mutex_lock(&c->lock);
  bool known = !c->dead && c->chain_of && slice_is(issuer, c->chain_of);
  if (known) pem = arena_dup(a, slice_str(c->chain));
  pthread_mutex_unlock(&c->lock);
  if (known && !pem.p) return err_set(e, RC_NOMEM, "signer_client", NULL, "out of memory");
  if (!known) {
    slice_t item;
    msg_pem_t answer;
    TRY(ask(c, MSG_CHAIN, &msg_chain, &(msg_chain_t){issuer}, a, &item, NULL, e));
    if (!rc_ok(msg_get(&msg_pem, &item, a, &answer))) return misread(e);
    pem = answer.pem;
    chain_keep(c, issuer, pem);
  }
  *ret_pem = pem;
  return rc(RC_OK);
}

rc_t signer_record_tail(signer_client_t *c, size_t most, arena_t *a, record_entry_t **ret, size_t *ret_n, err_t *e)
{
  record_entry_t *v = ARENA_ARRAY(a, record_entry_t, most ? most : 1);
  if (!v) return err_set(e, RC_NOMEM, "signer_client", NULL, "out of memory");
  msg_tail_t at = {0};
  size_t n = 0; /* filled from the back, since pages come newest first */
  do {
    slice_t item, rest;
    at.most = (int64_t)(most - n);
    TRY(ask(c, MSG_TAIL, &msg_tail, &at, a, &item, &rest, e));
    rc_t r = msg_get(&msg_tail, &item, a, &at);
    while (rc_ok(r) && rest.n > 0 && n < most) {
      r = msg_item_next(&rest, &item);
      if (rc_ok(r)) r = msg_get(&msg_record_entry, &item, a, &v[most - 1 - n]);
      n++;
    }
    if (!rc_ok(r)) return misread(e);
  } while (at.before != 0 && n < most);
  *ret = v + (most - n);
  *ret_n = n;
  return rc(RC_OK);
}
