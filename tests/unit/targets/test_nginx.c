/*
 * What the nginx target refuses before it touches a file: configurations, and
 * certificates that are not fit to be switched to.
 */
#include "targets/nginx.h"

#include "base/limits.h"
#include "base/log.h"
#include "io/file.h"
#include "targets/pair.h"

#include "../arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define BASE "\"cert_path\":\"/x/c.pem\",\"reload_command\":\"nginx -s reload\",\"validate_command\":\"nginx -t\""

static const struct {
  const char *json;
  const char *field; /* NULL: accepted */
} configs[] = {
  {"{" BASE "}", NULL},
  {"{" BASE ",\"key_path\":\"/x/k.pem\",\"chain_path\":\"/x/h.pem\",\"key_file_mode\":416,\"backup_retention\":-1}", NULL},
  {"{" BASE ",\"post_deploy_verify\":{\"enabled\":true,\"endpoint\":\"[::1]:443\",\"timeout\":10000000000}}", NULL},
  {"{" BASE ",\"post_deploy_verify\":{\"enabled\":false}}", NULL},
  {"{" BASE ",\"post_deploy_verify\":null,\"something_else\":{\"kept\":[1]}}", NULL},
  {"{\"reload_command\":\"x\",\"validate_command\":\"x\"}", "cert_path"},
  {"{\"cert_path\":\"/x/c\",\"validate_command\":\"x\"}", "reload_command"},
  {"{\"cert_path\":\"/x/c\",\"reload_command\":\"x\"}", "validate_command"},
  {"{\"cert_path\":\"c.pem\",\"reload_command\":\"x\",\"validate_command\":\"x\"}", "cert_path"},
  {"{\"cert_path\":\"/\",\"reload_command\":\"x\",\"validate_command\":\"x\"}", "cert_path"},
  {"{" BASE ",\"key_path\":\"k.pem\"}", "key_path"},
  {"{" BASE ",\"key_path\":\"/x/c.pem\"}", "key_path"},
  {"{" BASE ",\"key_path\":\"/x/k\",\"chain_path\":\"/x/k\"}", "chain_path"},
  {"{" BASE ",\"chain_path\":7}", "chain_path"},
  {"{" BASE ",\"key_file_mode\":420}", "key_file_mode"}, /* 0644 */
  {"{" BASE ",\"key_file_mode\":385}", "key_file_mode"}, /* 0601 */
  {"{" BASE ",\"key_file_mode\":\"0640\"}", "key_file_mode"},
  {"{" BASE ",\"cert_file_mode\":2048}", "cert_file_mode"}, /* setuid */
  {"{" BASE ",\"cert_file_mode\":-1}", "cert_file_mode"},
  {"{" BASE ",\"backup_retention\":-2}", "backup_retention"},
  {"{" BASE ",\"post_deploy_verify_attempts\":11}", "post_deploy_verify_attempts"},
  {"{" BASE ",\"post_deploy_verify\":\"localhost:443\"}", "post_deploy_verify"},
  {"{" BASE ",\"post_deploy_verify\":{\"endpoint\":\"localhost\"}}", "endpoint"},
  {"{" BASE ",\"post_deploy_verify\":{\"endpoint\":\"localhost:0\"}}", "endpoint"},
  {"{" BASE ",\"post_deploy_verify\":{\"endpoint\":\"::1:443\"}}", "endpoint"},
  {"{" BASE ",\"post_deploy_verify\":{\"enabled\":false,\"endpoint\":\"a b:1\"}}", "endpoint"},
  {"{" BASE ",\"post_deploy_verify\":{\"endpoint\":\"h:1\",\"timeout\":61000000000}}", "timeout"},
  {"{\"cert_path\":\"/x/c\",\"reload_command\":\"nginx -s reload; rm x\",\"validate_command\":\"x\"}", "reload_command"},
  {"{\"cert_path\":\"/x/c\",\"reload_command\":\"x\",\"validate_command\":\"sh -c $(x)\"}", "validate_command"},
};

static void test_configurations(void **state)
{
  for (size_t i = 0; i < COUNT_OF(configs); i++) {
    err_t e = {0};
    arena_reset(arena);
    rc_t r = target_nginx.check(slice_str(configs[i].json), arena, &e);
    if (!configs[i].field) {
      if (!rc_ok(r)) fail_msg("%s: %s %s", configs[i].json, e.field, e.text);
      continue;
    }
    if (rc_ok(r) || !e.field || strcmp(e.field, configs[i].field) != 0)
      fail_msg("%s: rc %d field %s", configs[i].json, r.code, e.field ? e.field : "-");
  }
  err_t e = {0};
  assert_false(rc_ok(target_nginx.check(S("[]"), arena, &e)));
  assert_false(rc_ok(target_nginx.check(S("{"), arena, &e)));
  assert_ptr_equal(target_find(S("nginx")), &target_nginx);
  assert_ptr_equal(target_find(S("NGINX")), &target_nginx);
  assert_null(target_find(S("")));
  assert_null(target_find(S("NGINX ")));
}

