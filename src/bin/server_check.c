#include "bin/server_check.h"

#include "db/db.h"
#include "io/channel.h"
#include "io/file.h"
#include "io/loop.h"
#include "io/sandbox.h"

#include <stdio.h>

typedef struct subject {
  const char *name;
  rc_t (*look)(const conf_t *conf, const char **ret_note, err_t *e);
} subject_t;

static rc_t look_settings(const conf_t *conf, const char **ret_note, err_t *e)
{
  *ret_note = conf->nwarnings ? "valid, with warnings" : "valid";
  return rc(RC_OK);
}

/* RC_NOTFOUND also when a folder on the way is not there yet. */
static rc_t file_there(slice_t path, err_t *e)
{
  char folder[LIM_PATH];
  DIR_SCOPED dir_t d = DIR_CLOSED;
  file_info_t info;
  size_t slash = path.n;
  while (slash > 0 && path.p[slash - 1] != '/') slash--;
  (void)snprintf(folder, sizeof folder, "%.*s", slash ? (int)slash : 1, slash ? (const char *)path.p : ".");
  TRY(dir_open(folder, &d, e));
  return file_info(&d, (const char *)path.p + slash, &info, e);
}

/* Those that each start reads; the CA's own files are read when it is made, and may be gone afterwards. */
static rc_t look_files(const conf_t *conf, const char **ret_note, err_t *e)
{
  const struct {
    const char *setting;
    slice_t path;
  } files[] = {{"CERTCTL_SERVER_TLS_CERT_PATH", conf->server_tls_cert_path},
               {"CERTCTL_SERVER_TLS_KEY_PATH", conf->server_tls_key_path},
               {"CERTCTL_CA_PASSPHRASE_FILE", conf->ca_passphrase_file}};
  *ret_note = "none is named by a setting";
  for (size_t i = 0; i < COUNT_OF(files); i++) {
    if (files[i].path.n == 0) continue;
    rc_t r = file_there(files[i].path, e);
    if (!rc_ok(r)) {
      e->field = files[i].setting;
      err_value(e, files[i].path.p, files[i].path.n);
      return r;
    }
    *ret_note = "those named by settings are there";
  }
  return rc(RC_OK);
}

static rc_t look_store(const conf_t *conf, const char **ret_note, err_t *e)
{
  db_t *db = NULL;
  char url[LIM_PATH + 8];
  int k = snprintf(url, sizeof url, "sqlite:%.*s", SLICE_ARG(conf->database_path));
  rc_t got = file_there(conf->database_path, e);
  if (rc_ok(got)) got = db_open(
      &(db_options_t){.url = slice_of(url, (size_t)k), .max_conns = 1, .time = &timesrc_system, .read_only = true}, &db,
      e);
  if (rc_is(got, RC_NOTFOUND)) {
    *ret_note = "absent; the first start makes it";
    return rc(RC_OK);
  }
  TRY(got);
  db_close(db);
  *ret_note = "readable, schema known";
  return rc(RC_OK);
}

static rc_t look_ca(const conf_t *conf, const char **ret_note, err_t *e)
{
  char path[LIM_PATH];
  DIR_SCOPED dir_t d = DIR_CLOSED;
  file_info_t info;
  (void)snprintf(path, sizeof path, "%.*s/signer", SLICE_ARG(conf->state_dir));
  rc_t got = dir_open(path, &d, e);
  if (rc_ok(got)) got = file_info(&d, "ca-iss-local.sealed", &info, e);
  *ret_note = rc_is(got, RC_NOTFOUND) ? "absent; the first start makes it" : "sealed file is there";
  return rc_is(got, RC_NOTFOUND) ? rc(RC_OK) : got;
}

static rc_t look_sandbox(const conf_t *conf, const char **ret_note, err_t *e)
{
  if (slice_is(conf->sandbox, "off")) {
    *ret_note = "off (CERTCTL_SANDBOX)";
    return rc(RC_OK);
  }
  *ret_note = "kernel offers Landlock and seccomp";
  return sandbox_supported(e);
}

static rc_t look_port(const conf_t *conf, const char **ret_note, err_t *e)
{
  int fd = -1;
  uint16_t port;
  TRY(loop_listen_open(conf->server_host, (uint16_t)conf->server_port, 1, &fd, &port, e));
  channel_close(&fd);
  *ret_note = "free";
  return rc(RC_OK);
}

int server_check(const conf_t *conf)
{
  static const subject_t subjects[] = {{"settings", look_settings},
                                       {"files", look_files},
                                       {"store", look_store},
                                       {"ca", look_ca},
                                       {"sandbox", look_sandbox},
                                       {"port", look_port}};
  int bad = 0;
  for (size_t i = 0; i < COUNT_OF(subjects); i++) {
    err_t e = {0};
    const char *note = "";
    char text[512];
    rc_t got = subjects[i].look(conf, &note, &e);
    if (!rc_ok(got)) err_format(&e, text, sizeof text);
    printf("%-9s %s\n", subjects[i].name, rc_ok(got) ? note : text);
    bad += !rc_ok(got);
  }
  return bad ? 1 : 0;
}
