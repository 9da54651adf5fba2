#include "bin/supervisor.h"

#include "base/failpoint.h"
#include "base/log.h"
#include "bin/link.h"
#include "bin/passphrase.h"
#include "io/channel.h"
#include "io/child.h"
#include "io/file.h"
#include "io/sandbox.h"
#include "io/watch.h"


enum {
  BACKOFF_FIRST_MS = 100,
  BACKOFF_MOST_MS = 5000,
  STEADY_MS = 30000,        /* so long without a death, and the back-off begins anew */
  WATCH_MS = 1000,          /* how often the TLS files are looked at */
  DRAIN_AFTER_DEATH_MS = 1000, /* the network process has no signer, or is gone: requests in flight fail anyway */
  SIGNER_END_MS = 5000,     /* one batch and its fdatasync */
  ARGS_MAX = 64
};

typedef struct child {
  const char *name;
  pid_t pid;                /* 0: not running */
  int control;
  bool ready;
  bool crashed;             /* its last life ended by a signal that was not ours */
} child_t;

typedef struct supervisor {
  const conf_t *conf;
  char *argv[ARGS_MAX + 3];  /* of the network process */
  char net_path[LIM_PATH], signer_path[LIM_PATH];
  conf_env_t net_env, signer_env;
  secret_t passphrase;
  child_t net, signer;
  watch_t tls[CHANNEL_FDS];  /* certificate, key; paths NULL without */
  bool was_ready;            /* both, once */
  bool stop;
} supervisor_t;

static const char died[] = "child died, both are started anew";

enum verdict { GO_ON, STOPPED, DIED, REFUSED };

static void say(const char *what, const err_t *e)
{
  log_err(LOG_ERROR, what, e);
}

/* --- what each child may have --- */

/*
 * A failpoint belongs to the first life of a child: inherited again after a restart it would kill for ever. The key
 * of the configurations is withheld from the network process where it doubles as the signer's passphrase.
 */
static MUST rc_t make_environments(supervisor_t *s, bool first, err_t *e)
{
  const conf_t *c = s->conf;
  bool doubles = c->ca_passphrase.n == 0 && c->ca_passphrase_file.n == 0;
  const char *net[8] = {"CA_PASSPHRASE", "CA_PASSPHRASE_FILE", "CA_CERT_PATH", "CA_KEY_PATH", "CA_CEILING_FILE"};
  const char *signer[5] = {"CA_PASSPHRASE", "CA_PASSPHRASE_FILE", "CONFIG_ENCRYPTION_KEY"};
  size_t n = 5;
  if (doubles) net[n++] = "CONFIG_ENCRYPTION_KEY";
  if (!first) net[n] = signer[3] = "FAILPOINT";
  conf_env_fini(&s->net_env);
  conf_env_fini(&s->signer_env);
  rc_t r = conf_env_new(c, SP_SERVER, net, &s->net_env);
  if (rc_ok(r)) r = conf_env_new(c, SP_SIGNER, signer, &s->signer_env);
  return rc_ok(r) ? r : err_set(e, r.code, "supervisor_environment", NULL, "out of memory");
}

/* --- TLS files --- */

static bool has_tls(const supervisor_t *s)
{
  return s->tls[0].path != NULL;
}

/* One of the two, open. */
static MUST rc_t open_tls(supervisor_t *s, size_t i, int *ret, err_t *e)
{
  static const char *const settings[CHANNEL_FDS] = {"CERTCTL_SERVER_TLS_CERT_PATH", "CERTCTL_SERVER_TLS_KEY_PATH"};
  rc_t r = watch_open(&s->tls[i], ret, e);
  if (!rc_ok(r) && e) e->field = settings[i];
  return r;
}

static MUST rc_t hand_tls(supervisor_t *s, err_t *e)
{
  int fds[CHANNEL_FDS] = {-1, -1};
  for (size_t i = 0; i < CHANNEL_FDS; i++) (void)watch_changed(&s->tls[i]);
  rc_t r = open_tls(s, 0, &fds[0], e);
  if (rc_ok(r)) r = open_tls(s, 1, &fds[1], e);
  if (rc_ok(r)) r = channel_post(s->net.control, LINK_TLS, fds, CHANNEL_FDS, e);
  for (size_t i = 0; i < CHANNEL_FDS; i++) channel_close(&fds[i]);
  return r;
}

/*
 * An operator replaces two files one after the other: what does not fit together yet is looked at again when the
 * second changes.
 */
static void renew_tls(supervisor_t *s)
{
  err_t e = {0};
  if (!has_tls(s)) return;
  rc_t r = hand_tls(s, &e);
  if (rc_ok(r)) log_line(LOG_INFO, "TLS files handed to the network process", log_c("certificate", s->tls[0].path));
  else say("TLS files not handed over, the old ones stay", &e);
}

