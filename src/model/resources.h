/*
 * The resources: one row struct and one field table each. JSON, SQL, filters,
 * sorting, partial update and the reference pages come from these tables
 * (spec/model.md 1.4, spec/api.md 3).
 */
#ifndef MODEL_RESOURCES_H
#define MODEL_RESOURCES_H

#include "desc/field.h"

typedef struct team {
  slice_t id, name, description;
  us_t created_at, updated_at;
} team_t;

typedef struct owner {
  slice_t id, name, email, team_id;
  us_t created_at, updated_at;
} owner_t;

typedef struct issuer {
  slice_t id, name, type, config, source;
  bool enabled;
  us_t created_at, updated_at;
} issuer_t;

typedef struct profile {
  slice_t id, name, description, allowed_key_algorithms;
  texts_t allowed_ekus;
  int64_t max_ttl_seconds;
  bool must_staple, enabled;
  us_t created_at, updated_at;
} profile_t;

typedef struct policy {
  slice_t id, name;
  int64_t renewal_window_days, max_retries, retry_interval_seconds;
  us_t created_at, updated_at;
} policy_t;

typedef struct agent {
  slice_t id, name, hostname, status, os, architecture, ip_address, version, retired_reason, api_key_hash, instance;
  us_t last_heartbeat_at, registered_at, retired_at;
} agent_t;

typedef struct target {
  slice_t id, name, type, agent_id, config, source, retired_reason;
  bool enabled;
  us_t retired_at, created_at, updated_at;
} target_t;

typedef struct certificate {
  slice_t id, name, common_name, environment, owner_id, team_id, issuer_id, renewal_policy_id, certificate_profile_id;
  slice_t status, tags, source;
  texts_t sans, target_ids;
  us_t expires_at, last_renewal_at, last_deployment_at, created_at, updated_at;
} certificate_t;

typedef struct version {
  slice_t id, certificate_id, serial_number, fingerprint_sha256, pem_chain, csr_pem, key_algorithm, agent_id;
  int64_t key_size;
  us_t not_before, not_after, created_at;
} version_t;

typedef struct job {
  slice_t id, type, certificate_id, target_id, agent_id, status, last_error;
  slice_t verification_status, verification_error, verification_fingerprint, lease_holder;
  int64_t attempts, max_attempts;
  us_t scheduled_at, created_at, started_at, completed_at, verified_at, lease_until, next_run_at;
} job_t;

typedef struct audit {
  slice_t id, actor, actor_type, action, resource_type, resource_id, details, event_category;
  us_t timestamp;
} audit_t;

extern const resource_t res_team, res_owner, res_issuer, res_profile, res_policy, res_agent, res_agent_retired, res_target,
    res_certificate, res_version, res_job, res_audit;

/* All of them, for emitters and lint; NULL-terminated. */
extern const resource_t *const res_all[];

/* Spelling of the enumerations (spec/model.md 2). */
extern const char *const certificate_statuses[], *const job_types[], *const job_statuses[], *const agent_statuses[],
    *const actor_types[], *const audit_categories[], *const eku_names[];

#endif
