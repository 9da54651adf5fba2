#include "io/sys_int.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

int32_t sys_class(int err)
{
  switch (err) {
    case ENOENT:
    case ENOTDIR: return RC_NOTFOUND;
    case EACCES:
    case EPERM:
    case EROFS: return RC_DENIED;
    case EEXIST: return RC_CONFLICT;
    case ELOOP:
    case EISDIR: return RC_INVALID;
    case ENOMEM: return RC_NOMEM;
    default: return RC_IO;
  }
}

rc_t sys_fail(err_t *e, int err, const char *reason, const char *value)
{
  return err_quote(e, sys_class(err), reason, NULL, strerrordesc_np(err), slice_str(value));
}

void sys_close(int *fd)
{
  int kept = errno;
  if (*fd >= 0) close(*fd);
  *fd = -1;
  errno = kept;
}

bool sys_write_all(int fd, slice_t bytes)
{
  while (bytes.n > 0) {
    ssize_t k = TEMP_FAILURE_RETRY(write(fd, bytes.p, bytes.n));
    if (k == -1) return false;
    bytes = slice_sub(bytes, (size_t)k, bytes.n);
  }
  return true;
}

ssize_t sys_read_all(int fd, void *out, size_t n)
{
  size_t got = 0;
  while (got < n) {
    ssize_t k = TEMP_FAILURE_RETRY(read(fd, (uint8_t *)out + got, n - got));
    if (k == -1) return -1;
    if (k == 0) break;
    got += (size_t)k;
  }
  return (ssize_t)got;
}

bool sys_signals_default(void)
{
  sigset_t none;
  for (int s = 1; s < NSIG; s++) (void)signal(s, SIG_DFL); /* those two that have no choice refuse */
  sigemptyset(&none);
  return sigprocmask(SIG_SETMASK, &none, NULL) == 0;
}
