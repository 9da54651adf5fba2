#include "io/channel.h"

#include "base/check.h"
#include "io/sys_int.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static rc_t fail(err_t *e, const char *reason)
{
  int32_t code = errno == EPIPE || errno == ECONNRESET ? RC_CLOSED
                 : errno == EAGAIN                     ? RC_AGAIN
                                                       : RC_IO;
  return err_set(e, code, reason, NULL, strerrordesc_np(errno));
}

rc_t channel_stream(int ret[2], err_t *e)
{
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret) != 0) return fail(e, "channel_pair");
  return rc(RC_OK);
}

rc_t channel_control(int ret[2], err_t *e)
{
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret) != 0) return fail(e, "channel_pair");
  return rc(RC_OK);
}

rc_t channel_pipe(int ret[2], err_t *e)
{
  return pipe2(ret, O_CLOEXEC) == 0 ? rc(RC_OK) : fail(e, "channel_pair");
}

rc_t channel_fd_write(int fd, slice_t bytes, err_t *e)
{
  return sys_write_all(fd, bytes) ? rc(RC_OK) : fail(e, "channel_write");
}

rc_t channel_read(int fd, void *out, size_t cap, size_t *ret_n, err_t *e)
{
  ssize_t n = TEMP_FAILURE_RETRY(recv(fd, out, cap, 0));
  if (n < 0) return fail(e, "channel_read");
  if (n == 0) return err_set(e, RC_CLOSED, "channel_closed", NULL, "the other side is gone");
  *ret_n = (size_t)n;
  return rc(RC_OK);
}

rc_t channel_write(int fd, slice_t bytes, err_t *e)
{
  while (bytes.n > 0) {
    ssize_t n = TEMP_FAILURE_RETRY(send(fd, bytes.p, bytes.n, MSG_NOSIGNAL));
    if (n == -1) return fail(e, "channel_write");
    bytes = slice_sub(bytes, (size_t)n, bytes.n);
  }
  return rc(RC_OK);
}

void channel_patience(int fd, int64_t ms)
{
  struct timeval t = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
  CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t) == 0);
  CHECK(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof t) == 0);
}

void channel_shut(int fd)
{
  if (fd >= 0) shutdown(fd, SHUT_RDWR);
}

void channel_close(int *fd)
{
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

bool channel_keep(int fd)
{
  return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

typedef union ancillary {
  struct cmsghdr align;
  char bytes[CMSG_SPACE(CHANNEL_FDS * sizeof(int))];
} ancillary_t;

rc_t channel_post(int fd, char notice, const int *fds, size_t nfds, err_t *e)
{
  ancillary_t room = {0};
  struct iovec iov = {&notice, 1};
  struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
  CHECK(nfds <= CHANNEL_FDS);
  if (nfds > 0) {
    m.msg_control = room.bytes;
    m.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
    memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
  }
  ssize_t n = TEMP_FAILURE_RETRY(sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT));
  return n == 1 ? rc(RC_OK) : fail(e, "channel_post");
}

rc_t channel_take(int fd, bool wait, char *ret_notice, int ret_fds[CHANNEL_FDS], err_t *e)
{
  ancillary_t room = {0};
  char notice;
  struct iovec iov = {&notice, 1};
  struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = room.bytes, .msg_controllen = sizeof room.bytes};
  ssize_t n = TEMP_FAILURE_RETRY(recvmsg(fd, &m, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT)));
  if (n < 0) return fail(e, "channel_take");
  if (n == 0) return err_set(e, RC_CLOSED, "channel_closed", NULL, "the other side is gone");

  for (size_t i = 0; i < CHANNEL_FDS; i++) ret_fds[i] = -1;
  struct cmsghdr *c = CMSG_FIRSTHDR(&m);
  if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
    size_t bytes = c->cmsg_len - CMSG_LEN(0), most = CHANNEL_FDS * sizeof(int);
    memcpy(ret_fds, CMSG_DATA(c), bytes < most ? bytes : most);
  }
  *ret_notice = notice;
  return rc(RC_OK);
}

rc_t channel_fd_read(int *fd, void *out, size_t cap, size_t *ret_n, err_t *e)
{
  size_t got = 0;
  rc_t r = rc(RC_OK);
  for (;;) {
    uint8_t extra;
    bool full = got == cap;
    /* A descriptor that is a pipe has no offset; one that is a file may have been read before. */
    ssize_t n = pread(*fd, full ? &extra : (uint8_t *)out + got, full ? 1 : cap - got, (off_t)got);
    if (n < 0 && errno == ESPIPE) n = read(*fd, full ? &extra : (uint8_t *)out + got, full ? 1 : cap - got);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) r = fail(e, "channel_fd_read");
    if (n > 0 && full) r = err_limit(e, RC_FULL, "channel_fd_read", NULL, "is longer than {limit} bytes", (int64_t)cap);
    if (n <= 0 || full) break;
    got += (size_t)n;
  }
  channel_close(fd);
  if (rc_ok(r)) *ret_n = got;
  return r;
}
