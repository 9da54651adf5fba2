#include "bin/cli.h"

#include <stdarg.h>
#include <stdio.h>

/* Flags of the CLI itself, valid with every command and not settings. */
static const cli_flag_t own_flags[] = {
  {"format", CF_TEXT, NULL, "table|json", false, "output form (table)"},
  {.name = NULL},
};

int cli_fail(int code, const char *fmt, ...)
{
  char text[4096];
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  ARENA_SCOPED arena_t *a = arena_new(8 * sizeof text);
  slice_t s = a ? cli_printable(a, slice_str(text)) : S("out of memory");
  fprintf(stderr, "error: %.*s\n", SLICE_ARG(s));
  return code;
}

int cli_fail_err(int code, const err_t *e)
{
  char text[512];
  err_format(e, text, sizeof text);
  return cli_fail(code, "%s", text);
}

/* --- help --- */

static const char *first_word_end(const char *words)
{
  const char *blank = strchr(words, ' ');
  return blank ? blank : words + strlen(words);
}

static bool command_in_group(const cli_command_t *c, slice_t words)
{
  slice_t all = slice_str(c->words);
  return words.n == 0 || slice_eq(all, words) || (slice_starts(all, words) && all.p[words.n] == ' ');
}

static void print_flag(const char *name, cli_flag_kind_t kind, const char *value, const char *help, bool required)
{
  char left[64];
  if (kind == CF_BOOL)
    snprintf(left, sizeof left, "--%s", name);
  else if (kind == CF_SPAN)
    snprintf(left, sizeof left, "--%s[=%s]", name, value);
  else
    snprintf(left, sizeof left, "--%s %s", name, value ? value : "VALUE");
  printf("  %-26s %s%s\n", left, help, required ? " (required)" : "");
}

static void print_shared_flags(void)
{
  size_t n = 0;
  const setting_t *rows = conf_settings(&n);
  printf("\nFlags of every command:\n");
  for (size_t i = 0; i < n; i++) {
    if (!(rows[i].programs & SP_CLI) || !rows[i].flag) continue;
    char help[256];
    snprintf(help, sizeof help, "%s (CERTCTL_%s%s%s)", rows[i].help, rows[i].name, rows[i].def ? ", default " : "",
             rows[i].def ? rows[i].def : "");
    print_flag(rows[i].flag, rows[i].type == ST_BOOL ? CF_BOOL : CF_TEXT, NULL, help, false);
  }
  for (const cli_flag_t *f = own_flags; f->name; f++) print_flag(f->name, f->kind, f->value, f->help, f->required);
  print_flag("help", CF_BOOL, NULL, "this text, or a command's", false);
}

static void print_usage(FILE *to, const cli_command_t *c)
{
  fprintf(to, "Usage: certctl-cli %s%s%s [flags]\n", c->words, c->args ? " " : "", c->args ? c->args : "");
}

static void help_command(const cli_command_t *c)
{
  print_usage(stdout, c);
  printf("\n%s.\n", c->help);
  if (c->flags[0].name) printf("\nFlags:\n");
  for (const cli_flag_t *f = c->flags; f->name; f++) print_flag(f->name, f->kind, f->value, f->help, f->required);
  print_shared_flags();
}

static void help_group(slice_t words)
{
  printf("Usage: certctl-cli %.*s%sCOMMAND [flags]\n\nCommands:\n", SLICE_ARG(words), words.n ? " " : "");
  for (size_t i = 0; i < cli_ncommands; i++) {
    const cli_command_t *c = &cli_commands[i];
    if (!command_in_group(c, words)) continue;
    char left[64];
    snprintf(left, sizeof left, "%s%s%s", c->words, c->args ? " " : "", c->args ? c->args : "");
    printf("  %-26s %s\n", left, c->help);
  }
  print_shared_flags();
  printf("\nExit: 0 done, 1 error or failed job, 2 usage, 3 --wait ran out.\n");
}

int cli_help(slice_t words)
{
  size_t n = 0;
  const cli_command_t *only = NULL;
  for (size_t i = 0; i < cli_ncommands; i++) {
    if (!command_in_group(&cli_commands[i], words)) continue;
    only = &cli_commands[i];
    n++;
  }
  if (n == 0) return cli_fail(CLI_USAGE, "unknown command: %.*s (see certctl-cli --help)", SLICE_ARG(words));
  if (n == 1)
    help_command(only);
  else
    help_group(words);
  return CLI_DONE;
}

