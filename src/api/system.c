#include "api/handlers.h"
#include "api/openapi.h"
#include "base/version.h"
#include "core/stats.h"
#include "db/list.h"
#include "issuers/issuer.h"
#include "model/resources.h"
#include "signer/client.h"
#include "wire/pem.h"

rc_t system_health(request_t *rq, reply_t *rp) { return reply_status(rp, 200, "healthy"); }

/* The store answers a read, and the signer a question that is not answered from memory. */
rc_t system_ready(request_t *rq, reply_t *rp)
{
  record_entry_t *last;
  size_t n;
  db_read_t *db;
  err_t e = {0};
  rc_t got = request_db(rq, &db, &e);
  const char *bad = rc_ok(got) ? NULL : "db_unavailable";
  request_release(rq);
  if (!bad && !rc_ok(signer_record_tail(rq->core->signer, 1, rq->a, &last, &n, &e))) bad = "signer_unavailable";
  jw_t j = reply_json(rp, bad ? 503 : 200);
  jw_object(&j);
  jw_put_str(&j, "status", bad ? bad : "ready");
  if (bad) jw_put_str(&j, "error", e.text ? e.text : "no answer");
  else jw_put_str(&j, "db", "reachable");
  if (slice_is(rq->core->conf->sandbox, "off")) jw_put_str(&j, "sandbox", "off");
  jw_object_end(&j);
  return rc(RC_OK);
}

rc_t system_version(request_t *rq, reply_t *rp)
{
  jw_t j = reply_json(rp, 200);
  jw_object(&j);
  jw_put_str(&j, "version", version_text());
  jw_put_str(&j, "commit", version_commit());
  jw_put_bool(&j, "modified", false);
  jw_put_str(&j, "build_time", "");
  jw_put_str(&j, "go_version", version_toolchain()); /* the key that clients read */
  jw_object_end(&j);
  return rc(RC_OK);
}

rc_t system_auth_info(request_t *rq, reply_t *rp)
{
  jw_t j = reply_json(rp, 200);
  jw_object(&j);
  jw_put_text(&j, "auth_type", rq->core->conf->auth_type);
  jw_put_bool(&j, "required", !slice_is(rq->core->conf->auth_type, "none"));
  jw_key(&j, "oidc_providers");
  jw_array(&j);
  jw_array_end(&j);
  jw_object_end(&j);
  return rc(RC_OK);
}

static void permission_write(jw_t *j, const char *name, slice_t scope_type, slice_t scope_id)
{
  jw_object(j);
  jw_put_str(j, "permission", name);
  jw_put_text(j, "scope_type", scope_type);
  if (scope_id.n) jw_put_text(j, "scope_id", scope_id);
  jw_object_end(j);
}

static void actor_write(jw_t *j, const actor_t *a)
{
  jw_put_text(j, "actor_id", a->id);
  jw_put_text(j, "actor_type", a->type);
  jw_put_str(j, "tenant_id", "t-default");
  jw_key(j, "roles");
  jw_texts(j, (texts_t){a->roles, a->nroles});
  jw_key(j, "effective_permissions");
  jw_array(j);
  for (int i = 0; i < PERMISSION_COUNT; i++)
    if (permset_has(&a->global, i)) permission_write(j, permission_names[i], S("global"), (slice_t){NULL, 0});
  for (size_t i = 0; i < a->nscoped; i++)
    permission_write(j, permission_names[a->scoped[i].permission], a->scoped[i].scope_type, a->scoped[i].scope_id);
  jw_array_end(j);
}

static bool is_admin(const actor_t *a)
{
  for (size_t i = 0; i < a->nroles; i++)
    if (slice_is(a->roles[i], "r-admin")) return true;
  return false;
}

