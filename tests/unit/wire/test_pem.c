/* PEM as it is found in the field (RFC 7468 and its opposite). */
#include "base/check.h"
#include "wire/pem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define CERT(body) "-----BEGIN CERTIFICATE-----\n" body "\n-----END CERTIFICATE-----\n"
#define ABC "QUJD" /* "ABC" */

/*
 * One row: a text, how many certificates are read of it, and its problems as "reason@line", "!" where a block is lost.
 */
static void test_files(void **state)
{
  static const struct {
    const char *text;
    size_t certs;
    const char *problems;
  } rows[] = {
    {"", 0, ""},
    {"no block here", 0, ""},
    {CERT(ABC), 1, ""},
    {CERT(ABC) CERT(ABC), 2, ""},
    {"\n\n  \n" CERT(ABC), 1, ""},
    {"subject=x\n30 82\n" CERT(ABC) "issuer\n" CERT(ABC) "end", 2, ""},
    {"\xef\xbb\xbf" CERT(ABC), 1, ""},
    {"-----BEGIN CERTIFICATE-----\r\nQU\r\nJD\r\n-----END CERTIFICATE-----\r\n", 1, ""},
    {"-----BEGIN CERTIFICATE-----\rQU\rJD\r-----END CERTIFICATE-----\r", 1, ""},
    {"-----BEGIN CERTIFICATE-----QUJD-----END CERTIFICATE-----", 1, ""},
    {"-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE----------BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n", 2, "pem_joined@3"},
    {"-----BEGIN X509 CERTIFICATE-----\nQUJD\n-----END X509 CERTIFICATE-----\n", 1, ""},
    {"-----BEGIN TRUSTED CERTIFICATE-----\nQUJD\n-----END TRUSTED CERTIFICATE-----\n" CERT(ABC), 1, "pem_trusted@1!"},
    {CERT(ABC) "-----BEGIN CERTIFICATE-----\nQUJD\n", 1, "pem_no_end@4!"},
    {"-----BEGIN CERTIFICATE-----\nQUJD\n" CERT(ABC), 1, "pem_no_end@1!"},
    {"-----BEGIN CERTIFICATE-----\nQUJD\n-----END X-----\n" CERT(ABC), 1, "pem_label@1!"},
    {"-----BEGIN CERTIFICATE\nQUJD\n" CERT(ABC), 1, "pem_begin@1!"},
    {"-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE", 0, "pem_no_end@1!"},
    {CERT("QU?D") CERT(ABC), 1, "pem_base64@1!"},
    {CERT("") CERT(ABC), 1, "pem_base64@1!"},
    {"abc" CERT(ABC), 1, "pem_joined@1"},
    {CERT("Proc-Type: 4\n\nQUJD"), 1, ""},
    {CERT("Proc-Type: 4\r\n\r\nQUJD"), 1, ""},
    {CERT("Proc-Type: 4\r\rQUJD"), 1, ""},
    {CERT("Proc-Type: 4\nDEK-Info: 5\r\n\nQUJD"), 1, ""},
    {CERT("Proc-Type: 4\nQUJD\n"), 0, "pem_base64@1!"},
    {CERT("Proc-Type: 4\r\nQUJD\r\n"), 0, "pem_base64@1!"},
    {"\r\n\r\n" CERT("!"), 0, "pem_base64@3!"},
    {"\r\r" CERT("!"), 0, "pem_base64@3!"},
    {"\xff \n" CERT(ABC), 1, ""},
    {"\xfe \n" CERT(ABC), 1, ""},
    {" \xff\n" CERT(ABC), 1, ""},
    {" \xfe\n" CERT(ABC), 1, ""},
    {"\r\r\n\n" CERT("!"), 0, "pem_base64@4!"},
    {"-----BEGIN EC PRIVATE KEY-----\nnot read\n-----END EC PRIVATE KEY-----\n" CERT(ABC), 1, ""},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    ARENA_SCOPED arena_t *a = arena_new(1 << 16);
    pem_file_t f;
    char problems[256] = "";
    size_t certs = 0;
    assert_true(rc_ok(pem_parse(a, slice_str(rows[i].text), &f, NULL)));
    for (size_t k = 0; k < f.n; k++) {
      certs += f.blocks[k].kind == PEM_CERT;
      if (f.blocks[k].kind == PEM_CERT) assert_true(slice_eq(f.blocks[k].der, S("ABC")));
      if (f.blocks[k].kind == PEM_KEY) assert_int_equal(f.blocks[k].der.n, 0);
      assert_memory_equal(rows[i].text + f.blocks[k].offset, "-----BEGIN", 10);
    }
    for (size_t k = 0; k < f.nproblems; k++) {
      size_t n = strlen(problems);
      snprintf(problems + n, sizeof problems - n, "%s@%zu%s", f.problems[k].reason, f.problems[k].line,
               f.problems[k].lost ? "!" : "");
    }
    if (certs != rows[i].certs || strcmp(problems, rows[i].problems) != 0)
      fail_msg("row %zu: %zu certificates, %s", i, certs, problems);
  }
}

