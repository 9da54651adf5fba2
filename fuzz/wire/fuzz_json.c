/*
 * JSON: whatever is accepted can be written, read again and written to the same
 * bytes; a row read by table writes valid JSON; no budget makes the reader
 * return a part of the text.
 */
#include "base/check.h"
#include "base/limits.h"
#include "wire/json_in.h"
#include "wire/json_out.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

typedef struct row {
  slice_t name, status, config;
  int64_t days;
  bool on;
  us_t at;
  texts_t sans;
} row_t;

static const char *const statuses[] = {"Pending", "Active", NULL};

static const field_t fields[] = {
  FIELD(row_t, name, FT_TEXT, 0, .max = 10),     FIELD(row_t, status, FT_ENUM, 0, .values = statuses),
  FIELD(row_t, config, FT_JSON, 0, .max = 1000), FIELD(row_t, days, FT_INT, 0, .min = 1, .max = 30),
  FIELD(row_t, on, FT_BOOL, 0, ),                FIELD(row_t, at, FT_TIME, 0, ),
  FIELD(row_t, sans, FT_TEXTS, 0, .max = 5),
};

static const resource_t res = {.name = "thing", .fields = fields, .nfields = COUNT_OF(fields)};

static void check_rows(arena_t *a, const json_t *root)
{
  row_t row = {.at = US_NEVER, .days = 1};
  uint64_t present;
  json_doc_t doc;
  BUF_SCOPED buf_t b = buf_heap(8 << 20);
  if (!rc_ok(json_row_read(&res, a, root, &row, &present, NULL))) return;
  jw_t j = jw_on(&b);
  json_row_write(&j, &res, &row, NULL);
  CHECK(rc_ok(json_parse_object(a, buf_slice(&b), &doc, NULL)));
  row_t again = {.at = US_NEVER, .days = 1};
  CHECK(rc_ok(json_row_read(&res, a, doc.root, &again, &present, NULL)));
  CHECK(slice_eq(row.name, again.name) && slice_eq(row.config, again.config) && row.sans.n == again.sans.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
  if (n == 0) return 0;
  size_t budget = data[0] < 128 ? (size_t)data[0] * 16 : 64 << 20;
  slice_t text = slice_of(data + 1, n - 1);
  ARENA_SCOPED arena_t *a = arena_new(budget), *big = arena_new(256 << 20);
  json_doc_t doc, again;
  CHECK(a && big);
  rc_t r = json_parse(a, text, &doc, NULL);
  if (rc_is(r, RC_NOMEM)) return 0;
  CHECK(rc_ok(json_parse(big, text, &again, NULL)) == rc_ok(r));
  if (!rc_ok(r)) return 0;

  BUF_SCOPED buf_t one = buf_heap(64 << 20), two = buf_heap(64 << 20);
  json_emit(doc.root, &one);
  CHECK(rc_ok(buf_rc(&one)) && slice_utf8(buf_slice(&one)));
  CHECK(rc_ok(json_parse(big, buf_slice(&one), &again, NULL)));
  json_emit(again.root, &two);
  CHECK(slice_eq(buf_slice(&one), buf_slice(&two)));
  check_rows(big, doc.root);
  return 0;
}
