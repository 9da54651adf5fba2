/*
 * What the files of this folder share: failures of system calls, descriptors that close themselves, whole writes and
 * reads, and a child's signals.
 */
#ifndef IO_SYS_INT_H
#define IO_SYS_INT_H

#include "base/slice.h"

#include <sys/types.h>

/* Class of an errno. */
int32_t sys_class(int err);

/* A system call failed with `err`: its class, the system's own words, the value where there is one (NULL). */
rc_t sys_fail(err_t *e, int err, const char *reason, const char *value);

/* Safe on a closed one; errno stays. */
void sys_close(int *fd);
#define FD_SCOPED CLEANUP(sys_close)

/* Writes every byte, whatever signals come. False with errno. */
bool sys_write_all(int fd, slice_t bytes);

/* Reads until n bytes or the end; how many, or -1 with errno. */
ssize_t sys_read_all(int fd, void *out, size_t n);

/* In a child before its exec: no signal is blocked, ignored or handled. False with errno. Async-signal-safe. */
bool sys_signals_default(void);

#endif
