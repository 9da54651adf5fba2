/*
 * The one door to the heap, so that tests can fail the n-th allocation.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include "base/attr.h"

#include <stddef.h>

/* Zeroed memory, or NULL. n = 0 gives a unique pointer. Free with mem_free. */
MUST void *mem_alloc(size_t n);

/* As realloc; new bytes are not zeroed. On NULL the old block is untouched. */
MUST void *mem_resize(void *p, size_t n);

/* Terminated copy of n bytes, or NULL. */
MUST char *mem_dup_text(const void *p, size_t n);

void mem_free(void *p);

/*
 * Tests only: let `n` more allocations of this thread succeed, then fail one
 * (and go on succeeding after it). n < 0 switches it off.
 */
void mem_fail_after(long n);

/* For CLEANUP: frees *(void **)pp. */
void mem_free_ptr(void *pp);

#define MEM_SCOPED CLEANUP(mem_free_ptr)

#endif
