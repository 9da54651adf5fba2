#include "bin/link.h"

#include "io/channel.h"

rc_t link_open(bool signer, err_t *e)
{
  int last = signer ? LINK_PASSPHRASE : LINK_SIGNER;
  for (int fd = LINK_CONTROL; fd <= last; fd++)
    if (!channel_keep(fd)) return err_set(e, RC_INVALID, "link", NULL, "this is started by certctl-server, not by hand");
  return rc(RC_OK);
}

rc_t link_ready(err_t *e)
{
  return channel_post(LINK_CONTROL, LINK_READY, NULL, 0, e);
}

rc_t link_tls_take(bool wait, int *ret_cert_fd, int *ret_key_fd, err_t *e)
{
  int newest[CHANNEL_FDS] = {-1, -1};
  for (;;) {
    char notice;
    int fds[CHANNEL_FDS];
    rc_t r = channel_take(LINK_CONTROL, wait && newest[0] < 0, &notice, fds, e);
    if (rc_is(r, RC_AGAIN)) break;
    if (!rc_ok(r)) {
      for (size_t i = 0; i < CHANNEL_FDS; i++) channel_close(&newest[i]);
      return r;
    }
    if (notice != LINK_TLS || fds[0] < 0 || fds[1] < 0) continue;
    for (size_t i = 0; i < CHANNEL_FDS; i++) {
      channel_close(&newest[i]);
      newest[i] = fds[i];
    }
  }
  if (newest[0] < 0) return rc(RC_AGAIN);
  *ret_cert_fd = newest[0];
  *ret_key_fd = newest[1];
  return rc(RC_OK);
}
