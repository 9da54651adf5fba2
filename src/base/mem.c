#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static _Thread_local long fail_after = -1;

/* True when this allocation is the one to fail. */
static int fails(void)
{
  if (fail_after < 0) return 0;
  return fail_after-- == 0;
}

void mem_fail_after(long n) { fail_after = n; }

void *mem_alloc(size_t n) { return fails() ? NULL : calloc(1, n ? n : 1); }

void *mem_resize(void *p, size_t n) { return fails() ? NULL : realloc(p, n ? n : 1); }

char *mem_dup_text(const void *p, size_t n)
{
  char *s = mem_alloc(n + 1);
  if (s && n) memcpy(s, p, n);
  return s;
}

void mem_free(void *p) { free(p); }

void mem_free_ptr(void *pp)
{
  void **p = pp;
  free(*p);
  *p = NULL;
}
