/*
 * The five verbs of every resource, driven by its field table; what a resource
 * adds of its own stands in one row.
 */
#ifndef API_REST_H
#define API_REST_H

#include "api/request.h"
#include "db/list.h"

enum { REST_FILTERS_MAX = 24 };

typedef struct rest {
  const resource_t *res;
  const char *label;  /* "Team": for messages */
  const char *in_use; /* 409 when a row is still referenced */
  /* Checks across fields; may normalise. `old` is NULL on create; *set has the bits that were sent. */
  rc_t (*check)(request_t *rq, void *row, const void *old, uint64_t *set, err_t *e);
  /* Fills virtual fields of n rows before they are written out. */
  rc_t (*shape)(request_t *rq, void *rows, size_t n, err_t *e);
  /* Filters beyond equality of FF_FILTER fields. */
  rc_t (*filters)(request_t *rq, list_filter_t *f, size_t *n, err_t *e);
  /* Statement that deletes; NULL: by id. */
  stmt_t (*remove)(arena_t *a, slice_t id);
  /* Tables beside res->table that the list's rows depend on; NULL-terminated. */
  const char *const *stamps;
} rest_t;

/* One more filter of a list; more than it takes are left out. */
static inline void rest_filter_add(list_filter_t *f, size_t *n, list_filter_t one)
{
  if (*n < REST_FILTERS_MAX) f[(*n)++] = one;
}

/* Row for the resource of a route. */
const rest_t *rest_of(const resource_t *res);

/* Reads the body into *row with defaults, generated id and times; *ret_set: fields sent. */
MUST rc_t rest_read_new(request_t *rq, const rest_t *re, void *row, uint64_t *ret_set, err_t *e);

/* Merges the body into the stored row *row; *ret_set: columns to write (updated_at included). */
MUST rc_t rest_read_change(request_t *rq, const rest_t *re, void *row, uint64_t *ret_set, err_t *e);

/* Names of the fields of `set`, comma separated, for the audit row. */
slice_t rest_changed(request_t *rq, const resource_t *res, uint64_t set);

/* Writes the row as the reply's object. */
MUST rc_t rest_reply_row(request_t *rq, reply_t *rp, const rest_t *re, void *row, int status);

/* Reply for a refused command: 409 for taken names, 400 naming an unknown reference. */
rc_t rest_reply_conflict(request_t *rq, reply_t *rp, const rest_t *re, const void *row, rc_t why, err_t *e);

/* page and per_page by spec/api.md 1.13. */
MUST rc_t rest_paging(request_t *rq, int64_t *ret_page, int64_t *ret_per_page);

/* Paged envelope around n rows. */
MUST rc_t rest_reply_rows(request_t *rq, reply_t *rp, const resource_t *res, const void *rows, size_t n, int64_t total,
                          int64_t page, int64_t per_page);

/* Member "data" with n rows; `only` as in json_row_write. */
void rest_rows_write(jw_t *j, const resource_t *res, const void *rows, size_t n, const uint64_t *only);

/* Tables whose stamps the route's list depends on. */
size_t rest_stamps(const resource_t *res, const char *ret[DB_STAMP_MAX]);

#endif
