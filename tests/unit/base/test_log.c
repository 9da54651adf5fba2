/* The log: one valid object a line, whatever the values hold. */
#include "base/limits.h"
#include "base/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static int fds[2];
static char got[2 * LIM_LOG_LINE];

static int open_pipe(void **state)
{
  if (pipe2(fds, O_NONBLOCK)) return -1;
  log_sink(fds[1]);
  log_setup(LOG_INFO, false);
  log_context(NULL, 0);
  return 0;
}

static int close_pipe(void **state)
{
  log_sink(1);
  close(fds[0]);
  close(fds[1]);
  return 0;
}

/* What was written, from the level on: the time before it differs from run to run. */
static const char *tail(void)
{
  ssize_t n = read(fds[0], got, sizeof got - 1);
  got[n > 0 ? n : 0] = 0;
  char *at = strstr(got, "\"level\"");
  return at ? at : got;
}

static void fields_in_order(void **state)
{
  log_line(LOG_INFO, "issuer registry loaded", log_i("issuers", -3), log_b("on", true), log_c("name", "x"),
           log_b("off", false));
  assert_string_equal(tail(), "\"level\":\"INFO\",\"msg\":\"issuer registry loaded\",\"issuers\":-3,\"on\":true,\"name\":\"x\",\"off\":false}\n");
  us_t t;
  assert_memory_equal(got, "{\"time\":\"", 9);
  slice_t rest = slice_str(got + 9), when;
  assert_true(slice_split(&rest, '"', &when));
  assert_true(rc_ok(rfc3339_parse(when, &t)));
}

static void values_are_escaped(void **state)
{
  log_line(LOG_WARN, "m", log_s("v", S("q\" b\\ n\n t\t z\x01 d\x7f \xc3\xa4")));
  assert_string_equal(tail(), "\"level\":\"WARN\",\"msg\":\"m\",\"v\":\"q\\\" b\\\\ n\\u000a t\\u0009 z\\u0001 d\\u007f \xc3\xa4\"}\n");
  log_line(LOG_WARN, "m", log_s("v", S("no \xff utf\x80\xc3")));
  assert_string_equal(tail(), "\"level\":\"WARN\",\"msg\":\"m\",\"v\":\"no ? utf??\"}\n");
  log_line(LOG_WARN, "m", log_s("v", (slice_t){NULL, 0}), log_c("w", NULL));
  assert_string_equal(tail(), "\"level\":\"WARN\",\"msg\":\"m\",\"v\":\"\",\"w\":\"\"}\n");
  log_line(LOG_WARN, "m", log_i("least", INT64_MIN));
  assert_string_equal(tail(), "\"level\":\"WARN\",\"msg\":\"m\",\"least\":-9223372036854775808}\n");
}

static void below_the_level_nothing(void **state)
{
  log_line(LOG_DEBUG, "quiet");
  assert_string_equal(tail(), "");
  assert_false(log_on(LOG_DEBUG));
  log_setup(LOG_ERROR, false);
  assert_false(log_on(LOG_WARN));
  assert_true(log_on(LOG_ERROR));
}

static void context_is_added(void **state)
{
  const log_field_t f[] = {log_c("request_id", "r1"), log_c("actor_id", "a1"), log_c("c", "3"), log_c("d", "4"), log_c("e", "5")};
  log_context(f, 2);
  log_line(LOG_INFO, "m", log_i("n", 1));
  assert_string_equal(tail(), "\"level\":\"INFO\",\"msg\":\"m\",\"n\":1,\"request_id\":\"r1\",\"actor_id\":\"a1\"}\n");
  log_context(f, COUNT_OF(f)); /* one too many */
  log_line(LOG_INFO, "m");
  assert_string_equal(tail(), "\"level\":\"INFO\",\"msg\":\"m\",\"request_id\":\"r1\",\"actor_id\":\"a1\",\"c\":\"3\",\"d\":\"4\"}\n");
  log_context(NULL, 0);
  log_line(LOG_INFO, "m");
  assert_string_equal(tail(), "\"level\":\"INFO\",\"msg\":\"m\"}\n");
}

