/*
 * A file set is old or new, never mixed: every change to the disk fails once,
 * and the process "dies" at every one of them.
 */
#include "targets/atomic.h"

#include "base/log.h"
#include "base/mem.h"
#include "io/account.h"
#include "io/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define OLD_CERT "old certificate\n"
#define OLD_KEY "old key\n"
#define NEW_CERT "new certificate\n"
#define NEW_KEY "new key, longer\n"

static char root[48];
static int64_t now_us = 1764036971000000;

static us_t fake_wall(void *self)
{
  return (us_t){now_us += 7};
}
static int64_t fake_mono(void *self)
{
  return now_us += 7;
}
static const timesrc_t fake_time = {fake_wall, fake_mono, NULL};

/* A server that reads its files when told to. */
typedef struct server {
  char cert[64], key[64];
  bool refuse_validate, refuse_reload, stuck; /* stuck: a reload that says yes and does nothing */
  int validated, reloads, probes;
  const char *expect;
} server_t;

static slice_t text_of(const char *path, char out[64])
{
  FILE *f = fopen(path, "r");
  size_t n = f ? fread(out, 1, 63, f) : 0;
  out[n] = '\0';
  if (f) fclose(f);
  return slice_of(out, n);
}

static void path_of(char out[128], const char *name)
{
  snprintf(out, 128, "%s/%s", root, name);
}

static void read_file(const char *name, char out[64])
{
  char path[128];
  path_of(path, name);
  text_of(path, out);
}

static rc_t dead(err_t *e)
{
  return err_set(e, RC_IO, "killed", NULL, "the process is gone");
}

static rc_t validate(void *self, err_t *e)
{
  server_t *s = self;
  if (file_is_failing()) return dead(e);
  s->validated++;
  return s->refuse_validate ? err_set(e, RC_INVALID, "refused", NULL, "validation says no") : rc(RC_OK);
}

static rc_t reload(void *self, err_t *e)
{
  server_t *s = self;
  if (file_is_failing()) return dead(e);
  s->reloads++;
  if (s->refuse_reload && s->reloads == 1) return err_set(e, RC_INVALID, "refused", NULL, "reload says no");
  if (s->stuck) return rc(RC_OK);
  read_file("cert.pem", s->cert);
  read_file("key.pem", s->key);
  return rc(RC_OK);
}

static rc_t verify(void *self, bool once, err_t *e)
{
  server_t *s = self;
  if (file_is_failing()) return dead(e);
  s->probes++;
  return strcmp(s->cert, s->expect) == 0 ? rc(RC_OK) : err_set(e, RC_INVALID, "deploy_verify", NULL, "serves another");
}

typedef struct setup {
  char cert[128], key[128];
  atomic_file_t files[2];
  atomic_plan_t plan;
  server_t server;
  arena_t *arena;
  buf_t report;
  deploy_context_t cx;
} setup_t;

static void put(const char *name, const char *text, mode_t mode)
{
  char path[128];
  path_of(path, name);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs(text, f);
  fclose(f);
  assert_int_equal(chmod(path, mode), 0);
}

typedef struct emptying {
  dir_t dir;
} emptying_t;

static rc_t remove_one(void *self, const char *name)
{
  const emptying_t *x = self;
  return file_remove(&x->dir, name, NULL);
}

static void empty_root(void)
{
  emptying_t x;
  assert_true(rc_ok(dir_private(root, &x.dir, NULL)));
  assert_true(rc_ok(dir_each(&x.dir, remove_one, &x, NULL)));
  dir_close(&x.dir);
}

