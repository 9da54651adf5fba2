/* Buffers: the cap holds, errors stick, the n-th allocation may fail. */
#include "base/buf.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void text_is(const buf_t *b, const char *expected)
{
  assert_true(rc_ok(buf_rc(b)));
  assert_true(slice_is(buf_slice(b), expected));
}

static void writing(void **state)
{
  BUF_SCOPED buf_t b = buf_heap(1000);
  text_is(&b, "");
  buf_puts(&b, "a");
  buf_byte(&b, 'b');
  buf_put(&b, S("cd"));
  buf_put(&b, (slice_t){NULL, 0});
  buf_printf(&b, "-%d-%s-", 7, "x");
  buf_printf(&b, "%s", "");
  buf_i64(&b, 0);
  buf_byte(&b, ' ');
  buf_i64(&b, INT64_MIN);
  buf_byte(&b, ' ');
  buf_i64(&b, INT64_MAX);
  text_is(&b, "abcd-7-x-0 -9223372036854775808 9223372036854775807");
  buf_reset(&b);
  buf_puts(&b, "new");
  text_is(&b, "new");
  buf_consume(&b, 2);
  text_is(&b, "w");
  buf_consume(&b, 0);
  buf_consume(&b, 1);
  text_is(&b, "");
}

static void long_printf(void **state)
{
  char text[600];
  memset(text, 'p', sizeof text - 1);
  for (size_t n = 250; n < sizeof text; n += n < 260 ? 1 : 83) {
    BUF_SCOPED buf_t b = buf_heap(1000);
    text[n] = 0;
    buf_printf(&b, "%s", text);
    text_is(&b, text);
    text[n] = 'p';
  }
}

static void the_cap_holds_and_sticks(void **state)
{
  BUF_SCOPED buf_t b = buf_heap(10);
  buf_puts(&b, "0123456789");
  text_is(&b, "0123456789");
  assert_true(b.size <= 10);
  buf_byte(&b, 'x');
  assert_true(rc_is(buf_rc(&b), RC_FULL));
  assert_int_equal(b.n, 10);
  buf_consume(&b, 5);
  buf_byte(&b, 'x');
  buf_puts(&b, "y");
  buf_printf(&b, "%d", 1);
  assert_true(rc_is(buf_rc(&b), RC_FULL));
  assert_int_equal(b.n, 5);
  assert_null(buf_grow(&b, 1));
  buf_reset(&b);
  assert_null(buf_grow(&b, SIZE_MAX));
  assert_true(rc_is(buf_rc(&b), RC_FULL));
}

static void growth_keeps_the_content(void **state)
{
  BUF_SCOPED buf_t b = buf_heap(100000);
  for (uint32_t i = 0; i < 100000; i++) buf_byte(&b, (uint8_t)(i * 7));
  assert_true(rc_ok(buf_rc(&b)));
  assert_int_equal(b.n, 100000);
  for (uint32_t i = 0; i < 100000; i++) assert_int_equal(b.p[i], (uint8_t)(i * 7));
}

static void a_reset_buffer_needs_no_memory(void **state)
{
  BUF_SCOPED buf_t b = buf_heap(1000);
  assert_non_null(buf_grow(&b, 256));
  assert_int_equal(b.size, 256);
  buf_reset(&b);
  mem_fail_after(0);
  assert_non_null(buf_grow(&b, 256));
  assert_null(buf_grow(&b, 1));
  mem_fail_after(-1);
}

static void on_an_arena(void **state)
{
  ARENA_SCOPED arena_t *a = arena_new(100000);
  buf_t b = buf_on(a, 50000);
  for (int i = 0; i < 10000; i++) buf_puts(&b, "abc");
  assert_true(rc_ok(buf_rc(&b)));
  assert_int_equal(b.n, 30000);
  assert_memory_equal(b.p + 29997, "abc", 3);
  buf_fini(&b);
  assert_int_equal(b.n, 0);
  assert_ptr_equal(b.arena, a);
}

static void an_arena_over_budget_is_no_memory(void **state)
{
  ARENA_SCOPED arena_t *a = arena_new(1000);
  buf_t b = buf_on(a, 50000);
  for (int i = 0; i < 1000; i++) buf_puts(&b, "abc");
  assert_true(rc_is(buf_rc(&b), RC_NOMEM));
}

static void every_allocation_may_fail(void **state)
{
  bool done = false;
  long n = 0;
  for (; !done; n++) {
    BUF_SCOPED buf_t b = buf_heap(100000);
    mem_fail_after(n);
    for (int i = 0; i < 1000; i++) buf_printf(&b, "%s", "some text of a line");
    mem_fail_after(-1);
    done = rc_ok(buf_rc(&b));
    if (!done) assert_true(rc_is(buf_rc(&b), RC_NOMEM));
    for (size_t i = 0; i + 19 <= b.n; i += 19) assert_memory_equal(b.p + i, "some text of a line", 19);
  }
  assert_true(n > 3);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(writing), cmocka_unit_test(long_printf), cmocka_unit_test(the_cap_holds_and_sticks),
      cmocka_unit_test(growth_keeps_the_content), cmocka_unit_test(a_reset_buffer_needs_no_memory), cmocka_unit_test(on_an_arena),
      cmocka_unit_test(an_arena_over_budget_is_no_memory), cmocka_unit_test(every_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
