#include "io/wheel.h"

void wheel_init(wheel_t *w, int64_t now_ms)
{
  for (int i = 0; i < WHEEL_SLOTS; i++) w->slots[i] = (wheel_node_t){.prev = &w->slots[i], .next = &w->slots[i]};
  w->tick = now_ms / WHEEL_TICK_MS;
  w->count = 0;
}

static void link_in(wheel_t *w, wheel_node_t *n)
{
  int64_t tick = n->due_ms / WHEEL_TICK_MS + 1; /* never early */
  if (tick < w->tick) tick = w->tick;
  if (tick >= w->tick + WHEEL_SLOTS) tick = w->tick + WHEEL_SLOTS - 1; /* beyond the horizon: looked at on the way */
  wheel_node_t *head = &w->slots[tick % WHEEL_SLOTS];
  n->slot_ms = tick * WHEEL_TICK_MS;
  n->prev = head->prev;
  n->next = head;
  head->prev->next = n;
  head->prev = n;
}

static void link_out(wheel_node_t *n)
{
  n->prev->next = n->next;
  n->next->prev = n->prev;
  n->prev = n->next = NULL;
}

void wheel_set(wheel_t *w, wheel_node_t *n, int64_t due_ms)
{
  n->due_ms = due_ms;
  if (wheel_is_set(n)) {
    if (due_ms + WHEEL_TICK_MS >= n->slot_ms) return;
    link_out(n);
  } else {
    w->count++;
  }
  link_in(w, n);
}

void wheel_clear(wheel_t *w, wheel_node_t *n)
{
  if (!wheel_is_set(n)) return;
  link_out(n);
  w->count--;
}

/* Empties one slot; nodes that are not due yet find a new one, in a later tick. */
static void turn_one(wheel_t *w, int64_t now_ms, void (*fire)(wheel_node_t *n, void *self), void *self)
{
  wheel_node_t *head = &w->slots[w->tick % WHEEL_SLOTS], ring;
  w->tick++;
  if (head->next == head) return;
  ring = *head;
  ring.next->prev = &ring;
  ring.prev->next = &ring;
  head->prev = head->next = head;
  while (ring.next != &ring) {
    wheel_node_t *n = ring.next;
    link_out(n);
    if (n->due_ms > now_ms) {
      link_in(w, n);
    } else {
      w->count--;
      fire(n, self);
    }
  }
}

void wheel_turn(wheel_t *w, int64_t now_ms, void (*fire)(wheel_node_t *n, void *self), void *self)
{
  int64_t last = now_ms / WHEEL_TICK_MS, oldest = last - WHEEL_SLOTS;
  if (w->tick < oldest) w->tick = oldest; /* asleep for long: once round is all */
  while (w->tick <= last) turn_one(w, now_ms, fire, self);
}
