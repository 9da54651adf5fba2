/*
 * Pairs of connected local sockets between our own processes: streams that
 * carry the signer's frames, and control channels that carry one-byte notices
 * with descriptors. Blocking calls; a channel has one reader and one writer.
 *
 * Errors: RC_CLOSED when the other side is gone, RC_IO with the system's words.
 */
#ifndef IO_CHANNEL_H
#define IO_CHANNEL_H

#include "base/slice.h"

/* Both ends are closed on exec; hand one over through child_spec_t. */
MUST rc_t channel_stream(int ret[2], err_t *e);
MUST rc_t channel_control(int ret[2], err_t *e);

/* A pipe: ret[0] reads, ret[1] writes. */
MUST rc_t channel_pipe(int ret[2], err_t *e);

/* What is there, at least one byte. */
MUST rc_t channel_read(int fd, void *out, size_t cap, size_t *ret_n, err_t *e);

/* All of it. */
MUST rc_t channel_write(int fd, slice_t bytes, err_t *e);

/* From now on a read or write of this side waits at most `ms` for the next bytes, then RC_AGAIN. */
void channel_patience(int fd, int64_t ms);

/* Wakes both sides' blocked reads and writes; they then answer RC_CLOSED. */
void channel_shut(int fd);
void channel_close(int *fd);

/* Marks an inherited descriptor close-on-exec; false when there is none of that number. */
bool channel_keep(int fd);

enum { CHANNEL_FDS = 2 };

/* One notice with up to CHANNEL_FDS descriptors, which stay the caller's. RC_AGAIN when the channel is full. */
MUST rc_t channel_post(int fd, char notice, const int *fds, size_t nfds, err_t *e);

/*
 * The next notice: waits for it, or RC_AGAIN at once when `wait` is false and
 * there is none. Descriptors in ret_fds (-1 where none came) are the caller's, closed on exec.
 */
MUST rc_t channel_take(int fd, bool wait, char *ret_notice, int ret_fds[CHANNEL_FDS], err_t *e);

/* Writes all of it to a pipe or file. */
MUST rc_t channel_fd_write(int fd, slice_t bytes, err_t *e);

/* Reads a descriptor that was handed over, from its start, whole and closed afterwards. RC_FULL above cap. */
MUST rc_t channel_fd_read(int *fd, void *out, size_t cap, size_t *ret_n, err_t *e);

#endif
