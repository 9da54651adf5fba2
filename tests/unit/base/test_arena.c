/* Arenas: budget, alignment, reuse; and that touching dead memory kills under the address sanitizer. */
#include "base/arena.h"
#include "base/mem.h"

#include "asan.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void zeroed_and_aligned(void **state)
{
  ARENA_SCOPED arena_t *a = arena_new(1 << 20);
  for (size_t n = 0; n < 300; n++) {
    uint8_t *p = arena_alloc(a, n);
    assert_non_null(p);
    assert_int_equal((uintptr_t)p % 16, 0);
    for (size_t i = 0; i < n; i++) assert_int_equal(p[i], 0);
    memset(p, 0xee, n);
  }
}

static void objects_do_not_overlap(void **state)
{
  ARENA_SCOPED arena_t *a = arena_new(1 << 20);
  uint8_t *p[500];
  for (size_t i = 0; i < COUNT_OF(p); i++) {
    p[i] = arena_alloc(a, 1 + i);
    assert_non_null(p[i]);
    memset(p[i], (int)(i & 0xff), 1 + i);
  }
  for (size_t i = 0; i < COUNT_OF(p); i++)
    for (size_t k = 0; k <= i; k++) assert_int_equal(p[i][k], i & 0xff);
}

/* Objects count as they lie: rounded up to 16. */
static void the_budget_holds(void **state)
{
  ARENA_SCOPED arena_t *a = arena_new(112);
  assert_non_null(arena_alloc(a, 60));
  assert_int_equal(arena_used(a), 64);
  assert_null(arena_alloc(a, 49));
  assert_null(arena_alloc(a, SIZE_MAX));
  assert_null(arena_alloc(a, SIZE_MAX - 40));
  assert_int_equal(arena_used(a), 64);
  assert_non_null(arena_alloc(a, 48));
  assert_int_equal(arena_used(a), 112);
  assert_null(arena_alloc(a, 1));
  arena_set_budget(a, 128);
  assert_non_null(arena_alloc(a, 1));
  arena_set_budget(a, 50);
  assert_null(arena_alloc(a, 1));
  arena_reset(a);
  assert_int_equal(arena_used(a), 0);
  assert_non_null(arena_alloc(a, 48));
  assert_null(arena_alloc(a, 1));
  arena_reset(a);
  arena_set_budget(a, 48);
  assert_non_null(arena_alloc(a, 48)); /* all of it at once */
}

enum { REDZONE = UNDER_ASAN ? 32 : 0, FIRST_CHUNK = 4096 - 64, LARGEST_KEPT = 16 * FIRST_CHUNK };

static void a_chunk_is_used_to_its_last_byte(void **state)
{
  ARENA_SCOPED arena_t *a = arena_new(1 << 20);
  mem_fail_after(1);
  for (int i = 0; i < 2; i++) assert_non_null(arena_alloc(a, FIRST_CHUNK / 2 - REDZONE));
  assert_null(arena_alloc(a, 1));
  mem_fail_after(-1);
}

static void reset_keeps_one_chunk_unless_it_is_large(void **state)
{
  for (size_t over = 0; over <= 1; over++) {
    ARENA_SCOPED arena_t *a = arena_new(1 << 20);
    assert_non_null(arena_alloc(a, LARGEST_KEPT - REDZONE + over));
    arena_reset(a);
    mem_fail_after(0);
    assert_true((arena_alloc(a, 1) == NULL) == (over > 0));
    mem_fail_after(-1);
  }
}

static void reset_gives_the_memory_again(void **state)
{
  ARENA_SCOPED arena_t *a = arena_new(8 << 20);
  for (int round = 0; round < 50; round++) {
    size_t big = round % 5 == 0 ? 500000 : 100;
    uint8_t *p = arena_alloc(a, big);
    assert_non_null(p);
    assert_int_equal(p[big - 1], 0);
    memset(p, 1, big);
    for (int i = 0; i < 100; i++) {
      p = arena_alloc(a, 100);
      assert_non_null(p);
      assert_int_equal(p[0] | p[99], 0);
      memset(p, 1, 100);
    }
    arena_reset(a);
  }
}

