/*
 * What a child of the supervisor finds when it starts: the control channel and its end of the signer's
 * socket, under fixed descriptor numbers; and what the two sides tell each other on the channel.
 */
#ifndef BIN_LINK_H
#define BIN_LINK_H

#include "base/slice.h"
#include "io/child.h"

enum {
  LINK_CONTROL = CHILD_FD_FIRST,      /* both children */
  LINK_SIGNER = CHILD_FD_FIRST + 1,   /* the two ends of one stream socket */
  LINK_PASSPHRASE = CHILD_FD_FIRST + 2 /* signer only: a pipe */
};

enum {
  LINK_READY = 'R',                   /* child to supervisor: it serves */
  LINK_TLS = 'T'                      /* supervisor to network process: certificate and key files, in this order */
};

/* Argument that makes certctl-server the network process; the operator's arguments follow it. */
#define LINK_NET_ARGUMENT "--network-process"
/* Argument with which the supervisor starts certctl-signer. */
#define LINK_SERVE_ARGUMENT "serve"

/* Marks the inherited descriptors close-on-exec. RC_INVALID when this process was not started by a supervisor. */
MUST rc_t link_open(bool signer, err_t *e);

/* Tells the supervisor that this process serves. */
MUST rc_t link_ready(err_t *e);

/*
 * The newest TLS files that were handed over, as descriptors that the caller reads (channel_fd_read) and closes.
 * RC_AGAIN when there are none since the last call: LINK_CONTROL becomes readable when there are. With `wait`, waits
 * for the first. RC_CLOSED when the supervisor is gone.
 */
MUST rc_t link_tls_take(bool wait, int *ret_cert_fd, int *ret_key_fd, err_t *e);

#endif
