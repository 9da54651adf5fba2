#include "db/memo.h"

#include "base/mem.h"

#include <pthread.h>

enum { SETS = 64, WAYS = 4 };

typedef struct entry {
  uint64_t stamp, used;
  memo_value_t v; /* slices point behind the struct */
  slice_t key;
} entry_t;

struct memo {
  pthread_mutex_t lock;
  uint64_t tick;
  entry_t *slots[SETS * WAYS];
};

rc_t memo_new(memo_t **ret)
{
  memo_t *m = mem_alloc(sizeof *m);
  if (!m) return rc(RC_NOMEM);
  (void)pthread_mutex_init(&m->lock, NULL);
  *ret = m;
  return rc(RC_OK);
}

void memo_free(memo_t *m)
{
  if (!m) return;
  for (size_t i = 0; i < SETS * WAYS; i++) mem_free(m->slots[i]);
  (void)pthread_mutex_destroy(&m->lock);
  mem_free(m);
}

/* FNV-1a; a crafted collision only pushes entries out, since keys are compared whole. */
static entry_t **set_of(memo_t *m, slice_t key)
{
  uint64_t h = UINT64_C(0xcbf29ce484222325);
  for (size_t i = 0; i < key.n; i++) h = (h ^ key.p[i]) * UINT64_C(0x100000001b3);
  return m->slots + (size_t)(h >> 20) % SETS * WAYS;
}

static bool copy_out(const memo_value_t *from, arena_t *a, memo_value_t *ret)
{
  memo_value_t v = {.num = from->num, .text = arena_dup(a, from->text), .id = arena_dup(a, from->id)};
  if (!v.text.p || !v.id.p) return false;
  *ret = v;
  return true;
}

bool memo_get(memo_t *m, slice_t key, uint64_t stamp, arena_t *a, memo_value_t *ret)
{
  bool found = false;
  (void)pthread_mutex_lock(&m->lock);
  entry_t **set = set_of(m, key);
  for (size_t i = 0; i < WAYS && !found; i++) {
    entry_t *e = set[i];
    if (!e || e->stamp != stamp || !slice_eq(e->key, key)) continue;
    e->used = ++m->tick;
    found = copy_out(&e->v, a, ret);
  }
  (void)pthread_mutex_unlock(&m->lock);
  return found;
}

static slice_t put_copy(uint8_t **at, slice_t s)
{
  uint8_t *p = *at;
  if (s.n) memcpy(p, s.p, s.n);
  *at += s.n;
  return slice_of(p, s.n);
}

static entry_t *entry_new(slice_t key, uint64_t stamp, const memo_value_t *v)
{
  entry_t *e = mem_alloc(sizeof *e + key.n + v->text.n + v->id.n);
  if (!e) return NULL;
  uint8_t *at = (uint8_t *)(e + 1);
  e->stamp = stamp;
  e->key = put_copy(&at, key);
  e->v = (memo_value_t){.num = v->num, .text = put_copy(&at, v->text), .id = put_copy(&at, v->id)};
  return e;
}

void memo_put(memo_t *m, slice_t key, uint64_t stamp, const memo_value_t *v)
{
  entry_t *e = entry_new(key, stamp, v);
  if (!e) return;
  (void)pthread_mutex_lock(&m->lock);
  entry_t **set = set_of(m, key), **victim = &set[0];
  for (size_t i = 0; i < WAYS; i++) {
    if (!set[i] || slice_eq(set[i]->key, key)) {
      victim = &set[i];
      break;
    }
    if (set[i]->used < (*victim)->used) victim = &set[i];
  }
  entry_t *old = *victim;
  e->used = ++m->tick;
  *victim = e;
  (void)pthread_mutex_unlock(&m->lock);
  mem_free(old);
}
