/*
 * The known setting a misspelt name probably means.
 */
#ifndef CONF_NEAREST_H
#define CONF_NEAREST_H

#include "base/slice.h"

/* Closest CERTCTL_… name within a quarter of its length in edits, or NULL when nothing is close. */
const char *nearest_find(slice_t name);

#endif
