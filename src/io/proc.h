/*
 * One child process at a time, from an argument vector, without a shell. The
 * child gets its own process group, a small fixed environment (no secret of
 * ours), /dev/null as input, file mask 022, and no descriptor but 0 to 2.
 */
#ifndef IO_PROC_H
#define IO_PROC_H

#include "base/buf.h"
#include "base/clock.h"

enum { PROC_ARGS = 64 }; /* words of a command line, with the program */

typedef struct proc_spec {
  const char *const *argv;    /* NULL-terminated; argv[0] a path, or a name looked up in the system folders */
  int64_t deadline_ms;        /* then SIGKILL to the whole group */
  const timesrc_t *time;
  void (*tick)(void *self);   /* called about once a second while it runs; NULL = none */
  void *self;
} proc_spec_t;

typedef struct proc_result {
  bool timed_out;
  int exit_code;              /* -1 when ended by a signal */
  int signal;                 /* 0 when it exited */
} proc_result_t;

/*
 * Runs it to its end. Standard output and error go to out together, up to its
 * cap, the rest is dropped (out's own error state stays clean). RC_NOTFOUND or
 * RC_DENIED when the program cannot be started, with its path as value; a
 * program that ran is RC_OK whatever it answered. Once it has ended its output
 * is taken as complete, even if a daemon it left behind holds the pipe.
 */
MUST rc_t proc_run(const proc_spec_t *spec, buf_t *out, proc_result_t *ret, err_t *e);

/* Sleeps, ticking as proc_run does. */
void proc_pause(int64_t ms, const timesrc_t *time, void (*tick)(void *self), void *self);

/* Exit 0 in time. */
static inline bool proc_succeeded(const proc_result_t *r)
{
  return !r->timed_out && r->signal == 0 && r->exit_code == 0;
}

/*
 * Splits an operator's command line on blanks into argv (terminated by NULL),
 * in memory of the arena, after the check of spec/auth.md 13: 1 to LIM_COMMAND
 * bytes and none of ; | & $ ` ( ) { } < > \ " ' CR LF NUL. RC_INVALID or
 * RC_FULL.
 */
MUST rc_t proc_split(slice_t command, arena_t *a, const char *ret_argv[PROC_ARGS + 1], err_t *e);

#endif
