#include "api/routes.h"

#include "api/handlers.h"
#include "model/resources.h"
#include "wire/http1.h"

#define V1 "/api/v1"
#define KIB 1024u

/* `perm` must be a string literal: a route without one does not compile. */
#define ROUTE(m, p, permission, fn, ...)                                                                                       \
  {.method = (m), .path = (p), .perm = "" permission, .handler = (fn), __VA_ARGS__}

#define LISTS(p, permission, resource, text)                                                                                   \
  ROUTE(RM_GET, p, permission, rest_list, .out = (resource), .list = true, .queue = QC_BULK, .arena_max = 48 * KIB * KIB, .help = text)
#define READS(p, permission, resource, text) ROUTE(RM_GET, p, permission, rest_get, .out = (resource), .arena_max = 4096 * KIB, .help = text)
#define WRITES(m, p, permission, fn, resource, act, text)                                                                      \
  ROUTE(m, p, permission, fn, .in = (resource), .out = (resource), .body_max = 1024 * KIB, .arena_max = 4096 * KIB, .audit = (act), .help = text)

#define CRUD(p, name, resource, noun)                                                                                          \
  LISTS(p, name ".read", resource, "lists " noun),                                                                             \
  WRITES(RM_POST, p, name ".edit", rest_create, resource, "create", "adds a row of " noun),                                    \
  READS(p "/{id}", name ".read", resource, "one row of " noun),                                                                \
  WRITES(RM_PUT, p "/{id}", name ".edit", rest_update, resource, "update", "changes the fields that are sent"),                \
  ROUTE(RM_DELETE, p "/{id}", name ".delete", rest_delete, .out = (resource), .audit = "delete", .help = "removes it, unless something uses it")

