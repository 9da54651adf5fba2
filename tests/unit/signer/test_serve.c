#include "fixture.h"

#include "crypto/hash.h"
#include "signer/record.h"
#include "wire/pem.h"

static const char *const one_name[] = {"www.example.com"};
static const slice_t one_text[] = {{(const uint8_t *)"www.example.com", 15}};

static sign_request_t request(fixture_t *f, sigkey_t *key)
{
  return (sign_request_t){.ref = S("job-1"), .issuer = S("iss-local"), .csr_der = fixture_csr(f, key, one_name, 1),
                          .common_name = S("www.example.com"), .names = {one_text, 1}, .lifetime_s = 90 * 86400,
                          .context = S("cert=mc-1")};
}

static cert_t ca_of(fixture_t *f)
{
  err_t e = {0};
  slice_t pem, der;
  cert_t ca;
  must_be_ok(signer_ca_chain(f->client, S("iss-local"), f->arena, &pem, &e), &e);
  must_be_ok(pem_one(f->arena, pem, PEM_CERT, &der, &e), &e);
  must_be_ok(cert_parse(f->arena, der, &ca, &e), &e);
  return ca;
}

static void test_signs_what_the_ca_verifies(void **state)
{
  fixture_t f;
  err_t e = {0};
  sign_answer_t a;
  cert_t leaf;
  char text[2 * SHA256_LEN + 1];
  fixture_start(&f, (slice_t){NULL, 0});
  KEY_SCOPED sigkey_t *key = fixture_key(KEY_P256, 0);
  sign_request_t rq = request(&f, key);
  must_be_ok(signer_sign(f.client, &rq, f.arena, &a, &e), &e);
  assert_false(a.from_record);

  cert_t ca = ca_of(&f);
  key_sigalg_t alg;
  must_be_ok(cert_parse(f.arena, a.der, &leaf, &e), &e);
  must_be_ok(sigalg_from_der(leaf.sig_alg, &alg, &e), &e);
  must_be_ok(key_verify(&ca.spki.parts, alg, leaf.tbs, leaf.signature, &e), &e);
  assert_true(slice_eq(leaf.issuer.raw, ca.subject.raw));
  assert_true(slice_eq(leaf.aki, ca.ski));
  assert_true(slice_eq(leaf.spki.raw, key_spki(key)));
  assert_int_equal(leaf.sans.n, 1);
  assert_true(slice_is(leaf.sans.v[0].bytes, "www.example.com"));
  assert_false(leaf.is_ca);

  sha256_hex(a.der, text);
  assert_true(slice_is(a.fingerprint_hex, text));
  assert_int_equal(a.serial_hex.n, 40);
  hex_encode(leaf.serial, text);
  assert_true(slice_is(a.serial_hex, text));
  assert_true(slice_is(a.key_algorithm, "ECDSA"));
  assert_int_equal(a.key_size, 256);
  assert_int_equal(a.not_after.us, us_add_s(f.now, 90 * 86400).us);
  assert_int_equal(a.not_before.us, us_add_s(f.now, -300).us);
  fixture_stop(&f);
}

static void test_same_ref_returns_the_recorded_bytes_across_restarts(void **state)
{
  fixture_t f;
  err_t e = {0};
  sign_answer_t first, again;
  fixture_start(&f, (slice_t){NULL, 0});
  KEY_SCOPED sigkey_t *key = fixture_key(KEY_P256, 0);
  sign_request_t rq = request(&f, key);
  must_be_ok(signer_sign(f.client, &rq, f.arena, &first, &e), &e);
  f.now = us_add_s(f.now, 3600);
  for (int pass = 0; pass < 2; pass++) {
    must_be_ok(signer_sign(f.client, &rq, f.arena, &again, &e), &e);
    assert_true(again.from_record);
    assert_true(slice_eq(first.der, again.der));
    assert_true(slice_eq(first.serial_hex, again.serial_hex));
    assert_int_equal(first.not_after.us, again.not_after.us);
    fixture_disconnect(&f);
    must_be_ok(fixture_open(&f, (slice_t){NULL, 0}, (slice_t){NULL, 0}, (slice_t){NULL, 0}, &e), &e);
    fixture_connect(&f);
  }
  fixture_stop(&f);
}

static void test_a_used_ref_is_refused_for_anything_else(void **state)
{
  static const slice_t ekus[] = {{(const uint8_t *)"serverAuth", 10}};
  fixture_t f;
  err_t e = {0};
  sign_answer_t a;
  fixture_start(&f, (slice_t){NULL, 0});
  KEY_SCOPED sigkey_t *key = fixture_key(KEY_P256, 0);
  KEY_SCOPED sigkey_t *other = fixture_key(KEY_P256, 0);
  sign_request_t rq = request(&f, key);
  must_be_ok(signer_sign(f.client, &rq, f.arena, &a, &e), &e);
  sign_request_t v[5] = {rq, rq, rq, rq, rq};
  static const slice_t two[] = {{(const uint8_t *)"www.example.com", 15}, {(const uint8_t *)"b.example.com", 13}};
  v[0].csr_der = fixture_csr(&f, other, one_name, 1);
  v[1].lifetime_s -= 1;
  v[2].ekus = (texts_t){ekus, 1};
  v[3].must_staple = true;
  v[4].names = (texts_t){two, 2};
  for (size_t i = 0; i < COUNT_OF(v); i++) {
    e = (err_t){0};
    assert_true(rc_is(signer_sign(f.client, &v[i], f.arena, &a, &e), RC_CONFLICT));
    assert_string_equal(e.reason, "ref_reused");
  }
  fixture_stop(&f);
}

typedef struct worker {
  fixture_t *f;
  slice_t csr;
  sign_answer_t got[12];
  size_t failures, signed_now;
  arena_t *arena;
  pthread_t thread;
} worker_t;

