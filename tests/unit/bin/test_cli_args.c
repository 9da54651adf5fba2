/* What a command line becomes: the command, its arguments and flags, or what is said about it. */
#include "bin/cli.h"

#include "../arena.h"

#include "capture.h"

enum { WORDS_MAX = 300 };

static cli_t cli;
static capture_t capture;

typedef struct line {
  char *argv[WORDS_MAX + 1];
  int argc;
} line_t;

/* argv of a line: its words, "''" for an empty one, behind the program's name. */
static line_t line_of(const char *text)
{
  line_t l = {.argv = {arena_text(arena, S("certctl-cli"))}, .argc = 1};
  slice_t rest = slice_str(text), word;
  while (slice_split(&rest, ' ', &word))
    if (word.n) l.argv[l.argc++] = arena_text(arena, slice_is(word, "''") ? S("") : word);
  return l;
}

/* Parses a line into `cli`; what was said is in capture.text. */
static int parsed(const char *text)
{
  line_t l = line_of(text);
  cli = (cli_t){.arena = arena};
  capture_begin(&capture, stderr);
  int code = cli_args_parse(&cli, l.argc, l.argv);
  (void)capture_end(&capture);
  return code;
}

static void test_lines(void **state)
{
  static const struct {
    const char *line, *words, *args, *flags;
  } rows[] = {
    {"version", "version", "", ""},
    {"certs list", "certs list", "", ""},
    {"certs list --status Active", "certs list", "", "status=Active "},
    {"--status Active certs list", "certs list", "", "status=Active "},
    {"certs --status=Active list -page 2 -per-page=3", "certs list", "", "status=Active page=2 per-page=3 "},
    {"certs list --status=", "certs list", "", "status= "},
    {"certs list --status --page", "certs list", "", "status=--page "},
    {"certs list --status a=b", "certs list", "", "status=a=b "},
    {"certs get c-1", "certs get", "c-1 ", ""},
    {"certs get -", "certs get", "- ", ""},
    {"certs get -- -x", "certs get", "-x ", ""},
    {"certs get -- --", "certs get", "-- ", ""},
    {"-- certs get --status", "certs get", "--status ", ""},
    {"certs renew c-1 --force", "certs renew", "c-1 ", "force= "},
    {"certs renew --force c-1", "certs renew", "c-1 ", "force= "},
    {"certs renew --force=true c-1", "certs renew", "c-1 ", "force=true "},
    {"certs renew --force=false c-1", "certs renew", "c-1 ", ""},
    {"certs renew --wait c-1", "certs renew", "c-1 ", "wait= "},
    {"certs renew --wait=5m c-1", "certs renew", "c-1 ", "wait=5m "},
    {"certs create web --owner o --team t --san a --san b", "certs create", "web ", "owner=o team=t san=a san=b "},
    {"inspect a b c", "inspect", "a b c ", ""},
    {"ca root", "ca root", "", ""},
    {"ca root iss-2", "ca root", "iss-2 ", ""},
    {"--format json version", "version", "", "format=json "},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    buf_t args = buf_on(arena, 1024), flags = buf_on(arena, 1024);
    if (parsed(rows[i].line) != CLI_DONE) fail_msg("%s: %s", rows[i].line, capture.text);
    for (size_t k = 0; k < cli.nargs; k++) buf_printf(&args, "%.*s ", SLICE_ARG(cli.args[k]));
    for (size_t k = 0; k < cli.ngiven; k++) buf_printf(&flags, "%s=%.*s ", cli.given[k].name, SLICE_ARG(cli.given[k].value));
    assert_string_equal(cli.command->words, rows[i].words);
    assert_true(slice_is(buf_slice(&args), rows[i].args));
    if (!slice_is(buf_slice(&flags), rows[i].flags)) fail_msg("%s: %.*s", rows[i].line, SLICE_ARG(buf_slice(&flags)));
    assert_string_equal(capture.text, "");
  }
}

static void test_forms_of_output(void **state)
{
  assert_int_equal(parsed("version"), CLI_DONE);
  assert_false(cli.json);
  assert_int_equal(parsed("version --format table"), CLI_DONE);
  assert_false(cli.json);
  assert_int_equal(parsed("version --format json"), CLI_DONE);
  assert_true(cli.json);
  assert_int_equal(parsed("version --format xml"), CLI_USAGE);
  assert_int_equal(parsed("version --format="), CLI_USAGE);
}

