/*
 * Version vector: one counter per table and writer. Ours is bumped once a batch
 * inside its transaction; triggers count foreign writers in the row "other".
 */
#include "db/db_int.h"

#include "base/mem.h"
#include "db/sql_stmts.h"

/* One process writes to a SQLite file, so its counter goes on from where it stood. */
#define WRITER S("self")

static rc_t load_names(db_t *db, err_t *e)
{
  TRY(db->driver->query(db->writer, (stmt_t){&sql_text_stamp_names, NULL, 0}, e));
  for (;;) {
    rc_t r = db->driver->next(db->writer, e);
    if (rc_is(r, RC_NOTFOUND)) return rc(RC_OK);
    TRY(r);
    slice_t name = db->driver->col_text(db->writer, 0);
    if (db->ntables == TABLES_MAX) return err_set(e, RC_INTERNAL, "tables", NULL, "too many tables with a stamp");
    char *copy = mem_dup_text(name.p, name.n);
    if (!copy) return err_set(e, RC_NOMEM, "memory", NULL, "not enough memory");
    db->tables[db->ntables++] = copy;
  }
}

rc_t stamp_init(db_t *db, err_t *e)
{
  rc_t r = load_names(db, e);
  db->driver->finish(db->writer);
  TRY(r);
  for (size_t i = 0; i < db->ntables; i++) {
    const val_t v[] = {val_text(slice_str(db->tables[i])), val_text(WRITER)};
    int64_t rows;
    TRY(db->driver->exec(db->writer, (stmt_t){&sql_text_stamp_self_row, v, COUNT_OF(v)}, &rows, e));
  }
  db->driver->watch(db->writer);
  stamp_learn(db);
  return rc(RC_OK);
}

/* --- the vector in memory --- */

static bool known_now(db_t *db, const conn_state_t *now)
{
  return db->known.valid && memcmp(&db->known.state, now, sizeof *now) == 0;
}

static rc_t sums_read(db_t *db, uint64_t sums[TABLES_MAX])
{
  conn_t *w = db->writer;
  rc_t r = db->driver->query(w, (stmt_t){&sql_text_stamp_each, NULL, 0}, NULL);
  while (rc_ok(r) && rc_ok(r = db->driver->next(w, NULL))) {
    slice_t name = db->driver->col_text(w, 0);
    for (size_t i = 0; i < db->ntables; i++)
      if (slice_is(name, db->tables[i])) sums[i] = (uint64_t)db->driver->col_int(w, 1);
  }
  db->driver->finish(w);
  return rc_is(r, RC_NOTFOUND) ? rc(RC_OK) : r;
}

void stamp_learn(db_t *db)
{
  uint64_t sums[TABLES_MAX] = {0};
  conn_state_t before, after;
  if (!db->driver->state(db->writer, &before)) return;
  (void)pthread_mutex_lock(&db->known.lock);
  bool have = known_now(db, &before);
  (void)pthread_mutex_unlock(&db->known.lock);
  if (have || !rc_ok(sums_read(db, sums))) return;
  if (!db->driver->state(db->writer, &after) || memcmp(&before, &after, sizeof after) != 0) return; /* the next time */
  (void)pthread_mutex_lock(&db->known.lock);
  memcpy(db->known.sum, sums, sizeof sums);
  db->known.state = after;
  db->known.valid = true;
  (void)pthread_mutex_unlock(&db->known.lock);
}

bool stamp_countable(db_t *db)
{
  conn_state_t now;
  if (!db->driver->state(db->writer, &now)) return false;
  (void)pthread_mutex_lock(&db->known.lock);
  bool known = known_now(db, &now);
  (void)pthread_mutex_unlock(&db->known.lock);
  return known;
}

/* A commit that bumped something has changed a page, so the first commit since is this one. */
void stamp_committed(db_t *db, uint64_t bits, bool countable)
{
  conn_state_t now;
  bool seen = db->driver->state(db->writer, &now);
  (void)pthread_mutex_lock(&db->known.lock);
  db->known.valid = countable && bits && seen && now.commits == db->known.state.commits + 1;
  if (db->known.valid) {
    db->known.state = now;
    for (size_t i = 0; i < db->ntables; i++) db->known.sum[i] += bits >> i & 1;
  }
  (void)pthread_mutex_unlock(&db->known.lock);
  stamp_learn(db);
}

