/*
 * Randomness as a parameter: the system's generator in the product, a seeded
 * one in tests.
 */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include "base/slice.h"

typedef struct rng {
  void (*fill)(void *self, void *out, size_t n);
  void *self;
} rng_t;

/* getrandom(2); stops the process if the kernel cannot give any. */
extern const rng_t rng_system;

static inline void rng_fill(const rng_t *r, void *out, size_t n) { r->fill(r->self, out, n); }

/* Uniform in [0, bound); bound > 0. */
uint64_t rng_below(const rng_t *r, uint64_t bound);

/* Deterministic generator for tests and simulation; state is the caller's. */
rng_t rng_seeded(uint64_t *state);

enum { ID_MAX = 64, UUID_LEN = 36 };

/*
 * New identifier "<prefix>-<us x 1000>-<counter>" (spec/model.md 1.2); the
 * counter starts at random in each process. Terminated; returns its length.
 */
size_t id_new(const char *prefix, int64_t wall_us, char out[ID_MAX]);

/* Random UUID, version 4, terminated. */
void uuid_new(const rng_t *r, char out[UUID_LEN + 1]);

#endif
