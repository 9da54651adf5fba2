/*
 * What the store must have before anything is served: the built-in issuer on
 * the first start, grants and the first administrator (spec/model.md 1.8).
 */
#ifndef CORE_SETUP_H
#define CORE_SETUP_H

#include "core/core.h"

/* Idempotent; runs at each start, before the process gives up its rights on the state folder. */
MUST rc_t setup_store(const core_t *core, err_t *e);

#endif
