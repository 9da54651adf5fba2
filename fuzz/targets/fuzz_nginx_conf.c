/* A target's configuration and its endpoint come from whoever may write targets. */
#include "net/probe.h"
#include "targets/nginx.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
  arena_t *a = arena_new(1 << 20);
  err_t e = {0};
  slice_t host = {0};
  uint16_t port = 0;
  if (!a) return 0;
  if (!rc_ok(target_nginx.check(slice_of(data, n), a, &e)) && !e.reason) abort();
  if (rc_ok(endpoint_parse(slice_of(data, n), &host, &port, NULL)) && (host.n == 0 || port == 0)) abort();
  arena_free(a);
  return 0;
}
