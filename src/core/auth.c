#include "core/auth.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypto/hash.h"
#include "db/sql_stmts.h"
#include "model/resources.h"

#include <pthread.h>
#include <stdatomic.h>

/* Agent keys change with registration and retirement, which touch api_keys too; heartbeats touch agents alone. */
const char *const auth_stamps[] = {"actor_roles", "role_permissions", "api_keys"};
const size_t auth_stamp_count = COUNT_OF(auth_stamps);

enum {
  SNAPSHOT_ARENA = 64 * 1024 * 1024, /* 100,000 agents at 300 bytes, twice */
  ROLES_MAX = 64,
  GRANTS_MAX = 4096,
  REBUILD_PAUSE_S = 1 /* for keys that are unknown */
};

typedef struct principal {
  uint8_t hash[SHA256_LEN];
  actor_t actor;
  us_t until; /* the key's own end; never = none */
} principal_t;

struct auth_pin {
  _Atomic long refs;
  arena_t *arena;
  uint64_t stamp, agents_stamp;
  us_t made_at;
  us_t valid_until;   /* earliest end of a grant or key: rebuilt then */
  principal_t *slots; /* open addressing by the hash's first bytes */
  size_t mask, used;
};

struct auth {
  const core_t *core;
  pthread_mutex_t lock;  /* guards `current`; never held over I/O */
  pthread_mutex_t build; /* one rebuild at a time */
  auth_pin_t *current;
  principal_t *fixed; /* keys of the settings */
  size_t nfixed;
  arena_t *arena;
};

typedef struct role {
  slice_t id;
  permset_t global;
} role_t;

typedef struct grant {
  slice_t actor_id, actor_type, role, scope_type, scope_id;
} grant_t;

typedef struct building {
  auth_pin_t *s;
  role_t roles[ROLES_MAX];
  size_t nroles;
  grant_t *grants;
  size_t ngrants;
} building_t;

void auth_key_hash(slice_t key, char out[65]) { sha256_hex(key, out); }

/* --- building a snapshot --- */

static role_t *role_of(building_t *b, slice_t id)
{
  for (size_t i = 0; i < b->nroles; i++)
    if (slice_eq(b->roles[i].id, id)) return &b->roles[i];
  if (b->nroles == ROLES_MAX) return NULL;
  b->roles[b->nroles] = (role_t){.id = id};
  return &b->roles[b->nroles++];
}

static rc_t load_roles(building_t *b, db_read_t *r, err_t *e)
{
  arena_t *a = b->s->arena;
  rc_t got;
  TRY(db_query(r, sql_auth_role_permissions(a), e));
  while (rc_ok(got = db_next(r, e))) {
    slice_t role, name;
    TRY(db_col_text_dup(r, 0, a, &role));
    TRY(db_col_text_dup(r, 1, a, &name));
    role_t *ro = role_of(b, role);
    int p = permission_find(name);
    /* A role's own scoped permissions narrow every grant of it; none of the seeded roles has any. */
    if (ro && p >= 0 && db_col_null(r, 3)) permset_add(&ro->global, p);
  }
  return rc_is(got, RC_NOTFOUND) ? rc(RC_OK) : got;
}

static void ends_at(auth_pin_t *s, us_t t)
{
  if (!us_is_never(t) && (us_is_never(s->valid_until) || us_cmp(t, s->valid_until) < 0)) s->valid_until = t;
}

static rc_t load_grants(building_t *b, db_read_t *r, us_t now, err_t *e)
{
  arena_t *a = b->s->arena;
  rc_t got;
  b->grants = ARENA_ARRAY(a, grant_t, GRANTS_MAX);
  if (!b->grants) return rc(RC_NOMEM);
  TRY(db_query(r, sql_auth_actor_roles(a), e));
  while (rc_ok(got = db_next(r, e))) {
    if (b->ngrants == GRANTS_MAX)
      return err_limit(e, RC_FULL, "grants", NULL, "more than {limit} role grants", GRANTS_MAX);
    grant_t *g = &b->grants[b->ngrants];
    us_t until = db_col_time(r, 5);
    if (!us_is_never(until) && us_cmp(until, now) <= 0) continue;
    ends_at(b->s, until);
    TRY(db_col_text_dup(r, 0, a, &g->actor_id));
    TRY(db_col_text_dup(r, 1, a, &g->actor_type));
    TRY(db_col_text_dup(r, 2, a, &g->role));
    TRY(db_col_text_dup(r, 3, a, &g->scope_type));
    TRY(db_col_text_dup(r, 4, a, &g->scope_id));
    b->ngrants++;
  }
  return rc_is(got, RC_NOTFOUND) ? rc(RC_OK) : got;
}

