/* The loader: defaults, grammar, refusals in order, keys, flags, secrets, warnings, children. */
#include "base/mem.h"
#include "conf/conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* Each test starts without any CERTCTL_ name. */
static int clean_environment(void **state)
{
  for (char **p = environ; *p;) {
    char name[128];
    size_t n = strcspn(*p, "=");
    if (strncmp(*p, "CERTCTL_", 8) == 0 && n < sizeof name) {
      memcpy(name, *p, n);
      name[n] = 0;
      unsetenv(name);
      p = environ;
    } else {
      p++;
    }
  }
  return 0;
}

static void set(const char *name, const char *value) { assert_int_equal(setenv(name, value, 1), 0); }

static conf_t load(uint32_t program)
{
  conf_t c;
  err_t e = {0};
  if (!rc_ok(conf_load(program, NULL, NULL, &c, &e))) {
    char line[512];
    conf_refusal(&e, line, sizeof line);
    fail_msg("%s", line);
  }
  return c;
}

#define assert_slice(s, text) assert_true(slice_is((s), (text)))

/* The load must fail with exactly this line; the snapshot stays as it was. */
static void refused(uint32_t program, const char *expected)
{
  conf_t c = {.server_port = 4711};
  err_t e = {0};
  char line[512];
  assert_false(rc_ok(conf_load(program, NULL, NULL, &c, &e)));
  assert_int_equal(c.server_port, 4711);
  size_t n = conf_refusal(&e, line, sizeof line);
  assert_int_equal(n, strlen(line));
  assert_string_equal(line, expected);
}

static void nothing_is_required(void **state)
{
  conf_t c = load(SP_SERVER);
  assert_int_equal(c.server_port, 8443);
  assert_slice(c.server_host, "127.0.0.1");
  assert_slice(c.state_dir, "/var/lib/certctl");
  assert_slice(c.database_path, "/var/lib/certctl/certctl.db");
  assert_slice(c.auth_type, "api-key");
  assert_slice(c.sandbox, "on");
  assert_int_equal(c.database_max_conns, 50);
  assert_int_equal(c.max_body_size, 1048576);
  assert_int_equal(c.audit_flush_timeout_seconds, 30);
  assert_int_equal(c.scheduler_job_processor_interval_us, 30 * US_PER_S);
  assert_int_equal(c.job_awaiting_csr_timeout_us, 86400 * US_PER_S);
  assert_false(c.demo_seed);
  assert_int_equal(c.nkeys, 0);
  assert_int_equal(c.nwarnings, 0);
  assert_int_equal(c.agent_bootstrap_token.n, 0);
  conf_fini(&c);
  conf_fini(&c);
}

static void values_are_read(void **state)
{
  set("CERTCTL_STATE_DIR", "var");
  set("CERTCTL_SERVER_PORT", "+9443");
  set("CERTCTL_DEMO_SEED", "TRUE");
  set("CERTCTL_SCHEDULER_RETRY_INTERVAL", "1.5h");
  set("CERTCTL_LOG_LEVEL", "debug");
  set("CERTCTL_MAX_BODY_SIZE", "");
  conf_t c = load(SP_SERVER);
  assert_int_equal(c.server_port, 9443);
  assert_true(c.demo_seed);
  assert_int_equal(c.scheduler_retry_interval_us, 5400 * US_PER_S);
  assert_slice(c.log_level, "debug");
  assert_slice(c.database_path, "var/certctl.db");
  assert_int_equal(c.max_body_size, 1048576);
  assert_string_equal((const char *)c.state_dir.p, "var");
  conf_fini(&c);
}

static void booleans(void **state)
{
  static const char *const yes[] = {"true", "1", "yes", "YES", "t", "on"}, *const no[] = {"false", "0", "no", "No", "f", "off"};
  for (size_t i = 0; i < COUNT_OF(yes); i++) {
    set("CERTCTL_DEMO_SEED", yes[i]);
    conf_t c = load(SP_SERVER);
    assert_true(c.demo_seed);
    conf_fini(&c);
    set("CERTCTL_DEMO_SEED", no[i]);
    c = load(SP_SERVER);
    assert_false(c.demo_seed);
    conf_fini(&c);
  }
}

#define HEAD "Failed to load configuration: "

