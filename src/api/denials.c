#include "api/denials.h"

#include "base/mem.h"

#include <pthread.h>

enum { SLOTS = 1024 };

typedef struct slot {
  uint64_t key;
  int64_t minute;
} slot_t;

struct denial_log {
  pthread_mutex_t lock;
  slot_t slots[SLOTS];
};

denial_log_t *denial_log_new(void)
{
  denial_log_t *d = mem_alloc(sizeof *d);
  if (d) pthread_mutex_init(&d->lock, NULL);
  return d;
}

void denial_log_free(denial_log_t *d)
{
  if (!d) return;
  pthread_mutex_destroy(&d->lock);
  mem_free(d);
}

/* FNV-1a; a collision merges two actors' rows of a minute, no more. */
static uint64_t mix(uint64_t h, slice_t s)
{
  for (size_t i = 0; i < s.n; i++) h = (h ^ s.p[i]) * UINT64_C(1099511628211);
  return h;
}

bool denial_first(denial_log_t *d, slice_t actor, const char *reason, us_t now)
{
  uint64_t key = mix(mix(UINT64_C(14695981039346656037), actor), slice_str(reason)) | 1;
  int64_t minute = now.us / (60 * US_PER_S);
  pthread_mutex_lock(&d->lock);
  slot_t *s = &d->slots[key % SLOTS];
  bool first = s->key != key || s->minute != minute;
  *s = (slot_t){key, minute};
  pthread_mutex_unlock(&d->lock);
  return first;
}