static void init(setup_t *s, bool with_old)
{
  *s = (setup_t){0};
  empty_root();
  if (with_old) {
    put("cert.pem", OLD_CERT, 0644);
    put("key.pem", OLD_KEY, 0640);
  }
  path_of(s->cert, "cert.pem");
  path_of(s->key, "key.pem");
  s->files[0] = (atomic_file_t){.path = slice_str(s->cert), .bytes = S(NEW_CERT), .default_mode = 0644};
  s->files[1] = (atomic_file_t){.path = slice_str(s->key), .bytes = S(NEW_KEY), .secret = true, .default_mode = 0600};
  s->server.expect = NEW_CERT;
  if (with_old) {
    snprintf(s->server.cert, sizeof s->server.cert, OLD_CERT);
    snprintf(s->server.key, sizeof s->server.key, OLD_KEY);
  }
  s->plan = (atomic_plan_t){.files = s->files, .n = 2, .hooks = {validate, reload, verify, &s->server}};
  s->arena = arena_new(4 << 20);
  assert_non_null(s->arena);
  s->report = buf_heap(4096);
  s->cx = (deploy_context_t){.arena = s->arena, .time = &fake_time, .report = &s->report};
}

static void fini(setup_t *s)
{
  file_fail_after(-1, false);
  arena_free(s->arena);
  buf_fini(&s->report);
}

static rc_t run(setup_t *s, bool *skipped, err_t *e)
{
  arena_reset(s->arena);
  buf_reset(&s->report);
  return atomic_deploy(&s->cx, &s->plan, skipped, e);
}

typedef struct count {
  int all, backups, temporaries, journals;
} count_t;

static rc_t count_one(void *self, const char *name)
{
  count_t *c = self;
  c->all++;
  if (strstr(name, ".certctl-bak.")) c->backups++;
  if (strstr(name, "tmp")) c->temporaries++;
  if (strstr(name, ".certctl-journal") && !strstr(name, "tmp")) c->journals++;
  return rc(RC_OK);
}

static count_t counted(void)
{
  count_t c = {0};
  DIR_SCOPED dir_t d = DIR_CLOSED;
  assert_true(rc_ok(dir_open(root, &d, NULL)));
  assert_true(rc_ok(dir_each(&d, count_one, &c, NULL)));
  return c;
}

static bool files_are(const char *cert, const char *key)
{
  char c[64], k[64];
  read_file("cert.pem", c);
  read_file("key.pem", k);
  return strcmp(c, cert) == 0 && strcmp(k, key) == 0;
}

static mode_t mode_of(const char *name)
{
  struct stat st;
  char path[128];
  path_of(path, name);
  assert_int_equal(stat(path, &st), 0);
  return st.st_mode & 07777;
}

static bool says(const setup_t *s, const char *text)
{
  return s->report.n > 0 && memmem(s->report.p, s->report.n, text, strlen(text)) != NULL;
}

/* Kills the run at its n-th change; true when it got that far. */
static bool killed_at(setup_t *s, long n)
{
  bool skipped = false;
  file_fail_after(n, true);
  rc_t r = run(s, &skipped, NULL);
  bool reached = file_is_failing();
  file_fail_after(-1, false);
  assert_true(reached || rc_ok(r));
  return reached;
}

static void test_replaces_and_keeps_modes(void **state)
{
  setup_t s;
  bool skipped = true;
  init(&s, true);
  assert_true(rc_ok(run(&s, &skipped, NULL)));
  assert_false(skipped);
  assert_true(files_are(NEW_CERT, NEW_KEY));
  assert_int_equal(mode_of("cert.pem"), 0644);
  assert_int_equal(mode_of("key.pem"), 0640);
  assert_string_equal(s.server.key, NEW_KEY);
  assert_int_equal(counted().backups, 2);
  assert_int_equal(counted().all, 4);
  assert_int_equal(s.server.validated, 1);
  assert_int_equal(s.server.reloads, 1);
  fini(&s);
}

static void test_second_run_touches_nothing(void **state)
{
  setup_t s;
  bool skipped = false;
  init(&s, true);
  assert_true(rc_ok(run(&s, &skipped, NULL)));
  assert_true(rc_ok(run(&s, &skipped, NULL)));
  assert_true(skipped);
  assert_int_equal(s.server.reloads, 1);
  assert_int_equal(counted().all, 4);
  fini(&s);
}

