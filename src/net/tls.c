#include "net/tls.h"

#include "base/check.h"
#include "base/limits.h"
#include "base/mem.h"
#include "base/random.h"
#include "base/secret.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdatomic.h>

enum { TICKET_KEYS = 80, RECORD = 16 * 1024 };

struct tls_server {
  pthread_mutex_t lock; /* guards ctx; nothing else is locked under it */
  SSL_CTX *ctx;
  uint8_t tickets[TICKET_KEYS]; /* outlive an identity, so that resumption does */
};

struct tls_client {
  atomic_int refs; /* the owner and each connection */
  SSL_CTX *ctx;
  bool verify, probe;
  pthread_mutex_t lock; /* guards the cached session */
  SSL_SESSION *session;
  char session_host[LIM_NAME_LEN + 1];
};

struct tls {
  SSL *ssl;
  slice_t in;           /* ciphertext not yet read; borrowed for the call, or kept.p */
  buf_t *out;           /* where ciphertext goes during a call */
  buf_t kept;           /* ciphertext that found no room as plaintext; empty most of the time */
  tls_client_t *client; /* NULL on the server side */
  char *host;
  bool ready, close_sent, failed;
};

static rc_t tls_err(err_t *e, int32_t code, const char *reason, const char *fallback)
{
  const char *text = ERR_reason_error_string(ERR_peek_last_error()); /* static table of the library */
  ERR_clear_error();
  return err_set(e, code, reason, NULL, text ? text : fallback);
}

/* --- bytes in and out without a socket --- */

static int bio_read(BIO *b, char *out, int n)
{
  tls_t *t = BIO_get_data(b);
  BIO_clear_retry_flags(b);
  if (t->in.n == 0) {
    BIO_set_retry_read(b);
    return -1;
  }
  size_t take = t->in.n < (size_t)n ? t->in.n : (size_t)n;
  memcpy(out, t->in.p, take);
  t->in = slice_sub(t->in, take, t->in.n);
  return (int)take;
}

static int bio_write(BIO *b, const char *p, int n)
{
  tls_t *t = BIO_get_data(b);
  BIO_clear_retry_flags(b);
  if (!t->out) return -1;
  buf_put(t->out, slice_of(p, (size_t)n));
  return t->out->code ? -1 : n;
}

static long bio_ctrl(BIO *b, int cmd, long num, void *p)
{
  return cmd == BIO_CTRL_FLUSH ? 1 : 0;
}

static BIO_METHOD *method;
static pthread_once_t method_once = PTHREAD_ONCE_INIT;

static void method_init(void)
{
  method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "slice and buffer");
  if (method && (!BIO_meth_set_read(method, bio_read) || !BIO_meth_set_write(method, bio_write) || !BIO_meth_set_ctrl(method, bio_ctrl))) method = NULL;
}

static tls_t *tls_on(SSL_CTX *ctx)
{
  pthread_once(&method_once, method_init);
  tls_t *t = mem_alloc(sizeof *t);
  BIO *b = method ? BIO_new(method) : NULL;
  SSL *ssl = SSL_new(ctx);
  if (!t || !b || !ssl) {
    mem_free(t);
    BIO_free(b);
    SSL_free(ssl);
    ERR_clear_error();
    return NULL;
  }
  BIO_set_data(b, t);
  BIO_set_init(b, 1);
  SSL_set_bio(ssl, b, b);
  SSL_set_app_data(ssl, t);
  t->ssl = ssl;
  t->kept = buf_heap(LIM_TLS_KEPT);
  return t;
}

/* --- server --- */

