/* Digests, MAC and key derivation against published vectors. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
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

static void streaming_equals_one_shot(void **state)
{
  uint8_t text[1000], once[SHA256_LEN], pieces[SHA256_LEN];
  for (size_t i = 0; i < sizeof text; i++) text[i] = (uint8_t)(i * 7);
  sha256(slice_of(text, sizeof text), once);
  sha256_stream_t *h = NULL;
  assert_true(rc_ok(sha256_new(&h)));
  for (int round = 0; round < 2; round++) { /* the second round proves that ending starts anew */
    for (size_t at = 0, n = 1; at < sizeof text; at += n, n = n * 3 % 97 + 1)
      assert_true(rc_ok(sha256_add(h, slice_sub(slice_of(text, sizeof text), at, n))));
    assert_true(rc_ok(sha256_end(h, pieces)));
    assert_memory_equal(once, pieces, sizeof once);
  }
  sha256_free(h);
  mem_fail_after(0);
  sha256_stream_t *none = NULL;
  assert_true(rc_is(sha256_new(&none), RC_NOMEM));
  mem_fail_after(-1);
  assert_null(none);
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

/* RFC 4231, section 4, cases 1, 2, 3, 4, 6, 7; and the empty key. */
static void macs(void **state)
{
  static const struct {
    const char *key, *data, *mac;
  } v[] = {
    {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "4869205468657265",
     "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    {"4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd",
     "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
    {"0102030405060708090a0b0c0d0e0f10111213141516171819",
     "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd",
     "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
     "54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d2048617368204b6579204669727374",
     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    {"", "", "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"},
  };
  for (size_t i = 0; i < COUNT_OF(v); i++) {
    vec_t key = vec(v[i].key), data = vec(v[i].data);
    uint8_t mac[SHA256_LEN];
    assert_true(rc_ok(hmac_sha256(vec_slice(&key), vec_slice(&data), mac)));
    assert_hex(mac, sizeof mac, v[i].mac);
  }
}

/* RFC 7914, section 11. */
static void pbkdf2(void **state)
{
  uint8_t key[64];
  assert_true(rc_ok(kdf_pbkdf2_sha256(S("passwd"), S("salt"), 1, key, sizeof key)));
  assert_hex(key, sizeof key,
             "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
             "49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783");
  assert_true(rc_ok(kdf_pbkdf2_sha256(S("Password"), S("NaCl"), 80000, key, sizeof key)));
  assert_hex(key, sizeof key,
             "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56"
             "a1d425a1225833549adb841b51c9b3176a272bdebba1d078478f62b397f33c8d");
  assert_true(rc_is(kdf_pbkdf2_sha256(S("p"), S("s"), 0, key, sizeof key), RC_INVALID));
  assert_true(rc_is(kdf_pbkdf2_sha256(S("p"), S("s"), 1, key, 0), RC_INVALID));
}

/* RFC 7914, section 12. */
static void scrypt(void **state)
{
  static const struct {
    const char *pass, *salt;
    unsigned log2_n;
    uint32_t r, p;
    const char *key;
  } v[] = {
    {"", "", 4, 1, 1,
     "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442"
     "fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906"},
    {"password", "NaCl", 10, 8, 16,
     "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
     "2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640"},
    {"pleaseletmein", "SodiumChloride", 14, 8, 1,
     "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
     "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887"},
  };
  uint8_t key[64];
  for (size_t i = 0; i < COUNT_OF(v); i++) {
    slice_t pass = slice_str(v[i].pass), salt = slice_str(v[i].salt);
    assert_true(rc_ok(kdf_scrypt(pass, salt, v[i].log2_n, v[i].r, v[i].p, key, sizeof key)));
    assert_hex(key, sizeof key, v[i].key);
  }
  assert_true(rc_is(kdf_scrypt(S("p"), S("s"), 0, 8, 1, key, sizeof key), RC_INVALID));
  assert_true(rc_is(kdf_scrypt(S("p"), S("s"), 17, 8, 1, key, sizeof key), RC_INVALID)); /* 128 MiB */
  assert_true(rc_is(kdf_scrypt(S("p"), S("s"), 10, 0, 1, key, sizeof key), RC_INVALID));
  assert_true(rc_is(kdf_scrypt(S("p"), S("s"), 10, 8, 17, key, sizeof key), RC_INVALID));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(digests), cmocka_unit_test(streaming_equals_one_shot),
    cmocka_unit_test(threads_have_their_own_contexts), cmocka_unit_test(macs),
    cmocka_unit_test(pbkdf2), cmocka_unit_test(scrypt)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
