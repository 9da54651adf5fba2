/*
 * What the files of this folder share: failures of system calls, and descriptors that close themselves.
 */
#ifndef IO_SYS_INT_H
#define IO_SYS_INT_H

#include "base/slice.h"

/* Class of an errno. */
int32_t sys_class(int err);

/* A system call failed with `err`: its class, the system's own words, the value where there is one (NULL). */
rc_t sys_fail(err_t *e, int err, const char *reason, const char *value);

/* Safe on a closed one; errno stays. */
void sys_close(int *fd);
#define FD_SCOPED CLEANUP(sys_close)

#endif
