/*
 * Channels: what goes through, what their end says, descriptors handed over.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "in_child.h"
#include "io/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Descriptor of a new file with this text, read to its end already. */
static int text_file(const char *text)
{
  char path[] = "/tmp/certctl-channel-XXXXXX";
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  assert_int_equal(unlink(path), 0);
  assert_true(rc_ok(channel_fd_write(fd, slice_str(text), NULL)));
  return fd;
}

static void test_stream_carries_bytes_until_an_end_goes(void **state)
{
  int ends[2];
  char text[16];
  size_t n = 0;
  assert_true(rc_ok(channel_stream(ends, NULL)));
  assert_true(rc_ok(channel_write(ends[0], S("hello"), NULL)));
  assert_true(rc_ok(channel_write(ends[0], S(""), NULL)));
  assert_true(rc_ok(channel_read(ends[1], text, sizeof text, &n, NULL)));
  assert_true(slice_is(slice_of(text, n), "hello"));
  assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
  assert_true(rc_is(channel_read(ends[1], text, sizeof text, &n, NULL), RC_AGAIN));
  assert_int_equal(n, 5);
  channel_shut(-1);
  channel_shut(ends[0]);
  assert_true(rc_is(channel_read(ends[1], text, sizeof text, &n, NULL), RC_CLOSED));
  assert_true(rc_is(channel_write(ends[1], S("x"), NULL), RC_CLOSED)); /* and no SIGPIPE */
  channel_close(&ends[0]);
  assert_int_equal(ends[0], -1);
  channel_close(&ends[0]);
  assert_true(rc_is(channel_read(-1, text, sizeof text, &n, NULL), RC_IO));
  assert_true(rc_is(channel_write(-1, S("x"), NULL), RC_IO));
  channel_close(&ends[1]);
}

static void test_what_is_kept_closes_on_exec(void **state)
{
  int ends[2];
  assert_true(rc_ok(channel_pipe(ends, NULL)));
  assert_int_equal(fcntl(ends[0], F_SETFD, 0), 0);
  assert_true(channel_keep(ends[0]));
  assert_int_equal(fcntl(ends[0], F_GETFD), FD_CLOEXEC);
  channel_close(&ends[0]);
  channel_close(&ends[1]);
  assert_false(channel_keep(ends[0]));
}

static void test_control_channel_hands_over_descriptors(void **state)
{
  char notice, text[16];
  int ends[2], fds[CHANNEL_FDS], pipe[2];
  size_t n;
  err_t e = {0};
  assert_true(rc_ok(channel_control(ends, &e)));
  assert_true(rc_is(channel_take(ends[1], false, &notice, fds, &e), RC_AGAIN));
  int fd = text_file("readable text");
  assert_true(rc_ok(channel_pipe(pipe, &e)));
  assert_true(rc_ok(channel_fd_write(pipe[1], S("by pipe"), &e)));
  channel_close(&pipe[1]);
  const int both[] = {fd, pipe[0]};
  assert_true(rc_ok(channel_post(ends[0], 'T', both, 2, &e)));
  assert_true(rc_ok(channel_post(ends[0], 'R', NULL, 0, &e)));
  assert_true(rc_ok(channel_post(ends[0], 'U', both, 1, &e)));
  channel_close(&fd);
  channel_close(&pipe[0]);
  assert_true(rc_ok(channel_take(ends[1], true, &notice, fds, &e)));
  assert_int_equal(notice, 'T');
  assert_int_equal(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
  assert_true(rc_ok(channel_fd_read(&fds[0], text, sizeof text, &n, &e)));
  assert_true(slice_is(slice_of(text, n), "readable text"));
  assert_int_equal(fds[0], -1);
  assert_true(rc_is(channel_fd_read(&fds[1], text, 3, &n, &e), RC_FULL));
  assert_int_equal(fds[1], -1);
  assert_true(rc_ok(channel_take(ends[1], true, &notice, fds, &e)));
  assert_int_equal(notice, 'R');
  assert_int_equal(fds[0], -1);
  assert_true(rc_ok(channel_take(ends[1], false, &notice, fds, &e)));
  assert_int_equal(notice, 'U');
  assert_true(fds[0] >= 0);
  assert_int_equal(fds[1], -1);
  channel_close(&fds[0]);
  channel_close(&ends[0]);
  assert_true(rc_is(channel_take(ends[1], true, &notice, fds, &e), RC_CLOSED));
  assert_true(rc_is(channel_post(ends[1], 'x', NULL, 0, &e), RC_CLOSED));
  channel_close(&ends[1]);
}

static void test_handed_over_text_is_read_within_its_cap(void **state)
{
  char text[16];
  size_t n = 99;
  int fd = text_file("12345");
  assert_true(rc_is(channel_fd_read(&fd, text, 4, &n, NULL), RC_FULL));
  assert_int_equal(fd, -1);
  assert_int_equal(n, 99);
  fd = text_file("12345");
  assert_true(rc_ok(channel_fd_read(&fd, text, 5, &n, NULL)));
  assert_true(slice_is(slice_of(text, n), "12345"));
  fd = open("/", O_RDONLY | O_CLOEXEC);
  assert_true(rc_is(channel_fd_read(&fd, text, 5, &n, NULL), RC_IO));
  fd = -1;
  assert_true(rc_is(channel_fd_read(&fd, text, 5, &n, NULL), RC_IO));
}

/* In a program that was started without standard input, 0 is a descriptor as any other. */
static int use_zero(void)
{
  char notice;
  int ends[2], fds[CHANNEL_FDS], sent[1] = {0};
  if (!rc_ok(channel_control(ends, NULL))) return 1;
  (void)close(0);
  if (open("/dev/null", O_RDONLY | O_CLOEXEC) != 0) return 2;
  if (!rc_ok(channel_post(ends[0], 'Z', sent, 1, NULL))) return 3;
  channel_shut(sent[0]);
  channel_close(&sent[0]);
  if (fcntl(0, F_GETFD) >= 0 || errno != EBADF) return 4;
  if (!rc_ok(channel_take(ends[1], false, &notice, fds, NULL)) || fds[0] != 0) return 5;
  channel_close(&fds[0]);
  int pair[2];
  if (!rc_ok(channel_stream(pair, NULL)) || pair[0] != 0) return 6;
  channel_shut(pair[0]);
  size_t n;
  if (!rc_is(channel_read(pair[1], &notice, 1, &n, NULL), RC_CLOSED)) return 7;
  return 0;
}

static void test_descriptor_zero_is_one(void **state)
{
  assert_int_equal(in_child(use_zero), 0);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_stream_carries_bytes_until_an_end_goes),
    cmocka_unit_test(test_what_is_kept_closes_on_exec),
    cmocka_unit_test(test_control_channel_hands_over_descriptors),
    cmocka_unit_test(test_handed_over_text_is_read_within_its_cap),
    cmocka_unit_test(test_descriptor_zero_is_one),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
