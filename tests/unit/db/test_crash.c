/*
 * A child submits commands and tells each answer over a pipe; it is killed at a
 * random moment. Everything that it answered is in the store afterwards, whole,
 * and nothing is there by half.
 */
#include "fixture.h"

#include "base/random.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KILLS = 12, THREADS = 4 };

typedef struct writer {
  db_t *db;
  int out, id;
} writer_t;

/* A team and its audit row in each command, one line per answer. */
static void *write_on(void *arg)
{
  const writer_t *w = arg;
  for (int i = 0;; i++) {
    char id[32], line[40];
    err_t e = {0};
    arena_t *a = arena_new(64 * 1024);
    slice_t s = slice_of(id, (size_t)snprintf(id, sizeof id, "k%d-%d-%d", (int)getpid(), w->id, i));
    team_t t = {s, s, S(""), {1}, {1}};
    audit_t u = {s, S("a"), S("User"), S("team_created"), S("team"), s, S("{}"), {1}, S("config")};
    cmd_t *c = cmd_new(a);
    cmd_add(c, list_insert(a, &res_team, &t), 1);
    cmd_add(c, list_insert(a, &res_audit, &u), 1);
    if (!rc_ok(db_submit(w->db, c, &e))) _exit(3);
    int n = snprintf(line, sizeof line, "%s\n", id);
    if (write(w->out, line, (size_t)n) != n) _exit(4);
    arena_free(a);
  }
}

static void child_main(const char *url, int out)
{
  static writer_t w[THREADS];
  err_t e = {0};
  db_t *db = NULL;
  if (!rc_ok(db_open(&(db_options_t){.url = slice_str(url), .max_conns = 2, .time = &timesrc_system}, &db, &e))) _exit(5);
  for (int i = 0; i < THREADS; i++) {
    pthread_t t;
    w[i] = (writer_t){db, out, i};
    if (pthread_create(&t, NULL, write_on, &w[i]) != 0) _exit(6);
  }
  for (;;) (void)pause();
}

/* Kills the child once it has answered `after` commands; returns all that it answered. */
static char *run_and_kill(const fix_t *f, int after, arena_t *a)
{
  int p[2], status;
  static char text[1 << 20];
  size_t n = 0;
  int lines = 0;
  bool killed = false;
  assert_int_equal(pipe(p), 0);
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    (void)close(p[0]);
    child_main(f->url, p[1]);
  }
  (void)close(p[1]);
  for (;;) {
    ssize_t got = read(p[0], text + n, sizeof text - 1 - n);
    if (got <= 0) break;
    for (ssize_t i = 0; i < got; i++) lines += text[n + (size_t)i] == '\n';
    n += (size_t)got;
    if (lines >= after && !killed) killed = kill(pid, SIGKILL) == 0;
  }
  (void)close(p[0]);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  assert_true(lines >= after);
  text[n] = 0;
  return arena_text(a, slice_of(text, n));
}

static void test_kill(void **state)
{
  (void)state;
  fix_t f;
  uint64_t seed = 20;
  rng_t rng = rng_seeded(&seed);
  fix_open(&f);
  db_close(f.db);
  f.db = NULL;
  for (int k = 0; k < KILLS; k++) {
    char *said = run_and_kill(&f, 1 + (int)rng_below(&rng, 150), f.a);
    assert_non_null(said);
    fix_reopen(&f, 2); /* recovers */
    slice_t rest = slice_str(said), line;
    int answered = 0;
    while (slice_split(&rest, '\n', &line)) {
      if (!line.n) continue;
      err_t e = {0};
      team_t t;
      audit_t u;
      db_read_t *r = NULL;
      assert_true(rc_ok(db_read_begin(f.db, &r, &e)));
      assert_true(rc_ok(list_get(r, f.a, &res_team, line, &t, &e)));
      assert_true(rc_ok(list_get(r, f.a, &res_audit, line, &u, &e)));
      db_read_end(r);
      answered++;
    }
    assert_true(answered > 0);
    assert_int_equal(sql_number(&f, "select count(*) from teams t left join audit_events a on a.id = t.id where t.id like 'k%' and a.id is null"), 0);
    assert_int_equal(sql_number(&f, "select count(*) from audit_events a left join teams t on a.id = t.id where t.id is null"), 0);
    assert_int_equal(sql_number(&f, "select count(*) from pragma_integrity_check where integrity_check = 'ok'"), 1);
    assert_int_equal(sql_number(&f, "select open from writer_open"), 0);
    db_close(f.db);
    f.db = NULL;
  }
  fix_close(&f);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_kill)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
