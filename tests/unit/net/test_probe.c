/* What an endpoint serves, and endpoints that do not answer as they should. */
#include "net/probe.h"

#include "base/limits.h"
#include "net/tls.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

static void test_endpoints(void **state)
{
  static const struct {
    const char *text, *host;
    uint16_t port; /* 0: refused */
  } rows[] = {
    {"localhost:443", "localhost", 443}, {"192.0.2.1:1", "192.0.2.1", 1},   {"[2001:db8::1]:65535", "2001:db8::1", 65535},
    {"", "", 0},                         {"localhost", "", 0},              {"localhost:", "", 0},
    {":443", "", 0},                     {"localhost:0", "", 0},            {"localhost:65536", "", 0},
    {"localhost:+1", "", 0},             {"::1:443", "", 0},                {"[localhost]:443", "", 0},
    {"[192.0.2.1]:443", "", 0},          {"a b:443", "", 0},                {"https://a:443", "", 0},
    {"a/b:443", "", 0},                  {"[]:443", "", 0},                 {"a:99999999999999999999", "", 0},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    slice_t host = S("untouched");
    uint16_t port = 7;
    rc_t r = endpoint_parse(slice_str(rows[i].text), &host, &port, NULL);
    if (rc_ok(r) != (rows[i].port != 0)) fail_msg("%s", rows[i].text);
    assert_true(slice_is(host, rows[i].port ? rows[i].host : "untouched"));
    assert_int_equal(port, rows[i].port ? rows[i].port : 7);
  }
}

/* --- a server of one connection --- */

typedef enum manner { SERVE, SILENT, HANG_UP, TALK_HTTP } manner_t;

typedef struct peer {
  int listener;
  uint16_t port;
  manner_t manner;
  tls_server_t *tls;
  pthread_t thread;
} peer_t;

static void serve(peer_t *p, int fd)
{
  tls_t *t = tls_accept(p->tls);
  buf_t plain = buf_heap(1024), out = buf_heap(64 * 1024);
  uint8_t chunk[4096];
  ssize_t n = 1;
  while (t && n > 0) {
    n = read(fd, chunk, sizeof chunk);
    rc_t r = tls_recv(t, slice_of(chunk, n > 0 ? (size_t)n : 0), &plain, &out, NULL);
    if (out.n > 0 && write(fd, out.p, out.n) != (ssize_t)out.n) break;
    buf_reset(&out);
    if (!rc_ok(r) && !rc_is(r, RC_AGAIN)) break;
  }
  tls_free(t);
  buf_fini(&plain);
  buf_fini(&out);
}

static void *peer_main(void *arg)
{
  peer_t *p = arg;
  uint8_t chunk[512];
  int fd = accept(p->listener, NULL, NULL);
  if (p->manner == SERVE) serve(p, fd);
  if (p->manner == SILENT)
    while (read(fd, chunk, sizeof chunk) > 0) continue;
  if (p->manner == TALK_HTTP && write(fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28) == 28)
    while (read(fd, chunk, sizeof chunk) > 0) continue;
  close(fd);
  return NULL;
}

static slice_t bio_text(BIO *b, char *out, size_t cap)
{
  int n = BIO_read(b, out, (int)cap);
  BIO_free(b);
  assert_true(n > 0);
  return slice_of(out, (size_t)n);
}

