/*
 * Closed-loop HTTPS load from one thread: N kept connections, each with one
 * request in flight, until COUNT answers have come. Prints one line of JSON.
 *
 *   https_load --port P [--host 127.0.0.1] [--path /x] [--method GET] [--header 'K: V']... [--body FILE]
 *              [--connections 64] [--count 100000] [--pid PID]... [--expect 200] [--idle SECONDS] [--new]
 *
 * In path and body "{n}" stands for the number of the request. With --pid the CPU of these processes and of
 * their children (utime + stime from /proc) is taken before and after and given per request. --new makes a
 * connection per request. --idle opens the connections, sends one request on each, waits, and prints the
 * resident memory of the first --pid before and after.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { IN_MAX = 64 * 1024, MAX_PIDS = 16, MAX_CONNS = 19000, EVENTS = 256 };

typedef struct conn {
  SSL *ssl;
  int fd;
  int64_t sent_us;
  size_t n;            /* bytes in `in` */
  size_t left;         /* body bytes to come; valid once head_done */
  bool head_done;
  char *in;
} conn_t;

static struct {
  const char *host, *path, *method, *body_file;
  char headers[4096];
  char *body;
  size_t body_n;
  uint16_t port;
  int connections, expect, idle_s;
  long count;
  int pids[MAX_PIDS], npids;
  bool fresh;
} o = {.host = "127.0.0.1", .path = "/", .method = "GET", .connections = 64, .count = 100000, .expect = 200};

static SSL_CTX *ctx;
static SSL_SESSION *session;
static int ep;
static long sent, done, errors, resumed;
static uint32_t *latency; /* microseconds of each answer */

static void die(const char *what)
{
  fprintf(stderr, "https_load: %s: %s\n", what, strerror(errno));
  exit(1);
}

static int64_t now_us(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* --- CPU and memory of the server --- */

/* Ticks of one process, and its parent; -1 if it is gone. */
static long long ticks(int pid, int *ret_parent)
{
  char path[64], line[2048];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  FILE *f = fopen(path, "r");
  if (!f) return -1;
  size_t n = fread(line, 1, sizeof line - 1, f);
  (void)fclose(f);
  line[n] = 0;
  char *p = strrchr(line, ')');
  unsigned long long utime = 0, stime = 0;
  if (!p || sscanf(p + 2, "%*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", ret_parent, &utime, &stime) != 3) return -1;
  return (long long)(utime + stime);
}

static bool wanted(int pid, int parent, const int *kids, int nkids)
{
  for (int i = 0; i < o.npids; i++) {
    if (pid == o.pids[i] || parent == o.pids[i]) return true;
  }
  for (int i = 0; i < nkids; i++) {
    if (parent == kids[i]) return true;
  }
  return false;
}

/* CPU seconds of the named processes and of their children and grandchildren that live now. */
static double cpu_s(void)
{
  int kids[256], nkids = 0;
  long long sum = 0;
  if (o.npids == 0) return 0;
  for (int round = 0; round < 2; round++) {
    DIR *d = opendir("/proc");
    if (!d) return 0;
    sum = 0;
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
      int parent = 0, pid = isdigit((unsigned char)e->d_name[0]) ? (int)strtol(e->d_name, NULL, 10) : 0;
      long long t = pid ? ticks(pid, &parent) : -1;
      if (t < 0 || !wanted(pid, parent, kids, nkids)) continue;
      sum += t;
      if (round == 0 && nkids < 256) kids[nkids++] = pid;
    }
    (void)closedir(d);
  }
  return (double)sum / (double)sysconf(_SC_CLK_TCK);
}

static long resident_kib(int pid)
{
  char path[64], line[256];
  long kib = -1;
  snprintf(path, sizeof path, "/proc/%d/status", pid);
  FILE *f = fopen(path, "r");
  while (f && fgets(line, sizeof line, f)) {
    if (sscanf(line, "VmRSS: %ld", &kib) == 1) break;
  }
  if (f) (void)fclose(f);
  return kib;
}

/* --- requests --- */

/* Copies text with "{n}" replaced. */
static size_t fill(char *out, size_t cap, const char *text, size_t n, long number)
{
  size_t at = 0;
  for (size_t i = 0; i < n && at + 24 < cap; i++) {
    if (i + 3 <= n && memcmp(text + i, "{n}", 3) == 0) {
      at += (size_t)snprintf(out + at, cap - at, "%ld", number);
      i += 2;
    } else {
      out[at++] = text[i];
    }
  }
  return at;
}

