/* A check that changes its process for good runs in a child. */
#ifndef TEST_IO_IN_CHILD_H
#define TEST_IO_IN_CHILD_H

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/* What check answered: 0 = as expected, otherwise a number that names the step; 1000 + number of a signal that ended it. */
static inline int in_child(int (*check)(void))
{
  int status = 0;
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) _exit(check());
  assert_int_equal(waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

#endif
