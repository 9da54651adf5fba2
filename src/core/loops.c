#include "core/loops.h"

#include "base/log.h"
#include "core/audit.h"
#include "db/sql_stmts.h"
#include "model/resources.h"
#include "work/jobs.h"

enum {
  LOOP_ARENA = 4 * 1024 * 1024,
  BATCH = 1000,
  EXPIRY_S = 3600,
  WINDOW_MAX_S = 366 * 86400,
  PAUSE_MAX_S = 86400, /* longest retry_interval_seconds */
  CLOCK_SLACK_S = 60   /* a clock that is trimmed, not set */
};

/* A row that a sweep found; texts by column. */
typedef struct found {
  slice_t text[4];
  int64_t num[2];
} found_t;

/* Reads a sweep's rows: `texts` text columns, then `nums` integers. */
static rc_t sweep_read(const core_t *core, arena_t *a, stmt_t s, int texts, int nums, found_t **ret, size_t *ret_n,
                       err_t *e)
{
  DB_READ_SCOPED db_read_t *r = NULL;
  size_t n = 0;
  rc_t got;
  found_t *v = ARENA_ARRAY(a, found_t, BATCH);
  if (!v) return rc(RC_NOMEM);
  TRY(db_read_begin(core->db, &r, e));
  TRY(db_query(r, s, e));
  while (rc_ok(got = db_next(r, e)) && n < BATCH) {
    for (int i = 0; i < texts; i++) TRY(db_col_text_dup(r, i, a, &v[n].text[i]));
    for (int i = 0; i < nums; i++) v[n].num[i] = db_col_int(r, texts + i);
    n++;
  }
  if (!rc_ok(got) && !rc_is(got, RC_NOTFOUND)) return got;
  *ret = v;
  *ret_n = n;
  return rc(RC_OK);
}

/* One row's change with its audit row; a guard that missed means that somebody else was first. */
static void change(const core_t *core, arena_t *a, us_t now, stmt_t s, const audit_note_t *note, slice_t wake_agent,
                   slice_t wake_job)
{
  err_t e = {0};
  cmd_t *c = cmd_new(a);
  if (!c) return;
  cmd_add(c, s, 1);
  audit_add(c, a, now, &actor_system, note);
  if (wake_agent.n) cmd_wake(c, 'a', wake_agent);
  if (wake_job.n) cmd_wake(c, 'j', wake_job);
  rc_t got = db_submit(core->db, c, &e);
  if (!rc_ok(got) && !rc_is(got, RC_CONFLICT)) log_err(LOG_WARN, "sweep row not changed", &e);
}

/* Jobs whose time lies where none can be, because the clock was set back, have their turn now. */
static rc_t unstrand(const core_t *core, arena_t *a, us_t now)
{
  us_t soon = us_add_s(now, CLOCK_SLACK_S), far = us_add_s(now, PAUSE_MAX_S + CLOCK_SLACK_S);
  found_t *v;
  size_t n;
  TRY(sweep_read(core, a, SQL(a, jobs_stranded, .soon = soon, .far = far), 2, 0, &v, &n, NULL));
  for (size_t i = 0; i < n; i++)
    change(core, a, now, SQL(a, job_unstrand, .id = v[i].text[0], .soon = soon, .at = now),
           &(audit_note_t){.action = "job_rescheduled",
                           .resource_type = "job",
                           .resource_id = v[i].text[0],
                           .details = AUDIT_FACTS(a, fact_s("reason", S("clock_set_back")))},
           v[i].text[1], v[i].text[0]);
  return rc(RC_OK);
}

/* Deployments whose holder fell silent begin again. */
rc_t loop_jobs(void *ctx)
{
  const core_t *core = ctx;
  ARENA_SCOPED arena_t *a = arena_new(LOOP_ARENA);
  us_t now = time_wall(core->time), far = us_add_s(now, JOB_LEASE_S + CLOCK_SLACK_S);
  found_t *v;
  size_t n;
  if (!a) return rc(RC_NOMEM);
  TRY(unstrand(core, a, now));
  TRY(sweep_read(core, a, SQL(a, jobs_lease_over, .at = now, .far = far), 2, 2, &v, &n, NULL));
  for (size_t i = 0; i < n; i++)
    change(
        core, a, now, SQL(a, job_lease_drop, .id = v[i].text[0], .attempts = v[i].num[0], .at = now, .far = far),
        &(audit_note_t){.action = "job_lease_expired",
                        .resource_type = "job",
                        .resource_id = v[i].text[0],
                        .details = AUDIT_FACTS(a, fact_s("agent_id", v[i].text[1]), fact_i("attempts", v[i].num[0]))},
        v[i].text[1], v[i].text[0]);
  return rc(RC_OK);
}

