#include "targets/nginx.h"

#include "base/log.h"
#include "targets/atomic.h"
#include "targets/command.h"
#include "targets/endpoint.h"
#include "targets/pair.h"
#include "wire/json_in.h"

#include <stdio.h>

enum { CERT_MODE = 0644, KEY_MODE = 0600, RETENTION_MAX = 100, NS_PER_MS = 1000000 };

#define MINUTE_NS INT64_C(60000000000)

typedef struct nginx_conf {
  slice_t cert_path, key_path, chain_path;
  slice_t reload_command, validate_command;
  int64_t cert_file_mode, chain_file_mode, key_file_mode;
  slice_t cert_file_owner, cert_file_group;
  slice_t chain_file_owner, chain_file_group;
  slice_t key_file_owner, key_file_group;
  slice_t post_deploy_verify;
  int64_t post_deploy_verify_attempts, post_deploy_verify_backoff, post_deploy_verify_max_backoff;
  int64_t backup_retention;
} nginx_conf_t;

#define TEXT(member, fflags, most, words) FIELD(nginx_conf_t, member, FT_TEXT, fflags, .max = (most), .help = words)
#define INT(member, low, high, default_text, words) \
  FIELD(nginx_conf_t, member, FT_INT, 0, .min = (low), .max = (high), .def = default_text, .help = words)

static const field_t fields[] = {
  TEXT(cert_path, FF_REQUIRED, LIM_PATH, "file nginx reads the certificate from, absolute; with the chain behind it unless chain_path is set"),
  TEXT(key_path, 0, LIM_PATH, "file nginx reads the private key from, absolute"),
  TEXT(chain_path, 0, LIM_PATH, "file for the chain alone, absolute"),
  TEXT(reload_command, FF_REQUIRED, LIM_COMMAND, "makes nginx read its files again, as in: nginx -s reload; no shell, 30 s at most"),
  TEXT(validate_command, FF_REQUIRED, LIM_COMMAND, "tests the new files at their final place, as in: nginx -t; no shell, 30 s at most"),
  INT(cert_file_mode, 0, 0777, "0", "decimal of the octal mode (0644 is 420); 0: that of the existing file, else 0644"),
  INT(chain_file_mode, 0, 0777, "0", "as cert_file_mode"),
  INT(key_file_mode, 0, 0770, "0", "decimal of the octal mode (0640 is 416), nothing for others; 0: that of the existing file, else 0600"),
  TEXT(cert_file_owner, 0, 64, "user name or number; empty: that of the existing file"),
  TEXT(cert_file_group, 0, 64, "group name or number; empty: that of the existing file"),
  TEXT(chain_file_owner, 0, 64, "as cert_file_owner"),
  TEXT(chain_file_group, 0, 64, "as cert_file_group"),
  TEXT(key_file_owner, 0, 64, "as cert_file_owner"),
  TEXT(key_file_group, 0, 64, "as cert_file_group"),
  FIELD(nginx_conf_t, post_deploy_verify, FT_JSON, 0, .max = 1024,
        .help = "{\"enabled\", \"endpoint\": \"host:port\", \"timeout\": ns}: where the new certificate must show in a handshake"),
  INT(post_deploy_verify_attempts, 0, 10, "3", "handshakes tried after a reload"),
  INT(post_deploy_verify_backoff, 0, MINUTE_NS, "1000000000", "nanoseconds before the second one; doubles"),
  INT(post_deploy_verify_max_backoff, 0, MINUTE_NS, "16000000000", "nanoseconds at most between two"),
  INT(backup_retention, -1, RETENTION_MAX, "3", "old versions kept beside each file; -1: none once the new one is verified"),
};

static const resource_t shape = {
  .name = "nginx target", .fields = fields, .nfields = COUNT_OF(fields), .row_size = sizeof(nginx_conf_t)};

