/*
 * What files and growing files share: names, errors with a path, faults of tests.
 */
#ifndef IO_FILE_INT_H
#define IO_FILE_INT_H

#include "io/file.h"
#include "io/sys_int.h"

/* Failure `err` of a step on dir/name; name may be NULL. */
rc_t file_fail(err_t *e, int err, const char *reason, const char *dir, const char *name);

/* The same with a class and a text of ours. */
MUST rc_t file_refuse(err_t *e, int32_t code, const char *reason, const char *text, const char *dir,
                      const char *name);

/* One path component: RC_INVALID "file_name" for anything else. */
MUST rc_t file_name_check(const char *name, const char *dir, err_t *e);

/* dir/name (name may be NULL) into out; RC_FULL. */
MUST rc_t file_path_keep(char out[LIM_PATH], const char *dir, const char *name, err_t *e);

/* True, with errno set, when this change is the one that a test lets fail (file_fail_after). */
bool file_fault(void);

#endif