static void malformed_and_out_of_range_refuse(void **state)
{
  static const struct {
    const char *name, *value, *line;
  } t[] = {
      {"CERTCTL_SERVER_PORT", "0", HEAD "CERTCTL_SERVER_PORT must be an integer from 1 to 65535: \"0\""},
      {"CERTCTL_SERVER_PORT", "65536", HEAD "CERTCTL_SERVER_PORT must be an integer from 1 to 65535: \"65536\""},
      {"CERTCTL_SERVER_PORT", "8443 ", HEAD "CERTCTL_SERVER_PORT must be an integer from 1 to 65535: \"8443 \""},
      {"CERTCTL_SERVER_PORT", "0x1", HEAD "CERTCTL_SERVER_PORT must be an integer from 1 to 65535: \"0x1\""},
      {"CERTCTL_SERVER_PORT", "-", HEAD "CERTCTL_SERVER_PORT must be an integer from 1 to 65535: \"-\""},
      {"CERTCTL_DATABASE_MAX_CONNS", "many", HEAD "CERTCTL_DATABASE_MAX_CONNS must be an integer from 1 to 10000: \"many\""},
      {"CERTCTL_DATABASE_MAX_CONNS", "-1", HEAD "CERTCTL_DATABASE_MAX_CONNS must be an integer from 1 to 10000: \"-1\""},
      {"CERTCTL_DATABASE_MAX_CONNS", "99999999999999999999",
       HEAD "CERTCTL_DATABASE_MAX_CONNS must be an integer from 1 to 10000: \"99999999999999999999\""},
      {"CERTCTL_DEMO_SEED", "perhaps", HEAD "CERTCTL_DEMO_SEED must be true or false: \"perhaps\""},
      {"CERTCTL_JOB_TIMEOUT_INTERVAL", "999ms",
       HEAD "CERTCTL_JOB_TIMEOUT_INTERVAL must be a duration from 1s to 8760h, such as 90s or 1h30m: \"999ms\""},
      {"CERTCTL_JOB_TIMEOUT_INTERVAL", "10",
       HEAD "CERTCTL_JOB_TIMEOUT_INTERVAL must be a duration from 1s to 8760h, such as 90s or 1h30m: \"10\""},
      {"CERTCTL_LOG_LEVEL", "INFO", HEAD "CERTCTL_LOG_LEVEL must be debug, info, warn or error: \"INFO\""},
      {"CERTCTL_LOG_FORMAT", "xml", HEAD "CERTCTL_LOG_FORMAT must be json or text: \"xml\""},
      {"CERTCTL_AUTH_TYPE", "jwt",
       HEAD "CERTCTL_AUTH_TYPE must be api-key or none (jwt and the like belong to an authenticating gateway in front): \"jwt\""},
      {"CERTCTL_KEYGEN_MODE", "server", HEAD "CERTCTL_KEYGEN_MODE must be agent: \"server\""},
      {"CERTCTL_SANDBOX", "maybe", HEAD "CERTCTL_SANDBOX must be on or off: \"maybe\""},
      {"CERTCTL_DATABASE_URL", "postgres://u:geheim@db/x",
       HEAD "CERTCTL_DATABASE_URL names PostgreSQL, but this build has the embedded store only: sqlite:/path/file.db, or unset"},
      {"CERTCTL_DATABASE_URL", "/some/file", HEAD "CERTCTL_DATABASE_URL must be sqlite:/path/file.db"},
      {"CERTCTL_DATABASE_URL", "sqlite:", HEAD "CERTCTL_DATABASE_URL must name a file: sqlite:/path/file.db"},
      {"CERTCTL_DATABASE_URL", "sqlite:/dir/", HEAD "CERTCTL_DATABASE_URL must name a file: sqlite:/path/file.db"},
      {"CERTCTL_DATABASE_URL", "sqlite:/a?mode=ro", HEAD "CERTCTL_DATABASE_URL must name a file: sqlite:/path/file.db"},
      {"CERTCTL_SERVER_TLS_CERT_PATH", "/c.pem",
       HEAD "CERTCTL_SERVER_TLS_KEY_PATH must be set too when CERTCTL_SERVER_TLS_CERT_PATH is"},
      {"CERTCTL_SERVER_TLS_KEY_PATH", "/k.pem",
       HEAD "CERTCTL_SERVER_TLS_CERT_PATH must be set too when CERTCTL_SERVER_TLS_KEY_PATH is"},
      {"CERTCTL_CA_CERT_PATH", "/c.pem", HEAD "CERTCTL_CA_KEY_PATH must be set too when CERTCTL_CA_CERT_PATH is"},
      {"CERTCTL_CA_KEY_PATH", "/k.pem", HEAD "CERTCTL_CA_CERT_PATH must be set too when CERTCTL_CA_KEY_PATH is"},
      {"CERTCTL_CONFIG_ENCRYPTION_KEY", "0123456789012345678901234567890",
       HEAD "CERTCTL_CONFIG_ENCRYPTION_KEY must have at least 32 bytes"},
      {"CERTCTL_CONFIG_ENCRYPTION_KEY", "change-me-32-char-encryption-key",
       HEAD "CERTCTL_CONFIG_ENCRYPTION_KEY must not be the placeholder of the example files"},
      {"CERTCTL_AUTH_SECRET", "change-me-in-production",
       HEAD "CERTCTL_AUTH_SECRET must not be the placeholder of the example files"},
  };
  for (size_t i = 0; i < COUNT_OF(t); i++) {
    set(t[i].name, t[i].value);
    refused(SP_SERVER, t[i].line);
    unsetenv(t[i].name);
  }
}

