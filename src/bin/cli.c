/*
 * certctl-cli: reads settings and arguments, finds the command in the table,
 * runs it. Exit codes: enum cli_exit.
 */
#include "bin/cli.h"

#include <stdio.h>

/* "--version" anywhere among the flags, before anything can be wrong. */
static bool asks_version(int argc, char **argv)
{
  for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
    if (strcmp(argv[i], "--version") == 0 || strcmp(argv[i], "-version") == 0) return true;
  return false;
}

static int run_command(cli_t *c)
{
  int code = c->command->offline ? CLI_DONE : cli_connect(c);
  if (!code) code = c->command->run ? c->command->run(c) : cli_run_table(c);
  http_client_free(c->http);
  return code;
}

static int run(arena_t *arena, int argc, char **argv)
{
  conf_t conf = {0};
  err_t e = {0};
  slice_t words;
  cli_t *c = ARENA_NEW(arena, cli_t);
  if (!c) return cli_fail(CLI_FAILED, "out of memory");
  if (asks_version(argc, argv)) return cli_version(c);
  if (cli_args_help(arena, argc, argv, &words)) return cli_help(words);
  if (!rc_ok(conf_load(SP_CLI, &argc, argv, &conf, &e))) {
    if (slice_is(slice_str(e.reason), "flag_value")) return cli_fail(CLI_USAGE, "--%s needs a value", e.field);
    char text[512];
    conf_refusal(&e, text, sizeof text);
    return cli_fail(CLI_FAILED, "%s", text);
  }
  *c = (cli_t){.arena = arena, .conf = &conf};
  int code = cli_args_parse(c, argc, argv);
  if (!code) code = run_command(c);
  conf_fini(&conf);
  return code;
}

int main(int argc, char **argv)
{
  arena_t *arena = arena_new(CLI_MEMORY);
  int code = arena ? run(arena, argc, argv) : CLI_FAILED;
  arena_free(arena);
  if (fflush(stdout) != 0 || ferror(stdout)) return cli_fail(CLI_FAILED, "cannot write the output");
  return code;
}