/* What comes of the configuration and is needed by the hooks. */
typedef struct nginx {
  const deploy_context_t *cx;
  const deploy_job_t *job;
  nginx_conf_t conf;
  endpoint_conf_t endpoint;
  deploy_result_t *result;
} nginx_t;

static rc_t check_path(const char *field, slice_t path, err_t *e)
{
  if (path.n == 0 || (path.p[0] == '/' && path.n > 1)) return rc(RC_OK);
  return err_quote(e, RC_INVALID, "deploy_path", field, "must be an absolute path", path);
}

static rc_t check_distinct(const nginx_conf_t *c, err_t *e)
{
  if (c->key_path.n && slice_eq(c->key_path, c->cert_path))
    return err_set(e, RC_INVALID, "deploy_path", "key_path", "must not be the file of the certificate");
  if (c->chain_path.n && (slice_eq(c->chain_path, c->cert_path) || slice_eq(c->chain_path, c->key_path)))
    return err_set(e, RC_INVALID, "deploy_path", "chain_path", "must be a file of its own");
  return rc(RC_OK);
}

/* 0 and absent mean the default for these, as in every client's configurations. */
static int64_t or_default(int64_t v, int64_t def)
{
  return v ? v : def;
}

static rc_t conf_read(slice_t json, arena_t *a, nginx_conf_t *c, endpoint_conf_t *endpoint, err_t *e)
{
  json_doc_t doc = {0};
  uint64_t present = 0;
  TRY(json_parse_object(a, json, &doc, e));
  TRY(json_row_read(&shape, a, doc.root, c, &present, e));
  TRY(json_row_defaults(&shape, a, present, c, e));
  TRY(json_row_required(&shape, c, e));
  TRY(check_path("cert_path", c->cert_path, e));
  TRY(check_path("key_path", c->key_path, e));
  TRY(check_path("chain_path", c->chain_path, e));
  TRY(check_distinct(c, e));
  TRY(command_check("reload_command", c->reload_command, a, e));
  TRY(command_check("validate_command", c->validate_command, a, e));
  if (c->key_file_mode & 07)
    return err_set(e, RC_INVALID, "key_mode", "key_file_mode", "must give others no access to the key");
  TRY(endpoint_conf_read(c->post_deploy_verify, a, endpoint, e));
  endpoint->attempts = or_default(c->post_deploy_verify_attempts, 3);
  endpoint->backoff_ms = or_default(c->post_deploy_verify_backoff / NS_PER_MS, 1000);
  endpoint->max_backoff_ms = or_default(c->post_deploy_verify_max_backoff / NS_PER_MS, 16000);
  return rc(RC_OK);
}

static rc_t nginx_check(slice_t json, arena_t *a, err_t *e)
{
  nginx_conf_t c = {0};
  endpoint_conf_t endpoint = {0};
  return conf_read(json, a, &c, &endpoint, e);
}

/* --- hooks --- */

static rc_t validate(void *self, err_t *e)
{
  nginx_t *n = self;
  return command_run(n->cx, "validate_command", n->conf.validate_command, e);
}

static rc_t reload(void *self, err_t *e)
{
  nginx_t *n = self;
  return command_run(n->cx, "reload_command", n->conf.reload_command, e);
}

static rc_t verify(void *self, bool once, err_t *e)
{
  nginx_t *n = self;
  return endpoint_verify(n->cx, &n->endpoint, n->job->first_dns_name, once, n->result, e);
}

/* --- files --- */

static void put_pem(buf_t *b, slice_t pem)
{
  buf_put(b, pem);
  if (pem.n > 0 && pem.p[pem.n - 1] != '\n') buf_byte(b, '\n');
}

static const char *const accounts[] = {"nginx", "www-data", NULL};

