/*
 * Frames on a stream socket. One frame is outstanding at a time, so bytes
 * behind a frame are a fault of the peer.
 */
#ifndef SIGNER_FRAME_IO_H
#define SIGNER_FRAME_IO_H

#include "signer/message.h"

/* Waits for a whole frame, kept in `in`. RC_CLOSED at the end of the stream, RC_SYNTAX, RC_FULL, RC_NOMEM, RC_IO. */
MUST rc_t frame_read(int fd, buf_t *in, msg_frame_t *ret, err_t *e);

#endif
