/*
 * What the storage tests share: a store in a folder of its own, and row types
 * over the real tables.
 */
#ifndef TEST_DB_FIXTURE_H
#define TEST_DB_FIXTURE_H

#include "base/arena.h"
#include "base/mem.h"
#include "db/db.h"
#include "db/list.h"
#include "db/sql_stmts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

typedef struct team {
  slice_t id, name, description;
  us_t created_at, updated_at;
} team_t;

typedef struct certificate {
  slice_t id, name, common_name;
  texts_t sans;
  slice_t environment, owner_id, team_id, issuer_id, renewal_policy_id, status, tags;
  us_t expires_at, created_at, updated_at;
} certificate_t;

typedef struct audit {
  slice_t id, actor, actor_type, action, resource_type, resource_id, details;
  us_t timestamp;
  slice_t event_category;
} audit_t;

typedef struct job {
  slice_t id, type, certificate_id, agent_id, status;
  int64_t attempts;
  us_t created_at, next_run_at;
} job_t;

extern const resource_t res_team, res_certificate, res_audit, res_job;
extern const resource_t *const test_resources[];
extern const size_t test_resources_n;

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
