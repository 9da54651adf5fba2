/*
 * The inside of a command, shared by the writer and the drivers. Private to db/.
 */
#ifndef DB_CMD_H
#define DB_CMD_H

#include "db/db.h"

#include <semaphore.h>

typedef struct cmd_item {
  stmt_t s;
  int want;
} cmd_item_t;

typedef struct cmd_wake_item {
  struct cmd_wake_item *next;
  char kind;
  slice_t id;
} cmd_wake_t;

enum { CMD_TOUCH_MAX = 8 };

struct cmd {
  arena_t *a;
  cmd_item_t *items;
  size_t nitems, cap;
  const char *touch[CMD_TOUCH_MAX];
  size_t ntouch;
  cmd_wake_t *wakes, **wakes_end;
  rc_t sticky;        /* first failure while building */
  bool submitted;
  /* from here on the writer's while queued */
  size_t failed_at;
  rc_t result;
  err_t err;
  struct cmd *next;
  sem_t done;
};

#endif
