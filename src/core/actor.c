#include "core/actor.h"

const actor_t actor_system = {.id = {(const uint8_t *)"system", 6}, .type = {(const uint8_t *)"System", 6}};

bool actor_may(const actor_t *a, int permission, slice_t scope_type, slice_t scope_id)
{
  if (permset_has(&a->global, permission)) return true;
  for (size_t i = 0; scope_type.n && i < a->nscoped; i++)
    if (a->scoped[i].permission == permission && slice_eq(a->scoped[i].scope_type, scope_type) &&
        slice_eq(a->scoped[i].scope_id, scope_id))
      return true;
  return false;
}
