/*
 * Every command of certctl-cli. Help, flags, request and output are read from
 * these rows (spec/clients.md 2.2); `run` is set only where a command does more
 * than one request and its print.
 */
#include "bin/cli.h"

#define API "/api/v1"
#define END_FLAGS {.name = NULL}
#define ONE_ID .args = "ID", .min_args = 1, .max_args = 1

#define PAGE_FLAGS                                                                    \
  {"page", CF_TEXT, "page", "N", false, "page to show (1)"},                          \
  {"per-page", CF_TEXT, "per_page", "N", false, "rows of a page, 1 to 500 (50)"}

#define STATUS_FLAG {"status", CF_TEXT, "status", "STATUS", false, "only rows in this state"}

#define WAIT_FLAG                                                                                      \
  {"wait", CF_SPAN, NULL, "5m", false, "follow the jobs to their end, for 5m or the time given"}

#define CERT_COLUMNS                                                                                         \
  {"ID", "id"}, {"Name", "name"},                                          \
  {"Common Name", "common_name"}, {"Status", "status"},                    \
  {"Issuer ID", "issuer_id"}, {"Owner ID", "owner_id"},                    \
  {"Team ID", "team_id"}, {"Renewal Policy", "renewal_policy_id", CELL_ANY, true},          \
  {"Expires At", "expires_at", CELL_TIME}, {"SANs", "sans"},                         \
  {"Targets", "target_ids", CELL_ANY, true}, {"Last Renewal", "last_renewal_at", CELL_TIME, true},           \
  {"Last Deployment", "last_deployment_at", CELL_TIME, true}, {"Revoked At", "revoked_at", CELL_TIME, true}, \
  {"Revocation Reason", "revocation_reason", CELL_ANY, true}

