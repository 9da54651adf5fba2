/*
 * CSR in to certificate DER out, no I/O, against its floor in turns within one run (A B A B …, medians
 * of CPU time): the floor verifies one signature and makes one with contexts that are kept, the public
 * keys loaded before, and splices a ready template. Ours parses, proves possession, types and compares
 * names, emits, parses again, lints, signs, wraps. Also each step of ours alone. Exits 1 under the gate.
 */
#include "base/check.h"
#include "crypto/hash.h"
#include "x509/csr.h"
#include "x509/emit.h"
#include "x509/lint.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 7, PER_ROUND = 2000, CSRS = 64, TEMPLATE = 640 };

#define GATE 0.7 /* of the floor's rate: row 9 of the limits the product is held to */
#define OK(expr) CHECK(rc_ok(expr))

static const us_t now = {INT64_C(1795572000) * US_PER_S};

/* One request and, for the floor, its key loaded into a context of the library. */
typedef struct request {
  uint8_t *der;
  size_t n;
  slice_t tbs, sig; /* into der */
  EVP_PKEY_CTX *verify;
} request_t;

static request_t requests[CSRS];
static sigkey_t *ca_key;
static leaf_issuer_t ca;
static EVP_PKEY_CTX *floor_sign;
static EVP_MD *sha;
static EVP_MD_CTX *md;
static arena_t *arena, *setup;

/* ---- making the requests ---- */

static void put_info(buf_t *b, const sigkey_t *key)
{
  size_t info = der_open(b, DER_SEQUENCE);
  der_put_int(b, 0);
  size_t name = der_open(b, DER_SEQUENCE), rdn = der_open(b, DER_SET), pair = der_open(b, DER_SEQUENCE);
  der_put_oid(b, oid_der(OID_CN));
  der_put(b, DER_UTF8, S("www.example.com"));
  der_close(b, pair);
  der_close(b, rdn);
  der_close(b, name);
  buf_put(b, key_spki(key));
  size_t attrs = der_open(b, DER_CTX_CONS(0)), attr = der_open(b, DER_SEQUENCE);
  der_put_oid(b, oid_der(OID_EXTENSION_REQUEST));
  size_t set = der_open(b, DER_SET), exts = der_open(b, DER_SEQUENCE), ext = der_open(b, DER_SEQUENCE);
  der_put_oid(b, oid_der(OID_SUBJECT_ALT_NAME));
  size_t value = der_open(b, DER_OCTETS), names = der_open(b, DER_SEQUENCE);
  der_put(b, DER_CTX(NAME_DNS), S("www.example.com"));
  der_put(b, DER_CTX(NAME_DNS), S("api.example.com"));
  der_close(b, names);
  der_close(b, value);
  der_close(b, ext);
  der_close(b, exts);
  der_close(b, set);
  der_close(b, attr);
  der_close(b, attrs);
  der_close(b, info);
}

static EVP_PKEY *library_key(slice_t point)
{
  uint8_t copy[65];
  char group[] = "P-256";
  memcpy(copy, point.p, sizeof copy);
  OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string("group", group, 0),
                         OSSL_PARAM_construct_octet_string("pub", copy, sizeof copy), OSSL_PARAM_construct_end()};
  EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
  EVP_PKEY *k = NULL;
  CHECK(EVP_PKEY_fromdata_init(c) == 1 && EVP_PKEY_fromdata(c, &k, EVP_PKEY_PUBLIC_KEY, params) == 1);
  EVP_PKEY_CTX_free(c);
  return k;
}

static void make_request(request_t *rq)
{
  sigkey_t *key = NULL;
  uint8_t sig[KEY_SIG_MAX];
  size_t sig_n = 0;
  buf_t info = buf_on(setup, 2048), out = buf_on(setup, 2048);
  OK(key_generate(KEY_P256, 0, &key, NULL));
  put_info(&info, key);
  OK(key_sign(key, buf_slice(&info), sig, &sig_n));
  size_t all = der_open(&out, DER_SEQUENCE);
  buf_put(&out, buf_slice(&info));
  buf_put(&out, sigalg_der(SIG_ECDSA_SHA256));
  der_put_bits(&out, slice_of(sig, sig_n), 0);
  der_close(&out, all);
  OK(buf_rc(&out));
  rq->der = out.p;
  rq->n = out.n;
  csr_t csr;
  OK(csr_parse(setup, buf_slice(&out), &csr, NULL));
  rq->tbs = csr.tbs;
  rq->sig = csr.signature;
  EVP_PKEY *pub = library_key(key_parts(key).point);
  rq->verify = EVP_PKEY_CTX_new_from_pkey(NULL, pub, NULL);
  CHECK(rq->verify && EVP_PKEY_verify_init(rq->verify) == 1);
  EVP_PKEY_free(pub);
  key_free(key);
}

