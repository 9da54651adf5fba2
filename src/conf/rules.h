/*
 * Rules that look at more than one value (spec/config.md 3.1, 3.2) and what is
 * derived from several settings.
 */
#ifndef CONF_RULES_H
#define CONF_RULES_H

#include "conf/conf.h"

/* Checks what becomes decidable once `row` was read. RC_INVALID, RC_FULL, RC_NOMEM. */
MUST rc_t rules_check(conf_t *c, const setting_t *row, err_t *e);

/* Fills database_path, keys and warnings. RC_NOMEM. */
MUST rc_t rules_finish(conf_t *c, err_t *e);

#endif