/* The files are new already, but the server was never told: skipping would be a false "all well". */
static void test_new_files_but_old_server(void **state)
{
  setup_t s;
  bool skipped = true;
  init(&s, true);
  put("cert.pem", NEW_CERT, 0644);
  put("key.pem", NEW_KEY, 0600);
  assert_true(rc_ok(run(&s, &skipped, NULL)));
  assert_false(skipped);
  assert_string_equal(s.server.cert, NEW_CERT);
  assert_int_equal(s.report.n, 0);
  fini(&s);
}

static void test_mode_drift_is_repaired(void **state)
{
  setup_t s;
  bool skipped = true;
  init(&s, true);
  s.files[1].mode = 0400;
  assert_true(rc_ok(run(&s, &skipped, NULL)));
  assert_int_equal(mode_of("key.pem"), 0400);
  put("key.pem", NEW_KEY, 0644);
  assert_true(rc_ok(run(&s, &skipped, NULL)));
  assert_false(skipped);
  assert_int_equal(mode_of("key.pem"), 0400);
  fini(&s);
}

static void test_key_is_never_for_others(void **state)
{
  setup_t s;
  bool skipped;
  init(&s, true);
  put("key.pem", OLD_KEY, 0644);
  assert_true(rc_ok(run(&s, &skipped, NULL)));
  assert_int_equal(mode_of("key.pem"), 0640);
  fini(&s);
  init(&s, false);
  umask(0);
  assert_true(rc_ok(run(&s, &skipped, NULL)));
  assert_int_equal(mode_of("key.pem"), 0600);
  assert_int_equal(mode_of("cert.pem"), 0644);
  fini(&s);
  umask(077);
  init(&s, false);
  assert_true(rc_ok(run(&s, &skipped, NULL)));
  assert_int_equal(mode_of("key.pem"), 0600);
  assert_int_equal(mode_of("cert.pem"), 0644);
  umask(022);
  fini(&s);
}

typedef struct refusal {
  const char *name;
  bool validate, reload, stuck;
  int64_t retention;
  int reloads;      /* told to reload, altogether */
  const char *said; /* how it was left */
} refusal_t;

static const refusal_t refusals[] = {
  {"validation", .validate = true, .reloads = 0, .said = "the old files are back; the server was not reloaded"},
  {"reload", .reload = true, .reloads = 2, .said = "the old files are back; the server was reloaded with the old files"},
  {"endpoint", .stuck = true, .reloads = 2, .said = "the old files are back; the server was reloaded with the old files"},
  {"reload, no backups kept", .reload = true, .retention = -1, .reloads = 2, .said = "the old files are back"},
  {"validation, no backups kept", .validate = true, .retention = -1, .reloads = 0, .said = "the old files are back"},
};

static void test_refusals_bring_the_old_files_back(void **state)
{
  for (size_t i = 0; i < COUNT_OF(refusals); i++) {
    const refusal_t *x = &refusals[i];
    setup_t s;
    bool skipped = false;
    err_t e = {0};
    init(&s, true);
    s.server.refuse_validate = x->validate;
    s.server.refuse_reload = x->reload;
    s.server.stuck = x->stuck;
    s.plan.retention = x->retention;
    assert_false(rc_ok(run(&s, &skipped, &e)));
    assert_string_equal(e.reason, x->stuck ? "deploy_verify" : "refused");
    assert_true(files_are(OLD_CERT, OLD_KEY));
    assert_string_equal(s.server.cert, OLD_CERT);
    assert_int_equal(mode_of("key.pem"), 0640);
    assert_int_equal(s.server.reloads, x->reloads);
    assert_true(says(&s, x->said));
    assert_int_equal(counted().all, 2);
    fini(&s);
  }
}

static void test_refusal_of_a_first_deployment_leaves_nothing(void **state)
{
  setup_t s;
  bool skipped;
  init(&s, false);
  s.server.refuse_validate = true;
  assert_false(rc_ok(run(&s, &skipped, NULL)));
  assert_int_equal(counted().all, 0);
  fini(&s);
}