static void add_scoped(scoped_grant_t *list, size_t *n, const role_t *ro, const grant_t *g)
{
  for (int p = 0; p < PERMISSION_COUNT; p++)
    if (permset_has(&ro->global, p)) list[(*n)++] = (scoped_grant_t){p, g->scope_type, g->scope_id};
}

static bool is_of(const grant_t *g, const actor_t *actor)
{
  return slice_eq(g->actor_id, actor->id) && slice_eq(g->actor_type, actor->type);
}

/* Fills permissions and roles from the actor's grants. */
static rc_t grants_apply(building_t *b, actor_t *actor)
{
  arena_t *a = b->s->arena;
  size_t mine = 0, scoped = 0;
  for (size_t i = 0; i < b->ngrants; i++) {
    const grant_t *g = &b->grants[i];
    if (!is_of(g, actor)) continue;
    mine++;
    if (g->scope_id.n) scoped++;
  }
  if (mine == 0) return rc(RC_OK);
  slice_t *roles = ARENA_ARRAY(a, slice_t, mine);
  scoped_grant_t *list = ARENA_ARRAY(a, scoped_grant_t, scoped * PERMISSION_COUNT);
  if (!roles || !list) return rc(RC_NOMEM);
  for (size_t i = 0; i < b->ngrants; i++) {
    const grant_t *g = &b->grants[i];
    if (!is_of(g, actor)) continue;
    role_t *ro = role_of(b, g->role);
    if (!ro) continue;
    roles[actor->nroles++] = g->role;
    if (g->scope_id.n) add_scoped(list, &actor->nscoped, ro, g);
    else permset_join(&actor->global, &ro->global);
  }
  actor->roles = roles;
  actor->scoped = list;
  return rc(RC_OK);
}

static size_t slot_of(const auth_pin_t *s, const uint8_t hash[SHA256_LEN])
{
  uint64_t h;
  memcpy(&h, hash, sizeof h);
  return (size_t)h & s->mask;
}

static void put(auth_pin_t *s, const principal_t *p)
{
  size_t i = slot_of(s, p->hash);
  while (s->slots[i].actor.id.p && memcmp(s->slots[i].hash, p->hash, SHA256_LEN) != 0) i = (i + 1) & s->mask;
  if (!s->slots[i].actor.id.p) s->used++;
  s->slots[i] = *p;
}

static const principal_t *find(const auth_pin_t *s, const uint8_t hash[SHA256_LEN])
{
  for (size_t i = slot_of(s, hash); s->slots[i].actor.id.p; i = (i + 1) & s->mask)
    if (secret_eq(slice_of(s->slots[i].hash, SHA256_LEN), slice_of(hash, SHA256_LEN))) return &s->slots[i];
  return NULL;
}

/* A stored hash that is not 64 hex digits can never match a key (the load-test seed has such rows). */
static bool hash_read(slice_t hex, uint8_t out[SHA256_LEN])
{
  size_t n = 0;
  return rc_ok(hex_decode(hex, out, SHA256_LEN, &n)) && n == SHA256_LEN;
}

typedef struct principals {
  principal_t *v;
  size_t n, cap;
} principals_t;

static rc_t push(principals_t *l, const principal_t *p)
{
  if (l->n == l->cap) {
    size_t cap = l->cap ? l->cap * 2 : 64;
    void *v = mem_resize(l->v, cap * sizeof *l->v);
    if (!v) return rc(RC_NOMEM);
    l->v = v;
    l->cap = cap;
  }
  l->v[l->n++] = *p;
  return rc(RC_OK);
}

