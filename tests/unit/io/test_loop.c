#include "io/loop.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { TASKS = 10000, BIG = 8 << 20 };

static loop_t *loop;
static sem_t done;
static atomic_int ran, opened, closed, fired, turns;
static atomic_bool order_ok, refuse_next;
static uint8_t *big;

static void wait_done(void)
{
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += 10;
  assert_int_equal(sem_timedwait(&done, &until), 0);
}

/* --- tasks --- */

typedef struct counted {
  loop_task_t task; /* first */
  int thread, number;
} counted_t;

static counted_t tasks[2][TASKS];
static int last[2];

static void count(loop_task_t *t)
{
  counted_t *c = (counted_t *)(void *)t;
  if (c->number != last[c->thread]++) atomic_store(&order_ok, false);
  if (atomic_fetch_add(&ran, 1) + 1 == 2 * TASKS) sem_post(&done);
}

static void *post_all(void *arg)
{
  counted_t *row = arg;
  for (int i = 0; i < TASKS; i++) loop_post(loop, &row[i].task);
  return NULL;
}

static void at_rest(void *self) { atomic_fetch_add((atomic_int *)self, 1); }

static void start(void)
{
  assert_int_equal(loop_new(&loop, NULL).code, RC_OK);
}

static void finish(void)
{
  loop_stop(loop);
  loop_free(loop);
}

static void test_tasks(void **state)
{
  pthread_t t[2];
  start();
  loop_at_rest(loop, at_rest, &turns);
  atomic_store(&order_ok, true);
  for (int k = 0; k < 2; k++) {
    last[k] = 0;
    for (int i = 0; i < TASKS; i++) tasks[k][i] = (counted_t){{NULL, count}, k, i};
  }
  assert_int_equal(loop_start(loop, "test", NULL).code, RC_OK);
  for (int k = 0; k < 2; k++) assert_int_equal(pthread_create(&t[k], NULL, post_all, tasks[k]), 0);
  for (int k = 0; k < 2; k++) pthread_join(t[k], NULL);
  wait_done();
  assert_true(atomic_load(&order_ok));
  assert_true(atomic_load(&turns) > 0);
  finish();
}

static void on_timer(void *self)
{
  if (atomic_fetch_add(&fired, 1) + 1 == 3) {
    loop_timer_clear(*(loop_timer_t **)self);
    sem_post(&done);
  }
}

static void test_timer(void **state)
{
  static loop_timer_t *t;
  start();
  assert_int_equal(loop_timer_new(loop, on_timer, &t, &t).code, RC_OK);
  loop_timer_set(t, 5, 5);
  assert_int_equal(loop_start(loop, "test", NULL).code, RC_OK);
  wait_done();
  finish();
  assert_int_equal(atomic_load(&fired), 3);
}

/* --- streams: sends back what it reads; "big" brings BIG bytes, "bye" the end --- */

typedef struct echo {
  bool answering;
} echo_t;

static bool on_opened(void *user, void *self)
{
  atomic_fetch_add(&opened, 1);
  char addr[LOOP_ADDR_MAX];
  assert_int_equal(loop_stream_peer(loop_stream_of(user), addr), 9);
  assert_string_equal(addr, "127.0.0.1");
  return !atomic_exchange(&refuse_next, false);
}

static void on_data(void *user, slice_t in)
{
  loop_stream_t *s = loop_stream_of(user);
  if (slice_is(in, "big")) {
    ((echo_t *)user)->answering = true;
    assert_int_equal(loop_stream_write(s, slice_of(big, BIG)).code, RC_OK);
    assert_true(loop_stream_queued(s) > 0);
  } else if (slice_is(in, "bye")) {
    assert_int_equal(loop_stream_write(s, S("goodbye")).code, RC_OK);
    loop_stream_shutdown(s);
    assert_int_equal(loop_stream_write(s, S("more")).code, RC_CLOSED);
  } else {
    assert_int_equal(loop_stream_write(s, in).code, RC_OK);
  }
}

static void on_ended(void *user, rc_t why) { loop_stream_close(loop_stream_of(user)); }

static void on_sent(void *user)
{
  assert_true(((echo_t *)user)->answering);
  assert_int_equal(loop_stream_write(loop_stream_of(user), S("end")).code, RC_OK);
}

static void on_closed(void *user) { atomic_fetch_add(&closed, 1); }

static const loop_stream_ops_t echo_ops = {sizeof(echo_t), on_opened, on_data, on_ended, on_sent, on_closed};

static uint16_t serve_echo(void)
{
  int fd;
  uint16_t port;
  loop_listener_t *ln;
  start();
  atomic_store(&opened, 0);
  atomic_store(&closed, 0);
  assert_int_equal(loop_listen_open(S("localhost"), 0, 1, &fd, &port, NULL).code, RC_OK);
  assert_int_equal(loop_listen(loop, fd, &echo_ops, NULL, &ln, NULL).code, RC_OK);
  assert_int_equal(loop_start(loop, "test", NULL).code, RC_OK);
  return port;
}

static int dial(uint16_t port)
{
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  struct timeval patience = {.tv_sec = 10};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
  return fd;
}

