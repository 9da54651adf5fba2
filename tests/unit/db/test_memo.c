/* What the floor remembers between requests: totals and anchors, names of constraints. */
#include "base/mem.h"
#include "db/intern.h"
#include "db/memo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

enum { MANY = 4000 };

static slice_t key_of(char room[16], int i) { return slice_of(room, (size_t)snprintf(room, 16, "key-%d", i)); }

static bool got(memo_t *m, slice_t key, uint64_t stamp, int64_t want)
{
  arena_t *a = arena_new(1024);
  memo_value_t v = {.num = -1};
  bool found = memo_get(m, key, stamp, a, &v);
  assert_int_equal(v.num, found ? want : -1);
  if (found) assert_true(slice_is(v.text, "text") && slice_is(v.id, "id"));
  arena_free(a);
  return found;
}

static memo_value_t value(int64_t num) { return (memo_value_t){.num = num, .text = S("text"), .id = S("id")}; }

static void put(memo_t *m, slice_t key, uint64_t stamp, int64_t num)
{
  memo_value_t v = value(num);
  memo_put(m, key, stamp, &v);
}

static void remembered_for_one_stamp(void **state)
{
  memo_t *m;
  assert_true(rc_ok(memo_new(&m)));
  put(m, S("a"), 7, 1);
  assert_true(got(m, S("a"), 7, 1));
  assert_false(got(m, S("a"), 8, 0));
  assert_false(got(m, S("b"), 7, 0));
  put(m, S("a"), 8, 2); /* takes the place of the old one */
  assert_true(got(m, S("a"), 8, 2));
  assert_false(got(m, S("a"), 7, 0));
  memo_free(m);
  memo_free(NULL);
}

/* What is asked for again and again stays, however much comes; of the rest most goes. */
static void used_ones_stay(void **state)
{
  char room[16];
  memo_t *m;
  int left = 0;
  assert_true(rc_ok(memo_new(&m)));
  put(m, S("used"), 1, 42);
  for (int i = 0; i < MANY; i++) {
    put(m, key_of(room, i), 1, i);
    assert_true(got(m, key_of(room, i), 1, i));
    assert_true(got(m, S("used"), 1, 42));
  }
  for (int i = 0; i < MANY; i++) left += got(m, key_of(room, i), 1, i);
  assert_true(left > 200 && left < 256); /* one place is that of the used one */
  memo_free(m);
}

static void memory_may_be_short(void **state)
{
  memo_t *m = NULL;
  mem_fail_after(0);
  assert_true(rc_is(memo_new(&m), RC_NOMEM));
  mem_fail_after(-1);
  assert_true(rc_ok(memo_new(&m)));
  put(m, S("a"), 1, 1);
  mem_fail_after(0);
  put(m, S("a"), 1, 2);
  mem_fail_after(-1);
  assert_true(got(m, S("a"), 1, 1));
  arena_t *a = arena_new(1024);
  memo_value_t v = {.num = -1};
  void *last = arena_alloc(a, 16);
  while (last) last = arena_alloc(a, 16);
  assert_false(memo_get(m, S("a"), 1, a, &v));
  assert_int_equal(v.num, -1);
  arena_free(a);
  memo_free(m);
}

/* The same name is the same text for ever; what is no name, or one too many, is a general word. */
static void names_are_kept(void **state)
{
  char name[258], room[16];
  memset(name, 'n', sizeof name);
  assert_string_equal(intern_name(S("")), "constraint");
  assert_string_equal(intern_name(slice_of(name, 257)), "constraint");
  assert_int_equal(strlen(intern_name(slice_of(name, 256))), 256);
  const char *first = intern_name(key_of(room, 0));
  assert_string_equal(first, "key-0");
  mem_fail_after(0);
  assert_string_equal(intern_name(key_of(room, 1)), "constraint");
  mem_fail_after(-1);
  for (int i = 1; i < 254; i++) assert_string_equal(intern_name(key_of(room, i)), room);
  assert_string_equal(intern_name(S("last")), "last"); /* the 256th */
  assert_string_equal(intern_name(S("one too many")), "constraint");
  assert_string_equal(intern_name(S("last")), "last");
  assert_ptr_equal(intern_name(key_of(room, 0)), first);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(remembered_for_one_stamp),
      cmocka_unit_test(used_ones_stay),
      cmocka_unit_test(memory_may_be_short),
      cmocka_unit_test(names_are_kept),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
