#include "net/tls.h"

#include "base/limits.h"
#include "base/mem.h"
#include "identity.h"

#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ROOM = 1 << 22 };

static tls_server_t *server;
static err_t err;

static slice_t pem(const char *s) { return slice_str(s); }

static tls_client_t *client(tls_client_options_t o)
{
  tls_client_t *c = NULL;
  assert_int_equal(tls_client_new(&o, &c, &err).code, RC_OK);
  return c;
}

static tls_client_t *trusting(void) { return client((tls_client_options_t){.ca_pem = pem(identity_cert)}); }

/* Both ends of a connection, with what each has read. */
typedef struct pair {
  tls_t *s, *c;
  buf_t to_s, to_c, got_s, got_c;
  rc_t rs, rc_;
} pair_t;

/* Carries bytes until neither side has any; each call hands over in pieces of `step`. */
static void carry(pair_t *p, size_t step)
{
  err = (err_t){0};
  for (bool moved = true; moved;) {
    moved = false;
    size_t n = p->to_s.n < step ? p->to_s.n : step;
    if (n) {
      p->rs = tls_recv(p->s, slice_of(p->to_s.p, n), &p->got_s, &p->to_c, NULL);
      buf_consume(&p->to_s, n);
      moved = true;
    }
    n = p->to_c.n < step ? p->to_c.n : step;
    if (n) {
      p->rc_ = tls_recv(p->c, slice_of(p->to_c.p, n), &p->got_c, &p->to_s, err.reason ? NULL : &err);
      buf_consume(&p->to_c, n);
      moved = true;
    }
  }
}

static pair_t link_up(tls_client_t *c, const char *host, size_t step)
{
  pair_t p = {.s = tls_accept(server), .to_s = buf_heap(ROOM), .to_c = buf_heap(ROOM), .got_s = buf_heap(ROOM), .got_c = buf_heap(ROOM)};
  assert_non_null(p.s);
  assert_int_equal(tls_connect(c, slice_str(host), &p.c, &err).code, RC_OK);
  assert_int_equal(tls_recv(p.c, S(""), &p.got_c, &p.to_s, &err).code, RC_AGAIN);
  carry(&p, step);
  return p;
}

static void cut(pair_t *p)
{
  tls_free(p->s);
  tls_free(p->c);
  buf_fini(&p->to_s);
  buf_fini(&p->to_c);
  buf_fini(&p->got_s);
  buf_fini(&p->got_c);
}

static void test_exchange(void **state)
{
  static const size_t steps[] = {1, 100, 1 << 20};
  for (size_t i = 0; i < COUNT_OF(steps); i++) {
    tls_client_t *c = trusting();
    pair_t p = link_up(c, "localhost", steps[i]);
    assert_true(tls_is_ready(p.s) && tls_is_ready(p.c));
    assert_string_equal(tls_version(p.c), "TLSv1.3");
    assert_int_equal(tls_send(p.c, S("question"), &p.to_s, NULL).code, RC_OK);
    carry(&p, steps[i]);
    assert_true(slice_is(buf_slice(&p.got_s), "question"));
    assert_int_equal(tls_send(p.s, S("answer"), &p.to_c, NULL).code, RC_OK);
    carry(&p, steps[i]);
    assert_true(slice_is(buf_slice(&p.got_c), "answer"));
    tls_close(p.s, &p.to_c);
    carry(&p, steps[i]);
    assert_int_equal(p.rc_.code, RC_CLOSED);
    assert_int_equal(tls_send(p.s, S("late"), &p.to_c, NULL).code, RC_CLOSED);
    cut(&p);
    tls_client_free(c);
  }
}

static void test_peer_is_verified(void **state)
{
  static const struct {
    const char *host, *ca;
    bool ok;
  } rows[] = {
    {"localhost", identity_cert, true}, {"127.0.0.1", identity_cert, true},  {"other.test", identity_cert, false},
    {"127.0.0.2", identity_cert, false}, {"localhost", stranger_cert, false},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    tls_client_t *c = client((tls_client_options_t){.ca_pem = pem(rows[i].ca)});
    pair_t p = link_up(c, rows[i].host, 1 << 20);
    assert_int_equal(tls_is_ready(p.c), rows[i].ok);
    if (!rows[i].ok) {
      assert_int_equal(p.rc_.code, RC_DENIED);
      assert_string_equal(err.reason, "tls_verify");
      assert_int_equal(tls_send(p.c, S("x"), &p.to_s, NULL).code, RC_AGAIN);
      assert_int_equal(p.rs.code, RC_CRYPTO); /* the server got the alert */
    }
    cut(&p);
    tls_client_free(c);
  }
}

