/*
 * A look at the head of the WAL index, memory that all connections to a store share: every commit, of whatever process,
 * changes it (sqlite.org/walformat.html 2.1 to 2.3: two equal copies of 48 bytes, at 8 a count of transactions). A look
 * is only ever compared with an earlier one.
 */
#include "db/sqlite_int.h"

enum { HEAD_WORDS = 12, INDEX_REGION = 32 * 1024 };

_Static_assert(sizeof(((conn_state_t *)0)->words) == HEAD_WORDS * 4, "one copy of the head");

/* The VFS gives the mapping that it has for the connection anyhow, and keeps it as long as the connection. */
void sqlite_watch(conn_t *c)
{
  sqlite3_file *f = NULL;
  volatile void *p = NULL;
  if (sqlite3_file_control(c->s, "main", SQLITE_FCNTL_FILE_POINTER, &f) != SQLITE_OK || !f || !f->pMethods) return;
  if (f->pMethods->iVersion < 2 || !f->pMethods->xShmMap) return;
  if (f->pMethods->xShmMap(f, 0, INDEX_REGION, 0, &p) == SQLITE_OK) c->index = (const uint32_t *)(uintptr_t)p;
}

/*
 * A writer changes the second copy first (2.3.1): two copies that are the same are whole. The first copy's loads acquire,
 * so that the second's come after them.
 */
bool sqlite_state(const conn_t *c, conn_state_t *ret)
{
  conn_state_t s;
  if (!c->index) return false;
  for (int i = 0; i < HEAD_WORDS; i++) s.words[i] = __atomic_load_n(c->index + i, __ATOMIC_ACQUIRE);
  for (int i = 0; i < HEAD_WORDS; i++)
    if (__atomic_load_n(c->index + HEAD_WORDS + i, __ATOMIC_RELAXED) != s.words[i]) return false;
  s.commits = s.words[2];
  *ret = s;
  return true;
}
