/*
 * Who acts: the caller of a request, or the system itself.
 */
#ifndef CORE_ACTOR_H
#define CORE_ACTOR_H

#include "model/permission.h"

typedef struct scoped_grant {
  int permission;
  slice_t scope_type, scope_id; /* "issuer" or "profile" */
} scoped_grant_t;

typedef struct actor {
  slice_t id;
  slice_t type;   /* spelling of actor_types */
  bool admin_key; /* the key's own admin flag */
  bool retired;   /* an agent that was retired: answered 410 on its own routes */
  permset_t global;
  const scoped_grant_t *scoped;
  size_t nscoped;
  const slice_t *roles;
  size_t nroles;
} actor_t;

/* The server itself, for what loops do. */
extern const actor_t actor_system;

static inline bool actor_is_agent(const actor_t *a) { return slice_is(a->type, "Agent"); }

/* May the actor do `permission` on this scope? scope_type empty: global only (spec/auth.md 5.4). */
bool actor_may(const actor_t *a, int permission, slice_t scope_type, slice_t scope_id);

#endif
