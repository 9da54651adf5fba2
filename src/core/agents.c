#include "core/agents.h"

#include "base/secret.h"
#include "core/audit.h"
#include "core/auth.h"
#include "db/list.h"
#include "db/sql_stmts.h"
#include "wire/base64.h"

rc_t agent_register(const core_t *core, arena_t *a, agent_t *g, const actor_t *who, char ret_key[AGENT_KEY_LEN + 1],
                    err_t *e)
{
  uint8_t raw[32];
  char id[ID_MAX], hash[65];
  us_t now = time_wall(core->time);
  buf_t key = buf_on(a, 64);
  rng_fill(core->rng, raw, sizeof raw);
  base64_encode(&key, BASE64_URL, slice_of(raw, sizeof raw));
  secret_wipe(raw, sizeof raw);
  TRY(buf_rc(&key));
  auth_key_hash(buf_slice(&key), hash);
  g->id = arena_dup(a, slice_of(id, id_new(res_agent.id_prefix, now.us, id)));
  g->api_key_hash = arena_dup(a, slice_of(hash, 64));
  g->status = S("Online");
  g->registered_at = g->last_heartbeat_at = now;
  g->retired_at = US_NEVER;
  cmd_t *c = cmd_new(a);
  if (!c || !g->id.p || !g->api_key_hash.p) return rc(RC_NOMEM);
  cmd_add(c, list_insert(a, &res_agent, g), 1);
  cmd_touch(c, "api_keys"); /* a principal was added */
  AUDIT(c, a, now, who, .action = "agent_registered", .resource_type = "agent", .resource_id = g->id,
        .details = AUDIT_FACTS(a, fact_s("hostname", g->hostname)));
  rc_t got = db_submit(core->db, c, e);
  memcpy(ret_key, key.p, AGENT_KEY_LEN);
  ret_key[AGENT_KEY_LEN] = 0;
  secret_wipe(key.p, key.n);
  return got;
}

typedef struct agent_state {
  us_t retired_at;
  slice_t instance;
} agent_state_t;

static rc_t state_read(const core_t *core, arena_t *a, slice_t id, agent_state_t *ret, err_t *e)
{
  DB_READ_SCOPED db_read_t *r = NULL;
  TRY(db_read_begin(core->db, &r, e));
  rc_t got = db_one(r, SQL(a, agent_state, .id = id), e);
  if (rc_is(got, RC_NOTFOUND)) return err_set(e, RC_NOTFOUND, "agent", NULL, "Agent not found");
  TRY(got);
  ret->retired_at = db_col_time(r, 0);
  return db_col_text_dup(r, 1, a, &ret->instance);
}

static rc_t living(const core_t *core, arena_t *a, slice_t id, agent_state_t *ret, err_t *e)
{
  TRY(state_read(core, a, id, ret, e));
  if (!us_is_never(ret->retired_at)) return err_set(e, RC_GONE, "agent_retired", NULL, "Agent has been retired");
  return rc(RC_OK);
}

rc_t agent_heartbeat(const core_t *core, arena_t *a, const agent_t *g, err_t *e)
{
  agent_state_t st;
  cmd_t *c = cmd_new(a);
  if (!c) return rc(RC_NOMEM);
  cmd_add(c,
          SQL(a, agent_heartbeat, .id = g->id, .at = time_wall(core->time), .hostname = g->hostname, .os = g->os,
              .architecture = g->architecture, .ip_address = g->ip_address, .version = g->version),
          1);
  rc_t got = db_submit(core->db, c, e);
  return rc_is(got, RC_CONFLICT) ? living(core, a, g->id, &st, e) : got;
}

rc_t agent_seen(const core_t *core, arena_t *a, slice_t id, slice_t instance, err_t *e)
{
  agent_state_t st;
  us_t now = time_wall(core->time);
  TRY(living(core, a, id, &st, e));
  if (instance.n == 0 || slice_eq(instance, st.instance)) return rc(RC_OK);
  cmd_t *c = cmd_new(a);
  if (!c) return rc(RC_NOMEM);
  cmd_add(c, SQL(a, agent_instance, .id = id, .instance = instance), 1);
  cmd_add(c, SQL(a, jobs_requeue_agent, .agent = id), CMD_ANY_ROWS);
  const actor_t agent = {.id = id, .type = S("Agent")};
  audit_add(c, a, now, &agent,
            &(audit_note_t){.action = "agent_restarted",
                            .resource_type = "agent",
                            .resource_id = id,
                            .details = AUDIT_FACTS(a, fact_s("instance", instance))});
  return db_submit(core->db, c, e);
}

/* --- retirement --- */

static bool is_sentinel(slice_t id)
{
  static const char *const ids[] = {"server-scanner", "cloud-aws-sm", "cloud-azure-kv", "cloud-gcp-sm"};
  for (size_t i = 0; i < COUNT_OF(ids); i++)
    if (slice_is(id, ids[i])) return true;
  return false;
}

static rc_t counts_read(const core_t *core, arena_t *a, slice_t id, agent_counts_t *ret, err_t *e)
{
  DB_READ_SCOPED db_read_t *r = NULL;
  TRY(db_read_begin(core->db, &r, e));
  TRY(db_one(r, SQL(a, agent_dependencies, .id = id), e));
  *ret = (agent_counts_t){db_col_int(r, 0), db_col_int(r, 1), db_col_int(r, 2)};
  return rc(RC_OK);
}

rc_t agent_retire(const core_t *core, arena_t *a, slice_t id, bool force, slice_t reason, const actor_t *who,
                  agent_retirement_t *ret, err_t *e)
{
  agent_state_t st;
  agent_retirement_t x = {0};
  us_t now = time_wall(core->time);
  slice_t why = reason.n ? reason : (slice_t){NULL, 0};
  if (is_sentinel(id))
    return err_set(e, RC_DENIED, "sentinel", NULL, "Agent is a reserved sentinel and cannot be retired");
  TRY(state_read(core, a, id, &st, e));
  x.already = !us_is_never(st.retired_at);
  x.retired_at = x.already ? st.retired_at : now;
  if (!x.already) {
    TRY(counts_read(core, a, id, &x.counts, e));
    if (!force && x.counts.active_targets + x.counts.active_certificates + x.counts.pending_jobs > 0) {
      *ret = x;
      return err_set(e, RC_CONFLICT, "blocked_by_dependencies", NULL,
                     "Agent has active targets, certificates or jobs; use force with a reason");
    }
    cmd_t *c = cmd_new(a);
    if (!c) return rc(RC_NOMEM);
    cmd_add(c, SQL(a, agent_retire, .id = id, .at = now, .reason = why), 1);
    if (force) {
      cmd_add(c, SQL(a, agent_retire_targets, .agent = id, .at = now, .reason = why), CMD_ANY_ROWS);
      cmd_add(c, SQL(a, jobs_cancel_agent, .agent = id, .error = S("agent was retired"), .at = now), CMD_ANY_ROWS);
    }
    cmd_touch(c, "api_keys"); /* its key now answers 410 */
    cmd_wake(c, 'a', id);
    AUDIT(c, a, now, who, .action = force ? "agent_retirement_cascaded" : "agent_retired", .resource_type = "agent",
          .resource_id = id,
          .details = AUDIT_FACTS(a, fact_s("reason", reason), fact_i("targets", x.counts.active_targets),
                               fact_i("jobs", x.counts.pending_jobs)));
    TRY(db_submit(core->db, c, e));
  }
  *ret = x;
  return rc(RC_OK);
}
