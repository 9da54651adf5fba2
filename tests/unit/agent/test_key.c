/*
 * The key store: one key a job however often it comes and wherever the process
 * dies, switched only when told, nothing needed ever pruned.
 */
#include "agent/key.h"

#include "base/log.h"
#include "crypto/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static char root[64];
static dir_t keys = {.fd = -1};
static arena_t *arena;
static const us_t now = {INT64_C(1764036971000000)};

static int fresh(void **state)
{
  char command[160];
  snprintf(command, sizeof command, "rm -rf %s", root);
  if (system(command) != 0) return -1;
  arena = arena_new(8 << 20);
  return arena && rc_ok(dir_private(root, &keys, NULL)) ? 0 : -1;
}

static int gone(void **state)
{
  char command[160];
  file_fail_after(-1, false);
  dir_close(&keys);
  arena_free(arena);
  snprintf(command, sizeof command, "rm -rf %s", root);
  return system(command);
}

static slice_t spki_dup(const sigkey_t *k)
{
  return arena_dup(arena, key_spki(k));
}

/* SPKI of the job's key; empty on failure. */
static slice_t ask(const char *certificate, const char *job, const char *name)
{
  KEY_SCOPED sigkey_t *k = NULL;
  rc_t r = key_for_job(&keys, slice_str(certificate), slice_str(job), slice_str(name), arena, &k, NULL);
  return rc_ok(r) ? spki_dup(k) : (slice_t){NULL, 0};
}

static bool has(const char *certificate, slice_t spki, slice_t *ret_name)
{
  SECRET_SCOPED secret_t pem = {0};
  return rc_ok(key_find(&keys, slice_str(certificate), spki, arena, &pem, ret_name, NULL)) && pem.n > 100;
}

static rc_t activate(const char *certificate, slice_t spki)
{
  return key_activate(&keys, slice_str(certificate), spki, now, arena, NULL);
}

typedef struct count {
  int keys, marks, others;
} count_t;

static rc_t count_one(void *self, const char *name)
{
  count_t *c = self;
  slice_t s = slice_str(name);
  if (slice_ends(s, S(".key"))) c->keys++;
  else if (slice_ends(s, S(".job"))) c->marks++;
  else c->others++;
  return rc(RC_OK);
}

static count_t counted(const char *certificate)
{
  count_t c = {0};
  dir_t d = DIR_CLOSED;
  assert_true(rc_ok(dir_private_at(&keys, certificate, &d, NULL)));
  assert_true(rc_ok(dir_each(&d, count_one, &c, NULL)));
  dir_close(&d);
  return c;
}

static void current(const char *certificate, char out[256])
{
  char link[160];
  snprintf(link, sizeof link, "%s.key", certificate);
  if (!rc_ok(file_pointee(&keys, link, out, 256, NULL))) out[0] = '\0';
}

static void test_same_job_same_key(void **state)
{
  slice_t name = {0};
  slice_t one = ask("mc-1", "job-1", "www.example.test");
  assert_true(one.n > 60);
  assert_true(slice_eq(one, ask("mc-1", "job-1", "ignored the second time")));
  assert_false(slice_eq(one, ask("mc-1", "job-2", "www.example.test")));
  assert_false(slice_eq(one, ask("mc-2", "job-1", "www.example.test")));
  assert_true(has("mc-1", one, &name));
  assert_true(slice_is(name, "www.example.test"));
  assert_false(has("mc-2", one, &name));
  struct stat st;
  char path[320], hex[65];
  sha256_hex(one, hex);
  snprintf(path, sizeof path, "%s/mc-1/%s.key", root, hex);
  assert_int_equal(stat(path, &st), 0);
  assert_int_equal(st.st_mode & 07777, 0600);
  /* The mark outlives the key: a request can still be made. */
  assert_int_equal(unlink(path), 0);
  slice_t again = ask("mc-1", "job-1", "www.example.test");
  assert_true(again.n > 60 && !slice_eq(one, again));
}

