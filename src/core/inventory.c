#include "core/inventory.h"

#include "base/limits.h"
#include "core/audit.h"
#include "core/mapping.h"
#include "db/list.h"
#include "db/sql_stmts.h"
#include "work/jobs.h"
#include "x509/names.h"

/* Names by the one rule (x509/names.h), naming the field at fault. */
static rc_t check_names(arena_t *a, const certificate_t *c, err_t *e)
{
  names_t names;
  name_t cn;
  TRY(names_parse_all(a, c->sans.v, c->sans.n, "sans", &names, e));
  rc_t got = names_parse(a, c->common_name, &cn, e);
  if (!rc_ok(got) && e) e->field = "common_name";
  return got;
}

static void mapping_put(cmd_t *c, arena_t *a, slice_t certificate, texts_t ids)
{
  for (size_t i = 0; i < ids.n; i++)
    cmd_add(c, SQL(a, mapping_put, .certificate = certificate, .target = ids.v[i]), CMD_ANY_ROWS);
}

/* One job per agent that has a usable target; the mapping is ordered by agent. */
static rc_t jobs_for_agents(cmd_t *c, arena_t *a, us_t now, const char *type, slice_t certificate, const mapping_t *m,
                            int64_t max_attempts, slice_t *ret_first, size_t *ret_n)
{
  slice_t last = {NULL, 0};
  for (size_t i = 0; i < m->n; i++) {
    slice_t id;
    if (!m->v[i].usable || slice_eq(last, m->v[i].agent)) continue;
    last = m->v[i].agent;
    TRY(job_add(c, a, now,
                &(job_spec_t){.type = slice_str(type),
                              .certificate = certificate,
                              .agent = last,
                              .status = S("AwaitingCSR"),
                              .max_attempts = max_attempts},
                &id));
    if (!ret_first->p) *ret_first = id;
    (*ret_n)++;
  }
  return rc(RC_OK);
}

static rc_t policy_attempts(const core_t *core, arena_t *a, slice_t policy, int64_t *ret, err_t *e)
{
  DB_READ_SCOPED db_read_t *r = NULL;
  policy_t p;
  TRY(db_read_begin(core->db, &r, e));
  rc_t got = list_get(r, a, &res_policy, policy, &p, e);
  if (rc_is(got, RC_NOTFOUND))
    return err_quote(e, RC_INVALID, "unknown_reference", "renewal_policy_id", "does not exist", policy);
  TRY(got);
  *ret = p.max_retries + 1;
  return rc(RC_OK);
}

rc_t inventory_create(const core_t *core, arena_t *a, certificate_t *c, const actor_t *who, err_t *e)
{
  mapping_t m = {0};
  int64_t attempts = 1;
  size_t jobs = 0;
  slice_t first = {NULL, 0};
  c->created_at = c->updated_at = time_wall(core->time);
  TRY(check_names(a, c, e));
  if (c->target_ids.n) {
    TRY(mapping_known(core, a, c->target_ids, &m, e));
    TRY(policy_attempts(core, a, c->renewal_policy_id, &attempts, e));
  }
  cmd_t *cmd = cmd_new(a);
  if (!cmd) return rc(RC_NOMEM);
  cmd_add(cmd, list_insert(a, &res_certificate, c), 1);
  mapping_put(cmd, a, c->id, c->target_ids);
  TRY(jobs_for_agents(cmd, a, c->created_at, "Issuance", c->id, &m, attempts, &first, &jobs));
  AUDIT(cmd, a, c->created_at, who, .action = res_certificate.audit_create, .resource_type = "certificate",
        .resource_id = c->id,
        .details = AUDIT_FACTS(a, fact_s("common_name", c->common_name), fact_s("issuer_id", c->issuer_id),
                               fact_i("target_count", (int64_t)c->target_ids.n), fact_i("job_count", (int64_t)jobs)));
  return db_submit(core->db, cmd, e);
}

rc_t inventory_update(const core_t *core, arena_t *a, certificate_t *c, uint64_t set, bool targets, slice_t changed,
                      const actor_t *who, err_t *e)
{
  mapping_t m = {0};
  c->updated_at = time_wall(core->time);
  TRY(check_names(a, c, e));
  if (targets) TRY(mapping_known(core, a, c->target_ids, &m, e));
  cmd_t *cmd = cmd_new(a);
  if (!cmd) return rc(RC_NOMEM);
  cmd_add(cmd, list_update(a, &res_certificate, c, set), 1);
  if (targets) {
    cmd_add(cmd, SQL(a, mapping_clear, .certificate = c->id), CMD_ANY_ROWS);
    mapping_put(cmd, a, c->id, c->target_ids);
  }
  AUDIT(cmd, a, c->updated_at, who, .action = res_certificate.audit_update, .resource_type = "certificate",
        .resource_id = c->id, .details = AUDIT_FACTS(a, fact_s("changes", changed)));
  return db_submit(core->db, cmd, e);
}

static rc_t has_room(const core_t *core, arena_t *a, slice_t certificate, err_t *e)
{
  DB_READ_SCOPED db_read_t *r = NULL;
  TRY(db_read_begin(core->db, &r, e));
  TRY(db_one(r, SQL(a, mapping_count, .certificate = certificate), e));
  if (db_col_int(r, 0) < LIM_CERT_TARGETS) return rc(RC_OK);
  return err_limit(e, RC_INVALID, "too_many_targets", "target_id", "a certificate has at most {limit} targets",
                   LIM_CERT_TARGETS);
}