/* Starts the peer; `der` gets the certificate it shows. */
static void peer_start(peer_t *p, manner_t manner, buf_t *der)
{
  char cert[4096], key[4096];
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t n = sizeof at;
  EVP_PKEY *k = EVP_EC_gen("P-256");
  X509 *x = X509_new();
  X509_set_version(x, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
  X509_gmtime_adj(X509_getm_notBefore(x), -7200); /* has expired: a probe reads, it does not judge */
  X509_gmtime_adj(X509_getm_notAfter(x), -3600);
  X509_set_pubkey(x, k);
  assert_true(X509_sign(x, k, EVP_sha256()) > 0);
  unsigned char *p_der = buf_grow(der, (size_t)i2d_X509(x, NULL));
  i2d_X509(x, &p_der);
  BIO *c = BIO_new(BIO_s_mem()), *b = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(c, x);
  PEM_write_bio_PrivateKey(b, k, NULL, NULL, 0, NULL, NULL);
  *p = (peer_t){.manner = manner, .listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  assert_true(rc_ok(tls_server_new(bio_text(c, cert, sizeof cert), bio_text(b, key, sizeof key), &p->tls, NULL)));
  X509_free(x);
  EVP_PKEY_free(k);
  assert_int_equal(bind(p->listener, (struct sockaddr *)&at, sizeof at), 0);
  assert_int_equal(listen(p->listener, 4), 0);
  assert_int_equal(getsockname(p->listener, (struct sockaddr *)&at, &n), 0);
  p->port = ntohs(at.sin_port);
  assert_int_equal(pthread_create(&p->thread, NULL, peer_main, p), 0);
}

static void peer_stop(peer_t *p)
{
  pthread_join(p->thread, NULL);
  close(p->listener);
  tls_server_free(p->tls);
}

static int ticks;

static void tick(void *self)
{
  ticks++;
}

static probe_spec_t spec_of(const peer_t *p, int64_t ms, const char *sni)
{
  return (probe_spec_t){.host = S("127.0.0.1"), .port = p->port, .sni = slice_str(sni), .deadline_ms = ms, .time = &timesrc_system, .tick = tick};
}

static void test_leaf_as_served(void **state)
{
  static const char *const names[] = {"", "www.example.test"};
  for (size_t i = 0; i < COUNT_OF(names); i++) {
    peer_t p;
    BUF_SCOPED buf_t der = buf_heap(4096), got = buf_heap(LIM_CERT_DER);
    peer_start(&p, SERVE, &der);
    probe_spec_t spec = spec_of(&p, 5000, names[i]);
    err_t e = {0};
    if (!rc_ok(probe_leaf(&spec, &got, &e))) fail_msg("%s %s", e.reason, e.text);
    assert_true(slice_eq(buf_slice(&der), buf_slice(&got)));
    peer_stop(&p);
  }
}

static void test_peers_that_do_not_serve(void **state)
{
  static const struct {
    manner_t manner;
    int32_t code;
  } rows[] = {{SILENT, RC_TIMEOUT}, {HANG_UP, RC_CLOSED}, {TALK_HTTP, RC_CRYPTO}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    peer_t p;
    BUF_SCOPED buf_t der = buf_heap(4096), got = buf_heap(LIM_CERT_DER);
    peer_start(&p, rows[i].manner, &der);
    probe_spec_t spec = spec_of(&p, 1300, "");
    err_t e = {0};
    ticks = 0;
    int64_t start = time_mono_us(&timesrc_system);
    assert_int_equal(probe_leaf(&spec, &got, &e).code, rows[i].code);
    assert_non_null(e.reason);
    assert_int_equal(got.n, 0);
    assert_true(time_mono_us(&timesrc_system) - start < 5000000);
    if (rows[i].manner == SILENT) assert_true(ticks >= 1);
    peer_stop(&p);
  }
}

static void test_nobody_listens(void **state)
{
  peer_t p;
  BUF_SCOPED buf_t der = buf_heap(4096), got = buf_heap(LIM_CERT_DER);
  peer_start(&p, HANG_UP, &der);
  probe_spec_t spec = spec_of(&p, 2000, "");
  assert_false(rc_ok(probe_leaf(&spec, &got, NULL)));
  peer_stop(&p);
  err_t e = {0};
  assert_true(rc_is(probe_leaf(&spec, &got, &e), RC_IO));
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_endpoints),
    cmocka_unit_test(test_leaf_as_served),
    cmocka_unit_test(test_peers_that_do_not_serve),
    cmocka_unit_test(test_nobody_listens),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
