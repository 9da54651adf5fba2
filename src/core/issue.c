#include "core/issue.h"

#include "base/failpoint.h"
#include "base/log.h"
#include "core/audit.h"
#include "core/deploy.h"
#include "crypto/hash.h"
#include "db/sql_stmts.h"
#include "issuers/issuer.h"
#include "model/resources.h"
#include "wire/json_in.h"
#include "wire/pem.h"
#include "work/jobs.h"
#include "x509/cert.h"
#include "x509/csr.h"
#include "x509/names.h"

/* Everything an issuance reads before it signs. */
typedef struct context {
  certificate_t cert;
  bool issuer_enabled, has_profile, has_targets, has_agent;
  slice_t issuer_type, issuer_config;
  profile_t profile;
  policy_t policy;
  job_t job;          /* id empty: none waits */
  slice_t latest_pem; /* this agent's newest leaf with its chain */
} context_t;

static rc_t read_certificate(db_read_t *r, arena_t *a, slice_t agent, context_t *x, err_t *e)
{
  rc_t got = db_one(r, SQL(a, issue_context, .id = x->cert.id, .agent = agent), e);
  if (rc_is(got, RC_NOTFOUND)) return err_set(e, RC_NOTFOUND, "certificate", NULL, "Certificate not found");
  TRY(got);
  TRY(db_col_text_dup(r, 0, a, &x->cert.common_name));
  TRY(db_col_texts_dup(r, 1, a, &x->cert.sans));
  TRY(db_col_text_dup(r, 2, a, &x->cert.status));
  TRY(db_col_text_dup(r, 3, a, &x->cert.issuer_id));
  x->issuer_enabled = db_col_bool(r, 4);
  TRY(db_col_text_dup(r, 5, a, &x->issuer_type));
  TRY(db_col_text_dup(r, 6, a, &x->issuer_config));
  x->has_profile = !db_col_null(r, 7);
  if (x->has_profile) {
    TRY(db_col_text_dup(r, 7, a, &x->profile.id));
    x->profile.enabled = db_col_bool(r, 8);
    x->profile.max_ttl_seconds = db_col_int(r, 9);
    TRY(db_col_text_dup(r, 10, a, &x->profile.allowed_key_algorithms));
    TRY(db_col_texts_dup(r, 11, a, &x->profile.allowed_ekus));
    x->profile.must_staple = db_col_bool(r, 12);
  }
  x->policy.max_retries = db_col_int(r, 13);
  x->policy.retry_interval_seconds = db_col_int(r, 14);
  x->has_targets = db_col_bool(r, 15);
  x->has_agent = db_col_bool(r, 16);
  return rc(RC_OK);
}

static rc_t read_job(db_read_t *r, arena_t *a, slice_t agent, bool operator, context_t *x, err_t *e)
{
  TRY(db_query(r, SQL(a, job_awaiting_csr, .certificate = x->cert.id, .agent = agent, .operator = operator), e));
  rc_t got;
  while (rc_ok(got = db_next(r, e))) {
    bool own = !db_col_null(r, 3);
    if (x->job.id.n && !own) continue;
    TRY(db_col_text_dup(r, 0, a, &x->job.id));
    x->job.certificate_id = x->cert.id;
    x->job.attempts = db_col_int(r, 1);
    x->job.max_attempts = db_col_int(r, 2);
  }
  if (!rc_is(got, RC_NOTFOUND)) return got;
  if (x->job.id.n || operator) return rc(RC_OK);
  got = db_one(r, SQL(a, version_latest, .certificate = x->cert.id, .agent = agent), e);
  if (rc_is(got, RC_NOTFOUND)) return rc(RC_OK);
  TRY(got);
  return db_col_text_dup(r, 0, a, &x->latest_pem);
}

/* For an agent the newest leaf is read too when no job waits: its request may be a repetition. */
static rc_t context_read(const core_t *core, arena_t *a, slice_t certificate, slice_t agent, bool operator,
                         context_t *ret, err_t *e)
{
  DB_READ_SCOPED db_read_t *r = NULL;
  context_t x = {.cert.id = certificate};
  TRY(db_read_begin(core->db, &r, e));
  TRY(read_certificate(r, a, agent, &x, e));
  TRY(read_job(r, a, agent, operator, &x, e));
  *ret = x;
  return rc(RC_OK);
}

