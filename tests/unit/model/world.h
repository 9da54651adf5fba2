/*
 * What the tests of the upper floors share: a store with the demo rows in a
 * folder of its own, settings, a clock that the test moves, and, where asked
 * for, a signer in a thread of the test.
 */
#ifndef TEST_WORLD_H
#define TEST_WORLD_H

#include "base/arena.h"
#include "base/mem.h"
#include "core/actor.h"
#include "core/core.h"
#include "db/list.h"
#include "db/sql_stmts.h"
#include "io/file.h"
#include "model/resources.h"
#include "signer/main_loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

/* An administrator of the tests. */
extern const actor_t world_root;

typedef struct world {
  char dir[64], signer_dir[96], url[96];
  arena_t *a;
  us_t now; /* the wall clock of everything in this world */
  timesrc_t time;
  conf_t conf;
  core_t core;
  /* signer */
  dir_t folder;
  signer_t *signer;
  int signer_fd;
  rc_t served;
  pthread_t thread;
} world_t;

void world_open(world_t *w);
/* Starts a signer with a CA of its own and connects core.signer to it. */
void world_signer(world_t *w);
/* Ends the signer's life as a kill would: core.signer answers RC_CLOSED from here on. */
void world_signer_gone(world_t *w);
void world_close(world_t *w);
/* The same as the teardown of a test whose state is its world. */
int world_teardown(void **state);

/* Fails the test, saying why, unless r is RC_OK. */
void must(rc_t r, const err_t *e);

/* A number or a text from the store; the statement has no parameters. An absent row is -1, {NULL,0}. */
int64_t world_number(world_t *w, const char *sql);
slice_t world_text(world_t *w, const char *sql);

/* Runs a statement without parameters through the writer. `table` names what it changes. */
void world_run(world_t *w, const char *table, const char *sql);

/* Stores a row. */
void world_put(world_t *w, const resource_t *res, const void *row);

/* Rows that others hang on, made of the demo's parents. */
void world_agent(world_t *w, const char *id, const char *key);
void world_target(world_t *w, const char *id, const char *agent);
certificate_t world_certificate(world_t *w, const char *id, const char *name);

/* A job for "agent-a", and "tgt-a" when it is a deployment, due now; to be changed as needed and stored. */
job_t world_job(world_t *w, const char *id, const char *certificate, const char *type, const char *status);

/* Submits one command and returns what came of it. */
rc_t world_submit(world_t *w, cmd_t *c);

#endif
