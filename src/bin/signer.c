/*
 * certctl-signer: the process that holds the CA key. Started by certctl-server it
 * serves its socket; by hand it changes a ceiling, or checks and shows the record.
 */
#include "base/failpoint.h"
#include "base/log.h"
#include "base/version.h"
#include "bin/link.h"
#include "bin/passphrase.h"
#include "io/channel.h"
#include "io/sandbox.h"
#include "signer/main_loop.h"
#include "signer/record.h"

#include <stdio.h>
#include <unistd.h>

enum { KEY_FILE_MAX = 64 * 1024, PATH_MAX_TEXT = LIM_PATH };

static const char issuer_name[] = "iss-local";
static const char ca_common_name[] = "CertCtl Local CA"; /* spec/protocols.md 8.1 */

static int refuse(const char *what, const err_t *e)
{
  char text[512];
  if (e) err_format(e, text, sizeof text);
  fprintf(stderr, "certctl-signer: %s%s%s\n", what, e ? ": " : "", e ? text : "");
  return 1;
}

static MUST rc_t folder_path(const conf_t *c, char out[PATH_MAX_TEXT], err_t *e)
{
  int n = snprintf(out, PATH_MAX_TEXT, "%.*s/signer", SLICE_ARG(c->state_dir));
  if (n > 0 && n < PATH_MAX_TEXT) return rc(RC_OK);
  return err_limit(e, RC_FULL, "path", "CERTCTL_STATE_DIR", "is longer than {limit} bytes", PATH_MAX_TEXT - 8);
}

static MUST rc_t give_entry(void *self, const char *name)
{
  char path[PATH_MAX_TEXT + LIM_NAME];
  (void)snprintf(path, sizeof path, "%s/%s", (const char *)self, name);
  return sandbox_give(path, SANDBOX_UID_SIGNER, NULL);
}

/*
 * The signer's folder, open, made when missing. As root: made by root under the state folder, then given with all
 * that is in it to the signer's user, whatever user ran before. The handle stays usable when the path no longer is.
 */
static MUST rc_t open_folder(const conf_t *c, dir_t *ret, err_t *e)
{
  char path[PATH_MAX_TEXT];
  DIR_SCOPED dir_t d = DIR_CLOSED;
  TRY(folder_path(c, path, e));
  rc_t r = sandbox_give(path, 0, e);
  if (!rc_ok(r) && !rc_is(r, RC_NOTFOUND)) return r;
  TRY(dir_private(path, &d, e));
  TRY(dir_each(&d, give_entry, path, e));
  TRY(sandbox_give(path, SANDBOX_UID_SIGNER, e));
  *ret = d;
  d = DIR_CLOSED;
  return rc(RC_OK);
}

/* --- serving --- */

/* What is read with the rights of the start, before the process gives them up. */
typedef struct inputs {
  secret_t passphrase;
  buf_t cert_pem, key_pem, ceiling;
} inputs_t;

static void inputs_fini(inputs_t *in)
{
  secret_fini(&in->passphrase);
  if (in->key_pem.p) secret_wipe(in->key_pem.p, in->key_pem.size);
  buf_fini(&in->key_pem);
  buf_fini(&in->cert_pem);
  buf_fini(&in->ceiling);
}

static MUST rc_t take_passphrase(secret_t *ret, err_t *e)
{
  secret_t s = {0};
  int fd = LINK_PASSPHRASE;
  size_t n = 0;
  if (!rc_ok(secret_alloc(&s, PASSPHRASE_MAX))) return err_set(e, RC_NOMEM, "passphrase", NULL, "out of memory");
  rc_t r = channel_fd_read(&fd, s.p, PASSPHRASE_MAX, &n, e);
  s.n = n;
  if (rc_ok(r)) *ret = s;
  else secret_fini(&s);
  return r;
}

/* A file of the operator's, read whole; a fault names the setting that led to it. */
static MUST rc_t take_file(const char *setting, slice_t path, size_t most, buf_t *out, err_t *e)
{
  rc_t r = file_read_path((const char *)path.p, most, out, e);
  if (!rc_ok(r) && e && !e->field) e->field = setting;
  return r;
}

/* Files that only the making of the CA needs: an operator may remove them afterwards. */
static MUST rc_t take_files(const conf_t *c, const dir_t *d, inputs_t *in, err_t *e)
{
  file_info_t info;
  char sealed[64];
  (void)snprintf(sealed, sizeof sealed, "ca-%s.sealed", issuer_name);
  rc_t r = file_info(d, sealed, &info, e);
  if (!rc_is(r, RC_NOTFOUND)) return r;
  if (e) *e = (err_t){0};
  if (c->ca_ceiling_file.n > 0) TRY(take_file("CERTCTL_CA_CEILING_FILE", c->ca_ceiling_file, LIM_CEILING_FILE, &in->ceiling, e));
  if (c->ca_cert_path.n == 0) return rc(RC_OK);
  TRY(take_file("CERTCTL_CA_CERT_PATH", c->ca_cert_path, LIM_PEM_FILE, &in->cert_pem, e));
  if (!buf_grow(&in->key_pem, KEY_FILE_MAX)) return err_set(e, RC_NOMEM, "key_file", NULL, "out of memory");
  in->key_pem.n = 0; /* room for all of it at once: growing would leave copies behind */
  return take_file("CERTCTL_CA_KEY_PATH", c->ca_key_path, KEY_FILE_MAX, &in->key_pem, e);
}