static void make_all(void)
{
  arena = arena_new(1 << 20);
  setup = arena_new(8 << 20);
  CHECK(arena && setup);
  sha = EVP_MD_fetch(NULL, "SHA256", NULL);
  md = EVP_MD_CTX_new();
  OK(key_generate(KEY_P256, 0, &ca_key, NULL));
  EVP_PKEY *own = EVP_EC_gen("P-256");
  floor_sign = EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL);
  CHECK(sha && md && floor_sign && EVP_PKEY_sign_init(floor_sign) == 1);
  EVP_PKEY_free(own);
  for (size_t i = 0; i < CSRS; i++) make_request(&requests[i]);

  uint8_t serial[EMIT_SERIAL];
  emit_serial(&rng_system, serial);
  ca_spec_t spec = {slice_of(serial, sizeof serial), us_add_s(now, -300), us_add_s(now, 3652 * INT64_C(86400)),
                    S("CertCtl Local CA"), 0};
  buf_t tbs = buf_on(setup, LIM_CERT_DER);
  cert_t c;
  OK(ca_tbs_emit(&spec, ca_key, &tbs, NULL));
  OK(lint_tbs(setup, buf_slice(&tbs), LINT_CA, &c, NULL));
  ca = (leaf_issuer_t){.dn = c.subject.raw, .key_id = c.ski, .sigalg = key_sigalg(ca_key)};
}

/* ---- the two paths ---- */

static void digest(slice_t s, uint8_t out[32])
{
  unsigned n = 0;
  CHECK(EVP_DigestInit_ex2(md, sha, NULL) == 1 && EVP_DigestUpdate(md, s.p, s.n) == 1);
  CHECK(EVP_DigestFinal_ex(md, out, &n) == 1);
}

static void floor_issue(const request_t *rq)
{
  static uint8_t template[TEMPLATE];
  uint8_t d[32], der[TEMPLATE + 96];
  size_t sig_n = 80;
  digest(rq->tbs, d);
  CHECK(EVP_PKEY_verify(rq->verify, rq->sig.p, rq->sig.n, d, sizeof d) == 1);
  memcpy(template + 300, rq->der + 60, 91);
  digest(slice_of(template, sizeof template), d);
  memcpy(der, template, sizeof template);
  CHECK(EVP_PKEY_sign(floor_sign, der + TEMPLATE, &sig_n, d, sizeof d) == 1);
}

static const char *const steps[] = {"parse the CSR", "verify its signature", "names of the row", "emit the TBS",
                                    "parse and lint it", "sign and wrap", "fingerprint"};
enum { STEPS = COUNT_OF(steps) };

/* Runs the first `most` steps; more than STEPS is all of them. */
static void issue(const request_t *rq, size_t most)
{
  csr_t csr;
  key_sigalg_t alg;
  names_t names;
  cert_t c;
  uint8_t serial[EMIT_SERIAL], print[SHA256_LEN];
  const slice_t row[] = {S("www.example.com"), S("api.example.com")};
  arena_reset(arena);
  OK(csr_parse(arena, slice_of(rq->der, rq->n), &csr, NULL));
  if (most == 1) return;
  OK(sigalg_from_der(csr.sig_alg, &alg, NULL));
  OK(key_verify(&csr.spki.parts, alg, csr.tbs, csr.signature, NULL));
  if (most == 2) return;
  OK(names_parse_all(arena, row, COUNT_OF(row), "sans", &names, NULL));
  CHECK(names_missing(csr.names, names) == NULL);
  if (most == 3) return;
  buf_t tbs = buf_on(arena, LIM_CERT_DER), der = buf_on(arena, LIM_CERT_DER);
  leaf_life_t life = {now, 90 * 86400, 398 * 86400, us_add_s(now, -300), us_add_s(now, 3652 * INT64_C(86400))};
  leaf_spec_t spec = {.issuer = &ca,
                      .serial = slice_of(serial, sizeof serial),
                      .common_name = S("www.example.com"),
                      .names = names,
                      .spki = csr.spki.raw, .key_kind = csr.spki.parts.kind};
  emit_serial(&rng_system, serial);
  OK(leaf_validity(&life, &spec.not_before, &spec.not_after, NULL));
  OK(leaf_tbs_emit(&spec, &tbs, NULL));
  if (most == 4) return;
  OK(lint_tbs(arena, buf_slice(&tbs), LINT_LEAF, &c, NULL));
  if (most == 5) return;
  OK(cert_sign(buf_slice(&tbs), ca_key, &der));
  if (most == 6) return;
  sha256(buf_slice(&der), print);
}

/* ---- measuring ---- */

static int compare(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *v, size_t n)
{
  qsort(v, n, sizeof *v, compare);
  return v[n / 2];
}

/* CPU microseconds of one operation. */
static double once(size_t most)
{
  clock_t start = clock();
  for (size_t i = 0; i < PER_ROUND; i++) {
    if (most)
      issue(&requests[i % CSRS], most);
    else
      floor_issue(&requests[i % CSRS]);
  }
  return (double)(clock() - start) * 1e6 / CLOCKS_PER_SEC / PER_ROUND;
}

int main(void)
{
  double ours[ROUNDS], bare[ROUNDS], step[STEPS][ROUNDS];
  make_all();
  for (size_t r = 0; r < ROUNDS; r++) {
    bare[r] = once(0);
    ours[r] = once(STEPS);
    for (size_t s = 0; s < STEPS; s++) step[s][r] = once(s + 1);
  }
  double a = median(bare, ROUNDS), b = median(ours, ROUNDS), before = 0;
  printf("issue path  floor %.1f us  ours %.1f us  ratio %.2f  gate %.2f\n", a, b, a / b, GATE);
  for (size_t s = 0; s < STEPS; s++) {
    double m = median(step[s], ROUNDS);
    printf("  %-22s %6.1f us\n", steps[s], m - before);
    before = m;
  }
  return a / b >= GATE ? 0 : 1;
}