/* The first row that fits is taken: /agents/retired stands before /agents/{id}. */
const route_t routes[] = {
  ROUTE(RM_GET, "/health", PERM_OPEN, system_health, .on_loop = true, .help = "alive; never asks the store"),
  ROUTE(RM_GET, "/healthz", PERM_OPEN, system_health, .on_loop = true, .help = "as /health"),
  ROUTE(RM_GET, "/ready", PERM_OPEN, system_ready, .help = "store and signer answer"),
  ROUTE(RM_GET, V1 "/version", PERM_OPEN, system_version, .on_loop = true, .help = "build facts"),
  ROUTE(RM_GET, V1 "/auth/info", PERM_OPEN, system_auth_info, .on_loop = true, .help = "how to authenticate"),
  ROUTE(RM_GET, V1 "/openapi.json", PERM_OPEN, system_openapi, .arena_max = 2048 * KIB, .help = "this table as OpenAPI 3.1"),
  ROUTE(RM_GET, "/.well-known/pki/ca/{issuer_id}", PERM_OPEN, system_ca, .help = "CA certificate: PEM chain by Accept, else DER"),

  ROUTE(RM_GET, V1 "/auth/check", PERM_ANY, system_auth_check, .on_loop = true, .help = "who the caller is"),
  ROUTE(RM_GET, V1 "/auth/me", PERM_ANY, system_auth_me, .on_loop = true, .help = "the caller's roles and permissions"),

  ROUTE(RM_GET, V1 "/certificates", "cert.read", rest_list, .out = &res_certificate, .list = true, .queue = QC_BULK, .arena_max = 48 * KIB * KIB,
        .rows_max = 500 * KIB, .help = "lists certificates"), /* rows: with their targets */
  WRITES(RM_POST, V1 "/certificates", "cert.issue", certificates_create, &res_certificate, "certificate_created",
         "adds a certificate; with target_ids it is issued and deployed"),
  READS(V1 "/certificates/{id}", "cert.read", &res_certificate, "one certificate"),
  WRITES(RM_PUT, V1 "/certificates/{id}", "cert.edit", certificates_update, &res_certificate, "certificate_updated", "changes the fields that are sent"),
  ROUTE(RM_DELETE, V1 "/certificates/{id}", "cert.delete", certificates_archive, .audit = "certificate_archived", .help = "archives it"),
  ROUTE(RM_GET, V1 "/certificates/{id}/versions", "cert.read", certificates_versions, .out = &res_version, .arena_max = 48 * KIB * KIB,
        .help = "issued certificates, newest first"),
  ROUTE(RM_GET, V1 "/certificates/{id}/deployments", "cert.read", certificates_deployments, .out = &res_target, .arena_max = 48 * KIB * KIB,
        .help = "its targets"),
  ROUTE(RM_POST, V1 "/certificates/{id}/renew", "cert.issue", certificates_renew, .status = 202, .body_max = 64 * KIB, .arena_max = 16 * KIB * KIB,
        .audit = "renewal_triggered", .help = "issues anew"),
  ROUTE(RM_POST, V1 "/certificates/{id}/deploy", "cert.edit", certificates_deploy, .status = 202, .body_max = 64 * KIB, .arena_max = 16 * KIB * KIB,
        .audit = "deployment_triggered", .help = "deploys the newest version again"),
  ROUTE(RM_PUT, V1 "/certificates/{id}/targets/{target_id}", "cert.edit", certificates_map, .status = 204, .audit = "certificate_updated",
        .help = "maps a target"),
  ROUTE(RM_DELETE, V1 "/certificates/{id}/targets/{target_id}", "cert.edit", certificates_unmap, .audit = "certificate_updated", .help = "unmaps a target"),

  CRUD(V1 "/issuers", "issuer", &res_issuer, "issuers"),
  CRUD(V1 "/targets", "target", &res_target, "deployment targets"),
  CRUD(V1 "/profiles", "profile", &res_profile, "certificate profiles"),
  CRUD(V1 "/teams", "team", &res_team, "teams"),
  CRUD(V1 "/owners", "owner", &res_owner, "owners"),
  CRUD(V1 "/renewal-policies", "policy", &res_policy, "renewal policies"),

  LISTS(V1 "/agents", "agent.read", &res_agent, "lists agents that are not retired"),
  ROUTE(RM_POST, V1 "/agents", PERM_OPEN, agents_register, .in = &res_agent, .out = &res_agent, .body_max = 64 * KIB, .arena_max = 1024 * KIB,
        .audit = "agent_registered", .help = "registers an agent (agent.edit, or the bootstrap token); its key is shown once"),
  LISTS(V1 "/agents/retired", "agent.read", &res_agent_retired, "lists retired agents"),
  ROUTE(RM_GET, V1 "/agents/{id}", "agent.read", rest_get, .out = &res_agent, .help = "one agent, retired ones too"),
  ROUTE(RM_DELETE, V1 "/agents/{id}", "agent.retire", agents_retire, .audit = "agent_retired", .help = "retires it"),
  ROUTE(RM_POST, V1 "/agents/{id}/heartbeat", "agent.heartbeat", agents_heartbeat, .queue = QC_AGENT, .body_max = 64 * KIB, .help = "sign of life"),
  ROUTE(RM_GET, V1 "/agents/{id}/work", "agent.job.poll", agents_work, .queue = QC_AGENT, .arena_max = 4096 * KIB, .statements_max = 80,
        .help = "work for the agent; Prefer: wait=50 waits for some"),
  ROUTE(RM_POST, V1 "/agents/{id}/csr", "agent.job.poll", agents_csr, .status = 202, .queue = QC_AGENT, .body_max = 64 * KIB, .arena_max = 1024 * KIB,
        .audit = "renewal_job_completed", .help = "a CSR in, a certificate issued"),
  ROUTE(RM_GET, V1 "/agents/{id}/certificates/{cert_id}", "cert.read", agents_pickup, .queue = QC_AGENT, .arena_max = 1024 * KIB,
        .help = "newest leaf and chain of this agent"),
  ROUTE(RM_POST, V1 "/agents/{id}/jobs/{job_id}/status", "agent.job.complete", agents_job_status, .queue = QC_AGENT, .body_max = 64 * KIB,
        .arena_max = 512 * KIB, .audit = "deployment_job_completed", .help = "Running, Completed or Failed"),

  LISTS(V1 "/jobs", "job.read", &res_job, "lists jobs"),
  ROUTE(RM_GET, V1 "/jobs/{id}", "job.read", jobs_get, .out = &res_job, .help = "one job; Prefer: wait=50 waits for its end"),
  ROUTE(RM_POST, V1 "/jobs/{id}/cancel", "job.cancel", jobs_cancel, .body_max = 64 * KIB, .audit = "job_cancelled", .help = "cancels it"),
  ROUTE(RM_POST, V1 "/jobs/{id}/retry", "job.cancel", jobs_retry, .body_max = 64 * KIB, .audit = "job_retry", .help = "begins a failed job again"),
  ROUTE(RM_POST, V1 "/jobs/{id}/verify", "verification.run", jobs_verify, .queue = QC_AGENT, .body_max = 64 * KIB,
        .audit = "job_verification_success", .help = "what the endpoint showed after a deployment"),
  ROUTE(RM_GET, V1 "/jobs/{id}/verification", "verification.read", jobs_verification, .help = "the same, read"),

  LISTS(V1 "/audit", "audit.read", &res_audit, "lists audit events, newest first"),
  READS(V1 "/audit/{id}", "audit.read", &res_audit, "one audit event"),

  ROUTE(RM_GET, V1 "/stats/summary", "stats.read", system_summary, .help = "counts"),
  ROUTE(RM_GET, V1 "/metrics", "metrics.read", system_metrics, .help = "counts and uptime"),
};
const size_t route_count = COUNT_OF(routes);