/* http/1.1 or nothing; an offer without it is refused (RFC 7301 3.2). */
static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n, const unsigned char *in, unsigned int in_n, void *arg)
{
  for (unsigned int i = 0; i < in_n; i += 1u + in[i]) {
    if (in[i] == 8 && in_n - i > 8 && memcmp(in + i + 1, "http/1.1", 8) == 0) {
      *out = in + i + 1;
      *out_n = 8;
      return SSL_TLSEXT_ERR_OK;
    }
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* No pass phrase is ever asked for: an encrypted key is refused. */
static int no_phrase(char *out, int n, int writing, void *arg) { return -1; }

static rc_t use_chain(SSL_CTX *ctx, slice_t pem, err_t *e)
{
  if (pem.n > LIM_PEM_FILE) return err_limit(e, RC_FULL, "tls_cert", NULL, "TLS certificate file is longer than {limit} bytes", LIM_PEM_FILE);
  BIO *b = BIO_new_mem_buf(pem.p, (int)pem.n);
  if (!b) return rc(RC_NOMEM);
  rc_t r = rc(RC_OK);
  size_t n = 0;
  X509 *x;
  while (rc_ok(r) && (x = PEM_read_bio_X509(b, NULL, no_phrase, NULL)) != NULL) {
    if (n++ == 0) {
      if (SSL_CTX_use_certificate(ctx, x) != 1) r = tls_err(e, RC_INVALID, "tls_cert", "TLS certificate cannot be used");
      X509_free(x);
    } else if (SSL_CTX_add0_chain_cert(ctx, x) != 1) {
      X509_free(x);
      r = tls_err(e, RC_INVALID, "tls_cert", "TLS certificate chain cannot be used");
    }
  }
  BIO_free(b);
  ERR_clear_error(); /* the end of the file is an error to the library */
  if (rc_ok(r) && n == 0) r = err_set(e, RC_SYNTAX, "tls_cert", NULL, "no PEM certificate found");
  return r;
}

/* Algorithm that the DER of a PEM block with this name holds; PKCS#8 names its own, so any will do for it. */
static int key_kind(const char *name)
{
  if (strcmp(name, "RSA PRIVATE KEY") == 0) return NID_rsaEncryption;
  if (strcmp(name, "EC PRIVATE KEY") == 0 || strcmp(name, "PRIVATE KEY") == 0) return NID_X9_62_id_ecPublicKey;
  return NID_undef;
}

static rc_t use_key(SSL_CTX *ctx, slice_t pem, err_t *e)
{
  if (pem.n > LIM_PEM_FILE) return err_limit(e, RC_FULL, "tls_key", NULL, "TLS key file is longer than {limit} bytes", LIM_PEM_FILE);
  BIO *b = BIO_new_mem_buf(pem.p, (int)pem.n);
  if (!b) return rc(RC_NOMEM);
  char *name = NULL, *header = NULL;
  unsigned char *der = NULL;
  long n = 0;
  rc_t r = rc(RC_OK);
  bool found = false;
  while (!found && PEM_read_bio(b, &name, &header, &der, &n) == 1) {
    int kind = header[0] ? NID_undef : key_kind(name); /* a header means encryption (RFC 1421) */
    found = kind != NID_undef;
    if (found && SSL_CTX_use_PrivateKey_ASN1(kind, ctx, der, n) != 1) r = tls_err(e, RC_INVALID, "tls_key", "TLS private key cannot be used");
    secret_wipe(der, (size_t)n);
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(der);
  }
  BIO_free(b);
  ERR_clear_error();
  return found ? r : err_set(e, RC_SYNTAX, "tls_key", NULL, "no unencrypted PEM private key found");
}

/* The key first: a certificate that does not fit then drops it, and only the check at the end has to tell. */
static rc_t use_identity(SSL_CTX *ctx, slice_t cert, slice_t key, err_t *e)
{
  TRY(use_key(ctx, key, e));
  TRY(use_chain(ctx, cert, e));
  bool fits = SSL_CTX_check_private_key(ctx) == 1;
  ERR_clear_error();
  return fits ? rc(RC_OK) : err_set(e, RC_INVALID, "tls_key_mismatch", NULL, "TLS private key does not belong to the certificate");
}

static rc_t server_ctx(tls_server_t *s, slice_t cert, slice_t key, SSL_CTX **ret, err_t *e)
{
  static const unsigned char context[] = "certctl";
  SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
  if (!ctx) return tls_err(e, RC_NOMEM, "tls_init", "TLS library failed");
  SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets alone: no memory per session */
  SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, NULL);
  rc_t r = rc(RC_OK);
  if (SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 || SSL_CTX_set1_groups_list(ctx, "X25519:P-256") != 1 ||
      SSL_CTX_set_num_tickets(ctx, 1) != 1 || SSL_CTX_set_tlsext_ticket_keys(ctx, s->tickets, TICKET_KEYS) != 1 ||
      SSL_CTX_set_session_id_context(ctx, context, sizeof context - 1) != 1) {
    r = tls_err(e, RC_CRYPTO, "tls_init", "TLS library refused its settings");
  }
  if (rc_ok(r)) r = use_identity(ctx, cert, key, e);
  if (!rc_ok(r)) {
    SSL_CTX_free(ctx);
    return r;
  }
  *ret = ctx;
  return r;
}

rc_t tls_server_new(slice_t cert_pem, slice_t key_pem, tls_server_t **ret, err_t *e)
{
  tls_server_t *s = mem_alloc(sizeof *s);
  if (!s) return rc(RC_NOMEM);
  rng_fill(&rng_system, s->tickets, sizeof s->tickets);
  rc_t r = server_ctx(s, cert_pem, key_pem, &s->ctx, e);
  if (!rc_ok(r)) {
    mem_free(s);
    return r;
  }
  pthread_mutex_init(&s->lock, NULL);
  *ret = s;
  return r;
}

void tls_server_free(tls_server_t *s)
{
  if (!s) return;
  SSL_CTX_free(s->ctx);
  pthread_mutex_destroy(&s->lock);
  secret_wipe(s->tickets, sizeof s->tickets);
  mem_free(s);
}

rc_t tls_server_identity(tls_server_t *s, slice_t cert_pem, slice_t key_pem, err_t *e)
{
  SSL_CTX *fresh, *old;
  TRY(server_ctx(s, cert_pem, key_pem, &fresh, e));
  pthread_mutex_lock(&s->lock);
  old = s->ctx;
  s->ctx = fresh;
  pthread_mutex_unlock(&s->lock);
  SSL_CTX_free(old); /* connections made from it hold their own reference */
  return rc(RC_OK);
}

tls_t *tls_accept(tls_server_t *s)
{
  pthread_mutex_lock(&s->lock);
  SSL_CTX *ctx = SSL_CTX_up_ref(s->ctx) == 1 ? s->ctx : NULL;
  pthread_mutex_unlock(&s->lock);
  if (!ctx) return NULL;
  tls_t *t = tls_on(ctx);
  SSL_CTX_free(ctx);
  if (t) SSL_set_accept_state(t->ssl);
  return t;
}

/* --- client --- */

static void client_unref(tls_client_t *c)
{
  if (!c || atomic_fetch_sub(&c->refs, 1) != 1) return;
  SSL_SESSION_free(c->session);
  SSL_CTX_free(c->ctx);
  pthread_mutex_destroy(&c->lock);
  mem_free(c);
}

/* A ticket came: keep the newest. Returns 1 when the session is taken over. */
static int keep_session(SSL *ssl, SSL_SESSION *session)
{
  tls_t *t = SSL_get_app_data(ssl);
  tls_client_t *c = t->client;
  pthread_mutex_lock(&c->lock);
  SSL_SESSION_free(c->session);
  c->session = session;
  memcpy(c->session_host, t->host, strlen(t->host) + 1);
  pthread_mutex_unlock(&c->lock);
  return 1;
}

static rc_t trust_pem(SSL_CTX *ctx, slice_t pem, err_t *e)
{
  if (pem.n > LIM_PEM_FILE) return err_limit(e, RC_FULL, "tls_ca", NULL, "CA file is longer than {limit} bytes", LIM_PEM_FILE);
  X509_STORE *store = SSL_CTX_get_cert_store(ctx);
  BIO *b = BIO_new_mem_buf(pem.p, (int)pem.n);
  if (!b) return rc(RC_NOMEM);
  size_t n = 0;
  X509 *x;
  while ((x = PEM_read_bio_X509(b, NULL, no_phrase, NULL)) != NULL) {
    n += X509_STORE_add_cert(store, x) == 1;
    X509_free(x);
  }
  BIO_free(b);
  ERR_clear_error();
  if (n == 0) return err_set(e, RC_SYNTAX, "tls_ca", NULL, "no PEM certificate found in the CA file");
  X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN); /* an intermediate named as trust is trusted */
  return rc(RC_OK);
}

