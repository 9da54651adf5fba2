#include "io/file.h"
#include "io/log_file.h"
#include "io/watch.h"

#include "base/log.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "in_child.h"

static char root[64];
static dir_t dir = {.fd = -1};

static void path_of(char out[256], const char *name)
{
  snprintf(out, 256, "%s/%s", root, name);
}

static mode_t mode_of(const char *name)
{
  char path[256];
  struct stat st;
  path_of(path, name);
  assert_int_equal(lstat(path, &st), 0);
  return st.st_mode & 07777;
}

static int fresh(void **state)
{
  char command[160];
  dir_close(&dir);
  snprintf(command, sizeof command, "rm -rf %s && mkdir %s", root, root);
  if (system(command) != 0) return -1;
  return rc_ok(dir_open(root, &dir, NULL)) ? 0 : -1;
}

static int gone(void **state)
{
  char command[160];
  dir_close(&dir);
  file_fail_after(-1, false);
  snprintf(command, sizeof command, "rm -rf %s", root);
  return system(command);
}

static bool content_is(const char *name, const char *text)
{
  BUF_SCOPED buf_t b = buf_heap(1024);
  return rc_ok(file_read(&dir, name, 1024, &b, NULL)) && slice_is(buf_slice(&b), text);
}

static void test_write_replaces_whole_with_exact_mode(void **state)
{
  static const mode_t masks[] = {0, 022, 077};
  for (size_t i = 0; i < COUNT_OF(masks); i++) {
    mode_t before = umask(masks[i]);
    assert_true(rc_ok(file_write(&dir, "a", S("one"), (file_attr_t){0644, FILE_KEEP, FILE_KEEP}, NULL)));
    assert_int_equal(mode_of("a"), 0644);
    assert_true(rc_ok(file_write(&dir, "a", S("two, longer"), FILE_PRIVATE, NULL)));
    assert_int_equal(mode_of("a"), 0600);
    umask(before);
    assert_true(content_is("a", "two, longer"));
  }
}

static rc_t count_names(void *self, const char *name)
{
  ++*(int *)self;
  return rc(RC_OK);
}

static int names(void)
{
  int n = 0;
  assert_true(rc_ok(dir_each(&dir, count_names, &n, NULL)));
  return n;
}

static void test_write_fails_at_every_step_and_leaves_the_old(void **state)
{
  assert_true(rc_ok(file_write(&dir, "a", S("old"), FILE_PRIVATE, NULL)));
  long n = 0;
  for (;; n++) {
    err_t e = {0};
    file_fail_after(n, false);
    rc_t r = file_write(&dir, "a", S("new"), FILE_PRIVATE, &e);
    file_fail_after(-1, false);
    if (rc_ok(r)) break;
    assert_true(rc_is(r, RC_IO));
    assert_non_null(strstr(e.value, root));
    /* The directory's own fsync comes last, after the rename. */
    assert_true(content_is("a", strcmp(e.reason, "file_sync") == 0 && content_is("a", "new") ? "new" : "old"));
    assert_int_equal(names(), 1);
  }
  assert_true(n >= 5);
  assert_true(content_is("a", "new"));
}

static void test_create_is_exclusive(void **state)
{
  assert_true(rc_ok(file_create(&dir, "a", S("x"), FILE_PRIVATE, NULL)));
  assert_true(rc_is(file_create(&dir, "a", S("y"), FILE_PRIVATE, NULL), RC_CONFLICT));
  assert_true(content_is("a", "x"));
  char link[256];
  path_of(link, "dangling");
  assert_int_equal(symlink("elsewhere", link), 0);
  assert_true(rc_is(file_create(&dir, "dangling", S("y"), FILE_PRIVATE, NULL), RC_CONFLICT));
  assert_int_equal(names(), 2);
}

static void test_owner_that_cannot_be_given_is_an_error(void **state)
{
  static const struct {
    const char *name;
    int64_t uid, gid;
  } given[] = {{"both", 4242, 4243}, {"owner", 4242, FILE_KEEP}, {"group", FILE_KEEP, 4243}};
  for (size_t k = 0; geteuid() == 0 && k < COUNT_OF(given); k++) {
    assert_true(rc_ok(file_create(&dir, given[k].name, S("x"), (file_attr_t){0640, given[k].uid, given[k].gid}, NULL)));
    file_info_t i;
    assert_true(rc_ok(file_info(&dir, given[k].name, &i, NULL)));
    assert_int_equal(i.uid, given[k].uid < 0 ? 0 : given[k].uid);
    assert_int_equal(i.gid, given[k].gid < 0 ? (int64_t)getegid() : given[k].gid);
    assert_int_equal(i.mode, 0640);
  }
  if (geteuid() == 0) return;
  err_t e = {0};
  assert_true(rc_is(file_create(&dir, "a", S("x"), (file_attr_t){0640, 0, 0}, &e), RC_DENIED));
  assert_string_equal(e.reason, "file_chown");
  assert_int_equal(names(), 0);
}

