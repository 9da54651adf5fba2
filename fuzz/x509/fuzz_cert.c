/* Whatever is read of a certificate lies inside it, its texts are UTF-8, and its TBS reads the same alone. */
#include "base/check.h"
#include "x509/cert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static slice_t whole;

static void inside(slice_t s) { CHECK(s.n == 0 || (s.p >= whole.p && s.p + s.n <= whole.p + whole.n)); }

static void check_dn(arena_t *a, const dn_t *dn)
{
  slice_t text, cn;
  inside(dn->raw);
  CHECK(rc_ok(dn_text(a, dn, &text)) && slice_utf8(text));
  CHECK(rc_ok(dn_cn(a, dn, &cn)) && slice_utf8(cn));
  dn_iter_t it = {0};
  dn_attr_t attr;
  uint32_t n = 0;
  while (dn_next(dn, &it, &attr)) n++;
  CHECK(n == dn->n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  arena_t *a = arena_new(1 << 22);
  cert_t c, tbs;
  err_t e = {0};
  whole = slice_of(data, size);
  CHECK(a != NULL);
  if (!rc_ok(cert_parse(a, whole, &c, &e))) {
    CHECK(e.reason && e.text);
  } else {
    slice_t serial, algorithm;
    inside(c.tbs);
    inside(c.signature);
    inside(c.spki.raw);
    check_dn(a, &c.issuer);
    check_dn(a, &c.subject);
    for (size_t i = 0; i < c.sans.n; i++) {
      inside(c.sans.v[i].bytes);
      CHECK(slice_utf8(c.sans.v[i].text));
    }
    for (size_t i = 0; i < c.exts.n; i++) inside(c.exts.v[i].value);
    CHECK(rc_ok(cert_serial_text(a, c.serial, &serial)) && serial.n > 0);
    CHECK(rc_ok(cert_key_algorithm(a, &c, &algorithm)) && algorithm.n > 0);
    CHECK(rc_ok(cert_parse_tbs(a, c.tbs, &tbs, &e)));
    CHECK(slice_eq(tbs.serial, c.serial) && tbs.sans.n == c.sans.n && tbs.exts.n == c.exts.n);
    CHECK(tbs.nfindings <= c.nfindings);
  }
  arena_free(a);
  return 0;
}
