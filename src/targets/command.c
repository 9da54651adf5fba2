#include "targets/command.h"

#include "base/limits.h"
#include "io/proc.h"

#include <stdio.h>

enum { COMMAND_MS = 30 * 1000 };

rc_t command_check(const char *field, slice_t command, arena_t *a, err_t *e)
{
  const char *argv[PROC_ARGS + 1];
  rc_t r = proc_split(command, a, argv, e);
  if (!rc_ok(r) && e) e->field = field;
  return r;
}

/* Output of a program nobody vouches for: one line, no control characters, nothing that is not ASCII. */
static void put_printable(buf_t *b, slice_t s)
{
  const char *gap = ": ";
  for (size_t i = 0; i < s.n; i++) {
    uint8_t c = s.p[i];
    if (memchr(" \t\r\n", c, 4)) {
      if (!*gap) gap = " ";
      continue;
    }
    buf_puts(b, gap);
    gap = "";
    buf_byte(b, c < 0x20 || c > 0x7e ? '?' : c);
  }
}

static void tell(const deploy_context_t *cx, const char *field, slice_t command, const char *how, slice_t output)
{
  buf_t *b = target_report(cx);
  if (!b) return;
  buf_printf(b, "%s \"%.*s\" %s", field, SLICE_ARG(command), how);
  put_printable(b, output);
}

rc_t command_run(const deploy_context_t *cx, const char *field, slice_t command, err_t *e)
{
  const char *argv[PROC_ARGS + 1];
  proc_result_t result = {0};
  char how[160];
  err_t why = {0};
  TRY(proc_split(command, cx->arena, argv, e));
  buf_t output = buf_on(cx->arena, LIM_COMMAND_OUTPUT);
  proc_spec_t spec = {.argv = argv, .deadline_ms = COMMAND_MS, .time = cx->time, .tick = cx->tick, .self = cx->self};
  rc_t r = proc_run(&spec, &output, &result, &why);
  if (rc_ok(r) && proc_succeeded(&result)) return r;
  if (!rc_ok(r)) {
    size_t n = (size_t)snprintf(how, sizeof how, "could not be started: ");
    err_format(&why, how + n, sizeof how - n);
  } else if (result.timed_out) {
    snprintf(how, sizeof how, "was stopped after %d seconds", COMMAND_MS / 1000);
  } else if (result.signal) {
    snprintf(how, sizeof how, "was ended by signal %d", result.signal);
  } else {
    snprintf(how, sizeof how, "failed with exit code %d", result.exit_code);
  }
  tell(cx, field, command, how, buf_slice(&output));
  return err_set(e, RC_INVALID, "deploy_command", field, "failed");
}