static void test_reading_is_capped_and_follows_nothing(void **state)
{
  BUF_SCOPED buf_t b = buf_heap(64);
  SECRET_SCOPED secret_t s = {0};
  err_t e = {0};
  char path[256];
  assert_true(rc_ok(file_create(&dir, "a", S("0123456789"), FILE_PRIVATE, NULL)));
  assert_true(rc_is(file_read(&dir, "a", 9, &b, &e), RC_FULL));
  assert_int_equal(e.limit, 9);
  assert_true(rc_ok(file_read(&dir, "a", 10, &b, NULL)));
  assert_int_equal(b.n, 10);
  assert_true(rc_is(file_read(&dir, "none", 10, &b, NULL), RC_NOTFOUND));
  path_of(path, "link");
  assert_int_equal(symlink("a", path), 0);
  assert_true(rc_is(file_read(&dir, "link", 10, &b, &e), RC_INVALID));
  assert_true(rc_is(file_read_secret(&dir, "link", 10, &s, NULL), RC_INVALID));
  assert_true(rc_ok(file_read_path(path, 10, &b, NULL)));
  path_of(path, "pipe");
  assert_int_equal(mkfifo(path, 0600), 0);
  assert_true(rc_is(file_read(&dir, "pipe", 10, &b, &e), RC_INVALID)); /* and does not wait for a writer */
  assert_true(rc_is(file_read_path("/dev/zero", 10, &b, &e), RC_INVALID));
  assert_true(rc_is(file_read_path(root, 10, &b, &e), RC_INVALID));
  assert_true(rc_ok(file_read_secret(&dir, "a", 10, &s, NULL)));
  assert_true(slice_is(slice_of(s.p, s.n), "0123456789"));
}

static void test_names_that_are_no_names(void **state)
{
  static const char *const bad[] = {"", ".", "..", "a/b", "/a", "../a"};
  char longest[LIM_NAME + 8];
  memset(longest, 'a', sizeof longest);
  longest[sizeof longest - 1] = '\0';
  for (size_t i = 0; i < COUNT_OF(bad); i++) {
    assert_true(rc_is(file_write(&dir, bad[i], S("x"), FILE_PRIVATE, NULL), RC_INVALID));
    assert_true(rc_is(file_remove(&dir, bad[i], NULL), RC_INVALID));
  }
  assert_true(rc_is(file_write(&dir, longest, S("x"), FILE_PRIVATE, NULL), RC_INVALID));
  longest[LIM_NAME] = '\0'; /* one byte more than fits with its zero */
  assert_true(rc_is(file_write(&dir, longest, S("x"), FILE_PRIVATE, NULL), RC_INVALID));
  longest[LIM_NAME - 1] = '\0';
  assert_true(rc_ok(file_write(&dir, longest, S("x"), FILE_PRIVATE, NULL)));
  dir_t d = DIR_CLOSED;
  char name[LIM_NAME];
  assert_true(rc_is(dir_of(S("relative"), &d, name, NULL), RC_INVALID));
  assert_true(rc_is(dir_of(S("/tmp/"), &d, name, NULL), RC_INVALID));
  assert_true(rc_is(dir_of(S("/tmp/.."), &d, name, NULL), RC_INVALID));
  assert_true(rc_is(dir_of(slice_of("/tmp/a\0b", 8), &d, name, NULL), RC_INVALID));
  assert_true(rc_ok(dir_of(S("/tmp/x"), &d, name, NULL)));
  assert_string_equal(name, "x");
  dir_close(&d);
  assert_true(rc_ok(dir_of(S("/x"), &d, name, NULL)));
  assert_string_equal(d.path, "/");
  dir_close(&d);
}

