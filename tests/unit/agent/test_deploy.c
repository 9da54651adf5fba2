/*
 * Requests and deployments as the server sees them, and what stays on disk. Server and connector are the test's, the key
 * store is the real one.
 */
#include "agent/deploy.h"
#include "agent/key.h"
#include "agent/request.h"
#include "base/limits.h"
#include "base/log.h"
#include "targets/target.h"
#include "x509/csr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

enum { CALLS_MAX = 8 };

/* --- the server --- */

static struct {
  const char *pem;         /* the certificate that is picked up */
  int pickup_status, csr_status, status_status;
  bool away;
  struct {
    char path[160], body[32 * 1024];
  } calls[CALLS_MAX];
  size_t ncalls;
} server;

/* --- the connector --- */

static struct {
  rc_t outcome;
  deploy_result_t result;
  const char *report;
  char name[64], config[256];
  bool noted;              /* the deployment was on disk while it ran */
  int deployed, recovered;
  rc_t recover;
} connector;

static char root[64];
static dir_t keys = {.fd = -1};
static arena_t *arena;
static const int64_t now_s = 1764036971;

static us_t wall(void *self)
{
  return (us_t){now_s * US_PER_S};
}

static const timesrc_t test_time = {wall, NULL, NULL};

slice_t link_agent_path(const link_t *l, arena_t *a, const char *tail)
{
  return arena_printf(a, "/agents/ag%s", tail);
}

void link_tick(void *link)
{
}

rc_t link_call(link_t *l, http1_method_t method, slice_t path, slice_t body, arena_t *a, http_answer_t *ret, err_t *e)
{
  assert_true(server.ncalls < CALLS_MAX);
  snprintf(server.calls[server.ncalls].path, sizeof server.calls->path, "%.*s", SLICE_ARG(path));
  snprintf(server.calls[server.ncalls++].body, sizeof server.calls->body, "%.*s", SLICE_ARG(body));
  *ret = (http_answer_t){.status = 200, .body = S("{}")};
  if (slice_ends(path, S("/csr"))) {
    if (server.away) return err_set(e, RC_CLOSED, "test", NULL, "no answer");
    *ret = (http_answer_t){.status = server.csr_status, .body = S("no such profile")};
  }
  if (slice_ends(path, S("/status"))) ret->status = server.status_status;
  if (method == HTTP1_GET) {
    buf_t b = buf_on(a, 16 * 1024);
    buf_puts(&b, "{\"certificate_pem\":\"");
    for (const char *p = server.pem ? server.pem : ""; *p; p++)
      if (*p == '\n') buf_puts(&b, "\\n");
      else buf_byte(&b, (uint8_t)*p);
    buf_puts(&b, "\"}");
    *ret = (http_answer_t){.status = server.pickup_status, .body = buf_slice(&b)};
  }
  return rc(RC_OK);
}

static bool note_is_there(const char *job)
{
  char path[160];
  snprintf(path, sizeof path, "%s/+deploying/%s", root, job);
  return access(path, F_OK) == 0;
}

static rc_t check(slice_t config, arena_t *a, err_t *e)
{
  return slice_is(config, "{}") ? err_set(e, RC_INVALID, "test", "cert_path", "is required") : rc(RC_OK);
}

static rc_t deploy(const deploy_context_t *cx, const deploy_job_t *job, deploy_result_t *ret, err_t *e)
{
  connector.deployed++;
  connector.noted = note_is_there("j-1");
  snprintf(connector.name, sizeof connector.name, "%.*s", SLICE_ARG(job->first_dns_name));
  if (connector.report) buf_puts(cx->report, connector.report);
  *ret = connector.result;
  return rc_ok(connector.outcome) ? connector.outcome : err_set(e, connector.outcome.code, "test", NULL, "it went wrong");
}

static rc_t recover(const deploy_context_t *cx, slice_t config, err_t *e)
{
  connector.recovered++;
  snprintf(connector.config, sizeof connector.config, "%.*s", SLICE_ARG(config));
  return connector.recover;
}

