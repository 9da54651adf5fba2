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

/* A run of a sweep. */
typedef struct turn {
  const core_t *core;
  arena_t *a;
  us_t now;
} turn_t;

/* A row that it found; texts and numbers by column. */
typedef struct found {
  slice_t text[3];
  int64_t num[2];
} found_t;

/* What is done about it: the change, its audit row, and whom it wakes. */
typedef struct mend {
  stmt_t change;
  audit_note_t note;
  slice_t wake_agent, wake_job;
} mend_t;

typedef struct sweep {
  int texts, nums; /* columns of the query: texts, then integers */
  stmt_t (*find)(const turn_t *t);
  mend_t (*mend)(const turn_t *t, const found_t *f);
} sweep_t;

static rc_t find(const sweep_t *s, const turn_t *t, found_t **ret, size_t *ret_n)
{
  DB_READ_SCOPED db_read_t *r = NULL;
  size_t n = 0;
  rc_t got;
  found_t *v = ARENA_ARRAY(t->a, found_t, BATCH);
  if (!v) return rc(RC_NOMEM);
  TRY(db_read_begin(t->core->db, &r, NULL));
  TRY(db_query(r, s->find(t), NULL));
  while (rc_ok(got = db_next(r, NULL)) && n < BATCH) {
    for (int i = 0; i < s->texts; i++) TRY(db_col_text_dup(r, i, t->a, &v[n].text[i]));
    for (int i = 0; i < s->nums; i++) v[n].num[i] = db_col_int(r, s->texts + i);
    n++;
  }
  if (!rc_ok(got) && !rc_is(got, RC_NOTFOUND)) return got;
  *ret = v;
  *ret_n = n;
  return rc(RC_OK);
}

/* A guard that missed means that somebody else was first. */
static void mend(const turn_t *t, const mend_t *m)
{
  err_t e = {0};
  cmd_t *c = cmd_new(t->a);
  if (!c) return;
  cmd_add(c, m->change, 1);
  audit_add(c, t->a, t->now, &actor_system, &m->note);
  if (m->wake_agent.n) cmd_wake(c, 'a', m->wake_agent);
  if (m->wake_job.n) cmd_wake(c, 'j', m->wake_job);
  rc_t got = db_submit(t->core->db, c, &e);
  if (!rc_ok(got) && !rc_is(got, RC_CONFLICT)) log_err(LOG_WARN, "sweep row not changed", &e);
}

static rc_t sweep(const core_t *core, const sweep_t *s)
{
  ARENA_SCOPED arena_t *a = arena_new(LOOP_ARENA);
  turn_t t = {core, a, time_wall(core->time)};
  found_t *v;
  size_t n;
  if (!a) return rc(RC_NOMEM);
  TRY(find(s, &t, &v, &n));
  for (size_t i = 0; i < n; i++) {
    mend_t m = s->mend(&t, &v[i]);
    mend(&t, &m);
  }
  return rc(RC_OK);
}

static audit_note_t note(const char *action, const char *type, slice_t id, slice_t details)
{
  return (audit_note_t){.action = action, .resource_type = type, .resource_id = id, .details = details};
}

/* --- jobs whose time lies where none can be, because the clock was set back, have their turn now --- */

static us_t stranded_soon(const turn_t *t) { return us_add_s(t->now, CLOCK_SLACK_S); }

static stmt_t stranded_find(const turn_t *t)
{
  us_t far = us_add_s(t->now, PAUSE_MAX_S + CLOCK_SLACK_S);
  return SQL(t->a, jobs_stranded, .soon = stranded_soon(t), .far = far);
}

static mend_t stranded_mend(const turn_t *t, const found_t *f)
{
  slice_t id = f->text[0], why = AUDIT_FACTS(t->a, fact_s("reason", S("clock_set_back")));
  return (mend_t){SQL(t->a, job_unstrand, .id = id, .soon = stranded_soon(t), .at = t->now),
                  note("job_rescheduled", "job", id, why), .wake_agent = f->text[1], .wake_job = id};
}

/* --- deployments whose holder fell silent begin again --- */

static us_t lease_far(const turn_t *t) { return us_add_s(t->now, JOB_LEASE_S + CLOCK_SLACK_S); }

static stmt_t lease_find(const turn_t *t) { return SQL(t->a, jobs_lease_over, .at = t->now, .far = lease_far(t)); }

