/*
 * What each resource adds to the five verbs: rules across fields, virtual
 * fields, filters of its own.
 */
#ifndef API_RESOURCE_RULES_H
#define API_RESOURCE_RULES_H

#include "api/rest.h"

/* All rows; NULL res ends it. */
extern const rest_t rest_rows[];

/* target_ids of n certificates, by one query. */
MUST rc_t certificates_shape(request_t *rq, void *rows, size_t n, err_t *e);

/* Time ranges and agent_id of the certificate list (spec/api.md 1.14). */
MUST rc_t certificates_filters(request_t *rq, list_filter_t *f, size_t *n, err_t *e);

/* Names, status and tags of a certificate; reads target_ids from the body. */
MUST rc_t certificates_check(request_t *rq, void *row, const void *old, uint64_t *set, err_t *e);

#endif
