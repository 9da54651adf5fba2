/*
 * Client sockets on a socket pair: classes of results, waits, ticks and signals. Connecting is in the client's tests.
 */
#include "base/check.h"
#include "io/sock.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "in_child.h"
#include "still_clock.h"

typedef struct pair {
  sock_t ours;
  int theirs;
} pair_t;

static pair_t pair_new(void)
{
  int fds[2];
  pair_t p;
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
  p.ours.fd = fds[0];
  p.theirs = fds[1];
  return p;
}

static sock_patience_t patience(int64_t ms, bool (*tick)(void *), void *self)
{
  return (sock_patience_t){.deadline_us = time_mono_us(&timesrc_system) + ms * 1000, .time = &timesrc_system, .tick = tick, .self = self};
}

static bool count_tick(void *self)
{
  int *left = self;
  return --*left > 0;
}

static void test_read_and_write(void **state)
{
  pair_t p = pair_new();
  uint8_t in[64];
  size_t n = 99;
  sock_patience_t w = patience(5000, NULL, NULL);
  assert_int_equal(sock_read(&p.ours, in, sizeof in, &n).code, RC_AGAIN);
  assert_int_equal(n, 99);
  assert_int_equal(write(p.theirs, "abc", 3), 3);
  assert_true(rc_ok(sock_wait(&p.ours, SOCK_READ, &w)));
  assert_true(rc_ok(sock_read(&p.ours, in, 2, &n)) && n == 2);
  assert_true(rc_ok(sock_write(&p.ours, "xy", 2, &n)) && n == 2);
  assert_int_equal(read(p.theirs, in, sizeof in), 2);

  static uint8_t much[1 << 20];
  rc_t r;
  size_t sent = 0;
  while (rc_ok(r = sock_write(&p.ours, much, sizeof much, &n))) sent += n;
  assert_true(rc_is(r, RC_AGAIN) && sent > 0);
  w = patience(20, NULL, NULL);
  assert_int_equal(sock_wait(&p.ours, SOCK_WRITE, &w).code, RC_TIMEOUT);

  close(p.theirs);
  w = patience(5000, NULL, NULL);
  assert_true(rc_ok(sock_wait(&p.ours, SOCK_READ, &w)));
  assert_int_equal(sock_write(&p.ours, "x", 1, &n).code, RC_CLOSED); /* and no SIGPIPE */
  while (rc_ok(r = sock_read(&p.ours, in, sizeof in, &n))) {}
  assert_int_equal(r.code, RC_CLOSED);
  sock_close(&p.ours);
  assert_int_equal(p.ours.fd, -1);
  sock_close(&p.ours);
  assert_int_equal(sock_read(&p.ours, in, 1, &n).code, RC_IO);
  assert_int_equal(sock_write(&p.ours, in, 1, &n).code, RC_IO);
}

static void on_alarm(int number)
{
  (void)number;
}

static void alarm_in_ms(int ms)
{
  struct sigaction a = {.sa_handler = on_alarm};
  struct itimerval t = {.it_value = {.tv_usec = ms * 1000}};
  sigaction(SIGALRM, &a, NULL);
  setitimer(ITIMER_REAL, &t, NULL);
}

static void test_waits(void **state)
{
  pair_t p = pair_new();
  int left = 1000;
  sock_patience_t w = patience(30, count_tick, &left);
  int64_t from = time_mono_us(&timesrc_system);
  assert_int_equal(sock_wait(&p.ours, SOCK_READ, &w).code, RC_TIMEOUT);
  assert_true(time_mono_us(&timesrc_system) - from >= 30000);
  assert_int_equal(sock_wait(&p.ours, SOCK_READ, &w).code, RC_TIMEOUT); /* the deadline has passed: at once */

  alarm_in_ms(20); /* a signal is no end of the wait … */
  w = patience(200, NULL, NULL);
  from = time_mono_us(&timesrc_system);
  assert_int_equal(sock_wait(&p.ours, SOCK_READ, &w).code, RC_TIMEOUT);
  assert_true(time_mono_us(&timesrc_system) - from >= 200000);

  alarm_in_ms(20); /* … but the tick is asked right after it */
  left = 1;
  w = patience(60000, count_tick, &left);
  assert_int_equal(sock_wait(&p.ours, SOCK_READ, &w).code, RC_AGAIN);
  assert_int_equal(left, 0);

  left = 2; /* once a second without one */
  from = time_mono_us(&timesrc_system);
  assert_int_equal(sock_wait(&p.ours, SOCK_READ, &w).code, RC_AGAIN);
  int64_t took_us = time_mono_us(&timesrc_system) - from;
  assert_true(took_us >= 1900000 && took_us < 10000000);
  sock_close(&p.ours);
  close(p.theirs);
}

