/*
 * Prints every shape of list and row statements as JSON lines
 * {"name","table","sqlite","pg"} for tools/sql_lint.py.
 */
#include "fixture.h"

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
  const resource_t *res = self;
  (void)fputs("{\"name\":", stdout);
  put_json(t->name);
  (void)fputs(",\"table\":", stdout);
  put_json(res->table);
  (void)fputs(",\"sqlite\":", stdout);
  put_json(t->text[DB_SQLITE]);
  (void)fputs(",\"pg\":", stdout);
  put_json(t->text[DB_PG]);
  (void)puts("}");
}

int main(void)
{
  for (size_t i = 0; i < test_resources_n; i++) {
    resource_t res = *test_resources[i];
    list_each_shape(test_resources[i], each, &res);
  }
  return 0;
}
