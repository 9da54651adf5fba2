#include "base/arena.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif

#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(p, n) ASAN_POISON_MEMORY_REGION((p), (n))
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
enum { REDZONE = 32 };
#else
#define POISON(p, n) ((void)0)
#define UNPOISON(p, n) ((void)0)
enum { REDZONE = 0 };
#endif

enum { ALIGN = 16, CHUNK_MIN = 4096 - 64, CHUNK_MAX = 256 * 1024 };

typedef struct chunk {
  struct chunk *next;
  size_t size, used;
  _Alignas(ALIGN) uint8_t data[];
} chunk_t;

struct arena {
  chunk_t *head; /* the chunk in use; older, full ones behind it */
  size_t budget, used;
};

arena_t *arena_new(size_t budget)
{
  arena_t *a = mem_alloc(sizeof *a);
  if (a) a->budget = budget;
  return a;
}

static void chunks_free(chunk_t *c)
{
  while (c) {
    chunk_t *next = c->next;
    UNPOISON(c->data, c->size);
    mem_free(c);
    c = next;
  }
}

void arena_free(arena_t *a)
{
  if (!a) return;
  chunks_free(a->head);
  mem_free(a);
}

void arena_free_ptr(arena_t **a)
{
  arena_free(*a);
  *a = NULL;
}

void arena_reset(arena_t *a)
{
  if (a->head) {
    chunks_free(a->head->next);
    a->head->next = NULL;
    a->head->used = 0;
    POISON(a->head->data, a->head->size);
    /* A chunk grown for one large request is not kept for the small ones. */
    if (a->head->size > 16 * (size_t)CHUNK_MIN) {
      chunks_free(a->head);
      a->head = NULL;
    }
  }
  a->used = 0;
}

void arena_set_budget(arena_t *a, size_t budget) { a->budget = budget; }

size_t arena_used(const arena_t *a) { return a->used; }

static chunk_t *chunk_add(arena_t *a, size_t need)
{
  size_t size = a->head ? a->head->size * 2 : CHUNK_MIN, total;
  if (size > CHUNK_MAX) size = CHUNK_MAX;
  if (size < need) size = need;
  if (!size_add(sizeof(chunk_t), size, &total)) return NULL;
  chunk_t *c = mem_alloc(total);
  if (!c) return NULL;
  *c = (chunk_t){.next = a->head, .size = size};
  POISON(c->data, size);
  return a->head = c;
}

void *arena_alloc(arena_t *a, size_t n)
{
  size_t need;
  if (!size_add(n, ALIGN - 1 + (size_t)REDZONE, &need)) return NULL;
  need &= ~(size_t)(ALIGN - 1);
  size_t cost = need - (size_t)REDZONE; /* what it takes up: many small objects count in full */
  if (cost > a->budget || a->used > a->budget - cost) return NULL;
  chunk_t *c = a->head;
  if (!c || c->size - c->used < need) c = chunk_add(a, need);
  if (!c) return NULL;
  uint8_t *p = c->data + c->used;
  c->used += need;
  a->used += cost;
  UNPOISON(p, n);
  memset(p, 0, n);
  return p;
}

void *arena_array(arena_t *a, size_t size, size_t n)
{
  size_t total;
  return size_mul(size, n, &total) ? arena_alloc(a, total) : NULL;
}

slice_t arena_dup(arena_t *a, slice_t s)
{
  uint8_t *p = arena_alloc(a, s.n);
  if (!p) return (slice_t){NULL, 0};
  if (s.n) memcpy(p, s.p, s.n);
  return (slice_t){p, s.n};
}

char *arena_text(arena_t *a, slice_t s)
{
  size_t n;
  char *p = size_add(s.n, 1, &n) ? arena_alloc(a, n) : NULL;
  if (p && s.n) memcpy(p, s.p, s.n);
  return p;
}

slice_t arena_printf(arena_t *a, const char *fmt, ...)
{
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(NULL, 0, fmt, ap);
  va_end(ap);
  if (n < 0) return (slice_t){NULL, 0};
  char *p = arena_alloc(a, (size_t)n + 1);
  if (!p) return (slice_t){NULL, 0};
  va_start(ap, fmt);
  vsnprintf(p, (size_t)n + 1, fmt, ap);
  va_end(ap);
  return slice_of(p, (size_t)n);
}