/* Failed jobs with attempts left, whose pause is over. */
rc_t loop_retry(void *ctx)
{
  const core_t *core = ctx;
  ARENA_SCOPED arena_t *a = arena_new(LOOP_ARENA);
  us_t now = time_wall(core->time);
  found_t *v;
  size_t n;
  if (!a) return rc(RC_NOMEM);
  TRY(sweep_read(core, a, SQL(a, jobs_to_retry, .at = now), 4, 2, &v, &n, NULL));
  for (size_t i = 0; i < n; i++)
    change(core, a, now, SQL(a, job_retry, .id = v[i].text[0], .at = now),
           &(audit_note_t){.action = "job_retry",
                           .resource_type = "job",
                           .resource_id = v[i].text[0],
                           .details = AUDIT_FACTS(a, fact_s("old_status", S("Failed")), fact_i("attempts", v[i].num[0]),
                                                  fact_i("max_attempts", v[i].num[1]))},
           v[i].text[3], v[i].text[0]);
  return rc(RC_OK);
}

/* CSRs that nobody sent in time. */
rc_t loop_job_timeout(void *ctx)
{
  const core_t *core = ctx;
  ARENA_SCOPED arena_t *a = arena_new(LOOP_ARENA);
  us_t now = time_wall(core->time), before = {now.us - core->conf->job_awaiting_csr_timeout_us};
  found_t *v;
  size_t n;
  if (!a) return rc(RC_NOMEM);
  TRY(sweep_read(core, a, SQL(a, jobs_csr_overdue, .at = now, .before = before), 2, 0, &v, &n, NULL));
  for (size_t i = 0; i < n; i++) {
    slice_t error = arena_printf(a, "timed out in AwaitingCSR after %lld s",
                                 (long long)(core->conf->job_awaiting_csr_timeout_us / US_PER_S));
    change(core, a, now, SQL(a, job_time_out, .id = v[i].text[0], .error = error, .at = now),
           &(audit_note_t){.action = "job_timeout",
                           .resource_type = "job",
                           .resource_id = v[i].text[0],
                           .details = AUDIT_FACTS(a, fact_s("old_status", S("AwaitingCSR")),
                                                  fact_s("new_status", S("Failed")),
                                                  fact_s("timeout_reason", S("csr_timeout")))},
           (slice_t){NULL, 0}, v[i].text[0]);
  }
  return rc(RC_OK);
}

rc_t loop_agent_health(void *ctx)
{
  const core_t *core = ctx;
  ARENA_SCOPED arena_t *a = arena_new(LOOP_ARENA);
  us_t now = time_wall(core->time), before = {now.us - core->conf->scheduler_agent_health_check_interval_us};
  found_t *v;
  size_t n;
  if (!a) return rc(RC_NOMEM);
  TRY(sweep_read(core, a, SQL(a, agents_silent, .before = before), 1, 0, &v, &n, NULL));
  for (size_t i = 0; i < n; i++)
    change(core, a, now, SQL(a, agent_offline, .id = v[i].text[0], .before = before),
           &(audit_note_t){.action = "agent_offline", .resource_type = "agent", .resource_id = v[i].text[0]},
           (slice_t){NULL, 0}, (slice_t){NULL, 0});
  return rc(RC_OK);
}

/* Active turns Expiring within its policy's window, and Expired at its end. */
rc_t loop_expiry(void *ctx)
{
  const core_t *core = ctx;
  ARENA_SCOPED arena_t *a = arena_new(LOOP_ARENA);
  us_t now = time_wall(core->time);
  found_t *v;
  size_t n;
  if (!a) return rc(RC_NOMEM);
  const struct sql_certificates_aging p = {.at = now, .never = US_NEVER, .horizon = us_add_s(now, WINDOW_MAX_S)};
  TRY(sweep_read(core, a, sql_certificates_aging(a, &p), 3, 0, &v, &n, NULL));
  for (size_t i = 0; i < n; i++)
    change(core, a, now,
           SQL(a, certificate_age, .id = v[i].text[0], .old = v[i].text[1], .status = v[i].text[2], .at = now),
           &(audit_note_t){
               .action = "certificate_status_changed",
               .resource_type = "certificate",
               .resource_id = v[i].text[0],
               .details = AUDIT_FACTS(a, fact_s("old_status", v[i].text[1]), fact_s("new_status", v[i].text[2]))},
           (slice_t){NULL, 0}, (slice_t){NULL, 0});
  return rc(RC_OK);
}

void loops_table(const conf_t *conf, loop_t ret[LOOP_COUNT])
{
  const loop_t rows[LOOP_COUNT] = {
      {"jobs", conf->scheduler_job_processor_interval_us / US_PER_S, true, loop_jobs,
       "deployments whose holder fell silent"},
      {"retry", conf->scheduler_retry_interval_us / US_PER_S, true, loop_retry, "failed jobs whose pause is over"},
      {"job-timeout", conf->job_timeout_interval_us / US_PER_S, true, loop_job_timeout,
       "CSRs that nobody sent in time"},
      {"agent-health", conf->scheduler_agent_health_check_interval_us / US_PER_S, true, loop_agent_health,
       "agents that fell silent"},
      {"expiry", EXPIRY_S, true, loop_expiry, "Expiring and Expired"},
  };
  memcpy(ret, rows, sizeof rows);
}
