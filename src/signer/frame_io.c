#include "signer/frame_io.h"

#include "io/channel.h"

enum { FIRST_READ = 64 * 1024 };

/* One receive of at most n bytes at the end of `in`. */
static MUST rc_t more(int fd, buf_t *in, size_t n, err_t *e)
{
  size_t had = in->n, got = 0;
  uint8_t *p = buf_grow(in, n);
  if (!p) return buf_rc(in);
  rc_t r = channel_read(fd, p, n, &got, e);
  in->n = had + got;
  return r;
}

rc_t frame_read(int fd, buf_t *in, msg_frame_t *ret, err_t *e)
{
  size_t body, whole = FIRST_READ;
  buf_reset(in);
  while (in->n < MSG_HEAD) TRY(more(fd, in, FIRST_READ - in->n, e));
  TRY(msg_head_check(in->p, &body));
  whole = MSG_HEAD + body;
  if (in->n > whole) return rc(RC_SYNTAX);
  while (in->n < whole) TRY(more(fd, in, whole - in->n, e));
  return msg_frame_parse(buf_slice(in), ret);
}