static void watch_tls(supervisor_t *s)
{
  bool changed = false;
  for (size_t i = 0; i < CHANNEL_FDS && has_tls(s); i++) changed = watch_changed(&s->tls[i]) || changed;
  if (changed) renew_tls(s);
}

/* --- starting --- */

static void forget(child_t *c, bool crashed)
{
  c->pid = 0;
  c->crashed = crashed;
  channel_close(&c->control);
}

static MUST rc_t start_one(child_t *c, child_spec_t *spec, err_t *e)
{
  int ends[2];
  TRY(channel_control(ends, e));
  spec->fds[0] = ends[1];
  rc_t r = child_start(spec, &c->pid, e);
  channel_close(&ends[1]);
  c->control = ends[0];
  c->ready = false;
  if (!rc_ok(r)) forget(c, false);
  return r;
}

static MUST rc_t start_signer(supervisor_t *s, int socket, err_t *e)
{
  int pipe[2];
  char *argv[] = {s->signer_path, (char[]){LINK_SERVE_ARGUMENT}, NULL};
  TRY(channel_pipe(pipe, e));
  rc_t r = channel_fd_write(pipe[1], slice_of(s->passphrase.p, s->passphrase.n), e);
  channel_close(&pipe[1]);
  child_spec_t spec = {.path = s->signer_path, .argv = argv, .env = s->signer_env.v, .fds = {-1, socket, pipe[0]}, .nfds = 3};
  if (rc_ok(r)) r = start_one(&s->signer, &spec, e);
  channel_close(&pipe[0]);
  return r;
}

static MUST rc_t start_both(supervisor_t *s, err_t *e)
{
  int ends[2];
  TRY(channel_stream(ends, e));
  rc_t r = start_signer(s, ends[1], e);
  child_spec_t spec = {.path = s->net_path, .argv = s->argv, .env = s->net_env.v, .fds = {-1, ends[0]}, .nfds = 2};
  if (rc_ok(r)) r = start_one(&s->net, &spec, e);
  channel_close(&ends[0]);
  channel_close(&ends[1]);
  if (rc_ok(r) && has_tls(s)) r = hand_tls(s, e);
  return r;
}

/* --- watching --- */

static void take_notices(child_t *c)
{
  char notice;
  int fds[CHANNEL_FDS];
  while (c->control >= 0 && rc_ok(channel_take(c->control, false, &notice, fds, NULL))) {
    for (size_t i = 0; i < CHANNEL_FDS; i++) channel_close(&fds[i]);
    if (notice == LINK_READY) c->ready = true;
  }
}

static enum verdict reap(supervisor_t *s, child_t *c)
{
  child_end_t end;
  if (c->pid == 0) return GO_ON;
  take_notices(c);
  if (s->net.ready && s->signer.ready) s->was_ready = true;
  if (!child_reap(c->pid, &end)) return GO_ON;
  forget(c, end.signal != 0);
  if (s->stop) return STOPPED;
  /* Its own words about a refused start are on the log already. */
  if (!s->was_ready && !c->ready && (end.exit_code == 1 || end.exit_code == CHILD_NO_EXEC)) return REFUSED;
  log_line(LOG_WARN, died, log_c("child", c->name), log_i("exit_code", end.exit_code),
           log_i("signal", end.signal));
  return DIED;
}

static enum verdict reap_both(supervisor_t *s)
{
  enum verdict a = reap(s, &s->signer), b = reap(s, &s->net);
  return a > b ? a : b;
}

/* Until a child dies or the operator wants an end. */
static enum verdict watch(supervisor_t *s)
{
  for (;;) {
    int number = child_signal_wait(has_tls(s) ? WATCH_MS : -1);
    if (number == SIGTERM || number == SIGINT) {
      s->stop = true;
      return STOPPED;
    }
    if (number == SIGHUP) renew_tls(s);
    if (number == 0) watch_tls(s);
    enum verdict v = reap_both(s);
    if (v != GO_ON) return v;
  }
}

/* --- ending --- */

/* Waits for a child's end, then ends it. A second SIGTERM or SIGINT means now. */
static void end_one(supervisor_t *s, child_t *c, int64_t patience_ms)
{
  int64_t deadline = time_mono_us(&timesrc_system) / 1000 + patience_ms;
  child_end_t end;
  bool killed = false;
  while (c->pid != 0) {
    if (child_reap(c->pid, &end)) {
      forget(c, end.signal != 0 && !killed);
      return;
    }
    int64_t left = deadline - time_mono_us(&timesrc_system) / 1000;
    if (left <= 0 && !killed) {
      log_line(LOG_WARN, "child did not end in time", log_c("child", c->name));
      child_signal(c->pid, SIGKILL);
      killed = true;
    }
    int number = child_signal_wait(left > 0 ? left : -1);
    if (number != SIGTERM && number != SIGINT) continue;
    if (s->stop) deadline = 0;
    s->stop = true;
  }
}

