/*
 * The inside of a SQLite connection, shared by the files of the SQLite driver.
 */
#ifndef DB_SQLITE_INT_H
#define DB_SQLITE_INT_H

#include "db/driver.h"

#include <sqlite3.h>

enum { CACHE_WAYS = 4 };

typedef struct cached {
  const char *key; /* address of the text; NULL: free */
  sqlite3_stmt *st;
  uint64_t used;
} cached_t;

struct conn {
  sqlite3 *s;
  conn_mode_t mode;
  const timesrc_t *time;
  us_t now;            /* of the running statement: {now} does not move within one */
  cached_t *cache;     /* sets of CACHE_WAYS */
  size_t sets;
  uint64_t tick;
  sqlite3_stmt *cur;   /* open query, or NULL */
  bool cur_passing;    /* finalize instead of keeping it */
  const uint32_t *index; /* head of the WAL index, after sqlite_watch */
  int marked;          /* batches to come whose commands get savepoints */
};

/* Turns the connection's last failure into an rc_t; `table` stands in where SQLite names nothing. */
rc_t sqlite_fail(conn_t *c, int code, const char *table, err_t *e);

/* Prepared and bound, ready to step; *ret_passing: the caller finalizes it. */
MUST rc_t sqlite_bound(conn_t *c, stmt_t s, sqlite3_stmt **ret, bool *ret_passing, err_t *e);

/* Ends a statement from sqlite_bound. */
void sqlite_done(sqlite3_stmt *st, bool passing);

void sqlite_watch(conn_t *c);
bool sqlite_state(const conn_t *c, conn_state_t *ret);

/* Finalizes everything kept. */
void sqlite_cache_clear(conn_t *c);

MUST rc_t sqlite_exec(conn_t *c, stmt_t s, int64_t *ret_rows, err_t *e);
MUST rc_t sqlite_begin(conn_t *c, bool write, err_t *e);
MUST rc_t sqlite_commit(conn_t *c, err_t *e);
void sqlite_rollback(conn_t *c);
MUST rc_t sqlite_batch(conn_t *c, cmd_t *const *cmds, size_t n, size_t *ret_ran,
                       rc_t (*before_commit)(void *self, size_t ran, err_t *e), void *self, err_t *e);

#endif
