#include "conf/rules.h"

#include "base/limits.h"
#include "conf/environ.h"
#include "conf/nearest.h"

#define NEEDS(other) "must be set too when " other " is"

static slice_t secret_slice(const secret_t *s) { return slice_of(s->p, s->n); }

static rc_t invalid(err_t *e, const char *env, const char *text) { return err_set(e, RC_INVALID, "setting", env, text); }

/* ---- named keys (spec/config.md 3.2) ---- */

static bool name_ok(slice_t s)
{
  for (size_t i = 0; i < s.n; i++) {
    uint8_t c = s.p[i];
    if (!ascii_is_alnum(c) && c != '_' && c != '-') return false;
  }
  return s.n > 0 && s.n <= LIM_KEY_NAME;
}

/* "name:key[:admin]"; false if it is anything else. */
static bool named_parse(slice_t item, conf_key_t *ret)
{
  slice_t role, extra;
  conf_key_t k = {0};
  if (!slice_split(&item, ':', &k.name) || !name_ok(k.name)) return false;
  if (!slice_split(&item, ':', &k.key) || k.key.n == 0) return false;
  if (slice_split(&item, ':', &role)) {
    if (!slice_is(role, "admin") || slice_split(&item, ':', &extra)) return false;
    k.admin = true;
  }
  *ret = k;
  return true;
}

/* The same name twice is a rotation window; the pair twice, or another right under the name, is a mistake. */
static const char *clash(const conf_key_t *keys, size_t n, const conf_key_t *k)
{
  for (size_t i = 0; i < n; i++) {
    if (!slice_eq(keys[i].name, k->name)) continue;
    if (keys[i].admin != k->admin) return "must give one name the same right in every entry; entry {limit} differs";
    if (secret_eq(keys[i].key, k->key)) return "must not repeat an entry; entry {limit} does";
  }
  return NULL;
}

static size_t count_items(slice_t rest)
{
  slice_t item;
  size_t n = 0;
  while (slice_split(&rest, ',', &item)) n += slice_trim(item).n > 0;
  return n;
}

/* Room for the keys in `text`; *ret_keys is NULL when there are none. */
static rc_t keys_room(conf_t *c, slice_t text, const char *env, conf_key_t **ret_keys, err_t *e)
{
  size_t n = count_items(text);
  if (n > LIM_API_KEYS) return err_limit(e, RC_FULL, "setting", env, "must have at most {limit} keys", LIM_API_KEYS);
  conf_key_t *keys = n ? ARENA_ARRAY(c->arena, conf_key_t, n) : NULL;
  if (n && !keys) return err_set(e, RC_NOMEM, "memory", NULL, "out of memory");
  *ret_keys = keys;
  return rc(RC_OK);
}

static rc_t keys_named(conf_t *c, err_t *e)
{
  static const char env[] = "CERTCTL_API_KEYS_NAMED";
  slice_t rest = secret_slice(&c->api_keys_named), item;
  conf_key_t *keys;
  size_t n = 0;
  TRY(keys_room(c, rest, env, &keys, e));
  while (slice_split(&rest, ',', &item)) {
    item = slice_trim(item);
    if (item.n == 0) continue;
    const char *bad = "must be name:key or name:key:admin, comma separated; entry {limit} is not";
    if (named_parse(item, &keys[n])) bad = clash(keys, n, &keys[n]);
    if (bad) return err_limit(e, RC_INVALID, "setting", env, bad, (int64_t)n + 1);
    n++;
  }
  c->keys = keys;
  c->nkeys = n;
  return rc(RC_OK);
}

/* Bare keys: legacy-key-0, legacy-key-1 …; admins, so that documented quick starts go on working. */
static rc_t keys_bare(conf_t *c, err_t *e)
{
  slice_t rest = secret_slice(&c->auth_secret), item;
  conf_key_t *keys;
  size_t n = 0;
  TRY(keys_room(c, rest, "CERTCTL_AUTH_SECRET", &keys, e));
  while (slice_split(&rest, ',', &item)) {
    item = slice_trim(item);
    if (item.n == 0) continue;
    slice_t name = arena_printf(c->arena, "legacy-key-%zu", n);
    if (!name.p) return err_set(e, RC_NOMEM, "memory", NULL, "out of memory");
    keys[n++] = (conf_key_t){name, item, true};
  }
  c->keys = keys;
  c->nkeys = n;
  return rc(RC_OK);
}

/* ---- one rule each ---- */

