/*
 * Trouble from the field: every certificate, bundle and request of the data set next to the
 * project, with what its index says must come of it. Says so when the data is not there.
 */
#include "base/check.h"
#include "base/mem.h"
#include "wire/pem.h"
#include "x509/cert.h"
#include "x509/csr.h"
#include "finding.h"

#include <jansson.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char *root(void)
{
  static char path[4096];
  const char *source = getenv("CERTCTL_SOURCE_ROOT");
  snprintf(path, sizeof path, "%s/../shared/data/field", source ? source : ".");
  return path;
}

static slice_t load(arena_t *a, const char *file)
{
  char path[8192];
  snprintf(path, sizeof path, "%s/%s", root(), file);
  FILE *f = fopen(path, "rb");
  if (!f) return (slice_t){NULL, 0};
  uint8_t *p = arena_alloc(a, 64 * 1024);
  size_t n = fread(p, 1, 64 * 1024, f);
  fclose(f);
  return slice_of(p, n);
}

static const char *text_at(const json_t *o, const char *key)
{
  const char *s = json_string_value(json_object_get(o, key));
  return s ? s : "";
}

/* What ours makes of each case beyond the count: the problem reported with its line, or the name of the refusal. */
static const struct {
  const char *file, *reason;
  size_t line;
} told[] = {
  {"bundle/utf16.pem", "pem_utf16", 1},
  {"bundle/joined.pem", "pem_joined", 11},
  {"bundle/old_labels.pem", "pem_trusted", 12},
  {"bundle/no_end.pem", "pem_no_end", 12},
  {"cert/serial_padded.der", "der_integer_not_minimal", 0},
  {"cert/trailing_bytes.der", "der_trailing", 0},
  {"csr/label_64.pem", "name_label_long", 0},
  {"csr/underscore.pem", "name_underscore", 0},
  {"csr/wild_middle.pem", "name_wildcard", 0},
  {"csr/bad_punycode.pem", "name_not_ascii", 0},
};

static const char *told_of(const char *file, size_t *ret_line)
{
  for (size_t i = 0; i < COUNT_OF(told); i++)
    if (strcmp(told[i].file, file) == 0) {
      if (ret_line) *ret_line = told[i].line;
      return told[i].reason;
    }
  return NULL;
}

static void check_bundle(arena_t *a, const char *file, slice_t in, const json_t *expect)
{
  pem_file_t f;
  size_t certs = 0, negative = 0, line = 0;
  assert_true(pem_is(in) || strcmp(file, "bundle/utf16.pem") == 0);
  assert_true(rc_ok(pem_parse(a, in, &f, NULL)));
  for (size_t i = 0; i < f.n; i++) {
    cert_t c;
    if (f.blocks[i].kind == PEM_KEY) assert_int_equal(f.blocks[i].der.n, 0);
    if (f.blocks[i].kind != PEM_CERT) continue;
    if (!rc_ok(cert_parse(a, f.blocks[i].der, &c, NULL))) fail_msg("%s: block at line %zu", file, f.blocks[i].line);
    const finding_t *found = cert_finding(&c, "e_serial_number_not_positive");
    negative += found && strcmp(found->text, "negative serial") == 0;
    certs++;
  }
  const json_t *want = json_object_get(expect, "certs");
  if (certs != (want ? (size_t)json_integer_value(want) : 1)) fail_msg("%s: %zu certificates", file, certs);
  assert_int_equal(negative, strcmp(file, "bundle/one_negative.pem") == 0);
  const char *reason = told_of(file, &line);
  assert_int_equal(f.nproblems, reason != NULL);
  if (!reason) return;
  assert_string_equal(f.problems[0].reason, reason);
  assert_int_equal(f.problems[0].line, line);
}

static void check_cert(arena_t *a, const char *file, slice_t in, const json_t *expect)
{
  static const char *const serials[][2] = {
    {"cert/serial_negative.der", "-7fa9484e43cd1a14"}, {"cert/serial_21_bytes.der", "9f7eb0eea1634ff3887946346f21ecbf1c0349d57e"}, {"cert/serial_zero.der", "0"},
  };
  cert_t c;
  err_t e = {0};
  const char *reason = told_of(file, NULL);
  rc_t r = cert_parse(a, in, &c, &e);
  if (reason) {
    assert_false(rc_ok(r));
    assert_string_equal(e.reason, reason);
    return;
  }
  assert_true(rc_ok(r));
  bool seen = false;
  for (size_t i = 0; i < c.nfindings; i++) seen = seen || strcmp(c.findings[i].text, text_at(expect, "finding")) == 0;
  if (!seen) fail_msg("%s: no finding \"%s\"", file, text_at(expect, "finding"));
  for (size_t i = 0; i < COUNT_OF(serials); i++) {
    slice_t text;
    if (strcmp(serials[i][0], file) != 0) continue;
    assert_true(rc_ok(cert_serial_text(a, c.serial, &text)));
    assert_true(slice_is(text, serials[i][1]));
  }
}

