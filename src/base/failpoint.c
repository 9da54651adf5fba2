#include "base/failpoint.h"

#include "base/check.h"
#include "base/slice.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

static const char *const names[] = {
#define FP_NAME(name) #name,
  FAILPOINTS(FP_NAME)
#undef FP_NAME
};

static _Atomic int armed = -1;
static _Atomic int64_t left;

bool failpoint_arm(const char *spec)
{
  armed = -1;
  slice_t rest = slice_str(spec), name, nth;
  if (rest.n == 0) return true;
  int64_t n = 1;
  if (!slice_split(&rest, ':', &name)) return false;
  if (slice_split(&rest, 0, &nth) && (!rc_ok(slice_i64(nth, &n)) || n < 1)) return false;
  for (int i = 0; i < FP_COUNT; i++)
    if (slice_is(name, names[i])) {
      left = n;
      armed = i;
      return true;
    }
  return false;
}

const char *failpoint_name(enum failpoint i)
{
  CHECK(i < FP_COUNT);
  return names[i];
}

int failpoint_list(void)
{
  for (int i = 0; i < FP_COUNT; i++) puts(names[i]);
  return 0;
}

void failpoint_pass(enum failpoint i)
{
  if (armed != (int)i || atomic_fetch_sub(&left, 1) != 1) return;
  raise(SIGKILL);
}