/* Better no request than one with a second key. */
static void test_mark_that_cannot_be_read_makes_no_new_key(void **state)
{
  static const char *const damaged[] = {"", "{", "[]", "{}", "{\"spki\":7}", "{\"spki\":\"short\"}"};
  dir_t d = DIR_CLOSED;
  assert_true(ask("mc-1", "job-1", "").n > 0);
  assert_true(rc_ok(dir_private_at(&keys, "mc-1", &d, NULL)));
  for (size_t i = 0; i < COUNT_OF(damaged); i++) {
    assert_true(rc_ok(file_write(&d, "job-1.job", slice_str(damaged[i]), FILE_PRIVATE, NULL)));
    assert_int_equal(ask("mc-1", "job-1", "").n, 0);
  }
  dir_close(&d);
  assert_int_equal(counted("mc-1").keys, 1);
}

static void test_killed_while_making_a_key(void **state)
{
  bool reached = true;
  long n = 0;
  for (; reached; n++) {
    char job[32];
    snprintf(job, sizeof job, "job-%ld", n);
    file_fail_after(n, true);
    slice_t first = ask("mc-1", job, "");
    reached = file_is_failing();
    file_fail_after(-1, false);
    slice_t second = ask("mc-1", job, "");
    assert_true(second.n > 60);
    assert_true(first.n == 0 || slice_eq(first, second)); /* what may have left is what comes again */
    assert_true(slice_eq(second, ask("mc-1", job, "")));
  }
  assert_true(n > 5);
}

static void test_switched_only_when_told(void **state)
{
  char link[256], hex[65];
  slice_t one = ask("mc-1", "job-1", "");
  assert_true(rc_ok(activate("mc-1", one)));
  current("mc-1", link);
  sha256_hex(one, hex);
  assert_non_null(strstr(link, hex));
  slice_t two = ask("mc-1", "job-2", "");
  current("mc-1", link);
  assert_non_null(strstr(link, hex));
  assert_true(rc_ok(activate("mc-1", two)));
  current("mc-1", link);
  assert_null(strstr(link, hex));
  /* The link leads to a key file. */
  char path[320];
  struct stat st;
  snprintf(path, sizeof path, "%s/mc-1.key", root);
  assert_int_equal(stat(path, &st), 0);
  assert_true(S_ISREG(st.st_mode));
}

static void set_age(const char *certificate, slice_t spki, int days)
{
  char path[320], hex[65];
  sha256_hex(spki, hex);
  snprintf(path, sizeof path, "%s/%s/%s.key", root, certificate, hex);
  struct timespec t[2] = {{.tv_sec = now.us / US_PER_S - days * 86400}, {.tv_sec = now.us / US_PER_S - days * 86400}};
  dir_t d = DIR_CLOSED;
  assert_true(rc_ok(dir_open(root, &d, NULL)));
  assert_int_equal(utimensat(d.fd, path, t, 0), 0);
  dir_close(&d);
}

static void test_pruning_keeps_what_is_needed(void **state)
{
  enum { JOBS = 9 };
  slice_t spki[JOBS], name;
  for (int i = 0; i < JOBS; i++) {
    char job[32];
    snprintf(job, sizeof job, "job-%d", i);
    spki[i] = ask("mc-1", job, "");
    set_age("mc-1", spki[i], 100 - i);
  }
  /* 0 to 6 were issued one after the other, 7 and 8 wait for their certificates. */
  for (int i = 0; i < JOBS - 2; i++) assert_true(rc_ok(activate("mc-1", spki[i])));
  assert_int_equal(counted("mc-1").keys, 1 + 2 + KEYS_KEPT);
  assert_int_equal(counted("mc-1").marks, 1 + 2 + KEYS_KEPT);
  for (int i = 0; i < JOBS; i++) assert_int_equal(has("mc-1", spki[i], &name), i >= JOBS - 2 - 1 - KEYS_KEPT);
  /* Going back to an older one that is still there. */
  assert_true(rc_ok(activate("mc-1", spki[4])));
  for (int i = 7; i < JOBS; i++) assert_true(has("mc-1", spki[i], &name));
  assert_true(has("mc-1", spki[4], &name));
}

