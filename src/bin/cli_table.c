/*
 * Every command of certctl-cli. Help, flags, request and output are read from
 * these rows (spec/clients.md 2.2); `run` is set only where a command does more
 * than one request and its print.
 */
#include "bin/cli.h"

#define API "/api/v1"
#define END_FLAGS {.name = NULL}

#define PAGE_FLAGS                                                                    \
  {"page", CF_TEXT, "page", "N", false, "page to show (1)"},                          \
  {"per-page", CF_TEXT, "per_page", "N", false, "rows of a page, 1 to 500 (50)"}

#define STATUS_FLAG {"status", CF_TEXT, "status", "STATUS", false, "only rows in this state"}

#define WAIT_FLAG                                                                                      \
  {"wait", CF_SPAN, NULL, "5m", false, "wait until every job has ended, for 5m or the time given; exit 3 when it runs out"}

#define CERT_COLUMNS                                                                                         \
  {"ID", "id", CELL_ANY, false}, {"Name", "name", CELL_ANY, false},                                          \
  {"Common Name", "common_name", CELL_ANY, false}, {"Status", "status", CELL_ANY, false},                    \
  {"Issuer ID", "issuer_id", CELL_ANY, false}, {"Owner ID", "owner_id", CELL_ANY, false},                    \
  {"Team ID", "team_id", CELL_ANY, false}, {"Renewal Policy", "renewal_policy_id", CELL_ANY, true},          \
  {"Expires At", "expires_at", CELL_TIME, false}, {"SANs", "sans", CELL_ANY, false},                         \
  {"Targets", "target_ids", CELL_ANY, true}, {"Last Renewal", "last_renewal_at", CELL_TIME, true},           \
  {"Last Deployment", "last_deployment_at", CELL_TIME, true}, {"Revoked At", "revoked_at", CELL_TIME, true}, \
  {"Revocation Reason", "revocation_reason", CELL_ANY, true}