/* A string of a JSON object that ends where it must: every quote and escape complete, UTF-8 whole. */
static bool line_is_whole(const char *line)
{
  size_t n = strlen(line);
  if (n < 3 || n > LIM_LOG_LINE || strcmp(line + n - 2, "}\n") != 0) return false;
  bool in = false;
  for (size_t i = 0; i < n; i++) {
    if (in && line[i] == '\\') {
      if (line[i + 1] == 'u') {
        for (size_t k = 2; k < 6; k++)
          if (!strchr("0123456789abcdef", line[i + k])) return false;
        i += 5;
      } else if (line[i + 1] == '"' || line[i + 1] == '\\') {
        i++;
      } else {
        return false;
      }
    } else if (line[i] == '"') {
      in = !in;
    }
  }
  return !in && slice_utf8(slice_str(line));
}

/* The cut falls on every place of an escape, a pair and a character of four bytes. */
static void long_values_are_cut_whole(void **state)
{
  static const char *const unit[] = {"\"", "\\", "\n", "\xf0\x9f\x94\x92", "\xc3\xa4", "x"};
  static char v[2 * LIM_LOG_LINE];
  for (size_t u = 0; u < COUNT_OF(unit); u++)
    for (size_t shift = 0; shift < 8; shift++) {
      size_t n = 0, len = strlen(unit[u]);
      for (; n < shift; n++) v[n] = 'x';
      for (; n + len <= sizeof v; n += len) memcpy(v + n, unit[u], len);
      log_line(LOG_INFO, "m", log_s("v", slice_of(v, n)), log_i("after", 1), log_s("w", slice_of(v, n)));
      tail();
      if (!line_is_whole(got)) fail_msg("unit %zu shift %zu: ...%s", u, shift, got + strlen(got) - 20);
    }
  assert_int_equal(strlen(got), LIM_LOG_LINE - 11); /* room for an escape, and the reserve that closes the line */
}

static void text_form(void **state)
{
  log_setup(LOG_INFO, true);
  log_line(LOG_ERROR, "message", log_c("k", "a\nb"), log_i("n", 2));
  tail();
  assert_non_null(strstr(got, "Z ERROR message k=\"a\\u000ab\" n=2\n"));
}

static void errors_are_logged(void **state)
{
  err_t e = {0};
  rc_t r = err_set(&e, RC_IO, "disk_full", "path", "could not be written");
  assert_true(rc_is(r, RC_IO));
  log_err(LOG_ERROR, "failed", &e);
  assert_string_equal(tail(), "\"level\":\"ERROR\",\"msg\":\"failed\",\"reason\":\"disk_full\",\"error\":\"path could not be written\"}\n");
  log_err(LOG_ERROR, "failed", &(err_t){.code = RC_NOMEM});
  assert_non_null(strstr(tail(), "\"reason\":\"no memory\""));
  log_err(LOG_ERROR, "failed", &(err_t){0}); /* whoever failed said nothing */
  assert_non_null(strstr(tail(), "\"reason\":\"unnamed\""));
}

static void a_full_pipe_stops_nobody(void **state)
{
  for (int i = 0; i < 5000; i++) log_line(LOG_INFO, "a line of some length that fills the pipe", log_i("i", i));
  assert_true(read(fds[0], got, sizeof got) > 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(fields_in_order, open_pipe, close_pipe),
      cmocka_unit_test_setup_teardown(values_are_escaped, open_pipe, close_pipe),
      cmocka_unit_test_setup_teardown(below_the_level_nothing, open_pipe, close_pipe),
      cmocka_unit_test_setup_teardown(context_is_added, open_pipe, close_pipe),
      cmocka_unit_test_setup_teardown(long_values_are_cut_whole, open_pipe, close_pipe),
      cmocka_unit_test_setup_teardown(text_form, open_pipe, close_pipe),
      cmocka_unit_test_setup_teardown(errors_are_logged, open_pipe, close_pipe),
      cmocka_unit_test_setup_teardown(a_full_pipe_stops_nobody, open_pipe, close_pipe),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
