/*
 * A small bounded set of names that live as long as the process: constraint
 * names reported by an engine, which an err_t may point at. Private to db/.
 */
#ifndef DB_INTERN_H
#define DB_INTERN_H

#include "base/slice.h"

/* The stored copy of s; "constraint" when the set is full or memory is short. Any thread. */
const char *intern_name(slice_t s);

#endif
