/*
 * Remembers which refusals were audited in the current minute, so that a
 * client that knocks all day writes one row a minute (decisions: Who is who).
 */
#ifndef API_DENIALS_H
#define API_DENIALS_H

#include "base/clock.h"

typedef struct denial_log denial_log_t;

MUST denial_log_t *denial_log_new(void);
void denial_log_free(denial_log_t *d);

/* True the first time in a minute for this actor and reason. Thread-safe. */
bool denial_first(denial_log_t *d, slice_t actor, const char *reason, us_t now);

#endif
