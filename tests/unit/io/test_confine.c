/*
 * Children and the sandbox, each confinement tried in a process of its own; watched files.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "in_child.h"
#include "io/channel.h"
#include "io/child.h"
#include "io/sandbox.h"
#include "io/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static char folder[64];

static void path_of(const char *name, char out[128])
{
  (void)snprintf(out, 128, "%s/%s", folder, name);
}

static void put_file(const char *name, const char *text)
{
  char path[128];
  path_of(name, path);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  assert_true(fputs(text, f) >= 0);
  assert_int_equal(fclose(f), 0);
}

static int open_errno(const char *name, int flags)
{
  char path[128];
  path_of(name, path);
  int fd = open(path, flags, 0600);
  int err = fd < 0 ? errno : 0;
  if (fd >= 0) close(fd);
  return err;
}

static int check_files(void)
{
  char readable[128], writable[128], dir[128];
  path_of("readable", readable);
  path_of("writable", writable);
  path_of("dir", dir);
  const sandbox_path_t paths[] = {{readable, SANDBOX_READ, false}, {writable, SANDBOX_FILE_RW, false}, {dir, SANDBOX_DIR_RW, false},
                                  {"/nonexistent", SANDBOX_READ, true}};
  if (!rc_ok(sandbox_files(paths, 4, NULL))) return 1;
  if (open_errno("readable", O_RDONLY) != 0) return 2;
  if (open_errno("readable", O_WRONLY) != EACCES) return 3;
  if (open_errno("writable", O_RDWR | O_TRUNC) != 0) return 4;
  if (open_errno("secret", O_RDONLY) != EACCES) return 5;
  if (open_errno("new", O_RDWR | O_CREAT) != EACCES) return 6;
  if (open_errno("dir/new", O_RDWR | O_CREAT) != 0) return 7;
  if (unlink(writable) == 0 || errno != EACCES) return 8;
  if (kill(getppid(), 0) == 0 || errno != EPERM) return 9;
  return 0;
}

static void *nothing(void *arg) { return arg; }

static int check_net_calls(void)
{
  if (!rc_ok(sandbox_calls(SANDBOX_CALLS_NET, NULL))) return 1;
  if (fork() >= 0 || errno != EPERM) return 2;
  if (kill(getppid(), 0) == 0 || errno != EPERM) return 3;
  if (kill(getpid(), 0) != 0) return 4;
  if (socket(AF_PACKET, SOCK_RAW, 0) >= 0 || errno != EPERM) return 5;
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0) return 6;
  char *none[] = {NULL};
  if (execve("/bin/true", none, none) == 0 || errno != EPERM) return 7;
  if (syscall(SYS_clone3, NULL, 0) == 0 || errno != ENOSYS) return 8;
  pthread_t t;
  if (pthread_create(&t, NULL, nothing, NULL) != 0 || pthread_join(t, NULL) != 0) return 9;
  return 0;
}

static int check_signer_calls(void)
{
  char c = 'x';
  int ends[2];
  if (!rc_ok(channel_stream(ends, NULL)) || !rc_ok(sandbox_calls(SANDBOX_CALLS_SIGNER, NULL))) return 1;
  if (!rc_ok(channel_write(ends[0], slice_of(&c, 1), NULL))) return 2;
  (void)socket(AF_INET, SOCK_STREAM, 0);
  return 3; /* not reached */
}

/* Its own signals pass … */
static int check_signer_own_signals(void)
{
  pid_t self = getpid();
  if (!rc_ok(sandbox_calls(SANDBOX_CALLS_SIGNER, NULL))) return 1;
  return kill(self, 0) == 0 && tgkill(self, self, 0) == 0 ? 0 : 2;
}

/* … those to others end it. */
static int check_signer_signals(void)
{
  pid_t parent = getppid();
  if (!rc_ok(sandbox_calls(SANDBOX_CALLS_SIGNER, NULL))) return 1;
  (void)kill(parent, 0);
  return 3; /* not reached */
}

