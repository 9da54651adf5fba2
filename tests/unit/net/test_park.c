/* The index of requests that wait: who is woken, who is listed, and that no event between looking and parking is lost. */
#include "net/park.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { MANY = 700 };

static park_entry_t entries[MANY];
static size_t woken_n;

static void woken(park_entry_t *en)
{
  woken_n++;
  assert_false(en->in);
}

static int fresh(void **state)
{
  memset(entries, 0, sizeof entries);
  woken_n = 0;
  *state = park_new();
  return *state ? 0 : -1;
}

static int gone(void **state)
{
  size_t left = park_count(*state), taken = 0;
  for (size_t i = 0; i < MANY; i++) taken += park_del(*state, &entries[i]);
  assert_int_equal(taken, left);
  park_free(*state);
  return 0;
}

static bool add(park_t *p, size_t i, char kind, const char *key) { return park_add(p, &entries[i], kind, slice_str(key), park_now(p)); }

static void test_wakes_those_of_kind_and_key(void **state)
{
  park_t *p = *state;
  assert_true(add(p, 0, 'a', "one") && add(p, 1, 'a', "one") && add(p, 2, 'b', "one") && add(p, 3, 'a', "two") && add(p, 4, 'a', ""));
  assert_int_equal(park_count(p), 5);
  park_wake(p, 'a', S("one"), woken);
  assert_int_equal(woken_n, 2);
  assert_false(entries[0].in || entries[1].in);
  assert_true(entries[2].in && entries[3].in && entries[4].in);
  park_wake(p, 'a', S(""), woken);
  assert_int_equal(woken_n, 3);
  assert_int_equal(park_count(p), 2);
  assert_true(park_del(p, &entries[2]));
  assert_false(park_del(p, &entries[2]));
  assert_int_equal(park_count(p), 1);
}

static void test_event_before_parking_is_not_lost(void **state)
{
  park_t *p = *state;
  uint64_t before = park_now(p);
  park_wake(p, 'a', S("one"), woken);
  assert_false(park_add(p, &entries[0], 'a', S("one"), before));
  assert_false(entries[0].in);
  assert_true(park_add(p, &entries[0], 'a', S("one"), park_now(p)));
}

static void test_keys_have_a_longest(void **state)
{
  park_t *p = *state;
  char key[LIM_HTTP_PARK_KEY + 1];
  memset(key, 'k', sizeof key);
  assert_true(park_add(p, &entries[0], 'a', slice_of(key, LIM_HTTP_PARK_KEY), park_now(p)));
  assert_false(park_add(p, &entries[1], 'a', slice_of(key, LIM_HTTP_PARK_KEY + 1), park_now(p)));
  park_wake(p, 'a', slice_of(key, LIM_HTTP_PARK_KEY + 1), woken);
  assert_int_equal(woken_n, 0);
  park_wake(p, 'a', slice_of(key, LIM_HTTP_PARK_KEY), woken);
  assert_int_equal(woken_n, 1);
}

/* More than the table begins with, and with the memory for a larger one or without: all are found. */
static void test_many(void **state)
{
  park_t *p = *state;
  char key[16];
  for (int starved = 0; starved < 2; starved++) {
    for (size_t i = 0; i < MANY; i++) {
      (void)snprintf(key, sizeof key, "%zu", i);
      mem_fail_after(starved ? 0 : -1);
      assert_true(add(p, i, 'a', key));
      mem_fail_after(-1);
    }
    assert_int_equal(park_count(p), MANY);
    for (size_t i = 0; i < MANY; i++) {
      (void)snprintf(key, sizeof key, "%zu", i);
      park_wake(p, 'a', slice_str(key), woken);
      assert_int_equal(woken_n, i + 1);
      assert_false(entries[i].in);
    }
    woken_n = 0;
    assert_int_equal(park_count(p), 0);
    if (!starved) {
      park_free(p);
      p = *state = park_new();
      assert_non_null(p);
    }
  }
}

static void test_lists_each_key_of_a_kind_once(void **state)
{
  park_t *p = *state;
  slice_t keys[4];
  arena_t *a = arena_new(4096);
  assert_true(add(p, 0, 'a', "one") && add(p, 1, 'a', "one") && add(p, 2, 'b', "one") && add(p, 3, 'a', "two") && add(p, 4, 'b', "three"));
  assert_int_equal(park_list(p, 'a', keys, 4, a), 2);
  assert_true(slice_is(keys[0], "one") ? slice_is(keys[1], "two") : slice_is(keys[0], "two") && slice_is(keys[1], "one"));
  assert_int_equal(park_list(p, 'a', keys, 2, a), 2);
  assert_int_equal(park_list(p, 'a', keys, 1, a), 1);
  assert_int_equal(park_list(p, 'a', keys, 0, a), 0);
  assert_int_equal(park_list(p, 'c', keys, 4, a), 0);
  arena_free(a);
}

static void test_no_memory(void **state)
{
  for (long n = 0; n < 2; n++) {
    mem_fail_after(n);
    park_t *p = park_new();
    mem_fail_after(-1);
    assert_null(p);
  }
  park_free(NULL);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, fresh, gone)
      T(test_wakes_those_of_kind_and_key), T(test_event_before_parking_is_not_lost), T(test_keys_have_a_longest),
      T(test_many), T(test_lists_each_key_of_a_kind_once), T(test_no_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
