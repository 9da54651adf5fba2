/* What decodes is written back as it was, in each form. */
#include "base/check.h"
#include "wire/base64.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static uint8_t out[8192];
  slice_t in = slice_of(data, size);
  for (base64_form_t form = BASE64_STD; form <= BASE64_WS; form++) {
    size_t n;
    if (!rc_ok(base64_decode(form, in, out, sizeof out, &n))) continue;
    BUF_SCOPED buf_t b = buf_heap(16384);
    base64_encode(&b, form, slice_of(out, n));
    if (form != BASE64_WS) CHECK(slice_eq(buf_slice(&b), in));
  }
  return 0;
}