/* A directory of exactly LIM_PATH bytes, its zero included, is as long as a path may be. */
static void test_paths_have_a_longest(void **state)
{
  char path[LIM_PATH + 16], name[LIM_NAME];
  dir_t d = DIR_CLOSED;
  err_t e = {0};
  size_t n = strlen(root);
  memcpy(path, root, n);
  while (n < LIM_PATH - 1) n += (size_t)snprintf(path + n, sizeof path - n, "/%.*s", n + 100 < LIM_PATH - 1 ? 50 : LIM_PATH - 2 - (int)n,
                                                 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
  assert_int_equal(n, LIM_PATH - 1);
  assert_true(rc_ok(dir_private(path, &d, NULL)));
  assert_string_equal(d.path, path);
  assert_true(rc_is(log_file_open(&d, "x", &(log_file_t){.fd = -1}, NULL), RC_FULL));
  dir_close(&d);
  memcpy(path + n, "/f", 3);
  assert_true(rc_ok(dir_of(slice_str(path), &d, name, NULL)));
  dir_close(&d);
  memcpy(path + n, "b", 2);
  assert_true(rc_is(dir_private(path, &d, &e), RC_FULL));
  assert_int_equal(strlen(e.value), ERR_VALUE_MAX - 1); /* its tail */
  assert_int_equal(e.value[ERR_VALUE_MAX - 2], 'b');
  assert_true(rc_is(dir_open(path, &d, NULL), RC_FULL));
  memcpy(path + n, "b/f", 4);
  assert_true(rc_is(dir_of(slice_str(path), &d, name, NULL), RC_FULL));
}

static void test_private_directories(void **state)
{
  char path[256];
  dir_t d = DIR_CLOSED, sub = DIR_CLOSED;
  mode_t before = umask(077);
  path_of(path, "deep/er/keys");
  assert_true(rc_ok(dir_private(path, &d, NULL)));
  umask(before);
  assert_int_equal(mode_of("deep/er/keys"), 0700);
  assert_int_equal(mode_of("deep/er"), 0755);
  dir_close(&d);
  assert_int_equal(chmod(path, 0777), 0);
  assert_true(rc_ok(dir_private(path, &d, NULL)));
  assert_int_equal(mode_of("deep/er/keys"), 0700);
  assert_true(rc_ok(dir_private_at(&d, "one", &sub, NULL)));
  assert_int_equal(mode_of("deep/er/keys/one"), 0700);
  dir_close(&sub);
  file_fail_after(0, false); /* the name of a new one must reach the disk; an old one's is there */
  assert_true(rc_ok(dir_private_at(&d, "one", &sub, NULL)));
  dir_close(&sub);
  assert_true(rc_is(dir_private_at(&d, "two", &sub, NULL), RC_IO));
  assert_true(rc_is(dir_private("/proc/none", &sub, NULL), RC_NOTFOUND));
  assert_true(rc_is(dir_private("/dev/null/none", &sub, NULL), RC_NOTFOUND));
  assert_int_equal(chdir(root), 0);
  assert_true(rc_ok(dir_private("here", &sub, NULL)));
  assert_int_equal(chdir("/"), 0);
  assert_int_equal(mode_of("here"), 0700);
  dir_close(&sub);
  char link[320];
  snprintf(link, sizeof link, "%s/link", path);
  assert_int_equal(symlink("/tmp", link), 0);
  assert_false(rc_ok(dir_private_at(&d, "link", &sub, NULL)));
  static const char *const bad[] = {"", ".", "/", "//"};
  for (size_t i = 0; i < COUNT_OF(bad); i++) assert_true(rc_is(dir_private(bad[i], &sub, NULL), RC_INVALID));
  dir_close(&d);
  if (geteuid() != 0) return;
  assert_int_equal(chown(path, 4242, 4242), 0);
  assert_true(rc_is(dir_private(path, &d, NULL), RC_DENIED));
}

static void test_one_holder_of_a_lock(void **state)
{
  dir_t other = DIR_CLOSED;
  assert_true(rc_ok(dir_open(root, &other, NULL)));
  assert_true(dir_same(&dir, &other));
  dir_t elsewhere = DIR_CLOSED;
  assert_true(rc_ok(dir_private_at(&dir, "sub", &elsewhere, NULL)));
  assert_false(dir_same(&dir, &elsewhere));
  dir_close(&elsewhere);
  assert_false(dir_same(&dir, &elsewhere));
  assert_false(dir_same(&elsewhere, &dir));
  assert_true(rc_ok(dir_lock_try(&dir, NULL)));
  assert_true(rc_is(dir_lock_try(&other, NULL), RC_AGAIN));
  dir_close(&dir);
  assert_true(rc_ok(dir_lock_try(&other, NULL)));
  dir_close(&other);
}

static void test_keep_is_the_same_file(void **state)
{
  file_info_t a, b;
  assert_true(rc_ok(file_create(&dir, "a", S("x"), (file_attr_t){0640, FILE_KEEP, FILE_KEEP}, NULL)));
  assert_true(rc_ok(file_keep(&dir, "a", "b", NULL)));
  assert_true(rc_ok(file_write(&dir, "a", S("new"), FILE_PRIVATE, NULL)));
  assert_true(content_is("b", "x"));
  assert_true(rc_ok(file_info(&dir, "a", &a, NULL)) && rc_ok(file_info(&dir, "b", &b, NULL)));
  assert_int_equal(b.mode, 0640);
  assert_int_equal(b.links, 1);
  assert_true(rc_is(file_keep(&dir, "a", "b", NULL), RC_CONFLICT));
  assert_true(rc_is(file_keep(&dir, "none", "c", NULL), RC_NOTFOUND));
  file_fail_after(0, false);
  assert_true(rc_is(file_keep(&dir, "a", "c", NULL), RC_IO));
  assert_int_equal(names(), 2);
}

/* In a process that may not make links, as on a file system that has none. */
static int keep_without_links(void)
{
  file_info_t i;
  scmp_filter_ctx c = seccomp_init(SCMP_ACT_ALLOW);
  if (!c || seccomp_rule_add(c, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(linkat), 0) != 0 || seccomp_load(c) != 0) return 1;
  if (!rc_ok(file_keep(&dir, "a", "b", NULL))) return 2;
  if (!content_is("b", "x") || !rc_ok(file_info(&dir, "b", &i, NULL)) || i.mode != 0640 || i.links != 1) return 3;
  return rc_is(file_keep(&dir, "a", "b", NULL), RC_CONFLICT) ? 0 : 4;
}

static void test_keep_copies_where_it_cannot_link(void **state)
{
  assert_true(rc_ok(file_create(&dir, "a", S("x"), (file_attr_t){0640, FILE_KEEP, FILE_KEEP}, NULL)));
  assert_int_equal(in_child(keep_without_links), 0);
}

static void test_rename_and_removal(void **state)
{
  dir_t sub = DIR_CLOSED;
  assert_true(rc_ok(dir_private_at(&dir, "sub", &sub, NULL)));
  assert_true(rc_ok(file_create(&dir, "a", S("x"), FILE_PRIVATE, NULL)));
  file_fail_after(0, false);
  assert_true(rc_is(file_rename(&dir, "a", &sub, "b", NULL), RC_IO));
  assert_true(rc_ok(file_rename(&dir, "a", &sub, "b", NULL)));
  assert_true(rc_is(file_rename(&dir, "a", &sub, "b", NULL), RC_NOTFOUND));
  assert_true(content_is("sub", "") == false && names() == 1);
  file_fail_after(0, false);
  assert_true(rc_is(file_remove(&sub, "b", NULL), RC_IO));
  assert_true(rc_ok(file_remove(&sub, "b", NULL)));
  assert_true(rc_is(file_remove(&sub, "b", NULL), RC_NOTFOUND));
  dir_close(&sub);
}

/* In a program that was started without standard input, 0 is a descriptor as any other. */
static int use_zero(void)
{
  BUF_SCOPED buf_t b = buf_heap(64);
  dir_t d = DIR_CLOSED;
  log_file_t f = {.fd = -1};
  int fd = -1;
  char path[256];
  path_of(path, "f");
  watch_t w = {.path = path};
  (void)close(0);
  if (!rc_ok(file_create(&dir, "f", S("text"), FILE_PRIVATE, NULL))) return 1;
  if (!rc_ok(file_read(&dir, "f", 4, &b, NULL)) || !slice_is(buf_slice(&b), "text")) return 2;
  if (!rc_ok(log_file_open(&dir, "log", &f, NULL)) || f.fd != 0) return 3;
  log_file_close(&f);
  if (!rc_ok(dir_open(root, &d, NULL)) || d.fd != 0) return 4;
  dir_close(&d);
  if (!rc_ok(dir_private_at(&dir, "sub", &d, NULL)) || d.fd != 0) return 5;
  dir_close(&d);
  if (names() != 3) return 6;
  if (!rc_ok(watch_open(&w, &fd, NULL)) || fd != 0) return 7;
  return 0;
}

static void test_descriptor_zero_is_one(void **state)
{
  assert_int_equal(in_child(use_zero), 0);
}

static void test_links_point(void **state)
{
  char to[64];
  file_info_t i;
  assert_true(rc_ok(file_point(&dir, "current", "x/one", NULL)));
  assert_true(rc_ok(file_point(&dir, "current", "x/two", NULL)));
  assert_true(rc_ok(file_pointee(&dir, "current", to, sizeof to, NULL)));
  assert_string_equal(to, "x/two");
  assert_true(rc_ok(file_info(&dir, "current", &i, NULL)));
  assert_int_equal(i.kind, FILE_LINK);
  assert_true(rc_is(file_pointee(&dir, "current", to, 5, NULL), RC_FULL));
  assert_true(rc_ok(file_pointee(&dir, "current", to, 6, NULL)));
  assert_int_equal(names(), 1);
  assert_true(rc_ok(file_create(&dir, "a", S("x"), FILE_PRIVATE, NULL)));
  assert_true(rc_is(file_pointee(&dir, "a", to, sizeof to, NULL), RC_INVALID));
  assert_true(rc_is(file_pointee(&dir, "none", to, sizeof to, NULL), RC_NOTFOUND));
}

static void test_growing_file(void **state)
{
  log_file_t f = {.fd = -1}, g = {.fd = -1};
  char out[16];
  size_t n = 0;
  assert_true(rc_ok(log_file_open(&dir, "log", &f, NULL)));
  assert_true(rc_is(log_file_open(&dir, "log", &g, NULL), RC_AGAIN));
  assert_true(rc_ok(log_file_append(&f, S("first"), NULL)));
  assert_true(rc_ok(log_file_append(&f, S("second"), NULL)));
  assert_true(rc_ok(log_file_sync(&f, NULL)));
  file_fail_after(0, false);
  assert_true(rc_is(log_file_sync(&f, NULL), RC_IO));
  file_fail_after(0, false);
  assert_true(rc_is(log_file_append(&f, S("lost"), NULL), RC_IO));
  assert_true(rc_ok(log_file_cut(&f, 11, NULL)));
  assert_int_equal(f.size, 11);
  assert_true(rc_ok(log_file_read(&f, 5, out, sizeof out, &n, NULL)));
  assert_true(slice_is(slice_of(out, n), "second"));
  assert_true(rc_ok(log_file_read(&f, 5, out, 3, &n, NULL)));
  assert_true(slice_is(slice_of(out, n), "sec"));
  assert_true(rc_ok(log_file_cut(&f, 5, NULL)));
  assert_true(rc_is(log_file_cut(&f, 6, NULL), RC_INVALID));
  log_file_close(&f);
  assert_true(content_is("log", "first"));
  assert_true(rc_ok(log_file_open(&dir, "log", &f, NULL)));
  assert_int_equal(f.size, 5);
  assert_true(rc_ok(log_file_view(&dir, "log", &g, NULL))); /* the lock is the writer's alone */
  assert_true(rc_is(log_file_append(&g, S("x"), NULL), RC_IO));
  log_file_close(&g);
  assert_true(rc_is(log_file_read(&g, 0, out, 1, &n, NULL), RC_IO));
  log_file_close(&f);
  assert_true(rc_is(log_file_view(&dir, "none", &g, NULL), RC_NOTFOUND));
  char path[256];
  path_of(path, "pipe");
  assert_int_equal(mkfifo(path, 0600), 0);
  assert_true(rc_is(log_file_open(&dir, "pipe", &g, NULL), RC_INVALID));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, fresh, gone)
    T(test_write_replaces_whole_with_exact_mode),
    T(test_write_fails_at_every_step_and_leaves_the_old),
    T(test_create_is_exclusive),
    T(test_owner_that_cannot_be_given_is_an_error),
    T(test_reading_is_capped_and_follows_nothing),
    T(test_names_that_are_no_names),
    T(test_paths_have_a_longest),
    T(test_private_directories),
    T(test_one_holder_of_a_lock),
    T(test_keep_is_the_same_file),
    T(test_keep_copies_where_it_cannot_link),
    T(test_rename_and_removal),
    T(test_links_point),
    T(test_growing_file),
    T(test_descriptor_zero_is_one),
  };
  snprintf(root, sizeof root, "/tmp/certctl-file-%d", (int)getpid());
  return cmocka_run_group_tests(tests, NULL, NULL);
}