static void test_streams(void **state)
{
  uint16_t port = serve_echo();
  char text[16] = {0};
  int fd = dial(port);
  assert_int_equal(send(fd, "hello", 5, 0), 5);
  assert_int_equal(recv(fd, text, 5, MSG_WAITALL), 5);
  assert_string_equal(text, "hello");
  assert_int_equal(send(fd, "big", 3, 0), 3);
  usleep(50000); /* the socket fills */
  uint8_t *got = malloc(BIG);
  assert_non_null(got);
  assert_int_equal(recv(fd, got, BIG, MSG_WAITALL), BIG);
  assert_memory_equal(got, big, BIG);
  free(got);
  assert_int_equal(recv(fd, text, 3, MSG_WAITALL), 3);
  assert_memory_equal(text, "end", 3);
  assert_int_equal(send(fd, "bye", 3, 0), 3);
  assert_int_equal(recv(fd, text, 16, MSG_WAITALL), 7);
  (void)close(fd);
  atomic_store(&refuse_next, true);
  fd = dial(port);
  assert_true(recv(fd, text, 1, 0) <= 0);
  (void)close(fd);
  int left = dial(port); /* still open when the loop stops */
  assert_int_equal(send(left, "x", 1, 0), 1);
  assert_int_equal(recv(left, text, 1, 0), 1);
  finish();
  assert_int_equal(atomic_load(&opened), 3);
  assert_int_equal(atomic_load(&closed), 3);
  assert_true(recv(left, text, 1, 0) <= 0);
  (void)close(left);
}

/* On the loop's thread: the next allocation, that of a stream, fails. */
static void starve_now(loop_task_t *t)
{
  mem_fail_after(0);
  sem_post(&done);
}

static void test_accept_without_memory(void **state)
{
  static loop_task_t task = {NULL, starve_now};
  uint16_t port = serve_echo();
  loop_post(loop, &task);
  wait_done();
  char c;
  int fd = dial(port);
  assert_true(recv(fd, &c, 1, 0) <= 0);
  (void)close(fd);
  fd = dial(port); /* the listener lives on */
  assert_int_equal(send(fd, "x", 1, 0), 1);
  assert_int_equal(recv(fd, &c, 1, 0), 1);
  (void)close(fd);
  finish();
}

static void test_listen_faults(void **state)
{
  int fds[3], more[1];
  uint16_t port, again;
  err_t e = {0};
  assert_int_equal(loop_listen_open(S("127.0.0.1"), 0, 3, fds, &port, &e).code, RC_OK);
  assert_true(port > 0);
  assert_int_equal(loop_listen_open(S("127.0.0.1"), port, 1, more, &again, &e).code, RC_IO);
  assert_string_equal(e.text, "address already in use");
  assert_non_null(strstr(e.value, "127.0.0.1:"));
  for (int i = 0; i < 3; i++) (void)close(fds[i]);
  assert_int_equal(loop_listen_open(S("127.0.0.1"), port, 2, fds, &again, &e).code, RC_OK);
  for (int i = 0; i < 2; i++) (void)close(fds[i]);
  assert_int_equal(loop_listen_open(S("[127.0.0.1]"), 0, 1, more, &again, &e).code, RC_OK);
  (void)close(more[0]);
  static const char *const bad[] = {"example.test", "127.0.0.1.5", "1.2.3", "[::1", "[127.0.0.1", "127.0.0.1]", "[]", "a b",
                                    "0000:0000:0000:0000:0000:0000:0000:0000:0000:0001",
                                    "0000000000000000000000000000000000000000000000000000000000000001"}; /* LOOP_ADDR_MAX bytes */
  for (size_t i = 0; i < COUNT_OF(bad); i++) {
    assert_int_equal(loop_listen_open(slice_str(bad[i]), 0, 1, more, &again, &e).code, RC_INVALID);
    assert_string_equal(e.value, bad[i]);
  }
}

/* Out of memory is not mistaken for a fault of the system. */
static void test_no_memory(void **state)
{
  for (long n = 0; n < 2; n++) {
    loop_t *l = NULL;
    mem_fail_after(n);
    assert_int_equal(loop_new(&l, NULL).code, RC_NOMEM);
    mem_fail_after(-1);
    assert_null(l);
  }
  int fd;
  uint16_t port;
  loop_listener_t *ln = NULL;
  start();
  assert_int_equal(loop_listen_open(S("127.0.0.1"), 0, 1, &fd, &port, NULL).code, RC_OK);
  mem_fail_after(0);
  assert_int_equal(loop_listen(loop, fd, &echo_ops, NULL, &ln, NULL).code, RC_NOMEM);
  mem_fail_after(-1);
  assert_int_equal(fcntl(fd, F_GETFD), -1); /* closed */
  assert_null(ln);
  assert_int_equal(loop_listen_open(S("127.0.0.1"), 0, 1, &fd, &port, NULL).code, RC_OK);
  assert_int_equal(loop_listen(loop, fd, &echo_ops, NULL, &ln, NULL).code, RC_OK);
  loop_listen_close(ln);
  loop_listen_close(ln);
  loop_listen_close(NULL);
  finish();
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_tasks), cmocka_unit_test(test_timer), cmocka_unit_test(test_streams), cmocka_unit_test(test_accept_without_memory),
    cmocka_unit_test(test_listen_faults), cmocka_unit_test(test_no_memory),
  };
  (void)sem_init(&done, 0, 0);
  big = malloc(BIG);
  if (!big) return 1;
  for (int i = 0; i < BIG; i++) big[i] = (uint8_t)(i * 31 ^ i >> 9);
  int r = cmocka_run_group_tests(tests, NULL, NULL);
  free(big);
  return r;
}
