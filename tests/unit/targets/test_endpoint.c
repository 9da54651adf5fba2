/* How often and by what name an endpoint is asked; that it shows the certificate is tested against a real nginx. */
#include "targets/endpoint.h"

#include "base/buf.h"

#include "../arena.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

static void test_configurations(void **state)
{
  static const struct {
    const char *json, *host;
    uint16_t port;
    int64_t timeout_ms;
  } rows[] = {
    {"", "", 0, 10000},
    {"{}", "", 0, 10000},
    {"{\"endpoint\":\"localhost:8443\"}", "localhost", 8443, 10000}, /* enabled unless it says no */
    {"{\"endpoint\":\"[2001:db8::1]:443\",\"timeout\":2000000000}", "2001:db8::1", 443, 2001},
    {"{\"endpoint\":\"h:1\",\"timeout\":1}", "h", 1, 1},
    {"{\"endpoint\":\"h:1\",\"timeout\":0}", "h", 1, 10000},
    {"{\"endpoint\":\"h:1\",\"timeout\":60000000000}", "h", 1, 60001},
    {"{\"enabled\":false,\"endpoint\":\"localhost:8443\"}", "", 8443, 10000},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    endpoint_conf_t c = {.host = S("before")};
    assert_true(rc_ok(endpoint_conf_read(slice_str(rows[i].json), arena, &c, NULL)));
    assert_true(slice_is(c.host, rows[i].host));
    assert_int_equal(c.port, rows[i].port);
    assert_int_equal(c.timeout_ms, rows[i].timeout_ms);
  }
  endpoint_conf_t c = {0};
  assert_false(rc_ok(endpoint_conf_read(S("{\"endpoint\":\"nowhere\"}"), arena, &c, NULL)));
}

/* Hears how a handshake begins, and hangs up. */
typedef struct peer {
  int listener;
  uint16_t port;
  int asked;               /* connections */
  buf_t heard;             /* of all of them */
  pthread_t thread;
} peer_t;

static void *peer_main(void *self)
{
  peer_t *p = self;
  for (;;) {
    uint8_t chunk[4096];
    int fd = accept(p->listener, NULL, NULL);
    if (fd < 0) return NULL;
    ssize_t n = read(fd, chunk, sizeof chunk);
    if (n > 0) buf_put(&p->heard, slice_of(chunk, (size_t)n));
    p->asked++;
    close(fd);
  }
}

static void peer_start(peer_t *p)
{
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t n = sizeof at;
  *p = (peer_t){.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .heard = buf_heap(64 * 1024)};
  assert_int_equal(bind(p->listener, (struct sockaddr *)&at, sizeof at), 0);
  assert_int_equal(listen(p->listener, 16), 0);
  assert_int_equal(getsockname(p->listener, (struct sockaddr *)&at, &n), 0);
  p->port = ntohs(at.sin_port);
  assert_int_equal(pthread_create(&p->thread, NULL, peer_main, p), 0);
}

static void peer_stop(peer_t *p)
{
  shutdown(p->listener, SHUT_RDWR);
  pthread_join(p->thread, NULL);
  close(p->listener);
}

static void test_tries(void **state)
{
  static const struct {
    bool once;
    int64_t attempts;
    int asked;
    bool probed;
  } rows[] = {{true, 3, 1, false}, {false, 0, 1, true}, {false, 1, 2, true}, {false, 3, 4, true}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    peer_t p;
    err_t e = {0};
    deploy_result_t result = {.expected_sha256 = "ab", .actual_sha256 = "stale", .verified = true};
    buf_t report = buf_on(arena, LIM_DEPLOY_REPORT);
    peer_start(&p);
    endpoint_conf_t c = {.host = S("127.0.0.1"), .port = p.port, .timeout_ms = 5000, .attempts = rows[i].attempts, .backoff_ms = 1, .max_backoff_ms = 2};
    deploy_context_t cx = {.arena = arena, .time = &timesrc_system, .report = &report};
    rc_t r = endpoint_verify(&cx, &c, S("www.example.test"), rows[i].once, &result, &e);
    peer_stop(&p);
    buf_fini(&p.heard);
    assert_true(rc_is(r, RC_INVALID));
    assert_string_equal(e.reason, "deploy_verify");
    assert_int_equal(p.asked, rows[i].asked);
    assert_int_equal(result.probed, rows[i].probed);
    assert_false(result.verified || result.verify_skipped);
    assert_string_equal(result.actual_sha256, "");
    assert_non_null(memmem(report.p, report.n, "could not be asked what it serves: ", 35));
  }
}

/* Milliseconds between two tries: doubled, but never above the most. */
static void test_pauses(void **state)
{
  peer_t p;
  deploy_result_t result = {0};
  peer_start(&p);
  endpoint_conf_t c = {.host = S("127.0.0.1"), .port = p.port, .timeout_ms = 5000, .attempts = 4, .backoff_ms = 40, .max_backoff_ms = 80};
  deploy_context_t cx = {.arena = arena, .time = &timesrc_system};
  int64_t begun = time_mono_us(&timesrc_system);
  assert_false(rc_ok(endpoint_verify(&cx, &c, S(""), false, &result, NULL)));
  int64_t ms = (time_mono_us(&timesrc_system) - begun) / 1000;
  peer_stop(&p);
  buf_fini(&p.heard);
  assert_true(ms >= 100 + 40 + 80 + 80 + 80);
}

static void test_names_that_are_asked_for(void **state)
{
  static const struct {
    const char *name, *sni; /* sni NULL: none is sent */
  } rows[] = {{"www.example.test", "www.example.test"}, {"*.example.test", "www.example.test"}, {"192.0.2.1", NULL}, {"2001:db8::1", NULL}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    peer_t p;
    deploy_result_t result = {0};
    peer_start(&p);
    endpoint_conf_t c = {.host = S("127.0.0.1"), .port = p.port, .timeout_ms = 5000};
    deploy_context_t cx = {.arena = arena, .time = &timesrc_system};
    assert_false(rc_ok(endpoint_verify(&cx, &c, slice_str(rows[i].name), true, &result, NULL)));
    peer_stop(&p);
    const char *sent = rows[i].sni ? rows[i].sni : rows[i].name;
    bool found = memmem(p.heard.p, p.heard.n, sent, strlen(sent)) != NULL;
    buf_fini(&p.heard);
    assert_int_equal(found, rows[i].sni != NULL);
  }
}

static void test_nothing_to_ask(void **state)
{
  deploy_result_t result = {0};
  deploy_context_t cx = {.arena = arena, .time = &timesrc_system};
  assert_true(rc_ok(endpoint_verify(&cx, &(endpoint_conf_t){.attempts = 3}, S("a.test"), false, &result, NULL)));
  assert_true(result.verify_skipped);
  assert_false(result.verified || result.probed);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    T(test_configurations),
    T(test_tries),
    T(test_pauses),
    T(test_names_that_are_asked_for),
    T(test_nothing_to_ask),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
