/*
 * Storage. Reads run on pooled read-only connections; writes are commands: a
 * fixed list of bound statements, each with the row count it must change, that
 * one writer runs many at a time in one transaction (design D6). No caller ever
 * holds a transaction, and nobody waits for a command while holding a read
 * connection (asserted).
 *
 * Statements are named, live in sql/stmt/ as .sql files and come out of the build
 * as sql_<name>() in "db/sql_stmts.h": a typed struct of parameters packed into a
 * stmt_t:
 *
 *   cmd_add(c, SQL(a, job_cancel, .id = id, .at = now), 1);
 */
#ifndef DB_DB_H
#define DB_DB_H

#include "base/arena.h"
#include "base/clock.h"
#include "desc/field.h"

typedef struct db db_t;
typedef struct db_read db_read_t;
typedef struct cmd cmd_t;

typedef enum db_engine { DB_SQLITE, DB_PG, DB_ENGINES } db_engine_t;

typedef enum val_type { VT_NULL, VT_TEXT, VT_INT, VT_BOOL, VT_TIME, VT_BLOB, VT_JSON, VT_TEXTS } val_type_t;

/* One bound value. SQLite stores times as INTEGER microseconds and VT_TEXTS as a JSON array. */
typedef struct val {
  val_type_t type;
  slice_t text;
  int64_t num;
  texts_t texts;
} val_t;

static inline val_t val_null(void) { return (val_t){.type = VT_NULL}; }
static inline val_t val_text(slice_t s) { return (val_t){.type = VT_TEXT, .text = s}; }
static inline val_t val_json(slice_t s) { return (val_t){.type = VT_JSON, .text = s}; }
static inline val_t val_blob(slice_t s) { return (val_t){.type = VT_BLOB, .text = s}; }
static inline val_t val_int(int64_t v) { return (val_t){.type = VT_INT, .num = v}; }
static inline val_t val_bool(bool v) { return (val_t){.type = VT_BOOL, .num = v}; }
static inline val_t val_time(us_t v) { return (val_t){.type = VT_TIME, .num = v.us}; }
static inline val_t val_texts(texts_t t) { return (val_t){.type = VT_TEXTS, .texts = t}; }

/* NULL for a slice without bytes behind it (p == NULL), for US_NEVER, for an absent array. */
static inline val_t val_text_or_null(slice_t s) { return s.p ? val_text(s) : val_null(); }
static inline val_t val_json_or_null(slice_t s) { return s.p ? val_json(s) : val_null(); }
static inline val_t val_blob_or_null(slice_t s) { return s.p ? val_blob(s) : val_null(); }
static inline val_t val_time_or_null(us_t v) { return us_is_never(v) ? val_null() : val_time(v); }
static inline val_t val_texts_or_null(texts_t t) { return t.v ? val_texts(t) : val_null(); }

/* Text of one statement for each engine: static (generated) or interned by db/list.c. */
typedef struct sql_text {
  const char *name;             /* for logs and plans */
  const char *text[DB_ENGINES];
  const char *table;            /* table it changes; NULL: it reads */
  bool removes;                 /* a delete: its cascades may change any table */
  bool passing;                 /* lives in an arena: never kept prepared */
  const char *scan;             /* why it may scan a table (sql/README.md), or NULL */
  uint32_t nvals;
} sql_text_t;

/*
 * A statement with its values, made by the generated sql_<name>() or by
 * db/list.c. vals == NULL with nvals > 0 is a failed allocation; it comes out
 * of db_query and db_submit as RC_NOMEM.
 */
typedef struct stmt {
  const sql_text_t *sql;
  const val_t *vals;
  size_t nvals;
} stmt_t;

typedef struct db_options {
  slice_t url;              /* sqlite:/path/file.db */
  size_t max_conns;         /* all connections: 1 writer, the rest readers (at least 1) */
  const timesrc_t *time;
  bool read_only;           /* --check: no writer, no migration */
  bool demo_seed;           /* insert the demo rows if absent */
} db_options_t;

/*
 * Opens the store, migrates it (forward only), applies the base rows and starts
 * the writer thread. e->reason: "url", "schema_newer" (RC_INVALID), "absent"
 * (RC_NOTFOUND, read_only only), or "io".
 */
MUST rc_t db_open(const db_options_t *o, db_t **ret, err_t *e);

/* Lets queued commands finish, checkpoints, closes. No read may be open. NULL is fine. */
void db_close(db_t *db);

/* --- reads --- */

/*
 * Takes a read connection (waits up to 2 s, then RC_AGAIN "pool_exhausted") and
 * opens a snapshot: all queries until db_read_end see one state.
 */
MUST rc_t db_read_begin(db_t *db, db_read_t **ret, err_t *e);
void db_read_end(db_read_t *r);
void db_read_end_ptr(db_read_t **r);
#define DB_READ_SCOPED CLEANUP(db_read_end_ptr)

