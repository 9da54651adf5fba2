/*
 * String arrays as a JSON array of strings, the form in which SQLite keeps them.
 * Private to db/.
 */
#ifndef DB_TEXTS_H
#define DB_TEXTS_H

#include "base/buf.h"
#include "desc/field.h"

enum { TEXTS_MAX = 4096 }; /* elements of one array; a certificate has at most 100 names */

/* Writes t as ["a","b"]. Text must be UTF-8. */
void texts_emit(buf_t *b, texts_t t);

/*
 * Reads what texts_emit writes, and any JSON array of strings with blanks; copies
 * into a. RC_SYNTAX, RC_FULL above TEXTS_MAX, RC_NOMEM. An empty slice is no array.
 */
MUST rc_t texts_parse(slice_t s, arena_t *a, texts_t *ret);

#endif