rc_t inventory_map(const core_t *core, arena_t *a, slice_t certificate, slice_t target, bool add, const actor_t *who,
                   err_t *e)
{
  us_t now = time_wall(core->time);
  if (add) TRY(has_room(core, a, certificate, e));
  cmd_t *c = cmd_new(a);
  if (!c) return rc(RC_NOMEM);
  if (add) cmd_add(c, SQL(a, mapping_put, .certificate = certificate, .target = target), CMD_ANY_ROWS);
  else cmd_add(c, SQL(a, mapping_del, .certificate = certificate, .target = target), 1);
  AUDIT(c, a, now, who, .action = res_certificate.audit_update, .resource_type = "certificate",
        .resource_id = certificate, .details = AUDIT_FACTS(a, fact_s(add ? "target_added" : "target_removed", target)));
  rc_t got = db_submit(core->db, c, e);
  const char *why = add ? "Certificate or target not found" : "Target is not mapped to this certificate";
  return rc_is(got, RC_CONFLICT) ? err_set(e, RC_NOTFOUND, "mapping", NULL, why) : got;
}

rc_t inventory_archive(const core_t *core, arena_t *a, slice_t certificate, const actor_t *who, err_t *e)
{
  us_t now = time_wall(core->time);
  cmd_t *c = cmd_new(a);
  if (!c) return rc(RC_NOMEM);
  cmd_add(c, SQL(a, certificate_archive, .id = certificate, .at = now), 1);
  cmd_add(c, SQL(a, jobs_cancel_of, .certificate = certificate, .error = S("certificate was archived"), .at = now),
          CMD_ANY_ROWS);
  AUDIT(c, a, now, who, .action = res_certificate.audit_delete, .resource_type = "certificate",
        .resource_id = certificate);
  rc_t got = db_submit(core->db, c, e);
  return rc_is(got, RC_CONFLICT) ? err_set(e, RC_NOTFOUND, "certificate", NULL, "Certificate not found") : got;
}

/* --- renewal --- */

rc_t certificate_state_read(const core_t *core, arena_t *a, slice_t id, certificate_state_t *ret, err_t *e)
{
  DB_READ_SCOPED db_read_t *r = NULL;
  TRY(db_read_begin(core->db, &r, e));
  rc_t got = db_one(r, SQL(a, certificate_state, .id = id), e);
  if (rc_is(got, RC_NOTFOUND)) return err_set(e, RC_NOTFOUND, "certificate", NULL, "Certificate not found");
  TRY(got);
  ret->last_renewal_at = db_col_time(r, 1);
  ret->attempts = db_col_int(r, 2) + 1;
  TRY(db_col_text_dup(r, 0, a, &ret->status));
  return db_col_text_dup(r, 3, a, &ret->common_name);
}

static rc_t live_job(const core_t *core, arena_t *a, slice_t certificate, slice_t *ret, err_t *e)
{
  DB_READ_SCOPED db_read_t *r = NULL;
  TRY(db_read_begin(core->db, &r, e));
  rc_t got = db_one(r, SQL(a, job_live_issuance, .certificate = certificate), e);
  *ret = (slice_t){NULL, 0};
  if (rc_is(got, RC_NOTFOUND)) return rc(RC_OK);
  TRY(got);
  return db_col_text_dup(r, 0, a, ret);
}

static rc_t may_renew(slice_t status, err_t *e)
{
  if (slice_ieq(status, S("Archived")))
    return err_set(e, RC_INVALID, "archived", NULL, "cannot renew archived certificate");
  if (slice_ieq(status, S("Revoked")))
    return err_set(e, RC_INVALID, "revoked", NULL, "cannot renew revoked certificate");
  if (slice_ieq(status, S("Expired")))
    return err_set(e, RC_INVALID, "expired", NULL, "cannot renew expired certificate; reissue instead");
  return rc(RC_OK);
}

rc_t inventory_renew(const core_t *core, arena_t *a, slice_t certificate, bool force, const actor_t *who,
                     slice_t *ret_job, err_t *e)
{
  certificate_state_t x;
  mapping_t m;
  size_t jobs = 0;
  slice_t live, first = {NULL, 0};
  us_t now = time_wall(core->time);
  TRY(certificate_state_read(core, a, certificate, &x, e));
  TRY(may_renew(x.status, e));
  TRY(live_job(core, a, certificate, &live, e));
  if (live.n && !force)
    return err_set(e, RC_CONFLICT, "in_progress", NULL, "certificate renewal already in progress");
  if (live.n) {
    *ret_job = live;
    return rc(RC_OK);
  }
  const char *type = us_is_never(x.last_renewal_at) ? "Issuance" : "Renewal";
  TRY(mapping_of(core, a, certificate, (slice_t){NULL, 0}, &m, e));
  cmd_t *c = cmd_new(a);
  if (!c) return rc(RC_NOMEM);
  TRY(jobs_for_agents(c, a, now, type, certificate, &m, x.attempts, &first, &jobs));
  if (jobs == 0)
    TRY(job_add(c, a, now,
                &(job_spec_t){.type = slice_str(type),
                              .certificate = certificate,
                              .status = S("AwaitingCSR"),
                              .max_attempts = x.attempts},
                &first));
  cmd_add(c, SQL(a, certificate_renewing, .id = certificate, .at = now), 1);
  AUDIT(c, a, now, who, .action = "renewal_triggered", .resource_type = "certificate", .resource_id = certificate,
        .details = AUDIT_FACTS(a, fact_s("common_name", x.common_name), fact_s("job_id", first),
                               fact_i("job_count", (int64_t)(jobs ? jobs : 1))));
  rc_t got = db_submit(core->db, c, e);
  if (rc_is(got, RC_CONFLICT))
    return err_set(e, RC_CONFLICT, "in_progress", NULL, "certificate renewal already in progress");
  TRY(got);
  *ret_job = first;
  return rc(RC_OK);
}