static rc_t load_api_keys(building_t *b, db_read_t *r, us_t now, principals_t *l, err_t *e)
{
  arena_t *a = b->s->arena;
  rc_t got;
  TRY(db_query(r, sql_auth_api_keys(a), e));
  while (rc_ok(got = db_next(r, e))) {
    principal_t p = {.actor.type = S("APIKey"), .until = db_col_time(r, 3)};
    slice_t hash, previous;
    us_t previous_until = db_col_time(r, 5);
    TRY(db_col_text_dup(r, 0, a, &p.actor.id));
    TRY(db_col_text_dup(r, 1, a, &hash));
    TRY(db_col_text_dup(r, 4, a, &previous));
    p.actor.admin_key = db_col_bool(r, 2);
    ends_at(b->s, p.until);
    if ((us_is_never(p.until) || us_cmp(p.until, now) > 0) && hash_read(hash, p.hash)) TRY(push(l, &p));
    if (previous.n && us_cmp(previous_until, now) > 0 && hash_read(previous, p.hash)) {
      p.until = previous_until;
      ends_at(b->s, previous_until);
      TRY(push(l, &p));
    }
  }
  return rc_is(got, RC_NOTFOUND) ? rc(RC_OK) : got;
}

/* An agent's key acts as role r-agent plus verification.run (decisions: Who is who). */
static rc_t load_agents(building_t *b, db_read_t *r, principals_t *l, err_t *e)
{
  static const slice_t roles[] = {{(const uint8_t *)"r-agent", 7}};
  arena_t *a = b->s->arena;
  rc_t got;
  role_t *ro = role_of(b, roles[0]);
  permset_t perms = ro ? ro->global : (permset_t){{0}};
  permset_add(&perms, permission_find(S("verification.run")));
  TRY(db_query(r, sql_auth_agents(a), e));
  while (rc_ok(got = db_next(r, e))) {
    principal_t p = {.actor = {.type = S("Agent"), .global = perms, .roles = roles, .nroles = 1}, .until = US_NEVER};
    slice_t hash;
    p.actor.retired = !db_col_null(r, 2);
    TRY(db_col_text_dup(r, 1, a, &hash));
    if (!hash_read(hash, p.hash)) continue;
    TRY(db_col_text_dup(r, 0, a, &p.actor.id));
    TRY(push(l, &p));
  }
  return rc_is(got, RC_NOTFOUND) ? rc(RC_OK) : got;
}

static rc_t table_fill(building_t *b, principals_t *l)
{
  size_t size = 64;
  while (size < l->n * 2) size *= 2;
  b->s->slots = ARENA_ARRAY(b->s->arena, principal_t, size);
  if (!b->s->slots) return rc(RC_NOMEM);
  b->s->mask = size - 1;
  for (size_t i = 0; i < l->n; i++) {
    if (!actor_is_agent(&l->v[i].actor)) TRY(grants_apply(b, &l->v[i].actor));
    put(b->s, &l->v[i]);
  }
  return rc(RC_OK);
}

static void pin_free(auth_pin_t *s)
{
  if (!s) return;
  arena_free(s->arena);
  mem_free(s);
}

static rc_t snapshot_load(auth_t *au, db_read_t *r, building_t *b, principals_t *l, us_t now, err_t *e)
{
  TRY(load_roles(b, r, e));
  TRY(load_grants(b, r, now, e));
  for (size_t i = 0; i < au->nfixed; i++) TRY(push(l, &au->fixed[i]));
  TRY(load_api_keys(b, r, now, l, e));
  TRY(load_agents(b, r, l, e));
  return table_fill(b, l);
}