bool db_stamp_known(db_t *db, const char *const *tables, size_t n, uint64_t *ret)
{
  conn_state_t now;
  uint64_t sum = 0;
  size_t found = 0;
  if (!db->writer || !db->driver->state(db->writer, &now)) return false;
  (void)pthread_mutex_lock(&db->known.lock);
  bool known = known_now(db, &now);
  for (size_t k = 0; known && k < n; k++)
    for (size_t i = 0; i < db->ntables; i++) {
      if (strcmp(db->tables[i], tables[k]) != 0) continue;
      sum += db->known.sum[i];
      found++;
    }
  (void)pthread_mutex_unlock(&db->known.lock);
  if (!known || found != n) return false;
  *ret = sum ^ db->epoch;
  return true;
}

/* --- the vector in the store --- */

static uint64_t bit_of(const db_t *db, const char *table)
{
  for (size_t i = 0; i < db->ntables; i++)
    if (strcmp(db->tables[i], table) == 0) return UINT64_C(1) << i;
  return 0;
}

uint64_t stamp_bits(const db_t *db, const cmd_t *m)
{
  uint64_t bits = 0;
  for (size_t i = 0; i < m->nitems; i++) {
    const sql_text_t *t = m->items[i].s.sql;
    if (t->removes) return UINT64_MAX; /* its cascades may reach any table */
    if (t->table) bits |= bit_of(db, t->table);
  }
  for (size_t i = 0; i < m->ntouch; i++) bits |= bit_of(db, m->touch[i]);
  return bits;
}

rc_t stamp_bump(db_t *db, uint64_t bits, err_t *e)
{
  for (size_t i = 0; i < db->ntables; i++) {
    if (!(bits >> i & 1)) continue;
    const val_t v[] = {val_text(slice_str(db->tables[i])), val_text(WRITER)};
    int64_t rows = 0;
    TRY(db->driver->exec(db->writer, (stmt_t){&sql_text_stamp_own, v, COUNT_OF(v)}, &rows, e));
    if (rows != 1) return err_set(e, RC_INTERNAL, "stamp", NULL, "the row of a version stamp is gone");
  }
  return rc(RC_OK);
}

/* The sum grows with each change; the epoch keeps two processes (or a restored file) apart. */
static rc_t read_sum(db_read_t *r, stmt_t s, uint64_t *ret, err_t *e)
{
  TRY(db_one(r, s, e));
  *ret = (uint64_t)db_col_int(r, 0) ^ r->db->epoch;
  return rc(RC_OK);
}

rc_t stamp_everything(db_read_t *r, uint64_t *ret, err_t *e)
{
  return read_sum(r, (stmt_t){&sql_text_stamp_all, NULL, 0}, ret, e);
}

/* Forgets what was read from an older state of the store. */
static rc_t kept_check(db_read_t *r, err_t *e)
{
  uint32_t version;
  if (r->versioned) return rc(RC_OK);
  TRY(r->db->driver->version(r->conn, &version, e));
  if (version != r->stamps.version) r->stamps = (stamps_kept_t){.version = version};
  r->versioned = true;
  return rc(RC_OK);
}

static const uint64_t *kept_find(const stamps_kept_t *k, const char *const tables[DB_STAMP_MAX])
{
  for (size_t i = 0; i < k->n; i++)
    if (memcmp(k->v[i].tables, tables, sizeof k->v[i].tables) == 0) return &k->v[i].sum;
  return NULL;
}

static void kept_put(stamps_kept_t *k, const char *const tables[DB_STAMP_MAX], uint64_t sum)
{
  memcpy(k->v[k->next].tables, tables, sizeof k->v[k->next].tables);
  k->v[k->next].sum = sum;
  k->next = (k->next + 1) % STAMPS_KEPT;
  if (k->n < STAMPS_KEPT) k->n++;
}

rc_t db_stamp(db_read_t *r, const char *const *tables, size_t n, uint64_t *ret, err_t *e)
{
  const char *all[DB_STAMP_MAX] = {NULL};
  val_t v[DB_STAMP_MAX];
  if (n == 0 || n > DB_STAMP_MAX) return err_limit(e, RC_FULL, "stamp", NULL, "at most {limit} tables", DB_STAMP_MAX);
  memcpy(all, tables, n * sizeof *all);
  TRY(kept_check(r, e));
  const uint64_t *known = kept_find(&r->stamps, all);
  if (known) {
    *ret = *known;
    return rc(RC_OK);
  }
  for (size_t i = 0; i < DB_STAMP_MAX; i++) v[i] = val_text(slice_str(tables[i < n ? i : 0]));
  TRY(read_sum(r, (stmt_t){&sql_text_stamp_sum, v, DB_STAMP_MAX}, ret, e));
  kept_put(&r->stamps, all, *ret);
  return rc(RC_OK);
}
