/* Randomness: uniform, seeded, ids that never repeat. */
#include "base/random.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void seeded_is_reproducible(void **state)
{
  uint64_t s1 = 42, s2 = 42, s3 = 43;
  rng_t a = rng_seeded(&s1), b = rng_seeded(&s2), c = rng_seeded(&s3);
  uint8_t x[100], y[100], z[100];
  rng_fill(&a, x, sizeof x);
  rng_fill(&b, y, sizeof y);
  rng_fill(&c, z, sizeof z);
  assert_memory_equal(x, y, sizeof x);
  assert_memory_not_equal(x, z, sizeof x);
}

static void below_is_in_range_and_even(void **state)
{
  uint64_t seed = 1;
  rng_t r = rng_seeded(&seed);
  int seen[7] = {0};
  for (int i = 0; i < 70000; i++) {
    uint64_t v = rng_below(&r, 7);
    assert_true(v < 7);
    seen[v]++;
  }
  for (size_t i = 0; i < 7; i++) assert_in_range(seen[i], 9500, 10500);
  for (int i = 0; i < 100; i++) assert_int_equal(rng_below(&r, 1), 0);
  /* With a bound just above 2^63, a plain modulus would take the lower half twice as often. */
  int low = 0;
  uint64_t bound = (UINT64_C(1) << 63) + (UINT64_C(1) << 62);
  for (int i = 0; i < 30000; i++) low += rng_below(&r, bound) < bound / 3;
  assert_in_range(low, 9600, 10400);
}

/* Hands out 0, 1, 2, … */
static void count_up(void *self, void *out, size_t n)
{
  memcpy(out, self, n);
  (*(uint64_t *)self)++;
}

/* 2^64 = 1 modulo 3, so that of all draws 0 alone is one too many. */
static void below_drops_the_surplus_only(void **state)
{
  uint64_t next = 0;
  rng_t r = {count_up, &next};
  assert_int_equal(rng_below(&r, 3), 1);
  assert_int_equal(next, 2);
  next = 0;
  assert_int_equal(rng_below(&r, 4), 0); /* a power of two divides evenly */
}

static void the_system_gives_bytes(void **state)
{
  uint8_t a[64] = {0}, b[64] = {0};
  rng_fill(&rng_system, a, sizeof a);
  rng_fill(&rng_system, b, sizeof b);
  assert_memory_not_equal(a, b, sizeof a);
  rng_fill(&rng_system, NULL, 0);
}

enum { IDS = 20000, THREADS = 4 };
static char ids[THREADS][IDS][ID_MAX];

static void *make_ids(void *at)
{
  char(*out)[ID_MAX] = at;
  for (int i = 0; i < IDS; i++) id_new("mc", 1000, out[i]);
  return NULL;
}

static int by_text(const void *a, const void *b) { return strcmp(a, b); }

/* The clock stands still, so the counter alone keeps them apart, the first ones included. */
static void ids_never_repeat(void **state)
{
  pthread_t t[THREADS];
  for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&t[i], NULL, make_ids, ids[i]), 0);
  for (int i = 0; i < THREADS; i++) pthread_join(t[i], NULL);
  char *flat = (char *)ids;
  qsort(flat, THREADS * IDS, ID_MAX, by_text);
  for (size_t i = 1; i < THREADS * IDS; i++)
    if (strcmp(flat + (i - 1) * ID_MAX, flat + i * ID_MAX) == 0) fail_msg("%s twice", flat + i * ID_MAX);
}

/* First of all tests: the counter must not have begun. */
static void processes_count_from_different_numbers(void **state)
{
  char id[3][ID_MAX] = {0};
  for (size_t i = 0; i < COUNT_OF(id); i++) {
    int fd[2];
    assert_int_equal(pipe(fd), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
      size_t n = id_new("mc", 1000, id[i]);
      _exit(write(fd[1], id[i], n) == (ssize_t)n ? 0 : 1);
    }
    close(fd[1]);
    assert_true(read(fd[0], id[i], ID_MAX - 1) > 0);
    close(fd[0]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
  }
  assert_false(strcmp(id[0], id[1]) == 0 && strcmp(id[1], id[2]) == 0);
}

static void ids_look_right(void **state)
{
  char id[ID_MAX];
  size_t n = id_new("job", INT64_C(1795572244123456), id);
  assert_int_equal(n, strlen(id));
  slice_t rest = slice_str(id), part;
  int64_t v;
  assert_true(slice_split(&rest, '-', &part) && slice_is(part, "job"));
  assert_true(slice_split(&rest, '-', &part) && slice_is(part, "1795572244123456000"));
  assert_true(slice_split(&rest, '-', &part) && rc_ok(slice_i64(part, &v)));
  assert_false(slice_split(&rest, '-', &part));
}

static void uuids_are_version_4(void **state)
{
  for (int i = 0; i < 200; i++) {
    char u[UUID_LEN + 1];
    uuid_new(&rng_system, u);
    assert_int_equal(strlen(u), UUID_LEN);
    assert_true(u[8] == '-' && u[13] == '-' && u[18] == '-' && u[23] == '-');
    assert_int_equal(u[14], '4');
    assert_non_null(strchr("89ab", u[19]));
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(processes_count_from_different_numbers), cmocka_unit_test(ids_never_repeat), cmocka_unit_test(ids_look_right), cmocka_unit_test(seeded_is_reproducible),
      cmocka_unit_test(below_is_in_range_and_even), cmocka_unit_test(below_drops_the_surplus_only), cmocka_unit_test(the_system_gives_bytes),
      cmocka_unit_test(uuids_are_version_4),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