/* --- certificates --- */

static slice_t bio_text(BIO *b)
{
  char *p = NULL;
  long n = BIO_get_mem_data(b, &p);
  slice_t s = arena_dup(arena, slice_of(p, (size_t)n));
  BIO_free(b);
  return s;
}

static slice_t key_pem(EVP_PKEY *k)
{
  BIO *b = BIO_new(BIO_s_mem());
  assert_int_equal(PEM_write_bio_PrivateKey(b, k, NULL, NULL, 0, NULL, NULL), 1);
  return bio_text(b);
}

static slice_t cert_pem(EVP_PKEY *k, const char *san, time_t from, time_t to)
{
  X509 *x = X509_new();
  X509_set_version(x, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(x), 4711);
  ASN1_TIME_set(X509_getm_notBefore(x), from);
  ASN1_TIME_set(X509_getm_notAfter(x), to);
  X509_set_pubkey(x, k);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)"leaf", -1, -1, 0);
  X509_set_issuer_name(x, X509_get_subject_name(x));
  X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);
  assert_non_null(ext);
  X509_add_ext(x, ext, -1);
  X509_EXTENSION_free(ext);
  assert_true(X509_sign(x, k, EVP_sha256()) > 0);
  BIO *b = BIO_new(BIO_s_mem());
  assert_int_equal(PEM_write_bio_X509(b, x), 1);
  X509_free(x);
  return bio_text(b);
}

enum { NOW = 1764036971, DAY = 86400 };

static void test_certificates(void **state)
{
  static const struct {
    const char *san, *name;
    int64_t from, to;      /* days from now */
    const char *reason;    /* NULL: fit */
  } rows[] = {
    {"DNS:www.example.test", "www.example.test", -1, 1, NULL},
    {"DNS:a.test,DNS:www.example.test", "WWW.Example.test", -1, 1, NULL},
    {"DNS:*.example.test", "www.example.test", -1, 1, NULL},
    {"DNS:*.example.test", "*.example.test", -1, 1, NULL},
    {"IP:192.0.2.1", "192.0.2.1", -1, 1, NULL},
    {"DNS:whatever.test", "", -1, 1, NULL},
    {"DNS:*.example.test", "example.test", -1, 1, "pair_name"},
    {"DNS:*.example.test", "a.b.example.test", -1, 1, "pair_name"},
    {"DNS:www.example.test.evil.test", "www.example.test", -1, 1, "pair_name"},
    {"email:www@example.test", "www.example.test", -1, 1, "pair_name"},
    {"DNS:www.example.test", "www.example.test", 0, 1, NULL}, /* both ends belong to it */
    {"DNS:www.example.test", "www.example.test", -1, 0, NULL},
    {"DNS:www.example.test", "www.example.test", 1, 2, "pair_not_yet"},
    {"DNS:www.example.test", "www.example.test", -2, -1, "pair_expired"},
  };
  EVP_PKEY *k = EVP_EC_gen("P-256");
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    err_t e = {0};
    char sha[65];
    deploy_job_t job = {.leaf_pem = cert_pem(k, rows[i].san, NOW + rows[i].from * DAY, NOW + rows[i].to * DAY),
                        .key_pem = key_pem(k),
                        .first_dns_name = slice_str(rows[i].name)};
    rc_t r = pair_check(&job, (us_t){NOW * US_PER_S}, arena, sha, &e);
    if (rows[i].reason) assert_string_equal(e.reason, rows[i].reason);
    else if (!rc_ok(r)) fail_msg("row %zu: %s %s", i, e.reason, e.text);
    assert_int_equal(strlen(sha), 64);
  }
  EVP_PKEY_free(k);
}

