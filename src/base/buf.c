#include "base/buf.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>

void buf_fini(buf_t *b)
{
  if (!b->arena) mem_free(b->p);
  *b = (buf_t){.cap = b->cap, .arena = b->arena};
}

void buf_reset(buf_t *b)
{
  b->n = 0;
  b->code = 0;
}

/* Room for `need` bytes in all; doubles, never above the cap. */
static bool reserve(buf_t *b, size_t need)
{
  if (need <= b->size) return true;
  size_t size = b->size ? b->size * 2 : 256;
  if (size < need) size = need;
  if (size > b->cap) size = b->cap;
  uint8_t *p;
  if (b->arena) {
    p = arena_alloc(b->arena, size);
    if (p && b->n) memcpy(p, b->p, b->n);
  } else {
    p = mem_resize(b->p, size);
  }
  if (!p) {
    b->code = RC_NOMEM;
    return false;
  }
  b->p = p;
  b->size = size;
  return true;
}

uint8_t *buf_grow(buf_t *b, size_t n)
{
  size_t need;
  if (b->code) return NULL;
  if (!size_add(b->n, n, &need) || need > b->cap) {
    b->code = RC_FULL;
    return NULL;
  }
  if (!reserve(b, need)) return NULL;
  uint8_t *at = b->p + b->n;
  b->n = need;
  return at;
}

void buf_put(buf_t *b, slice_t s)
{
  if (s.n == 0) return;
  uint8_t *p = buf_grow(b, s.n);
  if (p) memcpy(p, s.p, s.n);
}

void buf_puts(buf_t *b, const char *s) { buf_put(b, slice_str(s)); }

void buf_byte(buf_t *b, uint8_t c)
{
  if (b->code == 0 && b->n < b->size) {
    b->p[b->n++] = c;
    return;
  }
  uint8_t *p = buf_grow(b, 1);
  if (p) *p = c;
}

void buf_printf(buf_t *b, const char *fmt, ...)
{
  char small[256];
  va_list ap;
  va_start(ap, fmt);
  int n = vsnprintf(small, sizeof small, fmt, ap);
  va_end(ap);
  if (n < 0) {
    if (!b->code) b->code = RC_INTERNAL;
    return;
  }
  if ((size_t)n < sizeof small) {
    buf_put(b, slice_of(small, (size_t)n));
    return;
  }
  /* vsnprintf also writes its zero: grow by one more and give it back. */
  char *p = (char *)buf_grow(b, (size_t)n + 1);
  if (!p) return;
  va_start(ap, fmt);
  vsnprintf(p, (size_t)n + 1, fmt, ap);
  va_end(ap);
  b->n--;
}

void buf_i64(buf_t *b, int64_t v)
{
  char out[I64_TEXT_MAX];
  buf_put(b, slice_from_i64(v, out));
}

void buf_consume(buf_t *b, size_t n)
{
  CHECK(n <= b->n);
  b->n -= n;
  if (b->n) memmove(b->p, b->p + n, b->n);
}

rc_t buf_rc(const buf_t *b) { return rc(b->code); }
