/* Digests against published vectors. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "crypto/hash.h"
#include "vectors.h"

static void assert_hex(const uint8_t *p, size_t n, const char *hex)
{
  vec_t want = vec(hex);
  assert_int_equal(n, want.n);
  assert_memory_equal(p, want.p, n);
}

/* FIPS 180-4 examples, NIST "SHA256.pdf". */
static void digests(void **state)
{
  static const struct {
    const char *text, *hex;
  } v[] = {
    {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
  };
  for (size_t i = 0; i < COUNT_OF(v); i++) {
    uint8_t d[SHA256_LEN];
    char hex[2 * SHA256_LEN + 1];
    sha256(slice_str(v[i].text), d);
    assert_hex(d, sizeof d, v[i].hex);
    sha256_hex(slice_str(v[i].text), hex);
    assert_string_equal(hex, v[i].hex);
  }
}

static void *digest_in_thread(void *arg)
{
  sha256(S("abc"), arg);
  return NULL;
}

/* A thread's contexts are its own and go with it (the leak checker sees to the second half). */
static void threads_have_their_own_contexts(void **state)
{
  uint8_t d[4][SHA256_LEN];
  pthread_t t[4];
  for (size_t i = 0; i < 4; i++) assert_int_equal(pthread_create(&t[i], NULL, digest_in_thread, d[i]), 0);
  for (size_t i = 0; i < 4; i++) assert_int_equal(pthread_join(t[i], NULL), 0);
  for (size_t i = 0; i < 4; i++)
    assert_hex(d[i], SHA256_LEN, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(digests),
    cmocka_unit_test(threads_have_their_own_contexts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
