/* The ticker: spans between two runs, one run for many servers, a clock that steps. */
#include "world.h"

#include "work/ticker.h"

#include <stdatomic.h>
#include <unistd.h>

enum { DRAWS = 10000, INTERVAL_S = 3600 };

static void test_draw_stays_in_its_envelope_and_does_not_drift(void **state)
{
  uint64_t seed = 17;
  rng_t rng = rng_seeded(&seed);
  int64_t sum = 0, least = INT64_MAX, most = 0, whole = INTERVAL_S * US_PER_S;
  (void)state;
  for (int i = 0; i < DRAWS; i++) {
    int64_t us = ticker_draw_us(INTERVAL_S, &rng);
    assert_in_range(us, whole / 10 * 9, whole / 10 * 11);
    least = us < least ? us : least;
    most = us > most ? us : most;
    sum += us;
  }
  assert_in_range(sum / DRAWS, whole / 100 * 99, whole / 100 * 101);
  assert_true(least < whole / 1000 * 901); /* the whole envelope is used */
  assert_true(most > whole / 1000 * 1099);
}

static void test_short_intervals_keep_the_envelope(void **state)
{
  uint64_t seed = 18;
  rng_t rng = rng_seeded(&seed);
  (void)state;
  assert_int_equal(ticker_draw_us(0, &rng), 0);
  for (int i = 0; i < DRAWS; i++) assert_in_range(ticker_draw_us(1, &rng), 900000, 1100000);
}

static _Atomic int runs[2], overlap, most_at_once;

static void run_of(int i)
{
  int now = atomic_fetch_add(&overlap, 1) + 1;
  if (now > atomic_load(&most_at_once)) atomic_store(&most_at_once, now);
  atomic_fetch_add(&runs[i], 1);
  (void)usleep(20000);
  atomic_fetch_sub(&overlap, 1);
}

static rc_t run_first(void *ctx)
{
  (void)ctx;
  run_of(0);
  return rc(RC_OK);
}

static rc_t run_failing(void *ctx)
{
  (void)ctx;
  run_of(1);
  return rc(RC_IO);
}

static const loop_t loops[] = {{"first", 60, true, run_first, "counts"}, {"failing", 60, true, run_failing, "fails"}};

static bool reached(int i, int n)
{
  for (int k = 0; k < 400 && atomic_load(&runs[i]) < n; k++) (void)usleep(10000);
  return atomic_load(&runs[i]) >= n;
}

static _Atomic int looks; /* at the clock: one a tick */

static us_t counted_wall(void *self)
{
  atomic_fetch_add(&looks, 1);
  return ((world_t *)self)->now;
}

static ticker_t *start(world_t *w)
{
  static timesrc_t counted;
  ticker_t *t = NULL;
  err_t e = {0};
  counted = w->time;
  counted.wall = counted_wall;
  must(ticker_start(
           &(ticker_options_t){
               .db = w->core.db, .time = &counted, .rng = &rng_system, .loops = loops, .nloops = COUNT_OF(loops)},
           &t, &e),
       &e);
  return t;
}

static int setup(void **state)
{
  static world_t w;
  world_open(&w);
  atomic_store(&runs[0], 0);
  atomic_store(&runs[1], 0);
  atomic_store(&most_at_once, 0);
  *state = &w;
  return 0;
}

/* Both tickers see every loop due at the same second; each piece of work is done once. */
static void test_two_servers_run_a_loop_once(void **state)
{
  world_t *w = *state;
  ticker_t *a = start(w);
  assert_true(reached(0, 1) && reached(1, 1));
  ticker_t *b = start(w); /* at_start: due once more, for one of the two */
  assert_true(reached(0, 2) && reached(1, 2));
  (void)usleep(2300000); /* two further ticks of both, with nothing due */
  assert_int_equal(runs[0], 2);
  assert_int_equal(runs[1], 2);
  w->now = us_add_s(w->now, 70);
  assert_true(reached(0, 3) && reached(1, 3)); /* a loop that failed goes on */
  (void)usleep(1200000);
  ticker_stop(a);
  ticker_stop(b);
  assert_int_equal(runs[0], 3);
  assert_int_equal(runs[1], 3);
  assert_true(most_at_once <= 2);
  assert_int_equal(world_number(w, "select count(*) from loops where holder is null and lease_until is null"), 2);
  assert_int_equal(world_number(w, "select attempt from loops where name = 'first'"), 3);
}

