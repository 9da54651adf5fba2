/*
 * Confinement of a process by itself: fewer rights than its user has, so that
 * who takes it over gains little. Landlock rules files (and, from ABI 6, signals),
 * seccomp rules system calls, both for good and for every child.
 *
 * Order in a program: sandbox_harden, open what needs root, sandbox_drop_root,
 * sandbox_files, sandbox_calls. sandbox_files binds the calling thread and those it starts later: call it
 * while there is one thread. The other functions bind the whole process.
 */
#ifndef IO_SANDBOX_H
#define IO_SANDBOX_H

#include "base/slice.h"

#include <sys/types.h>

/*
 * Numeric ids that no package of Debian hands out (policy 9.2.2: 60000 to 64999 is reserved, 65534 is
 * nobody): nothing has to be made before a start as root.
 */
enum { SANDBOX_UID_SIGNER = 64901, SANDBOX_UID_NET = 64902 };

/* RC_INVALID "sandbox_landlock" or "sandbox_seccomp" when the kernel does not offer it. */
MUST rc_t sandbox_supported(err_t *e);

/*
 * No privileges from exec, not dumpable (so not traceable by others of the same user), no core file, SIGKILL
 * when the parent dies. RC_CLOSED if the parent is dead already.
 */
MUST rc_t sandbox_harden(pid_t parent, err_t *e);

/* As root: becomes uid and gid of that number, with no supplementary group and no way back. Otherwise nothing. */
MUST rc_t sandbox_drop_root(uid_t uid, err_t *e);

/* As root: gives the path (file or directory itself) to uid. Otherwise nothing. RC_NOTFOUND. */
MUST rc_t sandbox_give(const char *path, uid_t uid, err_t *e);

typedef enum sandbox_access {
  SANDBOX_READ,        /* a file, or everything below a directory */
  SANDBOX_FILE_RW,     /* one existing file: read, write, truncate */
  SANDBOX_DIR_RW       /* everything in and below a directory, with creation, removal and renaming */
} sandbox_access_t;

typedef struct sandbox_path {
  const char *path;
  sandbox_access_t access;
  bool optional;       /* may be absent */
} sandbox_path_t;

/*
 * From now on only these paths can be opened (what is open stays usable), nothing can be executed, and signals reach
 * only processes confined with us (kernel 6.12). RC_NOTFOUND with the path; RC_INVALID "sandbox_landlock" without
 * Landlock.
 */
MUST rc_t sandbox_files(const sandbox_path_t *paths, size_t n, err_t *e);

typedef enum sandbox_calls_set {
  /* Allow-list: memory, time, randomness, reading and writing open descriptors; anything else ends the process. */
  SANDBOX_CALLS_SIGNER,
  /* Deny-list: tracing, other processes, programs, mounts, keys, modules, clocks, exotic sockets answer EPERM. */
  SANDBOX_CALLS_NET
} sandbox_calls_set_t;

/* RC_IO "sandbox_seccomp". */
MUST rc_t sandbox_calls(sandbox_calls_set_t set, err_t *e);

#endif
