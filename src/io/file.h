/*
 * Files, with the fsync rules in one place: what a function of this header
 * reports as written is on disk under its final name. Everything goes through
 * a directory handle and a single path component (openat and kin, never
 * following a symbolic link in the last component), so that a path cannot be
 * changed under us between check and use. Handles are values; close them once.
 *
 * Errors: reason "file_<step>", the system's own words as text, the path as
 * value; class RC_NOTFOUND (ENOENT), RC_DENIED (EACCES, EPERM, EROFS),
 * RC_CONFLICT (EEXIST), RC_FULL (over a cap), RC_INVALID (not a regular file,
 * foreign owner, bad name), else RC_IO.
 */
#ifndef IO_FILE_H
#define IO_FILE_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/secret.h"

typedef struct dir {
  int fd;              /* -1: closed */
  char path[LIM_PATH]; /* as it was opened; for error texts only */
} dir_t;

#define DIR_CLOSED ((dir_t){.fd = -1})

/* Opens an existing directory. */
MUST rc_t dir_open(const char *path, dir_t *ret, err_t *e);

/*
 * Opens a directory that only we may enter: made with its parents where it is
 * missing (parents 0755), owned by this process's user (RC_DENIED otherwise)
 * and tightened to 0700. "", "." and "/" are refused (spec/auth.md 16).
 */
MUST rc_t dir_private(const char *path, dir_t *ret, err_t *e);

/* The same for one component under d; not followed if it is a symbolic link. */
MUST rc_t dir_private_at(const dir_t *d, const char *name, dir_t *ret, err_t *e);

void dir_close(dir_t *d);
#define DIR_SCOPED CLEANUP(dir_close)

/* Makes renames, creations and removals in d durable. */
MUST rc_t dir_sync(const dir_t *d, err_t *e);

/* Same directory, whatever it is called. */
MUST bool dir_same(const dir_t *a, const dir_t *b);

/*
 * Takes the exclusive lock of the directory (flock; freed by dir_close, or by
 * the end of the process). RC_AGAIN when another holds it. Succeeds without a
 * lock on file systems that cannot lock directories (NFS).
 */
MUST rc_t dir_lock_try(const dir_t *d, err_t *e);

/* Calls `each` with every entry but . and ..; stops at its first failure, which is returned. */
MUST rc_t dir_each(const dir_t *d, rc_t (*each)(void *self, const char *name), void *self, err_t *e);

enum file_kind { FILE_REGULAR, FILE_DIRECTORY, FILE_LINK, FILE_OTHER };

typedef struct file_info {
  enum file_kind kind;
  uint32_t mode;       /* permission bits */
  uint32_t uid, gid;
  uint64_t size;
  uint64_t links;
  us_t modified;
} file_info_t;

/* Of the entry itself, also when it is a symbolic link. RC_NOTFOUND if absent. */
MUST rc_t file_info(const dir_t *d, const char *name, file_info_t *ret, err_t *e);

enum { FILE_KEEP = -1 }; /* leave owner or group as the system gives it */

/* How a new file looks. Mode is set exactly, whatever the umask. */
typedef struct file_attr {
  uint32_t mode;
  int64_t uid, gid;    /* or FILE_KEEP */
} file_attr_t;

#define FILE_PRIVATE ((file_attr_t){0600, FILE_KEEP, FILE_KEEP})

/* Appends a regular file of at most `cap` bytes to out, whole. RC_FULL above cap. */
MUST rc_t file_read(const dir_t *d, const char *name, size_t cap, buf_t *out, err_t *e);

/* The same for a path as the operator wrote it (symbolic links are followed). */
MUST rc_t file_read_path(const char *path, size_t cap, buf_t *out, err_t *e);

/* The same into locked memory; nothing of it stays elsewhere. */
MUST rc_t file_read_secret(const dir_t *d, const char *name, size_t cap, secret_t *ret, err_t *e);

/*
 * Writes a new file and fsyncs it: exclusive creation as 0600, then owner, then
 * mode, so that it is never wider than asked. On failure nothing stays. An
 * owner or group that the system does not let us give is an error. The name is
 * durable after dir_sync.
 */
MUST rc_t file_create(const dir_t *d, const char *name, slice_t bytes, file_attr_t attr, err_t *e);

/* file_create under a temporary name, rename over `name`, dir_sync: old bytes or new ones, nothing between. */
MUST rc_t file_write(const dir_t *d, const char *name, slice_t bytes, file_attr_t attr, err_t *e);

/* Rename within or between directories of one file system; durable after dir_sync of both. */
MUST rc_t file_rename(const dir_t *from, const char *old_name, const dir_t *to, const char *new_name, err_t *e);

/*
 * Keeps the file `name` under new_name as well: a hard link, so that content,
 * owner, mode and labels are the very same; a copy where the file system has no
 * links or the kernel forbids them to us. Durable after dir_sync.
 */
MUST rc_t file_keep(const dir_t *d, const char *name, const char *new_name, err_t *e);

/* A symbolic link to `target` under `name`, put in place atomically and synced. */
MUST rc_t file_point(const dir_t *d, const char *name, const char *target, err_t *e);

/* Text of the symbolic link; RC_INVALID if it is something else. */
MUST rc_t file_pointee(const dir_t *d, const char *name, char *ret, size_t cap, err_t *e);

/* Removes a name; RC_NOTFOUND if absent. Durable after dir_sync. */
MUST rc_t file_remove(const dir_t *d, const char *name, err_t *e);

/*
 * Splits an absolute path into its directory, opened, and its last component
 * (at most LIM_NAME bytes, no "." or ".."). RC_INVALID for other paths.
 */
MUST rc_t dir_of(slice_t path, dir_t *ret_dir, char ret_name[LIM_NAME], err_t *e);

/*
 * Tests only: let n more changes of this thread (creations, writes, syncs,
 * renames, removals) succeed, then fail one with ENOSPC; with and_all_later
 * every one after it fails too, which leaves the disk as a kill at that
 * instruction would. n < 0 switches it off.
 */
void file_fail_after(long n, bool and_all_later);
bool file_is_failing(void); /* the "killed" state has been reached */

/* Process-wide file creation mask 077, and no core dump or tracing by others of the same user. */
void process_private(void);

#endif
