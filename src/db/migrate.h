/*
 * Embedded migrations and seeds, and the ledger of what was applied. Private to
 * db/; the tables below come out of the build (tools/sqlgen.py).
 */
#ifndef DB_MIGRATE_H
#define DB_MIGRATE_H

#include "db/driver.h"

typedef struct db_script {
  const char *name; /* of a migration: its version in the ledger */
  const char *text[DB_ENGINES];
} db_script_t;

extern const db_script_t db_migrations[];
extern const size_t db_migrations_n;
extern const db_script_t db_seed_base_script, db_seed_demo_script;

/* What the migrations say about a column. */
typedef struct db_column {
  const char *table, *column;
  bool not_null;
  bool pg_array; /* text[] on PostgreSQL; other lists of text are jsonb there */
} db_column_t;

extern const db_column_t db_columns[];
extern const size_t db_columns_n;

/* NULL for a column that came later by "alter table": nullable, no array. */
const db_column_t *column_find(const char *table, const char *column);

/* Brings the schema up to date, each migration in its own transaction, then the seeds. RC_INVALID "schema_newer". */
MUST rc_t migrate_run(const driver_t *d, conn_t *c, bool demo_seed, err_t *e);

/* Only refuses a schema that is newer than this program or not there yet; changes nothing. */
MUST rc_t migrate_check(const driver_t *d, conn_t *c, err_t *e);

#endif
