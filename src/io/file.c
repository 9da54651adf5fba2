#include "io/file.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/random.h"
#include "io/file_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(LIM_NAME > NAME_MAX, "a component must fit");

enum { PATH_TEXT = LIM_PATH + LIM_NAME };

/* The tail of a long path says more than its head. */
rc_t file_fail(err_t *e, int err, const char *reason, const char *dir, const char *name)
{
  char text[PATH_TEXT];
  snprintf(text, sizeof text, "%s%s%s", dir, name ? "/" : "", name ? name : "");
  slice_t path = slice_sub(slice_str(text), 0, sizeof text);
  if (path.n >= ERR_VALUE_MAX) path = slice_sub(path, path.n - (ERR_VALUE_MAX - 1), path.n);
  return err_quote(e, sys_class(err), reason, NULL, strerrordesc_np(err), path);
}

rc_t file_refuse(err_t *e, int32_t code, const char *reason, const char *text, const char *dir, const char *name)
{
  rc_t r = file_fail(e, EINVAL, reason, dir, name);
  if (e) {
    e->code = code;
    e->text = text;
  }
  r.code = code;
  return r;
}

/* Tests: changes that still succeed, then failures; -1 is off. */
static _Thread_local long faults_after = -1;
static _Thread_local bool faults_stay;

void file_fail_after(long n, bool and_all_later)
{
  faults_after = n;
  faults_stay = and_all_later;
}

bool file_fault(void)
{
  if (faults_after < 0) return false;
  if (faults_after > 0) {
    faults_after--;
    return false;
  }
  if (!faults_stay) faults_after = -1;
  errno = ENOSPC;
  return true;
}

bool file_is_failing(void)
{
  return faults_after == 0 && faults_stay;
}

