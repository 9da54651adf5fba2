/*
 * The inside of a store: what db.c, read.c, writer.c, stamp.c and list.c share.
 * Lock order: none nests; each mutex guards its own part only.
 */
#ifndef DB_DB_INT_H
#define DB_DB_INT_H

#include "db/cmd.h"
#include "db/driver.h"

#include <pthread.h>
#include <stdatomic.h>

enum { TABLES_MAX = 64 }; /* tables with a stamp; one bit each */

enum { STAMPS_KEPT = 8 };

/* Sums of stamps that a connection has read; they hold as long as the store has not changed. */
typedef struct stamps_kept {
  uint32_t version;
  size_t n, next;
  struct {
    const char *tables[DB_STAMP_MAX]; /* by address: names are literals of the resource tables */
    uint64_t sum;
  } v[STAMPS_KEPT];
} stamps_kept_t;

struct db_read {
  db_t *db;
  conn_t *conn;
  stamps_kept_t stamps;
  bool versioned; /* stamps.version is this snapshot's */
  int64_t idle_since_us;
  bool row; /* a row is current */
  uint32_t statements_max, rows_max, statements, rows;
  bool complained;
};

/* Connections for reading, opened on demand; idle ones are kept as a stack, the coldest at the bottom. */
typedef struct pool {
  pthread_mutex_t lock;
  pthread_cond_t freed;
  db_read_t **idle;
  size_t nidle, keep, open, max, waiting;
  uint64_t waits, timeouts;
} pool_t;

/* Commands waiting for the writer, in order of arrival. */
typedef struct queue {
  pthread_mutex_t lock;
  pthread_cond_t filled;
  cmd_t *head, **tail;
  size_t n;
  bool closing;
} queue_t;

typedef struct memo memo_t; /* db/memo.h */

/*
 * The version vector as the writer knows it, and the state of the store that it holds for. Readers compare that with the
 * present state; after a foreign commit they have to read, until the writer has looked again.
 */
typedef struct known {
  pthread_mutex_t lock;
  bool valid;
  conn_state_t state;
  uint64_t sum[TABLES_MAX]; /* over all writers, in the order of db->tables */
} known_t;

struct db {
  const driver_t *driver;
  char *path;
  const timesrc_t *time;
  bool read_only;
  uint64_t epoch; /* makes stamps of two processes differ */

  conn_t *writer;
  pthread_t thread;
  bool running;
  queue_t queue;
  void (*wake)(void *self, char kind, slice_t id);
  void *wake_self;

  char *tables[TABLES_MAX]; /* names of the tables that have a stamp */
  size_t ntables;
  known_t known;

  pool_t pool;
  memo_t *memo;

  _Atomic uint64_t commits, commands, conflicts, io_errors, batch_max, in_batch;
};

/* Stops a debug or sanitizer build; true (and one log line) elsewhere. */
bool db_broken(const char *what);

/* Reads that the calling thread holds. */
unsigned db_reads_held(void);

/* Reads the table names, and makes this writer's rows. */
MUST rc_t stamp_init(db_t *db, err_t *e);

/* Bits of the tables that m changes. RC_INTERNAL for a table that has no stamp. */
uint64_t stamp_bits(const db_t *db, const cmd_t *m);

/* Bumps each table in bits; inside the writer's transaction. */
MUST rc_t stamp_bump(db_t *db, uint64_t bits, err_t *e);

/* Learns the vector anew, unless it is known; on the writer's thread or before it runs. */
void stamp_learn(db_t *db);

/* Before a commit, inside its transaction: may what follows be counted instead of read? */
bool stamp_countable(db_t *db);

/* After a commit that bumped `bits`, before anybody is told. */
void stamp_committed(db_t *db, uint64_t bits, bool countable);

/* Sum over all tables, for lists whose filter looks into others. */
MUST rc_t stamp_everything(db_read_t *r, uint64_t *ret, err_t *e);

MUST rc_t pool_init(pool_t *p, size_t max);
void pool_fini(db_t *db);

/* Closes idle connections beyond the kept ones; called now and then. */
void pool_trim(db_t *db);

MUST rc_t writer_start(db_t *db, err_t *e);
void writer_stop(db_t *db);

#endif
