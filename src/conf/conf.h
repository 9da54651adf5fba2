/*
 * conf_t: every setting of every program, read once from the environment (and,
 * for agent and CLI, from flags), checked, and immutable from then on. This
 * floor alone reads the environment; secrets are moved out of it into locked
 * memory and the environment's own bytes are wiped.
 *
 * Ownership: slices point into the snapshot's arena (or, for keys, its locked
 * pages), end with a zero byte behind their n bytes, and live until conf_fini.
 * Rules: spec/config.md 1 to 3, spec/scale.md 10, with the repairs of its head:
 * a malformed or out-of-range value refuses the start.
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/log.h"
#include "base/secret.h"
#include "desc/setting.h"

/* One API key from the environment. The text stays here; who compares hashes makes them once at start. */
typedef struct conf_key {
  slice_t name;
  slice_t key;  /* secret: in locked memory, never logged */
  bool admin;
} conf_key_t;

/* Something to say once at start, when the logger is up: "unknown setting" (name, nearest), "setting without effect" … */
typedef struct conf_warning {
  log_level_t level;
  const char *text;
  log_field_t fields[3];
  size_t nfields;
} conf_warning_t;

/* Members are named as the settings; `_us` marks durations. A secret that is not set has n = 0. */
typedef struct conf {
  /* server and signer */
  slice_t state_dir;
  slice_t ca_cert_path, ca_key_path; /* both or neither */
  slice_t ca_ceiling_file;
  secret_t ca_passphrase;
  slice_t ca_passphrase_file;
  secret_t config_encryption_key;
  slice_t sandbox; /* "on", "off" */
  slice_t log_level, log_format;
  slice_t failpoint;

  /* server */
  secret_t api_keys_named, auth_secret;
  int64_t server_port;
  slice_t server_host;
  slice_t server_tls_cert_path, server_tls_key_path; /* both or neither */
  slice_t database_url;
  int64_t database_max_conns;
  slice_t database_migrations_path;
  slice_t auth_type; /* "api-key", "none" */
  secret_t agent_bootstrap_token;
  bool demo_seed;
  slice_t keygen_mode;
  int64_t max_body_size;
  int64_t audit_flush_timeout_seconds;
  int64_t scheduler_job_processor_interval_us;
  int64_t scheduler_retry_interval_us;
  int64_t scheduler_agent_health_check_interval_us;
  int64_t job_timeout_interval_us;
  int64_t job_awaiting_csr_timeout_us;

  /* agent and CLI */
  slice_t server_url;
  secret_t api_key;
  slice_t server_ca_bundle_path;
  bool server_tls_insecure_skip_verify;
  slice_t agent_name, agent_id;
  slice_t key_dir;

  /* derived */
  slice_t database_path;   /* file of the embedded store: from database_url, else <state_dir>/certctl.db */
  const conf_key_t *keys;  /* api_keys_named; without it auth_secret as legacy-key-0 … (admin); none with auth_type none */
  size_t nkeys;

  /* bookkeeping */
  uint32_t program;
  const conf_warning_t *warnings;
  size_t nwarnings;
  const slice_t *raw;      /* per row of conf_settings: the text given, p == NULL where the default applies */
  arena_t *arena;
} conf_t;

/*
 * Reads and checks the settings of one program (a bit of setting_program) into
 * *ret. With `argc`, flags that are settings of that program (-flag V, --flag V,
 * -flag=V, boolean flags alone) are taken out of argv and win over the
 * environment; secrets among them are wiped in argv; nothing behind "--" is
 * looked at; everything else stays in order. An empty value counts as not set.
 * First failing rule wins, in the order of spec/config.md 3.1. RC_INVALID with
 * e->field the setting and e->text its rule, RC_FULL, RC_NOMEM.
 * Not thread-safe: call it before any thread is started.
 */
MUST rc_t conf_load(uint32_t program, int *argc, char **argv, conf_t *ret, err_t *e);

/* Wipes the secrets and frees the snapshot; safe on a zero conf_t. */
void conf_fini(conf_t *c);

/* "Failed to load configuration: CERTCTL_… must be …", terminated; the one line for stderr before exit 1. Returns its length. */
size_t conf_refusal(const err_t *e, char *out, size_t cap);

/* Sets the logger's level and form, then logs the warnings of the load. */
void conf_start_log(const conf_t *c);

/* All rows, in the order in which they are checked. */
const setting_t *conf_settings(size_t *ret_n);

/* Inventory for tests and documents: "NAME<tab>programs<tab>type<tab>flag<tab>default<tab>rule<tab>help" a line, sorted by name. */
void conf_dump(buf_t *out);

typedef struct conf_env {
  char **v;       /* NULL-terminated "NAME=value", for execve */
  secret_t block; /* holds v and the texts */
} conf_env_t;

/*
 * Environment for a child that is `program`: what this process has without any
 * CERTCTL_ name, then the settings given that are `program`'s, except those named
 * (without prefix) in the NULL-terminated `withhold` (NULL = none). RC_NOMEM.
 */
MUST rc_t conf_env_new(const conf_t *c, uint32_t program, const char *const *withhold, conf_env_t *ret);
void conf_env_fini(conf_env_t *env);

/*
 * Go duration grammar (spec/config.md 1): "1h30m", "1.5h", "250ms", "0"; in
 * microseconds, below a microsecond cut. RC_SYNTAX, or RC_FULL beyond 290 years.
 */
MUST rc_t conf_duration(slice_t s, int64_t *ret_us);

#endif