static void edges_of_ranges_are_accepted(void **state)
{
  static const char *const t[][2] = {
      {"CERTCTL_SERVER_PORT", "1"},          {"CERTCTL_SERVER_PORT", "65535"},      {"CERTCTL_DATABASE_MAX_CONNS", "1"},
      {"CERTCTL_DATABASE_MAX_CONNS", "10000"}, {"CERTCTL_JOB_TIMEOUT_INTERVAL", "1s"}, {"CERTCTL_JOB_TIMEOUT_INTERVAL", "8760h"},
      {"CERTCTL_CONFIG_ENCRYPTION_KEY", "01234567890123456789012345678901"},
  };
  for (size_t i = 0; i < COUNT_OF(t); i++) {
    set(t[i][0], t[i][1]);
    conf_t c = load(SP_SERVER);
    conf_fini(&c);
    unsetenv(t[i][0]);
  }
  set("CERTCTL_JOB_TIMEOUT_INTERVAL", "8760h1us");
  refused(SP_SERVER, HEAD "CERTCTL_JOB_TIMEOUT_INTERVAL must be a duration from 1s to 8760h, such as 90s or 1h30m: \"8760h1us\"");
}

static void refusals_come_in_order(void **state)
{
  set("CERTCTL_API_KEYS_NAMED", "x");
  set("CERTCTL_SERVER_PORT", "0");
  set("CERTCTL_LOG_LEVEL", "x");
  refused(SP_SERVER, HEAD "CERTCTL_API_KEYS_NAMED must be name:key or name:key:admin, comma separated; entry 1 is not");
  set("CERTCTL_SERVER_PORT", "0");
  refused(SP_SERVER, HEAD "CERTCTL_SERVER_PORT must be an integer from 1 to 65535: \"0\"");
  unsetenv("CERTCTL_SERVER_PORT");
  refused(SP_SERVER, HEAD "CERTCTL_LOG_LEVEL must be debug, info, warn or error: \"x\"");
}

static void named_keys(void **state)
{
  set("CERTCTL_API_KEYS_NAMED", "ops:k1:admin, view_er-2:k2 ,,ops:k3:admin");
  set("CERTCTL_AUTH_SECRET", "unused");
  conf_t c = load(SP_SERVER);
  assert_int_equal(c.nkeys, 3);
  assert_slice(c.keys[0].name, "ops");
  assert_slice(c.keys[0].key, "k1");
  assert_true(c.keys[0].admin);
  assert_slice(c.keys[1].name, "view_er-2");
  assert_slice(c.keys[1].key, "k2");
  assert_false(c.keys[1].admin);
  assert_slice(c.keys[2].key, "k3");
  assert_int_equal(c.nwarnings, 1);
  assert_string_equal(c.warnings[0].text, "api-key rotation window active");
  assert_slice(c.warnings[0].fields[0].text, "ops");
  assert_int_equal(c.warnings[0].fields[1].num, 2);
  conf_fini(&c);
}

