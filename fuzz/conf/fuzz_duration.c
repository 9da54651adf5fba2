/* conf_duration: any bytes; an accepted text written back in microseconds reads as the same span. */
#include "conf/conf.h"

#include "base/check.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  int64_t us, again;
  if (!rc_ok(conf_duration(slice_of(data, size), &us))) return 0;
  char text[32];
  int n = snprintf(text, sizeof text, "%lldus", (long long)us);
  CHECK(n > 0 && rc_ok(conf_duration(slice_of(text, (size_t)n), &again)) && again == us);
  return 0;
}
