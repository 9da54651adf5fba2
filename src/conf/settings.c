#include "conf/conf.h"

#include <stddef.h>

/* A member whose type does not fit its row is a negative array size. */
#define MEMBER_OK(type, flags, member)                                        \
  _Generic(((conf_t *)0)->member,                                             \
      secret_t: (type) == ST_TEXT && ((flags) & SF_SECRET),                   \
      slice_t: ((type) == ST_TEXT && !((flags) & SF_SECRET)) || (type) == ST_ENUM, \
      int64_t: (type) == ST_INT || (type) == ST_DURATION,                     \
      bool: (type) == ST_BOOL,                                                \
      default: 0)

#define ROW(n, member, t, f, progs, ...)                                                    \
  {.env = "CERTCTL_" #n, .name = #n, .type = (t), .flags = (f), .programs = (progs),        \
   .offset = offsetof(conf_t, member) + 0 * sizeof(char[MEMBER_OK(t, f, member) ? 1 : -1]), \
   __VA_ARGS__}

#define TEXT(n, member, progs, ...) ROW(n, member, ST_TEXT, 0, progs, __VA_ARGS__)
#define SECRET(n, member, progs, ...) ROW(n, member, ST_TEXT, SF_SECRET, progs, __VA_ARGS__)
#define BOOL(n, member, progs, ...) \
  ROW(n, member, ST_BOOL, 0, progs, .rule = "must be true or false", __VA_ARGS__)
