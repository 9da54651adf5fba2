#include "io/proc.h"

#include "base/limits.h"
#include "base/mem.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "still_clock.h"

static int ticks;

static void tick(void *self)
{
  ticks++;
}

static proc_result_t run(const char *const *argv, int64_t ms, buf_t *out)
{
  proc_result_t r = {0};
  proc_spec_t spec = {.argv = argv, .deadline_ms = ms, .time = &timesrc_system, .tick = tick};
  assert_true(rc_ok(proc_run(&spec, out, &r, NULL)));
  return r;
}

#define ARGV(...) (const char *const[]){__VA_ARGS__, NULL}

static void test_exit_and_output(void **state)
{
  BUF_SCOPED buf_t out = buf_heap(256);
  proc_result_t r = run(ARGV("sh", "-c", "echo out; echo err >&2; exit 3"), 5000, &out);
  assert_int_equal(r.exit_code, 3);
  assert_false(proc_succeeded(&r));
  assert_true(slice_is(buf_slice(&out), "out\nerr\n"));
  buf_reset(&out);
  r = run(ARGV("/bin/true"), 5000, &out);
  assert_true(proc_succeeded(&r));
  r = run(ARGV("sh", "-c", "kill -9 $$"), 5000, &out);
  assert_int_equal(r.signal, SIGKILL);
  assert_int_equal(r.exit_code, -1);
  assert_false(r.timed_out);
}

static void test_output_is_capped_without_blocking_the_child(void **state)
{
  BUF_SCOPED buf_t out = buf_heap(100);
  proc_result_t r = run(ARGV("sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x"), 20000, &out);
  assert_true(proc_succeeded(&r));
  assert_int_equal(out.n, 100);
  assert_true(rc_ok(buf_rc(&out)));
}

static void test_deadline_kills_the_group(void **state)
{
  BUF_SCOPED buf_t out = buf_heap(100);
  ticks = 0;
  int64_t start = time_mono_us(&timesrc_system);
  proc_result_t r = run(ARGV("sh", "-c", "sleep 60 & echo $!; wait"), 1500, &out);
  int64_t took = time_mono_us(&timesrc_system) - start;
  assert_true(r.timed_out);
  assert_int_equal(r.signal, SIGKILL);
  assert_true(took >= 1500000 && took < 10000000);
  assert_true(ticks >= 1);
  buf_byte(&out, 0);
  char path[64], state_of = 'Z';
  snprintf(path, sizeof path, "/proc/%ld/stat", strtol((const char *)out.p, NULL, 10));
  FILE *f = fopen(path, "r");
  if (f) {
    assert_int_equal(fscanf(f, "%*d %*s %c", &state_of), 1);
    fclose(f);
  }
  assert_int_equal(state_of, 'Z'); /* killed; whoever adopted it may not have collected it yet */
}

/* A daemon left behind keeps the pipe open; the command itself has ended. */
static void test_a_child_that_stays_is_not_waited_for(void **state)
{
  BUF_SCOPED buf_t out = buf_heap(100);
  int64_t start = time_mono_us(&timesrc_system);
  proc_result_t r = run(ARGV("sh", "-c", "sleep 3 & echo done"), 20000, &out);
  assert_true(proc_succeeded(&r));
  assert_true(slice_is(buf_slice(&out), "done\n"));
  assert_true(time_mono_us(&timesrc_system) - start < 2500000);
}

static void test_programs_that_cannot_start(void **state)
{
  static const struct {
    const char *program;
    int32_t code;
  } rows[] = {{"no-such-program-here", RC_NOTFOUND}, {"/no/such/program", RC_NOTFOUND}, {"/etc/passwd", RC_DENIED}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    BUF_SCOPED buf_t out = buf_heap(100);
    proc_result_t r = {0};
    err_t e = {0};
    proc_spec_t spec = {.argv = ARGV(rows[i].program), .deadline_ms = 1000, .time = &timesrc_system};
    assert_int_equal(proc_run(&spec, &out, &r, &e).code, rows[i].code);
    assert_string_equal(e.value, rows[i].program);
  }
}

static void test_environment_is_ours_to_choose(void **state)
{
  BUF_SCOPED buf_t out = buf_heap(1024);
  setenv("CERTCTL_API_KEY", "do-not-tell", 1);
  proc_result_t r = run(ARGV("env"), 5000, &out);
  assert_true(proc_succeeded(&r));
  assert_null(memmem(out.p, out.n, "do-not-tell", 11));
  assert_non_null(memmem(out.p, out.n, "PATH=", 5));
}

