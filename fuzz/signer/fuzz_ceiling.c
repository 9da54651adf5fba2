/*
 * Any bytes as a ceiling, and a name against it: read or refused by name; what is read again from its own text is the same.
 */
#include "base/check.h"
#include "signer/ceiling.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  err_t e = {0};
  ceiling_t c, again;
  name_t n;
  ARENA_SCOPED arena_t *a = arena_new(8 * 1024 * 1024);
  slice_t in = slice_of(data, size), text = slice_sub(in, 0, slice_find(in, '\n'));
  slice_t json = text.n < in.n ? slice_sub(in, text.n + 1, in.n) : in;
  if (!rc_ok(ceiling_parse(a, json, &c, &e))) {
    CHECK(e.reason != NULL);
    return 0;
  }
  CHECK(rc_ok(ceiling_parse(a, c.text, &again, &e)));
  CHECK(again.max_lifetime_s == c.max_lifetime_s && again.nkeys == c.nkeys && again.dns.n == c.dns.n);
  if (!rc_ok(names_parse(a, text, &n, NULL))) return 0;
  rc_t r = ceiling_check_names(&c, (names_t){&n, 1}, &e);
  CHECK(rc_ok(r) || rc_is(r, RC_DENIED));
  CHECK(rc_ok(ceiling_check_names(&again, (names_t){&n, 1}, &e)) == rc_ok(r));
  return 0;
}