/* One note a name, whichever entries are its. */
static void rotation_is_noted_once_a_name(void **state)
{
  set("CERTCTL_API_KEYS_NAMED", "a:1,b:1,b:2,c:1,b:3,c:2");
  conf_t c = load(SP_SERVER);
  assert_int_equal(c.nwarnings, 2);
  assert_slice(c.warnings[0].fields[0].text, "b");
  assert_int_equal(c.warnings[0].fields[1].num, 3);
  assert_slice(c.warnings[1].fields[0].text, "c");
  assert_int_equal(c.warnings[1].fields[1].num, 2);
  conf_fini(&c);
}

static void named_keys_refused(void **state)
{
  static const struct {
    const char *value, *line;
  } t[] = {
      {"a", "must be name:key or name:key:admin, comma separated; entry 1 is not"},
      {"a:", "must be name:key or name:key:admin, comma separated; entry 1 is not"},
      {":k", "must be name:key or name:key:admin, comma separated; entry 1 is not"},
      {"a:k,b:k:root", "must be name:key or name:key:admin, comma separated; entry 2 is not"},
      {"a:k:admin:x", "must be name:key or name:key:admin, comma separated; entry 1 is not"},
      {"a:k:", "must be name:key or name:key:admin, comma separated; entry 1 is not"},
      {"@:k", "must be name:key or name:key:admin, comma separated; entry 1 is not"},
      {"[:k", "must be name:key or name:key:admin, comma separated; entry 1 is not"},
      {"`:k", "must be name:key or name:key:admin, comma separated; entry 1 is not"},
      {"{:k", "must be name:key or name:key:admin, comma separated; entry 1 is not"},
      {"/:k", "must be name:key or name:key:admin, comma separated; entry 1 is not"},
      {"a b:k", "must be name:key or name:key:admin, comma separated; entry 1 is not"},
      {"a:k,a:k", "must not repeat an entry; entry 2 does"},
      {"a:k,b:k,a:l:admin", "must give one name the same right in every entry; entry 3 differs"},
  };
  for (size_t i = 0; i < COUNT_OF(t); i++) {
    char line[256];
    snprintf(line, sizeof line, HEAD "CERTCTL_API_KEYS_NAMED %s", t[i].line);
    set("CERTCTL_API_KEYS_NAMED", t[i].value);
    refused(SP_SERVER, line);
  }
}

static void longest_key_name(void **state)
{
  char pair[256 + 3];
  memset(pair, 'a', 256);
  memcpy(pair + 256, ":k", 3);
  set("CERTCTL_API_KEYS_NAMED", pair);
  refused(SP_SERVER, HEAD "CERTCTL_API_KEYS_NAMED must be name:key or name:key:admin, comma separated; entry 1 is not");
  memcpy(pair + 1, "azAZ09_-", 8); /* the ends of what a name may be made of */
  set("CERTCTL_API_KEYS_NAMED", pair + 1);
  conf_t c = load(SP_SERVER);
  assert_int_equal(c.keys[0].name.n, 255);
  conf_fini(&c);
}

static void too_many_keys(void **state)
{
  static char list[1001 * 2 + 1];
  for (size_t i = 0; i < 1001; i++) memcpy(list + 2 * i, "k,", 3);
  set("CERTCTL_AUTH_SECRET", list);
  refused(SP_SERVER, HEAD "CERTCTL_AUTH_SECRET must have at most 1000 keys");
  list[2000] = 0;
  set("CERTCTL_AUTH_SECRET", list);
  conf_t c = load(SP_SERVER);
  assert_int_equal(c.nkeys, 1000);
  conf_fini(&c);
}

static void bare_keys_are_admins(void **state)
{
  set("CERTCTL_AUTH_SECRET", "first,, second ");
  conf_t c = load(SP_SERVER);
  assert_int_equal(c.nkeys, 2);
  assert_slice(c.keys[1].name, "legacy-key-1");
  assert_slice(c.keys[1].key, "second");
  assert_true(c.keys[1].admin);
  assert_int_equal(c.nwarnings, 1);
  assert_int_equal(c.warnings[0].fields[2].num, 2);
  conf_fini(&c);
}

