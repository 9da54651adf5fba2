#include "work/jobs.h"

#include "base/random.h"
#include "db/sql_stmts.h"

rc_t job_add(cmd_t *c, arena_t *a, us_t now, const job_spec_t *spec, slice_t *ret_id)
{
  char id[ID_MAX];
  slice_t copy = arena_dup(a, slice_of(id, id_new("job", now.us, id)));
  if (!copy.p) return rc(RC_NOMEM);
  cmd_add(c,
          SQL(a, job_insert, .id = copy, .type = spec->type, .certificate = spec->certificate, .target = spec->target,
              .agent = spec->agent, .status = spec->status, .max_attempts = spec->max_attempts, .at = now),
          1);
  if (spec->agent.n) cmd_wake(c, 'a', spec->agent);
  *ret_id = copy;
  return rc(RC_OK);
}

rc_t job_look(db_t *db, arena_t *a, slice_t id, job_look_t *ret, err_t *e)
{
  DB_READ_SCOPED db_read_t *r = NULL;
  job_look_t x = {.job.id = id, .retry_s = 3600};
  TRY(db_read_begin(db, &r, e));
  rc_t got = db_one(r, SQL(a, job_look, .id = id), e);
  if (rc_is(got, RC_NOTFOUND)) return err_set(e, RC_NOTFOUND, "job", NULL, "Job not found");
  TRY(got);
  TRY(db_col_text_dup(r, 0, a, &x.job.type));
  TRY(db_col_text_dup(r, 1, a, &x.job.certificate_id));
  x.job.attempts = db_col_int(r, 2);
  x.job.max_attempts = db_col_int(r, 3);
  if (!db_col_null(r, 4)) x.retry_s = db_col_int(r, 4);
  TRY(db_col_text_dup(r, 5, a, &x.job.status));
  TRY(db_col_text_dup(r, 6, a, &x.job.target_id));
  TRY(db_col_text_dup(r, 7, a, &x.job.agent_id));
  *ret = x;
  return rc(RC_OK);
}

/* The rows that jobs_for_agent shows. */
static rc_t candidates(db_read_t *r, arena_t *a, slice_t agent, us_t now, job_t *rows, size_t *ret_n, err_t *e)
{
  size_t n = 0;
  rc_t got;
  TRY(db_query(r, SQL(a, jobs_for_agent, .agent = agent, .at = now), e));
  while (rc_ok(got = db_next(r, e)) && n < JOB_CLAIM_MAX) {
    job_t *j = &rows[n++];
    TRY(db_col_text_dup(r, 0, a, &j->id));
    TRY(db_col_text_dup(r, 1, a, &j->type));
    TRY(db_col_text_dup(r, 2, a, &j->certificate_id));
    TRY(db_col_text_dup(r, 3, a, &j->target_id));
    TRY(db_col_text_dup(r, 4, a, &j->status));
    TRY(db_col_text_dup(r, 5, a, &j->agent_id));
  }
  if (!rc_ok(got) && !rc_is(got, RC_NOTFOUND)) return got;
  *ret_n = n;
  return rc(RC_OK);
}

static rc_t fill(db_read_t *r, arena_t *a, const job_t *j, work_item_t *w, err_t *e)
{
  bool csr = slice_is(j->status, "AwaitingCSR");
  *w = (work_item_t){.id = j->id, .type = j->type, .certificate_id = j->certificate_id, .target_id = j->target_id};
  w->status = csr ? S("AwaitingCSR") : S("Running");
  TRY(db_one(r, SQL(a, job_work, .id = j->id), e));
  if (csr) {
    TRY(db_col_text_dup(r, 0, a, &w->common_name));
    return db_col_texts_dup(r, 1, a, &w->sans);
  }
  TRY(db_col_text_dup(r, 2, a, &w->target_type));
  return db_col_text_dup(r, 3, a, &w->target_config);
}

/* The guarded update that makes the row ours; none is needed for a CSR that only this agent can answer. */
static rc_t claim(db_t *db, arena_t *a, slice_t agent, us_t now, const job_t *j, err_t *e)
{
  bool csr = slice_is(j->status, "AwaitingCSR");
  if (csr && j->agent_id.n) return rc(RC_OK);
  cmd_t *c = cmd_new(a);
  if (!c) return rc(RC_NOMEM);
  if (csr)
    cmd_add(c, SQL(a, job_lease_csr, .id = j->id, .holder = agent, .at = now, .until = us_add_s(now, JOB_CSR_LEASE_S)),
            1);
  else
    cmd_add(
        c,
        SQL(a, job_start, .id = j->id, .agent = agent, .holder = agent, .at = now, .until = us_add_s(now, JOB_LEASE_S)),
        1);
  cmd_wake(c, 'j', j->id);
  return db_submit(db, c, e);
}

rc_t jobs_claim(db_t *db, arena_t *a, slice_t agent, us_t now, work_item_t **ret, size_t *ret_n, err_t *e)
{
  job_t rows[JOB_CLAIM_MAX] = {0};
  size_t n = 0, mine = 0;
  work_item_t *items = ARENA_ARRAY(a, work_item_t, JOB_CLAIM_MAX);
  if (!items) return rc(RC_NOMEM);
  {
    DB_READ_SCOPED db_read_t *r = NULL;
    TRY(db_read_begin(db, &r, e));
    TRY(candidates(r, a, agent, now, rows, &n, e));
    for (size_t i = 0; i < n; i++) TRY(fill(r, a, &rows[i], &items[i], e));
  }
  for (size_t i = 0; i < n; i++) {
    rc_t got = claim(db, a, agent, now, &rows[i], e);
    if (rc_is(got, RC_CONFLICT)) continue;
    TRY(got);
    items[mine++] = items[i];
  }
  *ret = items;
  *ret_n = mine;
  return rc(RC_OK);
}

rc_t jobs_agents_with_work(db_t *db, arena_t *a, us_t now, texts_t *ret, err_t *e)
{
  enum { AT_ONCE = 4096 };
  DB_READ_SCOPED db_read_t *r = NULL;
  slice_t *v = ARENA_ARRAY(a, slice_t, AT_ONCE);
  size_t n = 0;
  rc_t got;
  if (!v) return rc(RC_NOMEM);
  TRY(db_read_begin(db, &r, e));
  TRY(db_query(r, SQL(a, agents_with_work, .at = now), e));
  while (rc_ok(got = db_next(r, e)) && n < AT_ONCE) TRY(db_col_text_dup(r, 0, a, &v[n++]));
  if (!rc_ok(got) && !rc_is(got, RC_NOTFOUND)) return got;
  *ret = (texts_t){v, n};
  return rc(RC_OK);
}
