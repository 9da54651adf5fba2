/*
 * TLS over memory: ciphertext and plaintext go in and out through buffers, so
 * the same code serves loops, blocking sockets and the simulator. The server
 * side is TLS 1.3 only; the client side verifies unless told otherwise.
 *
 * Ownership: a context is reference counted by the connections made from it and
 * may be freed while they live; contexts may be shared by threads, a tls_t
 * belongs to one thread at a time.
 */
#ifndef NET_TLS_H
#define NET_TLS_H

#include "base/buf.h"

typedef struct tls_server tls_server_t; /* identity and settings of a server */
typedef struct tls_client tls_client_t; /* trust and settings of a client */
typedef struct tls tls_t;               /* one connection */

/*
 * Server: TLS 1.3, X25519 then P-256, one session ticket per handshake, ALPN
 * http/1.1 (another offer alone is refused, RFC 7301 3.2). cert_pem is the leaf
 * followed by its chain, key_pem its unencrypted key (PKCS#8, SEC 1 or PKCS#1).
 * RC_SYNTAX when no certificate or key can be read, RC_INVALID (reason "tls_key_mismatch")
 * when they do not belong together.
 */
MUST rc_t tls_server_new(slice_t cert_pem, slice_t key_pem, tls_server_t **ret, err_t *e);
void tls_server_free(tls_server_t *s);

/* New handshakes use the new identity, running connections keep theirs; on failure nothing changes. Any thread. */
MUST rc_t tls_server_identity(tls_server_t *s, slice_t cert_pem, slice_t key_pem, err_t *e);

/* One accepted connection; NULL if out of memory. */
MUST tls_t *tls_accept(tls_server_t *s);

typedef struct tls_client_options {
  slice_t ca_pem;      /* trust exactly these; empty: the system's roots */
  bool insecure;       /* no verification at all; the caller warns */
  bool probe;          /* as insecure, and old versions and keys are spoken too: only to read what an endpoint serves */
} tls_client_options_t;

/* RC_SYNTAX when ca_pem holds no certificate. Keeps the last session for resumption to the same host. */
MUST rc_t tls_client_new(const tls_client_options_t *o, tls_client_t **ret, err_t *e);
void tls_client_free(tls_client_t *c);

/*
 * One connection to `host`, a DNS name (sent as SNI and verified) or an IP address in text (verified, no SNI).
 * The first bytes to send come from tls_recv with empty input.
 */
MUST rc_t tls_connect(tls_client_t *c, slice_t host, tls_t **ret, err_t *e);

void tls_free(tls_t *t);

/*
 * Takes ciphertext that arrived (may be empty), appends what it decrypts to
 * `plain` and what must be sent to the peer to `out`; runs the handshake when it
 * is due. Stops with RC_FULL when `plain` is at its cap; the rest is kept, call
 * again with empty input after making room. RC_AGAIN: all was taken. RC_CLOSED: the peer said
 * close_notify (plain may still have grown). RC_CRYPTO, RC_DENIED (peer's certificate; reason "tls_verify"):
 * failed, send `out` (an alert) and close.
 */
MUST rc_t tls_recv(tls_t *t, slice_t cipher, buf_t *plain, buf_t *out, err_t *e);

/* Encrypts all of `plain` to the end of `out`. RC_AGAIN before the handshake is done. */
MUST rc_t tls_send(tls_t *t, slice_t plain, buf_t *out, err_t *e);

/* Appends close_notify to `out`, once. */
void tls_close(tls_t *t, buf_t *out);

bool tls_is_ready(const tls_t *t);   /* the handshake is done */
bool tls_was_resumed(const tls_t *t);

/* Appends the peer's leaf certificate as DER. RC_NOTFOUND before it came. */
MUST rc_t tls_peer_der(const tls_t *t, buf_t *der);

/* "TLSv1.3"; static storage. */
const char *tls_version(const tls_t *t);

#endif
