/*
 * The floor of an HTTPS server (stack.md section 8, row 1): epoll and OpenSSL,
 * a request ends at its first empty line, the reply is canned. Nothing less can
 * be done per request, so a product's CPU is reported as a ratio to this.
 *
 *   floor_server CERT KEY PORT [BYTES [THREADS]]
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { IN_MAX = 16 * 1024, EVENTS = 256 };

typedef struct conn {
  SSL *ssl;
  int fd;
  size_t n;
  char in[IN_MAX];
} conn_t;

static SSL_CTX *ctx;
static char *reply;
static size_t reply_n;
static uint16_t port;

static void die(const char *what)
{
  perror(what);
  exit(1);
}

static int open_listener(void)
{
  int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) ||
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) || bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 1024)) {
    die("listen");
  }
  return fd;
}

static void drop(conn_t *c)
{
  SSL_free(c->ssl);
  (void)close(c->fd);
  free(c);
}

static void serve(conn_t *c)
{
  for (;;) {
    int n = SSL_read(c->ssl, c->in + c->n, (int)(sizeof c->in - c->n));
    if (n <= 0) {
      int why = SSL_get_error(c->ssl, n);
      ERR_clear_error();
      if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) drop(c);
      return;
    }
    c->n += (size_t)n;
    if (!memmem(c->in, c->n, "\r\n\r\n", 4)) {
      if (c->n == sizeof c->in) {
        drop(c);
        return;
      }
      continue;
    }
    c->n = 0;
    if (SSL_write(c->ssl, reply, (int)reply_n) != (int)reply_n) {
      drop(c);
      return;
    }
  }
}

static void take(int ep, int listener)
{
  for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
    conn_t *c = calloc(1, sizeof *c);
    if (!c || !(c->ssl = SSL_new(ctx))) die("connection");
    c->fd = fd;
    SSL_set_fd(c->ssl, fd);
    SSL_set_accept_state(c->ssl);
    struct epoll_event ev = {.events = EPOLLIN | EPOLLET | EPOLLRDHUP, .data = {.ptr = c}};
    if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev)) die("epoll_ctl");
    serve(c);
  }
}

static void *loop(void *arg)
{
  int listener = open_listener(), ep = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event ev = {.events = EPOLLIN, .data = {.ptr = NULL}}, evs[EVENTS];
  if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev)) die("epoll");
  for (;;) {
    int n = epoll_wait(ep, evs, EVENTS, -1);
    for (int i = 0; i < n; i++) {
      if (evs[i].data.ptr) serve(evs[i].data.ptr);
      else take(ep, listener);
    }
  }
  return arg;
}

int main(int argc, char **argv)
{
  if (argc < 4) {
    fprintf(stderr, "usage: floor_server CERT KEY PORT [BYTES [THREADS]]\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  port = (uint16_t)strtoul(argv[3], NULL, 10);
  size_t bytes = argc > 4 ? strtoul(argv[4], NULL, 10) : 700;
  int threads = argc > 5 ? (int)strtol(argv[5], NULL, 10) : 1;
  reply = malloc(bytes + 256);
  if (!reply) return 1;
  reply_n = (size_t)snprintf(reply, 256, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n", bytes);
  memset(reply + reply_n, 'x', bytes);
  reply_n += bytes;
  ctx = SSL_CTX_new(TLS_server_method());
  if (!ctx || SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 || SSL_CTX_use_certificate_chain_file(ctx, argv[1]) != 1 ||
      SSL_CTX_use_PrivateKey_file(ctx, argv[2], SSL_FILETYPE_PEM) != 1) {
    ERR_print_errors_fp(stderr);
    return 1;
  }
  SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE);
  SSL_CTX_set_num_tickets(ctx, 1);
  SSL_CTX_set_read_ahead(ctx, 1);
  printf("listening on %u\n", (unsigned)port);
  (void)fflush(stdout);
  pthread_t t;
  for (int i = 1; i < threads; i++) {
    if (pthread_create(&t, NULL, loop, NULL)) die("thread");
  }
  loop(NULL);
  return 0;
}
