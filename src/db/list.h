/*
 * The one place that composes SQL: select, insert, update and delete of a
 * resource row from its field table, and lists with filters, order and page.
 * Identifiers come from table constants only; every value is bound.
 */
#ifndef DB_LIST_H
#define DB_LIST_H

#include "db/db.h"

typedef enum list_op { LO_EQ, LO_IEQ, LO_LT, LO_GT, LO_IN_SUBQUERY } list_op_t;

typedef struct list_filter {
  int field;             /* index in the resource's fields; for LO_IN_SUBQUERY ignored */
  list_op_t op;          /* LO_IEQ: enumerations, any case */
  val_t value;
  const char *subquery;  /* static SQL with one '?': "id in (select …)" */
} list_filter_t;

typedef struct list_query {
  const resource_t *res;
  const list_filter_t *filters;
  size_t nfilters;
  int sort;              /* field index, or -1 for the resource's default order */
  bool desc;
  int64_t page, per_page;
  bool by_cursor;        /* keyset: rows behind (after_time, after_id) in created_at order */
  us_t after_time;
  slice_t after_id;
} list_query_t;

/* Rows of one page, each res->row_size, in arena a; *ret_total by the same filters (cached per version vector). */
MUST rc_t list_page(db_read_t *r, arena_t *a, const list_query_t *q, void **ret_rows, size_t *ret_n, int64_t *ret_total, err_t *e);

/* One row by id: RC_NOTFOUND. */
MUST rc_t list_get(db_read_t *r, arena_t *a, const resource_t *res, slice_t id, void *ret_row, err_t *e);

/* Statement that inserts the row. */
MUST stmt_t list_insert(arena_t *a, const resource_t *res, const void *row);

/* Statement that updates the columns whose field bit is in `set` where id = the row's id. */
MUST stmt_t list_update(arena_t *a, const resource_t *res, const void *row, uint64_t set);

/* Statement that deletes by id. */
MUST stmt_t list_delete(arena_t *a, const resource_t *res, slice_t id);

#endif
