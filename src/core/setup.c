#include "core/setup.h"

#include "base/log.h"
#include "base/secret.h"
#include "core/audit.h"
#include "core/auth.h"
#include "db/sql_stmts.h"
#include "io/file.h"
#include "model/resources.h"

/* Rows whose connector exists, when there is no issuer yet. */
static rc_t issuers_put(const core_t *core, arena_t *a, us_t now, err_t *e)
{
  cmd_t *c = cmd_new(a);
  if (!c) return rc(RC_NOMEM);
  cmd_add(c,
          SQL(a, issuer_first, .id = S("iss-local"), .name = S("Local CA"), .type = S("GenericCA"), .config = S("{}"),
              .at = now),
          CMD_ANY_ROWS);
  return db_submit(core->db, c, e);
}

static rc_t grant(cmd_t *c, arena_t *a, us_t now, slice_t actor, const char *role)
{
  char uuid[UUID_LEN + 1];
  uuid_new(&rng_system, uuid);
  slice_t id = arena_printf(a, "ar-%s", uuid);
  if (!id.p) return rc(RC_NOMEM);
  cmd_add(c,
          SQL(a, auth_grant, .id = id, .actor_id = actor, .actor_type = S("APIKey"), .role_id = slice_str(role),
              .granted_by = S("bootstrap"), .at = now, .tenant = S("t-default")),
          CMD_ANY_ROWS);
  return rc(RC_OK);
}

/* Every start grants each key of the settings its role (spec/api.md 1.3). */
static rc_t grants_put(const core_t *core, arena_t *a, us_t now, err_t *e)
{
  const conf_t *conf = core->conf;
  if (conf->nkeys == 0) return rc(RC_OK);
  cmd_t *c = cmd_new(a);
  if (!c) return rc(RC_NOMEM);
  for (size_t i = 0; i < conf->nkeys; i++)
    TRY(grant(c, a, now, conf->keys[i].name, conf->keys[i].admin ? "r-admin" : "r-viewer"));
  return db_submit(core->db, c, e);
}

static rc_t admins(const core_t *core, arena_t *a, us_t now, int64_t *ret, err_t *e)
{
  DB_READ_SCOPED db_read_t *r = NULL;
  TRY(db_read_begin(core->db, &r, e));
  TRY(db_one(r, SQL(a, auth_admins, .at = now), e));
  *ret = db_col_int(r, 0);
  return rc(RC_OK);
}

/* The file is written before the row, so that a kill between leaves a key nobody has rather than a row nobody can use. */
static rc_t mint_admin(const core_t *core, arena_t *a, us_t now, err_t *e)
{
  uint8_t raw[32];
  char key[65 + 1], hash[65], uuid[UUID_LEN + 1];
  DIR_SCOPED dir_t d = DIR_CLOSED;
  TRY(dir_open((const char *)core->conf->state_dir.p, &d, e));
  rng_fill(core->rng, raw, sizeof raw);
  hex_encode(slice_of(raw, sizeof raw), key);
  auth_key_hash(slice_of(key, 64), hash);
  key[64] = '\n';
  rc_t wrote = file_write(&d, "admin.key", slice_of(key, 65), FILE_PRIVATE, e);
  secret_wipe(raw, sizeof raw);
  secret_wipe(key, sizeof key);
  TRY(wrote);
  cmd_t *c = cmd_new(a);
  uuid_new(core->rng, uuid);
  slice_t id = arena_printf(a, "ak-%s", uuid);
  if (!c || !id.p) return rc(RC_NOMEM);
  cmd_add(c,
          SQL(a, auth_key_insert, .id = id, .name = S("admin"), .key_hash = slice_str(hash), .admin = true,
              .created_by = S("bootstrap"), .at = now),
          1);
  TRY(grant(c, a, now, S("admin"), "r-admin"));
  AUDIT(c, a, now, &actor_system, .action = "bootstrap.consume", .resource_type = "api_key", .category = "auth",
        .resource_id = id,
        .details = AUDIT_FACTS(a, fact_s("actor_name", S("admin")), fact_s("role_id", S("r-admin"))));
  TRY(db_submit(core->db, c, e));
  log_line(LOG_INFO, "first administrator's key written",
           log_s("path", arena_printf(a, "%.*s/admin.key", SLICE_ARG(core->conf->state_dir))));
  return rc(RC_OK);
}

rc_t setup_store(const core_t *core, err_t *e)
{
  enum { SETUP_ARENA = 4 * 1024 * 1024 };
  ARENA_SCOPED arena_t *a = arena_new(SETUP_ARENA);
  us_t now = time_wall(core->time);
  int64_t have = 0;
  if (!a) return rc(RC_NOMEM);
  TRY(issuers_put(core, a, now, e));
  TRY(grants_put(core, a, now, e));
  TRY(admins(core, a, now, &have, e));
  if (have == 0 && slice_is(core->conf->auth_type, "api-key")) TRY(mint_admin(core, a, now, e));
  return rc(RC_OK);
}
