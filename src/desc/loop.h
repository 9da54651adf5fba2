/*
 * Row types of background loops and metrics.
 */
#ifndef DESC_LOOP_H
#define DESC_LOOP_H

#include "base/slice.h"

typedef struct loop {
  const char *name;
  int64_t interval_s;
  bool at_start;
  rc_t (*run)(void *ctx); /* one run; its own failures are logged by the ticker */
  const char *help;
} loop_t;

typedef struct metric {
  const char *name;   /* JSON member */
  const char *group;  /* "gauge", "counter", "uptime" */
  const char *sql;    /* column of the summary statement it is read from; NULL = in-process */
  const char *help;
} metric_t;

#endif
