/*
 * A batch of commands in one SQLite transaction. A command that misses a guard or breaks a constraint is undone alone:
 * the batch is first run as it is, and once more with a savepoint around each command if one of them failed. A savepoint
 * keeps a copy of each page that its command changes, which costs about a tenth of the command.
 */
#include "db/sqlite_int.h"

#include "base/failpoint.h"
#include "db/cmd.h"
#include "db/sql_stmts.h"

/* A batch stops growing after this time, so that its first command does not wait for its last. */
enum { BATCH_US = 10000 };

/* Batches with savepoints after one that had to be run twice: failures come in swarms. */
enum { MARKED_BATCHES = 16 };

static const sql_text_t text_mark = {.name = "savepoint", .text = {"savepoint c", "savepoint c"}};
static const sql_text_t text_back = {.name = "savepoint_back", .text = {"rollback to c", "rollback to c"}};
static const sql_text_t text_release = {.name = "savepoint_release", .text = {"release c", "release c"}};

static rc_t run(conn_t *c, const sql_text_t *t, err_t *e)
{
  int64_t rows;
  return sqlite_exec(c, (stmt_t){t, NULL, 0}, &rows, e);
}

/* While the gate is open the stamp triggers rest: the writer counts for itself. */
static rc_t gate(conn_t *c, int64_t open, err_t *e)
{
  const val_t v[] = {val_int(open)};
  int64_t rows;
  return sqlite_exec(c, (stmt_t){&sql_text_writer_gate, v, COUNT_OF(v)}, &rows, e);
}

static rc_t run_items(conn_t *c, cmd_t *m)
{
  for (size_t i = 0; i < m->nitems; i++) {
    const cmd_item_t *it = &m->items[i];
    int64_t rows = 0;
    m->failed_at = i;
    TRY(sqlite_exec(c, it->s, &rows, &m->err));
    if (it->want != CMD_ANY_ROWS && rows != it->want)
      return err_set(&m->err, RC_CONFLICT, "guard", it->s.sql->table, "changed in the meantime or is not there");
  }
  m->failed_at = 0;
  return rc(RC_OK);
}

/*
 * Runs one command; its own failure is its result. Failure of this function means
 * that the transaction is gone (SQLite ends it itself on a full disk and the like).
 */
static rc_t run_command(conn_t *c, cmd_t *m, err_t *e)
{
  TRY(run(c, &text_mark, e));
  m->result = run_items(c, m);
  if (sqlite3_get_autocommit(c->s)) {
    if (e) *e = m->err;
    return m->result;
  }
  if (!rc_ok(m->result)) TRY(run(c, &text_back, e));
  return run(c, &text_release, e);
}

/* RC_CONFLICT when commands stand unmarked and one of them failed: the transaction cannot be kept. */
static rc_t run_all(conn_t *c, cmd_t *const *cmds, size_t n, bool marked, size_t *ret_ran, err_t *e)
{
  int64_t until = time_mono_us(c->time) + BATCH_US;
  size_t i = 0;
  do {
    cmd_t *m = cmds[i];
    *ret_ran = i + 1;
    if (marked) {
      TRY(run_command(c, m, e));
      continue;
    }
    m->result = run_items(c, m);
    if (rc_ok(m->result)) continue;
    if (e) *e = m->err;
    return sqlite3_get_autocommit(c->s) ? m->result : rc(RC_CONFLICT);
  } while (++i < n && time_mono_us(c->time) < until);
  return rc(RC_OK);
}

/*
 * A commit that failed may have left whole frames behind the end of the log; a
 * crash now would recover them, and a command that was refused would be there.
 * A further commit overwrites the first of them, which makes the rest void. It has
 * to change something: SQLite does not write a page that stays as it was.
 */
static void void_frames(conn_t *c)
{
  if (rc_ok(sqlite_begin(c, true, NULL)) && rc_ok(run(c, &sql_text_stamp_void, NULL)) && rc_ok(sqlite_commit(c, NULL))) return;
  sqlite_rollback(c);
}

static rc_t commit(conn_t *c, err_t *e)
{
  FAILPOINT(command_before_commit);
  rc_t r = sqlite_commit(c, e);
  if (!rc_ok(r)) {
    sqlite_rollback(c);
    void_frames(c);
    return r;
  }
  FAILPOINT(command_after_commit);
  return r;
}

typedef struct attempt {
  cmd_t *const *cmds;
  size_t n;
  rc_t (*before_commit)(void *self, size_t ran, err_t *e);
  void *self;
} attempt_t;

/* *ret_again: nothing is stored because a command failed, and marked it would fail alone. */
static rc_t attempt(conn_t *c, const attempt_t *t, bool marked, size_t *ret_ran, bool *ret_again, err_t *e)
{
  *ret_ran = t->n;
  *ret_again = false;
  TRY(sqlite_begin(c, true, e));
  rc_t r = gate(c, 1, e);
  if (rc_ok(r)) {
    r = run_all(c, t->cmds, t->n, marked, ret_ran, e);
    *ret_again = !marked && !rc_ok(r) && !sqlite3_get_autocommit(c->s);
  }
  if (rc_ok(r)) r = t->before_commit(t->self, *ret_ran, e);
  if (rc_ok(r)) r = gate(c, 0, e);
  if (rc_ok(r)) return commit(c, e);
  sqlite_rollback(c);
  return r;
}

rc_t sqlite_batch(conn_t *c, cmd_t *const *cmds, size_t n, size_t *ret_ran,
                  rc_t (*before_commit)(void *self, size_t ran, err_t *e), void *self, err_t *e)
{
  const attempt_t t = {cmds, n, before_commit, self};
  bool marked = n > 1 && c->marked > 0, again;
  c->marked -= marked;
  rc_t r = attempt(c, &t, marked, ret_ran, &again, e);
  if (!again) return r;
  if (n == 1) return rc(RC_OK); /* alone: its failure is its result, and nothing is to be kept */
  c->marked = MARKED_BATCHES;
  return attempt(c, &t, true, ret_ran, &again, e);
}
