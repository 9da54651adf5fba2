#include "io/pool.h"

#include "base/mem.h"

#include "../eventually.h"

#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "../eventually.h"

enum { JOBS = 20000 };

typedef struct job {
  pool_job_t link; /* first */
  int queue;
  bool hold;
  atomic_int runs;
} job_t;

static job_t jobs[JOBS];
static sem_t gate;
static atomic_int running[2], most[2], total, workers;

static void run(void *self, void *mine, pool_job_t *link)
{
  job_t *j = (job_t *)(void *)link;
  assert_ptr_equal(mine, self);
  int n = atomic_fetch_add(&running[j->queue], 1) + 1, seen = atomic_load(&most[j->queue]);
  while (n > seen && !atomic_compare_exchange_weak(&most[j->queue], &seen, n)) {}
  if (j->hold) (void)sem_wait(&gate);
  atomic_fetch_add(&j->runs, 1);
  atomic_fetch_add(&total, 1);
  atomic_fetch_sub(&running[j->queue], 1);
}

static void *mine(void *self)
{
  atomic_fetch_add(&workers, 1);
  return self;
}

static void not_mine(void *self, void *m) { atomic_fetch_sub(&workers, 1); }

static pool_t *make(int threads, int depth, int most0, int most1)
{
  static int self;
  pool_options_t o = {.name = "test", .workers = threads, .queues = 2, .worker_new = mine, .worker_free = not_mine, .run = run, .self = &self};
  o.queue[0].depth = o.queue[1].depth = depth;
  o.queue[0].most = most0;
  o.queue[1].most = most1;
  pool_t *p = NULL;
  assert_int_equal(pool_new(&o, &p).code, RC_OK);
  for (int i = 0; i < JOBS; i++) {
    jobs[i].queue = i % 2;
    jobs[i].hold = false;
    atomic_store(&jobs[i].runs, 0);
  }
  for (int i = 0; i < 2; i++) {
    atomic_store(&running[i], 0);
    atomic_store(&most[i], 0);
  }
  atomic_store(&total, 0);
  return p;
}

static void *push_quarter(void *arg)
{
  pool_t *p = ((void **)arg)[0];
  long quarter = (long)((void **)arg)[1];
  for (long i = quarter; i < JOBS; i += 4) {
    assert_true(pool_put(p, jobs[i].queue, &jobs[i].link));
    if (i % 8 >= 4) pool_kick(p); /* now for this one and for some before it */
  }
  pool_kick(p);
  return NULL;
}

/* As a loop does that has nothing else to hand over. */
static bool push(pool_t *p, int queue, pool_job_t *job)
{
  bool taken = pool_put(p, queue, job);
  pool_kick(p);
  return taken;
}

static void test_all_run_once(void **state)
{
  pool_t *p = make(6, JOBS, 0, 2);
  pthread_t t[4];
  void *args[4][2];
  for (long i = 0; i < 4; i++) {
    args[i][0] = p;
    args[i][1] = (void *)i;
    assert_int_equal(pthread_create(&t[i], NULL, push_quarter, args[i]), 0);
  }
  for (int i = 0; i < 4; i++) pthread_join(t[i], NULL);
  EVENTUALLY(atomic_load(&total) == JOBS);
  pool_free(p);
  for (int i = 0; i < JOBS; i++) assert_int_equal(atomic_load(&jobs[i].runs), 1);
  assert_true(atomic_load(&most[1]) <= 2);
  assert_int_equal(atomic_load(&workers), 0);
}

static void test_share_and_depth(void **state)
{
  pool_t *p = make(3, 4, 0, 1);
  int at = 1; /* odd ones are of queue 1 */
  for (int i = 0; i < 5; i++, at += 2) {
    jobs[at].hold = true;
    if (i == 1) EVENTUALLY(pool_stats(p, 1).running == 1);
    assert_true(push(p, 1, &jobs[at].link));
  }
  assert_false(push(p, 1, &jobs[at].link)); /* one runs, four wait */
  assert_int_equal(pool_stats(p, 1).refused, 1);
  assert_int_equal(pool_stats(p, 1).waiting, 4);
  for (int i = 0; i < 8; i += 2) assert_true(push(p, 0, &jobs[i].link)); /* the other class goes on */
  EVENTUALLY(atomic_load(&total) == 4);
  assert_int_equal(pool_stats(p, 1).running, 1);
  for (int i = 0; i < 5; i++) sem_post(&gate);
  pool_stop(p); /* runs what waits */
  assert_int_equal(atomic_load(&total), 9);
  assert_int_equal(atomic_load(&most[1]), 1);
  assert_false(push(p, 0, &jobs[100].link));
  pool_free(p);
}

static void test_no_memory(void **state)
{
  pool_options_t o = {.name = "test", .workers = 2, .queues = 1, .run = run};
  for (long n = 0; n < 2; n++) {
    pool_t *p = NULL;
    mem_fail_after(n);
    assert_int_equal(pool_new(&o, &p).code, RC_NOMEM);
    mem_fail_after(-1);
    assert_null(p);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_run_once), cmocka_unit_test(test_share_and_depth), cmocka_unit_test(test_no_memory)};
  (void)sem_init(&gate, 0, 0);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
