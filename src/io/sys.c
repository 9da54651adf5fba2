#include "io/sys_int.h"

#include <errno.h>
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