/*
 * Most statements and rows this read may use (route table); 0 = no limit. Going
 * over stops a debug or sanitizer build and is logged once a statement otherwise.
 */
void db_read_limits(db_read_t *r, uint32_t statements_max, uint32_t rows_max);

/* Starts a query; the previous one on this connection is finished first. */
MUST rc_t db_query(db_read_t *r, stmt_t s, err_t *e);

/* Steps to the next row: RC_OK, RC_NOTFOUND at the end. */
MUST rc_t db_next(db_read_t *r, err_t *e);

/* db_query and db_next at once, for a query of one row: RC_NOTFOUND when there is none. */
MUST rc_t db_one(db_read_t *r, stmt_t s, err_t *e);

/* Columns of the current row, from 0. Text is copied into `a` (dup), {NULL,0} for NULL. */
bool db_col_null(db_read_t *r, int col);
int64_t db_col_int(db_read_t *r, int col);
bool db_col_bool(db_read_t *r, int col);
us_t db_col_time(db_read_t *r, int col); /* NULL: US_NEVER */
MUST rc_t db_col_text_dup(db_read_t *r, int col, arena_t *a, slice_t *ret);
MUST rc_t db_col_blob_dup(db_read_t *r, int col, arena_t *a, slice_t *ret);
MUST rc_t db_col_texts_dup(db_read_t *r, int col, arena_t *a, texts_t *ret);

/* Text of the current row without a copy: valid until the next db_next, db_query or db_read_end. */
slice_t db_col_text(db_read_t *r, int col);

/* --- writes --- */

/* An empty command whose statements and values live in arena a until db_submit returns; NULL if out of memory. */
MUST cmd_t *cmd_new(arena_t *a);

enum { CMD_ANY_ROWS = -1 };

/*
 * Appends a statement that must change exactly want_rows rows (or CMD_ANY_ROWS);
 * a select must yield that many rows instead, which makes it a guard. The version
 * stamp of the changed table is bumped without further ado. Failure sticks and is
 * returned by db_submit. c == NULL is a failed cmd_new.
 */
void cmd_add(cmd_t *c, stmt_t s, int want_rows);

/* Further table whose version stamp the command bumps: one that a trigger or a reference action changes. */
void cmd_touch(cmd_t *c, const char *table);

/* Parked requests to wake once committed: kind ('a' agent, 'j' job) and id, which must live as long as c. */
void cmd_wake(cmd_t *c, char kind, slice_t id);

/* Index of the statement at fault after RC_CONFLICT from db_submit. */
size_t cmd_failed_at(const cmd_t *c);

/*
 * Runs the command and returns once it is durable. RC_CONFLICT: a statement changed
 * another number of rows than it must, or broke a constraint; e->reason is "guard",
 * "unique", "foreign_key", "not_null", "check" or "append_only", e->field the
 * "table.column[, table.column]", index or check at fault, or the table where the
 * engine tells no more (foreign keys); nothing of the command is stored. RC_IO: the
 * store could not keep it (disk full …), nothing is stored. RC_AGAIN: the queue is
 * full. Blocks the calling worker; must not be called while it holds a db_read_t
 * (RC_INTERNAL, and stops a debug or sanitizer build). One thread at a time; a
 * command may be submitted once.
 */
MUST rc_t db_submit(db_t *db, cmd_t *c, err_t *e);

/* Called on the writer thread after each commit, once per cmd_wake. Set before the first command. */
void db_on_wake(db_t *db, void (*fn)(void *self, char kind, slice_t id), void *self);

/* --- version vector (design D6) --- */

/*
 * Current stamp over the named tables (resource_t.table, literals: they are known again by address), foreign writers
 * included; at most one point read, none while the store has not changed. Equal stamps from one process mean unchanged
 * tables; they differ from process to process. At most DB_STAMP_MAX tables.
 */
enum { DB_STAMP_MAX = 4 };
MUST rc_t db_stamp(db_read_t *r, const char *const *tables, size_t n, uint64_t *ret, err_t *e);

/*
 * As db_stamp, from memory: no connection, no system call. True as long as nobody has committed since the writer last
 * looked, which it does after each commit; false says nothing but that db_stamp has to be asked. Any thread.
 */
bool db_stamp_known(db_t *db, const char *const *tables, size_t n, uint64_t *ret);

/* --- figures --- */

typedef struct db_stats {
  uint64_t commits, commands, conflicts, io_errors;
  uint64_t batch_max;       /* most commands in one commit */
  uint64_t queued, running; /* commands waiting now, and in the batch that runs now */
  uint64_t conns_max, conns_open, conns_in_use, conns_idle; /* the writer is counted as open and in use */
  uint64_t waits, timeouts; /* reads that had to wait for a connection, that waited in vain */
} db_stats_t;

void db_stats(db_t *db, db_stats_t *ret);

#endif