static mend_t lease_mend(const turn_t *t, const found_t *f)
{
  slice_t id = f->text[0];
  return (mend_t){
      SQL(t->a, job_lease_drop, .id = id, .attempts = f->num[0], .at = t->now, .far = lease_far(t)),
      note("job_lease_expired", "job", id,
           AUDIT_FACTS(t->a, fact_s("agent_id", f->text[1]), fact_i("attempts", f->num[0]))),
      .wake_agent = f->text[1], .wake_job = id};
}

rc_t loop_jobs(void *core)
{
  static const sweep_t stranded = {2, 0, stranded_find, stranded_mend};
  static const sweep_t lease = {2, 1, lease_find, lease_mend};
  TRY(sweep(core, &stranded));
  return sweep(core, &lease);
}

/* --- failed jobs with attempts left, whose pause is over --- */

static stmt_t retry_find(const turn_t *t) { return SQL(t->a, jobs_to_retry, .at = t->now); }

static mend_t retry_mend(const turn_t *t, const found_t *f)
{
  slice_t id = f->text[0];
  return (mend_t){SQL(t->a, job_retry, .id = id, .at = t->now),
                  note("job_retry", "job", id,
                       AUDIT_FACTS(t->a, fact_s("old_status", S("Failed")), fact_i("attempts", f->num[0]),
                                   fact_i("max_attempts", f->num[1]))),
                  .wake_agent = f->text[1], .wake_job = id};
}

rc_t loop_retry(void *core)
{
  static const sweep_t s = {2, 2, retry_find, retry_mend};
  return sweep(core, &s);
}

/* --- CSRs that nobody sent in time --- */

static stmt_t csr_find(const turn_t *t)
{
  us_t before = {t->now.us - t->core->conf->job_awaiting_csr_timeout_us};
  return SQL(t->a, jobs_csr_overdue, .at = t->now, .before = before);
}

static mend_t csr_mend(const turn_t *t, const found_t *f)
{
  slice_t id = f->text[0];
  slice_t error = arena_printf(t->a, "timed out in AwaitingCSR after %lld s",
                               (long long)(t->core->conf->job_awaiting_csr_timeout_us / US_PER_S));
  return (mend_t){SQL(t->a, job_time_out, .id = id, .error = error, .at = t->now),
                  note("job_timeout", "job", id,
                       AUDIT_FACTS(t->a, fact_s("old_status", S("AwaitingCSR")), fact_s("new_status", S("Failed")),
                                   fact_s("timeout_reason", S("csr_timeout")))),
                  .wake_job = id};
}

rc_t loop_job_timeout(void *core)
{
  static const sweep_t s = {1, 0, csr_find, csr_mend};
  return sweep(core, &s);
}

/* --- agents that fell silent --- */

static us_t silent_before(const turn_t *t)
{
  return (us_t){t->now.us - t->core->conf->scheduler_agent_health_check_interval_us};
}

static stmt_t silent_find(const turn_t *t) { return SQL(t->a, agents_silent, .before = silent_before(t)); }

static mend_t silent_mend(const turn_t *t, const found_t *f)
{
  return (mend_t){SQL(t->a, agent_offline, .id = f->text[0], .before = silent_before(t)),
                  note("agent_offline", "agent", f->text[0], (slice_t){NULL, 0})};
}

rc_t loop_agent_health(void *core)
{
  static const sweep_t s = {1, 0, silent_find, silent_mend};
  return sweep(core, &s);
}

/* --- Active turns Expiring within its policy's window, and Expired at its end --- */

static stmt_t aging_find(const turn_t *t)
{
  return SQL(t->a, certificates_aging, .at = t->now, .never = US_NEVER, .horizon = us_add_s(t->now, WINDOW_MAX_S));
}

static mend_t aging_mend(const turn_t *t, const found_t *f)
{
  slice_t id = f->text[0], old = f->text[1], status = f->text[2];
  return (mend_t){SQL(t->a, certificate_age, .id = id, .old = old, .status = status, .at = t->now),
                  note("certificate_status_changed", "certificate", id,
                       AUDIT_FACTS(t->a, fact_s("old_status", old), fact_s("new_status", status)))};
}

rc_t loop_expiry(void *core)
{
  static const sweep_t s = {3, 0, aging_find, aging_mend};
  return sweep(core, &s);
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
