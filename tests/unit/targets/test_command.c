/* An operator's command, and what is reported of one that fails. */
#include "targets/command.h"

#include "base/limits.h"
#include "io/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static arena_t *arena;
static char script[64];

static int fresh(void **state)
{
  arena = arena_new(1 << 20);
  return arena ? 0 : -1;
}

static int gone(void **state)
{
  arena_free(arena);
  (void)unlink(script);
  return 0;
}

/* A program of one line. */
static void put_script(const char *line)
{
  FILE *f = fopen(script, "w");
  assert_non_null(f);
  fprintf(f, "#!/bin/sh\n%s\n", line);
  assert_int_equal(fclose(f), 0);
  assert_int_equal(chmod(script, 0700), 0);
}

static const timesrc_t *clock_of_run = &timesrc_system;

static rc_t ran(buf_t *report, err_t *e)
{
  deploy_context_t cx = {.arena = arena, .time = clock_of_run, .report = report};
  return command_run(&cx, "reload_command", slice_str(script), e);
}

static void test_what_is_said_of_a_failure(void **state)
{
  static const struct {
    const char *line, *how; /* how NULL: a success */
  } rows[] = {
    {"exit 0", NULL},
    {"echo fine", NULL},
    {"exit 3", "failed with exit code 3"},
    {"exit 255", "failed with exit code 255"},
    {"kill -9 $$", "was ended by signal 9"},
    {"echo no >&2; exit 1", "failed with exit code 1: no"},
    {"printf ' \\n\\t'; exit 1", "failed with exit code 1"},
    {"printf '\\n one\\ttwo \\r\\n  three \\n'; exit 1", "failed with exit code 1: one two three"},
    {"printf 'a\\001\\037 \\041~\\177\\303\\251'; exit 1", "failed with exit code 1: a?? !~???"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    err_t e = {0};
    buf_t report = buf_on(arena, LIM_DEPLOY_REPORT);
    put_script(rows[i].line);
    rc_t r = ran(&report, &e);
    if (!rows[i].how) {
      assert_true(rc_ok(r));
      assert_int_equal(report.n, 0);
      continue;
    }
    assert_true(rc_is(r, RC_INVALID));
    assert_string_equal(e.reason, "deploy_command");
    assert_string_equal(e.field, "reload_command");
    slice_t want = arena_printf(arena, "reload_command \"%s\" %s", script, rows[i].how);
    if (!slice_eq(buf_slice(&report), want)) fail_msg("%.*s", SLICE_ARG(buf_slice(&report)));
  }
}

static void test_what_was_said_before_stays(void **state)
{
  buf_t report = buf_on(arena, LIM_DEPLOY_REPORT);
  buf_puts(&report, "before");
  put_script("exit 1");
  assert_false(rc_ok(ran(&report, NULL)));
  assert_true(slice_starts(buf_slice(&report), S("before; reload_command \"")));
  assert_false(rc_ok(ran(NULL, NULL)));
}

static void test_a_program_that_is_not_there(void **state)
{
  buf_t report = buf_on(arena, LIM_DEPLOY_REPORT);
  (void)unlink(script);
  assert_false(rc_ok(ran(&report, NULL)));
  assert_non_null(memmem(report.p, report.n, "could not be started: ", 22));
}

/* Ten seconds for every look. */
static int64_t fast_mono(void *self)
{
  static int64_t us;
  return us += 10 * US_PER_S;
}

static void test_a_command_that_does_not_end_is_stopped(void **state)
{
  static const timesrc_t fast = {NULL, fast_mono, NULL};
  buf_t report = buf_on(arena, LIM_DEPLOY_REPORT);
  put_script("exec sleep 60");
  clock_of_run = &fast;
  assert_false(rc_ok(ran(&report, NULL)));
  clock_of_run = &timesrc_system;
  assert_non_null(memmem(report.p, report.n, "was stopped after 30 seconds", 28));
}

static void test_check_names_the_field(void **state)
{
  err_t e = {0};
  assert_true(rc_ok(command_check("validate_command", S("nginx -t"), arena, &e)));
  assert_null(e.field);
  assert_false(rc_ok(command_check("validate_command", S("nginx -t; ls"), arena, &e)));
  assert_string_equal(e.field, "validate_command");
  assert_false(rc_ok(command_check("validate_command", S(""), arena, NULL)));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, fresh, gone)
    T(test_what_is_said_of_a_failure),
    T(test_what_was_said_before_stays),
    T(test_a_program_that_is_not_there),
    T(test_a_command_that_does_not_end_is_stopped),
    T(test_check_names_the_field),
  };
  snprintf(script, sizeof script, "/tmp/certctl-command-%d", (int)getpid());
  return cmocka_run_group_tests(tests, NULL, NULL);
}
