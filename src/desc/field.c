#include "desc/field.h"

int resource_field(const resource_t *r, slice_t name)
{
  for (uint32_t i = 0; i < r->nfields; i++)
    if (slice_is(name, r->fields[i].name)) return (int)i;
  return -1;
}