static void test_utf16(void **state)
{
  static const char text[] = CERT(ABC);
  for (int form = 0; form < 4; form++) { /* bit 0: big-endian, bit 1: without mark */
    uint8_t wide[2 * sizeof text];
    size_t n = 0;
    if (!(form & 2)) {
      memcpy(wide, form & 1 ? "\xfe\xff" : "\xff\xfe", 2);
      n = 2;
    }
    for (size_t i = 0; i + 1 < sizeof text; i++) {
      wide[n++] = form & 1 ? 0 : (uint8_t)text[i];
      wide[n++] = form & 1 ? (uint8_t)text[i] : 0;
    }
    ARENA_SCOPED arena_t *a = arena_new(1 << 16);
    pem_file_t f;
    assert_true(rc_ok(pem_parse(a, slice_of(wide, n), &f, NULL)));
    assert_int_equal(f.n, 0);
    assert_int_equal(f.nproblems, 1);
    assert_string_equal(f.problems[0].reason, "pem_utf16");
    assert_true(rc_ok(pem_parse(a, slice_of(wide, 4), &f, NULL)) && f.nproblems == 1);
    assert_true(rc_ok(pem_parse(a, slice_of(wide, 3), &f, NULL)) && f.nproblems == 0);
  }
}

static void test_limits(void **state)
{
  ARENA_SCOPED arena_t *a = arena_new(64 * 1024 * 1024);
  BUF_SCOPED buf_t b = buf_heap(2 * LIM_PEM_FILE);
  pem_file_t f;
  err_t e = {0};
  for (size_t i = 0; i < LIM_PEM_BLOCKS; i++) buf_puts(&b, "-----BEGIN X-----\n");
  assert_true(rc_ok(pem_parse(a, buf_slice(&b), &f, &e)));
  assert_int_equal(f.nproblems, LIM_PEM_BLOCKS);
  buf_puts(&b, "-----BEGIN X-----\n");
  assert_true(rc_is(pem_parse(a, buf_slice(&b), &f, &e), RC_FULL));
  assert_string_equal(e.reason, "pem_blocks");
  (void)buf_grow(&b, LIM_PEM_FILE);
  assert_true(rc_is(pem_parse(a, buf_slice(&b), &f, &e), RC_FULL));
  assert_string_equal(e.reason, "pem_size");
  buf_reset(&b);
  (void)buf_grow(&b, LIM_PEM_FILE);
  memset(b.p, ' ', b.n);
  assert_true(rc_ok(pem_parse(a, buf_slice(&b), &f, &e)));
  arena_t *small = arena_new(16);
  assert_true(rc_is(pem_parse(small, S(CERT(ABC)), &f, &e), RC_NOMEM));
  arena_free(small);
}

static void test_one(void **state)
{
  ARENA_SCOPED arena_t *a = arena_new(1 << 16);
  static const struct {
    const char *text;
    const char *why;
  } rows[] = {
    {CERT(ABC), ""},
    {"text\n" CERT(ABC) "-----BEGIN X-----\nQUJD\n-----END X-----\n", ""},
    {CERT(ABC) CERT(ABC), "pem_many"},
    {"", "pem_missing"},
    {"-----BEGIN X-----\nQUJD\n-----END X-----\n", "pem_missing"},
    {CERT("?"), "pem_base64"},
    {"-----BEGIN CERTIFICATE-----\nQUJD\n", "pem_no_end"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    err_t e = {0};
    slice_t der = {NULL, 0};
    rc_t r = pem_one(a, slice_str(rows[i].text), PEM_CERT, &der, &e);
    assert_true(rc_ok(r) == (rows[i].why[0] == 0));
    assert_string_equal(e.reason ? e.reason : "", rows[i].why);
    assert_true(slice_eq(der, rc_ok(r) ? S("ABC") : S("")));
  }
}

static void test_emitted(void **state)
{
  uint8_t der[100];
  for (size_t i = 0; i < sizeof der; i++) der[i] = (uint8_t)i;
  for (size_t n = 1; n <= sizeof der; n++) {
    ARENA_SCOPED arena_t *a = arena_new(1 << 16);
    BUF_SCOPED buf_t b = buf_heap(1024);
    slice_t back;
    pem_emit(&b, "CERTIFICATE", slice_of(der, n));
    slice_t rest = buf_slice(&b), line;
    while (slice_split(&rest, '\n', &line)) assert_true(line.n <= 64 && (line.n > 0 || !rest.p));
    assert_true(pem_is(buf_slice(&b)));
    assert_true(rc_ok(pem_one(a, buf_slice(&b), PEM_CERT, &back, NULL)));
    assert_true(slice_eq(back, slice_of(der, n)));
  }
  assert_false(pem_is(S("\x30\x03\x02\x01\x01")));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_files), cmocka_unit_test(test_utf16),  cmocka_unit_test(test_limits),
    cmocka_unit_test(test_one),   cmocka_unit_test(test_emitted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
