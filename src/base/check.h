/*
 * Invariants. CHECK stays on in release builds: a process that finds its own
 * state broken stops at once and is restarted by the supervisor. Never CHECK
 * input; refuse it with an rc_t.
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>

NORETURN void check_failed(const char *file, int line, const char *what);

#define CHECK(cond)                                     \
  do {                                                  \
    if (!(cond)) check_failed(__FILE__, __LINE__, #cond); \
  } while (0)

/* Size arithmetic: each returns false, leaving *ret alone, on overflow. */
static inline MUST bool size_add(size_t a, size_t b, size_t *ret)
{
  size_t r;
  if (__builtin_add_overflow(a, b, &r)) return false;
  *ret = r;
  return true;
}

static inline MUST bool size_mul(size_t a, size_t b, size_t *ret)
{
  size_t r;
  if (__builtin_mul_overflow(a, b, &r)) return false;
  *ret = r;
  return true;
}

#endif
