/* Every name of a request is normalised, each once, and the signed bytes lie inside it. */
#include "base/check.h"
#include "x509/csr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  arena_t *a = arena_new(1 << 22);
  csr_t c;
  err_t e = {0};
  CHECK(a != NULL);
  if (!rc_ok(csr_parse(a, slice_of(data, size), &c, &e))) {
    CHECK(e.reason && e.text && e.field);
  } else {
    CHECK(c.tbs.p > data && c.tbs.p + c.tbs.n <= data + size && c.tbs.p[0] == DER_SEQUENCE);
    CHECK(c.spki.usable && !c.spki.fault);
    CHECK(c.names.n <= LIM_CERT_NAMES);
    for (size_t i = 0; i < c.names.n; i++) {
      name_t again;
      CHECK(rc_ok(names_from_wire(a, c.names.v[i].kind, c.names.v[i].bytes, &again, NULL)) && name_eq(&again, &c.names.v[i]));
      for (size_t k = 0; k < i; k++) CHECK(!name_eq(&c.names.v[k], &c.names.v[i]));
    }
  }
  csr_t of_pem;
  if (rc_ok(csr_parse_pem(a, slice_of(data, size), &of_pem, NULL))) CHECK(of_pem.spki.usable);
  arena_free(a);
  return 0;
}
