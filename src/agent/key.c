#include "agent/key.h"

#include "base/failpoint.h"
#include "base/log.h"
#include "crypto/hash.h"
#include "wire/json_in.h"
#include "wire/json_out.h"

#include <stdio.h>

enum {
  MARK_MAX = 4 * 1024,          /* one .job file */
  SEEN_MAX = 512,               /* entries of one certificate's folder that are looked at */
  MARK_DAYS = 30,               /* a job without certificate for so long has been given up by the server */
  DIGEST_NAME = KEY_DIGEST_HEX + sizeof ".key"
};

#define KEY ".key"
#define MARK ".job"

typedef struct mark {
  slice_t spki;  /* hex */
  slice_t name;
  bool issued;
} mark_t;

/* One certificate's folder, read: what keys and marks there are. */
typedef struct entry {
  char name[LIM_NAME];
  us_t modified;
  bool keep;
} entry_t;

typedef struct folder {
  const dir_t *dir;
  entry_t *v;
  size_t n;
} folder_t;

rc_t key_id_check(const char *field, slice_t id, err_t *e)
{
  bool ok = id.n >= 1 && id.n <= KEY_ID_MAX && !slice_is(id, ".") && !slice_is(id, "..");
  for (size_t i = 0; ok && i < id.n; i++) {
    uint8_t c = id.p[i];
    ok = ascii_is_alnum(c) || c == '.' || c == '_' || c == '-';
  }
  if (ok) return rc(RC_OK);
  return err_quote(e, RC_INVALID, "id_syntax", field, "must be 1 to 128 letters, digits, dots, underscores or hyphens",
                   id);
}

static void name_of(slice_t stem, const char *suffix, char out[LIM_NAME])
{
  snprintf(out, LIM_NAME, "%.*s%s", SLICE_ARG(stem), suffix);
}

static rc_t open_folder(const dir_t *keys, slice_t certificate, dir_t *ret, err_t *e)
{
  char name[LIM_NAME];
  TRY(key_id_check("certificate_id", certificate, e));
  name_of(certificate, "", name);
  return dir_private_at(keys, name, ret, e);
}

static void digest_name(slice_t spki, char out[DIGEST_NAME])
{
  sha256_hex(spki, out);
  memcpy(out + KEY_DIGEST_HEX, KEY, sizeof KEY);
}

/* --- marks --- */

static rc_t mark_parse(slice_t text, arena_t *a, mark_t *ret, err_t *e)
{
  json_doc_t doc = {0};
  mark_t m = {0};
  TRY(json_parse_object(a, text, &doc, e));
  TRY(json_get_text(doc.root, "spki", &m.spki, e));
  TRY(json_get_text(doc.root, "name", &m.name, e));
  TRY(json_get_bool(doc.root, "issued", &m.issued, e));
  if (m.spki.n != KEY_DIGEST_HEX) return err_set(e, RC_SYNTAX, "key_mark", "spki", "is no digest");
  *ret = m;
  return rc(RC_OK);
}

static rc_t mark_read(const dir_t *d, const char *name, arena_t *a, mark_t *ret, err_t *e)
{
  buf_t text = buf_on(a, MARK_MAX);
  TRY(file_read(d, name, MARK_MAX, &text, e));
  return mark_parse(buf_slice(&text), a, ret, e);
}

static rc_t mark_write(const dir_t *d, const char *name, const mark_t *m, arena_t *a, err_t *e)
{
  buf_t text = buf_on(a, MARK_MAX);
  jw_t j = jw_on(&text);
  jw_object(&j);
  jw_put_text(&j, "spki", m->spki);
  jw_put_text(&j, "name", m->name);
  jw_put_bool(&j, "issued", m->issued);
  jw_object_end(&j);
  if (!rc_ok(buf_rc(&text))) return err_set(e, text.code, "key_mark", NULL, "does not fit");
  return file_write(d, name, buf_slice(&text), FILE_PRIVATE, e);
}

/* --- making and finding --- */

static rc_t load(const dir_t *d, const char *name, sigkey_t **ret, err_t *e)
{
  SECRET_SCOPED secret_t pem = {0};
  TRY(file_read_secret(d, name, LIM_KEY_FILE, &pem, e));
  return key_from_pem(slice_of(pem.p, pem.n), ret, e);
}

static rc_t store(const dir_t *d, slice_t pem, const char *name, err_t *e)
{
  rc_t r = file_create(d, name, pem, FILE_PRIVATE, e);
  if (rc_is(r, RC_CONFLICT)) {
    /* The same key: its digest is its name. */
    if (e) *e = (err_t){0};
    r = rc(RC_OK);
  }
  TRY(r);
  return dir_sync(d, e);
}