static void check_csr(arena_t *a, const char *file, slice_t in, const json_t *expect)
{
  static const struct {
    const char *file, *names; /* asked for, with blanks between */
  } rows[] = {
    {"csr/no_san.pem", "nosan.example.test"},
    {"csr/empty_subject.pem", "empty.example.test"},
    {"csr/trailing_dot.pem", "www.example.test"},
    {"csr/single_label.pem", "intranet localhost"},
    {"csr/good_punycode.pem", "xn--mller-kva.example.test"},
    {"csr/upper_and_dup.pem", "www.example.test"},
  };
  csr_t c;
  err_t e = {0};
  rc_t r = csr_parse_pem(a, in, &c, &e);
  if (strcmp(text_at(expect, "do"), "refuse") == 0) {
    assert_false(rc_ok(r));
    assert_string_equal(e.reason, told_of(file, NULL));
    return;
  }
  if (!rc_ok(r)) fail_msg("%s: %s", file, e.reason);
  const char *name = text_at(expect, "name");
  if (name[0]) {
    assert_int_equal(c.names.n, 1);
    assert_true(slice_is(c.names.v[0].text, name));
    return;
  }
  buf_t got = buf_on(a, 4096);
  for (size_t i = 0; i < c.names.n; i++) {
    if (i) buf_byte(&got, ' ');
    buf_put(&got, c.names.v[i].text);
  }
  for (size_t i = 0; i < COUNT_OF(rows); i++)
    if (strcmp(rows[i].file, file) == 0) {
      if (!slice_is(buf_slice(&got), rows[i].names)) fail_msg("%s: %.*s", file, SLICE_ARG(buf_slice(&got)));
      return;
    }
  fail_msg("%s: a new case without its row here", file);
}

static void test_cases(void **state)
{
  char path[8192];
  snprintf(path, sizeof path, "%s/index.json", root());
  json_t *index = json_load_file(path, 0, NULL), *one;
  if (!index) {
    print_message("the data of the field cases is not here: cases 16, 20, 23 and 27 are not run\n");
    skip();
  }
  size_t i, seen = 0;
  json_array_foreach(index, i, one) {
    ARENA_SCOPED arena_t *a = arena_new(1 << 20);
    const char *file = text_at(one, "file"), *kind = text_at(one, "kind");
    slice_t in = load(a, file);
    if (!in.n) fail_msg("%s cannot be read", file);
    const json_t *expect = json_object_get(one, "expect");
    if (strcmp(kind, "pem") == 0) check_bundle(a, file, in, expect);
    else if (strcmp(kind, "cert") == 0) check_cert(a, file, in, expect);
    else if (strcmp(kind, "csr") == 0) check_csr(a, file, in, expect);
    else continue;
    seen++;
  }
  json_decref(index);
  print_message("%zu field cases\n", seen);
  assert_true(seen >= COUNT_OF(told));
}

/* The same names as text, as POST certificates takes them: same rule, same words as in a request. */
static void test_same_words(void **state)
{
  static const struct {
    const char *file, *text;
  } rows[] = {
    {"csr/underscore.pem", "a_b.example.test"},
    {"csr/wild_middle.pem", "a.*.example.test"},
    {"csr/bad_punycode.pem", "xn--\xff.example.test"},
    {"csr/label_64.pem", "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc.example.test"},
  };
  ARENA_SCOPED arena_t *a = arena_new(1 << 20);
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    csr_t c;
    name_t n;
    char said[512], said_of_csr[512];
    err_t e = {0}, of_csr = {0};
    assert_false(rc_ok(names_parse(a, slice_str(rows[i].text), &n, &e)));
    slice_t in = load(a, rows[i].file);
    if (!in.n) skip();
    assert_false(rc_ok(csr_parse_pem(a, in, &c, &of_csr)));
    err_format(&e, said, sizeof said);
    err_format(&of_csr, said_of_csr, sizeof said_of_csr);
    assert_string_equal(said, said_of_csr);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases), cmocka_unit_test(test_same_words)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
