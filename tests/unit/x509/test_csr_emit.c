/* Requests as OpenSSL reads them: signed, typed names, a subject only where it fits. */
#include "x509/csr_emit.h"

#include "x509/csr.h"
#include "../arena.h"

#include <openssl/x509v3.h>

static names_t names_of(const char *const *texts, size_t n)
{
  slice_t s[LIM_CERT_NAMES];
  names_t names = {0};
  for (size_t i = 0; i < n; i++) s[i] = slice_str(texts[i]);
  assert_true(rc_ok(names_parse_all(arena, s, n, "sans", &names, NULL)));
  return names;
}

static X509_REQ *read_back(slice_t der)
{
  const unsigned char *p = der.p;
  X509_REQ *req = d2i_X509_REQ(NULL, &p, (long)der.n);
  assert_non_null(req);
  assert_ptr_equal(p, der.p + der.n);
  return req;
}

static void sans_are(X509_REQ *req, const char *expect)
{
  STACK_OF(X509_EXTENSION) *exts = X509_REQ_get_extensions(req);
  BIO *b = BIO_new(BIO_s_mem());
  assert_int_equal(sk_X509_EXTENSION_num(exts), 1);
  X509V3_EXT_print(b, sk_X509_EXTENSION_value(exts, 0), 0, 0);
  char *p = NULL;
  long n = BIO_get_mem_data(b, &p);
  if (!slice_is(slice_of(p, (size_t)n), expect)) fail_msg("%.*s", (int)n, p);
  BIO_free(b);
  sk_X509_EXTENSION_pop_free(exts, X509_EXTENSION_free);
}

static void test_request_is_what_was_asked(void **state)
{
  static const char *const texts[] = {"www.example.test", "*.example.test", "192.0.2.1", "2001:db8::1", "a@example.test",
                                      "spiffe://example.test/x"};
  static const key_kind_t kinds[] = {KEY_P256, KEY_P384, KEY_ED25519, KEY_RSA};
  for (size_t i = 0; i < COUNT_OF(kinds); i++) {
    KEY_SCOPED sigkey_t *key = NULL;
    csr_t csr;
    buf_t der = buf_on(arena, LIM_CSR_DER);
    assert_true(rc_ok(key_generate(kinds[i], 2048, &key, NULL)));
    assert_true(rc_ok(csr_emit(key, S("www.example.test"), names_of(texts, COUNT_OF(texts)), &der, NULL)));
    X509_REQ *req = read_back(buf_slice(&der));
    assert_int_equal(X509_REQ_verify(req, X509_REQ_get0_pubkey(req)), 1);
    assert_int_equal(X509_REQ_get_version(req), 0);
    char cn[80];
    assert_int_equal(X509_NAME_get_text_by_NID(X509_REQ_get_subject_name(req), NID_commonName, cn, sizeof cn), 16);
    assert_string_equal(cn, "www.example.test");
    sans_are(req, "DNS:www.example.test, DNS:*.example.test, IP Address:192.0.2.1, IP Address:2001:DB8:0:0:0:0:0:1, "
                  "email:a@example.test, URI:spiffe://example.test/x");
    X509_REQ_free(req);
    assert_true(rc_ok(csr_parse(arena, buf_slice(&der), &csr, NULL)));
  }
}

static void test_subject_and_names_that_are_left_out(void **state)
{
  static const struct {
    size_t cn_n;
    int entries;
  } rows[] = {{0, 0}, {1, 1}, {64, 1}, {65, 0}, {200, 0}};
  static const char *const one[] = {"a.test"};
  char cn[200];
  memset(cn, 'x', sizeof cn);
  KEY_SCOPED sigkey_t *key = NULL;
  assert_true(rc_ok(key_generate(KEY_P256, 0, &key, NULL)));
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    buf_t der = buf_on(arena, LIM_CSR_DER);
    assert_true(rc_ok(csr_emit(key, slice_of(cn, rows[i].cn_n), names_of(one, 1), &der, NULL)));
    X509_REQ *req = read_back(buf_slice(&der));
    assert_int_equal(X509_NAME_entry_count(X509_REQ_get_subject_name(req)), rows[i].entries);
    X509_REQ_free(req);
  }
  buf_t der = buf_on(arena, LIM_CSR_DER);
  assert_true(rc_ok(csr_emit(key, S("a"), (names_t){0}, &der, NULL)));
  X509_REQ *req = read_back(buf_slice(&der));
  assert_int_equal(X509_REQ_get_attr_count(req), 0);
  assert_int_equal(X509_REQ_verify(req, X509_REQ_get0_pubkey(req)), 1);
  X509_REQ_free(req);
}

static void test_what_cannot_be_asked_for(void **state)
{
  KEY_SCOPED sigkey_t *key = NULL;
  err_t e = {0};
  name_t other = {.kind = NAME_DIRECTORY, .bytes = S("x"), .text = S("x")};
  buf_t der = buf_on(arena, LIM_CSR_DER), tight = buf_on(arena, 100);
  assert_true(rc_ok(key_generate(KEY_P256, 0, &key, NULL)));
  assert_true(rc_is(csr_emit(key, S("a"), (names_t){&other, 1}, &der, &e), RC_INVALID));
  assert_int_equal(der.n, 0);
  assert_true(rc_is(csr_emit(key, S("a"), (names_t){0}, &tight, &e), RC_FULL));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    T(test_request_is_what_was_asked),
    T(test_subject_and_names_that_are_left_out),
    T(test_what_cannot_be_asked_for),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
