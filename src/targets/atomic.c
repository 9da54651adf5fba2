#include "targets/atomic.h"

#include "base/failpoint.h"
#include "base/log.h"
#include "io/account.h"
#include "io/file.h"
#include "io/proc.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

enum {
  LOCK_WAIT_MS = 30 * 1000,
  LOCK_NAP_MS = 200,
  STAMP_DIGITS = 19,
  JOURNAL_MAX = (ATOMIC_FILES + 2) * (LIM_PATH + LIM_NAME), /* one path a line */
  BACKUPS_SEEN = 256 /* names of one file looked at when pruning */
};

#define TMP ".certctl-tmp."
#define BAK ".certctl-bak."
#define JOURNAL ".certctl-journal"

/* One file of the plan, where it lies and what is there now. */
typedef struct slot {
  const atomic_file_t *want;
  dir_t dir;
  char name[LIM_NAME];
  bool first_of_dir;  /* locks and syncs the directory for its neighbours too */
  bool had;           /* a file was there */
  bool right;         /* content, mode and owner are as wanted */
  file_attr_t attr;
} slot_t;

typedef struct run {
  const deploy_context_t *cx;
  const atomic_plan_t *plan;
  slot_t slot[ATOMIC_FILES];
  size_t n;
  char stamp[STAMP_DIGITS + 1];
  bool journaled;     /* a journal of this run may be there */
  bool repaired;      /* a dead run was undone; the server may still run on its files */
  bool reloaded;      /* the server was told to look at the new files */
} run_t;

