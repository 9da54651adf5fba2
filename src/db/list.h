/*
 * The one place that composes SQL: select, insert, update and delete of a
 * resource row from its field table, and lists with filters, order and page.
 * Identifiers come from table constants only; every value is bound.
 *
 * A resource needs a column "id". FT_JSON columns are jsonb on PostgreSQL and
 * FT_TEXTS columns text[]; an enumeration comes out in the spelling of its
 * `values`, however it is stored.
 */
#ifndef DB_LIST_H
#define DB_LIST_H

#include "db/db.h"

typedef enum list_op { LO_EQ, LO_IEQ, LO_LT, LO_GT, LO_IN_SUBQUERY } list_op_t;

enum {
  LIST_FILTERS_MAX = 12,
  LIST_OFFSET_MAX = 10000, /* rows skipped by offset; further pages begin at a remembered row */
  LIST_ROWS_MAX = 10000,   /* rows of one page, for callers inside the server */
  LIST_STATEMENTS = 4      /* most statements of one list_page, for the route table */
};

typedef struct list_filter {
  int field;             /* index in the resource's fields; for LO_IN_SUBQUERY ignored */
  list_op_t op;          /* LO_IEQ: enumerations, any case; LO_LT, LO_GT are strict */
  val_t value;
  const char *subquery;  /* static SQL with one '?': "id in (select …)" */
} list_filter_t;

typedef struct list_query {
  const resource_t *res;
  const list_filter_t *filters;
  size_t nfilters;
  int sort;              /* field index, or -1 for the resource's default order */
  bool desc;             /* direction of `sort`, and of by_cursor when sort is 0 or more */
  int64_t page, per_page; /* from 1; per_page 1 to LIST_ROWS_MAX */
  bool by_cursor;        /* keyset: rows behind (after_time, after_id) in the default order, whose column is a time; page is ignored */
  us_t after_time;
  slice_t after_id;
} list_query_t;

/*
 * Rows of one page, each res->row_size, in arena a; *ret_total by the same filters
 * (remembered per version vector). The order is total: ties fall by id. Rows that
 * come or go between two pages shift what follows; a cursor sees each row that
 * lived throughout exactly once.
 */
MUST rc_t list_page(db_read_t *r, arena_t *a, const list_query_t *q, void **ret_rows, size_t *ret_n, int64_t *ret_total, err_t *e);

/* One row by id: RC_NOTFOUND. res->where does not apply. */
MUST rc_t list_get(db_read_t *r, arena_t *a, const resource_t *res, slice_t id, void *ret_row, err_t *e);

/* Statement that inserts the row; empty nullable fields become NULL. */
MUST stmt_t list_insert(arena_t *a, const resource_t *res, const void *row);

/* Statement that updates the columns whose field bit is in `set` (never id, never virtual ones) where id = the row's id. */
MUST stmt_t list_update(arena_t *a, const resource_t *res, const void *row, uint64_t set);

/* Statement that deletes by id. */
MUST stmt_t list_delete(arena_t *a, const resource_t *res, slice_t id);

/* Every shape of statement that the functions above can make for a resource, one filter or order at a time: for lint and plans. */
void list_each_shape(const resource_t *res, void (*fn)(void *self, const sql_text_t *t), void *self);

#endif
