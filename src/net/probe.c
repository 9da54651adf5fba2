#include "net/probe.h"

#include "base/limits.h"
#include "io/sock.h"
#include "net/tls.h"
#include "wire/ip.h"

enum {
  READ_CHUNK = 4096,
  OUT_MAX = 64 * 1024,  /* hello, alerts */
  PLAIN_MAX = 64 * 1024 /* what a talkative server says before we leave */
};

static void tls_free_ptr(tls_t **t)
{
  tls_free(*t);
}

static void client_free_ptr(tls_client_t **c)
{
  tls_client_free(*c);
}

typedef struct talk {
  const sock_patience_t *patience;
  const sock_t *sock;
  tls_t *tls;
  buf_t plain, out;
} talk_t;

static bool on_tick(void *self)
{
  const probe_spec_t *spec = self;
  if (spec->tick) spec->tick(spec->self);
  return true;
}

static rc_t wait_for(const talk_t *t, int what, err_t *e)
{
  rc_t r = sock_wait(t->sock, what, t->patience);
  if (rc_is(r, RC_TIMEOUT)) return err_set(e, RC_TIMEOUT, "probe_timeout", NULL, "no TLS handshake in time");
  return rc_ok(r) ? r : err_set(e, r.code, "probe_closed", NULL, "waiting for the endpoint failed");
}

static rc_t flush(talk_t *t, err_t *e)
{
  while (t->out.n > 0) {
    size_t n = 0;
    rc_t r = sock_write(t->sock, t->out.p, t->out.n, &n);
    if (rc_is(r, RC_AGAIN)) {
      TRY(wait_for(t, SOCK_WRITE, e));
      continue;
    }
    if (!rc_ok(r)) return err_set(e, RC_CLOSED, "probe_closed", NULL, "the endpoint closed the connection");
    buf_consume(&t->out, n);
  }
  return rc(RC_OK);
}

/* Drives the handshake until it is done or failed. */
static rc_t shake(talk_t *t, err_t *e)
{
  uint8_t chunk[READ_CHUNK];
  size_t n = 0;
  for (;;) {
    rc_t r = tls_recv(t->tls, slice_of(chunk, n), &t->plain, &t->out, e);
    /* A certificate that came is the answer, whatever the peer wants next (a client certificate, say). */
    if (!rc_ok(r) && !rc_is(r, RC_AGAIN) && !rc_is(r, RC_FULL) && !tls_is_ready(t->tls)) return r;
    TRY(flush(t, e));
    if (tls_is_ready(t->tls)) return rc(RC_OK);
    TRY(wait_for(t, SOCK_READ, e));
    r = sock_read(t->sock, chunk, sizeof chunk, &n);
    if (rc_is(r, RC_AGAIN)) n = 0;
    else if (!rc_ok(r)) return err_set(e, RC_CLOSED, "probe_closed", NULL, "the endpoint closed the connection");
  }
}

rc_t probe_leaf(const probe_spec_t *spec, buf_t *der, err_t *e)
{
  probe_spec_t copy = *spec;
  sock_patience_t patience = {.deadline_us = time_mono_us(spec->time) + spec->deadline_ms * 1000,
                              .time = spec->time,
                              .tick = on_tick,
                              .self = &copy};
  CLEANUP(client_free_ptr) tls_client_t *client = NULL;
  CLEANUP(tls_free_ptr) tls_t *tls = NULL;
  CLEANUP(sock_close) sock_t sock = SOCK_CLOSED;
  talk_t t = {.patience = &patience, .sock = &sock};

  TRY(sock_connect(spec->host, spec->port, &patience, &sock, e));
  TRY(tls_client_new(&(tls_client_options_t){.probe = true}, &client, e));
  /* An address in place of a name means: no SNI. */
  TRY(tls_connect(client, spec->sni.n ? spec->sni : S("127.0.0.1"), &tls, e));
  t.tls = tls;
  t.plain = buf_heap(PLAIN_MAX);
  t.out = buf_heap(OUT_MAX);
  rc_t r = shake(&t, e);
  if (!rc_is(tls_peer_der(tls, der), RC_OK)) {
    if (rc_ok(r)) r = err_set(e, RC_NOTFOUND, "probe_no_certificate", NULL, "the endpoint sent no certificate");
  } else {
    r = rc(RC_OK);
    tls_close(tls, &t.out);
    if (!rc_ok(flush(&t, NULL))) r = rc(RC_OK); /* a polite goodbye, no more */
  }
  buf_fini(&t.plain);
  buf_fini(&t.out);
  return r;
}

rc_t endpoint_parse(slice_t text, slice_t *ret_host, uint16_t *ret_port, err_t *e)
{
  size_t colon = text.n;
  while (colon > 0 && text.p[colon - 1] != ':') colon--;
  slice_t host = slice_sub(text, 0, colon > 0 ? colon - 1 : 0);
  slice_t port = slice_sub(text, colon, text.n);
  int64_t n = 0;
  ip_t ip;
  bool bracket = host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']';
  if (bracket) host = slice_sub(host, 1, host.n - 2);
  bool ok = colon > 0 && host.n > 0 && host.n <= LIM_NAME_LEN && rc_ok(slice_i64(port, &n)) && n >= 1 && n <= 65535;
  ok = ok && (bracket ? rc_ok(ip_parse(host, &ip)) && ip.n == 16 : slice_find(host, ':') == host.n);
  for (size_t i = 0; ok && i < host.n; i++) ok = host.p[i] > ' ' && host.p[i] < 0x7f && !strchr("/[]", host.p[i]);
  if (!ok) {
    rc_t r = err_set(e, RC_SYNTAX, "endpoint", NULL, "must be host:port");
    err_value(e, text.p, text.n);
    return r;
  }
  *ret_host = host;
  *ret_port = (uint16_t)n;
  return rc(RC_OK);
}
