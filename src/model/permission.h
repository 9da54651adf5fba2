/*
 * The permission catalogue and sets of permissions (spec/auth.md 5.2). Bits are
 * positions in the catalogue; the catalogue is what the migrations seed.
 */
#ifndef MODEL_PERMISSION_H
#define MODEL_PERMISSION_H

#include "base/slice.h"

enum { PERMISSION_COUNT = 82 };

typedef struct permset {
  uint64_t bits[2];
} permset_t;

extern const char *const permission_names[PERMISSION_COUNT];

/* Position of a permission, or -1. */
int permission_find(slice_t name);

static inline void permset_add(permset_t *s, int i) { s->bits[i / 64] |= UINT64_C(1) << (i % 64); }
static inline void permset_join(permset_t *s, const permset_t *more)
{
  s->bits[0] |= more->bits[0];
  s->bits[1] |= more->bits[1];
}
static inline bool permset_has(const permset_t *s, int i) { return s->bits[i / 64] >> (i % 64) & 1; }

#endif
