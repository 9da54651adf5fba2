/*
 * Structured damage to DER: the bytes are taken apart into values (through OCTET and BIT
 * STRINGs that wrap some), one is changed, and the lengths around it are put right, so that
 * most results still look like what they were. Deterministic for a seeded generator.
 */
#ifndef TEST_DER_MUTATE_H
#define TEST_DER_MUTATE_H

#include "base/buf.h"
#include "base/random.h"

/* Replaces *ret's content by a damaged copy of `in`; parts may come from `donor`. */
void der_mutate(const rng_t *rng, slice_t in, slice_t donor, buf_t *ret);

#endif