static rc_t make(const dir_t *d, const char *mark_name, slice_t name, arena_t *a, sigkey_t **ret, err_t *e)
{
  KEY_SCOPED sigkey_t *key = NULL;
  SECRET_SCOPED secret_t pem = {0};
  char file[DIGEST_NAME];
  TRY(key_generate(KEY_P256, 0, &key, e));
  TRY(key_to_pem(key, &pem, e));
  digest_name(key_spki(key), file);
  TRY(store(d, slice_of(pem.p, pem.n), file, e));
  mark_t m = {.spki = slice_of(file, KEY_DIGEST_HEX), .name = name};
  TRY(mark_write(d, mark_name, &m, a, e));
  FAILPOINT(key_written);
  *ret = key;
  key = NULL;
  return rc(RC_OK);
}

rc_t key_for_job(const dir_t *keys, slice_t certificate, slice_t job, slice_t name, arena_t *a, sigkey_t **ret,
                 err_t *e)
{
  DIR_SCOPED dir_t d = DIR_CLOSED;
  char mark_name[LIM_NAME], file[LIM_NAME];
  mark_t m = {0};
  TRY(key_id_check("id", job, e));
  TRY(open_folder(keys, certificate, &d, e));
  name_of(job, MARK, mark_name);
  rc_t r = mark_read(&d, mark_name, a, &m, e);
  if (rc_ok(r)) {
    name_of(m.spki, KEY, file);
    r = load(&d, file, ret, e);
  }
  /* Also when somebody removed the key: a request can still be made, with a new one. */
  if (!rc_is(r, RC_NOTFOUND)) return r;
  if (e) *e = (err_t){0};
  return make(&d, mark_name, name, a, ret, e);
}

typedef struct name_search {
  const dir_t *dir;
  arena_t *a;
  slice_t spki_hex;
  slice_t found;
} name_search_t;

static rc_t match_mark(void *self, const char *name)
{
  name_search_t *s = self;
  mark_t m = {0};
  if (!slice_ends(slice_str(name), S(MARK))) return rc(RC_OK);
  /* A mark that cannot be read belongs to another key's job or to none; it is not this one's name. */
  if (rc_ok(mark_read(s->dir, name, s->a, &m, NULL)) && slice_eq(m.spki, s->spki_hex)) s->found = m.name;
  return rc(RC_OK);
}

/* A plain <certificate>.key, as older agents wrote it, goes into the folder under its digest. */
static rc_t adopt(const dir_t *keys, const dir_t *d, slice_t certificate, err_t *e)
{
  char name[LIM_NAME], file[DIGEST_NAME];
  file_info_t i;
  KEY_SCOPED sigkey_t *key = NULL;
  SECRET_SCOPED secret_t pem = {0};
  name_of(certificate, KEY, name);
  rc_t r = file_info(keys, name, &i, e);
  if (rc_is(r, RC_NOTFOUND)) {
    if (e) *e = (err_t){0};
    return rc(RC_OK);
  }
  TRY(r);
  if (i.kind != FILE_REGULAR) return rc(RC_OK);
  TRY(file_read_secret(keys, name, LIM_KEY_FILE, &pem, e));
  TRY(key_from_pem(slice_of(pem.p, pem.n), &key, e));
  digest_name(key_spki(key), file);
  return store(d, slice_of(pem.p, pem.n), file, e);
}

rc_t key_find(const dir_t *keys, slice_t certificate, slice_t spki, arena_t *a, secret_t *ret, slice_t *ret_name,
              err_t *e)
{
  DIR_SCOPED dir_t d = DIR_CLOSED;
  char file[DIGEST_NAME];
  TRY(open_folder(keys, certificate, &d, e));
  digest_name(spki, file);
  rc_t r = file_read_secret(&d, file, LIM_KEY_FILE, ret, e);
  if (rc_is(r, RC_NOTFOUND)) {
    if (e) *e = (err_t){0};
    TRY(adopt(keys, &d, certificate, e));
    r = file_read_secret(&d, file, LIM_KEY_FILE, ret, e);
  }
  if (rc_is(r, RC_NOTFOUND))
    return err_set(e, RC_NOTFOUND, "key_missing", NULL, "no key of this certificate on this host");
  TRY(r);
  name_search_t s = {.dir = &d, .a = a, .spki_hex = slice_of(file, KEY_DIGEST_HEX)};
  r = dir_each(&d, match_mark, &s, e);
  if (!rc_ok(r)) {
    secret_fini(ret);
    return r;
  }
  *ret_name = s.found;
  return rc(RC_OK);
}

/* --- switching and pruning --- */

static rc_t collect(void *self, const char *name)
{
  folder_t *f = self;
  file_info_t i;
  if (f->n == SEEN_MAX || !rc_ok(file_info(f->dir, name, &i, NULL)) || i.kind != FILE_REGULAR) return rc(RC_OK);
  entry_t *x = &f->v[f->n++];
  memcpy(x->name, name, strlen(name) + 1);
  x->modified = i.modified;
  return rc(RC_OK);
}