/* The common name counts as a name when it is one; an S/MIME or service name need not be. */
static rc_t names_of(arena_t *a, const certificate_t *c, texts_t *ret)
{
  name_t cn;
  slice_t *v = ARENA_ARRAY(a, slice_t, c->sans.n + 1);
  size_t n = 0;
  if (!v) return rc(RC_NOMEM);
  if (rc_ok(names_parse(a, c->common_name, &cn, NULL))) v[n++] = c->common_name;
  for (size_t i = 0; i < c->sans.n; i++) v[n++] = c->sans.v[i];
  *ret = (texts_t){v, n};
  return rc(RC_OK);
}

/* [{"algorithm":"ECDSA","min_size":256}] as "ECDSA:256". */
static rc_t keys_of(arena_t *a, slice_t rules, texts_t *ret, err_t *e)
{
  json_doc_t doc;
  if (rules.n == 0) return rc(RC_OK);
  TRY(json_parse(a, rules, &doc, e));
  size_t n = json_len(doc.root);
  slice_t *v = ARENA_ARRAY(a, slice_t, n + 1);
  if (!v) return rc(RC_NOMEM);
  for (size_t i = 0; i < n; i++) {
    slice_t algorithm = S("");
    int64_t size = 0;
    TRY(json_get_text(json_at(doc.root, i), "algorithm", &algorithm, e));
    TRY(json_get_i64(json_at(doc.root, i), "min_size", 0, 65536, &size, e));
    v[i] = arena_printf(a, "%.*s:%lld", SLICE_ARG(algorithm), (long long)size);
    if (!v[i].p) return rc(RC_NOMEM);
  }
  *ret = (texts_t){v, n};
  return rc(RC_OK);
}

static rc_t may_issue(const context_t *x, err_t *e)
{
  if (slice_ieq(x->cert.status, S("Archived")) || slice_ieq(x->cert.status, S("Revoked")))
    return err_set(e, RC_CONFLICT, "certificate_state", NULL, "certificate is archived or revoked");
  if (!x->issuer_enabled) return err_set(e, RC_CONFLICT, "issuer_disabled", NULL, "issuer is disabled");
  if (x->has_profile && !x->profile.enabled)
    return err_set(e, RC_CONFLICT, "profile_disabled", NULL, "certificate profile is disabled");
  return rc(RC_OK);
}

/* What the signer keeps beside the signature: enough to finish a commit that a kill cut off. */
static slice_t record_context(arena_t *a, slice_t certificate, slice_t agent, slice_t job)
{
  return AUDIT_FACTS(a, fact_s("certificate", certificate), fact_s("agent", agent), fact_s("job", job));
}

static rc_t order(const core_t *core, arena_t *a, const context_t *x, slice_t agent, slice_t csr_der,
                  issue_result_t *ret, err_t *e)
{
  char fresh[ID_MAX];
  const issuer_kind_t *kind = issuer_find(x->issuer_type);
  if (!kind) return err_set(e, RC_CONFLICT, "issuer_type", NULL, "issuer has a type this build does not have");
  issue_order_t o = {.ref = x->job.id,
                     .config = x->issuer_config,
                     .csr_der = csr_der,
                     .common_name = x->cert.common_name,
                     .profile_max_s = x->profile.max_ttl_seconds,
                     .ekus = x->profile.allowed_ekus,
                     .must_staple = x->profile.must_staple,
                     .context = record_context(a, x->cert.id, agent, x->job.id)};
  if (o.ref.n == 0) o.ref = slice_of(fresh, id_new("csr", time_wall(core->time).us, fresh));
  TRY(names_of(a, &x->cert, &o.names));
  TRY(keys_of(a, x->profile.allowed_key_algorithms, &o.profile_keys, e));
  FAILPOINT(issue_before_sign);
  return kind->issue(core->signer, &o, a, ret, e);
}

