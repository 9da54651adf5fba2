#include "model/resources.h"

#include <stddef.h>

const char *const certificate_statuses[] = {"Pending", "Active", "Expiring", "Expired", "RenewalInProgress", "Failed",
                                            "Revoked", "Archived", NULL};
const char *const job_types[] = {"Issuance", "Renewal", "Deployment", NULL};
const char *const job_statuses[] = {"Pending", "AwaitingCSR", "AwaitingApproval", "Running", "Completed", "Failed",
                                    "Cancelled", NULL};
const char *const agent_statuses[] = {"Online", "Offline", "Degraded", NULL};
const char *const actor_types[] = {"User", "System", "Agent", "APIKey", "Anonymous", NULL};
const char *const audit_categories[] = {"cert_lifecycle", "auth", "config", NULL};
const char *const eku_names[] = {"serverAuth", "clientAuth", "codeSigning", "emailProtection", "timeStamping", NULL};
static const char *const verification_statuses[] = {"pending", "success", "failed", "skipped", NULL};

#define NAME_MAX_LEN 255
#define ID_FIELD(row) FIELD(row, id, FT_TEXT, FF_IMMUTABLE | FF_FILTER, .max = 128, .help = "identifier; generated when left out")
#define ID_GENERATED(row) FIELD(row, id, FT_TEXT, FF_READONLY | FF_FILTER, .help = "identifier")
#define NAME_FIELD(row) FIELD(row, name, FT_TEXT, FF_REQUIRED | FF_FILTER | FF_SORT, .max = NAME_MAX_LEN, .help = "unique display name")
#define TIMES(row)                                                                                      \
  FIELD(row, created_at, FT_TIME, FF_READONLY | FF_SORT, .help = "when the row was made"),              \
  FIELD(row, updated_at, FT_TIME, FF_READONLY | FF_SORT, .help = "when the row was last changed")