static const target_kind_t careful = {.type = "FILES", .check = check, .deploy = deploy, .recover = recover};
static const target_kind_t simple = {.type = "SIMPLE", .check = check, .deploy = deploy};

const target_kind_t *target_find(slice_t type)
{
  return slice_is(type, "FILES") ? &careful : slice_is(type, "SIMPLE") ? &simple : NULL;
}

/* --- set-up --- */

static int gone(void **state)
{
  char command[160];
  dir_close(&keys);
  arena_free(arena);
  arena = NULL;
  snprintf(command, sizeof command, "rm -rf %s", root);
  return system(command);
}

static int fresh(void **state)
{
  memset(&server, 0, sizeof server);
  memset(&connector, 0, sizeof connector);
  server.pickup_status = server.status_status = 200;
  server.csr_status = 202;
  arena = arena_new(16 << 20);
  return arena && rc_ok(dir_private(root, &keys, NULL)) ? 0 : -1;
}

static agent_t agent(void)
{
  return (agent_t){.keys = &keys, .time = &test_time, .arena = arena};
}

/* A certificate of this key, signed by whoever. */
static const char *certificate(const sigkey_t *key, const char *san)
{
  EVP_PKEY *signer = EVP_EC_gen("P-256");
  const unsigned char *p = key_spki(key).p;
  EVP_PKEY *own = d2i_PUBKEY(NULL, &p, (long)key_spki(key).n);
  X509 *x = X509_new();
  X509_set_version(x, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(x), 4711);
  ASN1_TIME_set(X509_getm_notBefore(x), now_s - 86400);
  ASN1_TIME_set(X509_getm_notAfter(x), now_s + 86400);
  X509_set_pubkey(x, own);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)"leaf", -1, -1, 0);
  X509_set_issuer_name(x, X509_get_subject_name(x));
  X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, san);
  X509_add_ext(x, ext, -1);
  X509_EXTENSION_free(ext);
  assert_true(X509_sign(x, signer, EVP_sha256()) > 0);
  BIO *b = BIO_new(BIO_s_mem());
  char *text = NULL;
  assert_int_equal(PEM_write_bio_X509(b, x), 1);
  long n = BIO_get_mem_data(b, &text);
  const char *pem = arena_text(arena, slice_of(text, (size_t)n));
  BIO_free(b);
  X509_free(x);
  EVP_PKEY_free(own);
  EVP_PKEY_free(signer);
  return pem;
}

/* The server has a certificate for the key that was made for this name. */
static void issue(const char *kept_name, const char *san)
{
  KEY_SCOPED sigkey_t *key = NULL;
  assert_true(rc_ok(key_for_job(&keys, S("mc-1"), S("j-0"), slice_str(kept_name), arena, &key, NULL)));
  server.pem = certificate(key, san);
}

static work_item_t item(const char *target_type)
{
  return (work_item_t){.id = S("j-1"), .type = S("Deployment"), .certificate_id = S("mc-1"), .common_name = S("a.test"), .target_id = S("t-1"),
                       .target_type = slice_str(target_type), .target_config = S("{\"cert_path\":\"/x\"}")};
}

static rc_t deployed(const work_item_t *w)
{
  agent_t g = agent();
  err_t e = {0};
  server.ncalls = 0;
  return deploy_run(&g, w, &e);
}

static bool called(size_t i, const char *path, const char *body)
{
  return i < server.ncalls && strcmp(server.calls[i].path, path) == 0 && strstr(server.calls[i].body, body);
}

/* --- deployments --- */