static rc_t snapshot_new(auth_t *au, db_read_t *r, uint64_t stamp, us_t now, auth_pin_t **ret, err_t *e)
{
  static const char *const agents[] = {"agents"};
  building_t b = {.s = mem_alloc(sizeof(auth_pin_t))};
  principals_t l = {0};
  if (!b.s) return rc(RC_NOMEM);
  b.s->arena = arena_new(SNAPSHOT_ARENA);
  b.s->stamp = stamp;
  b.s->made_at = now;
  b.s->valid_until = US_NEVER;
  b.s->refs = 1;
  rc_t got = b.s->arena ? db_stamp(r, agents, 1, &b.s->agents_stamp, e) : rc(RC_NOMEM);
  if (rc_ok(got)) got = snapshot_load(au, r, &b, &l, now, e);
  mem_free(l.v);
  if (!rc_ok(got)) {
    pin_free(b.s);
    return got;
  }
  *ret = b.s;
  return rc(RC_OK);
}

/* --- looking up --- */

static auth_pin_t *pin(auth_t *au)
{
  pthread_mutex_lock(&au->lock);
  auth_pin_t *s = au->current;
  if (s) atomic_fetch_add(&s->refs, 1);
  pthread_mutex_unlock(&au->lock);
  return s;
}

void auth_unpin(auth_t *au, auth_pin_t *s)
{
  (void)au;
  if (s && atomic_fetch_sub(&s->refs, 1) == 1) pin_free(s);
}

static bool fresh(const auth_pin_t *s, uint64_t stamp, us_t now)
{
  return s && s->stamp == stamp && (us_is_never(s->valid_until) || us_cmp(now, s->valid_until) < 0);
}

/* `old`: a pinned snapshot that will not do, NULL when none was tried. */
static rc_t pin_fresh(auth_t *au, db_read_t *r, us_t now, const auth_pin_t *old, auth_pin_t **ret, err_t *e)
{
  uint64_t stamp;
  TRY(db_stamp(r, auth_stamps, auth_stamp_count, &stamp, e));
  auth_pin_t *s = pin(au);
  if (s != old && fresh(s, stamp, now)) {
    *ret = s;
    return rc(RC_OK);
  }
  auth_unpin(au, s);
  pthread_mutex_lock(&au->build);
  s = pin(au);
  rc_t got = rc(RC_OK);
  if (s == old || !fresh(s, stamp, now)) {
    auth_pin_t *next = NULL, *last;
    auth_unpin(au, s);
    s = NULL;
    got = snapshot_new(au, r, stamp, now, &next, e);
    if (rc_ok(got)) {
      atomic_fetch_add(&next->refs, 1);
      pthread_mutex_lock(&au->lock);
      last = au->current;
      au->current = next;
      pthread_mutex_unlock(&au->lock);
      auth_unpin(au, last);
      s = next;
    }
  }
  pthread_mutex_unlock(&au->build);
  if (rc_ok(got)) *ret = s;
  return got;
}

/*
 * Agents inserted by somebody else's SQL do not touch our stamp: look again when the agents changed. Heartbeats change
 * them all the time, so not at every unknown key: who knocks with wrong ones costs one snapshot a second at most.
 */
static bool agents_changed(const auth_pin_t *s, db_read_t *r, us_t now)
{
  static const char *const agents[] = {"agents"};
  uint64_t now_stamp;
  int64_t age = now.us - s->made_at.us; /* below 0: the clock was set back */
  if (age >= 0 && age < REBUILD_PAUSE_S * US_PER_S) return false;
  return rc_ok(db_stamp(r, agents, 1, &now_stamp, NULL)) && now_stamp != s->agents_stamp;
}

static rc_t header_key(slice_t header, slice_t *ret, err_t *e)
{
  if (!header.p) return err_set(e, RC_DENIED, "missing", NULL, "Authorization header required");
  if (!slice_starts(header, S("Bearer ")) || header.n == 7)
    return err_set(e, RC_DENIED, "format", NULL, "Invalid Authorization header format, expected: Bearer <token>");
  *ret = slice_sub(header, 7, header.n);
  return rc(RC_OK);
}

static rc_t anonymous(const actor_t **ret_actor)
{
  static const slice_t roles[] = {{(const uint8_t *)"r-admin", 7}};
  static const actor_t demo = {.id = {(const uint8_t *)"actor-demo-anon", 15},
                               .type = {(const uint8_t *)"Anonymous", 9},
                               .admin_key = true,
                               .global = {{~UINT64_C(0), ~UINT64_C(0)}},
                               .roles = roles,
                               .nroles = 1};
  *ret_actor = &demo;
  return rc(RC_OK);
}