rc_t file_name_check(const char *name, const char *dir, err_t *e)
{
  size_t n = strlen(name);
  if (n == 0 || n >= LIM_NAME || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
    return file_refuse(e, RC_INVALID, "file_name", "is not a file name", dir, name);
  return rc(RC_OK);
}

rc_t file_path_keep(char out[LIM_PATH], const char *dir, const char *name, err_t *e)
{
  int n = snprintf(out, LIM_PATH, "%s%s%s", dir, name ? "/" : "", name ? name : "");
  if (n < 0 || n >= LIM_PATH)
    return file_refuse(e, RC_FULL, "file_path", "path is too long", dir, name);
  return rc(RC_OK);
}

/* --- directories --- */

rc_t dir_open(const char *path, dir_t *ret, err_t *e)
{
  dir_t d = DIR_CLOSED;
  TRY(file_path_keep(d.path, path, NULL, e));
  d.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (d.fd < 0) return file_fail(e, errno, "file_open", path, NULL);
  *ret = d;
  return rc(RC_OK);
}

void dir_close(dir_t *d)
{
  sys_close(&d->fd);
}

rc_t dir_sync(const dir_t *d, err_t *e)
{
  if (file_fault() || fsync(d->fd) != 0) return file_fail(e, errno, "file_sync", d->path, NULL);
  return rc(RC_OK);
}

bool dir_same(const dir_t *a, const dir_t *b)
{
  struct stat x, y;
  return fstat(a->fd, &x) == 0 && fstat(b->fd, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

rc_t dir_lock_try(const dir_t *d, err_t *e)
{
  if (flock(d->fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return rc(RC_OK);
  return file_refuse(e, RC_AGAIN, "file_locked", "is in use by another process", d->path, NULL);
}

/* Ours, and for us alone. */
static rc_t tighten(const dir_t *d, err_t *e)
{
  struct stat st;
  if (fstat(d->fd, &st) != 0) return file_fail(e, errno, "file_stat", d->path, NULL);
  if (st.st_uid != geteuid())
    return file_refuse(e, RC_DENIED, "file_owner", "must belong to the user that runs this program", d->path, NULL);
  if ((st.st_mode & 07777) == 0700) return rc(RC_OK);
  if (fchmod(d->fd, 0700) != 0) return file_fail(e, errno, "file_chmod", d->path, NULL);
  return rc(RC_OK);
}

/* Makes the parents of path, each 0755; only the last component is private. */
static rc_t make_parents(const char *path, err_t *e)
{
  char part[LIM_PATH];
  for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
    memcpy(part, path, (size_t)(slash - path));
    part[slash - path] = '\0';
    if (mkdir(part, 0755) == 0) {
      /* mkdir obeys the mask; a parent must stay open to enter for its other users. */
      if (chmod(part, 0755) != 0) return file_fail(e, errno, "file_chmod", part, NULL);
    } else if (errno != EEXIST) {
      return file_fail(e, errno, "file_mkdir", part, NULL);
    }
  }
  return rc(RC_OK);
}

rc_t dir_private(const char *path, dir_t *ret, err_t *e)
{
  size_t n = strlen(path);
  if (n == 0 || strcmp(path, ".") == 0 || strspn(path, "/") == n)
    return file_refuse(e, RC_INVALID, "file_path", "is not a folder that can be made private", path, NULL);
  dir_t d = DIR_CLOSED;
  rc_t r = dir_open(path, &d, e);
  if (rc_is(r, RC_NOTFOUND)) {
    TRY(make_parents(path, e));
    if (mkdir(path, 0700) != 0 && errno != EEXIST) return file_fail(e, errno, "file_mkdir", path, NULL);
    r = dir_open(path, &d, e);
  }
  TRY(r);
  r = tighten(&d, e);
  if (!rc_ok(r)) {
    dir_close(&d);
    return r;
  }
  if (e) *e = (err_t){0};
  *ret = d;
  return rc(RC_OK);
}

rc_t dir_private_at(const dir_t *d, const char *name, dir_t *ret, err_t *e)
{
  dir_t sub = DIR_CLOSED;
  TRY(file_name_check(name, d->path, e));
  TRY(file_path_keep(sub.path, d->path, name, e));
  if (mkdirat(d->fd, name, 0700) == 0) {
    TRY(dir_sync(d, e));
  } else if (errno != EEXIST) {
    return file_fail(e, errno, "file_mkdir", d->path, name);
  }
  sub.fd = openat(d->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (sub.fd < 0) return file_fail(e, errno, "file_open", d->path, name);
  rc_t r = tighten(&sub, e);
  if (!rc_ok(r)) {
    dir_close(&sub);
    return r;
  }
  *ret = sub;
  return rc(RC_OK);
}

rc_t dir_each(const dir_t *d, rc_t (*each)(void *self, const char *name), void *self, err_t *e)
{
  /* A fresh description: the handle's own read position is nobody's business. */
  int fd = openat(d->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *s = fd >= 0 ? fdopendir(fd) : NULL;
  if (!s) {
    int err = errno;
    sys_close(&fd);
    return file_fail(e, err, "file_list", d->path, NULL);
  }
  rc_t r = rc(RC_OK);
  for (;;) {
    errno = 0;
    const struct dirent *x = readdir(s);
    if (!x) {
      if (errno != 0) r = file_fail(e, errno, "file_list", d->path, NULL);
      break;
    }
    if (strcmp(x->d_name, ".") == 0 || strcmp(x->d_name, "..") == 0) continue;
    r = each(self, x->d_name);
    if (!rc_ok(r)) break;
  }
  closedir(s);
  return r;
}

rc_t dir_of(slice_t path, dir_t *ret_dir, char ret_name[LIM_NAME], err_t *e)
{
  char text[PATH_TEXT];
  if (path.n >= sizeof text || path.n < 2 || path.p[0] != '/' || memchr(path.p, 0, path.n))
    return err_quote(e, RC_INVALID, "file_path", NULL, "is not an absolute path of a file", path);
  memcpy(text, path.p, path.n);
  text[path.n] = '\0';
  char *slash = strrchr(text, '/');
  const char *name = slash + 1;
  TRY(file_name_check(name, "…", e));
  *slash = '\0';
  TRY(dir_open(slash == text ? "/" : text, ret_dir, e));
  memcpy(ret_name, name, strlen(name) + 1);
  return rc(RC_OK);
}

/* --- reading --- */

static us_t us_of(struct timespec t)
{
  return (us_t){(int64_t)t.tv_sec * US_PER_S + t.tv_nsec / 1000};
}

rc_t file_info(const dir_t *d, const char *name, file_info_t *ret, err_t *e)
{
  struct stat st;
  TRY(file_name_check(name, d->path, e));
  if (fstatat(d->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0) return file_fail(e, errno, "file_stat", d->path, name);
  *ret = (file_info_t){
    .kind = S_ISREG(st.st_mode)   ? FILE_REGULAR
            : S_ISDIR(st.st_mode) ? FILE_DIRECTORY
            : S_ISLNK(st.st_mode) ? FILE_LINK
                                  : FILE_OTHER,
    .mode = st.st_mode & 07777,
    .uid = st.st_uid,
    .gid = st.st_gid,
    .size = (uint64_t)st.st_size,
    .links = st.st_nlink,
    .modified = us_of(st.st_mtim),
  };
  return rc(RC_OK);
}

/* Opens a regular file for reading; its size must be within cap. Devices and pipes must not be opened blockingly. */
static rc_t open_regular(int dirfd, const char *name, int follow, size_t cap, const char *dir, int *ret_fd,
                         size_t *ret_n, err_t *e)
{
  const char *shown = dir ? name : NULL;
  const char *base = dir ? dir : name;
  struct stat st;
  FD_SCOPED int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | follow);
  if (fd < 0 && errno == ELOOP) return file_refuse(e, RC_INVALID, "file_kind", "is a symbolic link", base, shown);
  if (fd < 0) return file_fail(e, errno, "file_open", base, shown);
  if (fstat(fd, &st) != 0) return file_fail(e, errno, "file_stat", base, shown);
  if (!S_ISREG(st.st_mode)) return file_refuse(e, RC_INVALID, "file_kind", "is not a regular file", base, shown);
  if ((uint64_t)st.st_size > cap) {
    rc_t r = file_refuse(e, RC_FULL, "file_size", "is larger than {limit} bytes", base, shown);
    if (e) e->limit = (int64_t)cap;
    return r;
  }
  *ret_n = (size_t)st.st_size;
  *ret_fd = fd;
  fd = -1;
  return rc(RC_OK);
}

static rc_t read_into(int dirfd, const char *name, int follow, size_t cap, const char *dir, buf_t *out, err_t *e)
{
  FD_SCOPED int fd = -1;
  size_t n = 0, before = out->n;
  TRY(open_regular(dirfd, name, follow, cap, dir, &fd, &n, e));
  if (n == 0) return rc(RC_OK);
  uint8_t *p = buf_grow(out, n);
  if (!p) return err_set(e, RC_NOMEM, "file_read", NULL, "out of memory");
  ssize_t got = sys_read_all(fd, p, n);
  if (got < 0) {
    int err = errno;
    out->n = before;
    return file_fail(e, err, "file_read", dir ? dir : name, dir ? name : NULL);
  }
  out->n = before + (size_t)got;
  return rc(RC_OK);
}

rc_t file_read(const dir_t *d, const char *name, size_t cap, buf_t *out, err_t *e)
{
  TRY(file_name_check(name, d->path, e));
  return read_into(d->fd, name, O_NOFOLLOW, cap, d->path, out, e);
}

rc_t file_read_path(const char *path, size_t cap, buf_t *out, err_t *e)
{
  return read_into(AT_FDCWD, path, 0, cap, NULL, out, e);
}

rc_t file_read_secret(const dir_t *d, const char *name, size_t cap, secret_t *ret, err_t *e)
{
  FD_SCOPED int fd = -1;
  SECRET_SCOPED secret_t s = {0};
  size_t n = 0;
  TRY(file_name_check(name, d->path, e));
  TRY(open_regular(d->fd, name, O_NOFOLLOW, cap, d->path, &fd, &n, e));
  if (!rc_ok(secret_alloc(&s, n ? n : 1))) return err_set(e, RC_NOMEM, "file_read", NULL, "no locked memory");
  ssize_t got = sys_read_all(fd, s.p, n);
  if (got < 0) return file_fail(e, errno, "file_read", d->path, name);
  s.n = (size_t)got;
  *ret = s;
  s = (secret_t){0};
  return rc(RC_OK);
}

/* --- writing --- */

static int give(int fd, file_attr_t attr)
{
  uid_t uid = attr.uid < 0 ? (uid_t)-1 : (uid_t)attr.uid;
  gid_t gid = attr.gid < 0 ? (gid_t)-1 : (gid_t)attr.gid;
  if (uid == (uid_t)-1 && gid == (gid_t)-1) return 0;
  return fchown(fd, uid, gid);
}

rc_t file_create(const dir_t *d, const char *name, slice_t bytes, file_attr_t attr, err_t *e)
{
  TRY(file_name_check(name, d->path, e));
  if (file_fault()) return file_fail(e, errno, "file_create", d->path, name);
  FD_SCOPED int fd = openat(d->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return file_fail(e, errno, "file_create", d->path, name);

  const char *step = file_fault() || !sys_write_all(fd, bytes) ? "file_write"
                     : give(fd, attr) != 0                ? "file_chown"
                     : fchmod(fd, attr.mode) != 0         ? "file_chmod"
                     : file_fault() || fsync(fd) != 0          ? "file_sync"
                                                          : NULL;
  int err = errno;
  int closing = close(fd);
  fd = -1;
  if (!step && closing != 0) {
    step = "file_close";
    err = errno;
  }
  if (!step) return rc(RC_OK);
  rc_t r = file_fail(e, err, step, d->path, name);
  if (!file_fault()) unlinkat(d->fd, name, 0);
  return r;
}

/* A hidden name beside `name` that no other run uses. */
static void temp_name(const char *name, char out[LIM_NAME])
{
  uint64_t x;
  rng_fill(&rng_system, &x, sizeof x);
  snprintf(out, LIM_NAME, ".%.200s.%016llx.tmp", name, (unsigned long long)x);
}

static rc_t publish(const dir_t *d, const char *temp, const char *name, err_t *e)
{
  if (file_fault() || renameat(d->fd, temp, d->fd, name) != 0) {
    int err = errno;
    if (!file_fault()) unlinkat(d->fd, temp, 0);
    return file_fail(e, err, "file_rename", d->path, name);
  }
  return dir_sync(d, e);
}

rc_t file_write(const dir_t *d, const char *name, slice_t bytes, file_attr_t attr, err_t *e)
{
  char temp[LIM_NAME];
  TRY(file_name_check(name, d->path, e));
  temp_name(name, temp);
  TRY(file_create(d, temp, bytes, attr, e));
  return publish(d, temp, name, e);
}

rc_t file_rename(const dir_t *from, const char *old_name, const dir_t *to, const char *new_name, err_t *e)
{
  TRY(file_name_check(old_name, from->path, e));
  TRY(file_name_check(new_name, to->path, e));
  if (file_fault() || renameat(from->fd, old_name, to->fd, new_name) != 0)
    return file_fail(e, errno, "file_rename", to->path, new_name);
  return rc(RC_OK);
}

static rc_t copy(const dir_t *d, const char *name, const char *new_name, err_t *e)
{
  file_info_t i;
  SECRET_SCOPED secret_t bytes = {0};
  TRY(file_info(d, name, &i, e));
  TRY(file_read_secret(d, name, LIM_PEM_FILE, &bytes, e));
  return file_create(d, new_name, slice_of(bytes.p, bytes.n), (file_attr_t){i.mode, i.uid, i.gid}, e);
}

rc_t file_keep(const dir_t *d, const char *name, const char *new_name, err_t *e)
{
  TRY(file_name_check(name, d->path, e));
  TRY(file_name_check(new_name, d->path, e));
  if (file_fault()) return file_fail(e, errno, "file_link", d->path, new_name);
  if (linkat(d->fd, name, d->fd, new_name, 0) == 0) return rc(RC_OK);
  return copy(d, name, new_name, e); /* which says what is wrong when it was not the link */
}

rc_t file_point(const dir_t *d, const char *name, const char *target, err_t *e)
{
  char temp[LIM_NAME];
  TRY(file_name_check(name, d->path, e));
  temp_name(name, temp);
  if (file_fault() || symlinkat(target, d->fd, temp) != 0) return file_fail(e, errno, "file_link", d->path, name);
  return publish(d, temp, name, e);
}

rc_t file_pointee(const dir_t *d, const char *name, char *ret, size_t cap, err_t *e)
{
  char text[PATH_TEXT];
  TRY(file_name_check(name, d->path, e));
  ssize_t n = readlinkat(d->fd, name, text, sizeof text);
  if (n < 0)
    return errno == EINVAL ? file_refuse(e, RC_INVALID, "file_kind", "is not a symbolic link", d->path, name)
                           : file_fail(e, errno, "file_link", d->path, name);
  if ((size_t)n >= cap) return file_refuse(e, RC_FULL, "file_link", "points at too long a name", d->path, name);
  memcpy(ret, text, (size_t)n);
  ret[n] = '\0';
  return rc(RC_OK);
}

rc_t file_remove(const dir_t *d, const char *name, err_t *e)
{
  TRY(file_name_check(name, d->path, e));
  if (file_fault() || unlinkat(d->fd, name, 0) != 0) return file_fail(e, errno, "file_remove", d->path, name);
  return rc(RC_OK);
}

/* The leak checker traces its own process, which one that is not dumpable refuses. */
#if defined(__SANITIZE_ADDRESS__)
enum { DUMPABLE = 1 };
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
enum { DUMPABLE = 1 };
#else
enum { DUMPABLE = 0 };
#endif
#else
enum { DUMPABLE = 0 };
#endif

void process_private(void)
{
  umask(077);
  CHECK(prctl(PR_SET_DUMPABLE, DUMPABLE) == 0);
}
