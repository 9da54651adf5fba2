#include "io/proc.h"

#include "base/limits.h"
#include "io/sys_int.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TICK_MS = 1000, CHUNK = 4096 };

/* What a daemon started by the command may see of us: nothing but where programs are. */
static const char *const environment[] = {
  "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "HOME=/", NULL};

static const char *const folders[] = {"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"};

/* Path of the program: as given when it has a slash, else from the fixed folders. */
static rc_t find_program(const char *name, char out[LIM_PATH], err_t *e)
{
  if (strchr(name, '/')) {
    if (strlen(name) >= LIM_PATH) return sys_fail(e, ENAMETOOLONG, "proc_start", name);
    memcpy(out, name, strlen(name) + 1);
    return rc(RC_OK);
  }
  for (size_t i = 0; i < COUNT_OF(folders); i++) {
    int n = snprintf(out, LIM_PATH, "%s/%s", folders[i], name);
    if (n < LIM_PATH && access(out, X_OK) == 0) return rc(RC_OK);
  }
  return sys_fail(e, ENOENT, "proc_start", name);
}

/* In the child, between fork and exec: async-signal-safe calls only. Returns only by failing. */
static void become(const char *program, const char *const *argv, int output)
{
  int null = open("/dev/null", O_RDONLY);
  if (null < 0 || setpgid(0, 0) != 0) return;
  if (dup2(null, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0) return;
  /* Also what this process itself inherited; the report pipe goes with exec as before. */
  if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) != 0) return;
  if (!sys_signals_default()) return;
  umask(022);
  execve(program, (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)environment);
}

/* Waits for the end of a child: its status, or -1. */
static int collect(pid_t pid)
{
  int status;
  return TEMP_FAILURE_RETRY(waitpid(pid, &status, 0)) == pid ? status : -1;
}

/* Forks; the child's exec error, if any, comes back through a pipe that exec closes. */
static rc_t start(const char *program, const char *const *argv, int output, pid_t *ret_pid, err_t *e)
{
  int report[2];
  if (pipe2(report, O_CLOEXEC) != 0) return sys_fail(e, errno, "proc_start", program);
  FD_SCOPED int rd = report[0];
  FD_SCOPED int wr = report[1];

  pid_t pid = fork();
  if (pid < 0) return sys_fail(e, errno, "proc_start", program);
  if (pid == 0) {
    become(program, argv, output);
    int err = errno;
    _exit(sys_write_all(wr, slice_of(&err, sizeof err)) ? 127 : 126);
  }
  sys_close(&wr);
  setpgid(pid, pid); /* also from here, so that the group exists before a kill */
  int err = 0;
  if (sys_read_all(rd, &err, sizeof err) == (ssize_t)sizeof err) {
    collect(pid);
    return sys_fail(e, err, "proc_start", program);
  }
  *ret_pid = pid;
  return rc(RC_OK);
}

/*
 * Takes what the pipe has now; false at its end. What is over the cap is read and dropped, so the child never blocks.
 */
static bool drain(int fd, buf_t *out)
{
  uint8_t chunk[CHUNK];
  for (;;) {
    ssize_t n = TEMP_FAILURE_RETRY(read(fd, chunk, sizeof chunk));
    if (n < 0) return errno == EAGAIN;
    if (n == 0) return false;
    size_t got = (size_t)n, room = out->cap - out->n;
    buf_put(out, slice_of(chunk, got < room ? got : room));
  }
}