/* One command: job, version, certificate, deployment jobs, audit. */
typedef struct commit {
  slice_t certificate, agent, job, csr_pem;
  bool has_targets;
  int64_t job_attempts, max_attempts;
  const issue_result_t *result;
  const actor_t *who;
} commit_t;

static rc_t commit(const core_t *core, arena_t *a, const commit_t *in, err_t *e)
{
  const sign_answer_t *leaf = &in->result->leaf;
  us_t now = time_wall(core->time);
  char id[ID_MAX];
  size_t deployments = 0;
  cmd_t *c = cmd_new(a);
  if (!c) return rc(RC_NOMEM);
  slice_t version = arena_dup(a, slice_of(id, id_new("certver", now.us, id)));
  slice_t agent = in->agent.n ? in->agent : (slice_t){NULL, 0};
  if (in->job.n) {
    cmd_add(c, SQL(a, job_issued, .id = in->job, .attempts = in->job_attempts, .agent = in->agent, .at = now), 1);
    cmd_wake(c, 'j', in->job);
  }
  cmd_add(c,
          SQL(a, version_insert, .id = version, .certificate = in->certificate, .serial = leaf->serial_hex,
              .not_before = leaf->not_before, .not_after = leaf->not_after, .fingerprint = leaf->fingerprint_hex,
              .pem = in->result->pem_chain, .csr = in->csr_pem, .at = now, .key_algorithm = leaf->key_algorithm,
              .key_size = leaf->key_size, .agent = agent),
          1);
  cmd_add(c,
          SQL(a, certificate_issued, .id = in->certificate, .agent = agent, .not_after = leaf->not_after, .at = now,
              .job = in->job),
          CMD_ANY_ROWS);
  if (in->has_targets)
    TRY(deploy_add_jobs(core, c, a, now, in->certificate, in->agent, in->max_attempts, &deployments, e));
  char until[RFC3339_MAX];
  rfc3339_format(leaf->not_after, until);
  slice_t details = AUDIT_FACTS(a, fact_s("job_id", in->job), fact_s("agent_id", in->agent),
                                fact_s("serial", leaf->serial_hex), fact_s("not_after", slice_str(until)),
                                fact_s("keygen_mode", S("agent")), fact_i("deployment_jobs", (int64_t)deployments));
  AUDIT(c, a, now, in->who, .action = in->job.n ? "renewal_job_completed" : "csr_submitted",
        .resource_type = "certificate", .resource_id = in->certificate, .details = details);
  FAILPOINT(issue_before_command);
  return db_submit(core->db, c, e);
}

/* When an attempt that fails now is repeated: after the policy's pause, while attempts are left. */
static us_t next_attempt(us_t now, const job_t *j, int64_t pause_s)
{
  return j->attempts + 1 < j->max_attempts ? us_add_s(now, pause_s) : US_NEVER;
}

/* Ends a job without a leaf by `change`, one command with its certificate's state and audit row. */
static rc_t unissue(const core_t *core, arena_t *a, us_t now, stmt_t change, const job_t *job, const char *reason,
                    slice_t error, const actor_t *who, err_t *e)
{
  cmd_t *c = cmd_new(a);
  if (!c) return rc(RC_NOMEM);
  cmd_add(c, change, 1);
  cmd_add(c, SQL(a, certificate_unrenewed, .id = job->certificate_id, .at = now, .job = job->id), CMD_ANY_ROWS);
  AUDIT(c, a, now, who, .action = "renewal_job_failed", .resource_type = "certificate",
        .resource_id = job->certificate_id,
        .details = AUDIT_FACTS(a, fact_s("job_id", job->id), fact_s("reason", slice_str(reason)),
                               fact_s("error", error)));
  cmd_wake(c, 'j', job->id);
  return db_submit(core->db, c, e);
}