static MUST rc_t confine(const conf_t *c, err_t *e)
{
  if (slice_is(c->sandbox, "off")) return rc(RC_OK);
  TRY(sandbox_files(NULL, 0, e));
  return sandbox_calls(SANDBOX_CALLS_SIGNER, e);
}

static MUST rc_t open_signer(const conf_t *c, const dir_t *d, inputs_t *in, signer_t **ret, err_t *e)
{
  TRY(take_passphrase(&in->passphrase, e));
  TRY(take_files(c, d, in, e));
  TRY(sandbox_drop_root(SANDBOX_UID_SIGNER, e));
  signer_setup_t setup = {
      .dir = d,
      .passphrase = slice_of(in->passphrase.p, in->passphrase.n),
      .issuer = slice_str(issuer_name),
      .common_name = slice_str(ca_common_name),
      .import_cert_pem = buf_slice(&in->cert_pem),
      .import_key_pem = buf_slice(&in->key_pem),
      .ceiling = buf_slice(&in->ceiling),
      .time = &timesrc_system,
      .rng = &rng_system,
  };
  rc_t r = signer_open(&setup, ret, e);
  if (!rc_ok(r) && setup.ceiling.n > 0 && slice_starts(slice_str(e->reason), S("json_"))) e->field = "CERTCTL_CA_CEILING_FILE";
  return r;
}

static int serve(const conf_t *c, int argc, char **argv)
{
  err_t e = {0};
  signer_t *s = NULL;
  dir_t d = DIR_CLOSED;
  inputs_t in = {.cert_pem = buf_heap(LIM_PEM_FILE), .key_pem = buf_heap(KEY_FILE_MAX), .ceiling = buf_heap(LIM_CEILING_FILE)};
  (void)argc;
  (void)argv;
  child_signals_ignore();
  rc_t r = link_open(true, &e);
  if (rc_ok(r)) r = sandbox_harden(getppid(), &e);
  if (rc_ok(r)) r = open_folder(c, &d, &e);
  if (rc_ok(r)) r = open_signer(c, &d, &in, &s, &e);
  inputs_fini(&in);
  dir_close(&d);
  if (rc_ok(r)) r = confine(c, &e);
  if (rc_ok(r)) r = link_ready(&e);
  if (!rc_ok(r)) {
    signer_free(s);
    log_err(LOG_ERROR, "signer does not start", &e);
    return 1;
  }
  r = signer_serve(s, LINK_SIGNER, &e);
  if (!rc_ok(r)) log_err(LOG_ERROR, "signer stops", &e);
  signer_free(s);
  return rc_ok(r) ? 0 : 1;
}

/* --- by hand --- */

static MUST rc_t note_ceiling(record_t *record, slice_t text, err_t *e)
{
  record_event_t event = {S("ceiling_set"), slice_str(issuer_name), text};
  TRY(record_note(record, time_wall(&timesrc_system), &event));
  return record_commit(record, e);
}

/* The record's lock keeps this from changing a CA under a running signer. */
static MUST rc_t change_ceiling(const conf_t *c, const char *file, err_t *e)
{
  DIR_SCOPED dir_t d = DIR_CLOSED;
  SECRET_SCOPED secret_t passphrase = {0};
  BUF_SCOPED buf_t text = buf_heap(LIM_CEILING_FILE);
  record_t *record = NULL;
  TRY(file_read_path(file, LIM_CEILING_FILE, &text, e));
  TRY(passphrase_read(c, &passphrase, e));
  TRY(open_folder(c, &d, e));
  TRY(sandbox_drop_root(SANDBOX_UID_SIGNER, e));
  if (passphrase.n == 0) TRY(store_passphrase(&d, &rng_system, &passphrase, e));
  store_t store = {&d, slice_of(passphrase.p, passphrase.n), &rng_system};
  TRY(record_open(&d, "record.log", &record, e));
  rc_t r = store_ca_set_ceiling(&store, slice_str(issuer_name), buf_slice(&text), e);
  if (rc_ok(r)) r = note_ceiling(record, buf_slice(&text), e);
  record_free(record);
  return r;
}