static void test_what_is_no_pair(void **state)
{
  EVP_PKEY *k = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256");
  slice_t leaf = cert_pem(k, "DNS:a.test", NOW - DAY, NOW + DAY);
  slice_t both = arena_printf(arena, "%.*s%.*s", SLICE_ARG(leaf), SLICE_ARG(leaf));
  slice_t with_key = arena_printf(arena, "%.*s%.*s", SLICE_ARG(leaf), SLICE_ARG(key_pem(k)));
  const struct {
    slice_t leaf, chain, key;
    const char *reason;
  } rows[] = {
    {leaf, {0}, key_pem(k), NULL},
    {leaf, both, key_pem(k), NULL},
    {leaf, {0}, key_pem(other), "pair_key_mismatch"},
    {leaf, {0}, S("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), "pair_key"},
    {leaf, {0}, S(""), "pair_key"},
    {S(""), {0}, key_pem(k), "pair_leaf"},
    {S("garbage"), {0}, key_pem(k), "pair_leaf"},
    {S("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"), {0}, key_pem(k), "pair_leaf"},
    {both, {0}, key_pem(k), "pair_leaf"},
    {leaf, with_key, key_pem(k), "pair_chain"}, /* a key must never be served, nor written world-readable */
    {leaf, S("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"), key_pem(k), "pair_chain"},
    {leaf, S("-----BEGIN CERTIFICATE-----\nMAA=\n"), key_pem(k), "pair_chain"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    err_t e = {0};
    char sha[65];
    deploy_job_t job = {.leaf_pem = rows[i].leaf, .chain_pem = rows[i].chain, .key_pem = rows[i].key};
    rc_t r = pair_check(&job, (us_t){NOW * US_PER_S}, arena, sha, &e);
    if (!rows[i].reason) assert_true(rc_ok(r));
    else if (rc_ok(r) || strcmp(e.reason, rows[i].reason) != 0)
      fail_msg("row %zu: %s", i, e.reason ? e.reason : "accepted");
    assert_int_equal(rc_ok(pair_check(&job, (us_t){NOW * US_PER_S}, arena, sha, NULL)), rows[i].reason == NULL);
  }
  EVP_PKEY_free(k);
  EVP_PKEY_free(other);
}

/* --- files --- */

static char root[48];

static void read_back(const char *name, buf_t *out)
{
  char path[96];
  snprintf(path, sizeof path, "%s/%s", root, name);
  buf_reset(out);
  rc_t r = file_read_path(path, 64 * 1024, out, NULL);
  if (!rc_ok(r)) buf_puts(out, "(none)");
}

static us_t fixed_wall(void *self)
{
  return (us_t){NOW * US_PER_S};
}

static int64_t fixed_mono(void *self)
{
  return 0;
}

/* The chain behind the leaf, or in a file of its own; a line break at the end of each, whoever wrote the text. */
static void test_what_is_in_the_files(void **state)
{
  static const timesrc_t fixed = {fixed_wall, fixed_mono, NULL};
  EVP_PKEY *k = EVP_EC_gen("P-256");
  slice_t leaf = cert_pem(k, "DNS:a.test", NOW - DAY, NOW + DAY), key = key_pem(k);
  slice_t with_break = arena_printf(arena, "%.*s%.*s", SLICE_ARG(leaf), SLICE_ARG(leaf));
  EVP_PKEY_free(k);
  for (int own_file = 0; own_file < 2; own_file++) {
    for (size_t cut = 0; cut < 2; cut++) {
      char command[96];
      dir_t d = DIR_CLOSED;
      buf_t have = buf_on(arena, 64 * 1024), report = buf_on(arena, LIM_DEPLOY_REPORT);
      deploy_result_t result = {0};
      err_t e = {0};
      assert_true(rc_ok(dir_private(root, &d, NULL)));
      dir_close(&d);
      slice_t config = arena_printf(arena, "{\"cert_path\":\"%s/c\",\"key_path\":\"%s/k\",%s%s%s\"reload_command\":\"true\",\"validate_command\":\"true\"}",
                                    root, root, own_file ? "\"chain_path\":\"" : "", own_file ? root : "", own_file ? "/h\"," : "");
      deploy_job_t job = {.leaf_pem = slice_sub(leaf, 0, leaf.n - cut), .chain_pem = slice_sub(leaf, 0, leaf.n - cut), .key_pem = key, .config = config};
      deploy_context_t cx = {.arena = arena, .time = &fixed, .report = &report};
      rc_t r = target_nginx.deploy(&cx, &job, &result, &e);
      if (!rc_ok(r)) fail_msg("%.*s", SLICE_ARG(buf_slice(&report)));
      assert_true(result.verify_skipped);
      read_back("c", &have);
      assert_true(slice_eq(buf_slice(&have), own_file ? leaf : with_break));
      read_back("h", &have);
      assert_true(own_file ? slice_eq(buf_slice(&have), leaf) : slice_is(buf_slice(&have), "(none)"));
      read_back("k", &have);
      assert_true(slice_eq(buf_slice(&have), key));
      snprintf(command, sizeof command, "rm -r %s", root);
      assert_int_equal(system(command), 0);
    }
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    T(test_configurations),
    T(test_certificates),
    T(test_what_is_no_pair),
    T(test_what_is_in_the_files),
  };
  log_setup(LOG_ERROR, false);
  snprintf(root, sizeof root, "%s/certctl-nginx-%d", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (int)getpid());
  return cmocka_run_group_tests(tests, NULL, NULL);
}