const cli_command_t cli_commands[] = {
  {.words = "certs create", .args = "NAME", .min_args = 1, .max_args = 1,
   .method = HTTP1_POST, .path = API "/certificates",
   .flags = {{"san", CF_LIST, "sans", "NAME", false, "DNS name, address, e-mail or URI; repeatable"},
             {"cn", CF_TEXT, "common_name", "NAME", false, "common name (the first --san, else NAME)"},
             {"target", CF_LIST, "target_ids", "ID", false, "deployment target; repeatable"},
             {"owner", CF_TEXT, "owner_id", "ID", true, "owner"},
             {"team", CF_TEXT, "team_id", "ID", true, "team"},
             {"policy", CF_TEXT, "renewal_policy_id", "ID", false, "renewal policy (rp-default)"},
             {"issuer", CF_TEXT, "issuer_id", "ID", false, "issuer (iss-local)"},
             {"profile", CF_TEXT, "certificate_profile_id", "ID", false, "certificate profile"},
             {"environment", CF_TEXT, "environment", "TEXT", false, "production, staging …"},
             WAIT_FLAG, END_FLAGS},
   .shape = CLI_OBJECT, .columns = {CERT_COLUMNS}, .run = cli_certs_create,
   .help = "Create a certificate and, with targets, have it issued and deployed"},
  {.words = "certs list", .path = API "/certificates",
   .flags = {STATUS_FLAG,
             {"issuer", CF_TEXT, "issuer_id", "ID", false, "only of this issuer"},
             {"owner", CF_TEXT, "owner_id", "ID", false, "only of this owner"},
             {"team", CF_TEXT, "team_id", "ID", false, "only of this team"},
             {"environment", CF_TEXT, "environment", "TEXT", false, "only in this environment"},
             {"sort", CF_TEXT, "sort", "FIELD", false, "notAfter, createdAt, commonName, name; -FIELD: descending"},
             PAGE_FLAGS, END_FLAGS},
   .shape = CLI_LIST,
   .columns = {{"ID", "id"}, {"COMMON NAME", "common_name"}, {"STATUS", "status"},
               {"EXPIRES", "expires_at", CELL_DATE}, {"ISSUER", "issuer_id"}},
   .help = "List certificates"},
  {.words = "certs get", ONE_ID, .path = API "/certificates/{}",
   .shape = CLI_OBJECT, .columns = {CERT_COLUMNS}, .help = "Show one certificate"},
  {.words = "certs versions", ONE_ID, .path = API "/certificates/{}/versions",
   .flags = {PAGE_FLAGS, END_FLAGS}, .shape = CLI_LIST,
   .columns = {{"ID", "id"}, {"SERIAL", "serial_number"}, {"NOT BEFORE", "not_before", CELL_DATE},
               {"NOT AFTER", "not_after", CELL_DATE}, {"KEY", "key_algorithm"},
               {"SHA-256", "fingerprint_sha256"}},
   .help = "List what has been issued for a certificate"},
  {.words = "certs renew", ONE_ID, .method = HTTP1_POST, .path = API "/certificates/{}/renew",
   .flags = {{"force", CF_BOOL, "force", NULL, false, "also when a renewal is under way"}, WAIT_FLAG, END_FLAGS},
   .shape = CLI_OBJECT, .columns = {CERT_COLUMNS}, .run = cli_certs_renew, .help = "Renew a certificate now"},

  {.words = "agents list", .path = API "/agents",
   .flags = {STATUS_FLAG, PAGE_FLAGS, END_FLAGS}, .shape = CLI_LIST,
   .columns = {{"ID", "id"}, {"HOSTNAME", "hostname"}, {"STATUS", "status"},
               {"OS", "os"}, {"ARCHITECTURE", "architecture"}, {"IP ADDRESS", "ip_address"}},
   .help = "List agents"},
  {.words = "agents get", ONE_ID, .path = API "/agents/{}", .shape = CLI_OBJECT,
   .columns = {{"ID", "id"}, {"Name", "name"}, {"Hostname", "hostname"},
               {"Status", "status"}, {"OS", "os"}, {"Architecture", "architecture"},
               {"IP Address", "ip_address"}, {"Version", "version"},
               {"Last Heartbeat", "last_heartbeat_at", CELL_TIME}, {"Retired At", "retired_at", CELL_TIME, true}},
   .help = "Show one agent"},

  {.words = "jobs list", .path = API "/jobs",
   .flags = {STATUS_FLAG, {"type", CF_TEXT, "type", "TYPE", false, "Issuance, Renewal or Deployment"},
             {"certificate", CF_TEXT, "certificate_id", "ID", false, "only of this certificate"},
             PAGE_FLAGS, END_FLAGS},
   .shape = CLI_LIST,
   .columns = {{"ID", "id"}, {"TYPE", "type"}, {"CERTIFICATE", "certificate_id"},
               {"STATUS", "status"}, {"ATTEMPTS", "attempts"}},
   .help = "List jobs"},
  {.words = "jobs get", ONE_ID, .path = API "/jobs/{}", .shape = CLI_OBJECT,
   .columns = {{"ID", "id"}, {"Type", "type"}, {"Certificate ID", "certificate_id"},
               {"Target ID", "target_id", CELL_ANY, true}, {"Agent ID", "agent_id", CELL_ANY, true},
               {"Status", "status"},
               {"Attempts", "attempts"}, {"Max Attempts", "max_attempts"},
               {"Last Error", "last_error", CELL_ANY, true}, {"Verification", "verification_status", CELL_ANY, true},
               {"Verification Error", "verification_error", CELL_ANY, true}, {"Created At", "created_at", CELL_TIME},
               {"Completed At", "completed_at", CELL_TIME, true}},
   .help = "Show one job"},
  {.words = "jobs cancel", ONE_ID, .method = HTTP1_POST, .path = API "/jobs/{}/cancel", .shape = CLI_SAY,
   .say = "Job {} cancelled", .help = "Cancel a job that is not finished"},
  {.words = "jobs retry", ONE_ID, .method = HTTP1_POST, .path = API "/jobs/{}/retry", .shape = CLI_SAY,
   .say = "Job {} will run again", .help = "Run a failed job again"},

  {.words = "issuers list", .path = API "/issuers",
   .flags = {PAGE_FLAGS, END_FLAGS}, .shape = CLI_LIST,
   .columns = {{"ID", "id"}, {"NAME", "name"}, {"TYPE", "type"},
               {"ENABLED", "enabled"}},
   .help = "List issuers"},
  {.words = "issuers get", ONE_ID, .path = API "/issuers/{}", .shape = CLI_OBJECT,
   .columns = {{"ID", "id"}, {"Name", "name"}, {"Type", "type"},
               {"Enabled", "enabled"}, {"Source", "source", CELL_ANY, true}, {"Config", "config", CELL_ANY, true},
               {"Created At", "created_at", CELL_TIME}, {"Updated At", "updated_at", CELL_TIME}},
   .help = "Show one issuer"},

  {.words = "targets list", .path = API "/targets",
   .flags = {PAGE_FLAGS, END_FLAGS}, .shape = CLI_LIST,
   .columns = {{"ID", "id"}, {"NAME", "name"}, {"TYPE", "type"},
               {"AGENT", "agent_id"}, {"ENABLED", "enabled"}},
   .help = "List deployment targets"},
  {.words = "targets get", ONE_ID, .path = API "/targets/{}", .shape = CLI_OBJECT,
   .columns = {{"ID", "id"}, {"Name", "name"}, {"Type", "type"},
               {"Agent ID", "agent_id"}, {"Enabled", "enabled"}, {"Config", "config", CELL_ANY, true},
               {"Retired At", "retired_at", CELL_TIME, true}, {"Created At", "created_at", CELL_TIME},
               {"Updated At", "updated_at", CELL_TIME}},
   .help = "Show one deployment target"},

  {.words = "ca root", .args = "[ISSUER]", .max_args = 1, .path = "/.well-known/pki/ca/{}",
   .shape = CLI_OWN,
   .run = cli_ca_root, .help = "Print the CA certificates of an issuer (iss-local) as PEM"},
  {.words = "inspect", .args = "FILE...", .min_args = 1, .max_args = CLI_ARGS_MAX,
   .shape = CLI_OWN, .run = cli_inspect, .offline = true,
   .help = "Read certificates from PEM or DER files and print them as JSON; exit 1 if any is refused"},
  {.words = "status", .path = "/health", .shape = CLI_OWN, .run = cli_status,
   .help = "Show whether the server is well, what it counts, and what needs attention"},
  {.words = "version", .shape = CLI_OWN, .run = cli_version, .offline = true, .help = "Print the version"},
};

const size_t cli_ncommands = COUNT_OF(cli_commands);
