/* Failpoints and broken invariants: the process is gone, exactly when asked. */
#include "base/check.h"
#include "base/failpoint.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Passages of csr_reply that a child armed with `spec` lives through; 10 if it is never killed. */
static int passages(const char *spec)
{
  int fd[2], n = 0;
  char c;
  assert_int_equal(pipe(fd), 0);
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    if (!failpoint_arm(spec)) _exit(2);
    for (int i = 0; i < 10; i++) {
      failpoint_pass(FP_pickup_reply);
      failpoint_pass(FP_csr_reply);
      if (write(fd[1], "x", 1) != 1) _exit(3);
    }
    _exit(0);
  }
  close(fd[1]);
  while (read(fd[0], &c, 1) == 1) n++;
  close(fd[0]);
  int status = 0;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  if (n < 10) assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  if (n == 10) assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  return n;
}

static void the_nth_passage_kills(void **state)
{
  assert_int_equal(passages("csr_reply"), 0);
  assert_int_equal(passages("csr_reply:1"), 0);
  assert_int_equal(passages("csr_reply:4"), 3);
  assert_int_equal(passages("csr_reply:11"), 10);
  assert_int_equal(passages("verified"), 10);
  assert_int_equal(passages(""), 10);
  assert_int_equal(passages(NULL), 10);
}

static void unknown_points_are_refused(void **state)
{
  static const char *const bad[] = {"nothing", "csr_reply:", "csr_reply:0", "csr_reply:x", "csr_reply:-1", "csr_reply:1:2",
                                    "csr_repl", ":1", "CSR_REPLY"};
  for (size_t i = 0; i < COUNT_OF(bad); i++)
    if (failpoint_arm(bad[i])) fail_msg("%s", bad[i]);
  assert_true(failpoint_arm(NULL));
}

static void names_are_complete(void **state)
{
  assert_int_equal(FP_COUNT, 17);
  for (int i = 0; i < FP_COUNT; i++) assert_true(failpoint_arm(failpoint_name((enum failpoint)i)));
  assert_true(failpoint_arm(NULL));
}

static void a_broken_invariant_aborts(void **state)
{
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    int null = open("/dev/null", O_WRONLY);
    if (null >= 0) dup2(null, 2);
    CHECK(1 + 1 == 2);
    CHECK(null == -2);
    _exit(0);
  }
  int status = 0;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_nth_passage_kills), cmocka_unit_test(unknown_points_are_refused),
      cmocka_unit_test(names_are_complete), cmocka_unit_test(a_broken_invariant_aborts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