/* --- arguments --- */

/* The flag's name in "-name", "--name", "--name=value"; false for "-", "--" and words. */
static bool flag_name(const char *arg, slice_t *ret_name, slice_t *ret_value)
{
  if (arg[0] != '-') return false;
  const char *name = arg + (arg[1] == '-' ? 2 : 1);
  if (!*name) return false;
  const char *eq = strchr(name, '=');
  *ret_name = slice_of(name, eq ? (size_t)(eq - name) : strlen(name));
  *ret_value = eq ? slice_str(eq + 1) : (slice_t){NULL, 0};
  return true;
}

static const cli_flag_t *find_in(const cli_flag_t *flags, slice_t name)
{
  for (const cli_flag_t *f = flags; f->name; f++)
    if (slice_is(name, f->name)) return f;
  return NULL;
}

/* A flag of any command: enough to know whether it takes the next word. */
static const cli_flag_t *find_anywhere(slice_t name)
{
  const cli_flag_t *f = find_in(own_flags, name);
  for (size_t i = 0; !f && i < cli_ncommands; i++) f = find_in(cli_commands[i].flags, name);
  return f;
}

bool cli_args_help(arena_t *a, int argc, char **argv, slice_t *ret_words)
{
  buf_t b = buf_on(a, 256);
  bool asked = false;
  for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
    slice_t name, value;
    if (flag_name(argv[i], &name, &value)) {
      if (slice_is(name, "help") || slice_is(name, "h")) asked = true;
      const cli_flag_t *f = find_anywhere(name);
      if (f && (f->kind == CF_TEXT || f->kind == CF_LIST) && !value.p) i++;
      continue;
    }
    /* words that can still be the beginning of a command; an argument behind it is none of them */
    size_t before = b.n;
    if (before) buf_byte(&b, ' ');
    buf_puts(&b, argv[i]);
    bool known = before == 0;
    for (size_t k = 0; !known && k < cli_ncommands; k++) known = command_in_group(&cli_commands[k], buf_slice(&b));
    if (!known) b.n = before;
  }
  *ret_words = rc_ok(buf_rc(&b)) && b.p ? buf_slice(&b) : S("");
  return asked;
}

/* Takes one flag at argv[*at] into c. */
static int take_flag(cli_t *c, int argc, char **argv, int *at)
{
  slice_t name, value;
  if (!flag_name(argv[*at], &name, &value)) return cli_fail(CLI_USAGE, "unexpected argument %s", argv[*at]);
  const cli_flag_t *f = find_anywhere(name);
  if (!f) return cli_fail(CLI_USAGE, "unknown flag --%.*s (see certctl-cli --help)", SLICE_ARG(name));
  bool takes = f->kind == CF_TEXT || f->kind == CF_LIST;
  if (f->kind == CF_BOOL && value.p) {
    if (!slice_is(value, "true") && !slice_is(value, "false"))
      return cli_fail(CLI_USAGE, "--%s is true or false", f->name);
    if (slice_is(value, "false")) return CLI_DONE;
  }
  if (takes && !value.p) {
    if (*at + 1 >= argc) return cli_fail(CLI_USAGE, "--%s needs a value", f->name);
    value = slice_str(argv[++*at]);
  }
  if (c->ngiven == CLI_GIVEN_MAX) return cli_fail(CLI_USAGE, "more than %d flags", CLI_GIVEN_MAX);
  c->given[c->ngiven].name = f->name;
  c->given[c->ngiven++].value = value.p ? value : S("");
  return CLI_DONE;
}

static int split(cli_t *c, int argc, char **argv)
{
  bool only_words = false;
  for (int i = 1; i < argc; i++) {
    if (!only_words && strcmp(argv[i], "--") == 0) {
      only_words = true;
    } else if (!only_words && argv[i][0] == '-' && argv[i][1]) {
      int code = take_flag(c, argc, argv, &i);
      if (code) return code;
    } else {
      if (c->nargs == CLI_ARGS_MAX) return cli_fail(CLI_USAGE, "more than %d arguments", CLI_ARGS_MAX);
      c->args[c->nargs++] = slice_str(argv[i]);
    }
  }
  return CLI_DONE;
}