static void open_access_needs_loopback(void **state)
{
  static const char *const fine[] = {"localhost", "127.0.0.1", "127.255.1.2", "::1", "127.0.0.1:8443", "localhost:1"};
  static const char *const bad[] = {"0.0.0.0", "::", "[::]", "127.0.0.1.example.com", "127.0.0", "127.0.0.256", "10.0.0.1",
                                    "localhost.example.com", "127.1", "127.0.0.1.1", "::1:2:3"};
  set("CERTCTL_AUTH_TYPE", "none");
  for (size_t i = 0; i < COUNT_OF(fine); i++) {
    set("CERTCTL_AUTH_SECRET", "k");
    set("CERTCTL_SERVER_HOST", fine[i]);
    conf_t c = load(SP_SERVER);
    assert_int_equal(c.nkeys, 0);
    conf_fini(&c);
  }
  for (size_t i = 0; i < COUNT_OF(bad); i++) {
    char line[256];
    snprintf(line, sizeof line,
             HEAD "CERTCTL_SERVER_HOST must be a loopback address when CERTCTL_AUTH_TYPE is none: \"%s\"", bad[i]);
    set("CERTCTL_SERVER_HOST", bad[i]);
    refused(SP_SERVER, line);
  }
}

static void database_paths(void **state)
{
  static const char *const t[][2] = {
      {"sqlite:/a/b.db", "/a/b.db"}, {"sqlite:///a/b.db", "/a/b.db"}, {"sqlite:b.db", "b.db"}, {"sqlite://b.db", "b.db"}};
  for (size_t i = 0; i < COUNT_OF(t); i++) {
    set("CERTCTL_DATABASE_URL", t[i][0]);
    conf_t c = load(SP_SERVER);
    assert_slice(c.database_path, t[i][1]);
    conf_fini(&c);
  }
}

static void passphrase_once(void **state)
{
  set("CERTCTL_CA_PASSPHRASE", "geheim");
  set("CERTCTL_CA_PASSPHRASE_FILE", "/run/secret");
  refused(SP_SIGNER, HEAD "CERTCTL_CA_PASSPHRASE_FILE must not be set when CERTCTL_CA_PASSPHRASE is");
}

/* True if the bytes can be found in what the kernel shows as this process's environment. */
static bool environ_shows(const char *text)
{
  static char all[1 << 18];
  FILE *f = fopen("/proc/self/environ", "rb");
  assert_non_null(f);
  size_t n = fread(all, 1, sizeof all, f);
  fclose(f);
  return memmem(all, n, text, strlen(text)) != NULL;
}

/* Runs in a child that was started with the secret in its environment (see main). */
static int scrub_child(void)
{
  conf_t c;
  if (!environ_shows("canary-of-the-environment")) return 10;
  if (!rc_ok(conf_load(SP_SERVER, NULL, NULL, &c, NULL))) return 11;
  if (!slice_is(slice_of(c.agent_bootstrap_token.p, c.agent_bootstrap_token.n), "canary-of-the-environment")) return 12;
  if (environ_shows("canary-of-the-environment")) return 13;
  if (getenv("CERTCTL_AGENT_BOOTSTRAP_TOKEN") || getenv("CERTCTL_API_KEY")) return 14;
  conf_fini(&c);
  return 0;
}

static const char *self;

static void secrets_leave_the_environment(void **state)
{
  set("CERTCTL_AGENT_BOOTSTRAP_TOKEN", "canary-of-the-environment");
  set("CERTCTL_API_KEY", "canary-of-the-environment");
  char command[4096];
  snprintf(command, sizeof command, "'%s' --scrub", self);
  int status = system(command);
  assert_int_equal(status, 0);
}