static rc_t client_setup(tls_client_t *c, const tls_client_options_t *o, err_t *e)
{
  static const unsigned char alpn[] = "\x08http/1.1";
  SSL_CTX *ctx = c->ctx;
  SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(ctx, keep_session);
  if (SSL_CTX_set_min_proto_version(ctx, o->probe ? TLS1_VERSION : TLS1_3_VERSION) != 1 ||
      (!o->probe && SSL_CTX_set1_groups_list(ctx, "X25519:P-256") != 1) ||
      (o->probe && SSL_CTX_set_cipher_list(ctx, "ALL:@SECLEVEL=0") != 1)) {
    return tls_err(e, RC_CRYPTO, "tls_init", "TLS library refused its settings");
  }
  if (!o->probe && SSL_CTX_set_alpn_protos(ctx, alpn, sizeof alpn - 1) != 0) return rc(RC_NOMEM);
  if (!c->verify) return rc(RC_OK);
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
  if (o->ca_pem.n) return trust_pem(ctx, o->ca_pem, e);
  if (SSL_CTX_set_default_verify_paths(ctx) != 1) return tls_err(e, RC_IO, "tls_ca", "system roots cannot be read");
  return rc(RC_OK);
}

rc_t tls_client_new(const tls_client_options_t *o, tls_client_t **ret, err_t *e)
{
  tls_client_t *c = mem_alloc(sizeof *c);
  if (!c) return rc(RC_NOMEM);
  atomic_init(&c->refs, 1);
  pthread_mutex_init(&c->lock, NULL);
  c->probe = o->probe;
  c->verify = !o->insecure && !o->probe;
  c->ctx = SSL_CTX_new(TLS_client_method());
  rc_t r = c->ctx ? client_setup(c, o, e) : tls_err(e, RC_NOMEM, "tls_init", "TLS library failed");
  if (rc_ok(r)) *ret = c;
  else client_unref(c);
  return r;
}