rc_t system_auth_check(request_t *rq, reply_t *rp)
{
  jw_t j = reply_json(rp, 200);
  jw_object(&j);
  jw_put_str(&j, "status", "authenticated");
  jw_put_text(&j, "user", rq->actor->id);
  jw_put_bool(&j, "admin", rq->actor->admin_key);
  actor_write(&j, rq->actor);
  jw_put_bool(&j, "admin_via_role", is_admin(rq->actor));
  jw_object_end(&j);
  return rc(RC_OK);
}

rc_t system_auth_me(request_t *rq, reply_t *rp)
{
  jw_t j = reply_json(rp, 200);
  jw_object(&j);
  jw_put_bool(&j, "admin", is_admin(rq->actor));
  actor_write(&j, rq->actor);
  jw_object_end(&j);
  return rc(RC_OK);
}

static rc_t stats(request_t *rq, stats_t *ret, err_t *e)
{
  db_read_t *db;
  TRY(request_db(rq, &db, e));
  return stats_read(db, rq->a, rq->now, ret, e);
}

rc_t system_summary(request_t *rq, reply_t *rp)
{
  stats_t s;
  err_t e = {0};
  rc_t got = stats(rq, &s, &e);
  if (!rc_ok(got)) return reply_error(rq, rp, got, &e);
  jw_t j = reply_json(rp, 200);
  jw_object(&j);
  jw_put_int(&j, "total_certificates", s.certificates);
  jw_put_int(&j, "expiring_certificates", s.expiring);
  jw_put_int(&j, "expired_certificates", s.expired);
  jw_put_int(&j, "revoked_certificates", s.revoked);
  jw_put_int(&j, "active_agents", s.agents_active);
  jw_put_int(&j, "offline_agents", s.agents - s.agents_active);
  jw_put_int(&j, "total_agents", s.agents);
  jw_put_int(&j, "pending_jobs", s.jobs_pending);
  jw_put_int(&j, "failed_jobs", s.jobs_failed);
  jw_put_int(&j, "complete_jobs", s.jobs_completed);
  jw_put_time(&j, "completed_at", rq->now);
  jw_object_end(&j);
  return rc(RC_OK);
}

rc_t system_openapi(request_t *rq, reply_t *rp)
{
  rp->status = 200;
  openapi_emit(&rp->body);
  return rc(RC_OK);
}

static rc_t chain_of(request_t *rq, slice_t *ret_pem, err_t *e)
{
  issuer_t row;
  db_read_t *db;
  TRY(request_db(rq, &db, e));
  TRY(list_get(db, rq->a, &res_issuer, rq->param[0], &row, e));
  request_release(rq);
  const issuer_kind_t *kind = issuer_find(row.type);
  return kind ? kind->chain(rq->core->signer, rq->a, ret_pem, e) : rc(RC_NOTFOUND);
}

static bool wants_pem(const request_t *rq)
{
  slice_t accept = http1_header(rq->http->head, "Accept"), one;
  while (accept.p && slice_split(&accept, ',', &one)) {
    one = slice_trim(one);
    if (slice_starts(one, S("application/x-pem-file")) || slice_starts(one, S("application/pem-certificate-chain")))
      return true;
  }
  return false;
}

/* PEM chain when the client asks for PEM, the certificate's DER otherwise. */
rc_t system_ca(request_t *rq, reply_t *rp)
{
  slice_t chain;
  pem_file_t file = {0};
  err_t e = {0};
  rc_t got = chain_of(rq, &chain, &e);
  if (rc_is(got, RC_NOTFOUND)) return reply_message(rq, rp, 404, "Issuer not found");
  if (rc_ok(got)) got = pem_parse(rq->a, chain, &file, &e);
  if (!rc_ok(got) || file.n == 0) return reply_error(rq, rp, rc_ok(got) ? rc(RC_INTERNAL) : got, &e);
  rp->status = 200;
  rp->content_type = wants_pem(rq) ? "application/pem-certificate-chain" : "application/pkix-cert";
  buf_put(&rp->body, wants_pem(rq) ? chain : file.blocks[0].der);
  return rc(RC_OK);
}