static int check_signer_maps_no_code(void)
{
  if (!rc_ok(sandbox_calls(SANDBOX_CALLS_SIGNER, NULL))) return 1;
  void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED || mprotect(p, 4096, PROT_READ) != 0) return 2;
  (void)mprotect(p, 4096, PROT_READ | PROT_EXEC);
  return 3; /* not reached */
}

static int check_net_signals(void)
{
  pid_t self = getpid(), parent = getppid();
  if (!rc_ok(sandbox_calls(SANDBOX_CALLS_NET, NULL))) return 1;
  if (tgkill(self, self, 0) != 0) return 2;
  if (tgkill(parent, parent, 0) == 0 || errno != EPERM) return 3;
  if (syscall(SYS_tkill, self, 0) == 0 || errno != EPERM) return 4;
  return 0;
}

static int check_signals_ignored(void)
{
  static const int ignored[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE};
  child_signals_ignore();
  for (size_t i = 0; i < COUNT_OF(ignored); i++) (void)raise(ignored[i]);
  return 0;
}

/* 0 would be the whole group, -1 everybody. */
static int check_nobody_is_signalled(void)
{
  if (setpgid(0, 0) != 0) return 1;
  child_signal(0, SIGKILL);
  child_signal(getpid(), SIGUSR1);
  return 2; /* not reached */
}

static int check_give(void)
{
  char path[128];
  struct stat st;
  err_t e = {0};
  path_of("secret", path);
  if (!rc_ok(sandbox_give(path, SANDBOX_UID_NET, &e))) return 1;
  if (stat(path, &st) != 0 || st.st_uid != (geteuid() == 0 ? SANDBOX_UID_NET : geteuid())) return 2;
  if (geteuid() != 0) return rc_ok(sandbox_give("/nonexistent", SANDBOX_UID_NET, &e)) ? 0 : 3;
  if (!rc_is(sandbox_give("/nonexistent", SANDBOX_UID_NET, &e), RC_NOTFOUND)) return 4;
  if (!rc_ok(sandbox_drop_root(SANDBOX_UID_NET, &e))) return 5;
  if (!rc_ok(sandbox_drop_root(SANDBOX_UID_SIGNER, &e)) || getuid() != SANDBOX_UID_NET) return 6; /* no root: no change */
  return rc_ok(sandbox_give("/nonexistent", SANDBOX_UID_NET, &e)) ? 0 : 7;
}

static int check_harden(void)
{
  if (!rc_is(sandbox_harden(getppid() + 1, NULL), RC_CLOSED)) return 1;
  if (!rc_ok(sandbox_harden(getppid(), NULL))) return 2;
  if (geteuid() != 0) return 0;
  if (!rc_ok(sandbox_drop_root(SANDBOX_UID_NET, NULL))) return 3;
  if (getuid() != SANDBOX_UID_NET || getgid() != SANDBOX_UID_NET || getgroups(0, NULL) != 0) return 4;
  return setuid(0) == 0 ? 5 : 0;
}

static void test_files(void **state)
{
  assert_int_equal(in_child(check_files), 0);
}

static void test_calls(void **state)
{
  assert_int_equal(in_child(check_net_calls), 0);
  assert_int_equal(in_child(check_signer_calls), 1000 + SIGSYS);
  assert_int_equal(in_child(check_signer_maps_no_code), 1000 + SIGSYS);
}

static void test_signals(void **state)
{
  assert_int_equal(in_child(check_signer_own_signals), 0);
  assert_int_equal(in_child(check_signer_signals), 1000 + SIGSYS);
  assert_int_equal(in_child(check_net_signals), 0);
  assert_int_equal(in_child(check_signals_ignored), 0);
  assert_int_equal(in_child(check_nobody_is_signalled), 1000 + SIGUSR1);
}

static void test_harden(void **state)
{
  assert_true(rc_ok(sandbox_supported(NULL)));
  assert_int_equal(in_child(check_harden), 0);
  assert_int_equal(in_child(check_give), 0);
}