int route_success(const route_t *r)
{
  if (r->status) return r->status;
  return r->method == RM_DELETE ? 204 : r->method == RM_POST && r->in ? 201 : 200;
}

const char *route_method_name(route_method_t m)
{
  static const char *const names[] = {"GET", "POST", "PUT", "DELETE"};
  return names[m];
}

/* Does the path fit the pattern? Placeholders take any one segment that is not empty. Asked of each row for each request. */
static bool fits(const char *pattern, slice_t path, slice_t *param, size_t *ret_n)
{
  size_t n = 0, at = 0;
  for (; *pattern; pattern++) {
    if (*pattern != '{') {
      if (at == path.n || path.p[at++] != (uint8_t)*pattern) return false;
      continue;
    }
    size_t from = at;
    while (at < path.n && path.p[at] != '/') at++;
    if (at == from || n == ROUTE_PARAMS_MAX) return false;
    param[n++] = slice_sub(path, from, at - from);
    while (pattern[1] != 0 && *pattern != '}') pattern++;
  }
  *ret_n = n;
  return at == path.n;
}

static bool method_is(route_method_t m, int http1)
{
  switch (http1) {
  case HTTP1_GET:
  case HTTP1_HEAD: return m == RM_GET;
  case HTTP1_POST: return m == RM_POST;
  case HTTP1_PUT: return m == RM_PUT;
  case HTTP1_DELETE: return m == RM_DELETE;
  default: return false;
  }
}

const route_t *route_find(int method, slice_t path, slice_t *ret_param, size_t *ret_nparams, int *ret_status, unsigned *ret_allow)
{
  slice_t param[ROUTE_PARAMS_MAX];
  unsigned allow = 0;
  for (size_t i = 0; i < route_count; i++) {
    size_t n;
    if (!fits(routes[i].path, path, param, &n)) continue;
    if (method_is(routes[i].method, method)) {
      memcpy(ret_param, param, sizeof param);
      *ret_nparams = n;
      return &routes[i];
    }
    allow |= 1u << routes[i].method;
  }
  *ret_allow = allow;
  *ret_status = allow ? 405 : 404;
  return NULL;
}
