/*
 * The background loops of the use cases: their table, and one run of each.
 */
#ifndef CORE_LOOPS_H
#define CORE_LOOPS_H

#include "core/core.h"
#include "desc/loop.h"

enum { LOOP_COUNT = 5 };

/* Rows with the intervals of the settings; ctx of each run is the core_t. */
void loops_table(const conf_t *conf, loop_t ret[LOOP_COUNT]);

/* One run each; public for tests. */
MUST rc_t loop_jobs(void *core);
MUST rc_t loop_retry(void *core);
MUST rc_t loop_job_timeout(void *core);
MUST rc_t loop_agent_health(void *core);
MUST rc_t loop_expiry(void *core);

#endif
