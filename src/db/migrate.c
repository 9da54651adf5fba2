#include "db/migrate.h"

#include "base/check.h"
#include "base/log.h"
#include "db/sql_stmts.h"

static const char *const ledger_ddl[DB_ENGINES] = {
  [DB_SQLITE] = "create table if not exists schema_migrations (version text not null primary key,"
                " applied_at integer not null default (unixepoch() * 1000000)) strict, without rowid",
  [DB_PG] = "create table if not exists schema_migrations (version text primary key,"
            " applied_at timestamptz not null default now())",
};

enum { MIGRATIONS_MAX = 64 };

const db_column_t *column_find(const char *table, const char *column)
{
  for (size_t i = 0; i < db_columns_n; i++)
    if (strcmp(db_columns[i].column, column) == 0 && strcmp(db_columns[i].table, table) == 0) return &db_columns[i];
  return NULL;
}

/* Bit i: migration i is in the ledger. A version of our series that we do not know was made by a newer program. */
static rc_t ledger_read(const driver_t *d, conn_t *c, uint64_t *ret, err_t *e)
{
  uint64_t done = 0;
  CHECK(db_migrations_n <= MIGRATIONS_MAX);
  TRY(d->query(c, (stmt_t){&sql_text_ledger_versions, NULL, 0}, e));
  rc_t r;
  while (rc_ok(r = d->next(c, e))) {
    slice_t version = d->col_text(c, 0);
    size_t i = 0;
    while (i < db_migrations_n && !slice_is(version, db_migrations[i].name)) i++;
    if (i < db_migrations_n) {
      done |= UINT64_C(1) << i;
    } else if (slice_cmp(version, slice_str(db_migrations[0].name)) > 0) {
      r = err_set(e, RC_INVALID, "schema_newer", NULL, "the store was written by a newer version of this program");
      err_value(e, version.p, version.n);
      d->finish(c);
      return r;
    }
  }
  if (!rc_is(r, RC_NOTFOUND)) return r;
  *ret = done;
  return rc(RC_OK);
}

static rc_t apply(const driver_t *d, conn_t *c, const db_script_t *m, bool in_ledger, err_t *e)
{
  const val_t v[] = {val_text(slice_str(m->name))};
  int64_t rows;
  TRY(d->begin(c, true, e));
  rc_t r = d->script(c, m->text[d->engine], e);
  if (rc_ok(r) && in_ledger) r = d->exec(c, (stmt_t){&sql_text_ledger_add, v, COUNT_OF(v)}, &rows, e);
  if (rc_ok(r)) r = d->commit(c, e);
  if (!rc_ok(r)) d->rollback(c);
  return r;
}

rc_t migrate_run(const driver_t *d, conn_t *c, bool demo_seed, err_t *e)
{
  uint64_t done;
  TRY(d->script(c, ledger_ddl[d->engine], e));
  TRY(ledger_read(d, c, &done, e));
  for (size_t i = 0; i < db_migrations_n; i++) {
    if (done >> i & 1) continue;
    TRY(apply(d, c, &db_migrations[i], true, e));
    log_line(LOG_INFO, "migration applied", log_c("version", db_migrations[i].name));
  }
  TRY(apply(d, c, &db_seed_base_script, false, e));
  return demo_seed ? apply(d, c, &db_seed_demo_script, false, e) : rc(RC_OK);
}

rc_t migrate_check(const driver_t *d, conn_t *c, err_t *e)
{
  uint64_t done;
  rc_t r = ledger_read(d, c, &done, e);
  if (rc_is(r, RC_INTERNAL)) return err_set(e, RC_NOTFOUND, "absent", NULL, "the store has no tables yet");
  return r;
}
