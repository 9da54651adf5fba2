/*
 * Counts over the whole store (spec/api.md 2.22), by one statement.
 */
#ifndef CORE_STATS_H
#define CORE_STATS_H

#include "core/core.h"

typedef struct stats {
  int64_t certificates, expiring, expired, revoked, agents_active, agents, jobs_pending, jobs_failed, jobs_completed;
} stats_t;

MUST rc_t stats_read(db_read_t *r, arena_t *a, us_t now, stats_t *ret, err_t *e);

#endif
