#include "io/child.h"

#include "io/sys_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* In the child, between fork and exec: only calls that are safe there. */
static void become(const child_spec_t *spec, pid_t parent)
{
  enum { ASIDE = 64 };
  int moved[CHILD_FDS];
  /* Before anything else, so that a supervisor which dies now takes the child along. */
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != parent) return;
  if (setpgid(0, 0) != 0) return;
  if (!sys_signals_default()) return;
  /* Two steps, since a source may stand where a target must go. */
  for (size_t i = 0; i < spec->nfds; i++) {
    moved[i] = fcntl(spec->fds[i], F_DUPFD, ASIDE);
    if (moved[i] < 0) return;
  }
  for (size_t i = 0; i < spec->nfds; i++)
    if (dup2(moved[i], CHILD_FD_FIRST + (int)i) < 0) return;
  if (close_range((unsigned)CHILD_FD_FIRST + (unsigned)spec->nfds, ~0U, 0) != 0) return;
  execve(spec->path, spec->argv, spec->env);
}

rc_t child_start(const child_spec_t *spec, pid_t *ret, err_t *e)
{
  pid_t parent = getpid();
  if (access(spec->path, X_OK) != 0) return sys_fail(e, errno, "child_program", spec->path);
  pid_t pid = fork();
  if (pid < 0) return sys_fail(e, errno, "child_fork", spec->path);
  if (pid == 0) {
    become(spec, parent);
    _exit(CHILD_NO_EXEC);
  }
  *ret = pid;
  return rc(RC_OK);
}

bool child_reap(pid_t pid, child_end_t *ret)
{
  int status;
  if (waitpid(pid, &status, WNOHANG) != pid) return false;
  ret->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  ret->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  return true;
}

void child_signal(pid_t pid, int number)
{
  if (pid > 0) (void)kill(pid, number);
}

static sigset_t held(void)
{
  sigset_t s;
  sigemptyset(&s);
  sigaddset(&s, SIGCHLD);
  sigaddset(&s, SIGTERM);
  sigaddset(&s, SIGINT);
  sigaddset(&s, SIGHUP);
  return s;
}

void child_signals_hold(void)
{
  sigset_t s = held();
  (void)sigprocmask(SIG_BLOCK, &s, NULL);
  (void)signal(SIGPIPE, SIG_IGN);
  (void)signal(SIGCHLD, SIG_DFL); /* ignored by whoever started us, it would make children unknown when they end */
}

int child_signal_wait(int64_t timeout_ms)
{
  sigset_t s = held();
  struct timespec t = {timeout_ms / 1000, timeout_ms % 1000 * 1000000};
  int r = timeout_ms < 0 ? sigwaitinfo(&s, NULL) : sigtimedwait(&s, NULL, &t);
  return r > 0 ? r : 0;
}

void child_signals_ignore(void)
{
  static const int all[] = {SIGTERM, SIGINT, SIGHUP, SIGPIPE};
  for (size_t i = 0; i < COUNT_OF(all); i++) (void)signal(all[i], SIG_IGN);
}

rc_t child_program(const char *name, char *out, size_t cap, err_t *e)
{
  char self[4096];
  ssize_t n = readlink("/proc/self/exe", self, sizeof self);
  if (n <= 0) return sys_fail(e, errno, "child_program", "/proc/self/exe");
  if ((size_t)n >= sizeof self) return err_set(e, RC_FULL, "child_program", NULL, "has too long a path");
  size_t dir = (size_t)n;
  while (name && dir > 0 && self[dir - 1] != '/') dir--;
  size_t len = name ? strlen(name) : 0;
  if (dir + len + 1 > cap) return err_set(e, RC_FULL, "child_program", NULL, "has too long a path");
  memcpy(out, self, dir);
  if (name) memcpy(out + dir, name, len);
  out[dir + len] = '\0';
  return rc(RC_OK);
}
