/*
 * What certificate does an endpoint serve? One TLS handshake without any
 * verification, by a deadline; nothing is sent after it.
 */
#ifndef NET_PROBE_H
#define NET_PROBE_H

#include "base/buf.h"
#include "base/clock.h"

typedef struct probe_spec {
  slice_t host;              /* where to connect: DNS name or address in text */
  uint16_t port;
  slice_t sni;               /* name asked for; empty: none is sent */
  int64_t deadline_ms;       /* for lookup, connection and handshake together */
  const timesrc_t *time;
  void (*tick)(void *self);  /* called about once a second; NULL = none */
  void *self;
} probe_spec_t;

/*
 * Appends the leaf as DER to der. A fresh handshake each time, never a resumed
 * session, which would carry no certificate. Errors: those of sock_connect and
 * tls_recv; RC_TIMEOUT "probe_timeout", RC_CLOSED "probe_closed", RC_NOTFOUND
 * "probe_no_certificate".
 */
MUST rc_t probe_leaf(const probe_spec_t *spec, buf_t *der, err_t *e);

/* "host:port" or "[v6]:port". RC_SYNTAX "endpoint". */
MUST rc_t endpoint_parse(slice_t text, slice_t *ret_host, uint16_t *ret_port, err_t *e);

#endif