static void test_a_deployment_is_reported_from_start_to_end(void **state)
{
  issue("", "DNS:a.test");
  connector.result = (deploy_result_t){.probed = true, .verified = true, .expected_sha256 = "aa", .actual_sha256 = "aa"};
  work_item_t w = item("FILES");
  assert_true(rc_ok(deployed(&w)));
  assert_int_equal(server.ncalls, 4);
  assert_true(called(0, "/agents/ag/jobs/j-1/status", "{\"status\":\"Running\"}"));
  assert_true(called(1, "/agents/ag/certificates/mc-1", ""));
  assert_true(called(2, "/jobs/j-1/verify", "{\"target_id\":\"t-1\",\"expected_fingerprint\":\"aa\",\"actual_fingerprint\":\"aa\",\"verified\":true,\"error\":\"\"}"));
  assert_true(called(3, "/agents/ag/jobs/j-1/status", "{\"status\":\"Completed\"}"));
  assert_true(connector.noted);
  assert_false(note_is_there("j-1"));
}

/* Only what a handshake showed, and of a target that the server knows by an id. */
static void test_what_was_not_probed_is_not_verified(void **state)
{
  issue("", "DNS:a.test");
  for (int how = 0; how < 3; how++) {
    work_item_t w = item("SIMPLE");
    connector.result.probed = how != 0;
    if (how == 1) w.target_id = (slice_t){0};
    assert_true(rc_ok(deployed(&w)));
    assert_int_equal(server.ncalls, how == 2 ? 4 : 3);
  }
}

/* The connector's report goes to the server, and the note goes unless the old files may still be away. */
static void test_failures_of_the_connector(void **state)
{
  static const struct {
    const char *type, *report;
    int32_t code;
    const char *error;
    bool noted, stays;
  } rows[] = {
    {"FILES", "nginx said no", RC_INVALID, "deployment failed: nginx said no", true, false},
    {"FILES", NULL, RC_INVALID, "deployment failed: it went wrong", true, false},
    {"FILES", "no way back", RC_INTERNAL, "deployment failed: no way back", true, true},
    {"SIMPLE", NULL, RC_INVALID, "deployment failed: it went wrong", false, false},
    {"SIMPLE", NULL, RC_INTERNAL, "deployment failed: it went wrong", false, false},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    (void)gone(NULL);
    assert_int_equal(fresh(NULL), 0);
    issue("", "DNS:a.test");
    connector.outcome = rc(rows[i].code);
    connector.report = rows[i].report;
    connector.result.probed = true;
    work_item_t w = item(rows[i].type);
    assert_true(rc_is(deployed(&w), RC_CONFLICT));
    assert_int_equal(server.ncalls, 4);
    assert_true(called(2, "/jobs/j-1/verify", rows[i].report ? rows[i].report : "\"error\":\"\""));
    assert_true(called(3, "/agents/ag/jobs/j-1/status", "\"status\":\"Failed\""));
    assert_non_null(strstr(server.calls[3].body, rows[i].error));
    assert_int_equal(connector.noted, rows[i].noted);
    assert_int_equal(note_is_there("j-1"), rows[i].stays);
  }
}

/* However much longer it becomes as JSON: a job whose end is not reported stays Running for ever. */
static void test_the_longest_report_arrives(void **state)
{
  static const char bytes[] = {'"', '\x01'};
  for (size_t i = 0; i < sizeof bytes; i++) {
    static char report[LIM_DEPLOY_REPORT];
    (void)gone(NULL);
    assert_int_equal(fresh(NULL), 0);
    issue("", "DNS:a.test");
    memset(report, bytes[i], sizeof report - 1);
    connector.outcome = rc(RC_INVALID);
    connector.report = report;
    connector.result.probed = true;
    work_item_t w = item("FILES");
    assert_true(rc_is(deployed(&w), RC_CONFLICT));
    assert_int_equal(server.ncalls, 4);
    assert_true(called(3, "/agents/ag/jobs/j-1/status", "\"status\":\"Failed\""));
  }
}