/* Number of leading arguments that are the command's words; 0 if they are not. */
static size_t match_words(const cli_t *c, const cli_command_t *cmd)
{
  const char *end = first_word_end(cmd->words);
  if (c->nargs < 1 || !slice_eq(c->args[0], slice_of(cmd->words, (size_t)(end - cmd->words)))) return 0;
  if (!*end) return 1;
  return c->nargs > 1 && slice_is(c->args[1], end + 1) ? 2 : 0;
}

static int find_command(cli_t *c)
{
  bool group = false;
  if (c->nargs == 0) {
    fprintf(stderr, "Usage: certctl-cli COMMAND [flags] (see certctl-cli --help)\n");
    return CLI_USAGE;
  }
  for (size_t i = 0; i < cli_ncommands; i++) {
    size_t n = match_words(c, &cli_commands[i]);
    group |= command_in_group(&cli_commands[i], c->args[0]);
    if (!n) continue;
    c->command = &cli_commands[i];
    c->nargs -= n;
    memmove(c->args, c->args + n, c->nargs * sizeof *c->args);
    return CLI_DONE;
  }
  if (group && c->nargs == 1)
    return cli_fail(CLI_USAGE, "%.*s needs a subcommand (see certctl-cli %.*s --help)", SLICE_ARG(c->args[0]),
                    SLICE_ARG(c->args[0]));
  slice_t second = group ? c->args[1] : S("");
  return cli_fail(CLI_USAGE, "unknown command: %.*s%s%.*s (see certctl-cli --help)", SLICE_ARG(c->args[0]),
                  second.n ? " " : "", SLICE_ARG(second));
}

static int usage(const cli_command_t *cmd)
{
  print_usage(stderr, cmd);
  return CLI_USAGE;
}

static int check_flags(const cli_t *c)
{
  const cli_command_t *cmd = c->command;
  for (size_t i = 0; i < c->ngiven; i++) {
    slice_t name = slice_str(c->given[i].name);
    if (find_in(own_flags, name) || find_in(cmd->flags, name)) continue;
    cli_fail(CLI_USAGE, "%s has no flag --%s", cmd->words, c->given[i].name);
    return usage(cmd);
  }
  for (const cli_flag_t *f = cmd->flags; f->name; f++) {
    if (!f->required || cli_flag(c, f->name).n) continue;
    cli_fail(CLI_USAGE, "--%s is required", f->name);
    return usage(cmd);
  }
  return CLI_DONE;
}

int cli_args_parse(cli_t *c, int argc, char **argv)
{
  int code = split(c, argc, argv);
  if (!code) code = find_command(c);
  if (code) return code;
  const cli_command_t *cmd = c->command;
  if (c->nargs < cmd->min_args) {
    cli_fail(CLI_USAGE, "%s needs %s", cmd->words, cmd->args);
    return usage(cmd);
  }
  if (c->nargs > cmd->max_args) {
    cli_fail(CLI_USAGE, "%s does not take %.*s", cmd->words, SLICE_ARG(c->args[cmd->max_args]));
    return usage(cmd);
  }
  for (size_t i = 0; i < c->nargs; i++)
    if (c->args[i].n == 0) return cli_fail(CLI_USAGE, "%s got an empty argument", cmd->words);
  code = check_flags(c);
  slice_t format = cli_flag(c, "format");
  c->json = slice_is(format, "json");
  if (!code && format.p && !c->json && !slice_is(format, "table"))
    code = cli_fail(CLI_USAGE, "--format is table or json");
  return code;
}

slice_t cli_flag(const cli_t *c, const char *name)
{
  slice_t v = {NULL, 0};
  for (size_t i = 0; i < c->ngiven; i++)
    if (strcmp(c->given[i].name, name) == 0) v = c->given[i].value;
  return v;
}

rc_t cli_flag_list(const cli_t *c, const char *name, texts_t *ret)
{
  size_t most = 0, n = 0;
  for (size_t i = 0; i < c->ngiven; i++) most += 1 + c->given[i].value.n;
  slice_t *v = ARENA_ARRAY(c->arena, slice_t, most), part;
  if (!v) return rc(RC_NOMEM);
  for (size_t i = 0; i < c->ngiven; i++) {
    slice_t rest = c->given[i].value;
    if (strcmp(c->given[i].name, name) != 0) continue;
    while (slice_split(&rest, ',', &part)) {
      part = slice_trim(part);
      if (part.n) v[n++] = part;
    }
  }
  *ret = (texts_t){v, n};
  return rc(RC_OK);
}
