/*
 * What the agent saw at the endpoint after a deployment (spec/model.md 3.9).
 */
#ifndef CORE_VERIFY_H
#define CORE_VERIFY_H

#include "core/actor.h"
#include "core/core.h"

typedef struct verification {
  slice_t job, target, expected, actual, error;
  bool verified;
} verification_t;

/* Writes it onto the deployment's row. RC_NOTFOUND: no such job; RC_DENIED: another agent's. */
MUST rc_t verify_record(const core_t *core, arena_t *a, const verification_t *v, const actor_t *who, err_t *e);

#endif
