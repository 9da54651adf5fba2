/*
 * What an engine must offer: connections, statements, and running a batch of
 * commands in one transaction. Private to db/. A connection is used by one
 * thread at a time.
 */
#ifndef DB_DRIVER_H
#define DB_DRIVER_H

#include "db/db.h"

typedef struct conn conn_t;

typedef enum conn_mode { CONN_WRITER, CONN_READER, CONN_CHECK } conn_mode_t;

typedef struct conn_options {
  const char *path;
  conn_mode_t mode;
  const timesrc_t *time; /* the engine's clock, {now} in statements */
  size_t stmts_max;      /* statements kept prepared */
} conn_options_t;

/* State of a store at one moment; equal words mean that nobody committed in between. */
typedef struct conn_state {
  uint32_t commits; /* one more after each */
  uint32_t words[12];
} conn_state_t;

typedef struct driver {
  db_engine_t engine;

  MUST rc_t (*open)(const conn_options_t *o, conn_t **ret, err_t *e);
  void (*close)(conn_t *c);

  /* Several statements without values, for migrations and seeds. */
  MUST rc_t (*script)(conn_t *c, const char *sql, err_t *e);

  MUST rc_t (*begin)(conn_t *c, bool write, err_t *e);
  MUST rc_t (*commit)(conn_t *c, err_t *e);
  void (*rollback)(conn_t *c);

  /* Runs one statement to its end; *ret_rows: rows changed, or yielded by a select. */
  MUST rc_t (*exec)(conn_t *c, stmt_t s, int64_t *ret_rows, err_t *e);

  /*
   * Runs up to n commands in one transaction, stopping before a further one after
   * the time limit. *ret_ran commands have their result set; the transaction is
   * durable when RC_OK. On failure nothing of any of them is stored. `before_commit`
   * runs inside the transaction.
   */
  MUST rc_t (*batch)(conn_t *c, cmd_t *const *cmds, size_t n, size_t *ret_ran,
                     rc_t (*before_commit)(void *self, size_t ran, err_t *e), void *self, err_t *e);

  MUST rc_t (*query)(conn_t *c, stmt_t s, err_t *e);
  MUST rc_t (*next)(conn_t *c, err_t *e);
  void (*finish)(conn_t *c); /* ends the open query, if any */

  /*
   * Number that stays the same on this connection as long as nothing in the store changed, by whomever, as the open
   * transaction sees it; begins to see, if it did not yet. Cheaper than any query, and only comparable with itself.
   */
  MUST rc_t (*version)(conn_t *c, uint32_t *ret, err_t *e);

  /*
   * Looks at the state of the store without a system call: any thread, also while another uses the connection, after
   * `watch` on it. False: it cannot be told now.
   */
  void (*watch)(conn_t *c);
  bool (*state)(const conn_t *c, conn_state_t *ret);

  bool (*col_null)(conn_t *c, int col);
  int64_t (*col_int)(conn_t *c, int col); /* integers, booleans as 0 and 1, times in microseconds */
  slice_t (*col_text)(conn_t *c, int col); /* text, JSON, blobs; p == NULL for NULL; valid until next or finish */
  MUST rc_t (*col_texts)(conn_t *c, int col, arena_t *a, texts_t *ret);
} driver_t;

extern const driver_t driver_sqlite;

#endif
