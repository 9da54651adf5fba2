/*
 * secret_t: bytes that must not leak. Locked, kept out of core dumps, zeroed
 * on release; no copy function, and a type that the logger does not take.
 */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include "base/slice.h"

typedef struct secret {
  uint8_t *p;
  size_t n;
  size_t mapped;
} secret_t;

/* Room for n zeroed bytes on locked pages. RC_NOMEM. */
MUST rc_t secret_alloc(secret_t *ret, size_t n);

/* Takes the bytes at p into *ret and zeroes the source, also on failure. */
MUST rc_t secret_take(secret_t *ret, void *p, size_t n);

/* Zeroes and unmaps; safe on a zero secret_t and twice. */
void secret_fini(secret_t *s);

#define SECRET_SCOPED CLEANUP(secret_fini)

/* Equal bytes, in time that depends on the lengths only. */
bool secret_eq(slice_t a, slice_t b);

/* Zeroes memory in a way the compiler keeps. */
void secret_wipe(void *p, size_t n);

#endif