/* No more than a path holds, as far as it was not for the system to say. */
static void test_program_names_have_a_longest(void **state)
{
  static char name[LIM_PATH + 1];
  BUF_SCOPED buf_t out = buf_heap(100);
  proc_result_t r = {0};
  proc_spec_t spec = {.argv = ARGV(name), .deadline_ms = 1000, .time = &timesrc_system};
  memset(name, '/', LIM_PATH);
  memcpy(name + LIM_PATH - 9, "bin/true", 9); /* LIM_PATH - 1 bytes: as long as can be */
  assert_true(rc_ok(proc_run(&spec, &out, &r, NULL)));
  memcpy(name + LIM_PATH - 8, "bin/true", 9);
  name[LIM_PATH - 9] = '/';
  assert_true(rc_is(proc_run(&spec, &out, &r, NULL), RC_IO));
  name[LIM_PATH] = 0;
  memset(name, 'x', LIM_PATH);
  assert_true(rc_is(proc_run(&spec, &out, &r, NULL), RC_NOTFOUND));
}

static void test_split(void **state)
{
  const char *argv[PROC_ARGS + 1];
  arena_t *a = arena_new(1 << 20);
  err_t e = {0};
  assert_true(rc_ok(proc_split(S("  nginx  -s\treload "), a, argv, NULL)));
  assert_string_equal(argv[0], "nginx");
  assert_string_equal(argv[1], "-s");
  assert_string_equal(argv[2], "reload");
  assert_null(argv[3]);
  MEM_SCOPED char *exact = mem_alloc(4); /* ends with its last byte: a look behind it would be seen */
  assert_non_null(exact);
  memcpy(exact, "true", 4);
  assert_true(rc_ok(proc_split(slice_of(exact, 4), a, argv, NULL)));
  assert_string_equal(argv[0], "true");
  const char banned[] = ";|&$`(){}<>\\\"'\r\n";
  for (size_t i = 0; i < sizeof banned; i++) { /* the zero at the end too */
    char text[] = "true x y";
    text[5] = banned[i];
    e = (err_t){0};
    assert_true(rc_is(proc_split(slice_of(text, sizeof text - 1), a, argv, &e), RC_INVALID));
    assert_string_equal(e.reason, "command_characters");
  }
  assert_true(rc_is(proc_split(S(""), a, argv, NULL), RC_INVALID));
  assert_true(rc_is(proc_split(S("  \t"), a, argv, NULL), RC_INVALID));
  char text[LIM_COMMAND + 1];
  memset(text, 'x', sizeof text);
  assert_true(rc_ok(proc_split(slice_of(text, LIM_COMMAND), a, argv, NULL)));
  assert_true(rc_is(proc_split(slice_of(text, LIM_COMMAND + 1), a, argv, NULL), RC_FULL));
  for (size_t i = 0; i < 2 * PROC_ARGS; i++) text[i] = i % 2 ? ' ' : 'x';
  assert_true(rc_ok(proc_split(slice_of(text, 2 * PROC_ARGS), a, argv, NULL)));
  text[2 * PROC_ARGS] = 'x';
  assert_true(rc_is(proc_split(slice_of(text, 2 * PROC_ARGS + 1), a, argv, NULL), RC_FULL));
  arena_free(a);
}

static void test_pause_ticks(void **state)
{
  ticks = 0;
  int64_t start = time_mono_us(&timesrc_system);
  proc_pause(120, &timesrc_system, tick, NULL);
  assert_true(time_mono_us(&timesrc_system) - start >= 120000);
  assert_int_equal(ticks, 1);
}

static void test_deadline_is_over_when_it_comes(void **state)
{
  BUF_SCOPED buf_t out = buf_heap(100);
  proc_result_t r = {0};
  proc_spec_t spec = {.argv = ARGV("sleep", "1"), .deadline_ms = 0, .time = &still_clock};
  assert_true(rc_ok(proc_run(&spec, &out, &r, NULL)));
  assert_true(r.timed_out);
  assert_int_equal(r.signal, SIGKILL);
  ticks = 0;
  proc_pause(0, &still_clock, tick, NULL);
  assert_int_equal(ticks, 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_exit_and_output),
    cmocka_unit_test(test_output_is_capped_without_blocking_the_child),
    cmocka_unit_test(test_deadline_kills_the_group),
    cmocka_unit_test(test_a_child_that_stays_is_not_waited_for),
    cmocka_unit_test(test_programs_that_cannot_start),
    cmocka_unit_test(test_program_names_have_a_longest),
    cmocka_unit_test(test_environment_is_ours_to_choose),
    cmocka_unit_test(test_split),
    cmocka_unit_test(test_pause_ticks),
    cmocka_unit_test(test_deadline_is_over_when_it_comes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
