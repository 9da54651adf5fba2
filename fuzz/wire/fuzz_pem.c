/* Every block lies where it says, and a file written from the blocks has the same blocks and no problem. */
#include "base/check.h"
#include "wire/pem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  slice_t in = slice_of(data, size);
  arena_t *a = arena_new(1 << 22);
  BUF_SCOPED buf_t b = buf_heap(1 << 22);
  pem_file_t f, again;
  CHECK(a != NULL);
  if (rc_ok(pem_parse(a, in, &f, NULL))) {
    size_t certs = 0;
    for (size_t i = 0; i < f.n; i++) {
      CHECK(f.blocks[i].offset < size && data[f.blocks[i].offset] == '-');
      CHECK(f.blocks[i].kind == PEM_KEY || f.blocks[i].der.n > 0);
      if (f.blocks[i].kind == PEM_CERT) pem_emit(&b, "CERTIFICATE", f.blocks[i].der);
      certs += f.blocks[i].kind == PEM_CERT;
    }
    for (size_t i = 0; i < f.nproblems; i++) CHECK(f.problems[i].offset <= size && f.problems[i].line >= 1);
    CHECK(rc_ok(pem_parse(a, buf_slice(&b), &again, NULL)));
    CHECK(again.n == certs && again.nproblems == 0);
  }
  arena_free(a);
  return 0;
}
