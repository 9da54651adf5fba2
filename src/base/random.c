#include "base/random.h"

#include "base/check.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/random.h>

static void system_fill(void *self, void *out, size_t n)
{
  uint8_t *p = out;
  while (n) {
    ssize_t k = getrandom(p, n, 0);
    if (k < 0 && errno == EINTR) continue;
    CHECK(k > 0);
    p += k;
    n -= (size_t)k;
  }
}

const rng_t rng_system = {system_fill, NULL};

uint64_t rng_below(const rng_t *r, uint64_t bound)
{
  CHECK(bound > 0);
  uint64_t skip = (0 - bound) % bound, v; /* values below skip would make small results likelier */
  do rng_fill(r, &v, sizeof v);
  while (v < skip);
  return v % bound;
}

/* SplitMix64: a fixed increment and a bit mixer; enough for reproducible tests. */
static void seeded_fill(void *self, void *out, size_t n)
{
  uint64_t *state = self;
  for (uint8_t *p = out; n;) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    size_t k = n < sizeof z ? n : sizeof z;
    memcpy(p, &z, k);
    p += k;
    n -= k;
  }
}

rng_t rng_seeded(uint64_t *state) { return (rng_t){seeded_fill, state}; }

size_t id_new(const char *prefix, int64_t wall_us, char out[ID_MAX])
{
  static _Atomic uint64_t counter;
  uint64_t n = atomic_fetch_add(&counter, 1);
  if (n == 0) {
    uint64_t start = rng_below(&rng_system, 1000000) + 1;
    n = atomic_fetch_add(&counter, start) + start - 1; /* the last of the numbers just taken, all unused */
  }
  int k = snprintf(out, ID_MAX, "%s-%lld-%llu", prefix, (long long)wall_us * 1000, (unsigned long long)n);
  CHECK(k > 0 && k < ID_MAX);
  return (size_t)k;
}

void uuid_new(const rng_t *r, char out[UUID_LEN + 1])
{
  uint8_t b[16];
  char hex[33];
  rng_fill(r, b, sizeof b);
  b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
  b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
  hex_encode(slice_of(b, sizeof b), hex);
  snprintf(out, UUID_LEN + 1, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}
