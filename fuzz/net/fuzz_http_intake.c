/*
 * The server's reading of one connection: requests one behind the other, head,
 * plan and body, fed at once and in pieces. Both must see the same requests
 * with the same bodies, and both must stop at the same refusal.
 */
#include "net/http_intake.h"

#include "base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SEEN = 64 };

typedef struct trace {
  int n, last;
  size_t body[SEEN];
  uint64_t sum[SEEN];
} trace_t;

/* Bodies up to 100 bytes under /small, none under /none, 4 KiB elsewhere; /refused is not there. */
static void plan(void *self, const http1_head_t *head, http_plan_t *ret)
{
  ret->body_max = slice_is(head->path, "/small") ? 100 : slice_is(head->path, "/none") ? 0 : 4096;
  ret->status = slice_is(head->path, "/refused") ? 404 : 0;
}

static const http_app_t app = {.plan = plan};

static uint64_t sum(slice_t s)
{
  uint64_t h = 1;
  for (size_t i = 0; i < s.n; i++) h = h * 31 + s.p[i];
  return h;
}

static void note(trace_t *t, const http_intake_t *in)
{
  slice_t body = http_intake_body(in);
  CHECK(in->has_head && in->done && body.n <= in->body_max);
  if (t->n < SEEN) {
    t->body[t->n] = body.n;
    t->sum[t->n] = sum(body) ^ sum(in->head.path);
  }
  t->n++;
}

static trace_t drive(slice_t all, size_t step)
{
  http_intake_t in;
  memset(&in, 0, sizeof in);
  http_intake_init(&in);
  trace_t t = {0};
  int status = 0;
  while (all.n && !t.last) {
    slice_t part = slice_sub(all, 0, step);
    size_t n = part.n;
    switch (http_intake_feed(&in, &part, &app, &status)) {
    case HTTP_READY:
      note(&t, &in);
      http_intake_reset(&in);
      break;
    case HTTP_REFUSED:
      CHECK(status >= 400 && status < 600);
      t.last = status;
      break;
    case HTTP_CONTINUE:
      CHECK(in.head.expect_continue && in.body.n == 0);
      break;
    case HTTP_MORE:
      CHECK(part.n == 0);
      break;
    }
    all = slice_sub(all, n - part.n, all.n);
  }
  http_intake_fini(&in);
  return t;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  if (size == 0) return 0;
  slice_t in = slice_of(data + 1, size - 1);
  trace_t a = drive(in, in.n), b = drive(in, 1 + data[0] % 61);
  CHECK(a.n == b.n);
  for (int i = 0; i < a.n && i < SEEN; i++) CHECK(a.body[i] == b.body[i] && a.sum[i] == b.sum[i]);
  /* A head that ends in the future may be refused early in pieces; one that is refused at once is never accepted. */
  if (a.last) CHECK(b.last);
  return 0;
}
