/* A fresh arena for each test of a file: T(test) in its list. */
#ifndef TESTS_ARENA_H
#define TESTS_ARENA_H

#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static arena_t *arena;

static int arena_fresh(void **state)
{
  arena = arena_new(16 << 20);
  return arena ? 0 : -1;
}

static int arena_gone(void **state)
{
  arena_free(arena);
  return 0;
}

#define T(test) cmocka_unit_test_setup_teardown(test, arena_fresh, arena_gone)

#endif
