#include "io/watch.h"

#include "io/sys_int.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

bool watch_changed(watch_t *w)
{
  struct stat st;
  if (stat(w->path, &st) != 0) return false;
  watch_t now = {
      .path = w->path,
      .device = st.st_dev,
      .inode = st.st_ino,
      .size = (uint64_t)st.st_size,
      .changed_ns = (int64_t)st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec,
  };
  bool same = now.device == w->device && now.inode == w->inode && now.size == w->size &&
              now.changed_ns == w->changed_ns;
  *w = now;
  return !same;
}

rc_t watch_open(const watch_t *w, int *ret_fd, err_t *e)
{
  int fd = open(w->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0) return sys_fail(e, errno, "file_open", w->path);
  *ret_fd = fd;
  return rc(RC_OK);
}