static void flags_win(void **state)
{
  char a0[] = "agent", a1[] = "-server=https://a:1", a2[] = "--api-key", a3[] = "canary", a4[] = "run", a5[] = "--other",
       a6[] = "-insecure-skip-verify", a7[] = "--name", a8[] = "n1", a9[] = "--", a10[] = "-name", a11[] = "n2";
  char *argv[] = {a0, a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, NULL};
  int argc = COUNT_OF(argv) - 1;
  conf_t c;
  set("CERTCTL_SERVER_URL", "https://b:2");
  set("CERTCTL_AGENT_NAME", "n0");
  assert_true(rc_ok(conf_load(SP_AGENT, &argc, argv, &c, NULL)));
  assert_slice(c.server_url, "https://a:1");
  assert_slice(slice_of(c.api_key.p, c.api_key.n), "canary");
  assert_slice(c.agent_name, "n1");
  assert_true(c.server_tls_insecure_skip_verify);
  assert_int_equal(argc, 6);
  assert_string_equal(argv[1], "run");
  assert_string_equal(argv[2], "--other");
  assert_string_equal(argv[3], "--");
  assert_string_equal(argv[4], "-name");
  assert_string_equal(argv[5], "n2");
  assert_null(argv[6]);
  assert_string_equal(a3, "");
  assert_int_equal(a3[5], 0);
  conf_fini(&c);
}

static void flags_refused(void **state)
{
  char a0[] = "cli", a1[] = "--insecure=perhaps", a2[] = "--server";
  char *bad_value[] = {a0, a1, NULL}, *no_value[] = {a0, a2, NULL};
  int argc = 2;
  conf_t c;
  err_t e = {0};
  char line[256];
  assert_true(rc_is(conf_load(SP_CLI, &argc, bad_value, &c, &e), RC_INVALID));
  conf_refusal(&e, line, sizeof line);
  assert_string_equal(line, HEAD "CERTCTL_SERVER_TLS_INSECURE_SKIP_VERIFY must be true or false: \"perhaps\"");
  argc = 2;
  assert_true(rc_is(conf_load(SP_CLI, &argc, no_value, &c, &e), RC_INVALID));
  conf_refusal(&e, line, sizeof line);
  assert_string_equal(line, HEAD "server needs a value");
}

static void cli_leaves_foreign_flags(void **state)
{
  char a0[] = "cli", a1[] = "--agent-id", a2[] = "x", a3[] = "--insecure", a4[] = "list";
  char *argv[] = {a0, a1, a2, a3, a4, NULL};
  int argc = 5;
  conf_t c;
  assert_true(rc_ok(conf_load(SP_CLI, &argc, argv, &c, NULL)));
  assert_int_equal(argc, 4);
  assert_string_equal(argv[1], "--agent-id");
  assert_string_equal(argv[3], "list");
  assert_true(c.server_tls_insecure_skip_verify);
  conf_fini(&c);
}

static void unknown_settings_warn(void **state)
{
  set("CERTCTL_DATABASE_MAX_CONN", "9");
  set("CERTCTL_" "AGENT_POLL_INTERVAL", "9");
  set("CERTCTL_KEY_DIR", "/of/the/agent");
  set("CERTCTL_DATABASE_MIGRATIONS_PATH", "./migrations");
  conf_t c = load(SP_SERVER);
  bool near = false, far = false, accepted = false;
  for (size_t i = 0; i < c.nwarnings; i++) {
    const conf_warning_t *w = &c.warnings[i];
    if (slice_is(w->fields[0].text, "CERTCTL_DATABASE_MAX_CONN"))
      near = w->nfields == 2 && slice_is(w->fields[1].text, "CERTCTL_DATABASE_MAX_CONNS");
    if (slice_is(w->fields[0].text, "CERTCTL_" "AGENT_POLL_INTERVAL")) far = w->nfields == 1;
    if (strcmp(w->text, "setting without effect") == 0)
      accepted = slice_is(w->fields[0].text, "CERTCTL_DATABASE_MIGRATIONS_PATH");
  }
  assert_true(near && far && accepted);
  assert_int_equal(c.nwarnings, 3);
  conf_fini(&c);
}

/* What is nearest may differ in a quarter of what stands behind the prefix, no more. */
static void nearest_name(void **state)
{
  static const char *const t[][2] = {
      {"CERTCTL_" "DATABASE_XYZ", "CERTCTL_DATABASE_URL"}, {"CERTCTL_" "DATABAZE_XYZ", NULL},
      {"CERTCTL_" "SERVER_POST", "CERTCTL_SERVER_PORT"},   {"CERTCTL_" "STATEDIR", "CERTCTL_STATE_DIR"},
  };
  for (size_t i = 0; i < COUNT_OF(t); i++) {
    set(t[i][0], "x");
    conf_t c = load(SP_SERVER);
    assert_int_equal(c.nwarnings, 1);
    assert_int_equal(c.warnings[0].nfields, t[i][1] ? 2 : 1);
    if (t[i][1]) assert_slice(c.warnings[0].fields[1].text, t[i][1]);
    conf_fini(&c);
    unsetenv(t[i][0]);
  }
}

