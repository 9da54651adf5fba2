/*
 * Prints the surfaces that are derived from the tables of the program: run by
 * `make docs`, and by the tests that compare them with what is committed.
 */
#include "base/check.h"
#include "conf/conf.h"

#include <stdio.h>
#include <stdlib.h>

enum { OUT_MAX = 1024 * 1024 };

static const char head[] =
    "# Environment\n"
    "\n"
    "Every setting, emitted from the settings table (`make docs`); a test compares this page with the table. All names\n"
    "carry the prefix `CERTCTL_` in the environment. An empty value counts as not set. Precedence: flag, environment,\n"
    "default. A value outside its range refuses the start; an unknown `CERTCTL_*` name is a warning.\n"
    "\n"
    "| name | programs | type | flag | default | accepted | meaning |\n"
    "|---|---|---|---|---|---|---|\n";

/* "must be an integer from 1 to 9" reads in a column as "an integer from 1 to 9". */
static slice_t rule_short(slice_t rule)
{
  return slice_starts(rule, S("must be ")) ? slice_sub(rule, sizeof "must be " - 1, rule.n) : rule;
}

/* One line of the dump as a table row. */
static void row_put(buf_t *out, slice_t line)
{
  enum { NAME, PROGRAMS, TYPE, FLAG, DEFAULT, RULE, HELP, COLUMNS };
  slice_t c[COLUMNS] = {0};
  for (size_t i = 0; i < COLUMNS; i++) CHECK(slice_split(&line, '\t', &c[i]));
  buf_printf(out, "| `%.*s` | %.*s | %.*s |", SLICE_ARG(c[NAME]), SLICE_ARG(c[PROGRAMS]), SLICE_ARG(c[TYPE]));
  if (c[FLAG].n)
    buf_printf(out, " `--%.*s` |", SLICE_ARG(c[FLAG]));
  else
    buf_puts(out, " |");
  if (c[DEFAULT].n)
    buf_printf(out, " `%.*s` |", SLICE_ARG(c[DEFAULT]));
  else
    buf_puts(out, " |");
  slice_t rule = rule_short(c[RULE]);
  buf_printf(out, " %.*s | %.*s |\n", SLICE_ARG(rule), SLICE_ARG(c[HELP]));
}

static void environments(buf_t *out)
{
  buf_t dump = buf_heap(OUT_MAX);
  conf_dump(&dump);
  slice_t rest = buf_slice(&dump), line;
  buf_puts(out, head);
  while (slice_split(&rest, '\n', &line))
    if (line.n) row_put(out, line);
  CHECK(rc_ok(buf_rc(&dump)));
  buf_fini(&dump);
}

static const struct {
  const char *name;
  void (*put)(buf_t *out);
} surfaces[] = {
    {"environments", environments}, /* packaging/ENVIRONMENTS.md */
    {"settings", conf_dump},        /* tests/unit/conf/settings.golden */
};

int main(int argc, char **argv)
{
  for (size_t i = 0; argc == 2 && i < COUNT_OF(surfaces); i++) {
    if (strcmp(argv[1], surfaces[i].name) != 0) continue;
    buf_t out = buf_heap(OUT_MAX);
    surfaces[i].put(&out);
    bool fine = rc_ok(buf_rc(&out)) && fwrite(out.p, 1, out.n, stdout) == out.n && fflush(stdout) == 0;
    buf_fini(&out);
    return fine ? 0 : 1;
  }
  fputs("usage: emit environments|settings\n", stderr);
  return 2;
}
