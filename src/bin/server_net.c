#include "bin/server_net.h"

#include "api/app.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/version.h"
#include "bin/confine.h"
#include "bin/identity.h"
#include "bin/link.h"
#include "core/issue.h"
#include "core/loops.h"
#include "core/setup.h"
#include "desc/route.h"
#include "io/child.h"
#include "io/loop.h"
#include "work/jobs.h"
#include "work/ticker.h"

#include <signal.h>
#include <stdio.h>
#include <stdatomic.h>

enum {
  TURN_MS = 1000,
  PARKED_MAX = 16384,
  WORK_ARENA = 8 * 1024 * 1024,
  RECONSIDER_S = 3600,
  SIGNER_PATIENCE_MS = 30000 /* a batch takes 10 ms; opening a record of a million signatures, uncached, 1.6 s */
};

typedef struct net {
  app_t app;
  ticker_t *ticker;
  int listen_fds[HTTP_LOOPS_MAX];
  uint16_t port;
  loop_t loops[LOOP_COUNT];
  us_t identity_renew_at;
} net_t;

static rc_t store_open(net_t *n, err_t *e)
{
  const conf_t *c = n->app.core.conf;
  char url[LIM_PATH + 8];
  int k = snprintf(url, sizeof url, "sqlite:%.*s", SLICE_ARG(c->database_path));
  const db_options_t o = {.url = slice_of(url, (size_t)k),
                          .max_conns = (size_t)c->database_max_conns,
                          .time = n->app.core.time,
                          .demo_seed = c->demo_seed};
  return db_open(&o, &n->app.core.db, e);
}

/* Migrations, first rows and the first administrator's key need the state folder; what serves later has three files of it. */
static rc_t prepare(net_t *n, err_t *e)
{
  const conf_t *c = n->app.core.conf;
  /* A port below 1024 needs the rights of the start. */
  TRY(loop_listen_open(c->server_host, (uint16_t)c->server_port, http_server_loops(), n->listen_fds, &n->port, e));
  TRY(confine_make(c, e));
  TRY(store_open(n, e));
  rc_t got = setup_store(&n->app.core, e);
  db_close(n->app.core.db);
  n->app.core.db = NULL;
  TRY(got);
  return confine_net(n->app.core.conf, e);
}

/* --- waking --- */

static _Atomic(http_server_t *) waking;

static void on_wake(void *self, char kind, slice_t id)
{
  http_server_t *s = atomic_load(&waking);
  if (s) http_server_wake(s, kind, id);
}

/* Once a second: one question to the store for all parked agents (design D6), for work whose time has come. */
static void wake_agents(net_t *n, arena_t *a)
{
  texts_t due;
  slice_t *parked = ARENA_ARRAY(a, slice_t, PARKED_MAX);
  if (!parked || http_server_parked(n->app.server, 'a', parked, PARKED_MAX, a) == 0) return;
  if (!rc_ok(jobs_agents_with_work(n->app.core.db, a, time_wall(n->app.core.time), &due, NULL))) return;
  for (size_t i = 0; i < due.n; i++) http_server_wake(n->app.server, 'a', due.v[i]);
}

/* --- TLS identity --- */

static bool operators_tls(const net_t *n) { return n->app.core.conf->server_tls_cert_path.n > 0; }

static rc_t identity_first(net_t *n, arena_t *a, identity_t *ret, err_t *e)
{
  return operators_tls(n) ? identity_handed(a, true, ret, e) : identity_self(&n->app.core, a, ret, e);
}

static void identity_use(net_t *n, const identity_t *id, const char *event)
{
  err_t e = {0};
  rc_t got = http_server_identity(n->app.server, id->cert_pem, id->key_pem, &e);
  secret_wipe((void *)(uintptr_t)id->key_pem.p, id->key_pem.n);
  if (rc_ok(got)) log_line(LOG_INFO, event);
  else log_err(LOG_ERROR, "TLS cert reload failed; continuing with previous cert", &e);
}

