#include "issuers/issuer.h"

static const issuer_kind_t *const kinds[] = {&issuer_local};

const issuer_kind_t *issuer_find(slice_t type)
{
  for (size_t i = 0; i < COUNT_OF(kinds); i++) {
    if (slice_ieq(type, slice_str(kinds[i]->type))) return kinds[i];
    for (const char *const *alias = kinds[i]->aliases; *alias; alias++)
      if (slice_ieq(type, slice_str(*alias))) return kinds[i];
  }
  return NULL;
}