#define RESOURCE(var, row, ...) \
  const resource_t var = {.fields = var##_fields, .nfields = COUNT_OF(var##_fields), .row_size = sizeof(row), __VA_ARGS__}

static const field_t res_team_fields[] = {
  ID_FIELD(team_t),
  NAME_FIELD(team_t),
  FIELD(team_t, description, FT_TEXT, FF_NULLABLE, .max = 4096, .help = "free text"),
  TIMES(team_t),
};
RESOURCE(res_team, team_t, .name = "team", .table = "teams", .id_prefix = "team", .order = "created_at", .order_desc = true,
         .audit_create = "create_team", .audit_update = "update_team", .audit_delete = "delete_team", .category = "config");

static const field_t res_owner_fields[] = {
  ID_FIELD(owner_t),
  NAME_FIELD(owner_t),
  FIELD(owner_t, email, FT_TEXT, FF_FILTER, .max = 255, .help = "address that notifications go to"),
  FIELD(owner_t, team_id, FT_TEXT, FF_REQUIRED | FF_FILTER, .max = 255, .ref = "teams", .help = "team the owner belongs to"),
  TIMES(owner_t),
};
RESOURCE(res_owner, owner_t, .name = "owner", .table = "owners", .id_prefix = "owner", .order = "created_at", .order_desc = true,
         .audit_create = "create_owner", .audit_update = "update_owner", .audit_delete = "delete_owner", .category = "config");

static const field_t res_issuer_fields[] = {
  ID_FIELD(issuer_t),
  NAME_FIELD(issuer_t),
  FIELD(issuer_t, type, FT_TEXT, FF_REQUIRED | FF_FILTER | FF_IMMUTABLE, .max = 64, .help = "kind of CA: GenericCA"),
  FIELD(issuer_t, config, FT_JSON, 0, .max = 65536, .def = "{}", .help = "settings of that kind of CA"),
  FIELD(issuer_t, enabled, FT_BOOL, FF_FILTER, .def = "true", .help = "a disabled issuer issues nothing"),
  FIELD(issuer_t, source, FT_TEXT, FF_READONLY | FF_OMITEMPTY, .def = "database", .help = "database, or env for rows made at first start"),
  TIMES(issuer_t),
};
RESOURCE(res_issuer, issuer_t, .name = "issuer", .table = "issuers", .id_prefix = "issuer", .order = "created_at", .order_desc = true,
         .audit_create = "create_issuer", .audit_update = "update_issuer", .audit_delete = "delete_issuer", .category = "config");

static const field_t res_profile_fields[] = {
  ID_FIELD(profile_t),
  NAME_FIELD(profile_t),
  FIELD(profile_t, description, FT_TEXT, FF_NULLABLE, .max = 4096, .help = "free text"),
  FIELD(profile_t, allowed_key_algorithms, FT_JSON, 0, .max = 4096,
        .def = "[{\"algorithm\":\"ECDSA\",\"min_size\":256},{\"algorithm\":\"RSA\",\"min_size\":2048}]",
        .help = "array of {algorithm, min_size}: keys a CSR may bring"),
  FIELD(profile_t, max_ttl_seconds, FT_INT, 0, .min = 0, .max = INT32_MAX, .help = "longest lifetime; 0 = the issuer's own"),
  FIELD(profile_t, allowed_ekus, FT_TEXTS, 0, .max = 8, .def = "[\"serverAuth\"]", .help = "extended key usages of the leaf"),
  FIELD(profile_t, must_staple, FT_BOOL, 0, .help = "adds the TLS feature extension (RFC 7633)"),
  FIELD(profile_t, enabled, FT_BOOL, FF_FILTER, .def = "true", .help = "nothing is issued under a disabled profile"),
  TIMES(profile_t),
};
RESOURCE(res_profile, profile_t, .name = "profile", .table = "certificate_profiles", .id_prefix = "prof", .order = "created_at",
         .order_desc = true, .audit_create = "create_profile", .audit_update = "update_profile",
         .audit_delete = "delete_profile", .category = "config");

static const field_t res_policy_fields[] = {
  ID_FIELD(policy_t),
  NAME_FIELD(policy_t),
  FIELD(policy_t, renewal_window_days, FT_INT, 0, .min = 1, .max = 365, .def = "30",
        .help = "days before the end at which a certificate counts as Expiring"),
  FIELD(policy_t, max_retries, FT_INT, 0, .min = 0, .max = 10, .def = "3", .help = "further attempts after the first"),
  FIELD(policy_t, retry_interval_seconds, FT_INT, 0, .min = 60, .max = 86400, .def = "3600", .help = "pause before an attempt is repeated"),
  TIMES(policy_t),
};
RESOURCE(res_policy, policy_t, .name = "renewal_policy", .table = "renewal_policies", .id_prefix = "rp", .order = "name",
         .audit_create = "create_renewal_policy", .audit_update = "update_renewal_policy",
         .audit_delete = "delete_renewal_policy", .category = "config");

#define AGENT_FIELDS                                                                                                          \
  ID_GENERATED(agent_t),                                                                                                      \
  FIELD(agent_t, name, FT_TEXT, FF_REQUIRED | FF_FILTER | FF_SORT, .max = 128, .help = "unique display name"),                \
  FIELD(agent_t, hostname, FT_TEXT, FF_REQUIRED | FF_FILTER, .max = 255, .help = "host it runs on"),                          \
  FIELD(agent_t, status, FT_ENUM, FF_READONLY | FF_FILTER, .values = agent_statuses, .help = "set by heartbeats and the agent-health loop"), \
  FIELD(agent_t, last_heartbeat_at, FT_TIME, FF_READONLY | FF_OMITEMPTY | FF_NULLABLE, .help = "last sign of life"),          \
  FIELD(agent_t, registered_at, FT_TIME, FF_READONLY | FF_SORT, .help = "when it was registered"),                            \
  FIELD(agent_t, os, FT_TEXT, FF_FILTER, .max = 100, .help = "operating system"),                                             \
  FIELD(agent_t, architecture, FT_TEXT, FF_FILTER, .max = 100, .help = "machine type"),                                       \
  FIELD(agent_t, ip_address, FT_TEXT, 0, .max = 45, .help = "its address as it sees it"),                                     \
  FIELD(agent_t, version, FT_TEXT, FF_FILTER, .max = 50, .help = "version of the agent program"),                             \
  FIELD(agent_t, retired_at, FT_TIME, FF_READONLY | FF_OMITEMPTY | FF_NULLABLE, .help = "when it was retired"),               \
  FIELD(agent_t, retired_reason, FT_TEXT, FF_READONLY | FF_OMITEMPTY | FF_NULLABLE, .help = "why it was retired"),            \
  FIELD(agent_t, api_key_hash, FT_TEXT, FF_READONLY | FF_HIDDEN, .help = "SHA-256 of its key"),                               \
  FIELD(agent_t, instance, FT_TEXT, FF_READONLY | FF_HIDDEN | FF_NULLABLE, .help = "process that polled last (Certctl-Instance)")

static const field_t res_agent_fields[] = {AGENT_FIELDS};
RESOURCE(res_agent, agent_t, .name = "agent", .table = "agents", .id_prefix = "agent", .order = "registered_at", .order_desc = true,
         .where = "retired_at is null", .audit_create = "agent_registered", .audit_delete = "agent_retired",
         .category = "cert_lifecycle");

static const field_t res_agent_retired_fields[] = {AGENT_FIELDS};
RESOURCE(res_agent_retired, agent_t, .name = "agent", .table = "agents", .id_prefix = "agent", .order = "retired_at",
         .order_desc = true, .where = "retired_at is not null", .category = "cert_lifecycle");

static const field_t res_target_fields[] = {
  ID_FIELD(target_t),
  FIELD(target_t, name, FT_TEXT, FF_REQUIRED | FF_FILTER | FF_SORT, .max = NAME_MAX_LEN, .help = "display name, unique per agent"),
  FIELD(target_t, type, FT_TEXT, FF_REQUIRED | FF_FILTER, .max = 64, .help = "kind of server (targets table)"),
  FIELD(target_t, agent_id, FT_TEXT, FF_REQUIRED | FF_FILTER, .max = 255, .ref = "agents", .help = "agent that deploys to it"),
  FIELD(target_t, config, FT_JSON, 0, .max = 65536, .def = "{}", .help = "settings of that kind of target"),
  FIELD(target_t, enabled, FT_BOOL, FF_FILTER, .def = "true", .help = "nothing is deployed to a disabled target"),
  FIELD(target_t, source, FT_TEXT, FF_READONLY | FF_OMITEMPTY, .def = "database", .help = "where the row came from"),
  FIELD(target_t, retired_at, FT_TIME, FF_READONLY | FF_OMITEMPTY | FF_NULLABLE, .help = "when its agent was retired"),
  FIELD(target_t, retired_reason, FT_TEXT, FF_READONLY | FF_OMITEMPTY | FF_NULLABLE, .help = "why"),
  TIMES(target_t),
};
RESOURCE(res_target, target_t, .name = "target", .table = "deployment_targets", .id_prefix = "target", .order = "created_at",
         .order_desc = true, .audit_create = "create_target", .audit_update = "update_target",
         .audit_delete = "delete_target", .category = "config");

static const field_t res_certificate_fields[] = {
  ID_FIELD(certificate_t),
  NAME_FIELD(certificate_t),
  FIELD(certificate_t, common_name, FT_TEXT, FF_REQUIRED | FF_SORT, .max = 253, .help = "first name of the certificate"),
  FIELD(certificate_t, sans, FT_TEXTS, 0, .max = 100, .def = "[]", .help = "further names: DNS, IP, e-mail, URI"),
  FIELD(certificate_t, environment, FT_TEXT, FF_FILTER | FF_SORT, .max = 50, .help = "production, staging, development or other text"),
  FIELD(certificate_t, owner_id, FT_TEXT, FF_REQUIRED | FF_FILTER, .max = 255, .ref = "owners", .help = "owner"),
  FIELD(certificate_t, team_id, FT_TEXT, FF_REQUIRED | FF_FILTER, .max = 255, .ref = "teams", .help = "team"),
  FIELD(certificate_t, issuer_id, FT_TEXT, FF_REQUIRED | FF_FILTER, .max = 255, .ref = "issuers", .help = "CA that issues it"),
  FIELD(certificate_t, target_ids, FT_TEXTS, FF_VIRTUAL, .max = 1000, .help = "deployment targets; a PUT that has it replaces them"),
  FIELD(certificate_t, renewal_policy_id, FT_TEXT, FF_REQUIRED | FF_FILTER, .max = 255, .ref = "renewal_policies", .help = "renewal policy"),
  FIELD(certificate_t, certificate_profile_id, FT_TEXT, FF_FILTER | FF_OMITEMPTY | FF_NULLABLE, .max = 255,
        .ref = "certificate_profiles", .help = "profile that narrows what is issued"),
  FIELD(certificate_t, status, FT_ENUM, FF_FILTER | FF_SORT, .values = certificate_statuses, .def = "Pending", .help = "state (see the concepts page)"),
  FIELD(certificate_t, expires_at, FT_TIME, FF_SORT, .help = "end of the earliest current leaf; year 1 before the first"),
  FIELD(certificate_t, tags, FT_JSON, 0, .max = 16384, .def = "{}", .help = "object of texts"),
  FIELD(certificate_t, last_renewal_at, FT_TIME, FF_READONLY | FF_OMITEMPTY | FF_NULLABLE, .help = "last issuance"),
  FIELD(certificate_t, last_deployment_at, FT_TIME, FF_READONLY | FF_OMITEMPTY | FF_NULLABLE, .help = "last completed deployment"),
  FIELD(certificate_t, source, FT_TEXT, FF_OMITEMPTY | FF_FILTER, .max = 16, .help = "API, EST, SCEP, ACME, Agent or empty"),
  TIMES(certificate_t),
};
RESOURCE(res_certificate, certificate_t, .name = "certificate", .table = "managed_certificates", .id_prefix = "cert",
         .order = "created_at", .audit_create = "certificate_created", .audit_update = "certificate_updated",
         .audit_delete = "certificate_archived", .category = "cert_lifecycle");

static const field_t res_version_fields[] = {
  ID_GENERATED(version_t),
  FIELD(version_t, certificate_id, FT_TEXT, FF_READONLY | FF_FILTER, .ref = "managed_certificates", .help = "certificate"),
  FIELD(version_t, serial_number, FT_TEXT, FF_READONLY | FF_FILTER, .help = "40 lower-case hex digits"),
  FIELD(version_t, not_before, FT_TIME, FF_READONLY, .help = "start of validity"),
  FIELD(version_t, not_after, FT_TIME, FF_READONLY, .help = "end of validity"),
  FIELD(version_t, fingerprint_sha256, FT_TEXT, FF_READONLY | FF_FILTER, .help = "SHA-256 of the leaf"),
  FIELD(version_t, pem_chain, FT_TEXT, FF_READONLY, .help = "leaf, then chain"),
  FIELD(version_t, csr_pem, FT_TEXT, FF_READONLY | FF_NULLABLE, .help = "the request it answers"),
  FIELD(version_t, key_algorithm, FT_TEXT, FF_READONLY | FF_OMITEMPTY, .help = "RSA, ECDSA or Ed25519"),
  FIELD(version_t, key_size, FT_INT, FF_READONLY | FF_OMITEMPTY, .help = "bits"),
  FIELD(version_t, agent_id, FT_TEXT, FF_READONLY | FF_OMITEMPTY | FF_NULLABLE | FF_FILTER, .help = "agent that holds the key"),
  FIELD(version_t, created_at, FT_TIME, FF_READONLY, .help = "when it was issued"),
};
RESOURCE(res_version, version_t, .name = "version", .table = "certificate_versions", .id_prefix = "certver", .order = "created_at",
         .order_desc = true, .category = "cert_lifecycle");

static const field_t res_job_fields[] = {
  ID_GENERATED(job_t),
  FIELD(job_t, type, FT_ENUM, FF_READONLY | FF_FILTER, .values = job_types, .help = "kind of work"),
  FIELD(job_t, certificate_id, FT_TEXT, FF_READONLY | FF_FILTER | FF_NULLABLE, .help = "certificate"),
  FIELD(job_t, target_id, FT_TEXT, FF_READONLY | FF_FILTER | FF_OMITEMPTY | FF_NULLABLE, .help = "target of a deployment"),
  FIELD(job_t, agent_id, FT_TEXT, FF_READONLY | FF_FILTER | FF_OMITEMPTY | FF_NULLABLE, .help = "agent that does it"),
  FIELD(job_t, status, FT_ENUM, FF_READONLY | FF_FILTER, .values = job_statuses, .help = "state (see the concepts page)"),
  FIELD(job_t, attempts, FT_INT, FF_READONLY, .help = "times it was begun"),
  FIELD(job_t, max_attempts, FT_INT, FF_READONLY, .help = "times it may be begun"),
  FIELD(job_t, last_error, FT_TEXT, FF_READONLY | FF_OMITEMPTY | FF_NULLABLE, .help = "why the last attempt failed"),
  FIELD(job_t, scheduled_at, FT_TIME, FF_READONLY, .help = "when it was queued"),
  FIELD(job_t, created_at, FT_TIME, FF_READONLY, .help = "when it was made"),
  FIELD(job_t, started_at, FT_TIME, FF_READONLY | FF_OMITEMPTY | FF_NULLABLE, .help = "when the last attempt began"),
  FIELD(job_t, completed_at, FT_TIME, FF_READONLY | FF_OMITEMPTY | FF_NULLABLE, .help = "when it ended"),
  FIELD(job_t, verification_status, FT_ENUM, FF_READONLY, .values = verification_statuses, .help = "whether the endpoint shows the new leaf"),
  FIELD(job_t, verified_at, FT_TIME, FF_READONLY | FF_OMITEMPTY | FF_NULLABLE, .help = "when that was looked at"),
  FIELD(job_t, verification_error, FT_TEXT, FF_READONLY | FF_OMITEMPTY | FF_NULLABLE, .help = "why not"),
  FIELD(job_t, verification_fingerprint, FT_TEXT, FF_READONLY | FF_OMITEMPTY | FF_NULLABLE, .help = "SHA-256 of the leaf seen"),
  FIELD(job_t, lease_holder, FT_TEXT, FF_READONLY | FF_HIDDEN | FF_NULLABLE, .help = "who works on it"),
  FIELD(job_t, lease_until, FT_TIME, FF_READONLY | FF_HIDDEN | FF_NULLABLE, .help = "until when nobody else may"),
  FIELD(job_t, next_run_at, FT_TIME, FF_READONLY | FF_HIDDEN | FF_NULLABLE, .help = "not before this"),
};
RESOURCE(res_job, job_t, .name = "job", .table = "jobs", .id_prefix = "job", .order = "created_at", .order_desc = true,
         .category = "cert_lifecycle");

static const field_t res_audit_fields[] = {
  ID_GENERATED(audit_t),
  FIELD(audit_t, actor, FT_TEXT, FF_READONLY | FF_FILTER, .help = "who"),
  FIELD(audit_t, actor_type, FT_ENUM, FF_READONLY | FF_FILTER, .values = actor_types, .help = "kind of actor"),
  FIELD(audit_t, action, FT_TEXT, FF_READONLY | FF_FILTER, .help = "what was done"),
  FIELD(audit_t, resource_type, FT_TEXT, FF_READONLY | FF_FILTER, .help = "to what kind of thing"),
  FIELD(audit_t, resource_id, FT_TEXT, FF_READONLY | FF_FILTER, .help = "to which one"),
  FIELD(audit_t, details, FT_JSON, FF_READONLY | FF_NULLABLE, .help = "facts, with secrets and personal data redacted"),
  FIELD(audit_t, timestamp, FT_TIME, FF_READONLY, .help = "when"),
  FIELD(audit_t, event_category, FT_ENUM, FF_READONLY | FF_FILTER | FF_OMITEMPTY, .values = audit_categories, .help = "cert_lifecycle, auth or config"),
};
RESOURCE(res_audit, audit_t, .name = "audit", .table = "audit_events", .id_prefix = "audit", .order = "timestamp",
         .order_desc = true, .category = "auth");

const resource_t *const res_all[] = {&res_team,   &res_owner,  &res_issuer,      &res_profile, &res_policy, &res_agent,
                                     &res_target, &res_certificate, &res_version, &res_job,     &res_audit,  NULL};