/* The network process first, so that it can answer what it took on; the signer ends when nobody is left to ask it. */
static void end_both(supervisor_t *s)
{
  child_signal(s->net.pid, SIGTERM);
  end_one(s, &s->net, s->stop ? s->conf->audit_flush_timeout_seconds * 1000 + 2000 : DRAIN_AFTER_DEATH_MS);
  end_one(s, &s->signer, SIGNER_END_MS);
}

/* Waits before a restart; true when the operator wants an end meanwhile. */
static bool back_off(supervisor_t *s, int64_t wait_ms)
{
  int64_t deadline = time_mono_us(&timesrc_system) / 1000 + wait_ms;
  for (int64_t left = wait_ms; left > 0 && !s->stop; left = deadline - time_mono_us(&timesrc_system) / 1000) {
    int number = child_signal_wait(left);
    if (number == SIGTERM || number == SIGINT) s->stop = true;
  }
  return s->stop;
}

static int run(supervisor_t *s)
{
  err_t e = {0};
  int64_t wait_ms = BACKOFF_FIRST_MS;
  for (bool first = true;; first = false) {
    int64_t begun = time_mono_us(&timesrc_system) / 1000;
    rc_t r = make_environments(s, first, &e);
    if (rc_ok(r)) r = start_both(s, &e);
    if (!rc_ok(r)) say("cannot start", &e);
    enum verdict v = rc_ok(r) ? watch(s) : s->was_ready ? DIED : REFUSED;
    end_both(s);
    /*
     * A network process that loses its signer while it starts gives up with 1: that is the signer's death, no
     * refusal.
     */
    if (v == REFUSED && s->signer.crashed) {
      log_line(LOG_WARN, died, log_c("child", s->signer.name));
      v = DIED;
    }
    if (v == REFUSED && !s->stop) return 1;
    if (s->stop) return 0;
    if (time_mono_us(&timesrc_system) / 1000 - begun >= STEADY_MS) wait_ms = BACKOFF_FIRST_MS;
    if (back_off(s, wait_ms)) return 0;
    wait_ms = wait_ms * 2 < BACKOFF_MOST_MS ? wait_ms * 2 : BACKOFF_MOST_MS;
    e = (err_t){0};
    FAILPOINT(supervisor_restart);
  }
}

/* Files that cannot be opened refuse the start before anything is made. */
static MUST rc_t check_tls(supervisor_t *s, err_t *e)
{
  for (size_t i = 0; i < CHANNEL_FDS && has_tls(s); i++) {
    int fd = -1;
    TRY(open_tls(s, i, &fd, e));
    channel_close(&fd);
  }
  return rc(RC_OK);
}

static MUST rc_t prepare(supervisor_t *s, int argc, char **argv, err_t *e)
{
  if (argc > ARGS_MAX) return err_limit(e, RC_FULL, "arguments", NULL, "there are more than {limit} arguments", ARGS_MAX);
  static char name[] = "certctl-server", role[] = LINK_NET_ARGUMENT;
  s->argv[0] = name;
  s->argv[1] = role;
  for (int i = 0; i < argc; i++) s->argv[i + 2] = argv[i];
  TRY(child_program(NULL, s->net_path, sizeof s->net_path, e));
  TRY(child_program("certctl-signer", s->signer_path, sizeof s->signer_path, e));
  if (s->conf->server_tls_cert_path.n > 0) {
    s->tls[0].path = (const char *)s->conf->server_tls_cert_path.p;
    s->tls[1].path = (const char *)s->conf->server_tls_key_path.p;
  }
  if (slice_is(s->conf->sandbox, "off")) log_line(LOG_WARN, "running without confinement", log_c("setting", "CERTCTL_SANDBOX"));
  else TRY(sandbox_supported(e));
  TRY(check_tls(s, e));
  return passphrase_read(s->conf, &s->passphrase, e);
}

int supervisor_run(const conf_t *conf, int argc, char **argv)
{
  supervisor_t s = {.conf = conf, .net = {.name = "network process", .control = -1}, .signer = {.name = "signer", .control = -1}};
  err_t e = {0};
  int code = 1;
  process_private();
  child_signals_hold();
  if (rc_ok(prepare(&s, argc, argv, &e))) code = run(&s);
  else say("cannot start", &e);
  secret_fini(&s.passphrase);
  conf_env_fini(&s.net_env);
  conf_env_fini(&s.signer_env);
  return code;
}