static rc_t tls_pair(conf_t *c, err_t *e)
{
  if (c->server_tls_cert_path.n && !c->server_tls_key_path.n)
    return invalid(e, "CERTCTL_SERVER_TLS_KEY_PATH", NEEDS("CERTCTL_SERVER_TLS_CERT_PATH"));
  if (c->server_tls_key_path.n && !c->server_tls_cert_path.n)
    return invalid(e, "CERTCTL_SERVER_TLS_CERT_PATH", NEEDS("CERTCTL_SERVER_TLS_KEY_PATH"));
  return rc(RC_OK);
}

static rc_t ca_pair(conf_t *c, err_t *e)
{
  if (c->ca_cert_path.n && !c->ca_key_path.n) return invalid(e, "CERTCTL_CA_KEY_PATH", NEEDS("CERTCTL_CA_CERT_PATH"));
  if (c->ca_key_path.n && !c->ca_cert_path.n) return invalid(e, "CERTCTL_CA_CERT_PATH", NEEDS("CERTCTL_CA_KEY_PATH"));
  return rc(RC_OK);
}

static rc_t one_passphrase(conf_t *c, err_t *e)
{
  if (c->ca_passphrase.n && c->ca_passphrase_file.n)
    return invalid(e, "CERTCTL_CA_PASSPHRASE_FILE", "must not be set when CERTCTL_CA_PASSPHRASE is");
  return rc(RC_OK);
}

static rc_t encryption_key(conf_t *c, err_t *e)
{
  if (c->config_encryption_key.n && c->config_encryption_key.n < 32)
    return invalid(e, "CERTCTL_CONFIG_ENCRYPTION_KEY", "must have at least 32 bytes");
  return rc(RC_OK);
}

/* A password may stand in the URL, so its text is never shown. */
static rc_t database_url(conf_t *c, err_t *e)
{
  static const char env[] = "CERTCTL_DATABASE_URL";
  slice_t url = c->database_url;
  if (url.n == 0) return rc(RC_OK);
  if (slice_starts(url, S("postgres://")) || slice_starts(url, S("postgresql://")))
    return invalid(e, env, "names PostgreSQL, but this build has the embedded store only: sqlite:/path/file.db, or unset");
  if (!slice_starts(url, S("sqlite:"))) return invalid(e, env, "must be sqlite:/path/file.db");
  slice_t path = slice_sub(url, sizeof "sqlite:" - 1, url.n);
  if (slice_starts(path, S("//"))) path = slice_sub(path, 2, path.n);
  if (path.n == 0 || path.p[path.n - 1] == '/' || slice_find(path, '?') < path.n)
    return invalid(e, env, "must name a file: sqlite:/path/file.db");
  c->database_path = path;
  return rc(RC_OK);
}

/* Literals only: a name is resolved by somebody else. An appended port is tolerated (spec/config.md 3.1 rule 13). */
static bool host_is_loopback(slice_t host)
{
  slice_t rest = host, octet;
  size_t octets = 0;
  if (slice_is(host, "::1")) return true;
  size_t colon = slice_find(rest, ':');
  if (colon < rest.n && slice_find(slice_sub(rest, colon + 1, rest.n), ':') < rest.n - colon - 1) return false;
  rest = slice_sub(rest, 0, colon);
  if (slice_is(rest, "localhost")) return true;
  if (!slice_starts(rest, S("127."))) return false;
  while (slice_split(&rest, '.', &octet)) {
    int64_t v;
    if (octet.n > 3 || !rc_ok(slice_i64(octet, &v)) || v > 255) return false;
    octets++;
  }
  return octets == 4;
}

static rc_t open_access(conf_t *c, err_t *e)
{
  bool keys = slice_is(c->auth_type, "api-key");
  if (!keys && !host_is_loopback(c->server_host)) {
    invalid(e, "CERTCTL_SERVER_HOST", "must be a loopback address when CERTCTL_AUTH_TYPE is none");
    err_value(e, c->server_host.p, c->server_host.n);
    return rc(RC_INVALID);
  }
  if (keys && slice_is(secret_slice(&c->auth_secret), "change-me-in-production"))
    return invalid(e, "CERTCTL_AUTH_SECRET", "must not be the placeholder of the example files");
  if (slice_is(secret_slice(&c->config_encryption_key), "change-me-32-char-encryption-key"))
    return invalid(e, "CERTCTL_CONFIG_ENCRYPTION_KEY", "must not be the placeholder of the example files");
  return rc(RC_OK);
}