/* Nothing is begun, and the reason names what failed. */
static void test_deployments_that_do_not_begin(void **state)
{
  for (int how = 0; how < 6; how++) {
    static const char *const errors[] = {"key path validation failed: ", "connector init failed: ", "target config validation failed: ", "certificate pickup failed: ",
                                         "certificate pickup failed: ",  "key read failed: "};
    (void)gone(NULL);
    assert_int_equal(fresh(NULL), 0);
    issue("", "DNS:a.test");
    work_item_t w = item(how == 1 ? "IIS" : "FILES");
    if (how == 0) w.certificate_id = S("../x");
    if (how == 2) w.target_config = S("{}");
    if (how == 3) server.pickup_status = 404;
    if (how == 4) server.pem = NULL;
    if (how == 5) w.certificate_id = S("mc-2");
    assert_true(rc_is(deployed(&w), RC_CONFLICT));
    assert_non_null(strstr(server.calls[server.ncalls - 1].body, errors[how]));
    assert_int_equal(connector.deployed, 0);
  }
}

static void test_name_to_verify_with(void **state)
{
  static const slice_t ip_and_dns[] = {{(const uint8_t *)"192.0.2.1", 9}, {(const uint8_t *)"s.test", 6}};
  static const struct {
    const char *common_name;
    size_t nsans;
    const char *kept, *san, *name;
  } rows[] = {
    {"a.test", 2, "k.test", "DNS:c.test", "a.test"},
    {"192.0.2.7", 2, "k.test", "DNS:c.test", "s.test"},
    {"My Service", 2, "k.test", "DNS:c.test", "s.test"},
    {"192.0.2.7", 1, "k.test", "DNS:c.test", "k.test"},
    {"", 0, "k.test", "DNS:c.test", "k.test"},
    {"", 0, "", "IP:192.0.2.1,DNS:c.test,DNS:d.test", "c.test"},
    {"", 0, "", "IP:192.0.2.1", ""},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    (void)gone(NULL);
    assert_int_equal(fresh(NULL), 0);
    issue(rows[i].kept, rows[i].san);
    work_item_t w = item("SIMPLE");
    w.common_name = slice_str(rows[i].common_name);
    w.sans = (texts_t){ip_and_dns, rows[i].nsans};
    assert_true(rc_ok(deployed(&w)));
    assert_string_equal(connector.name, rows[i].name);
  }
}

static void test_a_refused_report_changes_nothing(void **state)
{
  issue("", "DNS:a.test");
  server.status_status = 409;
  work_item_t w = item("FILES");
  assert_true(rc_ok(deployed(&w)));
  assert_int_equal(connector.deployed, 1);
}

/* --- what a dead run left --- */

static void put_note(const char *name, const char *text)
{
  dir_t notes = DIR_CLOSED;
  assert_true(rc_ok(dir_private_at(&keys, "+deploying", &notes, NULL)));
  assert_true(rc_ok(file_write(&notes, name, slice_str(text), FILE_PRIVATE, NULL)));
  dir_close(&notes);
}

static void test_notes_are_followed_at_the_start(void **state)
{
  static const struct {
    const char *name, *text;
    int32_t code;          /* of the connector */
    int recovered;
    bool stays;
  } rows[] = {
    {"j-9", "{\"target_type\":\"FILES\",\"target_config\":{\"a\":1}}", RC_OK, 1, false},
    {"j-9", "{\"target_type\":\"FILES\",\"target_config\":{\"a\":1}}", RC_IO, 1, true},
    {"j-9", "{\"target_type\":\"SIMPLE\",\"target_config\":{\"a\":1}}", RC_IO, 0, false}, /* nothing to undo */
    {"j-9", "{\"target_type\":\"IIS\",\"target_config\":{\"a\":1}}", RC_IO, 0, false},
    {"j-9", "{\"target_type\":7}", RC_OK, 0, true},
    {"j-9", "", RC_OK, 0, true},
    {".j-9.tmp", "{\"target_type\":\"FILES\",\"target_config\":{\"a\":1}}", RC_OK, 0, false}, /* half written */
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    agent_t g = agent();
    (void)gone(NULL);
    assert_int_equal(fresh(NULL), 0);
    g.arena = arena;
    put_note(rows[i].name, rows[i].text);
    connector.recover = rc(rows[i].code);
    assert_true(rc_ok(deploy_recover(&g, NULL)));
    assert_int_equal(connector.recovered, rows[i].recovered);
    if (rows[i].recovered) assert_string_equal(connector.config, "{\"a\":1}");
    assert_int_equal(note_is_there(rows[i].name), rows[i].stays);
  }
}

