/*
 * Metrics in JSON (spec/api.md 2.22): one row each, read from one value that is filled for the request.
 */
#include "api/handlers.h"
#include "core/stats.h"

#include <stddef.h>

typedef struct metrics {
  stats_t stats;
  int64_t active, principals, requests;
  http_stats_t http;
  db_stats_t db;
} metrics_t;

typedef struct metric {
  const char *group, *name;
  uint32_t offset; /* of a 64-bit member of metrics_t */
} metric_t;

/* A member that is not 64 bits wide is a negative array size. */
#define METRIC(group, name, member)                                                                                    \
  {group, name, offsetof(metrics_t, member) + 0 * sizeof(char[sizeof(((metrics_t *)0)->member) == 8 ? 1 : -1])}

static const metric_t rows[] = {
    METRIC("gauge", "certificate_total", stats.certificates),
    METRIC("gauge", "certificate_active", active),
    METRIC("gauge", "certificate_expiring_soon", stats.expiring),
    METRIC("gauge", "certificate_expired", stats.expired),
    METRIC("gauge", "certificate_revoked", stats.revoked),
    METRIC("gauge", "agent_total", stats.agents),
    METRIC("gauge", "agent_online", stats.agents_active),
    METRIC("gauge", "job_pending", stats.jobs_pending),
    METRIC("gauge", "principals", principals),
    METRIC("gauge", "http_connections", http.connections),
    METRIC("gauge", "http_parked", http.parked),
    METRIC("gauge", "http_workers", http.workers),
    METRIC("gauge", "db_queued", db.queued),
    METRIC("gauge", "db_pool_max", db.conns_max),
    METRIC("gauge", "db_pool_open", db.conns_open),
    METRIC("gauge", "db_pool_in_use", db.conns_in_use),
    METRIC("gauge", "db_pool_idle", db.conns_idle),
    METRIC("counter", "job_completed_total", stats.jobs_completed),
    METRIC("counter", "job_failed_total", stats.jobs_failed),
    METRIC("counter", "http_requests_total", requests),
    METRIC("counter", "http_refused_total", http.refused),
    METRIC("counter", "http_handshakes_total", http.handshakes),
    METRIC("counter", "db_commits_total", db.commits),
    METRIC("counter", "db_commands_total", db.commands),
    METRIC("counter", "db_conflicts_total", db.conflicts),
    METRIC("counter", "db_io_errors_total", db.io_errors),
    METRIC("counter", "db_pool_timeouts_total", db.timeouts),
};

static rc_t fill(request_t *rq, metrics_t *m, err_t *e)
{
  db_read_t *db;
  TRY(request_db(rq, &db, e));
  TRY(stats_read(db, rq->a, rq->now, &m->stats, e));
  m->active = m->stats.certificates - m->stats.expiring - m->stats.expired - m->stats.revoked;
  m->principals = (int64_t)auth_principals(rq->app->auth);
  m->requests = (int64_t)atomic_load(&rq->app->requests);
  if (rq->app->server) m->http = http_server_stats(rq->app->server);
  db_stats(rq->core->db, &m->db);
  return rc(RC_OK);
}

static void rows_write(jw_t *j, const metrics_t *m)
{
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    bool first = i == 0 || strcmp(rows[i].group, rows[i - 1].group) != 0;
    int64_t v;
    memcpy(&v, (const uint8_t *)m + rows[i].offset, sizeof v);
    if (first && i > 0) jw_object_end(j);
    if (first) {
      jw_key(j, rows[i].group);
      jw_object(j);
    }
    jw_put_int(j, rows[i].name, v);
  }
  jw_object_end(j);
}

rc_t system_metrics(request_t *rq, reply_t *rp)
{
  metrics_t m = {0};
  err_t e = {0};
  rc_t got = fill(rq, &m, &e);
  if (!rc_ok(got)) return reply_error(rq, rp, got, &e);
  int64_t uptime_s = (rq->now.us - rq->app->started.us) / US_PER_S;
  jw_t j = reply_json(rp, 200);
  jw_object(&j);
  rows_write(&j, &m);
  jw_key(&j, "uptime");
  jw_object(&j);
  jw_put_int(&j, "uptime_seconds", uptime_s);
  jw_put_time(&j, "server_started", rq->app->started);
  jw_put_time(&j, "measured_at", rq->now);
  jw_object_end(&j);
  jw_put_int(&j, "uptime_seconds", uptime_s);
  jw_object_end(&j);
  return rc(RC_OK);
}
