/* A name that is accepted is ASCII or an address, and stays what it is when parsed again. */
#include "base/check.h"
#include "x509/names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static const name_kind_t kinds[] = {NAME_EMAIL, NAME_DNS, NAME_URI, NAME_IP};
  arena_t *a = arena_new(1 << 20);
  slice_t in = slice_of(data, size);
  name_t n, again;
  err_t e = {0};
  CHECK(a != NULL);
  if (rc_ok(names_parse(a, in, &n, &e))) {
    for (size_t i = 0; i < n.text.n; i++) CHECK(n.text.p[i] > 0x20 && n.text.p[i] < 0x7f);
    CHECK(rc_ok(names_parse(a, n.text, &again, NULL)) && name_eq(&n, &again));
    CHECK(name_covers(&n, &n));
  } else {
    CHECK(e.reason && e.text);
  }
  for (size_t i = 0; i < COUNT_OF(kinds); i++)
    if (rc_ok(names_from_wire(a, kinds[i], in, &n, NULL))) CHECK(rc_ok(names_from_wire(a, n.kind, n.bytes, &again, NULL)) && name_eq(&n, &again));
  arena_free(a);
  return 0;
}
