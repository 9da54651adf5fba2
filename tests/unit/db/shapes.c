/*
 * Prints every shape of list and row statements of all resources as JSON lines
 * {"name","table","sqlite","pg"} for tools/sql_lint.py.
 */
#include "db/list.h"
#include "model/resources.h"

#include <stdio.h>

static void put_json(const char *s)
{
  (void)putchar('"');
  for (; *s; s++) {
    if (*s == '"' || *s == '\\') (void)putchar('\\');
    (void)putchar(*s);
  }
  (void)putchar('"');
}

static void each(void *self, const sql_text_t *t)
{
  const char *const *table = self;
  (void)fputs("{\"name\":", stdout);
  put_json(t->name);
  (void)fputs(",\"table\":", stdout);
  put_json(*table);
  (void)fputs(",\"sqlite\":", stdout);
  put_json(t->text[DB_SQLITE]);
  (void)fputs(",\"pg\":", stdout);
  put_json(t->text[DB_PG]);
  (void)puts("}");
}

int main(void)
{
  for (const resource_t *const *r = res_all; *r; r++) {
    const char *table = (*r)->table;
    list_each_shape(*r, each, &table);
  }
  return 0;
}