enum { WORKERS = 24, EACH = COUNT_OF(((worker_t *)0)->got) };

/* Every worker asks for the same refs, so of each ref one request signs and all others are answered from the record. */
static void *sign_many(void *self)
{
  worker_t *w = (worker_t *)self;
  for (size_t i = 0; i < EACH; i++) {
    char ref[32];
    err_t e = {0};
    (void)snprintf(ref, sizeof ref, "job-%zu", i);
    sign_request_t rq = {.ref = slice_str(ref), .issuer = S("iss-local"), .csr_der = w->csr, .names = {one_text, 1}, .lifetime_s = 86400};
    if (!rc_ok(signer_sign(w->f->client, &rq, w->arena, &w->got[i], &e))) w->failures++;
    else if (!w->got[i].from_record) w->signed_now++;
  }
  return NULL;
}

static void test_many_callers_one_signature_each_ref(void **state)
{
  fixture_t f;
  worker_t w[WORKERS] = {0};
  size_t signed_now = 0;
  fixture_start(&f, (slice_t){NULL, 0});
  KEY_SCOPED sigkey_t *key = fixture_key(KEY_P256, 0);
  slice_t csr = fixture_csr(&f, key, one_name, 1);
  for (size_t i = 0; i < WORKERS; i++) {
    w[i] = (worker_t){.f = &f, .csr = csr, .arena = arena_new(1024 * 1024)};
    assert_int_equal(pthread_create(&w[i].thread, NULL, sign_many, &w[i]), 0);
  }
  for (size_t i = 0; i < WORKERS; i++) {
    pthread_join(w[i].thread, NULL);
    assert_int_equal(w[i].failures, 0);
    signed_now += w[i].signed_now;
    for (size_t k = 0; k < EACH; k++) assert_true(slice_eq(w[i].got[k].der, w[0].got[k].der));
  }
  assert_int_equal(signed_now, EACH);
  for (size_t i = 0; i < WORKERS; i++) arena_free(w[i].arena);
  fixture_stop(&f);
}

static void test_tail_gives_the_newest_signatures_oldest_first(void **state)
{
  fixture_t f;
  err_t e = {0};
  sign_answer_t a[5];
  record_entry_t *v;
  size_t n;
  fixture_start(&f, (slice_t){NULL, 0});
  KEY_SCOPED sigkey_t *key = fixture_key(KEY_P256, 0);
  for (size_t i = 0; i < COUNT_OF(a); i++) {
    char ref[16];
    (void)snprintf(ref, sizeof ref, "r%zu", i);
    sign_request_t rq = request(&f, key);
    rq.ref = arena_dup(f.arena, slice_str(ref));
    must_be_ok(signer_sign(f.client, &rq, f.arena, &a[i], &e), &e);
    rq.lifetime_s = 0; /* a refusal between them is no signature */
    rq.ref = S("refused");
    assert_false(rc_ok(signer_sign(f.client, &rq, f.arena, &a[i], &e)));
    e = (err_t){0};
  }
  must_be_ok(signer_record_tail(f.client, 3, f.arena, &v, &n, &e), &e);
  assert_int_equal(n, 3);
  assert_true(slice_is(v[0].ref, "r2"));
  assert_true(slice_is(v[2].ref, "r4"));
  assert_true(slice_is(v[2].context, "cert=mc-1"));
  assert_true(slice_is(v[2].issuer, "iss-local"));
  must_be_ok(signer_record_tail(f.client, 5000, f.arena, &v, &n, &e), &e);
  assert_int_equal(n, 5);
  assert_true(slice_is(v[0].ref, "r0"));
  fixture_stop(&f);
}

static void test_callers_learn_that_the_signer_is_gone(void **state)
{
  fixture_t f;
  err_t e = {0};
  sign_answer_t a;
  fixture_start(&f, (slice_t){NULL, 0});
  KEY_SCOPED sigkey_t *key = fixture_key(KEY_P256, 0);
  sign_request_t rq = request(&f, key);
  channel_shut(f.signer_fd);
  for (int i = 0; i < 2; i++) {
    e = (err_t){0};
    assert_true(rc_is(signer_sign(f.client, &rq, f.arena, &a, &e), RC_CLOSED));
    assert_string_equal(e.reason, "signer_gone");
    assert_true(e.retry);
  }
  fixture_stop(&f);
}

/* One caller's arena is full: the line is as good as before. */
static void test_a_reply_that_does_not_fit_the_callers_memory(void **state)
{
  fixture_t f;
  err_t e = {0};
  sign_answer_t a;
  fixture_start(&f, (slice_t){NULL, 0});
  KEY_SCOPED sigkey_t *key = fixture_key(KEY_P256, 0);
  sign_request_t rq = request(&f, key);
  ARENA_SCOPED arena_t *small = arena_new(64);
  assert_true(rc_is(signer_sign(f.client, &rq, small, &a, &e), RC_NOMEM));
  assert_string_equal(e.reason, "signer_client");
  e = (err_t){0};
  must_be_ok(signer_sign(f.client, &rq, f.arena, &a, &e), &e);
  assert_true(a.from_record);
  fixture_stop(&f);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_signs_what_the_ca_verifies),
      cmocka_unit_test(test_same_ref_returns_the_recorded_bytes_across_restarts),
      cmocka_unit_test(test_a_used_ref_is_refused_for_anything_else),
      cmocka_unit_test(test_many_callers_one_signature_each_ref),
      cmocka_unit_test(test_tail_gives_the_newest_signatures_oldest_first),
      cmocka_unit_test(test_callers_learn_that_the_signer_is_gone),
      cmocka_unit_test(test_a_reply_that_does_not_fit_the_callers_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
