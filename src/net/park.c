#include "net/park.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/random.h"

#include <pthread.h>
#include <stdatomic.h>

enum { FIRST_SIZE = 256, MARKS = 4096 };

struct park {
  pthread_mutex_t lock;
  uint64_t seed;
  _Atomic uint64_t wakes;    /* number of the last wake */
  uint64_t marks[MARKS];     /* last wake by hash; two keys may share one: a spare run, never a lost wake */
  size_t count, size;        /* size: power of two */
  park_entry_t **slots;
};

park_t *park_new(void)
{
  park_t *p = mem_alloc(sizeof *p);
  if (!p) return NULL;
  p->slots = mem_alloc(FIRST_SIZE * sizeof *p->slots);
  if (!p->slots) {
    mem_free(p);
    return NULL;
  }
  p->size = FIRST_SIZE;
  rng_fill(&rng_system, &p->seed, sizeof p->seed);
  pthread_mutex_init(&p->lock, NULL);
  return p;
}

void park_free(park_t *p)
{
  if (!p) return;
  CHECK(p->count == 0);
  pthread_mutex_destroy(&p->lock);
  mem_free(p->slots);
  mem_free(p);
}

/* FNV-1a from a random start, with a last mix so that the low bits depend on all. */
static uint64_t hash_of(const park_t *p, char kind, slice_t key)
{
  uint64_t h = p->seed ^ (uint8_t)kind;
  for (size_t i = 0; i < key.n; i++) h = (h ^ key.p[i]) * UINT64_C(0x100000001b3);
  h ^= h >> 32;
  return h * UINT64_C(0x9e3779b97f4a7c15) ^ h >> 29;
}

static bool same(const park_entry_t *en, uint64_t hash, char kind, slice_t key)
{
  return en->hash == hash && en->kind == kind && slice_eq(slice_of(en->key, en->key_n), key);
}

static void link_in(park_t *p, park_entry_t *en)
{
  park_entry_t **slot = &p->slots[en->hash & (p->size - 1)];
  en->next = *slot;
  en->link = slot;
  if (en->next) en->next->link = &en->next;
  *slot = en;
}

static void link_out(park_t *p, park_entry_t *en)
{
  *en->link = en->next;
  if (en->next) en->next->link = en->link;
  en->next = NULL;
  en->in = false;
  p->count--;
}

/* Doubles the table; if there is no memory the chains grow instead. */
static void grow(park_t *p)
{
  park_entry_t **old = p->slots;
  size_t n = p->size;
  park_entry_t **fresh = mem_alloc(2 * n * sizeof *fresh);
  if (!fresh) return;
  p->slots = fresh;
  p->size = 2 * n;
  for (size_t i = 0; i < n; i++) {
    for (park_entry_t *en = old[i], *next; en; en = next) {
      next = en->next;
      link_in(p, en);
    }
  }
  mem_free(old);
}

uint64_t park_now(park_t *p) { return atomic_load_explicit(&p->wakes, memory_order_acquire); }

bool park_add(park_t *p, park_entry_t *en, char kind, slice_t key, uint64_t since)
{
  if (key.n > LIM_HTTP_PARK_KEY) return false;
  uint64_t hash = hash_of(p, kind, key);
  pthread_mutex_lock(&p->lock);
  bool fresh = p->marks[hash % MARKS] <= since;
  if (fresh) {
    en->hash = hash;
    en->kind = kind;
    en->key_n = (uint8_t)key.n;
    if (key.n) memcpy(en->key, key.p, key.n);
    en->in = true;
    link_in(p, en);
    if (++p->count > p->size) grow(p);
  }
  pthread_mutex_unlock(&p->lock);
  return fresh;
}

bool park_del(park_t *p, park_entry_t *en)
{
  pthread_mutex_lock(&p->lock);
  bool was_in = en->in;
  if (was_in) link_out(p, en);
  pthread_mutex_unlock(&p->lock);
  return was_in;
}

void park_wake(park_t *p, char kind, slice_t key, void (*woken)(park_entry_t *en))
{
  if (key.n > LIM_HTTP_PARK_KEY) return;
  uint64_t hash = hash_of(p, kind, key);
  park_entry_t *mine = NULL;
  pthread_mutex_lock(&p->lock);
  uint64_t number = atomic_load_explicit(&p->wakes, memory_order_relaxed) + 1;
  p->marks[hash % MARKS] = number;
  atomic_store_explicit(&p->wakes, number, memory_order_release);
  for (park_entry_t *en = p->slots[hash & (p->size - 1)], *next; en; en = next) {
    next = en->next;
    if (!same(en, hash, kind, key)) continue;
    link_out(p, en);
    en->next = mine;
    mine = en;
  }
  pthread_mutex_unlock(&p->lock);
  while (mine) {
    park_entry_t *en = mine;
    mine = en->next; /* woken gives it away */
    woken(en);
  }
}

/* True for the first entry of its key in its chain. */
static bool is_first(const park_entry_t *chain, const park_entry_t *en)
{
  while (!same(chain, en->hash, en->kind, slice_of(en->key, en->key_n))) chain = chain->next;
  return chain == en;
}

size_t park_list(park_t *p, char kind, slice_t *keys, size_t cap, arena_t *a)
{
  size_t n = 0;
  pthread_mutex_lock(&p->lock);
  for (size_t i = 0; i < p->size && n < cap; i++) {
    for (const park_entry_t *en = p->slots[i]; en && n < cap; en = en->next) {
      if (en->kind != kind || !is_first(p->slots[i], en)) continue;
      keys[n] = arena_dup(a, slice_of(en->key, en->key_n));
      if (keys[n].p) n++;
    }
  }
  pthread_mutex_unlock(&p->lock);
  return n;
}

size_t park_count(park_t *p)
{
  pthread_mutex_lock(&p->lock);
  size_t n = p->count;
  pthread_mutex_unlock(&p->lock);
  return n;
}
