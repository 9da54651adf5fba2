/*
 * The process environment, for this floor alone: look-up, wiping, walking. All
 * functions are for the single-threaded start.
 */
#ifndef CONF_ENVIRON_H
#define CONF_ENVIRON_H

#include "base/slice.h"

/* Value of a variable, or NULL when it is absent or empty. Points into the environment. */
char *environ_get(const char *name);

/* Overwrites the value's bytes, so that /proc/<pid>/environ shows none of them, and removes the variable. */
void environ_wipe(const char *name);

/* Name of the i-th variable that starts with CERTCTL_, p == NULL behind the last. */
slice_t environ_name(size_t i);

#endif