static void copies(void **state)
{
  ARENA_SCOPED arena_t *a = arena_new(1000);
  slice_t s = arena_dup(a, S("text"));
  assert_true(slice_is(s, "text"));
  assert_non_null(arena_dup(a, S("")).p);
  assert_non_null(arena_dup(a, (slice_t){NULL, 0}).p);
  assert_string_equal(arena_text(a, S("text")), "text");
  assert_string_equal(arena_text(a, (slice_t){NULL, 0}), "");
  s = arena_printf(a, "%d of %s", 3, "many");
  assert_true(slice_is(s, "3 of many"));
  assert_int_equal(s.p[s.n], 0);
  assert_non_null(arena_printf(a, "%s", "").p);
  assert_null(ARENA_ARRAY(a, uint64_t, SIZE_MAX / 4));
  uint64_t *v = ARENA_ARRAY(a, uint64_t, 4);
  assert_non_null(v);
  assert_int_equal(arena_dup(a, slice_of(v, 5000)).n, 0);
  char big[2000];
  memset(big, 'x', sizeof big);
  assert_null(arena_text(a, slice_of(big, sizeof big)));
  assert_null(arena_printf(a, "%.*s", 1500, big).p);
  assert_null(arena_text(a, slice_of(big, SIZE_MAX)));
}

static void every_allocation_may_fail(void **state)
{
  bool done = false;
  long n = 0;
  for (; !done; n++) {
    mem_fail_after(n);
    arena_t *a = arena_new(1 << 20);
    done = a != NULL;
    for (int i = 0; a && i < 2000; i++) {
      size_t used = arena_used(a);
      if (arena_alloc(a, 100)) continue;
      done = false;
      assert_int_equal(arena_used(a), used);
      assert_non_null(arena_alloc(a, 100)); /* the next one succeeds */
    }
    mem_fail_after(-1);
    arena_free(a);
  }
  assert_true(n > 4);
}

/* ---- death tests: each runs in a child that must not survive ---- */

static volatile uint8_t sink;

static void read_after_reset(arena_t *a)
{
  uint8_t *p = arena_alloc(a, 64);
  if (!p) return;
  arena_reset(a);
  sink = p[3];
}

static void write_behind_the_end(arena_t *a)
{
  volatile uint8_t *p = arena_alloc(a, 64);
  if (p && arena_alloc(a, 64)) p[64] = 1;
}

static void write_before_the_second(arena_t *a)
{
  if (!arena_alloc(a, 64)) return;
  volatile uint8_t *p = arena_alloc(a, 64);
  if (p) p[-1] = 1;
}

static void read_of_the_free_rest(arena_t *a)
{
  uint8_t *p = arena_alloc(a, 16);
  if (p) sink = p[200];
}

static bool survives(void (*deed)(arena_t *a))
{
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    int null = open("/dev/null", O_WRONLY);
    if (null >= 0) dup2(null, 2);
    arena_t *a = arena_new(10000);
    if (a) deed(a);
    _exit(0);
  }
  int status = 0;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void dead_memory_kills(void **state)
{
  if (!UNDER_ASAN) skip();
  assert_false(survives(read_after_reset));
  assert_false(survives(write_behind_the_end));
  assert_false(survives(write_before_the_second));
  assert_false(survives(read_of_the_free_rest));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(zeroed_and_aligned), cmocka_unit_test(objects_do_not_overlap), cmocka_unit_test(the_budget_holds),
      cmocka_unit_test(a_chunk_is_used_to_its_last_byte), cmocka_unit_test(reset_keeps_one_chunk_unless_it_is_large),
      cmocka_unit_test(reset_gives_the_memory_again), cmocka_unit_test(copies), cmocka_unit_test(every_allocation_may_fail),
      cmocka_unit_test(dead_memory_kills),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
