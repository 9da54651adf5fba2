/*
 * Index of parked requests by (kind, key): one hash table for all loops behind
 * one lock, so that a wake finds its requests in constant time. A wake that
 * comes between the moment a handler began to look and the moment its request
 * is parked is not lost: park_add then refuses.
 *
 * Ownership: an entry is embedded in its owner's object; while it is in the
 * table, only these functions touch it. The lock is a leaf.
 */
#ifndef NET_PARK_H
#define NET_PARK_H

#include "base/arena.h"
#include "base/limits.h"

typedef struct park park_t;

typedef struct park_entry {
  struct park_entry *next, **link;
  uint64_t hash;
  char kind;
  bool in;                /* in the table; read and written under the lock */
  uint8_t key_n;
  uint8_t key[LIM_HTTP_PARK_KEY];
} park_entry_t;

/* NULL if out of memory. */
MUST park_t *park_new(void);
void park_free(park_t *p);

/* Number to take before a handler starts to look for what it may wait for. Any thread. */
uint64_t park_now(park_t *p);

/* False, and not added, if this key was woken after `since`, or if the key is too long. */
MUST bool park_add(park_t *p, park_entry_t *en, char kind, slice_t key, uint64_t since);

/* Takes the entry out; false if a wake took it before. */
MUST bool park_del(park_t *p, park_entry_t *en);

/* Takes out all entries of this key and calls woken(entry) for each, without the lock. Any thread. */
void park_wake(park_t *p, char kind, slice_t key, void (*woken)(park_entry_t *en));

/* Copies the keys of a kind, each once. */
size_t park_list(park_t *p, char kind, slice_t *keys, size_t cap, arena_t *a);

size_t park_count(park_t *p);

#endif