/* Files of the job; their bytes stay in the arena, but the key's are the job's own. */
static rc_t plan_files(const nginx_t *n, atomic_file_t files[ATOMIC_FILES], size_t *ret_n, err_t *e)
{
  const nginx_conf_t *c = &n->conf;
  buf_t cert = buf_on(n->cx->arena, LIM_PEM_FILE), chain = buf_on(n->cx->arena, LIM_PEM_FILE);
  size_t count = 0;
  put_pem(&cert, n->job->leaf_pem);
  put_pem(c->chain_path.n ? &chain : &cert, n->job->chain_pem);
  if (!rc_ok(buf_rc(&cert)) || !rc_ok(buf_rc(&chain)))
    return err_set(e, RC_NOMEM, "deploy_memory", NULL, "out of memory");

  files[count++] = (atomic_file_t){.path = c->cert_path, .bytes = buf_slice(&cert), .mode = (uint32_t)c->cert_file_mode,
                                   .default_mode = CERT_MODE, .owner = c->cert_file_owner, .group = c->cert_file_group,
                                   .accounts = accounts};
  if (c->chain_path.n)
    files[count++] = (atomic_file_t){.path = c->chain_path, .bytes = buf_slice(&chain), .mode = (uint32_t)c->chain_file_mode,
                                     .default_mode = CERT_MODE, .owner = c->chain_file_owner, .group = c->chain_file_group,
                                     .accounts = accounts};
  if (c->key_path.n)
    files[count++] = (atomic_file_t){.path = c->key_path, .bytes = n->job->key_pem, .secret = true,
                                     .mode = (uint32_t)c->key_file_mode, .default_mode = KEY_MODE,
                                     .owner = c->key_file_owner, .group = c->key_file_group, .accounts = accounts};
  *ret_n = count;
  return rc(RC_OK);
}

static void tell(const deploy_context_t *cx, const char *what, const err_t *e)
{
  char text[256];
  buf_t *b = target_report(cx);
  if (!b) return;
  err_format(e, text, sizeof text);
  buf_printf(b, "%s: %s", what, text);
}

static rc_t nginx_deploy(const deploy_context_t *cx, const deploy_job_t *job, deploy_result_t *ret, err_t *e)
{
  err_t local = {0};
  nginx_t n = {.cx = cx, .job = job, .result = ret};
  atomic_file_t files[ATOMIC_FILES];
  atomic_plan_t plan = {.files = files};
  if (!e) e = &local;
  *ret = (deploy_result_t){0};
  rc_t r = conf_read(job->config, cx->arena, &n.conf, &n.endpoint, e);
  if (rc_ok(r)) r = pair_check(job, time_wall(cx->time), cx->arena, ret->expected_sha256, e);
  if (rc_ok(r)) r = plan_files(&n, files, &plan.n, e);
  if (!rc_ok(r)) {
    tell(cx, "nothing was changed", e);
    return r;
  }
  plan.retention = n.conf.backup_retention;
  plan.hooks = (atomic_hooks_t){.validate = validate, .reload = reload, .verify = verify, .self = &n};
  if (n.endpoint.host.n == 0) log_line(LOG_WARN, "deployment is not verified", log_s("path", n.conf.cert_path));
  return atomic_deploy(cx, &plan, &ret->skipped, e);
}

static rc_t nginx_recover(const deploy_context_t *cx, slice_t config, err_t *e)
{
  nginx_t n = {.cx = cx, .job = &(deploy_job_t){0}, .result = &(deploy_result_t){0}};
  atomic_file_t files[ATOMIC_FILES];
  atomic_plan_t plan = {.files = files};
  TRY(conf_read(config, cx->arena, &n.conf, &n.endpoint, e));
  TRY(plan_files(&n, files, &plan.n, e));
  plan.hooks = (atomic_hooks_t){.reload = reload, .self = &n};
  return atomic_recover(cx, &plan, e);
}

const target_kind_t target_nginx = {
  .type = "NGINX",
  .fields = fields,
  .nfields = COUNT_OF(fields),
  .check = nginx_check,
  .deploy = nginx_deploy,
  .recover = nginx_recover,
};