static void identity_turn(net_t *n, arena_t *a)
{
  identity_t id;
  err_t e = {0};
  if (operators_tls(n)) {
    rc_t got = identity_handed(a, false, &id, &e);
    if (rc_ok(got)) identity_use(n, &id, "TLS cert reloaded");
    else if (!rc_is(got, RC_AGAIN)) log_err(LOG_ERROR, "TLS cert reload failed; continuing with previous cert", &e);
    return;
  }
  us_t now = time_wall(n->app.core.time);
  if (us_cmp(now, n->identity_renew_at) < 0) return;
  n->identity_renew_at = us_add_s(now, RECONSIDER_S);
  if (!rc_ok(identity_self(&n->app.core, a, &id, &e))) {
    log_err(LOG_ERROR, "TLS identity not renewed", &e);
    return;
  }
  n->identity_renew_at = id.renew_at;
  identity_use(n, &id, "TLS identity renewed");
}

/* --- life --- */

static rc_t listen(net_t *n, arena_t *a, err_t *e)
{
  const conf_t *c = n->app.core.conf;
  identity_t id;
  TRY(identity_first(n, a, &id, e));
  n->identity_renew_at = id.renew_at;
  http_app_t app = app_http(&n->app);
  const http_server_options_t o = {.port = n->port,
                                   .loops = http_server_loops(),
                                   .listen_fds = n->listen_fds,
                                   .queue_workers = {[QC_INTERACTIVE] = 40, [QC_AGENT] = 64, [QC_BULK] = 16},
                                   .time = n->app.core.time};
  rc_t got = http_server_start(&o, &app, id.cert_pem, id.key_pem, &n->app.server, e);
  secret_wipe((void *)(uintptr_t)id.key_pem.p, id.key_pem.n);
  TRY(got);
  atomic_store(&waking, n->app.server);
  log_line(LOG_INFO, "HTTPS server listening", log_s("address", c->server_host),
           log_i("port", http_server_port(n->app.server)), log_c("min_version", "TLS1.3"));
  return rc(RC_OK);
}

static rc_t start(net_t *n, arena_t *a, err_t *e)
{
  core_t *core = &n->app.core;
  TRY(prepare(n, e));
  TRY(signer_client_new(LINK_SIGNER, SIGNER_PATIENCE_MS, &core->signer, e));
  TRY(store_open(n, e));
  db_on_wake(core->db, on_wake, NULL);
  TRY(app_start(&n->app, e));
  TRY(issue_adopt(core, e));
  TRY(listen(n, a, e));
  loops_table(core->conf, n->loops);
  const ticker_options_t o = {
      .db = core->db, .time = core->time, .rng = core->rng, .loops = n->loops, .nloops = LOOP_COUNT, .ctx = core};
  TRY(ticker_start(&o, &n->ticker, e));
  return link_ready(e);
}

/* Until it is told to end, true; or false when the signer is lost: then the supervisor starts both anew. */
static bool serve(net_t *n, arena_t *a)
{
  for (;;) {
    int number = child_signal_wait(TURN_MS);
    if (number == SIGTERM || number == SIGINT) return true;
    if (signer_client_dead(n->app.core.signer)) return false;
    arena_reset(a);
    wake_agents(n, a);
    identity_turn(n, a);
  }
}

static void stop(net_t *n)
{
  const conf_t *c = n->app.core.conf;
  log_line(LOG_INFO, "graceful shutdown budget", log_i("timeout_seconds", c->audit_flush_timeout_seconds));
  ticker_stop(n->ticker);
  atomic_store(&waking, NULL);
  if (n->app.server) http_server_stop(n->app.server, c->audit_flush_timeout_seconds * 1000);
  app_stop(&n->app);
  db_close(n->app.core.db);
  signer_client_free(n->app.core.signer);
  log_line(LOG_INFO, "certctl server stopped");
}

int server_net_run(const conf_t *conf)
{
  net_t n = {.app.core = {.conf = conf, .time = &timesrc_system, .rng = &rng_system}};
  ARENA_SCOPED arena_t *a = arena_new(WORK_ARENA);
  err_t e = {0};
  child_signals_hold();
  log_line(LOG_INFO, "certctl server starting", log_c("version", version_text()),
           log_s("server_host", conf->server_host), log_i("server_port", conf->server_port));
  rc_t got = a ? link_open(false, &e) : rc(RC_NOMEM);
  if (rc_ok(got)) got = start(&n, a, &e);
  if (rc_ok(got)) {
    bool told = serve(&n, a);
    stop(&n);
    return told ? 0 : 1;
  }
  /* A signer that ended has said itself why. */
  log_err(rc_is(got, RC_CLOSED) ? LOG_DEBUG : LOG_ERROR, "startup refused", &e);
  return 1;
}
