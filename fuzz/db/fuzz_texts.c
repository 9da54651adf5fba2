/* A JSON array of strings from the store: what parses is written and read back equal. */
#include "base/check.h"
#include "db/texts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  ARENA_SCOPED arena_t *a = arena_new(4 * 1024 * 1024);
  texts_t t = {NULL, 0}, again = {NULL, 0};
  CHECK(a != NULL);
  if (!rc_ok(texts_parse(slice_of(data, size), a, &t))) {
    CHECK(!t.v && t.n == 0);
    return 0;
  }
  BUF_SCOPED buf_t b = buf_heap(8 * 1024 * 1024);
  texts_emit(&b, t);
  CHECK(rc_ok(buf_rc(&b)));
  CHECK(rc_ok(texts_parse(buf_slice(&b), a, &again)));
  CHECK(again.n == t.n);
  for (size_t i = 0; i < t.n; i++) CHECK(slice_eq(t.v[i], again.v[i]) && slice_utf8(t.v[i]));
  return 0;
}
