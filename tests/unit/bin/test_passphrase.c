/* Where the signer's passphrase comes from, and how long it may be. */
#include "bin/passphrase.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

static char path[64];

static int gone(void **state)
{
  (void)unlink(path);
  return 0;
}

static void put_file(const char *text, size_t n)
{
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  assert_int_equal(fwrite(text, 1, n, f), n);
  assert_int_equal(fclose(f), 0);
}

static bool reads(const conf_t *c, slice_t want)
{
  SECRET_SCOPED secret_t got = {0};
  return rc_ok(passphrase_read(c, &got, NULL)) && slice_eq(slice_of(got.p, got.n), want);
}

/* The setting, else the file, else the key of the configurations; none is an empty one. */
static void test_the_first_source_that_is_set(void **state)
{
  uint8_t own[] = "own", other[] = "other";
  conf_t c = {0};
  put_file("from file\n", 10);
  assert_true(reads(&c, S("")));
  c.config_encryption_key = (secret_t){.p = other, .n = 5};
  assert_true(reads(&c, S("other")));
  c.ca_passphrase_file = slice_str(path);
  assert_true(reads(&c, S("from file")));
  c.ca_passphrase = (secret_t){.p = own, .n = 3};
  assert_true(reads(&c, S("own")));
}

static void test_line_breaks_at_the_end_of_a_file_do_not_count(void **state)
{
  static const struct {
    const char *text, *passphrase; /* passphrase NULL: refused */
  } rows[] = {{"a", "a"}, {"a\n", "a"}, {"a b\r\n", "a b"}, {"a\n\r\n\n", "a"}, {"a\nb\n", "a\nb"}, {"\na", "\na"}, {" a ", " a "}, {"", NULL}, {"\r\n", NULL}};
  conf_t c = {.ca_passphrase_file = slice_str(path)};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    err_t e = {0};
    SECRET_SCOPED secret_t got = {0};
    put_file(rows[i].text, strlen(rows[i].text));
    if (rows[i].passphrase) {
      assert_true(reads(&c, slice_str(rows[i].passphrase)));
      continue;
    }
    assert_true(rc_is(passphrase_read(&c, &got, &e), RC_INVALID));
    assert_string_equal(e.field, "CERTCTL_CA_PASSPHRASE_FILE");
  }
  (void)unlink(path);
  assert_false(reads(&c, S("")));
}

static void test_longest(void **state)
{
  static uint8_t text[PASSPHRASE_MAX + 1];
  conf_t setting = {0}, file = {.ca_passphrase_file = slice_str(path)};
  memset(text, 'p', sizeof text);
  for (size_t n = PASSPHRASE_MAX; n <= PASSPHRASE_MAX + 1; n++) {
    setting.ca_passphrase = (secret_t){.p = text, .n = n};
    put_file((const char *)text, n);
    assert_int_equal(reads(&setting, slice_of(text, n)), n == PASSPHRASE_MAX);
    assert_int_equal(reads(&file, slice_of(text, n)), n == PASSPHRASE_MAX);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_teardown(test_the_first_source_that_is_set, gone),
    cmocka_unit_test_teardown(test_line_breaks_at_the_end_of_a_file_do_not_count, gone),
    cmocka_unit_test_teardown(test_longest, gone),
  };
  snprintf(path, sizeof path, "/tmp/certctl-passphrase-%d", (int)getpid());
  return cmocka_run_group_tests(tests, NULL, NULL);
}