static rc_t fail_job(const core_t *core, arena_t *a, const context_t *x, const err_t *why, const actor_t *who, err_t *e)
{
  char text[512];
  us_t now = time_wall(core->time);
  slice_t error = slice_of(text, err_format(why, text, sizeof text));
  stmt_t change = SQL(a, job_unissued, .id = x->job.id, .attempts = x->job.attempts, .error = error, .at = now,
                      .next = next_attempt(now, &x->job, x->policy.retry_interval_seconds));
  return unissue(core, a, now, change, &x->job, why->reason, error, who, e);
}

/* A repetition of a CSR whose answer was lost: its key has the newest leaf already, be it one that a start adopted. */
static bool answered_before(arena_t *a, const context_t *x, const csr_t *csr)
{
  pem_file_t file;
  cert_t leaf;
  if (x->latest_pem.n == 0 || !rc_ok(pem_parse(a, x->latest_pem, &file, NULL)) || file.n == 0) return false;
  return rc_ok(cert_parse(a, file.blocks[0].der, &leaf, NULL)) && slice_eq(leaf.spki.raw, csr->spki.raw);
}

static bool is_transient(rc_t r)
{
  switch (r.code) {
  case RC_CLOSED:
  case RC_AGAIN:
  case RC_TIMEOUT:
  case RC_NOMEM:
  case RC_IO:
  case RC_INTERNAL: return true;
  default: return false;
  }
}

static rc_t known(const core_t *core, arena_t *a, slice_t fingerprint, bool *ret, err_t *e)
{
  DB_READ_SCOPED db_read_t *r = NULL;
  TRY(db_read_begin(core->db, &r, e));
  rc_t got = db_one(r, SQL(a, version_by_fingerprint, .fingerprint = fingerprint), e);
  if (!rc_ok(got) && !rc_is(got, RC_NOTFOUND)) return got;
  *ret = rc_ok(got);
  return rc(RC_OK);
}

rc_t issue_csr(const core_t *core, arena_t *a, const csr_submission_t *in, err_t *e)
{
  context_t x;
  csr_t csr;
  issue_result_t result;
  err_t why = {0}, ignored = {0};
  TRY(context_read(core, a, in->certificate_id, in->agent_id, !actor_is_agent(in->who), &x, e));
  if (!x.has_agent) return err_set(e, RC_NOTFOUND, "agent", NULL, "Agent not found"); /* before anything is signed */
  rc_t got = csr_parse_pem(a, in->csr_pem, &csr, &why);
  if (rc_ok(got) && x.job.id.n == 0 && actor_is_agent(in->who) && answered_before(a, &x, &csr)) return rc(RC_OK);
  if (x.job.id.n == 0 && actor_is_agent(in->who))
    return err_set(e, RC_NOTFOUND, "no_job", NULL, "no job waits for a CSR of this agent for this certificate");
  if (rc_ok(got)) got = may_issue(&x, &why);
  if (rc_ok(got)) got = order(core, a, &x, in->agent_id, csr.der, &result, &why);
  if (!rc_ok(got)) {
    if (!is_transient(got) && x.job.id.n && !rc_ok(fail_job(core, a, &x, &why, in->who, &ignored)))
      log_err(LOG_WARN, "job not failed", &ignored);
    if (e) *e = why;
    return got;
  }
  got = commit(core, a,
               &(commit_t){.certificate = x.cert.id,
                           .agent = in->agent_id,
                           .job = x.job.id,
                           .has_targets = x.has_targets,
                           .job_attempts = x.job.attempts,
                           .max_attempts = x.policy.max_retries + 1,
                           .csr_pem = in->csr_pem,
                           .result = &result,
                           .who = in->who},
               e);
  /* The same request twice at once: the signer gave both the same leaf, and the other one stored it. */
  bool have = false;
  if (rc_is(got, RC_CONFLICT) && rc_ok(known(core, a, result.leaf.fingerprint_hex, &have, NULL)) && have)
    return rc(RC_OK);
  return got;
}

rc_t issue_give_up(const core_t *core, arena_t *a, slice_t job_id, slice_t agent_id, slice_t why, const actor_t *who,
                   err_t *e)
{
  us_t now = time_wall(core->time);
  job_look_t x;
  TRY(job_look(core->db, a, job_id, &x, e));
  stmt_t change = SQL(a, job_csr_given_up, .id = job_id, .agent = agent_id, .error = why, .at = now,
                      .next = next_attempt(now, &x.job, x.retry_s));
  return unissue(core, a, now, change, &x.job, NULL, why, who, e);
}

