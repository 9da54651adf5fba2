#include "db/cmd.h"

#include <string.h>

/* Most statements of one command: 1,000 targets of a certificate, a mapping and a job each, and what goes with them. */
enum { CMD_ITEMS_MAX = 2048 };

cmd_t *cmd_new(arena_t *a)
{
  cmd_t *c = ARENA_NEW(a, cmd_t);
  if (!c) return NULL;
  c->a = a;
  c->wakes_end = &c->wakes;
  return c;
}

static void stick(cmd_t *c, int32_t code)
{
  if (rc_ok(c->sticky)) c->sticky = rc(code);
}

static bool has_room(cmd_t *c)
{
  if (c->nitems < c->cap) return true;
  if (c->nitems >= CMD_ITEMS_MAX) {
    stick(c, RC_FULL);
    return false;
  }
  size_t cap = c->cap ? c->cap * 2 : 4;
  cmd_item_t *more = ARENA_ARRAY(c->a, cmd_item_t, cap);
  if (!more) {
    stick(c, RC_NOMEM);
    return false;
  }
  if (c->nitems) memcpy(more, c->items, c->nitems * sizeof *more);
  c->items = more;
  c->cap = cap;
  return true;
}

void cmd_add(cmd_t *c, stmt_t s, int want_rows)
{
  if (!c) return;
  if (!s.sql || (s.nvals && !s.vals)) {
    stick(c, RC_NOMEM);
    return;
  }
  if (!has_room(c)) return;
  c->items[c->nitems++] = (cmd_item_t){s, want_rows};
}

void cmd_touch(cmd_t *c, const char *table)
{
  if (!c) return;
  if (c->ntouch == CMD_TOUCH_MAX) {
    stick(c, RC_FULL);
    return;
  }
  c->touch[c->ntouch++] = table;
}

void cmd_wake(cmd_t *c, char kind, slice_t id)
{
  if (!c) return;
  cmd_wake_t *w = ARENA_NEW(c->a, cmd_wake_t);
  if (!w) {
    stick(c, RC_NOMEM);
    return;
  }
  *w = (cmd_wake_t){NULL, kind, id};
  *c->wakes_end = w;
  c->wakes_end = &w->next;
}

size_t cmd_failed_at(const cmd_t *c) { return c->failed_at; }