static void test_killed_while_switching(void **state)
{
  bool reached = true;
  long n = 0;
  slice_t name;
  for (; reached; n++) {
    char job[32], link[256], hex[65];
    snprintf(job, sizeof job, "job-%ld", n);
    slice_t spki = ask("mc-1", job, "");
    file_fail_after(n, true);
    bool done = rc_ok(activate("mc-1", spki));
    reached = file_is_failing();
    file_fail_after(-1, false);
    assert_true(done || reached);
    assert_true(has("mc-1", spki, &name));
    assert_true(rc_ok(activate("mc-1", spki)));
    assert_true(rc_ok(key_sweep(&keys, NULL)));
    current("mc-1", link);
    sha256_hex(spki, hex);
    assert_non_null(strstr(link, hex));
    count_t c = counted("mc-1");
    assert_int_equal(c.others, 0);
  }
  assert_true(n > 4);
  int entries = 0;
  char command[160], text[8] = "";
  snprintf(command, sizeof command, "ls -A %s | wc -l", root);
  FILE *f = popen(command, "r");
  assert_non_null(f);
  assert_non_null(fgets(text, sizeof text, f));
  pclose(f);
  entries = (int)strtol(text, NULL, 10);
  assert_int_equal(entries, 2); /* the folder and the link */
}

/* <certificate>.key as a plain file, written by an older agent, still answers for its certificate. */
static void test_older_agent_is_taken_over(void **state)
{
  KEY_SCOPED sigkey_t *k = NULL;
  SECRET_SCOPED secret_t pem = {0};
  slice_t name;
  assert_true(rc_ok(key_generate(KEY_P256, 0, &k, NULL)));
  assert_true(rc_ok(key_to_pem(k, &pem, NULL)));
  assert_true(rc_ok(file_create(&keys, "mc-1.key", slice_of(pem.p, pem.n), FILE_PRIVATE, NULL)));
  slice_t old = spki_dup(k), new = ask("mc-1", "job-1", "");
  assert_true(has("mc-1", old, &name));
  assert_true(rc_ok(activate("mc-1", new)));
  assert_true(has("mc-1", old, &name));
  assert_true(has("mc-1", new, &name));
  char link[256];
  current("mc-1", link);
  assert_true(link[0] != '\0');
}

static void test_ids(void **state)
{
  static const char *const bad[] = {"", ".", "..", "a/b", "../x", "a b", "a\n", "\xc3\xa9", "+deploying", "a:b"};
  char longest[KEY_ID_MAX + 2];
  memset(longest, 'a', sizeof longest);
  longest[KEY_ID_MAX + 1] = '\0';
  for (size_t i = 0; i < COUNT_OF(bad); i++) {
    assert_true(rc_is(key_id_check("id", slice_str(bad[i]), NULL), RC_INVALID));
    assert_int_equal(ask(bad[i], "job-1", "").n, 0);
    assert_int_equal(ask("mc-1", bad[i], "").n, 0);
  }
  assert_true(rc_is(key_id_check("id", slice_str(longest), NULL), RC_INVALID));
  longest[KEY_ID_MAX] = '\0';
  assert_true(rc_ok(key_id_check("id", slice_str(longest), NULL)));
  assert_true(ask(longest, longest, "").n > 0);
  assert_true(rc_ok(key_id_check("id", S("...a-_.Z9"), NULL)));
}

static void test_folder_of_a_certificate_that_is_a_link_is_refused(void **state)
{
  char path[160];
  snprintf(path, sizeof path, "%s/mc-1", root);
  assert_int_equal(symlink("/tmp", path), 0);
  assert_int_equal(ask("mc-1", "job-1", "").n, 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, fresh, gone)
    T(test_same_job_same_key),
    T(test_mark_that_cannot_be_read_makes_no_new_key),
    T(test_killed_while_making_a_key),
    T(test_switched_only_when_told),
    T(test_pruning_keeps_what_is_needed),
    T(test_killed_while_switching),
    T(test_older_agent_is_taken_over),
    T(test_ids),
    T(test_folder_of_a_certificate_that_is_a_link_is_refused),
  };
  log_setup(LOG_ERROR, false);
  snprintf(root, sizeof root, "%s/certctl-keys-%d", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (int)getpid());
  return cmocka_run_group_tests(tests, NULL, NULL);
}
