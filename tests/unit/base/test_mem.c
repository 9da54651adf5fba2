/* The door to the heap: zeroed, never NULL for nothing, and the n-th allocation fails when a test wants it to. */
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void memory_is_zeroed(void **state)
{
  MEM_SCOPED uint8_t *p = mem_alloc(100);
  MEM_SCOPED void *nothing = mem_alloc(0);
  assert_non_null(p);
  assert_non_null(nothing);
  for (size_t i = 0; i < 100; i++) assert_int_equal(p[i], 0);
}

static void text_is_copied(void **state)
{
  MEM_SCOPED char *s = mem_dup_text("textual", 4), *empty = mem_dup_text(NULL, 0);
  assert_string_equal(s, "text");
  assert_string_equal(empty, "");
  mem_fail_after(0);
  assert_null(mem_dup_text("text", 4));
}

static void one_allocation_fails(void **state)
{
  MEM_SCOPED void *p = NULL;
  mem_fail_after(1);
  p = mem_alloc(1);
  assert_non_null(p);
  assert_null(mem_resize(p, 2));
  p = mem_resize(p, 2); /* the block was left alone */
  assert_non_null(p);
  mem_fail_after(0);
  mem_fail_after(-1);
  p = mem_resize(p, 3);
  assert_non_null(p);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(memory_is_zeroed), cmocka_unit_test(text_is_copied), cmocka_unit_test(one_allocation_fails),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
