#include "core/deploy.h"

#include "core/audit.h"
#include "db/sql_stmts.h"
#include "work/jobs.h"

enum { TARGETS_MAX = 1000 };

typedef struct place {
  slice_t target, agent;
} place_t;

static rc_t places_read(const core_t *core, arena_t *a, slice_t certificate, place_t **ret, size_t *ret_n, err_t *e)
{
  DB_READ_SCOPED db_read_t *r = NULL;
  size_t n = 0;
  rc_t got;
  place_t *v = NULL;
  TRY(db_read_begin(core->db, &r, e));
  TRY(db_query(r, SQL(a, certificate_targets, .certificate = certificate), e));
  while (rc_ok(got = db_next(r, e)) && n < TARGETS_MAX) {
    if (!v) v = ARENA_ARRAY(a, place_t, TARGETS_MAX);
    if (!v) return rc(RC_NOMEM);
    TRY(db_col_text_dup(r, 0, a, &v[n].target));
    TRY(db_col_text_dup(r, 1, a, &v[n++].agent));
  }
  if (!rc_ok(got) && !rc_is(got, RC_NOTFOUND)) return got;
  *ret = v;
  *ret_n = n;
  return rc(RC_OK);
}

static rc_t add_job(cmd_t *c, arena_t *a, us_t now, slice_t certificate, const place_t *p, int64_t max_attempts)
{
  slice_t id;
  return job_add(c, a, now,
                 &(job_spec_t){.type = S("Deployment"),
                               .certificate = certificate,
                               .target = p->target,
                               .agent = p->agent,
                               .status = S("Pending"),
                               .max_attempts = max_attempts},
                 &id);
}

rc_t deploy_add_jobs(const core_t *core, cmd_t *c, arena_t *a, us_t now, slice_t certificate, slice_t agent,
                     int64_t max_attempts, size_t *ret_n, err_t *e)
{
  place_t *v;
  size_t n, added = 0;
  TRY(places_read(core, a, certificate, &v, &n, e));
  for (size_t i = 0; i < n; i++) {
    if (agent.n && !slice_eq(agent, v[i].agent)) continue;
    TRY(add_job(c, a, now, certificate, &v[i], max_attempts));
    added++;
  }
  *ret_n = added;
  return rc(RC_OK);
}

typedef struct cert_state {
  slice_t status;
  us_t last_renewal_at;
} cert_state_t;

static rc_t state_read(const core_t *core, arena_t *a, slice_t certificate, cert_state_t *ret, int64_t *ret_attempts,
                       err_t *e)
{
  DB_READ_SCOPED db_read_t *r = NULL;
  TRY(db_read_begin(core->db, &r, e));
  TRY(db_query(r, SQL(a, certificate_state, .id = certificate), e));
  rc_t got = db_next(r, e);
  if (rc_is(got, RC_NOTFOUND)) return err_set(e, RC_NOTFOUND, "certificate", NULL, "Certificate not found");
  TRY(got);
  TRY(db_col_text_dup(r, 0, a, &ret->status));
  ret->last_renewal_at = db_col_time(r, 1);
  *ret_attempts = db_col_int(r, 2) + 1;
  return rc(RC_OK);
}

rc_t deploy_trigger(const core_t *core, arena_t *a, slice_t certificate, slice_t target, const actor_t *who,
                    size_t *ret_n, err_t *e)
{
  cert_state_t st;
  place_t *v;
  int64_t attempts;
  size_t n, added = 0;
  us_t now = time_wall(core->time);
  TRY(state_read(core, a, certificate, &st, &attempts, e));
  if (slice_ieq(st.status, S("Archived")))
    return err_set(e, RC_CONFLICT, "archived", NULL, "cannot deploy archived certificate");
  if (us_is_never(st.last_renewal_at))
    return err_set(e, RC_CONFLICT, "not_issued", NULL, "certificate was not issued yet");
  TRY(places_read(core, a, certificate, &v, &n, e));
  cmd_t *c = cmd_new(a);
  if (!c) return rc(RC_NOMEM);
  for (size_t i = 0; i < n; i++) {
    if (target.n && !slice_eq(target, v[i].target)) continue;
    TRY(add_job(c, a, now, certificate, &v[i], attempts));
    added++;
  }
  if (target.n && added == 0)
    return err_quote(e, RC_INVALID, "target", "target_id", "is not an enabled target of this certificate", target);
  AUDIT(c, a, now, who, .action = "deployment_triggered", .resource_type = "certificate", .resource_id = certificate,
        .details = AUDIT_FACTS(a, fact_s("target_id", target), fact_i("job_count", (int64_t)added)));
  TRY(db_submit(core->db, c, e));
  *ret_n = added;
  return rc(RC_OK);
}