static bool send_request(conn_t *c)
{
  static char out[2 * IN_MAX], body[IN_MAX], path[4096];
  size_t path_n = fill(path, sizeof path, o.path, strlen(o.path), sent);
  size_t body_n = o.body ? fill(body, sizeof body, o.body, o.body_n, sent) : 0;
  int n = snprintf(out, sizeof out, "%s %.*s HTTP/1.1\r\nHost: localhost:%u\r\n%s", o.method, (int)path_n, path, (unsigned)o.port, o.headers);
  if (o.body) n += snprintf(out + n, sizeof out - (size_t)n, "Content-Length: %zu\r\n", body_n);
  memcpy(out + n, "\r\n", 2);
  memcpy(out + n + 2, body, body_n);
  c->sent_us = now_us();
  c->n = c->left = 0;
  c->head_done = false;
  sent++;
  return SSL_write(c->ssl, out, n + 2 + (int)body_n) > 0;
}

static int keep_session(SSL *ssl, SSL_SESSION *s)
{
  SSL_SESSION_free(session);
  session = s;
  return 1;
}

/* Blocking connect and handshake on loopback, then non-blocking. */
static void open_conn(conn_t *c)
{
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(o.port)};
  int on = 1;
  if (inet_pton(AF_INET, o.host, &a.sin_addr) != 1) die("host");
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (c->fd < 0 || setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) || connect(c->fd, (struct sockaddr *)&a, sizeof a)) die("connect");
  c->ssl = SSL_new(ctx);
  if (!c->ssl || !SSL_set_fd(c->ssl, c->fd)) die("ssl");
  if (session) SSL_set_session(c->ssl, session);
  if (SSL_connect(c->ssl) != 1) {
    ERR_print_errors_fp(stderr);
    die("handshake");
  }
  resumed += SSL_session_reused(c->ssl);
  struct epoll_event ev = {.events = EPOLLIN | EPOLLRDHUP, .data = {.ptr = c}};
  if (fcntl(c->fd, F_SETFL, O_NONBLOCK) || epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &ev)) die("epoll_ctl");
}

static void close_conn(conn_t *c)
{
  if (!c->ssl) return;
  SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  SSL_free(c->ssl);
  (void)close(c->fd);
  c->ssl = NULL;
}

/* The head is in c->in: status checked, length of the body found. False if it is not understood. */
static bool take_head(conn_t *c, char *end)
{
  int status = 0;
  *end = 0;
  if (sscanf(c->in, "HTTP/1.1 %d", &status) != 1) return false;
  if (status != o.expect) errors++;
  char *p = strcasestr(c->in, "\r\nContent-Length:");
  size_t length = p ? strtoul(p + 17, NULL, 10) : 0;
  size_t have = c->n - (size_t)(end + 4 - c->in);
  if (have > length) return false;
  c->left = length - have;
  c->head_done = true;
  return true;
}

/* 1: an answer is complete, 0: more to come, -1: broken. */
static int take_some(conn_t *c)
{
  int n = SSL_read(c->ssl, c->in + (c->head_done ? 0 : c->n), (int)(IN_MAX - 1 - (c->head_done ? 0 : c->n)));
  if (n <= 0) return SSL_get_error(c->ssl, n) == SSL_ERROR_WANT_READ ? 0 : -1;
  if (c->head_done) {
    if ((size_t)n > c->left) return -1;
    c->left -= (size_t)n;
  } else {
    c->n += (size_t)n;
    char *end = memmem(c->in, c->n, "\r\n\r\n", 4);
    if (!end) return 0;
    if (!take_head(c, end)) return -1;
  }
  return c->left == 0;
}

static void step(conn_t *c)
{
  int r = 0;
  do r = take_some(c);
  while (r == 0 && SSL_pending(c->ssl) > 0);
  if (r == 0) return;
  if (r > 0) {
    latency[done++] = (uint32_t)(now_us() - c->sent_us);
  } else {
    errors++;
    done++;
  }
  ERR_clear_error();
  if (r < 0 || o.fresh) close_conn(c);
  if (sent >= o.count) return;
  if (!c->ssl) open_conn(c);
  if (!send_request(c)) die("write");
}

