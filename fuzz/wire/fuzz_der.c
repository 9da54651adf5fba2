/* What the deep check accepts, a plain walk reads to the end; no input reads outside itself. */
#include "base/check.h"
#include "wire/der.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(der_t *r)
{
  while (der_more(r)) {
    uint8_t tag = der_peek(r);
    if (tag & 0x20) {
      (void)der_enter(r, tag);
      walk(r);
      der_leave(r);
    } else {
      (void)der_any(r, &tag);
    }
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  slice_t in = slice_of(data, size);
  der_t r;
  der_init(&r, in);
  walk(&r);
  bool walked = rc_ok(der_end(&r, NULL)), checked = rc_ok(der_check(in, NULL));
  CHECK(walked || !checked);
  CHECK(r.p <= data + size);

  /* Each typed getter on the same bytes. */
  unsigned unused;
  for (size_t i = 0; i < 6; i++) {
    der_init(&r, in);
    switch (i) {
    case 0: (void)der_integer(&r); break;
    case 1: (void)der_small(&r, 1000); break;
    case 2: (void)der_bool(&r); break;
    case 3: (void)der_bits(&r, &unused); break;
    case 4: (void)der_time(&r, NULL); break;
    default: (void)der_oid(&r); break;
    }
    if (!rc_ok(der_end(&r, NULL))) CHECK(r.reason && r.text);
  }
  return 0;
}
