/*
 * Hex text to bytes, for test vectors.
 */
#ifndef TEST_CRYPTO_VECTORS_H
#define TEST_CRYPTO_VECTORS_H

#include "base/check.h"
#include "base/slice.h"

enum { VEC_MAX = 2048 };

typedef struct vec {
  uint8_t p[VEC_MAX];
  size_t n;
} vec_t;

static inline vec_t vec(const char *hex)
{
  vec_t v = {.n = 0};
  CHECK(rc_ok(hex_decode(slice_str(hex), v.p, sizeof v.p, &v.n)));
  return v;
}

static inline slice_t vec_slice(const vec_t *v) { return slice_of(v->p, v->n); }

#endif