static int by_size(const void *a, const void *b)
{
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

static void run(conn_t *conns)
{
  double cpu = cpu_s();
  int64_t from = now_us();
  for (int i = 0; i < o.connections && sent < o.count; i++) {
    if (!send_request(&conns[i])) die("write");
  }
  struct epoll_event evs[EVENTS];
  while (done < o.count) {
    int n = epoll_wait(ep, evs, EVENTS, 30000);
    if (n == 0) die("no answer for 30 s");
    for (int i = 0; i < n; i++) step(evs[i].data.ptr);
  }
  double seconds = (double)(now_us() - from) / 1e6;
  cpu = cpu_s() - cpu;
  qsort(latency, (size_t)done, sizeof *latency, by_size);
  printf("{\"requests\":%ld,\"errors\":%ld,\"seconds\":%.3f,\"per_second\":%.0f,\"p50_us\":%u,\"p99_us\":%u,\"resumed\":%ld,\"cpu_s\":%.2f,\"cpu_us_per_request\":%.2f}\n",
         done, errors, seconds, (double)done / seconds, latency[done / 2], latency[done * 99 / 100], resumed, cpu, cpu * 1e6 / (double)done);
}

static void idle(conn_t *conns, long before)
{
  for (int i = 0; i < o.connections; i++) {
    if (!send_request(&conns[i])) die("write");
    int r;
    while ((r = take_some(&conns[i])) == 0) {}
    if (r < 0) die("answer");
  }
  (void)sleep((unsigned)o.idle_s);
  long after = resident_kib(o.pids[0]);
  printf("{\"connections\":%d,\"rss_before_kib\":%ld,\"rss_after_kib\":%ld,\"kib_per_connection\":%.2f}\n", o.connections, before, after,
         (double)(after - before) / o.connections);
}

static void read_body(const char *path)
{
  FILE *f = fopen(path, "r");
  o.body = malloc(IN_MAX);
  if (!f || !o.body) die(path);
  o.body_n = fread(o.body, 1, IN_MAX / 2, f);
  (void)fclose(f);
}

static void usage(void)
{
  fprintf(stderr, "usage: https_load --port P [--host A] [--path /x] [--method GET] [--header 'K: V']... [--body FILE]\n"
                  "                  [--connections N] [--count N] [--pid PID]... [--expect 200] [--idle SECONDS] [--new]\n");
  exit(2);
}

static void arguments(int argc, char **argv)
{
  for (int i = 1; i < argc; i++) {
    const char *a = argv[i];
    if (strcmp(a, "--new") == 0) {
      o.fresh = true;
      continue;
    }
    if (i + 1 == argc) usage();
    const char *v = argv[++i];
    if (strcmp(a, "--port") == 0) o.port = (uint16_t)strtoul(v, NULL, 10);
    else if (strcmp(a, "--host") == 0) o.host = v;
    else if (strcmp(a, "--path") == 0) o.path = v;
    else if (strcmp(a, "--method") == 0) o.method = v;
    else if (strcmp(a, "--header") == 0) snprintf(o.headers + strlen(o.headers), sizeof o.headers - strlen(o.headers), "%s\r\n", v);
    else if (strcmp(a, "--body") == 0) read_body(v);
    else if (strcmp(a, "--connections") == 0) o.connections = (int)strtol(v, NULL, 10);
    else if (strcmp(a, "--count") == 0) o.count = strtol(v, NULL, 10);
    else if (strcmp(a, "--expect") == 0) o.expect = (int)strtol(v, NULL, 10);
    else if (strcmp(a, "--idle") == 0) o.idle_s = (int)strtol(v, NULL, 10);
    else if (strcmp(a, "--pid") == 0 && o.npids < MAX_PIDS) o.pids[o.npids++] = (int)strtol(v, NULL, 10);
    else usage();
  }
  if (!o.port || o.connections < 1 || o.connections > MAX_CONNS || o.count < 1 || (o.idle_s && !o.npids)) usage();
}

int main(int argc, char **argv)
{
  arguments(argc, argv);
  signal(SIGPIPE, SIG_IGN);
  ctx = SSL_CTX_new(TLS_client_method());
  ep = epoll_create1(EPOLL_CLOEXEC);
  conn_t *conns = calloc((size_t)o.connections, sizeof *conns);
  char *inputs = malloc((size_t)o.connections * IN_MAX);
  latency = calloc((size_t)o.count + 1, sizeof *latency);
  if (!ctx || ep < 0 || !conns || !inputs || !latency) die("start");
  SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(ctx, 1);
  if (!o.idle_s) {
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, keep_session);
  }
  long before = o.idle_s ? resident_kib(o.pids[0]) : 0;
  for (int i = 0; i < o.connections; i++) {
    conns[i].in = inputs + (size_t)i * IN_MAX;
    open_conn(&conns[i]);
  }
  if (o.idle_s) idle(conns, before);
  else run(conns);
  return errors > 0;
}
