/*
 * Replaces a set of files that belong together (certificate, chain, key) as one:
 * after any failure, and after a kill at any instruction followed by a second
 * run, all of them are the old ones or all are the new ones.
 *
 * A run locks the directories, writes every new file beside its destination
 * (`<path>.certctl-tmp.<ns>`), copies the old ones (`<path>.certctl-bak.<ns>`),
 * writes a journal (`<first path>.certctl-journal`) that lists what it is about
 * to replace, renames, and asks the hooks to validate, reload and verify. The
 * journal goes away when that has succeeded or when the old files are back; a
 * run that finds one undoes the dead run first. Algorithm: spec/agent.md 4.4
 * with its "falls short" list mended.
 */
#ifndef TARGETS_ATOMIC_H
#define TARGETS_ATOMIC_H

#include "targets/target.h"

enum { ATOMIC_FILES = 4, ATOMIC_RETENTION = 3 };

typedef struct atomic_file {
  slice_t path;                  /* absolute; its directory exists; a symbolic link is refused */
  slice_t bytes;
  bool secret;                   /* a private key: others get no permission, whatever is asked or was there */
  uint32_t mode;                 /* explicit, 0 = that of the existing file, else default_mode */
  uint32_t default_mode;
  slice_t owner, group;          /* explicit, name or number; empty = those of the existing file, else the default */
  const char *const *accounts;   /* NULL-terminated candidates for owner and group of a new file (root only) */
} atomic_file_t;

/* Each tells why in the report. A NULL hook succeeds. */
typedef struct atomic_hooks {
  rc_t (*validate)(void *self, err_t *e); /* reads the final paths */
  rc_t (*reload)(void *self, err_t *e);
  rc_t (*verify)(void *self, bool once, err_t *e); /* once: one try, for the question "is all in place already?" */
  void *self;
} atomic_hooks_t;

typedef struct atomic_plan {
  const atomic_file_t *files;    /* 1 to ATOMIC_FILES, no two the same file */
  size_t n;
  int64_t retention;             /* backups kept per file; 0 = ATOMIC_RETENTION, -1 = none */
  atomic_hooks_t hooks;
} atomic_plan_t;

/*
 * Deploys the plan. *ret_skipped: content, mode and owner were right, no dead
 * run was found and verify (once) agreed, so nothing was touched. Errors: reason
 * "deploy_locked" (30 s), "deploy_path", the file_* reasons, or that of the hook
 * that failed; RC_INTERNAL "deploy_rollback" when the old files could not be
 * put back or reloaded (the journal then stays for the next run).
 */
MUST rc_t atomic_deploy(const deploy_context_t *cx, const atomic_plan_t *plan, bool *ret_skipped, err_t *e);

/*
 * Only the repair: removes the temporary files of a dead run; if the first
 * path's journal shows one, puts the old files back and calls reload. Content of the plan's files
 * is not looked at.
 */
MUST rc_t atomic_recover(const deploy_context_t *cx, const atomic_plan_t *plan, err_t *e);

#endif
