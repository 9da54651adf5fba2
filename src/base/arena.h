/*
 * arena_t: memory of one request, job or snapshot, freed whole. Each arena has
 * a byte budget; over it, arena_alloc returns NULL and the request fails with
 * 413 or a job error, never the process. Under the address sanitizer freed
 * memory is poisoned and objects are kept apart by redzones. Nothing in an
 * arena outlives it: a copy that crosses the boundary has `dup` in its name.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/slice.h"

typedef struct arena arena_t;

/*
 * New arena that hands out at most `budget` bytes between resets, each object rounded up to 16; NULL if out of memory.
 */
MUST arena_t *arena_new(size_t budget);
void arena_free(arena_t *a);

/* Frees everything handed out; keeps one chunk. All pointers into it are dead. */
void arena_reset(arena_t *a);

/* Replaces the budget; what is handed out already counts against it. */
void arena_set_budget(arena_t *a, size_t budget);

/* Zeroed, aligned to 16; NULL over budget or out of memory. */
MUST void *arena_alloc(arena_t *a, size_t n);

/* Bytes that what was handed out since the last reset takes up. */
size_t arena_used(const arena_t *a);

/* Copy of s in the arena; {NULL, 0} on failure, never for an empty s. */
MUST slice_t arena_dup(arena_t *a, slice_t s);

/* Terminated copy of s; NULL on failure. */
MUST char *arena_text(arena_t *a, slice_t s);

/* Formatted text; {NULL, 0} on failure. */
MUST slice_t arena_printf(arena_t *a, const char *fmt, ...) PRINTF_LIKE(2, 3);

void arena_free_ptr(arena_t **a);
#define ARENA_SCOPED CLEANUP(arena_free_ptr)

#define ARENA_NEW(a, type) ((type *)arena_alloc((a), sizeof(type)))
#define ARENA_ARRAY(a, type, n) ((type *)arena_array((a), sizeof(type), (n)))

/* n objects of `size` bytes, zeroed; NULL on overflow or failure. */
MUST void *arena_array(arena_t *a, size_t size, size_t n);

#endif
