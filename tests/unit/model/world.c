#include "world.h"

#include "crypto/hash.h"
#include "io/channel.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static us_t wall(void *self) { return ((world_t *)self)->now; }

static int64_t mono(void *self)
{
  (void)self;
  return time_mono_us(&timesrc_system);
}

const actor_t world_root = {.id = {(const uint8_t *)"root", 4}, .type = {(const uint8_t *)"APIKey", 6}};

void must(rc_t r, const err_t *e)
{
  char text[512] = "";
  if (rc_ok(r)) return;
  if (e) (void)err_format(e, text, sizeof text);
  fail_msg("%s: %s: %s", rc_name(r), e && e->reason ? e->reason : "-", text);
}

void world_open(world_t *w)
{
  err_t e = {0};
  /* Memory-backed where there is one: the tests commit thousands of times. */
  *w = (world_t){.dir = "/dev/shm/certctl-world-XXXXXX",
                 .now = {INT64_C(1790000000) * US_PER_S},
                 .folder = DIR_CLOSED,
                 .signer_fd = -1};
  if (!mkdtemp(w->dir)) {
    *w = (world_t){.dir = "/tmp/certctl-world-XXXXXX",
                   .now = {INT64_C(1790000000) * US_PER_S},
                   .folder = DIR_CLOSED,
                   .signer_fd = -1};
    assert_non_null(mkdtemp(w->dir));
  }
  (void)snprintf(w->url, sizeof w->url, "sqlite:%s/t.db", w->dir);
  (void)snprintf(w->signer_dir, sizeof w->signer_dir, "%s/signer", w->dir);
  w->a = arena_new(256 * 1024 * 1024);
  assert_non_null(w->a);
  w->time = (timesrc_t){wall, mono, w};
  w->conf = (conf_t){.state_dir = slice_str(w->dir),
                     .auth_type = S("api-key"),
                     .max_body_size = 1024 * 1024,
                     .job_awaiting_csr_timeout_us = 86400 * US_PER_S,
                     .scheduler_agent_health_check_interval_us = 120 * US_PER_S,
                     .scheduler_job_processor_interval_us = 30 * US_PER_S,
                     .scheduler_retry_interval_us = 300 * US_PER_S,
                     .job_timeout_interval_us = 600 * US_PER_S,
                     .sandbox = S("off")};
  w->core = (core_t){.time = &w->time, .rng = &rng_system, .conf = &w->conf};
  must(db_open(&(db_options_t){.url = slice_str(w->url), .max_conns = 8, .time = &w->time, .demo_seed = true},
               &w->core.db, &e),
       &e);
}

static void *serve(void *self)
{
  world_t *w = self;
  w->served = signer_serve(w->signer, w->signer_fd, NULL);
  channel_close(&w->signer_fd);
  return NULL;
}

void world_signer(world_t *w)
{
  err_t e = {0};
  int ends[2];
  must(dir_private(w->signer_dir, &w->folder, &e), &e);
  const signer_setup_t setup = {.dir = &w->folder,
                                .passphrase = S("correct horse"),
                                .issuer = S("iss-local"),
                                .common_name = S("CertCtl Local CA"),
                                .time = &w->time,
                                .rng = &rng_system};
  must(signer_open(&setup, &w->signer, &e), &e);
  must(channel_stream(ends, &e), &e);
  w->signer_fd = ends[1];
  assert_int_equal(pthread_create(&w->thread, NULL, serve, w), 0);
  must(signer_client_new(ends[0], 60000, &w->core.signer, &e), &e);
}

void world_signer_gone(world_t *w)
{
  channel_shut(w->signer_fd);
  pthread_join(w->thread, NULL);
  signer_free(w->signer);
  w->signer = NULL;
}

static rc_t forget(void *self, const char *name)
{
  char path[512];
  (void)snprintf(path, sizeof path, "%s/%s", (const char *)self, name);
  (void)unlink(path);
  return rc(RC_OK);
}

static void empty(const char *path)
{
  dir_t d = DIR_CLOSED;
  if (!rc_ok(dir_open(path, &d, NULL))) return;
  must(dir_each(&d, forget, (void *)(uintptr_t)path, NULL), NULL);
  dir_close(&d);
  (void)rmdir(path);
}

void world_close(world_t *w)
{
  db_close(w->core.db);
  signer_client_free(w->core.signer);
  if (w->signer) {
    pthread_join(w->thread, NULL);
    signer_free(w->signer);
  }
  dir_close(&w->folder);
  arena_free(w->a);
  empty(w->signer_dir);
  empty(w->dir);
  assert_int_not_equal(access(w->dir, F_OK), 0);
}