#define INT(n, member, progs, lo, hi, ...) \
  ROW(n, member, ST_INT, 0, progs, .min = (lo), .max = (hi), .rule = "must be an integer from " #lo " to " #hi, __VA_ARGS__)
/* Intervals of loops and time-outs of jobs: spec/scale.md 2 gives the lower end; a year is the upper. */
#define INTERVAL(n, member, progs, ...)                                             \
  ROW(n, member, ST_DURATION, 0, progs, .min = 1, .max = 8760 * 3600,               \
      .rule = "must be a duration from 1s to 8760h, such as 90s or 1h30m", __VA_ARGS__)
#define ENUM(n, member, progs, vals, text, ...) \
  ROW(n, member, ST_ENUM, 0, progs, .values = (vals), .rule = "must be " text, __VA_ARGS__)

static const char *const levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const formats[] = {"json", "text", NULL};
static const char *const auth_types[] = {"api-key", "none", NULL};
static const char *const keygen_modes[] = {"agent", NULL};
static const char *const switches[] = {"on", "off", NULL};

/* The points exist only in builds with -Dfailpoints=true; elsewhere the setting is without effect. */
#ifdef CERTCTL_FAILPOINTS
enum { FAILPOINT_FLAGS = 0 };
#else
enum { FAILPOINT_FLAGS = SF_ACCEPTED };
#endif

/* In the order in which a start checks them (spec/config.md 3.1). */
static const setting_t settings[] = {
    SECRET(API_KEYS_NAMED, api_keys_named, SP_SERVER,
           .help = "API keys as `name:key` or `name:key:admin`, comma separated; the same name twice is a rotation window"),
    SECRET(AUTH_SECRET, auth_secret, SP_SERVER,
           .help = "Bare API keys, comma separated, each an admin; read only without API_KEYS_NAMED"),
    INT(SERVER_PORT, server_port, SP_SERVER, 1, 65535, .def = "8443", .help = "Port of the HTTPS listener"),
    TEXT(SERVER_TLS_CERT_PATH, server_tls_cert_path, SP_SERVER,
         .help = "PEM chain of the API; with SERVER_TLS_KEY_PATH. Without both the built-in CA issues an identity"),
    TEXT(SERVER_TLS_KEY_PATH, server_tls_key_path, SP_SERVER, .help = "PEM private key of the API"),
    SECRET(CONFIG_ENCRYPTION_KEY, config_encryption_key, SP_SERVER | SP_SIGNER,
           .rule = "must have at least 32 bytes",
           .help = "Passphrase, at least 32 bytes, that seals secret fields of connector configurations"),
    TEXT(DATABASE_URL, database_url, SP_SERVER, .rule = "must be sqlite:/path/file.db",
         .help = "Embedded store as `sqlite:/path/file.db`; unset means `certctl.db` in STATE_DIR"),
    INT(DATABASE_MAX_CONNS, database_max_conns, SP_SERVER, 1, 10000, .def = "50",
        .help = "Most database connections of the server, the writer included"),
    ROW(DATABASE_MIGRATIONS_PATH, database_migrations_path, ST_TEXT, SF_ACCEPTED, SP_SERVER,
        .help = "Accepted, without effect: migrations are part of the program"),
    ENUM(LOG_LEVEL, log_level, SP_SERVER | SP_SIGNER | SP_AGENT, levels, "debug, info, warn or error", .def = "info",
         .help = "Lowest level of the log"),
    ENUM(LOG_FORMAT, log_format, SP_SERVER | SP_SIGNER | SP_AGENT, formats, "json or text", .def = "json",
         .help = "Form of the log on standard output"),
    ENUM(AUTH_TYPE, auth_type, SP_SERVER, auth_types,
         "api-key or none (jwt and the like belong to an authenticating gateway in front)", .def = "api-key",
         .help = "How callers are known; `none` makes everybody the demo admin and needs a loopback SERVER_HOST"),
    TEXT(SERVER_HOST, server_host, SP_SERVER, .def = "127.0.0.1", .help = "Address of the HTTPS listener"),
    SECRET(AGENT_BOOTSTRAP_TOKEN, agent_bootstrap_token, SP_SERVER,
           .help = "Bearer token with which an agent may register; unset: only with an API key"),
    ENUM(KEYGEN_MODE, keygen_mode, SP_SERVER, keygen_modes, "agent", .def = "agent",
         .help = "Where private keys of certificates are made: always on the agent's host"),
    BOOL(DEMO_SEED, demo_seed, SP_SERVER, .def = "false", .help = "Add the rows of the demonstration data set at start"),
    INT(MAX_BODY_SIZE, max_body_size, SP_SERVER, 1024, 67108864, .def = "1048576", .help = "Most bytes of a request body"),
    INT(AUDIT_FLUSH_TIMEOUT_SECONDS, audit_flush_timeout_seconds, SP_SERVER, 1, 3600, .def = "30",
        .help = "Seconds a stop may take to answer requests in flight and to write what is queued"),
    INTERVAL(SCHEDULER_JOB_PROCESSOR_INTERVAL, scheduler_job_processor_interval_us, SP_SERVER, .def = "30s",
             .help = "Interval of the job loop"),
    INTERVAL(SCHEDULER_RETRY_INTERVAL, scheduler_retry_interval_us, SP_SERVER, .def = "5m",
             .help = "Interval of the loop that retries failed jobs"),
    INTERVAL(SCHEDULER_AGENT_HEALTH_CHECK_INTERVAL, scheduler_agent_health_check_interval_us, SP_SERVER, .def = "2m",
             .help = "Interval of the loop that marks silent agents offline"),
    INTERVAL(JOB_TIMEOUT_INTERVAL, job_timeout_interval_us, SP_SERVER, .def = "10m",
             .help = "Interval of the loop that ends jobs which wait too long"),
    INTERVAL(JOB_AWAITING_CSR_TIMEOUT, job_awaiting_csr_timeout_us, SP_SERVER, .def = "24h",
             .help = "How long a job waits for an agent's certificate request"),

    TEXT(STATE_DIR, state_dir, SP_SERVER | SP_SIGNER, .def = "/var/lib/certctl",
         .help = "Folder of the embedded store, TLS identity, first admin key and the signer's files"),
    TEXT(CA_CERT_PATH, ca_cert_path, SP_SERVER | SP_SIGNER,
         .help = "PEM chain of an existing CA, imported and sealed at the first start; with CA_KEY_PATH"),
    TEXT(CA_KEY_PATH, ca_key_path, SP_SERVER | SP_SIGNER, .help = "PEM private key of that CA"),
    SECRET(CA_PASSPHRASE, ca_passphrase, SP_SERVER | SP_SIGNER,
           .help = "Passphrase of the sealed CA key; without it CONFIG_ENCRYPTION_KEY, else a generated one"),
    TEXT(CA_PASSPHRASE_FILE, ca_passphrase_file, SP_SERVER | SP_SIGNER,
         .help = "File that holds the passphrase instead"),
    TEXT(CA_CEILING_FILE, ca_ceiling_file, SP_SERVER | SP_SIGNER,
         .help = "JSON limits of the built-in CA, read only when it is made"),
    ENUM(SANDBOX, sandbox, SP_SERVER | SP_SIGNER, switches, "on or off", .def = "on",
         .help = "`off` starts without Landlock and seccomp, with a warning"),
    ROW(FAILPOINT, failpoint, ST_TEXT, FAILPOINT_FLAGS, SP_SERVER | SP_SIGNER | SP_AGENT,
        .rule = "must be name or name:nth", .help = "Test builds only: kill the process at the nth passage of a named point"),

    TEXT(SERVER_URL, server_url, SP_AGENT | SP_CLI, .def = "https://localhost:8443", .flag = "server",
         .help = "Address of the server; https only"),
    SECRET(API_KEY, api_key, SP_AGENT | SP_CLI, .flag = "api-key", .help = "API key sent as bearer token"),
    TEXT(SERVER_CA_BUNDLE_PATH, server_ca_bundle_path, SP_AGENT | SP_CLI, .flag = "ca-bundle",
         .help = "PEM certificates trusted instead of the system's"),
    BOOL(SERVER_TLS_INSECURE_SKIP_VERIFY, server_tls_insecure_skip_verify, SP_AGENT, .def = "false",
         .flag = "insecure-skip-verify", .help = "Do not verify the server's certificate"),
    BOOL(SERVER_TLS_INSECURE_SKIP_VERIFY, server_tls_insecure_skip_verify, SP_CLI, .def = "false", .flag = "insecure",
         .help = "Do not verify the server's certificate"),
    TEXT(AGENT_NAME, agent_name, SP_AGENT, .def = "certctl-agent", .flag = "name", .help = "Name written to the log"),
    TEXT(AGENT_ID, agent_id, SP_AGENT, .flag = "agent-id", .help = "Id of this agent at the server; required"),
    TEXT(KEY_DIR, key_dir, SP_AGENT, .def = "/var/lib/certctl/keys", .flag = "key-dir",
         .help = "Folder of the private keys, made with mode 0700"),
};

const setting_t *conf_settings(size_t *ret_n)
{
  *ret_n = COUNT_OF(settings);
  return settings;
}
