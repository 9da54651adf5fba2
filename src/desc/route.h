/*
 * Row type of the route table. The dispatcher, the permission matrix, the
 * OpenAPI document and the reference pages read the same rows.
 */
#ifndef DESC_ROUTE_H
#define DESC_ROUTE_H

#include "base/limits.h"
#include "desc/field.h"

typedef enum route_method { RM_GET, RM_POST, RM_PUT, RM_DELETE } route_method_t;

/* Each class has its own queue and share of the workers (design D6). */
typedef enum queue_class { QC_INTERACTIVE, QC_AGENT, QC_BULK, QC_COUNT } queue_class_t;

struct request; /* api/request.h */
struct reply;

typedef rc_t (*route_handler_t)(struct request *rq, struct reply *rp);

typedef struct route {
  route_method_t method;
  const char *path;              /* "/api/v1/teams/{id}" */
  const char *perm;              /* permission name; PERM_OPEN or PERM_ANY; NULL does not compile (see ROUTE) */
  queue_class_t queue;
  uint32_t body_max;             /* bytes; 0 = no body is read */
  uint32_t arena_max;            /* bytes; 0 = ROUTE_ARENA */
  uint16_t statements_max;       /* most statements the driver lets this request run; 0 = ROUTE_STATEMENTS */
  uint32_t rows_max;             /* most rows it may read; 0 = ROUTE_ROWS */
  uint16_t status;               /* of a success; 0 = route_success's choice by the method */
  const char *audit;             /* action of the audit row, or NULL where nothing changes */
  const resource_t *in, *out;    /* request and reply schema; NULL = described in text */
  bool on_loop;                  /* the handler only reads memory: it runs at once, without a worker */
  bool list;                     /* reply is the paged envelope of `out` */
  route_handler_t handler;
  const char *help;
} route_t;

/* Limits of a route whose row names none. */
enum { ROUTE_ARENA = 256 * 1024, ROUTE_STATEMENTS = 16, ROUTE_ROWS = LIM_CERT_TARGETS + 2000 };

#define PERM_OPEN "open" /* no authentication */
#define PERM_ANY "any"   /* any authenticated actor */

#endif