int world_teardown(void **state)
{
  world_close(*state);
  return 0;
}

static bool first(world_t *w, const char *sql, db_read_t **r)
{
  sql_text_t *t = ARENA_NEW(w->a, sql_text_t);
  err_t e = {0};
  *t = (sql_text_t){.name = "test", .text = {sql, NULL}, .passing = true};
  must(db_read_begin(w->core.db, r, &e), &e);
  must(db_query(*r, (stmt_t){t, NULL, 0}, &e), &e);
  rc_t got = db_next(*r, &e);
  if (!rc_is(got, RC_NOTFOUND)) must(got, &e);
  return rc_ok(got);
}

int64_t world_number(world_t *w, const char *sql)
{
  DB_READ_SCOPED db_read_t *r = NULL;
  return first(w, sql, &r) ? db_col_int(r, 0) : -1;
}

slice_t world_text(world_t *w, const char *sql)
{
  DB_READ_SCOPED db_read_t *r = NULL;
  slice_t text = {NULL, 0};
  if (first(w, sql, &r)) must(db_col_text_dup(r, 0, w->a, &text), NULL);
  return text;
}

void world_run(world_t *w, const char *table, const char *sql)
{
  sql_text_t *t = ARENA_NEW(w->a, sql_text_t);
  cmd_t *c = cmd_new(w->a);
  err_t e = {0};
  *t = (sql_text_t){.name = "test", .text = {sql, NULL}, .table = table, .passing = true};
  cmd_add(c, (stmt_t){t, NULL, 0}, CMD_ANY_ROWS);
  must(db_submit(w->core.db, c, &e), &e);
}

rc_t world_submit(world_t *w, cmd_t *c) { return db_submit(w->core.db, c, NULL); }

void world_put(world_t *w, const resource_t *res, const void *row)
{
  cmd_t *c = cmd_new(w->a);
  err_t e = {0};
  cmd_add(c, list_insert(w->a, res, row), 1);
  must(db_submit(w->core.db, c, &e), &e);
}

void world_agent(world_t *w, const char *id, const char *key)
{
  char hash[65];
  sha256_hex(slice_str(key), hash);
  agent_t g = {.id = slice_str(id),
               .name = slice_str(id),
               .hostname = S("host.test"),
               .status = S("Online"),
               .api_key_hash = arena_dup(w->a, slice_of(hash, 64)),
               .last_heartbeat_at = w->now,
               .registered_at = w->now,
               .retired_at = US_NEVER};
  world_put(w, &res_agent, &g);
}

void world_target(world_t *w, const char *id, const char *agent)
{
  target_t t = {.id = slice_str(id),
                .name = slice_str(id),
                .type = S("NGINX"),
                .agent_id = slice_str(agent),
                .config = S("{}"),
                .source = S("database"),
                .enabled = true,
                .retired_at = US_NEVER,
                .created_at = w->now,
                .updated_at = w->now};
  world_put(w, &res_target, &t);
}

certificate_t world_certificate(world_t *w, const char *id, const char *name)
{
  slice_t *san = ARENA_ARRAY(w->a, slice_t, 1);
  san[0] = slice_str(name);
  return (certificate_t){.id = slice_str(id),
                         .name = slice_str(id),
                         .common_name = slice_str(name),
                         .sans = {san, 1},
                         .environment = S("test"),
                         .owner_id = S("o-alice"),
                         .team_id = S("t-platform"),
                         .issuer_id = S("iss-local"),
                         .renewal_policy_id = S("rp-standard"),
                         .status = S("Pending"),
                         .tags = S("{}"),
                         .expires_at = US_NEVER,
                         .last_renewal_at = US_NEVER,
                         .last_deployment_at = US_NEVER,
                         .created_at = w->now,
                         .updated_at = w->now};
}

job_t world_job(world_t *w, const char *id, const char *certificate, const char *type, const char *status)
{
  return (job_t){.id = slice_str(id),
                 .type = slice_str(type),
                 .certificate_id = slice_str(certificate),
                 .target_id = strcmp(type, "Deployment") == 0 ? S("tgt-a") : (slice_t){NULL, 0},
                 .agent_id = S("agent-a"),
                 .status = slice_str(status),
                 .verification_status = S("pending"),
                 .max_attempts = 3,
                 .scheduled_at = w->now,
                 .created_at = w->now,
                 .started_at = US_NEVER,
                 .completed_at = US_NEVER,
                 .verified_at = US_NEVER,
                 .lease_until = US_NEVER,
                 .next_run_at = w->now};
}