/* A lease whose holder died is taken over once it has run out. */
static void test_lease_of_a_dead_server(void **state)
{
  world_t *w = *state;
  db_stats_t before, after;
  ticker_t *a = start(w);
  assert_true(reached(0, 1) && reached(1, 1));
  (void)usleep(100000);
  ticker_stop(a);
  w->now = us_add_s(w->now, 100);
  world_run(w, "loops", "update loops set holder = 'dead', lease_until = next_run_at + 60000000 where name = 'first'");
  a = start(w);
  assert_true(reached(1, 2));
  (void)usleep(200000);
  db_stats(w->core.db, &before);
  int looked = atomic_load(&looks);
  (void)usleep(1200000);
  db_stats(w->core.db, &after);
  assert_in_range(atomic_load(&looks) - looked, 0, 3);
  assert_int_equal(after.conflicts, before.conflicts); /* what is held or waits is not even tried */
  assert_int_equal(runs[0], 1);
  w->now = us_add_s(w->now, 200);
  assert_true(reached(0, 2));
  ticker_stop(a);
}

/* An older or newer server's rows are nothing to this one. */
static void test_rows_of_loops_that_are_not_ours(void **state)
{
  world_t *w = *state;
  world_run(w, "loops",
            "with recursive k(i) as (select 1 union all select i + 1 from k where i < 40) "
            "insert into loops (name, next_run_at, attempt) select 'z-' || i, 1, 0 from k");
  ticker_t *t = start(w);
  assert_true(reached(0, 1) && reached(1, 1));
  ticker_stop(t);
  ticker_stop(NULL);
  assert_int_equal(world_number(w, "select count(*) from loops where name like 'z-%' and attempt > 0"), 0);
}

/* Every allocation of a start fails in turn: no ticker, no leak. */
static void test_torture_of_a_start(void **state)
{
  world_t *w = *state;
  ticker_t *t = NULL;
  const ticker_options_t o = {.db = w->core.db, .time = &w->time, .rng = &rng_system, .loops = loops, .nloops = 2};
  int failures = 0;
  for (long n = 0; n < 100 && !t; n++) {
    err_t e = {0};
    mem_fail_after(n);
    rc_t got = ticker_start(&o, &t, &e);
    mem_fail_after(-1);
    assert_int_equal(rc_ok(got), t != NULL);
    failures += !rc_ok(got);
  }
  assert_true(t && failures >= 2);
  ticker_stop(t);
}

/* The wall clock was a year ahead and is set right: loops do not wait out the year. */
static void test_clock_set_back(void **state)
{
  world_t *w = *state;
  us_t right = w->now;
  w->now = us_add_s(right, 365 * 86400);
  ticker_t *t = start(w);
  assert_true(reached(0, 1) && reached(1, 1));
  (void)usleep(100000);
  w->now = right;
  assert_true(reached(0, 2) && reached(1, 2));
  (void)usleep(1200000);
  assert_int_equal(runs[0], 2); /* and go on in their own time */
  w->now = us_add_s(right, 70);
  assert_true(reached(0, 3));
  ticker_stop(t);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_draw_stays_in_its_envelope_and_does_not_drift),
      cmocka_unit_test(test_short_intervals_keep_the_envelope),
      cmocka_unit_test_setup_teardown(test_two_servers_run_a_loop_once, setup, world_teardown),
      cmocka_unit_test_setup_teardown(test_lease_of_a_dead_server, setup, world_teardown),
      cmocka_unit_test_setup_teardown(test_rows_of_loops_that_are_not_ours, setup, world_teardown),
      cmocka_unit_test_setup_teardown(test_torture_of_a_start, setup, world_teardown),
      cmocka_unit_test_setup_teardown(test_clock_set_back, setup, world_teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
