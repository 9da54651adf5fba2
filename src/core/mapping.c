#include "core/mapping.h"

#include "db/sql_stmts.h"

static rc_t grow(arena_t *a, mapping_t *m, size_t *cap)
{
  size_t want = *cap ? 2 * *cap : 16;
  mapped_t *v = ARENA_ARRAY(a, mapped_t, want);
  if (!v) return rc(RC_NOMEM);
  if (m->n) memcpy(v, m->v, m->n * sizeof *v);
  m->v = v;
  *cap = want;
  return rc(RC_OK);
}

/* Columns: target, agent, usable. */
static rc_t mapping_read(const core_t *core, arena_t *a, stmt_t s, mapping_t *ret, err_t *e)
{
  DB_READ_SCOPED db_read_t *r = NULL;
  mapping_t m = {0};
  size_t cap = 0;
  rc_t got;
  TRY(db_read_begin(core->db, &r, e));
  TRY(db_query(r, s, e));
  while (rc_ok(got = db_next(r, e))) {
    if (m.n == cap) TRY(grow(a, &m, &cap));
    TRY(db_col_text_dup(r, 0, a, &m.v[m.n].target));
    TRY(db_col_text_dup(r, 1, a, &m.v[m.n].agent));
    m.v[m.n++].usable = db_col_bool(r, 2);
  }
  *ret = m;
  return rc_is(got, RC_NOTFOUND) ? rc(RC_OK) : got;
}

rc_t mapping_of(const core_t *core, arena_t *a, slice_t certificate, slice_t agent, mapping_t *ret, err_t *e)
{
  return mapping_read(core, a,
                      agent.n ? SQL(a, certificate_targets_of_agent, .certificate = certificate, .agent = agent)
                              : SQL(a, certificate_targets, .certificate = certificate),
                      ret, e);
}

static bool maps(const mapping_t *m, slice_t target)
{
  for (size_t i = 0; i < m->n; i++)
    if (slice_eq(m->v[i].target, target)) return true;
  return false;
}

rc_t mapping_known(const core_t *core, arena_t *a, texts_t ids, mapping_t *ret, err_t *e)
{
  TRY(mapping_read(core, a, SQL(a, targets_known, .ids = ids), ret, e));
  for (size_t i = 0; i < ids.n; i++)
    if (!maps(ret, ids.v[i]))
      return err_quote(e, RC_INVALID, "unknown_reference", "target_ids", "names a target that does not exist",
                       ids.v[i]);
  return rc(RC_OK);
}