/* --- finishing what a crash cut off --- */

static rc_t answer_of_der(arena_t *a, slice_t der, sign_answer_t *ret, err_t *e)
{
  cert_t c;
  char hex[65];
  uint8_t serial[20] = {0};
  TRY(cert_parse(a, der, &c, e));
  slice_t s = c.serial;
  while (s.n > sizeof serial) s = slice_sub(s, 1, s.n);
  memcpy(serial + sizeof serial - s.n, s.p, s.n);
  sha256_hex(der, hex);
  slice_t fingerprint = arena_dup(a, slice_of(hex, 64));
  hex_encode(slice_of(serial, sizeof serial), hex);
  *ret = (sign_answer_t){.der = der,
                         .serial_hex = arena_dup(a, slice_of(hex, 40)),
                         .fingerprint_hex = fingerprint,
                         .not_before = c.not_before,
                         .not_after = c.not_after,
                         .key_size = c.spki.size,
                         .from_record = true};
  return cert_key_algorithm(a, &c, &ret->key_algorithm);
}

static rc_t adopt_one(const core_t *core, arena_t *a, const record_entry_t *entry, err_t *e)
{
  issue_result_t result;
  json_doc_t doc;
  context_t x;
  slice_t certificate = {NULL, 0}, agent = {NULL, 0}, job = {NULL, 0}, chain;
  bool have;
  if (entry->context.n == 0) return rc(RC_OK); /* the server's own TLS identity */
  TRY(answer_of_der(a, entry->der, &result.leaf, e));
  TRY(known(core, a, result.leaf.fingerprint_hex, &have, e));
  if (have) return rc(RC_OK);
  TRY(json_parse_object(a, entry->context, &doc, e));
  TRY(json_get_text(doc.root, "certificate", &certificate, e));
  TRY(json_get_text(doc.root, "agent", &agent, e));
  TRY(json_get_text(doc.root, "job", &job, e));
  TRY(context_read(core, a, certificate, agent, true, &x, e));
  if (!slice_eq(x.job.id, job)) job = (slice_t){NULL, 0};
  TRY(signer_ca_chain(core->signer, entry->issuer, a, &chain, e));
  buf_t pem = buf_on(a, 2 * (size_t)LIM_CERT_DER + chain.n);
  pem_emit(&pem, "CERTIFICATE", entry->der);
  buf_put(&pem, chain);
  TRY(buf_rc(&pem));
  result.pem_chain = buf_slice(&pem);
  TRY(commit(core, a,
             &(commit_t){.certificate = certificate,
                         .agent = agent,
                         .job = job,
                         .has_targets = x.has_targets,
                         .job_attempts = x.job.attempts,
                         .max_attempts = x.policy.max_retries + 1,
                         .result = &result,
                         .who = &actor_system},
             e));
  log_line(LOG_INFO, "signature without a row adopted", log_s("certificate_id", certificate),
           log_s("serial", result.leaf.serial_hex));
  return rc(RC_OK);
}

rc_t issue_adopt(const core_t *core, err_t *e)
{
  /* At most one message to the signer per worker can have been under way. */
  enum { TAIL = 1024, ARENA = 64 * 1024 * 1024, ONE = 1024 * 1024 };
  ARENA_SCOPED arena_t *all = arena_new(ARENA);
  ARENA_SCOPED arena_t *a = arena_new(ONE);
  record_entry_t *v;
  size_t n = 0;
  if (!all || !a) return rc(RC_NOMEM);
  TRY(signer_record_tail(core->signer, TAIL, all, &v, &n, e));
  for (size_t i = 0; i < n; i++) {
    err_t why = {0};
    if (!rc_ok(adopt_one(core, a, &v[i], &why))) log_err(LOG_ERROR, "signature without a row not adopted", &why);
    arena_reset(a);
  }
  return rc(RC_OK);
}
