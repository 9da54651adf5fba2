/*
 * Audit rows (spec/model.md 3.23): one typed row per mutation, added to the
 * mutation's own command. Details hold ids, states and field names; never a
 * value that could be a secret or personal.
 */
#ifndef CORE_AUDIT_H
#define CORE_AUDIT_H

#include "core/actor.h"
#include "db/db.h"
#include "wire/json_out.h"

typedef struct audit_note {
  const char *action, *resource_type, *category; /* static; category NULL = cert_lifecycle */
  slice_t resource_id;
  slice_t details; /* JSON object, or empty */
} audit_note_t;

void audit_add(cmd_t *c, arena_t *a, us_t now, const actor_t *who, const audit_note_t *n);

/* AUDIT(c, a, now, who, .action = "…", .resource_type = "job", .resource_id = id); */
#define AUDIT(c, a, now, who, ...) audit_add((c), (a), (now), (who), &(audit_note_t){__VA_ARGS__})

/* One member of the details object. */
typedef struct audit_fact {
  const char *key;
  slice_t text;
  int64_t num;
  bool number; /* `num` counts, not `text` */
} audit_fact_t;

static inline audit_fact_t fact_s(const char *key, slice_t v) { return (audit_fact_t){key, v, 0, false}; }
static inline audit_fact_t fact_i(const char *key, int64_t v) { return (audit_fact_t){key, {NULL, 0}, v, true}; }

/* JSON object of the facts, in the arena; texts that are empty are left out. {NULL,0} when out of memory. */
MUST slice_t audit_facts(arena_t *a, const audit_fact_t *f, size_t n);

#define AUDIT_FACTS(a, ...) \
  audit_facts((a), (const audit_fact_t[]){__VA_ARGS__}, COUNT_OF(((const audit_fact_t[]){__VA_ARGS__})))

#endif
