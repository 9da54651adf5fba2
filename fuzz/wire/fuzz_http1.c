/*
 * The HTTP/1.1 codec on any bytes. The first byte chooses request, response or
 * chunked body and the size of the pieces. What is read in pieces must equal
 * what is read at once, and an accepted head must be one that no lenient rule
 * was needed for.
 */
#include "wire/http1.h"

#include "base/check.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static rc_t parse(int kind, slice_t in, size_t *scan, http1_head_t *head, err_t *e)
{
  return kind == 0 ? http1_request(in, scan, head, e) : http1_response(in, scan, HTTP1_GET, head, e);
}

/* Grows the input by `step` bytes at a time, each time in memory of exactly that size. */
static int in_pieces(int kind, slice_t in, size_t step, http1_head_t *head, err_t *e)
{
  size_t scan = 0;
  for (size_t n = step < in.n ? step : in.n;; n = n + step < in.n ? n + step : in.n) {
    uint8_t *copy = malloc(n ? n : 1);
    CHECK(copy != NULL);
    if (n) memcpy(copy, in.p, n);
    *e = (err_t){0};
    int code = parse(kind, slice_of(copy, n), &scan, head, e).code;
    free(copy);
    if (code != RC_AGAIN || n == in.n) return code;
  }
}

static size_t count(const http1_head_t *h, slice_t name)
{
  size_t n = 0;
  for (size_t i = 0; i < h->nfields; i++) n += slice_ieq(h->fields[i].name, name);
  return n;
}

static void check_head(int kind, slice_t in, const http1_head_t *h)
{
  CHECK(h->size <= in.n && h->size <= LIM_HTTP_HEAD && h->nfields <= LIM_HTTP_HEADERS);
  CHECK(slice_ends(slice_sub(in, 0, h->size), S("\r\n\r\n")));
  CHECK(memchr(in.p, 0, h->size) == NULL);
  CHECK(!(h->chunked && (count(h, S("content-length")) || h->version == 10)));
  CHECK(count(h, S("content-length")) <= 1 && count(h, S("host")) <= 1);
  for (size_t i = 0; i + 1 < h->size; i++) CHECK((in.p[i] == '\r') == (in.p[i + 1] == '\n'));
  if (kind == 0) {
    CHECK(h->method != HTTP1_NONE && h->target.n > 0 && h->path.n > 0 && (h->path.p[0] == '/' || slice_is(h->path, "*")));
    CHECK(h->version == 10 || h->host.n > 0);
  }
}

static void fuzz_head(int kind, slice_t in, size_t step)
{
  static http1_head_t once, pieces;
  err_t e1 = {0}, e2 = {0};
  size_t scan = 0;
  int a = parse(kind, in, &scan, &once, &e1).code;
  int b = in_pieces(kind, in, step, &pieces, &e2);
  if (a == RC_OK) {
    CHECK(b == RC_OK && pieces.size == once.size && pieces.nfields == once.nfields && pieces.content_length == once.content_length);
    check_head(kind, in, &once);
  } else {
    CHECK(b != RC_OK); /* in pieces the fault may be found earlier and be another one */
    if (a != RC_AGAIN) CHECK(e1.reason && http1_status(&e1) >= 400 && b != RC_AGAIN);
  }
}

static int decode(slice_t all, size_t step, buf_t *body, size_t *ret_left)
{
  http1_chunks_t c = {0};
  int code = RC_AGAIN;
  while (code == RC_AGAIN && all.n) {
    slice_t in = slice_sub(all, 0, step);
    size_t n = in.n;
    code = http1_chunks_feed(&c, &in, body, NULL).code;
    all = slice_sub(all, n - in.n, all.n);
  }
  *ret_left = all.n;
  return code;
}

static void fuzz_chunks(slice_t in, size_t step)
{
  buf_t a BUF_SCOPED = buf_heap(4096);
  buf_t b BUF_SCOPED = buf_heap(4096);
  size_t left_a, left_b;
  int x = decode(in, in.n ? in.n : 1, &a, &left_a), y = decode(in, step, &b, &left_b);
  CHECK(x == y && slice_eq(buf_slice(&a), buf_slice(&b)));
  if (x == RC_OK) CHECK(left_a == left_b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size == 0) return 0;
  size_t step = 1 + (data[0] >> 2) % 31;
  slice_t in = slice_of(data + 1, size - 1);
  int kind = data[0] & 3;
  if (kind < 2) fuzz_head(kind, in, step);
  else fuzz_chunks(in, step);
  return 0;
}
