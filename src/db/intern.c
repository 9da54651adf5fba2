#include "db/intern.h"

#include "base/mem.h"

#include <pthread.h>

/* Names come from the schema, so the set is as large as the schema has constraints. */
enum { NAMES_MAX = 256, NAME_LEN_MAX = 256 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char *names[NAMES_MAX];
static size_t names_n;

const char *intern_name(slice_t s)
{
  const char *found = "constraint";
  if (s.n == 0 || s.n > NAME_LEN_MAX) return found;
  (void)pthread_mutex_lock(&lock);
  size_t i = 0;
  while (i < names_n && !slice_is(s, names[i])) i++;
  if (i == names_n && names_n < NAMES_MAX) {
    names[i] = mem_dup_text(s.p, s.n);
    if (names[i]) names_n++;
  }
  if (i < names_n) found = names[i];
  (void)pthread_mutex_unlock(&lock);
  return found;
}