static int ceiling_set(const conf_t *c, int argc, char **argv)
{
  err_t e = {0};
  (void)argc;
  rc_t r = change_ceiling(c, argv[0], &e);
  if (rc_is(r, RC_AGAIN)) return refuse("the server is running: stop it first, a ceiling is changed offline", NULL);
  if (!rc_ok(r)) return refuse("the ceiling was not changed", &e);
  puts("ceiling set");
  return 0;
}

static rc_t print_line(void *self, slice_t line)
{
  (void)self;
  return printf("%.*s\n", SLICE_ARG(line)) < 0 ? rc(RC_IO) : rc(RC_OK);
}

static int read_record(const conf_t *c, record_line_t each)
{
  err_t e = {0};
  char path[PATH_MAX_TEXT];
  DIR_SCOPED dir_t d = DIR_CLOSED;
  record_stats_t stats = {0};
  uint64_t torn = 0;
  rc_t r = folder_path(c, path, &e);
  if (rc_ok(r)) r = dir_open(path, &d, &e);
  if (rc_ok(r)) r = record_check(&d, "record.log", each, NULL, &stats, &torn, &e);
  if (!rc_ok(r)) return refuse("record", &e);
  if (!each)
    printf("%llu entries, %llu signatures, %llu bytes, %llu of an unfinished entry: every sum is right\n",
           (unsigned long long)stats.entries, (unsigned long long)stats.signatures, (unsigned long long)stats.bytes,
           (unsigned long long)torn);
  return 0;
}

static int record_dump(const conf_t *c, int argc, char **argv)
{
  (void)argc;
  (void)argv;
  return read_record(c, print_line);
}

static int record_verify(const conf_t *c, int argc, char **argv)
{
  (void)argc;
  (void)argv;
  return read_record(c, NULL);
}

static int list_failpoints(const conf_t *c, int argc, char **argv)
{
  (void)c;
  (void)argc;
  (void)argv;
  return failpoint_list();
}

static const struct command {
  const char *word, *second; /* second NULL: one word */
  int arguments;
  int (*run)(const conf_t *c, int argc, char **argv);
  const char *usage, *help;  /* NULL: not for people */
} commands[] = {
    {LINK_SERVE_ARGUMENT, NULL, 0, serve, NULL, NULL},
    {"ceiling", "set", 1, ceiling_set, "ceiling set FILE", "Replace the ceiling of the built-in CA by the JSON in FILE; the server must be stopped"},
    {"record", "check", 0, record_verify, "record check", "Verify every sum of the signer's record; works beside a running server"},
    {"record", "dump", 0, record_dump, "record dump", "Print the record, one JSON object for each entry"},
    {"--list-failpoints", NULL, 0, list_failpoints, "--list-failpoints", "Names of the points a test build can be killed at"},
};

static int help(void)
{
  size_t n = 0;
  const setting_t *rows = conf_settings(&n);
  printf("Usage: certctl-signer COMMAND\n\n"
         "Holds the key of the built-in CA. certctl-server starts it; by hand:\n\n");
  for (size_t i = 0; i < COUNT_OF(commands); i++)
    if (commands[i].usage) printf("  %-20s %s\n", commands[i].usage, commands[i].help);
  printf("  %-20s %s\n\nSettings:\n", "--help, --version", "This text; the version");
  for (size_t i = 0; i < n; i++)
    if (rows[i].programs & SP_SIGNER) printf("  CERTCTL_%-24s %s\n", rows[i].name, rows[i].help);
  return 0;
}

static const struct command *find(int argc, char **argv)
{
  for (size_t i = 0; i < COUNT_OF(commands); i++) {
    const struct command *k = &commands[i];
    int words = k->second ? 2 : 1;
    if (argc != 1 + words + k->arguments || strcmp(argv[1], k->word) != 0) continue;
    if (!k->second || strcmp(argv[2], k->second) == 0) return k;
  }
  return NULL;
}

int main(int argc, char **argv)
{
  conf_t c = {0};
  err_t e = {0};
  char text[512];
  if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) return help();
  if (argc == 2 && strcmp(argv[1], "--version") == 0) return printf("certctl-signer %s\n", version_text()) < 0;
  const struct command *k = find(argc, argv);
  if (!k) {
    fprintf(stderr, "certctl-signer: unknown command; see certctl-signer --help\n");
    return 2;
  }
  process_private();
  if (!rc_ok(conf_load(SP_SIGNER, NULL, NULL, &c, &e))) {
    conf_refusal(&e, text, sizeof text);
    fprintf(stderr, "certctl-signer: %s\n", text);
    return 1;
  }
  int code = 1;
  if (!failpoint_arm((const char *)c.failpoint.p)) {
    fprintf(stderr, "certctl-signer: CERTCTL_FAILPOINT names no failpoint; see --list-failpoints\n");
  } else {
    conf_start_log(&c);
    code = k->run(&c, argc - (k->second ? 3 : 2), argv + (k->second ? 3 : 2));
  }
  conf_fini(&c);
  return code;
}