static void test_deadline_is_over_when_it_comes(void **state)
{
  pair_t p = pair_new();
  int left = 3;
  sock_patience_t w = {.deadline_us = STILL_US, .time = &still_clock, .tick = count_tick, .self = &left};
  assert_int_equal(write(p.theirs, "x", 1), 1);
  assert_int_equal(sock_wait(&p.ours, SOCK_READ, &w).code, RC_TIMEOUT);
  assert_int_equal(left, 3);
  sock_t s = SOCK_CLOSED;
  assert_int_equal(sock_connect(S("127.0.0.1"), 1, &w, &s, NULL).code, RC_TIMEOUT);
  w.deadline_us++;
  assert_true(rc_ok(sock_wait(&p.ours, SOCK_READ, &w)));
  assert_int_equal(sock_connect(S("127.0.0.1"), 1, &w, &s, NULL).code, RC_IO); /* refused: nobody listens */
  sock_close(&p.ours);
  close(p.theirs);
}

static void test_names(void **state)
{
  static const char *const bad[] = {"", "no-such-name.invalid", "a b"};
  sock_patience_t w = patience(2000, NULL, NULL);
  for (size_t i = 0; i < COUNT_OF(bad); i++) {
    sock_t s = SOCK_CLOSED;
    err_t e = {0};
    assert_int_equal(sock_connect(slice_str(bad[i]), 1, &w, &s, &e).code, RC_NOTFOUND);
    assert_string_equal(e.reason, "sock_resolve");
    assert_int_equal(s.fd, -1);
  }
  sock_t s = SOCK_CLOSED;
  assert_int_equal(sock_connect(S("127.0.0.1\0x"), 1, &w, &s, NULL).code, RC_NOTFOUND);
  w.deadline_us = 0;
  assert_int_equal(sock_connect(S("127.0.0.1"), 1, &w, &s, NULL).code, RC_TIMEOUT);
}

/* A name may have as many bytes as a DNS name has; the resolver says what it thinks of one. */
static void test_longest_name(void **state)
{
  char name[254];
  sock_patience_t w = patience(2000, NULL, NULL);
  sock_t s = SOCK_CLOSED;
  err_t e = {0};
  memset(name, 'a', sizeof name);
  assert_true(rc_is(sock_connect(slice_of(name, 253), 1, &w, &s, &e), RC_NOTFOUND));
  assert_string_equal(e.text, "cannot find the server's name");
  assert_true(e.retry);
  assert_true(rc_is(sock_connect(slice_of(name, 254), 1, &w, &s, &e), RC_NOTFOUND));
  assert_string_equal(e.text, "is not a host name");
}

/* In a program that was started without standard input, 0 is a descriptor as any other. */
static int use_zero(void)
{
  int fds[2];
  char c;
  size_t n;
  (void)close(0);
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0 || fds[0] != 0) return 1;
  sock_t s = {fds[0]};
  if (!rc_ok(sock_write(&s, "x", 1, &n))) return 2;
  sock_close(&s);
  return read(fds[1], &c, 1) == 1 && read(fds[1], &c, 1) == 0 ? 0 : 3;
}

static void test_descriptor_zero_is_one(void **state)
{
  assert_int_equal(in_child(use_zero), 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_read_and_write),
    cmocka_unit_test(test_waits),
    cmocka_unit_test(test_deadline_is_over_when_it_comes),
    cmocka_unit_test(test_names),
    cmocka_unit_test(test_longest_name),
    cmocka_unit_test(test_descriptor_zero_is_one),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
