/*
 * Long-lived children of a supervisor: started with chosen descriptors and a
 * chosen environment, told by signals, reaped without waiting. For a process
 * with one thread. io/proc.h runs commands to their end; this does not.
 */
#ifndef IO_CHILD_H
#define IO_CHILD_H

#include "base/slice.h"

#include <signal.h>
#include <sys/types.h>

enum { CHILD_FD_FIRST = 3, CHILD_FDS = 4 };

typedef struct child_spec {
  const char *path;          /* of the program */
  char *const *argv, *const *env;
  int fds[CHILD_FDS];        /* become CHILD_FD_FIRST, …; 0 to 2 are inherited, everything else is closed */
  size_t nfds;
} child_spec_t;

/*
 * Starts it in a process group of its own (a terminal's Ctrl-C reaches the supervisor alone), with no signal blocked
 * or ignored, to be killed when this process ends. RC_NOTFOUND or RC_DENIED for a program that is not there to be
 * executed, RC_IO; one that fails later ends with CHILD_NO_EXEC.
 */
MUST rc_t child_start(const child_spec_t *spec, pid_t *ret, err_t *e);

enum { CHILD_NO_EXEC = 127 };

typedef struct child_end {
  int exit_code;             /* -1 when ended by a signal */
  int signal;
} child_end_t;

/* True, once, when the child has ended. */
MUST bool child_reap(pid_t pid, child_end_t *ret);

/* Sends a signal; a child that is gone already is fine. */
void child_signal(pid_t pid, int number);

/* From now on SIGCHLD, SIGTERM, SIGINT and SIGHUP wait until they are asked for. */
void child_signals_hold(void);

/* The next of them, or 0 when none came in time. timeout_ms < 0: as long as it takes. */
int child_signal_wait(int64_t timeout_ms);

/* For a child that ends when its supervisor's socket closes: SIGTERM, SIGINT, SIGHUP and SIGPIPE do nothing. */
void child_signals_ignore(void);

/*
 * Path of the program that this process runs, or of `name` in the same folder (NULL: the program itself). RC_FULL, or
 * the class of the system's error.
 */
MUST rc_t child_program(const char *name, char *out, size_t cap, err_t *e);

#endif
