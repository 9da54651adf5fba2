/*
 * The route table (spec/api.md 2). Dispatch, permission matrix, OpenAPI and the
 * reference pages read it.
 */
#ifndef API_ROUTES_H
#define API_ROUTES_H

#include "desc/route.h"

extern const route_t routes[];
extern const size_t route_count;

/*
 * Finds the row for a method (HEAD counts as GET) and a raw path. NULL with *ret_status
 * 404, or 405 and *ret_allow the bits of route_method_t that the path has. *ret_param gets the
 * raw segments of the placeholders.
 */
const route_t *route_find(int http1_method, slice_t path, slice_t *ret_param, size_t *ret_nparams, int *ret_status,
                          unsigned *ret_allow);

/* Status of a success: the row's, else 201 for a POST with a row in its body, 204 for a DELETE, 200. */
int route_success(const route_t *r);

const char *route_method_name(route_method_t m);

#endif