/* --- requests --- */

static rc_t requested(const work_item_t *w)
{
  agent_t g = agent();
  err_t e = {0};
  server.ncalls = 0;
  return request_run(&g, w, &e);
}

static void test_a_request(void **state)
{
  work_item_t w = item("");
  assert_true(rc_ok(requested(&w)));
  assert_int_equal(server.ncalls, 1);
  assert_true(called(0, "/agents/ag/csr", "\"certificate_id\":\"mc-1\""));
  json_doc_t doc;
  slice_t pem;
  csr_t csr;
  assert_true(rc_ok(json_parse(arena, slice_str(server.calls[0].body), &doc, NULL)));
  assert_true(rc_ok(json_get_text(doc.root, "csr_pem", &pem, NULL)));
  assert_true(rc_ok(csr_parse_pem(arena, pem, &csr, NULL)));
  assert_int_equal(csr.names.n, 1);
  assert_true(slice_is(csr.names.v[0].text, "a.test"));
}

static void test_requests_that_fail_the_job(void **state)
{
  static const slice_t no_name[] = {{(const uint8_t *)"not a name", 10}};
  static const char *const errors[] = {"CSR rejected: no such profile", "CSR rejected: no such profile", "CSR submission failed: ", "key path validation failed: ",
                                       "\"empty common name\"",           "\"empty common name\"",           "CSR creation failed: "};
  for (size_t how = 0; how < COUNT_OF(errors); how++) {
    (void)gone(NULL);
    assert_int_equal(fresh(NULL), 0);
    work_item_t w = item("");
    if (how < 2) server.csr_status = how ? 422 : 200;
    server.away = how == 2;
    if (how == 3) w.certificate_id = S("a/b");
    if (how == 4) w.common_name = S("");
    if (how == 5) w.common_name = S(" \t");
    if (how == 6) w.sans = (texts_t){no_name, 1};
    assert_true(rc_is(requested(&w), RC_CONFLICT));
    assert_non_null(strstr(server.calls[server.ncalls - 1].body, errors[how]));
    assert_int_equal(server.ncalls, how < 3 ? 2 : 1);
  }
}

/* A kind that this agent does not know, or a state that is not its turn, is left alone. */
static void test_what_is_done_of_an_item(void **state)
{
  static const struct {
    const char *type, *status;
    size_t calls;
  } rows[] = {{"Issuance", "AwaitingCSR", 1}, {"Renewal", "awaitingcsr", 1}, {"Deployment", "Pending", 3}, {"deployment", "Running", 3}, {"Discovery", "Pending", 0}};
  issue("", "DNS:a.test");
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    agent_t g = agent();
    work_item_t w = item("SIMPLE");
    w.type = slice_str(rows[i].type);
    w.status = slice_str(rows[i].status);
    server.ncalls = 0;
    assert_true(rc_ok(job_run(&g, &w, NULL)));
    assert_int_equal(server.ncalls, rows[i].calls);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, fresh, gone)
    T(test_a_deployment_is_reported_from_start_to_end),
    T(test_what_was_not_probed_is_not_verified),
    T(test_failures_of_the_connector),
    T(test_the_longest_report_arrives),
    T(test_deployments_that_do_not_begin),
    T(test_name_to_verify_with),
    T(test_a_refused_report_changes_nothing),
    T(test_notes_are_followed_at_the_start),
    T(test_a_request),
    T(test_requests_that_fail_the_job),
    T(test_what_is_done_of_an_item),
  };
  log_setup(LOG_ERROR, false);
  snprintf(root, sizeof root, "%s/certctl-deploy-%d", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", (int)getpid());
  return cmocka_run_group_tests(tests, NULL, NULL);
}