/* Waits for the end or the deadline, draining and ticking. */
static void attend(const proc_spec_t *spec, pid_t pid, int pidfd, int output, buf_t *out, proc_result_t *r)
{
  int64_t end = time_mono_us(spec->time) + spec->deadline_ms * 1000;
  int64_t next_tick = time_mono_us(spec->time) + TICK_MS * 1000;
  struct pollfd p[2] = {{.fd = pidfd, .events = POLLIN}, {.fd = output, .events = POLLIN}};
  while (p[0].revents == 0) {
    int64_t now = time_mono_us(spec->time);
    if (now >= next_tick) {
      if (spec->tick) spec->tick(spec->self);
      next_tick = now + TICK_MS * 1000;
    }
    if (now >= end) {
      r->timed_out = true;
      kill(-pid, SIGKILL);
      break;
    }
    int64_t wait_us = (end < next_tick ? end : next_tick) - now;
    int n = poll(p, 2, (int)(wait_us / 1000) + 1);
    if (n <= 0) {
      p[0].revents = p[1].revents = 0;
      continue;
    }
    if (p[1].revents != 0 && !drain(output, out)) p[1].fd = -1;
  }
}

rc_t proc_run(const proc_spec_t *spec, buf_t *out, proc_result_t *ret, err_t *e)
{
  char program[LIM_PATH];
  int ends[2];
  pid_t pid = -1;
  proc_result_t r = {.exit_code = -1};
  TRY(find_program(spec->argv[0], program, e));
  if (pipe2(ends, O_CLOEXEC) != 0) return sys_fail(e, errno, "proc_start", program);
  FD_SCOPED int rd = ends[0];
  FD_SCOPED int wr = ends[1];
  TRY(start(program, spec->argv, wr, &pid, e));
  sys_close(&wr);
  if (fcntl(rd, F_SETFL, O_NONBLOCK) != 0) r.timed_out = true;
  FD_SCOPED int pidfd = pidfd_open(pid, 0);
  if (pidfd < 0 || r.timed_out) {
    kill(-pid, SIGKILL);
    r.timed_out = true;
  } else {
    attend(spec, pid, pidfd, rd, out, &r);
  }

  int status = collect(pid);
  if (status < 0) return sys_fail(e, errno, "proc_wait", program);
  drain(rd, out);
  if (WIFEXITED(status)) r.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) r.signal = WTERMSIG(status);
  *ret = r;
  return rc(RC_OK);
}

void proc_pause(int64_t ms, const timesrc_t *time, void (*tick)(void *self), void *self)
{
  int64_t end = time_mono_us(time) + ms * 1000;
  for (;;) {
    int64_t left_ms = (end - time_mono_us(time) + 999) / 1000;
    if (left_ms <= 0) return;
    poll(NULL, 0, (int)(left_ms < TICK_MS ? left_ms : TICK_MS));
    if (tick) tick(self);
  }
}

rc_t proc_split(slice_t command, arena_t *a, const char *ret_argv[PROC_ARGS + 1], err_t *e)
{
  static const char banned[] = ";|&$`(){}<>\\\"'\r\n";
  if (command.n > LIM_COMMAND)
    return err_limit(e, RC_FULL, "command_length", NULL, "must be at most {limit} bytes", LIM_COMMAND);
  for (size_t i = 0; i < command.n; i++) {
    uint8_t c = command.p[i];
    if (c != 0 && !memchr(banned, c, sizeof banned - 1)) continue;
    return err_quote(e, RC_INVALID, "command_characters", NULL, "must not contain shell metacharacters",
                     slice_sub(command, i, 1));
  }
  size_t n = 0;
  for (size_t i = 0; i < command.n;) {
    size_t from = i;
    while (i < command.n && command.p[i] != ' ' && command.p[i] != '\t') i++;
    if (i > from) {
      if (n == PROC_ARGS)
        return err_limit(e, RC_FULL, "command_words", NULL, "must be at most {limit} words", PROC_ARGS);
      char *word = arena_text(a, slice_sub(command, from, i - from));
      if (!word) return err_set(e, RC_NOMEM, "command_words", NULL, "out of memory");
      ret_argv[n++] = word;
    }
    i++;
  }
  if (n == 0) return err_set(e, RC_INVALID, "command_empty", NULL, "must name a program");
  ret_argv[n] = NULL;
  return rc(RC_OK);
}