/* Beside this program, or this program itself; cap counts the zero at the end. */
static void test_programs_beside_this_one(void **state)
{
  char self[512], found[512];
  ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
  assert_true(n > 0);
  self[n] = 0;
  assert_true(rc_ok(child_program(NULL, found, (size_t)n + 1, NULL)));
  assert_string_equal(found, self);
  assert_true(rc_is(child_program(NULL, found, (size_t)n, NULL), RC_FULL));
  memcpy(strrchr(self, '/') + 1, "x", 2);
  assert_true(rc_ok(child_program("x", found, sizeof found, NULL)));
  assert_string_equal(found, self);
}

static void test_missing_path_is_named(void **state)
{
  err_t e = {0};
  const sandbox_path_t missing = {"/nonexistent/file", SANDBOX_READ, false};
  assert_true(rc_is(sandbox_files(&missing, 1, &e), RC_NOTFOUND));
  assert_string_equal(e.value, "/nonexistent/file");
}

static void test_watch_sees_changes_and_replacement(void **state)
{
  char path[128], other[128];
  path_of("watched", path);
  path_of("watched.new", other);
  watch_t w = {.path = path};
  assert_false(watch_changed(&w)); /* missing is no change */
  put_file("watched", "one");
  assert_true(watch_changed(&w));
  assert_false(watch_changed(&w));
  put_file("watched.new", "two");
  assert_int_equal(rename(other, path), 0);
  assert_true(watch_changed(&w));
  assert_int_equal(unlink(path), 0);
  assert_false(watch_changed(&w));
}

static void test_child_gets_its_descriptors_and_ends_with_its_code(void **state)
{
  char *argv[] = {(char[]){"sh"}, (char[]){"-c"}, (char[]){"read word <&4 && echo \"$word $NAME\" >&3 && exit 7"}, NULL};
  char *env[] = {(char[]){"NAME=value"}, NULL};
  int out[2], in[2];
  char text[64];
  size_t n;
  pid_t pid;
  child_end_t end = {0};
  err_t e = {0};
  child_signals_hold();
  assert_int_equal(child_signal_wait(0), 0);
  assert_true(rc_ok(channel_pipe(out, &e)) && rc_ok(channel_pipe(in, &e)));
  child_spec_t spec = {.path = "/bin/sh", .argv = argv, .env = env, .fds = {out[1], in[0]}, .nfds = 2};
  assert_true(rc_ok(child_start(&spec, &pid, &e)));
  assert_false(child_reap(pid, &end));
  channel_close(&out[1]);
  channel_close(&in[0]);
  assert_true(rc_ok(channel_fd_write(in[1], S("hello\n"), &e)));
  assert_true(rc_ok(channel_fd_read(&out[0], text, sizeof text, &n, &e)));
  assert_true(slice_is(slice_of(text, n), "hello value\n"));
  while (!child_reap(pid, &end)) assert_int_equal(child_signal_wait(5000), SIGCHLD);
  assert_int_equal(end.exit_code, 7);
  assert_int_equal(end.signal, 0);
  assert_false(child_reap(pid, &end));
  channel_close(&in[1]);
  spec.path = "/nonexistent";
  assert_true(rc_is(child_start(&spec, &pid, &e), RC_NOTFOUND));
  assert_string_equal(e.reason, "child_program");
}

static int setup(void **state)
{
  char dir[128];
  (void)snprintf(folder, sizeof folder, "/tmp/certctl-confine-XXXXXX");
  if (!mkdtemp(folder)) return 1;
  path_of("dir", dir);
  put_file("readable", "readable text");
  put_file("writable", "writable text");
  put_file("secret", "secret text");
  return mkdir(dir, 0700);
}

static int teardown(void **state)
{
  static const char *const names[] = {"readable", "writable", "secret", "dir/new", "dir"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char path[128];
    path_of(names[i], path);
    if (remove(path) != 0) return 1;
  }
  return rmdir(folder);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_files),
      cmocka_unit_test(test_calls),
      cmocka_unit_test(test_signals),
      cmocka_unit_test(test_harden),
      cmocka_unit_test(test_missing_path_is_named),
      cmocka_unit_test(test_watch_sees_changes_and_replacement),
      cmocka_unit_test(test_programs_beside_this_one),
      cmocka_unit_test(test_child_gets_its_descriptors_and_ends_with_its_code),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
