#include "io/pool.h"

#include "base/check.h"
#include "base/mem.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>

typedef struct worker {
  pool_t *pool;
  pthread_t thread;
  pthread_cond_t wake;
  bool told;             /* woken, not yet running */
  struct worker *idle_next;
  void *mine;
  struct worker *all_next;
} worker_t;

typedef struct queue {
  pool_job_t *first, **last;
  int waiting, running, depth, most;
  int64_t refused;
} queue_t;

struct pool {
  pthread_mutex_t lock;
  pool_options_t o;
  queue_t q[POOL_QUEUES];
  int next;            /* queue that is looked at first, so that none starves */
  int threads, waking; /* `waking`: told but not yet running; one at a time is enough */
  worker_t *idle, *all;
  bool stopping;
};

/* A queue with work that may have one more worker; -1 if none. Locked. */
static int choose(const pool_t *p)
{
  for (int i = 0; i < p->o.queues; i++) {
    int k = (p->next + i) % p->o.queues;
    if (p->q[k].first && p->q[k].running < p->q[k].most) return k;
  }
  return -1;
}

static void *worker_main(void *arg);

/* Makes a thread if one more is allowed. Locked; the few that are ever made are made under the lock. */
static void grow(pool_t *p)
{
  if (p->threads == p->o.workers || p->stopping) return;
  worker_t *w = mem_alloc(sizeof *w);
  if (!w) return;
  pthread_attr_t attr;
  w->pool = p;
  w->told = true;
  pthread_cond_init(&w->wake, NULL);
  w->mine = p->o.worker_new ? p->o.worker_new(p->o.self) : w;
  pthread_attr_init(&attr);
  int r = w->mine ? pthread_attr_setstacksize(&attr, p->o.stack_bytes ? p->o.stack_bytes : 256 * 1024) : -1;
  if (r == 0) r = pthread_create(&w->thread, &attr, worker_main, w);
  pthread_attr_destroy(&attr);
  if (r) {
    if (w->mine && p->o.worker_free) p->o.worker_free(p->o.self, w->mine);
    pthread_cond_destroy(&w->wake);
    mem_free(w);
    return;
  }
  char name[16];
  snprintf(name, sizeof name, "%.11s-%u", p->o.name ? p->o.name : "worker", (unsigned)p->threads % 1000u);
  pthread_setname_np(w->thread, name);
  w->all_next = p->all;
  p->all = w;
  p->threads++;
  p->waking++;
}

/*
 * Sees to it that somebody comes for the work. Only one thread is on its way at a time: once it runs it calls here
 * again, so a burst wakes as many as there is work for and no more. Locked.
 */
static void summon(pool_t *p)
{
  if (p->waking > 0 || choose(p) < 0) return;
  worker_t *w = p->idle;
  if (!w) {
    grow(p);
    return;
  }
  p->idle = w->idle_next;
  w->told = true;
  p->waking++;
  pthread_cond_signal(&w->wake);
}

static pool_job_t *take(pool_t *p, int k)
{
  queue_t *q = &p->q[k];
  pool_job_t *job = q->first;
  p->next = (k + 1) % p->o.queues;
  q->first = job->next;
  if (!q->first) q->last = &q->first;
  q->waiting--;
  q->running++;
  return job;
}

static void *worker_main(void *arg)
{
  worker_t *w = arg;
  pool_t *p = w->pool;
  sigset_t all;
  sigfillset(&all); /* signals are for the main thread */
  pthread_sigmask(SIG_BLOCK, &all, NULL);
  pthread_mutex_lock(&p->lock);
  for (;;) {
    if (w->told) {
      w->told = false;
      p->waking--;
    }
    int k = choose(p);
    if (k >= 0) {
      pool_job_t *job = take(p, k);
      summon(p);
      pthread_mutex_unlock(&p->lock);
      p->o.run(p->o.self, w->mine, job);
      pthread_mutex_lock(&p->lock);
      p->q[k].running--;
      continue;
    }
    if (p->stopping) break;
    w->idle_next = p->idle;
    p->idle = w;
    while (!w->told) pthread_cond_wait(&w->wake, &p->lock);
  }
  pthread_mutex_unlock(&p->lock);
  if (p->o.worker_free) p->o.worker_free(p->o.self, w->mine);
  return NULL;
}

bool pool_put(pool_t *p, int queue, pool_job_t *job)
{
  CHECK(queue >= 0 && queue < p->o.queues);
  pthread_mutex_lock(&p->lock);
  queue_t *q = &p->q[queue];
  bool taken = !p->stopping && q->waiting < q->depth;
  if (taken) {
    job->next = NULL;
    *q->last = job;
    q->last = &job->next;
    q->waiting++;
  }
  q->refused += !taken;
  pthread_mutex_unlock(&p->lock);
  return taken;
}

void pool_kick(pool_t *p)
{
  pthread_mutex_lock(&p->lock);
  summon(p);
  pthread_mutex_unlock(&p->lock);
}

pool_stats_t pool_stats(pool_t *p, int queue)
{
  CHECK(queue >= 0 && queue < p->o.queues);
  pthread_mutex_lock(&p->lock);
  const queue_t *q = &p->q[queue];
  pool_stats_t s = {q->waiting, q->running, p->threads, q->refused};
  pthread_mutex_unlock(&p->lock);
  return s;
}

void pool_stop(pool_t *p)
{
  if (!p) return;
  pthread_mutex_lock(&p->lock);
  p->stopping = true;
  for (worker_t *w = p->idle; w; w = w->idle_next) {
    w->told = true;
    p->waking++;
    pthread_cond_signal(&w->wake);
  }
  p->idle = NULL;
  pthread_mutex_unlock(&p->lock);
  while (p->all) {
    worker_t *w = p->all;
    p->all = w->all_next;
    pthread_join(w->thread, NULL);
    pthread_cond_destroy(&w->wake);
    mem_free(w);
  }
}

void pool_free(pool_t *p)
{
  if (!p) return;
  pool_stop(p);
  pthread_mutex_destroy(&p->lock);
  mem_free(p);
}

rc_t pool_new(const pool_options_t *o, pool_t **ret)
{
  CHECK(o->queues > 0 && o->queues <= POOL_QUEUES && o->workers > 0);
  pool_t *p = mem_alloc(sizeof *p);
  if (!p) return rc(RC_NOMEM);
  p->o = *o;
  for (int i = 0; i < o->queues; i++) {
    p->q[i].last = &p->q[i].first;
    p->q[i].depth = o->queue[i].depth;
    p->q[i].most = o->queue[i].most > 0 ? o->queue[i].most : o->workers;
  }
  pthread_mutex_init(&p->lock, NULL);
  pthread_mutex_lock(&p->lock);
  grow(p);
  pthread_mutex_unlock(&p->lock);
  if (p->threads == 0) {
    pool_free(p);
    return rc(RC_NOMEM);
  }
  *ret = p;
  return rc(RC_OK);
}
