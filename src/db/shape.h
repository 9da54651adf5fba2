/*
 * Texts that db/list.c composed, kept by what they were composed from, so that
 * the same request finds the same prepared statement. Private to db/.
 */
#ifndef DB_SHAPE_H
#define DB_SHAPE_H

#include "db/list.h"

typedef enum shape_kind { SH_GET, SH_INSERT, SH_UPDATE, SH_DELETE, SH_COUNT, SH_PAGE, SH_ANCHOR } shape_kind_t;

typedef struct shape_filter {
  int16_t field;
  uint16_t op;
  const char *subquery;
} shape_filter_t;

/* What a text depends on. Compared byte by byte: zero it before use. */
typedef struct shape {
  const resource_t *res;
  uint64_t set;      /* SH_UPDATE: fields */
  uint32_t kind;
  int16_t sort;      /* field index of the order */
  uint8_t desc, keyset;
  uint32_t nfilters;
  uint32_t pad;
  shape_filter_t filters[LIST_FILTERS_MAX];
} shape_t;

enum { SHAPES_MAX = 64 }; /* kept per resource */

/*
 * The text for s, for both engines. Beyond SHAPES_MAX of a resource, or when memory
 * is short, it is built in a and marked as passing. NULL when a is exhausted too.
 */
const sql_text_t *shape_text(arena_t *a, const shape_t *s);

/* Index of the field whose column is `column`; the resource table must have it. */
int shape_column(const resource_t *res, const char *column);

/* Whether rows can be asked for behind one by this field: a NULL has no place in a row comparison. */
bool shape_keyset(const resource_t *res, int field);

/* Whether the field is a column of the table. */
static inline bool shape_stored(const field_t *f) { return !(f->flags & FF_VIRTUAL); }

#endif
