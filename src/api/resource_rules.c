#include "api/resource_rules.h"

#include "db/sql_stmts.h"
#include "issuers/issuer.h"
#include "model/resources.h"
#include "targets/target.h"

static bool in_list(slice_t v, const char *const *list)
{
  for (; *list; list++)
    if (slice_is(v, *list)) return true;
  return false;
}

/* --- issuers --- */

static rc_t issuer_check(request_t *rq, void *row, const void *old, uint64_t *set, err_t *e)
{
  issuer_t *i = row;
  const issuer_kind_t *kind = issuer_find(i->type);
  if (!kind) return err_quote(e, RC_INVALID, "issuer_type", "type", "must be GenericCA", i->type);
  i->type = slice_str(kind->type);
  if (!old) i->source = S("database");
  return kind->check(i->config, rq->a, e);
}

/* --- targets --- */

static rc_t target_check(request_t *rq, void *row, const void *old, uint64_t *set, err_t *e)
{
  target_t *t = row;
  db_read_t *db;
  agent_t agent;
  const target_kind_t *kind = target_find(t->type);
  if (!kind) return err_quote(e, RC_INVALID, "target_type", "type", "is not a target type this build has", t->type);
  t->type = slice_str(kind->type);
  if (!old) {
    t->source = S("database");
    t->retired_at = US_NEVER;
  }
  TRY(kind->check(t->config, rq->a, e));
  TRY(request_db(rq, &db, e));
  rc_t got = list_get(db, rq->a, &res_agent, t->agent_id, &agent, e);
  if (rc_is(got, RC_NOTFOUND))
    return err_quote(e, RC_INVALID, "unknown_reference", "agent_id", "does not exist", t->agent_id);
  TRY(got);
  if (!us_is_never(agent.retired_at))
    return err_quote(e, RC_INVALID, "agent_retired", "agent_id", "names a retired agent", t->agent_id);
  return rc(RC_OK);
}

/* --- profiles --- */

typedef struct algorithm_rule {
  const char *name;
  int64_t least;
} algorithm_rule_t;

static const algorithm_rule_t algorithms[] = {{"RSA", 2048}, {"ECDSA", 256}, {"Ed25519", 0}};

static rc_t algorithm_check(const json_t *rule, err_t *e)
{
  slice_t name = {NULL, 0};
  int64_t size = 0;
  if (json_kind(rule) != JK_OBJECT)
    return err_set(e, RC_INVALID, "key_algorithm", "allowed_key_algorithms",
                   "must be an array of {algorithm, min_size}");
  TRY(json_get_text(rule, "algorithm", &name, e));
  TRY(json_get_i64(rule, "min_size", 0, 16384, &size, e));
  for (size_t i = 0; i < COUNT_OF(algorithms); i++) {
    if (!slice_is(name, algorithms[i].name)) continue;
    if (size >= algorithms[i].least) return rc(RC_OK);
    return err_limit(e, RC_INVALID, "key_size", "allowed_key_algorithms", "min_size must be at least {limit}",
                     algorithms[i].least);
  }
  return err_quote(e, RC_INVALID, "key_algorithm", "allowed_key_algorithms", "algorithm must be RSA, ECDSA or Ed25519",
                   name);
}

static rc_t profile_check(request_t *rq, void *row, const void *old, uint64_t *set, err_t *e)
{
  profile_t *p = row;
  json_doc_t doc;
  TRY(json_parse(rq->a, p->allowed_key_algorithms, &doc, e));
  if (json_kind(doc.root) != JK_ARRAY)
    return err_set(e, RC_INVALID, "key_algorithm", "allowed_key_algorithms", "must be an array");
  for (size_t i = 0; i < json_len(doc.root); i++) TRY(algorithm_check(json_at(doc.root, i), e));
  for (size_t i = 0; i < p->allowed_ekus.n; i++)
    if (!in_list(p->allowed_ekus.v[i], eku_names))
      return err_quote(e, RC_INVALID, "eku", "allowed_ekus",
                       "must be serverAuth, clientAuth, codeSigning, emailProtection or timeStamping",
                       p->allowed_ekus.v[i]);
  return rc(RC_OK);
}

/* --- renewal policies --- */

/* rp-<slug of the name> (spec/api.md 1.16). */
static rc_t policy_check(request_t *rq, void *row, const void *old, uint64_t *set, err_t *e)
{
  policy_t *p = row;
  slice_t sent = {NULL, 0};
  char slug[65];
  size_t n = 0;
  if (old) return rc(RC_OK);
  TRY(json_get_text(rq->body.root, "id", &sent, e));
  if (sent.n) return rc(RC_OK);
  for (size_t i = 0; i < p->name.n && n < 64; i++) {
    uint8_t c = p->name.p[i];
    if (c >= 'A' && c <= 'Z') c = (uint8_t)(c + 32);
    if (c == ' ') c = '-';
    bool keep = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c == '-' && n > 0);
    if (keep) slug[n++] = (char)c;
  }
  while (n && slug[n - 1] == '-') n--;
  p->id = n ? arena_printf(rq->a, "rp-%.*s", (int)n, slug) : S("rp-policy");
  return p->id.p ? rc(RC_OK) : rc(RC_NOMEM);
}

/* --- owners, teams --- */

static rc_t owner_check(request_t *rq, void *row, const void *old, uint64_t *set, err_t *e)
{
  owner_t *o = row;
  size_t at = slice_find(o->email, '@');
  if (o->email.n && (at == 0 || at + 1 >= o->email.n ||
                     slice_find(slice_sub(o->email, at + 1, o->email.n), '@') + at + 1 != o->email.n))
    return err_quote(e, RC_INVALID, "email", "email", "must be an e-mail address", o->email);
  return rc(RC_OK);
}

static stmt_t team_remove(arena_t *a, slice_t id) { return SQL(a, team_delete, .id = id); }

static stmt_t profile_remove(arena_t *a, slice_t id) { return SQL(a, profile_delete, .id = id); }

static const char *const certificate_stamps[] = {"certificate_target_mappings", NULL};

const rest_t rest_rows[] = {
    {.res = &res_certificate,
     .label = "Certificate",
     .check = certificates_check,
     .shape = certificates_shape,
     .filters = certificates_filters,
     .stamps = certificate_stamps},
    {.res = &res_issuer,
     .label = "Issuer",
     .check = issuer_check,
     .in_use = "Cannot delete issuer: certificates are still assigned to this issuer"},
    {.res = &res_target,
     .label = "Target",
     .check = target_check,
     .in_use = "Cannot delete target: it is still in use"},
    {.res = &res_profile,
     .label = "Profile",
     .check = profile_check,
     .remove = profile_remove,
     .in_use = "Cannot delete profile: certificates still use it"},
    {.res = &res_team,
     .label = "Team",
     .remove = team_remove,
     .in_use = "Cannot delete team: owners or certificates are still assigned to this team"},
    {.res = &res_owner,
     .label = "Owner",
     .check = owner_check,
     .in_use = "Cannot delete owner: certificates are still assigned to this owner"},
    {.res = &res_policy,
     .label = "Renewal policy",
     .check = policy_check,
     .in_use = "Cannot delete renewal policy: certificates still use it"},
    {.res = &res_agent, .label = "Agent"},
    {.res = &res_agent_retired, .label = "Agent"},
    {.res = &res_job, .label = "Job"},
    {.res = &res_version, .label = "Version"},
    {.res = &res_audit, .label = "Audit event"},
    {0},
};

const rest_t *rest_of(const resource_t *res)
{
  for (const rest_t *r = rest_rows; r->res; r++)
    if (r->res == res) return r;
  return NULL;
}