static void test_lines_that_make_no_sense(void **state)
{
  static const struct {
    const char *line, *says;
  } rows[] = {
    {"", "Usage: certctl-cli COMMAND [flags] (see certctl-cli --help)\n"},
    {"frob", "error: unknown command: frob (see certctl-cli --help)\n"},
    {"frob list", "error: unknown command: frob (see certctl-cli --help)\n"},
    {"cert list", "error: unknown command: cert (see certctl-cli --help)\n"},
    {"certs", "error: certs needs a subcommand (see certctl-cli certs --help)\n"},
    {"certs frob", "error: unknown command: certs frob (see certctl-cli --help)\n"},
    {"certs frob x", "error: unknown command: certs frob (see certctl-cli --help)\n"},
    {"certs get", "error: certs get needs ID\nUsage: certctl-cli certs get ID [flags]\n"},
    {"certs get a b", "error: certs get does not take b\nUsage: certctl-cli certs get ID [flags]\n"},
    {"version now", "error: version does not take now\nUsage: certctl-cli version [flags]\n"},
    {"certs get ''", "error: certs get got an empty argument\n"},
    {"inspect a ''", "error: inspect got an empty argument\n"},
    {"certs list --frob", "error: unknown flag --frob (see certctl-cli --help)\n"},
    {"certs list --", NULL},
    {"certs list --=x", "error: unknown flag -- (see certctl-cli --help)\n"},
    {"certs list --status", "error: --status needs a value\n"},
    {"certs create n --san", "error: --san needs a value\n"},
    {"certs get x --status y", "error: certs get has no flag --status\nUsage: certctl-cli certs get ID [flags]\n"},
    {"certs renew x --force=maybe", "error: --force is true or false\n"},
    {"certs create n --team t", "error: --owner is required\nUsage: certctl-cli certs create NAME [flags]\n"},
    {"certs create n --owner= --team t", "error: --owner is required\nUsage: certctl-cli certs create NAME [flags]\n"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    int code = parsed(rows[i].line);
    assert_int_equal(code, rows[i].says ? CLI_USAGE : CLI_DONE);
    assert_string_equal(capture.text, rows[i].says ? rows[i].says : "");
  }
}

/* n times the same word behind `start`. */
static const char *repeated(const char *start, const char *word, int n)
{
  buf_t b = buf_on(arena, 64 * 1024);
  buf_puts(&b, start);
  for (int i = 0; i < n; i++) buf_puts(&b, word);
  return arena_text(arena, buf_slice(&b));
}

static void test_as_many_words_and_flags_as_there_is_room_for(void **state)
{
  assert_int_equal(parsed(repeated("inspect", " f", CLI_ARGS_MAX - 1)), CLI_DONE);
  assert_int_equal(cli.nargs, CLI_ARGS_MAX - 1);
  assert_int_equal(parsed(repeated("inspect", " f", CLI_ARGS_MAX)), CLI_USAGE);
  assert_string_equal(capture.text, "error: more than 64 arguments\n");
  assert_int_equal(parsed(repeated("certs list", " -page=1", CLI_GIVEN_MAX)), CLI_DONE);
  assert_int_equal(cli.ngiven, CLI_GIVEN_MAX);
  texts_t v = {0};
  assert_true(slice_is(cli_flag(&cli, "page"), "1"));
  assert_true(rc_ok(cli_flag_list(&cli, "page", &v)));
  assert_int_equal(v.n, CLI_GIVEN_MAX);
  assert_int_equal(parsed(repeated("certs list", " -page=1", CLI_GIVEN_MAX + 1)), CLI_USAGE);
  assert_string_equal(capture.text, "error: more than 256 flags\n");
}

static void test_values(void **state)
{
  texts_t v = {0};
  assert_int_equal(parsed("certs create n --owner a --owner b --team t --san x,y --target q --san=,,z"), CLI_DONE);
  assert_true(slice_is(cli_flag(&cli, "owner"), "b"));
  assert_null(cli_flag(&cli, "policy").p);
  assert_true(rc_ok(cli_flag_list(&cli, "san", &v)));
  assert_int_equal(v.n, 3);
  assert_true(slice_is(v.v[0], "x") && slice_is(v.v[1], "y") && slice_is(v.v[2], "z"));
  assert_true(rc_ok(cli_flag_list(&cli, "target", &v)));
  assert_int_equal(v.n, 1);
  assert_true(rc_ok(cli_flag_list(&cli, "cn", &v)));
  assert_int_equal(v.n, 0);
}

/* --- requests that follow from a line --- */

static void test_paths(void **state)
{
  static const struct {
    const char *line, *path;
  } rows[] = {
    {"certs list", "/api/v1/certificates"},
    {"certs list --page 2 --status a&b", "/api/v1/certificates?status=a%26b&page=2"},
    {"certs list --status=", "/api/v1/certificates"},
    {"certs get a/b", "/api/v1/certificates/a%2Fb"},
    {"jobs retry j-1", "/api/v1/jobs/j-1/retry"},
    {"certs renew c --force", "/api/v1/certificates/c/renew?force=true"},
    {"certs renew c --force --wait=5m", "/api/v1/certificates/c/renew?force=true"},
    {"ca root", "/.well-known/pki/ca/iss-local"},
    {"ca root iss-2", "/.well-known/pki/ca/iss-2"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    assert_int_equal(parsed(rows[i].line), CLI_DONE);
    assert_string_equal(cli_path(&cli), rows[i].path);
  }
}

/* --- help --- */

static void test_help_is_asked_for(void **state)
{
  static const struct {
    const char *line, *words; /* words NULL: not asked for */
  } rows[] = {
    {"", NULL},
    {"certs list", NULL},
    {"-- --help", NULL},
    {"--status --help certs list", NULL}, /* the flag's value */
    {"--help", ""},
    {"-h", ""},
    {"-help", ""},
    {"certs --help", "certs"},
    {"--help certs", "certs"},
    {"certs get --help", "certs get"},
    {"certs get x --help", "certs get"},
    {"--status=x certs list -h", "certs list"},
    {"--status x certs list -h", "certs list"},
    {"--san x certs create -h", "certs create"},
    {"--force certs renew -h", "certs renew"},
    {"--wait certs renew -h", "certs renew"},
    {"--frob certs -h", "certs"},
    {"frob -h", "frob"},
    {"- -h", "-"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    slice_t words = S("?");
    line_t l = line_of(rows[i].line);
    assert_int_equal(cli_args_help(arena, l.argc, l.argv, &words), rows[i].words != NULL);
    if (rows[i].words && !slice_is(words, rows[i].words)) fail_msg("%s: %.*s", rows[i].line, SLICE_ARG(words));
  }
}

static int helped(const char *words, FILE *stream)
{
  capture_begin(&capture, stream);
  int code = cli_help(slice_str(words));
  (void)capture_end(&capture);
  return code;
}

static bool begins(const char *text)
{
  return slice_starts(slice_str(capture.text), slice_str(text));
}

static void test_help(void **state)
{
  assert_int_equal(helped("jobs cancel", stdout), CLI_DONE);
  assert_true(begins("Usage: certctl-cli jobs cancel ID [flags]\n\nCancel a job that is not finished.\n\nFlags of every command:\n"));
  assert_non_null(strstr(capture.text, "\n  --server VALUE "));
  assert_non_null(strstr(capture.text, "\n  --insecure  "));
  assert_non_null(strstr(capture.text, "\n  --format table|json        output form (table)\n"));
  assert_null(strstr(capture.text, "key-dir")); /* the agent's */
  assert_int_equal(helped("version", stdout), CLI_DONE);
  assert_true(begins("Usage: certctl-cli version [flags]\n\nPrint the version.\n\nFlags of every command:\n"));
  assert_int_equal(helped("certs renew", stdout), CLI_DONE);
  assert_non_null(strstr(capture.text, "\n\nFlags:\n  --force                    also when a renewal is under way\n"
                                       "  --wait[=5m]                follow the jobs to their end, for 5m or the time given\n\n"));
  assert_int_equal(helped("certs create", stdout), CLI_DONE);
  assert_non_null(strstr(capture.text, "  --owner ID                 owner (required)\n"));
  assert_non_null(strstr(capture.text, "  --issuer ID                issuer (iss-local)\n"));
  assert_int_equal(helped("jobs", stdout), CLI_DONE);
  assert_true(begins("Usage: certctl-cli jobs COMMAND [flags]\n\nCommands:\n  jobs list "));
  assert_null(strstr(capture.text, "  certs "));
  assert_int_equal(helped("", stdout), CLI_DONE);
  assert_true(begins("Usage: certctl-cli COMMAND [flags]\n\nCommands:\n  certs create NAME "));
  assert_non_null(strstr(capture.text, "\n  version  "));
  assert_int_equal(helped("job", stderr), CLI_USAGE);
  assert_string_equal(capture.text, "error: unknown command: job (see certctl-cli --help)\n");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    T(test_lines),
    T(test_forms_of_output),
    T(test_lines_that_make_no_sense),
    T(test_as_many_words_and_flags_as_there_is_room_for),
    T(test_values),
    T(test_paths),
    T(test_help_is_asked_for),
    T(test_help),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