void tls_client_free(tls_client_t *c) { client_unref(c); }

static void resume(tls_client_t *c, tls_t *t)
{
  pthread_mutex_lock(&c->lock);
  if (c->session && strcmp(c->session_host, t->host) == 0 && SSL_SESSION_is_resumable(c->session)) SSL_set_session(t->ssl, c->session);
  pthread_mutex_unlock(&c->lock);
}

/* Whom the certificate must name: an address when the host is one, else the DNS name, which is sent as SNI too. */
static rc_t expect_peer(const tls_client_t *c, tls_t *t, err_t *e)
{
  X509_VERIFY_PARAM *param = SSL_get0_param(t->ssl);
  bool is_ip = X509_VERIFY_PARAM_set1_ip_asc(param, t->host) == 1;
  ERR_clear_error();
  if (is_ip) return rc(RC_OK);
  X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if ((c->verify && X509_VERIFY_PARAM_set1_host(param, t->host, 0) != 1) || SSL_set_tlsext_host_name(t->ssl, t->host) != 1) {
    return tls_err(e, RC_INVALID, "tls_host", "host name cannot be used");
  }
  return rc(RC_OK);
}

rc_t tls_connect(tls_client_t *c, slice_t host, tls_t **ret, err_t *e)
{
  if (host.n == 0 || host.n > LIM_NAME_LEN || slice_find(host, 0) < host.n) return err_set(e, RC_INVALID, "tls_host", NULL, "host name cannot be used");
  tls_t *t = tls_on(c->ctx);
  if (!t) return rc(RC_NOMEM);
  SSL_set_connect_state(t->ssl);
  t->client = c;
  atomic_fetch_add(&c->refs, 1);
  t->host = mem_dup_text(host.p, host.n);
  rc_t r = t->host ? expect_peer(c, t, e) : rc(RC_NOMEM);
  if (!rc_ok(r)) {
    tls_free(t);
    return r;
  }
  resume(c, t);
  *ret = t;
  return r;
}

void tls_free(tls_t *t)
{
  if (!t) return;
  /* A connection that breaks off does not spoil the session: TLS 1.3 tickets stay good (RFC 8446 4.6.1). */
  if (!t->failed) SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  SSL_free(t->ssl);
  client_unref(t->client);
  buf_fini(&t->kept);
  mem_free(t->host);
  mem_free(t);
}

/* --- both sides --- */

