/*
 * Blocking TCP client sockets: connect by a deadline, wait, read, write. The
 * descriptor itself never blocks; every wait is sock_wait, so a caller can look
 * up from it every second. Handles are values; close them once.
 */
#ifndef IO_SOCK_H
#define IO_SOCK_H

#include "base/clock.h"

typedef struct sock {
  int fd; /* non-blocking; -1: closed */
} sock_t;

#define SOCK_CLOSED ((sock_t){.fd = -1})

/* How long to wait, and whom to tell meanwhile. */
typedef struct sock_patience {
  int64_t deadline_us;      /* of time's monotonic clock */
  const timesrc_t *time;
  bool (*tick)(void *self); /* at least once a second, and after a signal; false gives up; NULL = none */
  void *self;
} sock_patience_t;

/*
 * Connects to host (a DNS name, or an address in text) by trying its addresses
 * in the resolver's order; each gets an equal part of what is left until the
 * deadline. The name lookup is the system's and has its own time-outs.
 * RC_NOTFOUND (reason sock_resolve), RC_TIMEOUT, RC_IO (sock_connect:
 * "connection refused"), RC_AGAIN (given up); e->value is the host. No delay
 * (Nagle) and close-on-exec are set.
 */
MUST rc_t sock_connect(slice_t host, uint16_t port, const sock_patience_t *w, sock_t *ret, err_t *e);

enum { SOCK_READ = 1, SOCK_WRITE = 2 };

/* Waits until one of `what` is possible, or the peer is gone. RC_TIMEOUT, RC_AGAIN (given up), RC_IO. */
MUST rc_t sock_wait(const sock_t *s, int what, const sock_patience_t *w);

/* Reads what is there, 1 to n bytes. RC_AGAIN: nothing yet; RC_CLOSED: the end, or reset; RC_IO. */
MUST rc_t sock_read(const sock_t *s, void *out, size_t n, size_t *ret_n);

/* Writes what fits, 1 to n bytes, without SIGPIPE. RC_AGAIN, RC_CLOSED, RC_IO. */
MUST rc_t sock_write(const sock_t *s, const void *p, size_t n, size_t *ret_n);

/* Safe on a closed one. */
void sock_close(sock_t *s);

#endif