rc_t auth_check(auth_t *au, db_read_t *r, slice_t header, us_t now, const actor_t **ret_actor, auth_pin_t **ret_pin,
                err_t *e)
{
  uint8_t hash[SHA256_LEN];
  slice_t key;
  auth_pin_t *s = NULL;
  if (slice_is(au->core->conf->auth_type, "none")) {
    *ret_pin = NULL;
    return anonymous(ret_actor);
  }
  TRY(header_key(header, &key, e));
  sha256(key, hash);
  TRY(pin_fresh(au, r, now, NULL, &s, e));
  const principal_t *p = find(s, hash);
  if (!p && agents_changed(s, r, now)) {
    auth_pin_t *old = s;
    rc_t got = pin_fresh(au, r, now, old, &s, e);
    auth_unpin(au, old);
    TRY(got);
    p = find(s, hash);
  }
  if (!p) {
    auth_unpin(au, s);
    return err_set(e, RC_DENIED, "unknown", NULL, "Invalid API key");
  }
  *ret_actor = &p->actor;
  *ret_pin = s;
  return rc(RC_OK);
}

bool auth_known(auth_t *au, slice_t header, us_t now, const actor_t **ret_actor, auth_pin_t **ret_pin)
{
  uint8_t hash[SHA256_LEN];
  slice_t key;
  uint64_t stamp;
  if (slice_is(au->core->conf->auth_type, "none")) return false;
  if (!rc_ok(header_key(header, &key, NULL)) || !db_stamp_known(au->core->db, auth_stamps, auth_stamp_count, &stamp))
    return false;
  auth_pin_t *s = pin(au);
  sha256(key, hash);
  const principal_t *p = fresh(s, stamp, now) ? find(s, hash) : NULL;
  if (!p) {
    auth_unpin(au, s);
    return false;
  }
  *ret_actor = &p->actor;
  *ret_pin = s;
  return true;
}

size_t auth_principals(auth_t *au)
{
  auth_pin_t *s = pin(au);
  size_t n = s ? s->used : 0;
  auth_unpin(au, s);
  return n;
}

/* --- start --- */

static rc_t fixed_keys(auth_t *au)
{
  const conf_t *conf = au->core->conf;
  au->fixed = ARENA_ARRAY(au->arena, principal_t, conf->nkeys + 1);
  if (!au->fixed) return rc(RC_NOMEM);
  for (size_t i = 0; i < conf->nkeys; i++) {
    principal_t *p = &au->fixed[au->nfixed++];
    *p = (principal_t){.actor = {.id = conf->keys[i].name, .type = S("APIKey"), .admin_key = conf->keys[i].admin},
                       .until = US_NEVER};
    sha256(conf->keys[i].key, p->hash);
  }
  return rc(RC_OK);
}

rc_t auth_start(const core_t *core, auth_t **ret, err_t *e)
{
  enum { FIXED_ARENA = 256 * 1024 };
  auth_t *au = mem_alloc(sizeof *au);
  if (!au) return rc(RC_NOMEM);
  au->core = core;
  au->arena = arena_new(FIXED_ARENA);
  pthread_mutex_init(&au->lock, NULL);
  pthread_mutex_init(&au->build, NULL);
  rc_t got = au->arena ? fixed_keys(au) : rc(RC_NOMEM);
  if (!rc_ok(got)) {
    auth_free(au);
    return got;
  }
  if (slice_is(core->conf->auth_type, "none"))
    log_line(LOG_WARN, "everybody is the demo administrator", log_c("setting", "CERTCTL_AUTH_TYPE"));
  *ret = au;
  return rc(RC_OK);
}

void auth_free(auth_t *au)
{
  if (!au) return;
  auth_unpin(au, au->current);
  arena_free(au->arena);
  pthread_mutex_destroy(&au->lock);
  pthread_mutex_destroy(&au->build);
  mem_free(au);
}