/* What conf_start_log writes, read back through a pipe. */
static void start_logs_each_warning_once(void **state)
{
  char text[1024];
  int fds[2];
  set("CERTCTL_LOG_LEVEL", "warn");
  set("CERTCTL_LOG_FORMAT", "text");
  set("CERTCTL_UNHEARD_OF", "x");
  set("CERTCTL_DATABASE_MIGRATIONS_PATH", "./migrations");
  conf_t c = load(SP_SERVER);
  assert_int_equal(pipe(fds), 0);
  log_sink(fds[1]);
  conf_start_log(&c);
  log_sink(1);
  close(fds[1]);
  ssize_t n = read(fds[0], text, sizeof text);
  close(fds[0]);
  assert_true(n > 0 && !log_on(LOG_INFO) && log_on(LOG_WARN));
  size_t lines = 0;
  for (ssize_t i = 0; i < n; i++) lines += text[i] == '\n';
  assert_int_equal(lines, 2);
  assert_non_null(memmem(text, (size_t)n, "CERTCTL_UNHEARD_OF", strlen("CERTCTL_UNHEARD_OF")));
  assert_true(text[0] != '{');
  log_setup(LOG_INFO, false);
  conf_fini(&c);
}

static void too_long_a_value(void **state)
{
  static char big[64 * 1024 + 2];
  memset(big, 'x', sizeof big - 1);
  set("CERTCTL_STATE_DIR", big);
  refused(SP_SERVER, HEAD "CERTCTL_STATE_DIR must have at most 65536 bytes");
  big[64 * 1024] = 0;
  set("CERTCTL_STATE_DIR", big);
  conf_t c = load(SP_SERVER);
  assert_int_equal(c.state_dir.n, 64 * 1024);
  conf_fini(&c);
}

static size_t count_of(char **v, const char *start)
{
  size_t n = 0;
  for (; *v; v++) n += strncmp(*v, start, strlen(start)) == 0;
  return n;
}

static void children_get_their_own(void **state)
{
  static const char *const withhold[] = {"CA_PASSPHRASE", NULL};
  set("CERTCTL_CA_PASSPHRASE", "geheim");
  set("CERTCTL_AGENT_BOOTSTRAP_TOKEN", "token");
  set("CERTCTL_STATE_DIR", "/s");
  set("CERTCTL_UNHEARD_OF", "x");
  set("PLAIN_VARIABLE", "p");
  conf_t c = load(SP_SERVER);
  conf_env_t env;
  assert_true(rc_ok(conf_env_new(&c, SP_SERVER, withhold, &env)));
  assert_int_equal(count_of(env.v, "CERTCTL_"), 2);
  assert_int_equal(count_of(env.v, "CERTCTL_AGENT_BOOTSTRAP_TOKEN=token"), 1);
  assert_int_equal(count_of(env.v, "CERTCTL_STATE_DIR=/s"), 1);
  assert_int_equal(count_of(env.v, "PLAIN_VARIABLE=p"), 1);
  conf_env_fini(&env);
  assert_true(rc_ok(conf_env_new(&c, SP_SIGNER, NULL, &env)));
  assert_int_equal(count_of(env.v, "CERTCTL_CA_PASSPHRASE=geheim"), 1);
  assert_int_equal(count_of(env.v, "CERTCTL_AGENT_BOOTSTRAP_TOKEN"), 0);
  conf_env_fini(&env);
  conf_fini(&c);
  unsetenv("PLAIN_VARIABLE");
}

