/*
 * Files that an operator replaces while a program runs: told apart by a stamp
 * of the entry, handed on as an open descriptor. Symbolic links are followed, since secrets are
 * often mounted so.
 */
#ifndef IO_WATCH_H
#define IO_WATCH_H

#include "base/slice.h"

typedef struct watch {
  const char *path;          /* the caller's, terminated */
  uint64_t device, inode, size;
  int64_t changed_ns;
} watch_t;

/* True when the file is another one than at the last call, or changed since; a missing file is no change. */
bool watch_changed(watch_t *w);

/* The file, open for reading, closed on exec. RC_NOTFOUND, RC_DENIED, RC_IO with the path. */
MUST rc_t watch_open(const watch_t *w, int *ret_fd, err_t *e);

#endif
