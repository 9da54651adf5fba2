/*
 * What the storage tests share: a store in a folder of its own, with rows in it.
 */
#ifndef TEST_DB_FIXTURE_H
#define TEST_DB_FIXTURE_H

#include "rows.h"

#include "base/arena.h"
#include "base/limits.h"
#include "base/mem.h"
#include "db/sql_stmts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

typedef struct fix {
  char dir[64];
  char url[96];
  arena_t *a;
  db_t *db;
} fix_t;

/* A fresh store in a new folder, with the demo rows. */
void fix_open(fix_t *f);
/* Closes and opens the same file again. */
void fix_reopen(fix_t *f, size_t max_conns);
/* Closes, and removes the folder. */
void fix_close(fix_t *f);

/* The two as cmocka's set-up and tear-down of a test; *state is the fix_t. */
int fix_setup(void **state);
int fix_teardown(void **state);

/* Fails the test with the error's words. */
void fix_must(rc_t r, const err_t *e);

/* One team, stored; fails the test otherwise. */
void put_team(fix_t *f, const char *id, const char *name, int64_t at_us);
rc_t try_team(db_t *db, arena_t *a, const char *id, const char *name, int64_t at_us, err_t *e);

/* A certificate row of the demo owner, not stored. */
certificate_t sample_certificate(const char *id, const char *name, int64_t at_us);

/* A number from the store by plain SQL, through a connection of the test's own. */
int64_t sql_number(const fix_t *f, const char *sql);
/* Runs SQL on a connection of its own, as a foreign writer; returns SQLite's code. */
int sql_run(const fix_t *f, const char *sql);

#endif
