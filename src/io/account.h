/*
 * Users and groups of this host.
 */
#ifndef IO_ACCOUNT_H
#define IO_ACCOUNT_H

#include "base/slice.h"

/* Numeric id of a user or group, by name or decimal. RC_NOTFOUND "account_unknown" with the name, RC_NOMEM. */
MUST rc_t user_find(slice_t name, uint32_t *ret, err_t *e);
MUST rc_t group_find(slice_t name, uint32_t *ret, err_t *e);

#endif