static void every_allocation_may_fail(void **state)
{
  long n = 0;
  bool done = false;
  while (!done) {
    set("CERTCTL_API_KEYS_NAMED", "a:b");
    set("CERTCTL_DATABASE_MAX_CONN", "9");
    conf_t c = {.server_port = 4711};
    err_t e = {0};
    mem_fail_after(n++);
    rc_t r = conf_load(SP_SERVER, NULL, NULL, &c, &e);
    mem_fail_after(-1);
    done = rc_ok(r);
    if (done)
      conf_fini(&c);
    else {
      assert_true(rc_is(r, RC_NOMEM));
      assert_int_equal(c.server_port, 4711);
    }
  }
  assert_true(n > 2);
}

static void table_is_sound(void **state)
{
  size_t n;
  const setting_t *rows = conf_settings(&n);
  for (size_t i = 0; i < n; i++) {
    const setting_t *s = &rows[i];
    assert_string_equal(s->env + strlen("CERTCTL_"), s->name);
    assert_true(s->programs != 0 && s->programs <= 15);
    assert_non_null(s->help);
    assert_null(strchr(s->help, '\t'));
    assert_null(strchr(s->help, '|'));
    if (s->type == ST_INT || s->type == ST_DURATION) assert_true(s->def && s->min < s->max);
    if (s->type != ST_TEXT) assert_true(s->def && s->rule);
    if (s->flags & SF_SECRET) assert_null(s->def);
    for (size_t j = 0; j < i; j++)
      if (strcmp(rows[j].name, s->name) == 0) {
        assert_int_equal(rows[j].programs & s->programs, 0);
        assert_int_equal(rows[j].offset, s->offset);
      } else {
        assert_int_not_equal(rows[j].offset, s->offset);
      }
  }
}

static void dump_has_every_row_in_order(void **state)
{
  BUF_SCOPED buf_t out = buf_heap(256 * 1024);
  slice_t rest, line, name, last = {NULL, 0};
  size_t n, lines = 0;
  (void)conf_settings(&n);
  conf_dump(&out);
  for (rest = buf_slice(&out); slice_split(&rest, '\n', &line) && line.n > 0; lines++) {
    assert_true(slice_split(&line, '\t', &name));
    assert_true(slice_cmp(last, name) <= 0);
    last = name;
  }
  assert_int_equal(lines, n);
}

int main(int argc, char **argv)
{
  if (argc == 2 && strcmp(argv[1], "--scrub") == 0) return scrub_child();
  self = argv[0];
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(nothing_is_required, clean_environment),
      cmocka_unit_test_setup(values_are_read, clean_environment),
      cmocka_unit_test_setup(booleans, clean_environment),
      cmocka_unit_test_setup(malformed_and_out_of_range_refuse, clean_environment),
      cmocka_unit_test_setup(edges_of_ranges_are_accepted, clean_environment),
      cmocka_unit_test_setup(refusals_come_in_order, clean_environment),
      cmocka_unit_test_setup(named_keys, clean_environment),
      cmocka_unit_test_setup(rotation_is_noted_once_a_name, clean_environment),
      cmocka_unit_test_setup(named_keys_refused, clean_environment),
      cmocka_unit_test_setup(longest_key_name, clean_environment),
      cmocka_unit_test_setup(too_many_keys, clean_environment),
      cmocka_unit_test_setup(bare_keys_are_admins, clean_environment),
      cmocka_unit_test_setup(open_access_needs_loopback, clean_environment),
      cmocka_unit_test_setup(database_paths, clean_environment),
      cmocka_unit_test_setup(passphrase_once, clean_environment),
      cmocka_unit_test_setup(secrets_leave_the_environment, clean_environment),
      cmocka_unit_test_setup(flags_win, clean_environment),
      cmocka_unit_test_setup(flags_refused, clean_environment),
      cmocka_unit_test_setup(cli_leaves_foreign_flags, clean_environment),
      cmocka_unit_test_setup(unknown_settings_warn, clean_environment),
      cmocka_unit_test_setup(nearest_name, clean_environment),
      cmocka_unit_test_setup(start_logs_each_warning_once, clean_environment),
      cmocka_unit_test_setup(too_long_a_value, clean_environment),
      cmocka_unit_test_setup(children_get_their_own, clean_environment),
      cmocka_unit_test_setup(every_allocation_may_fail, clean_environment),
      cmocka_unit_test_setup(table_is_sound, clean_environment),
      cmocka_unit_test_setup(dump_has_every_row_in_order, clean_environment),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
