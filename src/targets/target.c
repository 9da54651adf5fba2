#include "targets/target.h"

#include "targets/nginx.h"

const target_kind_t *const target_kinds[] = {&target_nginx};
const size_t target_kind_count = COUNT_OF(target_kinds);

const target_kind_t *target_find(slice_t type)
{
  for (size_t i = 0; i < target_kind_count; i++) {
    if (slice_ieq(type, slice_str(target_kinds[i]->type))) return target_kinds[i];
  }
  return NULL;
}

buf_t *target_report(const deploy_context_t *cx)
{
  if (cx->report && cx->report->n > 0) buf_puts(cx->report, "; ");
  return cx->report;
}