/* Each rule runs right after the row that makes it decidable. */
static const struct {
  const char *after;
  rc_t (*check)(conf_t *c, err_t *e);
} rules[] = {
    {"API_KEYS_NAMED", keys_named},       {"SERVER_TLS_KEY_PATH", tls_pair}, {"CONFIG_ENCRYPTION_KEY", encryption_key},
    {"DATABASE_URL", database_url},       {"SERVER_HOST", open_access},      {"CA_KEY_PATH", ca_pair},
    {"CA_PASSPHRASE_FILE", one_passphrase},
};

rc_t rules_check(conf_t *c, const setting_t *row, err_t *e)
{
  for (size_t i = 0; i < COUNT_OF(rules); i++)
    if (strcmp(rules[i].after, row->name) == 0) TRY(rules[i].check(c, e));
  return rc(RC_OK);
}

/* ---- what follows from the whole ---- */

typedef struct notes {
  conf_warning_t *v;
  size_t n;
} notes_t;

static void note(notes_t *w, log_level_t level, const char *text, const log_field_t *fields, size_t n)
{
  if (w->n == LIM_CONF_WARNINGS) return;
  conf_warning_t *d = &w->v[w->n++];
  *d = (conf_warning_t){.level = level, .text = text, .nfields = n};
  memcpy(d->fields, fields, n * sizeof *fields);
}

static bool known(slice_t env)
{
  size_t n;
  const setting_t *rows = conf_settings(&n);
  for (size_t i = 0; i < n; i++)
    if (slice_is(env, rows[i].env)) return true;
  return false;
}

/* Names that no program knows (spec/scale.md 10.2); the value is never shown. */
static rc_t note_unknown(conf_t *c, notes_t *w)
{
  slice_t name;
  for (size_t i = 0; (name = environ_name(i)).p; i++) {
    if (known(name)) continue;
    const char *nearest = nearest_find(name);
    slice_t copy = arena_dup(c->arena, name);
    if (!copy.p) return rc(RC_NOMEM);
    log_field_t f[] = {log_s("name", copy), log_c("nearest", nearest)};
    note(w, LOG_WARN, "unknown setting", f, nearest ? 2 : 1);
  }
  return rc(RC_OK);
}

static void note_rows(const conf_t *c, notes_t *w)
{
  size_t n;
  const setting_t *rows = conf_settings(&n);
  for (size_t i = 0; i < n; i++)
    if ((rows[i].flags & SF_ACCEPTED) && c->raw[i].p) {
      log_field_t f = log_c("name", rows[i].env);
      note(w, LOG_WARN, "setting without effect", &f, 1);
    }
}

/* Once per name that has several keys, at its first entry. */
static void note_rotation(const conf_t *c, notes_t *w)
{
  for (size_t i = 0; i < c->nkeys; i++) {
    int64_t entries = 0;
    bool earlier = false;
    for (size_t j = 0; j < c->nkeys; j++)
      if (slice_eq(c->keys[j].name, c->keys[i].name)) {
        entries++;
        earlier |= j < i;
      }
    if (entries < 2 || earlier) continue;
    log_field_t f[] = {log_s("name", c->keys[i].name), log_i("entries", entries), log_c("see", "packaging/ENVIRONMENTS.md")};
    note(w, LOG_INFO, "api-key rotation window active", f, 3);
  }
}

static rc_t keys_finish(conf_t *c, notes_t *w, err_t *e)
{
  if (c->nkeys == 0 && c->auth_secret.n) {
    TRY(keys_bare(c, e));
    log_field_t f[] = {log_c("name", "CERTCTL_AUTH_SECRET"), log_c("instead", "CERTCTL_API_KEYS_NAMED"),
                       log_i("synthesized_keys", (int64_t)c->nkeys)};
    note(w, LOG_WARN, "deprecated setting", f, 3);
  }
  if (slice_is(c->auth_type, "none")) c->nkeys = 0;
  return rc(RC_OK);
}

rc_t rules_finish(conf_t *c, err_t *e)
{
  notes_t w = {ARENA_ARRAY(c->arena, conf_warning_t, LIM_CONF_WARNINGS), 0};
  if (!w.v) return err_set(e, RC_NOMEM, "memory", NULL, "out of memory");
  if (!c->database_path.p && (c->program & SP_SERVER)) {
    c->database_path = arena_printf(c->arena, "%.*s/certctl.db", SLICE_ARG(c->state_dir));
    if (!c->database_path.p) return err_set(e, RC_NOMEM, "memory", NULL, "out of memory");
  }
  TRY(keys_finish(c, &w, e));
  note_rotation(c, &w);
  note_rows(c, &w);
  if (!rc_ok(note_unknown(c, &w))) return err_set(e, RC_NOMEM, "memory", NULL, "out of memory");
  c->warnings = w.v;
  c->nwarnings = w.n;
  return rc(RC_OK);
}
