/*
 * What lists remember between requests: the total under a filter, and the row
 * behind which a far page begins. An entry holds for one value of the version
 * vector. Bounded; private to db/.
 */
#ifndef DB_MEMO_H
#define DB_MEMO_H

#include "db/db.h"

typedef struct memo memo_t;

enum { MEMO_KEY_MAX = 768 };

/* num and id are the caller's to read: total, or order value and id of an anchor row. */
typedef struct memo_value {
  int64_t num;
  slice_t text; /* order value of an anchor that is text; copied by memo_put */
  slice_t id;
} memo_value_t;

MUST rc_t memo_new(memo_t **ret);
void memo_free(memo_t *m);

/* Copies the value's slices into a. False when there is none for this key and stamp. Any thread. */
bool memo_get(memo_t *m, slice_t key, uint64_t stamp, arena_t *a, memo_value_t *ret);

/* Remembers v; forgets something older when full, or v itself when memory is short. Any thread. */
void memo_put(memo_t *m, slice_t key, uint64_t stamp, const memo_value_t *v);

#endif
