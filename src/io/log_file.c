#include "io/log_file.h"

#include "io/file_int.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* *f gets descriptor, size and path; a file that is locked or no regular one is refused and closed. */
static rc_t open_log(const dir_t *d, const char *name, int flags, bool lock, log_file_t *ret, err_t *e)
{
  log_file_t f = {.fd = -1};
  struct stat st;
  TRY(file_name_check(name, d->path, e));
  TRY(file_path_keep(f.path, d->path, name, e));
  FD_SCOPED int fd = openat(d->fd, name, flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
  if (fd < 0) return file_fail(e, errno, "file_open", f.path, NULL);
  if (fstat(fd, &st) != 0) return file_fail(e, errno, "file_stat", f.path, NULL);
  if (!S_ISREG(st.st_mode)) return file_refuse(e, RC_INVALID, "file_kind", "is not a regular file", f.path, NULL);
  if (lock && flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
    return file_refuse(e, RC_AGAIN, "file_locked", "is in use by another process", f.path, NULL);
  f.size = (uint64_t)st.st_size;
  f.fd = fd;
  fd = -1;
  *ret = f;
  return rc(RC_OK);
}

rc_t log_file_open(const dir_t *d, const char *name, log_file_t *ret, err_t *e)
{
  log_file_t f;
  TRY(open_log(d, name, O_RDWR | O_CREAT, true, &f, e));
  rc_t r = dir_sync(d, e);
  if (rc_ok(r)) *ret = f;
  else sys_close(&f.fd);
  return r;
}

rc_t log_file_view(const dir_t *d, const char *name, log_file_t *ret, err_t *e)
{
  return open_log(d, name, O_RDONLY, false, ret, e);
}

rc_t log_file_append(log_file_t *f, slice_t bytes, err_t *e)
{
  uint64_t at = f->size;
  slice_t rest = bytes;
  while (rest.n > 0) {
    ssize_t k = file_fault() ? -1 : TEMP_FAILURE_RETRY(pwrite(f->fd, rest.p, rest.n, (off_t)at));
    if (k < 0) {
      int err = errno;
      rc_t r = file_fail(e, err, "file_write", f->path, NULL);
      /* Best effort: a torn tail is what readers tolerate anyway, and the next append overwrites it. */
      if (ftruncate(f->fd, (off_t)f->size) != 0) return r;
      return r;
    }
    at += (uint64_t)k;
    rest = slice_sub(rest, (size_t)k, rest.n);
  }
  f->size = at;
  return rc(RC_OK);
}

rc_t log_file_sync(log_file_t *f, err_t *e)
{
  if (file_fault() || fdatasync(f->fd) != 0) return file_fail(e, errno, "file_sync", f->path, NULL);
  return rc(RC_OK);
}

rc_t log_file_read(const log_file_t *f, uint64_t offset, void *out, size_t n, size_t *ret_n, err_t *e)
{
  size_t got = 0;
  while (got < n) {
    ssize_t k = TEMP_FAILURE_RETRY(pread(f->fd, (uint8_t *)out + got, n - got, (off_t)(offset + got)));
    if (k < 0) return file_fail(e, errno, "file_read", f->path, NULL);
    if (k == 0) break;
    got += (size_t)k;
  }
  *ret_n = got;
  return rc(RC_OK);
}

rc_t log_file_cut(log_file_t *f, uint64_t size, err_t *e)
{
  if (size > f->size) return file_refuse(e, RC_INVALID, "file_cut", "cannot grow by cutting", f->path, NULL);
  if (file_fault() || ftruncate(f->fd, (off_t)size) != 0) return file_fail(e, errno, "file_cut", f->path, NULL);
  f->size = size;
  return rc(RC_OK);
}

void log_file_close(log_file_t *f)
{
  sys_close(&f->fd);
}
