/*
 * A file that only grows. Appends may be torn by a crash: the reader of the
 * format must tolerate a torn tail and cut it with log_file_cut. Errors as in
 * io/file.h.
 */
#ifndef IO_LOG_FILE_H
#define IO_LOG_FILE_H

#include "io/file.h"

typedef struct log_file {
  int fd;
  uint64_t size;
  char path[LIM_PATH];
} log_file_t;

/* Opens or creates (0600, directory synced); only one process at a time (flock, else RC_AGAIN). */
MUST rc_t log_file_open(const dir_t *d, const char *name, log_file_t *ret, err_t *e);
/* Opens an existing one to read while its writer goes on: no lock; `size` is what it was at the opening. */
MUST rc_t log_file_view(const dir_t *d, const char *name, log_file_t *ret, err_t *e);
/* Adds bytes at the end; on failure the file is cut back to what it was. Not yet durable. */
MUST rc_t log_file_append(log_file_t *f, slice_t bytes, err_t *e);
/* fdatasync: all that was appended is durable. After a failure the file must be reopened and reread. */
MUST rc_t log_file_sync(log_file_t *f, err_t *e);
/* Up to n bytes at offset; *ret_n less than n only at the end of the file. */
MUST rc_t log_file_read(const log_file_t *f, uint64_t offset, void *out, size_t n, size_t *ret_n, err_t *e);
MUST rc_t log_file_cut(log_file_t *f, uint64_t size, err_t *e);
void log_file_close(log_file_t *f);

#endif