static void test_unverified(void **state)
{
  tls_client_t *c = client((tls_client_options_t){.insecure = true});
  pair_t p = link_up(c, "other.test", 1 << 20);
  assert_true(tls_is_ready(p.c));
  cut(&p);
  tls_client_free(c);
  c = client((tls_client_options_t){.probe = true});
  p = link_up(c, "other.test", 1 << 20);
  assert_true(tls_is_ready(p.c));
  buf_t leaf BUF_SCOPED = buf_heap(65536);
  assert_int_equal(tls_peer_der(p.c, &leaf).code, RC_OK);
  assert_true(leaf.n > 300 && leaf.p[0] == 0x30);
  assert_int_equal(tls_peer_der(p.s, &leaf).code, RC_NOTFOUND);
  cut(&p);
  tls_client_free(c);
}

static void test_resumption(void **state)
{
  tls_client_t *c = trusting();
  pair_t p = link_up(c, "localhost", 1 << 20);
  assert_false(tls_was_resumed(p.c));
  cut(&p); /* broken off without goodbye: the ticket stays good */
  p = link_up(c, "localhost", 1 << 20);
  assert_true(tls_was_resumed(p.c) && tls_was_resumed(p.s));
  cut(&p);
  p = link_up(c, "127.0.0.1", 1 << 20); /* another name: the session is not offered */
  assert_false(tls_was_resumed(p.c));
  cut(&p);
  tls_client_free(c);
}

static void test_identity(void **state)
{
  tls_server_t *other = NULL;
  assert_int_equal(tls_server_new(pem(stranger_cert), pem(identity_key), &other, &err).code, RC_INVALID);
  assert_string_equal(err.reason, "tls_key_mismatch");
  assert_int_equal(tls_server_new(S("nothing"), pem(identity_key), &other, &err).code, RC_SYNTAX);
  assert_string_equal(err.reason, "tls_cert");
  assert_int_equal(tls_server_new(pem(identity_cert), pem(identity_cert), &other, &err).code, RC_SYNTAX);
  assert_string_equal(err.reason, "tls_key");
  assert_null(other);
  /* A failed swap leaves what was there, a good one does not disturb running connections or their tickets. */
  tls_client_t *c = trusting();
  pair_t before = link_up(c, "localhost", 1 << 20);
  assert_int_equal(tls_server_identity(server, pem(stranger_cert), pem(identity_key), &err).code, RC_INVALID);
  assert_int_equal(tls_server_identity(server, pem(identity_cert), pem(identity_key), &err).code, RC_OK);
  assert_int_equal(tls_send(before.s, S("still here"), &before.to_c, NULL).code, RC_OK);
  carry(&before, 1 << 20);
  assert_true(slice_is(buf_slice(&before.got_c), "still here"));
  pair_t after = link_up(c, "localhost", 1 << 20);
  assert_true(tls_was_resumed(after.c));
  cut(&before);
  cut(&after);
  tls_client_free(c);
}

static void test_back_pressure(void **state)
{
  tls_client_t *c = trusting();
  pair_t p = link_up(c, "localhost", 1 << 20);
  buf_t big BUF_SCOPED = buf_heap(ROOM), all BUF_SCOPED = buf_heap(ROOM), little BUF_SCOPED = buf_heap(1000);
  for (int i = 0; i < 100000; i++) buf_byte(&big, (uint8_t)(i * 7));
  assert_int_equal(tls_send(p.c, buf_slice(&big), &p.to_s, NULL).code, RC_OK);
  slice_t in = buf_slice(&p.to_s);
  rc_t r = rc(RC_FULL);
  while (rc_is(r, RC_FULL)) {
    r = tls_recv(p.s, in, &little, &p.to_c, NULL);
    in = S("");
    buf_put(&all, buf_slice(&little));
    buf_reset(&little);
  }
  assert_int_equal(r.code, RC_AGAIN);
  assert_true(slice_eq(buf_slice(&all), buf_slice(&big)));
  cut(&p);
  tls_client_free(c);
}

static void test_garbage(void **state)
{
  tls_client_t *c = trusting();
  pair_t p = link_up(c, "localhost", 1 << 20);
  assert_int_equal(tls_recv(p.s, S("\x17\x03\x03\x00\x20 this is not a record of this key"), &p.got_s, &p.to_c, &err).code, RC_CRYPTO);
  assert_int_equal(p.got_s.n, 0);
  assert_true(p.to_c.n > 0); /* the alert */
  assert_int_equal(tls_recv(p.s, S("x"), &p.got_s, &p.to_c, &err).code, RC_CRYPTO);
  cut(&p);
  tls_client_free(c);
}

