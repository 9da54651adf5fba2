#include "rows.h"

static const char *const statuses[] = {"Pending", "Active", "Expiring", "Expired", "RenewalInProgress", "Failed", "Revoked",
                                       "Archived", NULL};
static const char *const job_types[] = {"Issuance", "Renewal", "Deployment", NULL};
static const char *const job_states[] = {"Pending", "AwaitingCSR", "AwaitingApproval", "Running", "Completed", "Failed",
                                         "Cancelled", NULL};

static const field_t team_fields[] = {
  FIELD(team_t, id, FT_TEXT, FF_READONLY, .help = NULL),
  FIELD(team_t, name, FT_TEXT, FF_REQUIRED | FF_FILTER, .max = 255),
  FIELD(team_t, description, FT_TEXT, FF_NULLABLE, .help = NULL),
  FIELD(team_t, created_at, FT_TIME, FF_READONLY | FF_SORT, .help = NULL),
  FIELD(team_t, updated_at, FT_TIME, FF_READONLY, .help = NULL),
};
const resource_t res_team = {.name = "team", .table = "teams", .id_prefix = "team", .fields = team_fields,
                             .nfields = COUNT_OF(team_fields), .row_size = sizeof(team_t), .order = "created_at", .order_desc = true};

static const field_t certificate_fields[] = {
  FIELD(certificate_t, id, FT_TEXT, FF_READONLY, .help = NULL),
  FIELD(certificate_t, name, FT_TEXT, FF_REQUIRED | FF_SORT | FF_FILTER, .help = NULL),
  FIELD(certificate_t, common_name, FT_TEXT, FF_REQUIRED | FF_SORT, .help = NULL),
  FIELD(certificate_t, sans, FT_TEXTS, FF_NULLABLE, .help = NULL),
  FIELD(certificate_t, environment, FT_TEXT, FF_NULLABLE | FF_SORT | FF_FILTER, .help = NULL),
  FIELD(certificate_t, owner_id, FT_TEXT, FF_REQUIRED | FF_FILTER, .help = NULL),
  FIELD(certificate_t, team_id, FT_TEXT, FF_REQUIRED | FF_FILTER, .help = NULL),
  FIELD(certificate_t, issuer_id, FT_TEXT, FF_REQUIRED | FF_FILTER, .help = NULL),
  FIELD(certificate_t, renewal_policy_id, FT_TEXT, FF_REQUIRED, .help = NULL),
  FIELD(certificate_t, status, FT_ENUM, FF_SORT | FF_FILTER, .values = statuses),
  FIELD(certificate_t, tags, FT_JSON, 0, .def = "{}"),
  FIELD(certificate_t, expires_at, FT_TIME, FF_SORT | FF_FILTER, .help = NULL),
  FIELD(certificate_t, created_at, FT_TIME, FF_SORT | FF_FILTER, .help = NULL),
  FIELD(certificate_t, updated_at, FT_TIME, FF_SORT | FF_FILTER, .help = NULL),
};
const resource_t res_certificate = {.name = "certificate", .table = "managed_certificates", .id_prefix = "cert",
                                    .fields = certificate_fields, .nfields = COUNT_OF(certificate_fields),
                                    .row_size = sizeof(certificate_t), .order = "created_at"};

static const field_t audit_fields[] = {
  FIELD(audit_t, id, FT_TEXT, FF_READONLY, .help = NULL),
  FIELD(audit_t, actor, FT_TEXT, 0, .help = NULL),
  FIELD(audit_t, actor_type, FT_TEXT, 0, .help = NULL),
  FIELD(audit_t, action, FT_TEXT, 0, .help = NULL),
  FIELD(audit_t, resource_type, FT_TEXT, 0, .help = NULL),
  FIELD(audit_t, resource_id, FT_TEXT, FF_FILTER, .help = NULL),
  FIELD(audit_t, details, FT_JSON, FF_NULLABLE, .help = NULL),
  FIELD(audit_t, timestamp, FT_TIME, FF_FILTER, .help = NULL),
  FIELD(audit_t, event_category, FT_TEXT, 0, .help = NULL),
};
const resource_t res_audit = {.name = "audit_event", .table = "audit_events", .id_prefix = "audit", .fields = audit_fields,
                              .nfields = COUNT_OF(audit_fields), .row_size = sizeof(audit_t), .order = "timestamp",
                              .order_desc = true};

static const field_t job_fields[] = {
  FIELD(job_t, id, FT_TEXT, FF_READONLY, .help = NULL),
  FIELD(job_t, type, FT_ENUM, FF_FILTER, .values = job_types),
  FIELD(job_t, certificate_id, FT_TEXT, FF_NULLABLE | FF_FILTER, .help = NULL),
  FIELD(job_t, agent_id, FT_TEXT, FF_NULLABLE | FF_FILTER, .help = NULL),
  FIELD(job_t, status, FT_ENUM, FF_FILTER, .values = job_states),
  FIELD(job_t, attempts, FT_INT, 0, .help = NULL),
  FIELD(job_t, created_at, FT_TIME, 0, .help = NULL),
  FIELD(job_t, next_run_at, FT_TIME, FF_NULLABLE, .help = NULL),
};
const resource_t res_job = {.name = "job", .table = "jobs", .id_prefix = "job", .fields = job_fields,
                            .nfields = COUNT_OF(job_fields), .row_size = sizeof(job_t), .order = "created_at", .order_desc = true};

const resource_t *const test_resources[] = {&res_team, &res_certificate, &res_audit, &res_job};
const size_t test_resources_n = COUNT_OF(test_resources);