static void say(const run_t *r, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void say(const run_t *r, const char *fmt, ...)
{
  char text[LIM_PATH + LIM_NAME + 128];
  va_list ap;
  buf_t *b = target_report(r->cx);
  if (!b) return;
  va_start(ap, fmt);
  vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  buf_puts(b, text);
}

static void say_err(const run_t *r, const char *what, const err_t *e)
{
  char text[512];
  err_format(e, text, sizeof text);
  say(r, "%s: %s", what, text);
}

static rc_t side_name(const slot_t *s, const char *suffix, const char *stamp, char out[LIM_NAME], err_t *e)
{
  int n = snprintf(out, LIM_NAME, "%s%s%s", s->name, suffix, stamp);
  if (n < LIM_NAME) return rc(RC_OK);
  return err_quote(e, RC_FULL, "deploy_path", NULL, "file name is too long", slice_str(s->name));
}

/* --- opening and locking --- */

static void run_fini(run_t *r)
{
  for (size_t i = 0; i < r->n; i++) dir_close(&r->slot[i].dir);
}

static rc_t open_slot(run_t *r, const atomic_file_t *want, err_t *e)
{
  slot_t *s = &r->slot[r->n];
  for (size_t i = 0; i < want->path.n; i++) {
    /* A path is a line of the journal. */
    if (want->path.p[i] >= 0x20 && want->path.p[i] != 0x7f) continue;
    return err_set(e, RC_INVALID, "deploy_path", NULL, "path has control characters");
  }
  *s = (slot_t){.want = want, .dir = DIR_CLOSED, .first_of_dir = true};
  TRY(dir_of(want->path, &s->dir, s->name, e));
  r->n++;
  for (size_t i = 0; i + 1 < r->n; i++) {
    if (!dir_same(&r->slot[i].dir, &s->dir)) continue;
    s->first_of_dir = false;
    if (strcmp(r->slot[i].name, s->name) != 0) continue;
    return err_quote(e, RC_INVALID, "deploy_path", NULL, "is used for two files", want->path);
  }
  return rc(RC_OK);
}

static rc_t run_open(run_t *r, const deploy_context_t *cx, const atomic_plan_t *plan, err_t *e)
{
  if (plan->n == 0 || plan->n > ATOMIC_FILES)
    return err_limit(e, RC_FULL, "deploy_path", NULL, "needs 1 to {limit} files", ATOMIC_FILES);
  r->cx = cx;
  r->plan = plan;
  int64_t us = time_wall(cx->time).us;
  snprintf(r->stamp, sizeof r->stamp, "%019lld", us < 0 || us > INT64_MAX / 1000 ? 0LL : (long long)us * 1000LL);
  for (size_t i = 0; i < plan->n; i++) {
    rc_t x = open_slot(r, &plan->files[i], e);
    if (rc_ok(x)) continue;
    say_err(r, "nothing was changed", e);
    return x;
  }
  return rc(RC_OK);
}

static rc_t lock_dir(const run_t *r, const dir_t *d, err_t *e)
{
  int64_t end = time_mono_us(r->cx->time) + LOCK_WAIT_MS * 1000;
  for (;;) {
    rc_t x = dir_lock_try(d, e);
    if (!rc_is(x, RC_AGAIN)) return x;
    if (time_mono_us(r->cx->time) >= end)
      return err_quote(e, RC_AGAIN, "deploy_locked", NULL, "another deployment holds the folder", slice_str(d->path));
    proc_pause(LOCK_NAP_MS, r->cx->time, r->cx->tick, r->cx->self);
  }
}

/* In the order of the paths, so that two runs with the same folders cannot wait for each other. */
static rc_t run_lock(run_t *r, err_t *e)
{
  const slot_t *order[ATOMIC_FILES];
  size_t n = 0;
  for (size_t i = 0; i < r->n; i++) {
    if (!r->slot[i].first_of_dir) continue;
    size_t at = n++;
    for (; at > 0 && strcmp(order[at - 1]->dir.path, r->slot[i].dir.path) > 0; at--) order[at] = order[at - 1];
    order[at] = &r->slot[i];
  }
  for (size_t i = 0; i < n; i++) TRY(lock_dir(r, &order[i]->dir, e));
  return rc(RC_OK);
}

static rc_t sync_dirs(const run_t *r, err_t *e)
{
  for (size_t i = 0; i < r->n; i++) {
    if (r->slot[i].first_of_dir) TRY(dir_sync(&r->slot[i].dir, e));
  }
  return rc(RC_OK);
}

/* --- putting old files back --- */

static rc_t absent_is_fine(rc_t x, err_t *e)
{
  if (!rc_is(x, RC_NOTFOUND)) return x;
  if (e) *e = (err_t){0};
  return rc(RC_OK);
}

/*
 * The file as it was before the run `stamp`. Idempotent: a backup that is gone
 * was put back already. A backup that is still the same file as the destination
 * survives the rename (POSIX) and is removed.
 */
static rc_t put_back(const slot_t *s, bool had, const char *stamp, err_t *e)
{
  char bak[LIM_NAME], tmp[LIM_NAME];
  TRY(side_name(s, BAK, stamp, bak, e));
  TRY(side_name(s, TMP, stamp, tmp, e));
  if (had) {
    TRY(absent_is_fine(file_rename(&s->dir, bak, &s->dir, s->name, e), e));
    TRY(absent_is_fine(file_remove(&s->dir, bak, e), e));
  } else {
    TRY(absent_is_fine(file_remove(&s->dir, s->name, e), e));
  }
  TRY(absent_is_fine(file_remove(&s->dir, tmp, e), e));
  return dir_sync(&s->dir, e);
}

/* --- journal --- */

static rc_t journal_name(const run_t *r, char out[LIM_NAME], err_t *e)
{
  return side_name(&r->slot[0], JOURNAL, "", out, e);
}

static rc_t journal_write(const run_t *r, err_t *e)
{
  char name[LIM_NAME];
  BUF_SCOPED buf_t b = buf_heap(JOURNAL_MAX);
  TRY(journal_name(r, name, e));
  buf_printf(&b, "certctl-journal 1 %s\n", r->stamp);
  for (size_t i = 0; i < r->n; i++) {
    buf_puts(&b, r->slot[i].had ? "1 " : "0 ");
    buf_put(&b, r->slot[i].want->path);
    buf_byte(&b, '\n');
  }
  buf_puts(&b, "end\n");
  if (!rc_ok(buf_rc(&b))) return err_set(e, b.code, "deploy_path", NULL, "journal does not fit");
  return file_write(&r->slot[0].dir, name, buf_slice(&b), FILE_PRIVATE, e);
}

static rc_t journal_drop(const run_t *r, err_t *e)
{
  char name[LIM_NAME];
  TRY(journal_name(r, name, e));
  TRY(absent_is_fine(file_remove(&r->slot[0].dir, name, e), e));
  return dir_sync(&r->slot[0].dir, e);
}

static rc_t journal_bad(const slot_t *s, err_t *e)
{
  return err_quote(e, RC_INVALID, "deploy_journal", NULL, "journal of an unfinished deployment cannot be trusted",
                   s->want->path);
}

static rc_t undo_line(slice_t path, bool had, const char *stamp, err_t *e)
{
  slot_t s = {.dir = DIR_CLOSED};
  rc_t x = dir_of(path, &s.dir, s.name, e);
  if (rc_ok(x)) x = put_back(&s, had, stamp, e);
  dir_close(&s.dir);
  return absent_is_fine(x, e);
}

/* Undoes what the journal's text lists. It was renamed into place, so it is whole or not there. */
static rc_t undo_text(const run_t *r, slice_t text, err_t *e)
{
  static const char head[] = "certctl-journal 1 ";
  char stamp[STAMP_DIGITS + 1];
  slice_t line;
  if (!slice_split(&text, '\n', &line) || !slice_starts(line, slice_str(head)) ||
      line.n != sizeof head - 1 + STAMP_DIGITS)
    return journal_bad(&r->slot[0], e);
  for (size_t i = 0; i < STAMP_DIGITS; i++) {
    uint8_t c = line.p[sizeof head - 1 + i];
    if (!ascii_is_digit(c)) return journal_bad(&r->slot[0], e);
    stamp[i] = (char)c;
  }
  stamp[STAMP_DIGITS] = '\0';
  while (slice_split(&text, '\n', &line)) {
    if (slice_is(line, "end")) return rc(RC_OK);
    bool had = slice_starts(line, S("1 "));
    if (!had && !slice_starts(line, S("0 "))) break;
    TRY(undo_line(slice_sub(line, 2, line.n), had, stamp, e));
  }
  return journal_bad(&r->slot[0], e);
}

/*
 * If a run died here, puts its old files back. The journal stays until this run
 * has ended one way or the other. Only a journal that nobody else can have
 * written is followed: it names files to overwrite.
 */
static rc_t repair(run_t *r, err_t *e)
{
  char name[LIM_NAME];
  file_info_t i;
  BUF_SCOPED buf_t text = buf_heap(JOURNAL_MAX);
  TRY(journal_name(r, name, e));
  rc_t x = file_info(&r->slot[0].dir, name, &i, e);
  if (rc_is(x, RC_NOTFOUND)) return absent_is_fine(x, e);
  TRY(x);
  if (i.kind != FILE_REGULAR || i.uid != geteuid() || (i.mode & 077) != 0 || i.links != 1)
    return journal_bad(&r->slot[0], e);
  TRY(file_read(&r->slot[0].dir, name, JOURNAL_MAX, &text, e));
  TRY(undo_text(r, buf_slice(&text), e));
  r->repaired = true;
  log_line(LOG_WARN, "unfinished deployment undone", log_s("path", r->slot[0].want->path));
  return rc(RC_OK);
}

/* --- leftovers and backups --- */

typedef struct sweep {
  const slot_t *slot;
  const char *prefix;
  char (*names)[LIM_NAME]; /* collected, or NULL: removed at once */
  size_t n;
} sweep_t;

static rc_t sweep_one(void *self, const char *name)
{
  sweep_t *w = self;
  if (!slice_starts(slice_str(name), slice_str(w->prefix))) return rc(RC_OK);
  if (!w->names) return file_remove(&w->slot->dir, name, NULL);
  if (strlen(name) != strlen(w->prefix) + STAMP_DIGITS || w->n == BACKUPS_SEEN) return rc(RC_OK);
  memcpy(w->names[w->n++], name, strlen(name) + 1);
  return rc(RC_OK);
}

/* Temporary files of dead runs; the lock is ours, so no live run has any. */
static rc_t sweep_temporaries(const run_t *r, err_t *e)
{
  char prefix[LIM_NAME], hidden[LIM_NAME + 4];
  for (size_t i = 0; i < r->n; i++) {
    const slot_t *s = &r->slot[i];
    TRY(side_name(s, TMP, "", prefix, e));
    TRY(dir_each(&s->dir, sweep_one, &(sweep_t){.slot = s, .prefix = prefix}, e));
  }
  TRY(journal_name(r, prefix, e));
  snprintf(hidden, sizeof hidden, ".%s.", prefix);
  return dir_each(&r->slot[0].dir, sweep_one, &(sweep_t){.slot = &r->slot[0], .prefix = hidden}, e);
}

static rc_t prune_slot(const slot_t *s, size_t keep, char (*names)[LIM_NAME], err_t *e)
{
  char prefix[LIM_NAME];
  sweep_t w = {.slot = s, .prefix = prefix, .names = names};
  TRY(side_name(s, BAK, "", prefix, e));
  TRY(dir_each(&s->dir, sweep_one, &w, e));
  for (; w.n > keep; w.n--) {
    size_t oldest = 0;
    for (size_t i = 1; i < w.n; i++) {
      if (strcmp(names[i], names[oldest]) < 0) oldest = i;
    }
    TRY(file_remove(&s->dir, names[oldest], e));
    memcpy(names[oldest], names[w.n - 1], LIM_NAME);
  }
  return rc(RC_OK);
}

/* Old backups are only litter: a failure is logged and does not undo a good deployment. */
static void prune(const run_t *r)
{
  err_t e = {0};
  int64_t keep = r->plan->retention == 0 ? ATOMIC_RETENTION : r->plan->retention < 0 ? 0 : r->plan->retention;
  char(*names)[LIM_NAME] = arena_array(r->cx->arena, LIM_NAME, BACKUPS_SEEN);
  rc_t x = names ? rc(RC_OK) : err_set(&e, RC_NOMEM, "deploy_prune", NULL, "out of memory");
  for (size_t i = 0; i < r->n && rc_ok(x); i++) x = prune_slot(&r->slot[i], (size_t)keep, names, &e);
  if (!rc_ok(x)) log_err(LOG_WARN, "old backups not pruned", &e);
}

/* --- looking and staging --- */

static int64_t first_known(const char *const *names, rc_t (*find)(slice_t, uint32_t *, err_t *))
{
  uint32_t id;
  if (geteuid() != 0) return FILE_KEEP;
  for (; names && *names; names++) {
    if (rc_ok(find(slice_str(*names), &id, NULL))) return id;
  }
  return FILE_KEEP;
}

/* spec/agent.md 4.5: explicit, else as the existing file, else the connector's default. */
static rc_t resolve(slot_t *s, const file_info_t *old, err_t *e)
{
  const atomic_file_t *w = s->want;
  uint32_t id;
  s->attr.mode = w->mode ? w->mode : s->had ? old->mode : w->default_mode;
  if (w->secret) s->attr.mode &= 0770;
  s->attr.uid = s->had ? (int64_t)old->uid : first_known(w->accounts, user_find);
  s->attr.gid = s->had ? (int64_t)old->gid : first_known(w->accounts, group_find);
  if (w->owner.n) {
    TRY(user_find(w->owner, &id, e));
    s->attr.uid = id;
  }
  if (w->group.n) {
    TRY(group_find(w->group, &id, e));
    s->attr.gid = id;
  }
  return rc(RC_OK);
}

static rc_t look(slot_t *s, err_t *e)
{
  file_info_t old = {0};
  rc_t x = file_info(&s->dir, s->name, &old, e);
  s->had = rc_ok(x);
  TRY(absent_is_fine(x, e));
  if (s->had && old.kind != FILE_REGULAR)
    return err_quote(e, RC_INVALID, "deploy_path", NULL,
                     old.kind == FILE_LINK ? "is a symbolic link; name the file itself" : "is not a regular file",
                     s->want->path);
  TRY(resolve(s, &old, e));
  if (!s->had || old.size != s->want->bytes.n || old.mode != s->attr.mode || s->attr.uid != (int64_t)old.uid ||
      s->attr.gid != (int64_t)old.gid)
    return rc(RC_OK);
  SECRET_SCOPED secret_t bytes = {0};
  TRY(file_read_secret(&s->dir, s->name, LIM_PEM_FILE, &bytes, e));
  s->right = secret_eq(slice_of(bytes.p, bytes.n), s->want->bytes);
  return rc(RC_OK);
}

static rc_t stage(const run_t *r, const slot_t *s, err_t *e)
{
  char bak[LIM_NAME], tmp[LIM_NAME];
  TRY(side_name(s, BAK, r->stamp, bak, e));
  TRY(side_name(s, TMP, r->stamp, tmp, e));
  TRY(file_create(&s->dir, tmp, s->want->bytes, s->attr, e));
  return s->had ? file_keep(&s->dir, s->name, bak, e) : rc(RC_OK);
}

/* Best effort: the next run sweeps and prunes what stays. */
static void unstage_one(const run_t *r, const slot_t *s, const char *suffix)
{
  char name[LIM_NAME];
  if (!rc_ok(side_name(s, suffix, r->stamp, name, NULL)) || !rc_ok(file_remove(&s->dir, name, NULL))) return;
}

static void unstage(const run_t *r)
{
  for (size_t i = 0; i < r->n; i++) {
    unstage_one(r, &r->slot[i], TMP);
    unstage_one(r, &r->slot[i], BAK);
  }
}

static rc_t switch_over(const run_t *r, err_t *e)
{
  char tmp[LIM_NAME];
  for (size_t i = 0; i < r->n; i++) {
    const slot_t *s = &r->slot[i];
    TRY(side_name(s, TMP, r->stamp, tmp, e));
    TRY(file_rename(&s->dir, tmp, &s->dir, s->name, e));
  }
  return sync_dirs(r, e);
}

/* --- the run --- */

static rc_t hook(rc_t (*f)(void *, err_t *), void *self, err_t *e)
{
  return f ? f(self, e) : rc(RC_OK);
}

static rc_t verify(const run_t *r, bool once, err_t *e)
{
  return r->plan->hooks.verify ? r->plan->hooks.verify(r->plan->hooks.self, once, e) : rc(RC_OK);
}

/* The server must hear of the old files if it may have seen others. */
static rc_t reload_old(const run_t *r, err_t *e)
{
  if (!r->reloaded && !r->repaired) {
    say(r, "the server was not reloaded");
    return rc(RC_OK);
  }
  TRY(hook(r->plan->hooks.reload, r->plan->hooks.self, e));
  say(r, "the server was reloaded with the old files");
  return rc(RC_OK);
}

static rc_t no_way_back(const run_t *r, const char *what, const err_t *why, err_t *e)
{
  say_err(r, what, why);
  say(r, "rollback failed, look at %.*s by hand", SLICE_ARG(r->slot[0].want->path));
  return err_set(e, RC_INTERNAL, "deploy_rollback", NULL, "deployment failed and the old files could not be restored");
}

/* Nothing was renamed yet. */
static rc_t abandon(const run_t *r, rc_t why, err_t *e)
{
  err_t second = {0};
  say_err(r, "nothing was changed", e);
  unstage(r);
  if (r->repaired && !rc_ok(reload_old(r, &second)))
    return no_way_back(r, "an unfinished deployment was undone, but the server could not be reloaded", &second, e);
  if ((r->repaired || r->journaled) && !rc_ok(journal_drop(r, &second)))
    return no_way_back(r, "the journal could not be removed", &second, e);
  return why;
}

/* The old files come back; `why` stays the result unless that fails. */
static rc_t roll_back(const run_t *r, rc_t why, err_t *e)
{
  err_t second = {0};
  rc_t x = rc(RC_OK);
  for (size_t i = 0; i < r->n; i++) {
    rc_t y = put_back(&r->slot[i], r->slot[i].had, r->stamp, rc_ok(x) ? &second : NULL);
    if (rc_ok(x)) x = y;
  }
  if (!rc_ok(x)) return no_way_back(r, "the old files could not be put back", &second, e);
  say(r, "the old files are back");
  if (!rc_ok(reload_old(r, &second))) {
    /* Files are as before and so is the journal's purpose: nothing is left that a next run could undo. */
    if (!rc_ok(journal_drop(r, NULL))) say(r, "the journal could not be removed");
    return no_way_back(r, "the server could not be reloaded with the old files", &second, e);
  }
  if (!rc_ok(journal_drop(r, &second))) return no_way_back(r, "the journal could not be removed", &second, e);
  return why;
}

static rc_t prepare(run_t *r, err_t *e)
{
  for (size_t i = 0; i < r->n; i++) TRY(stage(r, &r->slot[i], e));
  FAILPOINT(files_staged);
  TRY(sync_dirs(r, e));
  r->journaled = true;
  return journal_write(r, e);
}

static rc_t activate(run_t *r, err_t *e)
{
  TRY(switch_over(r, e));
  FAILPOINT(files_renamed);
  TRY(hook(r->plan->hooks.validate, r->plan->hooks.self, e));
  r->reloaded = true;
  TRY(hook(r->plan->hooks.reload, r->plan->hooks.self, e));
  FAILPOINT(reloaded);
  TRY(verify(r, false, e));
  FAILPOINT(verified);
  return journal_drop(r, e);
}

static rc_t look_all(run_t *r, err_t *e)
{
  TRY(run_lock(r, e));
  TRY(repair(r, e));
  TRY(sweep_temporaries(r, e));
  for (size_t i = 0; i < r->n; i++) TRY(look(&r->slot[i], e));
  return rc(RC_OK);
}

static bool all_right(const run_t *r)
{
  if (r->repaired) return false;
  for (size_t i = 0; i < r->n; i++) {
    if (!r->slot[i].right) return false;
  }
  err_t e = {0};
  size_t before = r->cx->report ? r->cx->report->n : 0;
  if (rc_ok(verify(r, true, &e))) return true;
  /* The files are new but the server is not: say nothing yet, the run that follows reloads it. */
  if (r->cx->report) r->cx->report->n = before;
  return false;
}

static rc_t deploy(run_t *r, bool *ret_skipped, err_t *e)
{
  rc_t x = look_all(r, e);
  if (!rc_ok(x)) return abandon(r, x, e);
  if (all_right(r)) {
    *ret_skipped = true;
    return rc(RC_OK);
  }
  x = prepare(r, e);
  if (!rc_ok(x)) return abandon(r, x, e);
  x = activate(r, e);
  if (!rc_ok(x)) return roll_back(r, x, e);
  prune(r);
  *ret_skipped = false;
  return rc(RC_OK);
}

rc_t atomic_deploy(const deploy_context_t *cx, const atomic_plan_t *plan, bool *ret_skipped, err_t *e)
{
  err_t local = {0};
  run_t r = {0};
  if (!e) e = &local;
  rc_t x = run_open(&r, cx, plan, e);
  if (rc_ok(x)) x = deploy(&r, ret_skipped, e);
  run_fini(&r);
  return x;
}

rc_t atomic_recover(const deploy_context_t *cx, const atomic_plan_t *plan, err_t *e)
{
  err_t local = {0};
  run_t r = {0};
  if (!e) e = &local;
  rc_t x = run_open(&r, cx, plan, e);
  if (rc_ok(x)) x = run_lock(&r, e);
  if (rc_ok(x)) x = repair(&r, e);
  if (rc_ok(x)) x = sweep_temporaries(&r, e);
  if (rc_ok(x) && r.repaired) x = reload_old(&r, e);
  if (rc_ok(x) && r.repaired) x = journal_drop(&r, e);
  run_fini(&r);
  return x;
}
