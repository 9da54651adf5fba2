/*
 * Row type of background loops.
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

#endif
