#include "io/sock.h"

#include "base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

void sock_close(sock_t *s)
{
  if (s->fd >= 0) close(s->fd);
  s->fd = -1;
}

enum { TICK_MS = 1000 };

rc_t sock_wait(const sock_t *s, int what, const sock_patience_t *w)
{
  struct pollfd p = {.fd = s->fd};
  if (what & SOCK_READ) p.events |= POLLIN;
  if (what & SOCK_WRITE) p.events |= POLLOUT;
  for (;;) {
    int64_t left_us = w->deadline_us - time_mono_us(w->time);
    if (left_us <= 0) return rc(RC_TIMEOUT);
    int64_t ms = left_us / 1000 + 1;
    if (ms > TICK_MS) ms = TICK_MS;
    int n = poll(&p, 1, (int)ms);
    if (n > 0) return rc(RC_OK);
    if (n < 0 && errno != EINTR) return rc(RC_IO);
    if (w->tick && !w->tick(w->self)) return rc(RC_AGAIN);
  }
}

/* Class of the errno of a failed read or write. */
static rc_t io_class(int err)
{
  if (err == EAGAIN || err == EINTR) return rc(RC_AGAIN);
  if (err == ECONNRESET || err == EPIPE || err == ENOTCONN) return rc(RC_CLOSED);
  return rc(RC_IO);
}

rc_t sock_read(const sock_t *s, void *out, size_t n, size_t *ret_n)
{
  ssize_t got = recv(s->fd, out, n, 0);
  if (got == -1) return io_class(errno);
  if (got == 0) return rc(RC_CLOSED);
  *ret_n = (size_t)got;
  return rc(RC_OK);
}

rc_t sock_write(const sock_t *s, const void *p, size_t n, size_t *ret_n)
{
  ssize_t put = send(s->fd, p, n, MSG_NOSIGNAL);
  if (put == -1) return io_class(errno);
  *ret_n = (size_t)put;
  return rc(RC_OK);
}

static MUST rc_t connect_error(err_t *e, int32_t code, const char *reason, const char *text, slice_t host)
{
  rc_t r = err_quote(e, code, reason, NULL, text, host);
  if (e) e->retry = true;
  return r;
}

/* What went wrong in words that need no manual. */
static const char *connect_text(int err)
{
  switch (err) {
  case ECONNREFUSED: return "connection refused: nothing listens at the server's address";
  case ENETUNREACH:
  case EHOSTUNREACH: return "no route to the server";
  case ETIMEDOUT: return "the server did not answer in time";
  case ECANCELED: return "connecting was given up";
  default: return "cannot connect to the server";
  }
}

/* Waits for a connect in progress; errno of the outcome, ECANCELED when given up. */
static int connect_wait(const sock_t *s, const sock_patience_t *w)
{
  rc_t r = sock_wait(s, SOCK_WRITE, w);
  if (rc_is(r, RC_TIMEOUT)) return ETIMEDOUT;
  if (rc_is(r, RC_AGAIN)) return ECANCELED;
  if (!rc_ok(r)) return EIO;
  int err = 0;
  socklen_t n = sizeof err;
  return getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &err, &n) < 0 ? errno : err;
}

/* One address; 0 or an errno. */
static int connect_one(const struct addrinfo *ai, const sock_patience_t *w, sock_t *ret)
{
  sock_t s = {socket(ai->ai_family, ai->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, ai->ai_protocol)};
  if (s.fd < 0) return errno;
  int on = 1;
  int err = connect(s.fd, ai->ai_addr, ai->ai_addrlen) == 0 ? 0 : errno;
  if (err == EINPROGRESS) err = connect_wait(&s, w);
  if (!err && setsockopt(s.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) < 0) err = errno;
  if (err) {
    sock_close(&s);
    return err;
  }
  *ret = s;
  return 0;
}

/* Every address in turn; 0 or the last errno. */
static int connect_any(const struct addrinfo *list, const sock_patience_t *w, sock_t *ret)
{
  int left = 0, err = ETIMEDOUT;
  for (const struct addrinfo *ai = list; ai; ai = ai->ai_next) left++;
  for (const struct addrinfo *ai = list; ai && err != ECANCELED; ai = ai->ai_next, left--) {
    int64_t now = time_mono_us(w->time);
    if (now >= w->deadline_us) return ETIMEDOUT;
    sock_patience_t part = *w;
    part.deadline_us = now + (w->deadline_us - now) / left;
    err = connect_one(ai, &part, ret);
    if (!err) break;
  }
  return err;
}

/* Class of the errno of a connect. */
static int32_t connect_class(int err)
{
  if (err == ETIMEDOUT) return RC_TIMEOUT;
  return err == ECANCELED ? RC_AGAIN : RC_IO;
}

rc_t sock_connect(slice_t host, uint16_t port, const sock_patience_t *w, sock_t *ret, err_t *e)
{
  char name[LIM_NAME_LEN + 1], service[8];
  if (host.n == 0 || host.n > LIM_NAME_LEN || slice_find(host, 0) < host.n)
    return connect_error(e, RC_NOTFOUND, "sock_resolve", "is not a host name", host);
  memcpy(name, host.p, host.n);
  name[host.n] = 0;
  snprintf(service, sizeof service, "%u", port);

  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *list = NULL;
  int gai = getaddrinfo(name, service, &hints, &list);
  if (gai == EAI_MEMORY) return rc(RC_NOMEM);
  if (gai != 0) return connect_error(e, RC_NOTFOUND, "sock_resolve", "cannot find the server's name", host);
  int err = connect_any(list, w, ret);
  freeaddrinfo(list);
  if (err) return connect_error(e, connect_class(err), "sock_connect", connect_text(err), host);
  return rc(RC_OK);
}
