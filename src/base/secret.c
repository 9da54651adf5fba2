#include "base/secret.h"

#include "base/check.h"

#include <sys/mman.h>
#include <unistd.h>

void secret_wipe(void *p, size_t n)
{
  if (n) explicit_bzero(p, n);
}

rc_t secret_alloc(secret_t *ret, size_t n)
{
  size_t page = (size_t)sysconf(_SC_PAGESIZE), mapped;
  if (!size_add(n, page, &mapped)) return rc(RC_NOMEM);
  mapped = mapped / page * page;
  void *p = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return rc(RC_NOMEM);
  /* Best effort: a low RLIMIT_MEMLOCK must not stop the start; the pages are still kept out of dumps. */
  mlock(p, mapped);
  madvise(p, mapped, MADV_DONTDUMP);
  *ret = (secret_t){p, n, mapped};
  return rc(RC_OK);
}

rc_t secret_take(secret_t *ret, void *p, size_t n)
{
  secret_t s;
  rc_t r = secret_alloc(&s, n);
  if (rc_ok(r)) {
    if (n) memcpy(s.p, p, n);
    *ret = s;
  }
  secret_wipe(p, n);
  return r;
}

void secret_fini(secret_t *s)
{
  if (s->p) {
    secret_wipe(s->p, s->mapped);
    munmap(s->p, s->mapped);
  }
  *s = (secret_t){0};
}

bool secret_eq(slice_t a, slice_t b)
{
  if (a.n != b.n) return false;
  volatile uint8_t diff = 0;
  for (size_t i = 0; i < a.n; i++) diff = (uint8_t)(diff | (a.p[i] ^ b.p[i]));
  return diff == 0;
}