/* Files of a certificate and a key, and names, as long as may be, and one byte longer. */
static void test_limits(void **state)
{
  enum { MOST = LIM_PEM_FILE };
  uint8_t *text = mem_alloc(MOST + 1);
  assert_non_null(text);
  memset(text, '\n', MOST + 1);
  memcpy(text, identity_cert, strlen(identity_cert));
  tls_server_t *other = NULL;
  assert_int_equal(tls_server_new(slice_of(text, MOST + 1), pem(identity_key), &other, &err).code, RC_FULL);
  assert_int_equal(tls_server_new(slice_of(text, MOST), pem(identity_key), &other, &err).code, RC_OK);
  tls_server_free(other);
  other = NULL;
  memset(text, '\n', MOST + 1);
  memcpy(text, identity_key, strlen(identity_key));
  assert_int_equal(tls_server_new(pem(identity_cert), slice_of(text, MOST + 1), &other, &err).code, RC_FULL);
  assert_int_equal(tls_server_new(pem(identity_cert), slice_of(text, MOST), &other, &err).code, RC_OK);
  tls_server_free(other);
  tls_client_t *c = trusting();
  tls_t *t = NULL;
  for (size_t i = 0; i < 254; i++) text[i] = i % 50 == 49 ? '.' : 'a';
  assert_int_equal(tls_connect(c, slice_of(text, 254), &t, &err).code, RC_INVALID);
  assert_int_equal(tls_connect(c, S(""), &t, &err).code, RC_INVALID);
  assert_int_equal(tls_connect(c, slice_of("a\0b", 3), &t, &err).code, RC_INVALID);
  assert_null(t);
  assert_int_equal(tls_connect(c, slice_of(text, 253), &t, &err).code, RC_OK);
  tls_free(t);
  tls_client_free(c);
  mem_free(text);
}

/* Handshake of a plain OpenSSL client with these settings; true if it gets through. */
static bool foreign(int max_version, const char *alpn)
{
  SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
  SSL *ssl = SSL_new(ctx);
  BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl, in, out);
  SSL_set_connect_state(ssl);
  SSL_set_max_proto_version(ssl, max_version);
  if (alpn) SSL_set_alpn_protos(ssl, (const unsigned char *)alpn, (unsigned)strlen(alpn));
  tls_t *s = tls_accept(server);
  buf_t got BUF_SCOPED = buf_heap(ROOM), to_c BUF_SCOPED = buf_heap(ROOM);
  for (int i = 0; i < 4; i++) {
    char *p;
    (void)SSL_do_handshake(ssl);
    long n = BIO_get_mem_data(out, &p);
    rc_t r = tls_recv(s, slice_of(p, (size_t)n), &got, &to_c, NULL);
    if (!rc_is(r, RC_AGAIN)) assert_int_equal(r.code, RC_CRYPTO);
    (void)BIO_reset(out);
    if (to_c.n) BIO_write(in, to_c.p, (int)to_c.n);
    buf_reset(&to_c);
  }
  bool ok = SSL_is_init_finished(ssl) && tls_is_ready(s);
  tls_free(s);
  SSL_free(ssl);
  SSL_CTX_free(ctx);
  return ok;
}

static void test_foreign_clients(void **state)
{
  assert_true(foreign(TLS1_3_VERSION, NULL));
  assert_false(foreign(TLS1_2_VERSION, NULL));
  assert_true(foreign(TLS1_3_VERSION, "\x02h2\x08http/1.1"));
  assert_false(foreign(TLS1_3_VERSION, "\x02h2"));
  assert_true(foreign(TLS1_3_VERSION, "\x08http/1.1\x02h2"));
  assert_false(foreign(TLS1_3_VERSION, "\x08http/1.0"));
  assert_false(foreign(TLS1_3_VERSION, "\x07http/1.\x01" "1"));
  assert_false(foreign(TLS1_3_VERSION, "\x09http/1.1x"));
}

static int setup(void **state)
{
  return rc_ok(tls_server_new(pem(identity_cert), pem(identity_key), &server, &err)) ? 0 : -1;
}

static int teardown(void **state)
{
  tls_server_free(server);
  return 0;
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_exchange),   cmocka_unit_test(test_peer_is_verified), cmocka_unit_test(test_unverified),
    cmocka_unit_test(test_resumption), cmocka_unit_test(test_identity),         cmocka_unit_test(test_back_pressure),
    cmocka_unit_test(test_garbage),    cmocka_unit_test(test_foreign_clients),  cmocka_unit_test(test_limits),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
