/*
 * Deployment targets with their agents, as a certificate's mapping names them (spec/model.md 3.8).
 */
#ifndef CORE_MAPPING_H
#define CORE_MAPPING_H

#include "core/core.h"

typedef struct mapped {
  slice_t target, agent;
  bool usable; /* target enabled and alive, agent alive */
} mapped_t;

typedef struct mapping {
  mapped_t *v; /* ordered by agent */
  size_t n;
} mapping_t;

/*
 * The usable targets of a certificate, in the arena; with an agent (not empty) its alone.
 * Reads the store, so nothing else may be reading.
 */
MUST rc_t mapping_of(const core_t *core, arena_t *a, slice_t certificate, slice_t agent, mapping_t *ret, err_t *e);

/* The targets of these ids. RC_INVALID "unknown_reference" with the first that does not exist. */
MUST rc_t mapping_known(const core_t *core, arena_t *a, texts_t ids, mapping_t *ret, err_t *e);

#endif