static rc_t backup_of_cert(void *self, const char *name)
{
  char *have = self;
  if (strncmp(name, "cert.pem.certctl-bak.", 21) == 0) memcpy(have, name, strlen(name) + 1);
  return rc(RC_OK);
}

/* The name of the one backup of the certificate. */
static void backup_name(char out[LIM_NAME])
{
  dir_t d = DIR_CLOSED;
  out[0] = '\0';
  assert_true(rc_ok(dir_open(root, &d, NULL)));
  assert_true(rc_ok(dir_each(&d, backup_of_cert, out, NULL)));
  dir_close(&d);
}

/* The one backup that is kept is the one before the current file. */
static void backup_is(const char *text)
{
  char name[LIM_NAME], have[64];
  backup_name(name);
  read_file(name, have);
  assert_string_equal(have, text);
}

static int64_t odd_us;

static us_t odd_wall(void *self)
{
  return (us_t){odd_us};
}

/* Whatever the clock shows, a backup is named by 19 digits: a journal is read by them. */
static void test_clocks_that_cannot_be_right(void **state)
{
  static const timesrc_t odd = {odd_wall, fake_mono, NULL};
  static const struct {
    int64_t us;
    const char *name;
  } rows[] = {
    {-1, "cert.pem.certctl-bak.0000000000000000000"},
    {0, "cert.pem.certctl-bak.0000000000000000000"},
    {1, "cert.pem.certctl-bak.0000000000000001000"},
    {INT64_MAX / 1000, "cert.pem.certctl-bak.9223372036854775000"},
    {INT64_MAX / 1000 + 1, "cert.pem.certctl-bak.0000000000000000000"},
    {INT64_MAX, "cert.pem.certctl-bak.0000000000000000000"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    setup_t s;
    bool skipped;
    char name[LIM_NAME];
    init(&s, true);
    s.cx.time = &odd;
    odd_us = rows[i].us;
    assert_true(rc_ok(run(&s, &skipped, NULL)));
    backup_name(name);
    assert_string_equal(name, rows[i].name);
    fini(&s);
  }
}

/* As many files as a plan may have, two of them there before; one more, or none, is refused. */
static void test_as_many_files_as_a_plan_may_have(void **state)
{
  static const char *const names[ATOMIC_FILES] = {"cert.pem", "key.pem", "chain.pem", "fourth.pem"};
  atomic_file_t files[ATOMIC_FILES + 1];
  char paths[ATOMIC_FILES][128], have[64];
  setup_t s;
  bool skipped;
  err_t e = {0};
  init(&s, true);
  for (size_t i = 0; i < ATOMIC_FILES; i++) {
    path_of(paths[i], names[i]);
    files[i] = (atomic_file_t){.path = slice_str(paths[i]), .bytes = S(NEW_CERT), .default_mode = 0644};
  }
  s.plan.files = files;
  for (size_t n = 0; n <= ATOMIC_FILES + 1; n += ATOMIC_FILES + 1) {
    s.plan.n = n;
    assert_true(rc_is(run(&s, &skipped, &e), RC_FULL));
    assert_int_equal(e.limit, ATOMIC_FILES);
  }
  s.plan.n = ATOMIC_FILES;
  s.server.refuse_validate = true;
  assert_true(rc_is(run(&s, &skipped, &e), RC_INVALID));
  assert_true(files_are(OLD_CERT, OLD_KEY));
  assert_int_equal(counted().all, 2);
  s.server.refuse_validate = false;
  killed_at(&s, 20);
  assert_int_equal(counted().journals, 1);
  assert_true(rc_ok(atomic_recover(&s.cx, &s.plan, NULL)));
  assert_int_equal(counted().all, 2);
  for (int pass = 0; pass < 2; pass++) {
    assert_true(rc_ok(run(&s, &skipped, &e)));
    assert_int_equal(skipped, pass == 1);
  }
  for (size_t i = 0; i < ATOMIC_FILES; i++) {
    read_file(names[i], have);
    assert_string_equal(have, NEW_CERT);
  }
  assert_int_equal(counted().all, ATOMIC_FILES + 2); /* with two backups */
  fini(&s);
}

/* The name of a temporary file or backup is 32 bytes longer, and must still be a name. */
static void test_longest_name(void **state)
{
  enum { LONGEST = LIM_NAME - 1 - 32 };
  for (size_t over = 0; over < 2; over++) {
    setup_t s;
    bool skipped;
    err_t e = {0};
    char path[512];
    init(&s, true);
    int n = snprintf(path, sizeof path, "%s/", root);
    memset(path + n, 'n', LONGEST + over);
    path[(size_t)n + LONGEST + over] = '\0';
    s.files[1].path = slice_str(path);
    rc_t r = run(&s, &skipped, &e);
    assert_int_equal(r.code, over ? RC_FULL : RC_OK);
    if (over) assert_string_equal(e.text, "file name is too long");
    fini(&s);
  }
}

static void test_first_account_owns_a_new_file(void **state)
{
  static const char *const accounts[] = {"no such account", "nobody", "daemon", NULL};
  setup_t s;
  bool skipped;
  struct stat st;
  uint32_t nobody;
  if (geteuid() != 0 || !rc_ok(user_find(S("nobody"), &nobody, NULL))) skip();
  init(&s, false);
  s.files[0].accounts = accounts;
  assert_true(rc_ok(run(&s, &skipped, NULL)));
  assert_int_equal(stat(s.cert, &st), 0);
  assert_int_equal(st.st_uid, nobody);
  fini(&s);
}

typedef struct owner_row {
  const char *owner, *group;
  bool with_old;
  const char *const *accounts;
  uid_t uid;
  gid_t gid;
} owner_row_t;

static const char *const well_known[] = {"daemon", NULL};

static const owner_row_t owners[] = {
  {"", "", false, NULL, 0, 0},
  {"", "", true, well_known, 0, 0},         /* as the existing file */
  {"64001", "", true, NULL, 64001, 0},
  {"", "64002", true, NULL, 0, 64002},
  {"64001", "64002", false, NULL, 64001, 64002},
  {"64001", "64002", true, NULL, 64001, 64002},
};

/* Owner and group each for itself: as told, else as the file there. */
static void test_owners(void **state)
{
  if (geteuid() != 0) skip();
  for (size_t i = 0; i < COUNT_OF(owners); i++) {
    const owner_row_t *x = &owners[i];
    setup_t s;
    bool skipped;
    struct stat st;
    init(&s, x->with_old);
    s.files[0].owner = slice_str(x->owner);
    s.files[0].group = slice_str(x->group);
    s.files[0].accounts = x->accounts;
    assert_true(rc_ok(run(&s, &skipped, NULL)));
    assert_int_equal(stat(s.cert, &st), 0);
    assert_int_equal(st.st_uid, x->uid);
    assert_int_equal(st.st_gid, x->gid);
    assert_true(rc_ok(run(&s, &skipped, NULL)));
    assert_true(skipped);
    /* What drifted away is put right, each for itself. */
    for (int k = 0; k < 2; k++) {
      bool told = k ? x->group[0] != '\0' : x->owner[0] != '\0';
      assert_int_equal(chown(s.cert, k ? (uid_t)-1 : 64009, k ? 64009 : (gid_t)-1), 0);
      assert_true(rc_ok(run(&s, &skipped, NULL)));
      assert_int_equal(skipped, !told);
      assert_int_equal(chown(s.cert, x->uid, st.st_gid), 0);
    }
    fini(&s);
  }
}

static void test_retention(void **state)
{
  static const struct {
    int64_t retention;
    int kept;
  } rows[] = {{0, 3}, {1, 1}, {5, 5}, {-1, 0}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    setup_t s;
    bool skipped;
    char text[32];
    init(&s, true);
    s.plan.retention = rows[i].retention;
    for (int round = 0; round < 7; round++) {
      snprintf(text, sizeof text, "certificate %d\n", round);
      s.files[0].bytes = slice_str(text);
      s.server.expect = text;
      s.files[1].bytes = slice_str(text);
      assert_true(rc_ok(run(&s, &skipped, NULL)));
    }
    assert_int_equal(counted().backups, 2 * rows[i].kept);
    if (rows[i].kept == 1) backup_is("certificate 5\n");
    assert_int_equal(counted().temporaries, 0);
    fini(&s);
  }
}

static void test_paths_that_are_refused(void **state)
{
  setup_t s;
  bool skipped;
  err_t e = {0};
  char other[160], link[128];
  init(&s, true);

  snprintf(other, sizeof other, "%s/./cert.pem", root);
  s.files[1].path = slice_str(other);
  assert_true(rc_is(run(&s, &skipped, &e), RC_INVALID));
  assert_string_equal(e.text, "is used for two files");

  path_of(link, "link.pem");
  assert_int_equal(symlink("key.pem", link), 0);
  s.files[1].path = slice_str(link);
  e = (err_t){0};
  assert_true(rc_is(run(&s, &skipped, &e), RC_INVALID));
  assert_non_null(strstr(e.text, "symbolic link"));
  assert_true(says(&s, "link.pem"));

  snprintf(other, sizeof other, "%s/nowhere/key.pem", root);
  s.files[1].path = slice_str(other);
  e = (err_t){0};
  assert_true(rc_is(run(&s, &skipped, &e), RC_NOTFOUND));
  assert_non_null(strstr(e.value, "nowhere"));

  s.files[1].path = S("relative/key.pem");
  assert_true(rc_is(run(&s, &skipped, &e), RC_INVALID));
  s.files[1].path = S("/tmp/a\nb");
  assert_true(rc_is(run(&s, &skipped, &e), RC_INVALID));
  assert_true(files_are(OLD_CERT, OLD_KEY));
  fini(&s);
}

/* One failure at the n-th change: the files are old, the server too, and the report says so; or all is new. */
static void test_every_change_fails_once(void **state)
{
  for (int with_old = 0; with_old < 2; with_old++) {
    long n = 0;
    for (;; n++) {
      setup_t s;
      bool skipped = false;
      err_t e = {0};
      init(&s, with_old == 1);
      file_fail_after(n, false);
      rc_t r = run(&s, &skipped, &e);
      file_fail_after(-1, false);
      if (rc_ok(r)) {
        assert_true(files_are(NEW_CERT, NEW_KEY));
        assert_string_equal(s.server.cert, NEW_CERT);
        bool reached = counted().backups != 2 * with_old; /* pruning failed: litter only */
        fini(&s);
        if (!reached) break;
        continue;
      }
      assert_true(s.report.n > 0);
      assert_true(files_are(with_old ? OLD_CERT : "", with_old ? OLD_KEY : ""));
      assert_int_equal(counted().journals, 0);
      assert_int_equal(counted().temporaries, 0);
      /* And a second try succeeds. */
      assert_true(rc_ok(run(&s, &skipped, &e)));
      assert_true(files_are(NEW_CERT, NEW_KEY));
      assert_string_equal(s.server.cert, NEW_CERT);
      fini(&s);
    }
    assert_true(n > 12);
  }
}

static void test_killed_anywhere_next_run_ends_new(void **state)
{
  for (int with_old = 0; with_old < 2; with_old++) {
    for (int64_t retention = -1; retention <= 0; retention++) {
      long n = 0;
      for (bool reached = true; reached; n++) {
        setup_t s;
        bool skipped = false;
        init(&s, with_old == 1);
        s.plan.retention = retention;
        reached = killed_at(&s, n);
        assert_true(rc_ok(run(&s, &skipped, NULL)));
        assert_true(files_are(NEW_CERT, NEW_KEY));
        assert_string_equal(s.server.cert, NEW_CERT);
        assert_string_equal(s.server.key, NEW_KEY);
        assert_int_equal(counted().journals, 0);
        assert_int_equal(counted().temporaries, 0);
        fini(&s);
      }
      assert_true(n > 12);
    }
  }
}

static void test_killed_anywhere_next_run_refused_ends_old(void **state)
{
  for (int how = 0; how < 2; how++) {
    for (bool reached = true, first = true; reached; first = false) {
      static long n;
      if (first) n = 0;
      setup_t s;
      bool skipped = false;
      init(&s, true);
      reached = killed_at(&s, n++);
      /* The next run brings another certificate, which is refused. */
      bool was_new = files_are(NEW_CERT, NEW_KEY) && counted().journals == 0;
      s.files[0].bytes = S("third\n");
      s.files[1].bytes = S("third key\n");
      s.server.expect = "third\n";
      s.server.reloads = 0;
      s.server.refuse_validate = how == 0;
      s.server.refuse_reload = how == 1;
      assert_false(rc_ok(run(&s, &skipped, NULL)));
      assert_true(was_new ? files_are(NEW_CERT, NEW_KEY) : files_are(OLD_CERT, OLD_KEY));
      assert_string_equal(s.server.cert, was_new ? NEW_CERT : OLD_CERT);
      assert_int_equal(counted().journals, 0);
      fini(&s);
    }
  }
}

/* The certificate that is wanted now is the one that was there before the dead run. */
static void test_killed_anywhere_next_run_wants_the_old(void **state)
{
  long n = 0;
  for (bool reached = true; reached; n++) {
    setup_t s;
    bool skipped = false;
    init(&s, true);
    reached = killed_at(&s, n);
    s.files[0].bytes = S(OLD_CERT);
    s.files[1].bytes = S(OLD_KEY);
    s.server.expect = OLD_CERT;
    assert_true(rc_ok(run(&s, &skipped, NULL)));
    assert_true(files_are(OLD_CERT, OLD_KEY));
    assert_string_equal(s.server.cert, OLD_CERT);
    assert_int_equal(counted().journals, 0);
    fini(&s);
  }
}

static void test_killed_twice(void **state)
{
  for (long first = 0; first < 24; first += 3) {
    for (long second = 0; second < 30; second += 2) {
      setup_t s;
      bool skipped = false;
      init(&s, true);
      killed_at(&s, first);
      killed_at(&s, second);
      assert_true(rc_ok(run(&s, &skipped, NULL)));
      assert_true(files_are(NEW_CERT, NEW_KEY));
      assert_string_equal(s.server.key, NEW_KEY);
      assert_int_equal(counted().journals, 0);
      fini(&s);
    }
  }
}

static void test_recover_alone(void **state)
{
  long n = 0;
  for (bool reached = true; reached; n++) {
    setup_t s;
    init(&s, true);
    reached = killed_at(&s, n);
    bool journaled = counted().journals == 1;
    assert_true(rc_ok(atomic_recover(&s.cx, &s.plan, NULL)));
    if (journaled) assert_int_equal(counted().all, 2);
    bool old = files_are(OLD_CERT, OLD_KEY), new = files_are(NEW_CERT, NEW_KEY);
    assert_true(old || new);
    assert_string_equal(s.server.cert, old ? OLD_CERT : NEW_CERT);
    assert_int_equal(counted().journals, 0);
    assert_int_equal(counted().temporaries, 0);
    fini(&s);
  }
}

/* Somebody who may write to the folder plants a journal that names another file. */
static void test_foreign_journal_is_not_followed(void **state)
{
  setup_t s;
  bool skipped;
  err_t e = {0};
  char text[256];
  init(&s, true);
  put("victim", "precious\n", 0600);
  put("victim.certctl-bak.1764036971000000000", "evil\n", 0600);
  snprintf(text, sizeof text, "certctl-journal 1 1764036971000000000\n1 %s/victim\nend\n", root);
  put("cert.pem.certctl-journal", text, 0644);
  assert_true(rc_is(run(&s, &skipped, &e), RC_INVALID));
  assert_string_equal(e.reason, "deploy_journal");
  char have[64];
  read_file("victim", have);
  assert_string_equal(have, "precious\n");
  assert_true(files_are(OLD_CERT, OLD_KEY));

  static const char *const damaged[] = {"", "x", "certctl-journal 1 17640369710000000\nend\n",
                                        "certctl-journal 1 17640369710000000zz\nend\n",
                                        "certctl-journal 1 1764036971000000000\n2 /a\nend\n",
                                        "certctl-journal 1 1764036971000000000\n1 /a/b\n"};
  for (size_t i = 0; i < COUNT_OF(damaged); i++) {
    put("cert.pem.certctl-journal", damaged[i], 0600);
    e = (err_t){0};
    assert_false(rc_ok(run(&s, &skipped, &e)));
    assert_string_equal(e.reason, "deploy_journal");
    assert_true(files_are(OLD_CERT, OLD_KEY));
  }
  fini(&s);
}

/* A second for every look. */
static int64_t fast_mono(void *self)
{
  return now_us += US_PER_S;
}

static void test_lock_is_waited_for_and_given_up(void **state)
{
  static const timesrc_t fast = {fake_wall, fast_mono, NULL};
  setup_t s;
  bool skipped;
  err_t e = {0};
  dir_t other = DIR_CLOSED;
  init(&s, true);
  assert_true(rc_ok(dir_open(root, &other, NULL)));
  assert_true(rc_ok(dir_lock_try(&other, NULL)));
  s.cx.time = &fast;
  int64_t before = now_us;
  assert_true(rc_is(run(&s, &skipped, &e), RC_AGAIN));
  assert_string_equal(e.reason, "deploy_locked");
  assert_true(says(&s, "another deployment holds the folder"));
  assert_true(now_us - before >= 30 * US_PER_S);
  assert_true(files_are(OLD_CERT, OLD_KEY));
  dir_close(&other);
  assert_true(rc_ok(run(&s, &skipped, &e)));
  fini(&s);
}

static void test_out_of_memory_changes_nothing(void **state)
{
  for (long n = 0; n < 12; n++) {
    setup_t s;
    bool skipped = false;
    init(&s, true);
    mem_fail_after(n);
    rc_t r = run(&s, &skipped, NULL);
    mem_fail_after(-1);
    assert_true(rc_ok(r) ? files_are(NEW_CERT, NEW_KEY) : files_are(OLD_CERT, OLD_KEY));
    assert_int_equal(counted().journals, 0);
    fini(&s);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_replaces_and_keeps_modes),
    cmocka_unit_test(test_second_run_touches_nothing),
    cmocka_unit_test(test_new_files_but_old_server),
    cmocka_unit_test(test_mode_drift_is_repaired),
    cmocka_unit_test(test_key_is_never_for_others),
    cmocka_unit_test(test_refusals_bring_the_old_files_back),
    cmocka_unit_test(test_refusal_of_a_first_deployment_leaves_nothing),
    cmocka_unit_test(test_retention),
    cmocka_unit_test(test_clocks_that_cannot_be_right),
    cmocka_unit_test(test_as_many_files_as_a_plan_may_have),
    cmocka_unit_test(test_longest_name),
    cmocka_unit_test(test_first_account_owns_a_new_file),
    cmocka_unit_test(test_owners),
    cmocka_unit_test(test_paths_that_are_refused),
    cmocka_unit_test(test_every_change_fails_once),
    cmocka_unit_test(test_killed_anywhere_next_run_ends_new),
    cmocka_unit_test(test_killed_anywhere_next_run_refused_ends_old),
    cmocka_unit_test(test_killed_anywhere_next_run_wants_the_old),
    cmocka_unit_test(test_killed_twice),
    cmocka_unit_test(test_recover_alone),
    cmocka_unit_test(test_foreign_journal_is_not_followed),
    cmocka_unit_test(test_lock_is_waited_for_and_given_up),
    cmocka_unit_test(test_out_of_memory_changes_nothing),
  };
  log_setup(LOG_ERROR, false);
  /* In memory where there is such a place: what is tested is the order of the steps, thousands of times. */
  const char *where = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
  snprintf(root, sizeof root, "%s/certctl-atomic-%d", where, (int)getpid());
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  empty_root();
  return rmdir(root) == 0 ? failed : 1;
}
