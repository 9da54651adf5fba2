/*
 * Timer wheel: deadlines of many objects at the price of a few pointers each,
 * no allocation and one tick for all. Coarse on purpose (WHEEL_TICK_MS late at
 * most). Pure data: the caller brings the time. One thread.
 */
#ifndef IO_WHEEL_H
#define IO_WHEEL_H

#include "base/rc.h"

enum { WHEEL_SLOTS = 512, WHEEL_TICK_MS = 128 };

/* Embed; zeroed is "not set". */
typedef struct wheel_node {
  struct wheel_node *prev, *next;
  int64_t due_ms;
  int64_t slot_ms; /* time for which its slot was chosen; never after due_ms */
} wheel_node_t;

typedef struct wheel {
  wheel_node_t slots[WHEEL_SLOTS]; /* heads of rings */
  int64_t tick;                    /* all slots before it are done */
  size_t count;
} wheel_t;

void wheel_init(wheel_t *w, int64_t now_ms);

/* Sets or moves the deadline. Moving it later costs nothing now: the node is looked at when its old slot comes up. */
void wheel_set(wheel_t *w, wheel_node_t *n, int64_t due_ms);
void wheel_clear(wheel_t *w, wheel_node_t *n);
static inline bool wheel_is_set(const wheel_node_t *n) { return n->next != NULL; }

/* Calls fire for every node that is due, cleared before; fire may set and clear any node. */
void wheel_turn(wheel_t *w, int64_t now_ms, void (*fire)(wheel_node_t *n, void *self), void *self);

#endif