const cli_command_t cli_commands[] = {
  {.words = "certs create", .args = "NAME", .min_args = 1, .max_args = 1, .method = HTTP1_POST, .path = API "/certificates",
   .flags = {{"san", CF_LIST, "sans", "NAME", false, "DNS name, address, e-mail or URI; repeatable"},
             {"cn", CF_TEXT, "common_name", "NAME", false, "common name (the first --san, else NAME)"},
             {"target", CF_LIST, "target_ids", "ID", false, "deployment target; repeatable"},
             {"owner", CF_TEXT, "owner_id", "ID", true, "owner"},
             {"team", CF_TEXT, "team_id", "ID", true, "team"},
             {"policy", CF_TEXT, "renewal_policy_id", "ID", true, "renewal policy"},
             {"issuer", CF_TEXT, "issuer_id", "ID", false, "issuer (iss-local)"},
             {"profile", CF_TEXT, "certificate_profile_id", "ID", false, "certificate profile"},
             {"environment", CF_TEXT, "environment", "TEXT", false, "production, staging …"},
             WAIT_FLAG, END_FLAGS},
   .shape = CLI_OBJECT, .columns = {CERT_COLUMNS}, .run = cli_certs_create, .help = "Create a certificate and, with targets, have it issued and deployed"},
  {.words = "certs list", .method = HTTP1_GET, .path = API "/certificates",
   .flags = {STATUS_FLAG,
             {"issuer", CF_TEXT, "issuer_id", "ID", false, "only of this issuer"},
             {"owner", CF_TEXT, "owner_id", "ID", false, "only of this owner"},
             {"team", CF_TEXT, "team_id", "ID", false, "only of this team"},
             {"environment", CF_TEXT, "environment", "TEXT", false, "only in this environment"},
             {"sort", CF_TEXT, "sort", "FIELD", false, "notAfter, createdAt, updatedAt, commonName, name, status; - before it: descending"},
             PAGE_FLAGS, END_FLAGS},
   .shape = CLI_LIST,
   .columns = {{"ID", "id", CELL_ANY, false}, {"COMMON NAME", "common_name", CELL_ANY, false}, {"STATUS", "status", CELL_ANY, false},
               {"EXPIRES", "expires_at", CELL_DATE, false}, {"ISSUER", "issuer_id", CELL_ANY, false}},
   .help = "List certificates"},
  {.words = "certs get", .args = "ID", .min_args = 1, .max_args = 1, .method = HTTP1_GET, .path = API "/certificates/{}",
   .shape = CLI_OBJECT, .columns = {CERT_COLUMNS}, .help = "Show one certificate"},
  {.words = "certs versions", .args = "ID", .min_args = 1, .max_args = 1, .method = HTTP1_GET, .path = API "/certificates/{}/versions",
   .flags = {PAGE_FLAGS, END_FLAGS}, .shape = CLI_LIST,
   .columns = {{"ID", "id", CELL_ANY, false}, {"SERIAL", "serial_number", CELL_ANY, false}, {"NOT BEFORE", "not_before", CELL_DATE, false},
               {"NOT AFTER", "not_after", CELL_DATE, false}, {"KEY", "key_algorithm", CELL_ANY, false},
               {"SHA-256", "fingerprint_sha256", CELL_ANY, false}},
   .help = "List what has been issued for a certificate"},
  {.words = "certs renew", .args = "ID", .min_args = 1, .max_args = 1, .method = HTTP1_POST, .path = API "/certificates/{}/renew",
   .flags = {{"force", CF_BOOL, "force", NULL, false, "also when a renewal is under way"}, WAIT_FLAG, END_FLAGS},
   .shape = CLI_OBJECT, .columns = {CERT_COLUMNS}, .run = cli_certs_renew, .help = "Renew a certificate now"},

  {.words = "agents list", .method = HTTP1_GET, .path = API "/agents", .flags = {STATUS_FLAG, PAGE_FLAGS, END_FLAGS}, .shape = CLI_LIST,
   .columns = {{"ID", "id", CELL_ANY, false}, {"HOSTNAME", "hostname", CELL_ANY, false}, {"STATUS", "status", CELL_ANY, false},
               {"OS", "os", CELL_ANY, false}, {"ARCHITECTURE", "architecture", CELL_ANY, false}, {"IP ADDRESS", "ip_address", CELL_ANY, false}},
   .help = "List agents"},
  {.words = "agents get", .args = "ID", .min_args = 1, .max_args = 1, .method = HTTP1_GET, .path = API "/agents/{}", .shape = CLI_OBJECT,
   .columns = {{"ID", "id", CELL_ANY, false}, {"Name", "name", CELL_ANY, false}, {"Hostname", "hostname", CELL_ANY, false},
               {"Status", "status", CELL_ANY, false}, {"OS", "os", CELL_ANY, false}, {"Architecture", "architecture", CELL_ANY, false},
               {"IP Address", "ip_address", CELL_ANY, false}, {"Version", "version", CELL_ANY, false},
               {"Last Heartbeat", "last_heartbeat_at", CELL_TIME, false}, {"Retired At", "retired_at", CELL_TIME, true}},
   .help = "Show one agent"},

  {.words = "jobs list", .method = HTTP1_GET, .path = API "/jobs",
   .flags = {STATUS_FLAG, {"type", CF_TEXT, "type", "TYPE", false, "Issuance, Renewal or Deployment"},
             {"certificate", CF_TEXT, "certificate_id", "ID", false, "only of this certificate"}, PAGE_FLAGS, END_FLAGS},
   .shape = CLI_LIST,
   .columns = {{"ID", "id", CELL_ANY, false}, {"TYPE", "type", CELL_ANY, false}, {"CERTIFICATE", "certificate_id", CELL_ANY, false},
               {"STATUS", "status", CELL_ANY, false}, {"ATTEMPTS", "attempts", CELL_ANY, false}},
   .help = "List jobs"},
  {.words = "jobs get", .args = "ID", .min_args = 1, .max_args = 1, .method = HTTP1_GET, .path = API "/jobs/{}", .shape = CLI_OBJECT,
   .columns = {{"ID", "id", CELL_ANY, false}, {"Type", "type", CELL_ANY, false}, {"Certificate ID", "certificate_id", CELL_ANY, false},
               {"Target ID", "target_id", CELL_ANY, true}, {"Agent ID", "agent_id", CELL_ANY, true}, {"Status", "status", CELL_ANY, false},
               {"Attempts", "attempts", CELL_ANY, false}, {"Max Attempts", "max_attempts", CELL_ANY, false},
               {"Last Error", "last_error", CELL_ANY, true}, {"Verification", "verification_status", CELL_ANY, true},
               {"Verification Error", "verification_error", CELL_ANY, true}, {"Created At", "created_at", CELL_TIME, false},
               {"Completed At", "completed_at", CELL_TIME, true}},
   .help = "Show one job"},
  {.words = "jobs cancel", .args = "ID", .min_args = 1, .max_args = 1, .method = HTTP1_POST, .path = API "/jobs/{}/cancel", .shape = CLI_SAY,
   .say = "Job {} cancelled", .help = "Cancel a job that is not finished"},
  {.words = "jobs retry", .args = "ID", .min_args = 1, .max_args = 1, .method = HTTP1_POST, .path = API "/jobs/{}/retry", .shape = CLI_SAY,
   .say = "Job {} will run again", .help = "Run a failed job again"},

  {.words = "issuers list", .method = HTTP1_GET, .path = API "/issuers", .flags = {PAGE_FLAGS, END_FLAGS}, .shape = CLI_LIST,
   .columns = {{"ID", "id", CELL_ANY, false}, {"NAME", "name", CELL_ANY, false}, {"TYPE", "type", CELL_ANY, false},
               {"ENABLED", "enabled", CELL_ANY, false}, {"TEST STATUS", "test_status", CELL_ANY, false}},
   .help = "List issuers"},
  {.words = "issuers get", .args = "ID", .min_args = 1, .max_args = 1, .method = HTTP1_GET, .path = API "/issuers/{}", .shape = CLI_OBJECT,
   .columns = {{"ID", "id", CELL_ANY, false}, {"Name", "name", CELL_ANY, false}, {"Type", "type", CELL_ANY, false},
               {"Enabled", "enabled", CELL_ANY, false}, {"Source", "source", CELL_ANY, true}, {"Config", "config", CELL_ANY, true},
               {"Test Status", "test_status", CELL_ANY, true}, {"Last Tested", "last_tested_at", CELL_TIME, true},
               {"Created At", "created_at", CELL_TIME, false}, {"Updated At", "updated_at", CELL_TIME, false}},
   .help = "Show one issuer"},

  {.words = "targets list", .method = HTTP1_GET, .path = API "/targets", .flags = {PAGE_FLAGS, END_FLAGS}, .shape = CLI_LIST,
   .columns = {{"ID", "id", CELL_ANY, false}, {"NAME", "name", CELL_ANY, false}, {"TYPE", "type", CELL_ANY, false},
               {"AGENT", "agent_id", CELL_ANY, false}, {"ENABLED", "enabled", CELL_ANY, false}},
   .help = "List deployment targets"},
  {.words = "targets get", .args = "ID", .min_args = 1, .max_args = 1, .method = HTTP1_GET, .path = API "/targets/{}", .shape = CLI_OBJECT,
   .columns = {{"ID", "id", CELL_ANY, false}, {"Name", "name", CELL_ANY, false}, {"Type", "type", CELL_ANY, false},
               {"Agent ID", "agent_id", CELL_ANY, false}, {"Enabled", "enabled", CELL_ANY, false}, {"Config", "config", CELL_ANY, true},
               {"Retired At", "retired_at", CELL_TIME, true}, {"Created At", "created_at", CELL_TIME, false},
               {"Updated At", "updated_at", CELL_TIME, false}},
   .help = "Show one deployment target"},

  {.words = "ca root", .args = "[ISSUER]", .max_args = 1, .method = HTTP1_GET, .path = "/.well-known/pki/ca/{}", .shape = CLI_OWN,
   .run = cli_ca_root, .help = "Print the CA certificates of an issuer (iss-local) as PEM"},
  {.words = "inspect", .args = "FILE...", .min_args = 1, .max_args = CLI_ARGS_MAX, .shape = CLI_OWN, .run = cli_inspect, .offline = true,
   .help = "Read certificates from PEM or DER files and print them as JSON; exit 1 if any is refused"},
  {.words = "status", .method = HTTP1_GET, .path = "/health", .shape = CLI_OWN, .run = cli_status,
   .help = "Show whether the server is well, what it counts, and what needs attention"},
  {.words = "version", .shape = CLI_OWN, .run = cli_version, .offline = true, .help = "Print the version"},
};

const size_t cli_ncommands = COUNT_OF(cli_commands);
