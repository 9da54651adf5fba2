#include "core/audit.h"

#include "base/random.h"
#include "db/sql_stmts.h"
#include "model/resources.h"

enum { FACTS_MAX = 16 * 1024 };

void audit_add(cmd_t *c, arena_t *a, us_t now, const actor_t *who, const audit_note_t *n)
{
  char id[ID_MAX];
  slice_t copy = arena_dup(a, slice_of(id, id_new("audit", now.us, id)));
  cmd_add(c,
          SQL(a, audit_insert, .id = copy, .actor = who->id, .actor_type = who->type, .action = slice_str(n->action),
              .resource_type = slice_str(n->resource_type), .resource_id = n->resource_id, .details = n->details,
              .at = now, .category = slice_str(n->category ? n->category : "cert_lifecycle")),
          1);
}

slice_t audit_facts(arena_t *a, const audit_fact_t *f, size_t n)
{
  buf_t b = buf_on(a, FACTS_MAX);
  jw_t j = jw_on(&b);
  jw_object(&j);
  for (size_t i = 0; i < n; i++) {
    if (f[i].number) jw_put_int(&j, f[i].key, f[i].num);
    else if (f[i].text.n) jw_put_text(&j, f[i].key, f[i].text);
  }
  jw_object_end(&j);
  return rc_ok(buf_rc(&b)) ? buf_slice(&b) : (slice_t){NULL, 0};
}