/* What a failed step means; the alert, if any, is already in t->out. */
static rc_t step_failed(tls_t *t, int ret, err_t *e)
{
  switch (SSL_get_error(t->ssl, ret)) {
  case SSL_ERROR_WANT_READ:
    return rc(RC_AGAIN);
  case SSL_ERROR_ZERO_RETURN:
    return rc(RC_CLOSED);
  default:
    break;
  }
  t->failed = true;
  if (t->out && t->out->code) {
    ERR_clear_error();
    return err_set(e, t->out->code, "tls_output", NULL, "no room for TLS output");
  }
  long verdict = t->client ? SSL_get_verify_result(t->ssl) : X509_V_OK;
  if (verdict != X509_V_OK && t->client->verify) {
    ERR_clear_error();
    return err_set(e, RC_DENIED, "tls_verify", NULL, X509_verify_cert_error_string(verdict));
  }
  return tls_err(e, RC_CRYPTO, "tls_protocol", "TLS protocol error");
}

static rc_t handshake(tls_t *t, err_t *e)
{
  int r = SSL_do_handshake(t->ssl);
  if (r != 1) return step_failed(t, r, e);
  t->ready = true;
  return rc(RC_OK);
}

/* Decrypts until there is no more input or no more room. */
static rc_t drain(tls_t *t, buf_t *plain, err_t *e)
{
  for (;;) {
    if (t->in.n == 0 && !SSL_has_pending(t->ssl)) return rc(RC_AGAIN);
    size_t room = plain->cap - plain->n;
    if (room == 0) return rc(RC_FULL);
    if (room > RECORD) room = RECORD;
    uint8_t *p = buf_grow(plain, room);
    if (!p) return rc(plain->code);
    int n = SSL_read(t->ssl, p, (int)room);
    plain->n -= room - (size_t)(n > 0 ? n : 0);
    if (n <= 0) return step_failed(t, n, e);
  }
}

rc_t tls_recv(tls_t *t, slice_t cipher, buf_t *plain, buf_t *out, err_t *e)
{
  if (t->failed) return err_set(e, RC_CRYPTO, "tls_protocol", NULL, "connection has failed");
  if (t->kept.n) {
    buf_put(&t->kept, cipher);
    TRY(buf_rc(&t->kept));
    cipher = buf_slice(&t->kept);
  }
  t->in = cipher;
  t->out = out;
  ERR_clear_error();
  rc_t r = t->ready ? rc(RC_OK) : handshake(t, e);
  if (rc_ok(r)) r = drain(t, plain, e);
  t->out = NULL;
  if (t->kept.n) {
    buf_consume(&t->kept, t->kept.n - t->in.n);
    if (t->kept.n == 0) buf_fini(&t->kept);
  } else if (t->in.n) {
    buf_put(&t->kept, t->in);
    if (t->kept.code) r = rc(t->kept.code);
  }
  t->in = (slice_t){NULL, 0};
  return r;
}

rc_t tls_send(tls_t *t, slice_t plain, buf_t *out, err_t *e)
{
  if (!t->ready) return rc(RC_AGAIN);
  if (t->failed || t->close_sent) return err_set(e, RC_CLOSED, "tls_closed", NULL, "connection is closed");
  t->out = out;
  ERR_clear_error();
  rc_t r = rc(RC_OK);
  while (rc_ok(r) && plain.n) {
    size_t put = 0;
    int ok = SSL_write_ex(t->ssl, plain.p, plain.n, &put);
    if (ok == 1) plain = slice_sub(plain, put, plain.n);
    else r = step_failed(t, ok, e);
  }
  t->out = NULL;
  return r;
}

void tls_close(tls_t *t, buf_t *out)
{
  if (!t->ready || t->close_sent || t->failed) return;
  t->close_sent = true;
  t->out = out;
  ERR_clear_error();
  (void)SSL_shutdown(t->ssl);
  ERR_clear_error();
  t->out = NULL;
}

bool tls_is_ready(const tls_t *t) { return t->ready; }

bool tls_was_resumed(const tls_t *t) { return SSL_session_reused(t->ssl) == 1; }

const char *tls_version(const tls_t *t) { return SSL_get_version(t->ssl); }

static rc_t put_der(X509 *x, buf_t *der)
{
  int n = i2d_X509(x, NULL);
  if (n <= 0) return rc(RC_NOMEM);
  uint8_t *p = buf_grow(der, (size_t)n);
  if (!p) return buf_rc(der);
  return i2d_X509(x, &p) == n ? rc(RC_OK) : rc(RC_CRYPTO);
}

rc_t tls_peer_der(const tls_t *t, buf_t *der)
{
  X509 *x = SSL_get0_peer_certificate(t->ssl);
  return x ? put_der(x, der) : rc(RC_NOTFOUND);
}
