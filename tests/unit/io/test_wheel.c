#include "io/wheel.h"

#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MANY = 2000 };

typedef struct item {
  wheel_node_t node; /* first */
  int64_t due, fired;
  int times;
} item_t;

static wheel_t wheel;
static item_t items[MANY];
static int64_t now;

static void fire(wheel_node_t *n, void *self)
{
  item_t *it = (item_t *)(void *)n;
  it->fired = now;
  it->times++;
  assert_false(wheel_is_set(n));
}

/*
 * Any mixture of setting, moving and clearing, under an uneven clock: each fires once, never early, a tick late at
 * most.
 */
static void test_random(void **state)
{
  uint64_t seed = 7;
  rng_t rng = rng_seeded(&seed);
  now = 1000000;
  wheel_init(&wheel, now);
  int64_t turned = now;
  for (int round = 0; round < 20000; round++) {
    item_t *it = &items[rng_below(&rng, MANY)];
    switch (rng_below(&rng, 4)) {
    case 0:
      wheel_clear(&wheel, &it->node);
      it->due = 0;
      break;
    default:
      it->due = now + (int64_t)rng_below(&rng, 200000);
      wheel_set(&wheel, &it->node, it->due);
      break;
    }
    int64_t step = (int64_t)rng_below(&rng, 60);
    if (rng_below(&rng, 3000) == 0) step = 300000; /* asleep for longer than a round */
    now += step;
    wheel_turn(&wheel, now, fire, NULL);
    turned = now;
    for (int k = 0; k < MANY; k++) {
      item_t *x = &items[k];
      if (x->times) {
        assert_int_equal(x->times, 1);
        assert_true(x->due && x->fired >= x->due && x->fired - x->due <= step + 2 * WHEEL_TICK_MS);
        x->times = 0;
        x->due = 0;
      }
      assert_int_equal(wheel_is_set(&x->node), x->due != 0);
    }
  }
  size_t set = 0;
  for (int k = 0; k < MANY; k++) set += items[k].due != 0;
  assert_int_equal(wheel.count, set);
  now = turned + 500000;
  wheel_turn(&wheel, now, fire, NULL);
  assert_int_equal(wheel.count, 0);
}

static item_t *other;

static void fire_and_clear(wheel_node_t *n, void *self)
{
  fire(n, self);
  wheel_clear(&wheel, &other->node);          /* its neighbour in the slot */
  wheel_set(&wheel, n, now + 10000);          /* itself, again */
}

static void test_change_while_firing(void **state)
{
  static item_t a, b;
  now = 0;
  wheel_init(&wheel, now);
  other = &b;
  wheel_set(&wheel, &a.node, 100);
  wheel_set(&wheel, &b.node, 100);
  now = 1000;
  wheel_turn(&wheel, now, fire_and_clear, NULL);
  assert_int_equal(a.times, 1);
  assert_int_equal(b.times, 0);
  assert_int_equal(wheel.count, 1);
  now = 12000;
  wheel_turn(&wheel, now, fire, NULL);
  assert_int_equal(a.times, 2);
}

/* Under a clock that is looked at each millisecond: at the beginning of the tick behind the one it is due in. */
static void test_fires_in_the_next_tick(void **state)
{
  static item_t it;
  for (int64_t due = 1; due <= 3 * WHEEL_TICK_MS; due++) {
    now = 0;
    wheel_init(&wheel, now);
    it = (item_t){.fired = -1};
    wheel_set(&wheel, &it.node, due);
    for (now = 1; now <= due + 2 * WHEEL_TICK_MS; now++) wheel_turn(&wheel, now, fire, NULL);
    assert_int_equal(it.times, 1);
    assert_int_equal(it.fired, (due / WHEEL_TICK_MS + 1) * WHEEL_TICK_MS);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_random), cmocka_unit_test(test_change_while_firing),
                                     cmocka_unit_test(test_fires_in_the_next_tick)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
