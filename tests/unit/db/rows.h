/*
 * Row types over the real tables, for tests and benchmarks of the store alone: those of the product are a floor higher.
 */
#ifndef TEST_DB_ROWS_H
#define TEST_DB_ROWS_H

#include "db/list.h"

typedef struct team {
  slice_t id, name, description;
  us_t created_at, updated_at;
} team_t;

typedef struct certificate {
  slice_t id, name, common_name;
  texts_t sans;
  slice_t environment, owner_id, team_id, issuer_id, renewal_policy_id, status, tags;
  us_t expires_at, created_at, updated_at;
} certificate_t;

typedef struct audit {
  slice_t id, actor, actor_type, action, resource_type, resource_id, details;
  us_t timestamp;
  slice_t event_category;
} audit_t;

typedef struct job {
  slice_t id, type, certificate_id, agent_id, status;
  int64_t attempts;
  us_t created_at, next_run_at;
} job_t;

extern const resource_t res_team, res_certificate, res_audit, res_job;
extern const resource_t *const test_resources[];
extern const size_t test_resources_n;

#endif
