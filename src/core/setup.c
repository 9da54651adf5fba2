#include "core/setup.h"

#include "core/audit.h"
#include "core/auth.h"
#include "db/sql_stmts.h"
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

rc_t setup_store(const core_t *core, err_t *e)
{
  enum { SETUP_ARENA = 256 * 1024 };
  ARENA_SCOPED arena_t *a = arena_new(SETUP_ARENA);
  if (!a) return rc(RC_NOMEM);
  TRY(issuers_put(core, a, time_wall(core->time), e));
  return auth_setup(core, e);
}
