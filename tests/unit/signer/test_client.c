/* The client against a peer that is no signer: silent, half an answer, no answer that fits. */
#include "fixture.h"

enum { PATIENCE_MS = 100 };

typedef struct link {
  int peer;
  signer_client_t *client;
  arena_t *a;
} link_t;

static int setup(void **state)
{
  static link_t l;
  int ends[2];
  must_be_ok(channel_stream(ends, NULL), NULL);
  must_be_ok(signer_client_new(ends[0], PATIENCE_MS, &l.client, NULL), NULL);
  l.peer = ends[1];
  l.a = arena_new(1 << 20);
  assert_non_null(l.a);
  *state = &l;
  return 0;
}

static int teardown(void **state)
{
  link_t *l = *state;
  signer_client_free(l->client);
  channel_close(&l->peer);
  arena_free(l->a);
  return 0;
}

static void is_lost(link_t *l)
{
  err_t e = {0};
  slice_t pem;
  assert_true(rc_is(signer_ca_chain(l->client, S("iss-local"), l->a, &pem, &e), RC_CLOSED));
  assert_string_equal(e.reason, "signer_gone");
  assert_true(e.retry);
  assert_true(signer_client_dead(l->client));
}

static void test_silence_is_the_end(void **state)
{
  link_t *l = *state;
  assert_false(signer_client_dead(l->client));
  int64_t began = time_mono_us(&timesrc_system);
  is_lost(l);
  assert_true(time_mono_us(&timesrc_system) - began >= PATIENCE_MS * 1000);
  is_lost(l); /* at once, without asking: nothing more is written */
  uint8_t seen[4096];
  size_t n, more;
  must_be_ok(channel_read(l->peer, seen, sizeof seen, &n, NULL), NULL);
  channel_patience(l->peer, 1);
  assert_true(rc_is(channel_read(l->peer, seen, sizeof seen, &more, NULL), RC_AGAIN));
}

static void test_half_an_answer_is_the_end(void **state)
{
  link_t *l = *state;
  must_be_ok(channel_write(l->peer, slice_of("\0\0", 2), NULL), NULL);
  is_lost(l);
}

static void test_an_answer_to_something_else_is_the_end(void **state)
{
  link_t *l = *state;
  buf_t frame BUF_SCOPED = buf_heap(LIM_SIGN_FRAME);
  size_t start = msg_frame_begin(&frame, MSG_TAIL);
  size_t item = msg_item_begin(&frame);
  must_be_ok(msg_put(&msg_tail, &(msg_tail_t){0}, &frame), NULL);
  msg_item_end(&frame, item);
  must_be_ok(msg_frame_end(&frame, start, 1), NULL);
  must_be_ok(channel_write(l->peer, buf_slice(&frame), NULL), NULL);
  is_lost(l);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_silence_is_the_end, setup, teardown),
      cmocka_unit_test_setup_teardown(test_half_an_answer_is_the_end, setup, teardown),
      cmocka_unit_test_setup_teardown(test_an_answer_to_something_else_is_the_end, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
