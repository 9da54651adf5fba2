/*
 * buf_t: a growing byte buffer that is born with its maximum. Errors stick:
 * write many times, check once with buf_rc. Memory comes from the heap, or
 * from an arena when made with buf_on.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/arena.h"

typedef struct buf {
  uint8_t *p;
  size_t n;      /* bytes written */
  size_t size;   /* bytes allocated */
  size_t cap;    /* hard maximum */
  arena_t *arena; /* NULL: heap */
  int32_t code;  /* first failure, RC_FULL or RC_NOMEM; 0 while fine */
} buf_t;

/* An empty heap buffer of at most cap bytes; release with buf_fini. */
static inline buf_t buf_heap(size_t cap) { return (buf_t){.cap = cap}; }

/* An empty buffer in an arena; buf_fini is a no-op. */
static inline buf_t buf_on(arena_t *a, size_t cap) { return (buf_t){.cap = cap, .arena = a}; }

void buf_fini(buf_t *b);

/* Forgets the content and the error, keeps the memory. */
void buf_reset(buf_t *b);

/* Room for n more bytes, counted as written; NULL when it does not fit. */
uint8_t *buf_grow(buf_t *b, size_t n);

void buf_put(buf_t *b, slice_t s);
void buf_puts(buf_t *b, const char *s);
void buf_byte(buf_t *b, uint8_t c);
void buf_printf(buf_t *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Decimal without printf. */
void buf_i64(buf_t *b, int64_t v);

/* Drops the first n bytes. */
void buf_consume(buf_t *b, size_t n);

/* RC_OK, or the first failure. */
MUST rc_t buf_rc(const buf_t *b);

static inline slice_t buf_slice(const buf_t *b) { return (slice_t){b->p, b->n}; }

#define BUF_SCOPED CLEANUP(buf_fini)

#endif