static bool has_suffix(const entry_t *x, const char *suffix)
{
  return slice_ends(slice_str(x->name), slice_str(suffix));
}

static entry_t *key_entry(const folder_t *f, slice_t spki_hex)
{
  char name[LIM_NAME];
  name_of(spki_hex, KEY, name);
  for (size_t i = 0; i < f->n; i++) {
    if (strcmp(f->v[i].name, name) == 0) return &f->v[i];
  }
  return NULL;
}

/* Marks of this key become issued; keys that an open job still waits with are kept. */
static rc_t settle_marks(folder_t *f, slice_t current_hex, us_t now, arena_t *a, err_t *e)
{
  us_t old = us_add_s(now, -(int64_t)MARK_DAYS * 24 * 3600);
  for (size_t i = 0; i < f->n; i++) {
    entry_t *x = &f->v[i];
    mark_t m = {0};
    if (!has_suffix(x, MARK) || !rc_ok(mark_read(f->dir, x->name, a, &m, NULL))) continue;
    if (slice_eq(m.spki, current_hex) && !m.issued) {
      m.issued = true;
      TRY(mark_write(f->dir, x->name, &m, a, e));
    }
    entry_t *key = key_entry(f, m.spki);
    if (key && !m.issued && us_cmp(x->modified, old) > 0) key->keep = true;
  }
  return rc(RC_OK);
}

static void keep_newest(folder_t *f, size_t how_many)
{
  for (; how_many > 0; how_many--) {
    entry_t *newest = NULL;
    for (size_t i = 0; i < f->n; i++) {
      entry_t *x = &f->v[i];
      if (!x->keep && has_suffix(x, KEY) && (!newest || us_cmp(x->modified, newest->modified) > 0)) newest = x;
    }
    if (!newest) return;
    newest->keep = true;
  }
}

/* Keys that nothing needs, then marks without a key, and what a kill left half written. */
static rc_t drop_rest(const folder_t *f, arena_t *a, err_t *e)
{
  for (size_t i = 0; i < f->n; i++) {
    const entry_t *x = &f->v[i];
    mark_t m = {0};
    bool drop = has_suffix(x, ".tmp") || (has_suffix(x, KEY) && !x->keep);
    if (has_suffix(x, MARK) && rc_ok(mark_read(f->dir, x->name, a, &m, NULL))) {
      const entry_t *key = key_entry(f, m.spki);
      drop = !key || !key->keep;
    }
    if (drop) TRY(file_remove(f->dir, x->name, e));
  }
  return dir_sync(f->dir, e);
}

static rc_t prune(const dir_t *d, slice_t current_hex, us_t now, arena_t *a, err_t *e)
{
  folder_t f = {.dir = d, .v = ARENA_ARRAY(a, entry_t, SEEN_MAX)};
  if (!f.v) return err_set(e, RC_NOMEM, "key_prune", NULL, "out of memory");
  TRY(dir_each(d, collect, &f, e));
  TRY(settle_marks(&f, current_hex, now, a, e));
  entry_t *current = key_entry(&f, current_hex);
  if (current) current->keep = true;
  keep_newest(&f, KEYS_KEPT);
  return drop_rest(&f, a, e);
}

typedef struct sweep {
  const dir_t *dir;
} sweep_t;

static rc_t sweep_one(void *self, const char *name)
{
  const sweep_t *s = self;
  file_info_t i;
  bool temporary = name[0] == '.' && slice_ends(slice_str(name), S(".tmp"));
  if (!temporary || !rc_ok(file_info(s->dir, name, &i, NULL)) || i.kind == FILE_DIRECTORY) return rc(RC_OK);
  return file_remove(s->dir, name, NULL);
}

rc_t key_sweep(const dir_t *keys, err_t *e)
{
  return dir_each(keys, sweep_one, &(sweep_t){.dir = keys}, e);
}

rc_t key_activate(const dir_t *keys, slice_t certificate, slice_t spki, us_t now, arena_t *a, err_t *e)
{
  DIR_SCOPED dir_t d = DIR_CLOSED;
  char file[DIGEST_NAME], link[LIM_NAME], target[LIM_NAME * 2], have[LIM_NAME * 2];
  file_info_t i;
  TRY(open_folder(keys, certificate, &d, e));
  digest_name(spki, file);
  TRY(file_info(&d, file, &i, e));
  TRY(adopt(keys, &d, certificate, e));
  name_of(certificate, KEY, link);
  snprintf(target, sizeof target, "%.*s/%s", SLICE_ARG(certificate), file);
  if (!rc_ok(file_pointee(keys, link, have, sizeof have, NULL)) || strcmp(have, target) != 0)
    TRY(file_point(keys, link, target, e));

  err_t litter = {0};
  if (!rc_ok(prune(&d, slice_of(file, KEY_DIGEST_HEX), now, a, &litter)))
    log_err(LOG_WARN, "old keys not pruned", &litter);
  return rc(RC_OK);
}
