/*
 * Storage. Reads run on pooled read-only connections; writes are commands: a
 * fixed list of bound statements, each with the row count it must change, that
 * one writer runs many at a time in one transaction (design D6). No caller ever
 * holds a transaction, and nobody waits for a command while holding a read
 * connection (asserted).
 *
 * Statements are named, live in sql/stmt/ as .sql files and come out of the build
 * as sql_<name>(): a typed struct of parameters packed into a stmt_t:
 *
 *   cmd_add(c, sql_job_cancel(a, &(struct sql_job_cancel){.id = id, .at = now}), 1);
 */
#ifndef DB_DB_H
#define DB_DB_H

#include "base/arena.h"
#include "base/clock.h"
#include "desc/field.h"

typedef struct db db_t;
typedef struct db_read db_read_t;
typedef struct cmd cmd_t;

typedef enum val_type { VT_NULL, VT_TEXT, VT_INT, VT_BOOL, VT_TIME, VT_BLOB, VT_JSON, VT_TEXTS } val_type_t;

/* One bound value. Text, blobs and JSON are slices; SQLite stores times as INTEGER microseconds and VT_TEXTS as a JSON array. */
typedef struct val {
  val_type_t type;
  slice_t text;
  int64_t num;
  texts_t texts;
} val_t;

/* A statement with its values; made by the generated sql_<name>() or by db/list.c. */
typedef struct stmt {
  const char *name; /* for logs and plans; static */
  const char *sql;  /* text for this engine; static or interned by db/list.c (stable address = cache key) */
  const val_t *vals;
  size_t nvals;
} stmt_t;

typedef struct db_options {
  slice_t url;              /* sqlite:/path/file.db */
  size_t max_conns;         /* all connections: 1 writer, the rest readers */
  const timesrc_t *time;
  bool read_only;           /* --check: no writer, no migration */
} db_options_t;

/* Opens the store, migrates it (forward only, refuses a newer schema) and starts the writer thread. */
MUST rc_t db_open(const db_options_t *o, db_t **ret, err_t *e);

/* Lets queued commands finish, checkpoints, closes. */
void db_close(db_t *db);

/* --- reads --- */

/* Takes a read connection (waits up to 2 s, then RC_AGAIN) and opens a read snapshot. */
MUST rc_t db_read_begin(db_t *db, db_read_t **ret, err_t *e);
void db_read_end(db_read_t *r);
void db_read_end_ptr(db_read_t **r);
#define DB_READ_SCOPED CLEANUP(db_read_end_ptr)

/* Limits asserted for the current request: most statements and rows (route table). 0 = none. */
void db_read_limits(db_read_t *r, uint32_t statements_max, uint32_t rows_max);

/* Starts a query; the previous one on this connection is finished first. */
MUST rc_t db_query(db_read_t *r, stmt_t s, err_t *e);

/* Steps to the next row: RC_OK with *ret_row, RC_NOTFOUND at the end. */
MUST rc_t db_next(db_read_t *r, err_t *e);

/* Columns of the current row, from 0. Text is copied into `a` (dup), {NULL,0} for NULL. */
bool db_col_null(db_read_t *r, int col);
int64_t db_col_int(db_read_t *r, int col);
bool db_col_bool(db_read_t *r, int col);
us_t db_col_time(db_read_t *r, int col); /* NULL: US_NEVER */
MUST rc_t db_col_text_dup(db_read_t *r, int col, arena_t *a, slice_t *ret);
MUST rc_t db_col_texts_dup(db_read_t *r, int col, arena_t *a, texts_t *ret);

/* --- writes --- */

/* An empty command whose statements and values live in arena a until db_submit returns. */
MUST cmd_t *cmd_new(arena_t *a);

enum { CMD_ANY_ROWS = -1 };

/* Appends a statement that must change exactly want_rows rows (or CMD_ANY_ROWS). Failure sticks and is returned by db_submit. */
void cmd_add(cmd_t *c, stmt_t s, int want_rows);

/* Resource whose version stamp the command bumps ("job"); names from the resource table. */
void cmd_touch(cmd_t *c, const char *resource);

/* Parked requests to wake once committed: kind ('a' agent, 'j' job) and id. */
void cmd_wake(cmd_t *c, char kind, slice_t id);

/* Index of the statement at fault after RC_CONFLICT from db_submit. */
size_t cmd_failed_at(const cmd_t *c);

/*
 * Runs the command and returns once it is durable. RC_CONFLICT: a statement changed
 * another number of rows than it must, or broke a constraint (e->reason "guard",
 * "unique", "foreign_key", "check"; e->field names the constraint or column where the engine tells);
 * nothing of the command is stored. RC_AGAIN: the queue is full. Blocks the calling
 * worker; must not be called while it holds a db_read_t.
 */
MUST rc_t db_submit(db_t *db, cmd_t *c, err_t *e);

/* Called on the writer thread after each commit, once per cmd_wake. */
void db_on_wake(db_t *db, void (*fn)(void *self, char kind, slice_t id), void *self);

/* --- version vector (design D6) --- */

/* Current stamp over the named resources, foreign writers included; at most one point read. */
MUST rc_t db_stamp(db_read_t *r, const char *const *resources, size_t n, uint64_t *ret, err_t *e);

#endif
