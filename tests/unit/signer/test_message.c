#include "fixture.h"

#include "signer/record.h"

static arena_t *arena;

/* A request with something in every member. */
static sign_request_t full(void)
{
  static const slice_t names[] = {{(const uint8_t *)"a.example.com", 13}, {(const uint8_t *)"", 0}, {(const uint8_t *)"b", 1}};
  return (sign_request_t){.ref = S("job"), .issuer = S("iss"), .csr_der = S("csr"), .common_name = S("cn"), .names = {names, 3},
                          .lifetime_s = -5, .profile_max_s = INT64_MAX, .profile_keys = {names + 2, 1}, .ekus = {names, 1},
                          .must_staple = true, .context = S("\0ctx")};
}

static bool texts_eq(texts_t a, texts_t b)
{
  if (a.n != b.n) return false;
  for (size_t i = 0; i < a.n; i++)
    if (!slice_eq(a.v[i], b.v[i])) return false;
  return true;
}

static void test_request_comes_back(void **state)
{
  sign_request_t in = full(), out;
  BUF_SCOPED buf_t b = buf_heap(1 << 20);
  assert_true(rc_ok(msg_put(&msg_sign_request, &in, &b)));
  slice_t rest = buf_slice(&b);
  assert_true(rc_ok(msg_get(&msg_sign_request, &rest, arena, &out)));
  assert_int_equal(rest.n, 0);
  assert_true(slice_eq(in.ref, out.ref) && slice_eq(in.issuer, out.issuer) && slice_eq(in.csr_der, out.csr_der));
  assert_true(slice_eq(in.common_name, out.common_name) && slice_eq(in.context, out.context));
  assert_true(texts_eq(in.names, out.names) && texts_eq(in.profile_keys, out.profile_keys) && texts_eq(in.ekus, out.ekus));
  assert_int_equal(in.lifetime_s, out.lifetime_s);
  assert_int_equal(in.profile_max_s, out.profile_max_s);
  assert_true(out.must_staple);
}

static void test_every_cut_is_a_syntax_error(void **state)
{
  sign_request_t in = full(), out;
  BUF_SCOPED buf_t b = buf_heap(1 << 20);
  assert_true(rc_ok(msg_put(&msg_sign_request, &in, &b)));
  for (size_t n = 0; n < b.n; n++) {
    slice_t rest = slice_of(b.p, n);
    assert_true(rc_is(msg_get(&msg_sign_request, &rest, arena, &out), RC_SYNTAX));
  }
}

static void test_lengths_are_bounded_both_ways(void **state)
{
  static const uint8_t big[129] = {0};
  sign_request_t in = full(), out;
  BUF_SCOPED buf_t b = buf_heap(1 << 20);
  in.ref = slice_of(big, 129);
  assert_true(rc_is(msg_put(&msg_sign_request, &in, &b), RC_FULL));
  buf_reset(&b);
  in.ref = slice_of(big, 128);
  assert_true(rc_ok(msg_put(&msg_sign_request, &in, &b)));
  b.p[0] = 129; /* the other side claims more */
  slice_t rest = buf_slice(&b);
  assert_true(rc_is(msg_get(&msg_sign_request, &rest, arena, &out), RC_FULL));

  slice_t many[LIM_CERT_NAMES + 2] = {{NULL, 0}};
  buf_reset(&b);
  in = (sign_request_t){.names = {many, COUNT_OF(many)}};
  assert_true(rc_is(msg_put(&msg_sign_request, &in, &b), RC_FULL));
  buf_reset(&b);
  in.names.n = LIM_CERT_NAMES + 1;
  assert_true(rc_ok(msg_put(&msg_sign_request, &in, &b)));
  rest = buf_slice(&b);
  assert_true(rc_ok(msg_get(&msg_sign_request, &rest, arena, &out)));
  assert_int_equal(out.names.n, LIM_CERT_NAMES + 1);
  b.p[4 * 4]++; /* behind the four texts before it, all empty */
  rest = buf_slice(&b);
  assert_true(rc_is(msg_get(&msg_sign_request, &rest, arena, &out), RC_FULL));
}

static void test_a_frame_has_a_longest_body(void **state)
{
  for (size_t over = 0; over < 2; over++) {
    size_t body = 0;
    BUF_SCOPED buf_t b = buf_heap(LIM_SIGN_FRAME + MSG_HEAD + 1);
    size_t start = msg_frame_begin(&b, MSG_SIGN);
    assert_non_null(buf_grow(&b, LIM_SIGN_FRAME + over));
    rc_t r = msg_frame_end(&b, start, 1);
    assert_int_equal(r.code, over ? RC_FULL : RC_OK);
    le_put(b.p + 8, LIM_SIGN_FRAME + over, 4);
    r = msg_head_check(b.p, &body);
    assert_int_equal(r.code, over ? RC_FULL : RC_OK);
    assert_int_equal(body, over ? 0 : LIM_SIGN_FRAME);
  }
}

static void test_frames(void **state)
{
  msg_frame_t f;
  slice_t item;
  BUF_SCOPED buf_t b = buf_heap(1 << 20);
  size_t start = msg_frame_begin(&b, MSG_TAIL | MSG_REPLY);
  for (int i = 0; i < 3; i++) {
    size_t at = msg_item_begin(&b);
    buf_byte(&b, (uint8_t)i);
    msg_item_end(&b, at);
  }
  assert_true(rc_ok(msg_frame_end(&b, start, 3)));
  assert_true(rc_ok(msg_frame_parse(buf_slice(&b), &f)));
  assert_int_equal(f.kind, MSG_TAIL);
  assert_true(f.reply);
  for (int i = 0; i < 3; i++) {
    assert_true(rc_ok(msg_item_next(&f.body, &item)));
    assert_int_equal(item.n, 1);
    assert_int_equal(item.p[0], i);
  }
  assert_true(rc_is(msg_item_next(&f.body, &item), RC_SYNTAX));

  for (size_t n = 0; n < b.n; n++) assert_false(rc_ok(msg_frame_parse(slice_of(b.p, n), &f)));
  static const struct {
    size_t at;
    uint8_t value;
    int32_t code;
  } rows[] = {{0, 'X', RC_SYNTAX}, {2, 9, RC_SYNTAX}, {5, 0xff, RC_SYNTAX}, {11, 0x7f, RC_FULL}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    uint8_t was = b.p[rows[i].at];
    b.p[rows[i].at] = rows[i].value;
    assert_true(rc_is(msg_frame_parse(buf_slice(&b), &f), rows[i].code));
    b.p[rows[i].at] = was;
  }
}

/* The signer's table: what no honest client sends ends the connection, and the signer with it. */
static void test_messages_that_nobody_may_send(void **state)
{
  static const struct {
    unsigned kind;
    uint32_t count;
  } rows[] = {{0, 1}, {MSG_TAIL + 1, 1}, {127, 1}, {MSG_SIGN, 0}, {MSG_SIGN, LIM_SIGN_BATCH + 1}, {MSG_CHAIN, 2}, {MSG_TAIL | MSG_REPLY, 1},
              {MSG_SIGN, 1} /* an item that is no request */};
  fixture_t f;
  fixture_folder(&f);
  err_t e = {0};
  must_be_ok(fixture_open(&f, (slice_t){NULL, 0}, (slice_t){NULL, 0}, (slice_t){NULL, 0}, &e), &e);
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    BUF_SCOPED buf_t b = buf_heap(1 << 20), out = buf_heap(1 << 20);
    msg_frame_t frame;
    size_t start = msg_frame_begin(&b, rows[i].kind);
    for (uint32_t k = 0; k < rows[i].count; k++) {
      size_t at = msg_item_begin(&b);
      buf_puts(&b, "abcdefgh");
      msg_item_end(&b, at);
    }
    must_be_ok(msg_frame_end(&b, start, rows[i].count), NULL);
    must_be_ok(msg_frame_parse(buf_slice(&b), &frame), NULL);
    e = (err_t){0};
    assert_false(rc_ok(signer_answer(f.signer, &frame, &out, &e)));
    assert_true(strcmp(e.reason, "message_kind") == 0 || strcmp(e.reason, "message_items") == 0);
  }
  signer_free(f.signer);
  fixture_clean(&f);
}

/* A frame of n times the same sign request, as the client would send it. */
static void put_sign(fixture_t *f, sigkey_t *key, const char *ref, uint32_t n, buf_t *b)
{
  static const char *const names[] = {"www.example.com"};
  static const slice_t texts[] = {{(const uint8_t *)"www.example.com", 15}};
  sign_request_t rq = {.ref = slice_str(ref), .issuer = S("iss-local"), .csr_der = fixture_csr(f, key, names, 1), .names = {texts, 1},
                       .lifetime_s = 3600};
  size_t start = msg_frame_begin(b, MSG_SIGN);
  for (uint32_t i = 0; i < n; i++) {
    size_t at = msg_item_begin(b);
    must_be_ok(msg_put(&msg_sign_request, &rq, b), NULL);
    msg_item_end(b, at);
  }
  must_be_ok(msg_frame_end(b, start, n), NULL);
}

/* The outcomes of the items of a reply to sign requests. */
static void outcomes(const buf_t *reply, uint32_t n, msg_outcome_t *ret)
{
  msg_frame_t f;
  slice_t item;
  must_be_ok(msg_frame_parse(buf_slice(reply), &f), NULL);
  assert_int_equal(f.count, n);
  for (uint32_t i = 0; i < n; i++) {
    must_be_ok(msg_item_next(&f.body, &item), NULL);
    must_be_ok(msg_get(&msg_outcome, &item, arena, &ret[i]), NULL);
  }
}

/* Nor the one that found its certificate in the entries that were then taken back. */
static void test_nobody_gets_what_could_not_be_recorded(void **state)
{
  enum { TWICE = 2 };
  fixture_t f;
  err_t e = {0};
  fixture_folder(&f);
  must_be_ok(fixture_open(&f, (slice_t){NULL, 0}, (slice_t){NULL, 0}, (slice_t){NULL, 0}, &e), &e);
  KEY_SCOPED sigkey_t *key = fixture_key(KEY_P256, 0);
  BUF_SCOPED buf_t in = buf_heap(1 << 16);
  put_sign(&f, key, "twice", TWICE, &in);
  for (int disk_is_full = 1; disk_is_full >= 0; disk_is_full--) {
    BUF_SCOPED buf_t out = buf_heap(1 << 20);
    msg_frame_t frame;
    msg_outcome_t got[TWICE];
    must_be_ok(msg_frame_parse(buf_slice(&in), &frame), NULL);
    file_fail_after(disk_is_full - 1, false);
    must_be_ok(signer_answer(f.signer, &frame, &out, &e), &e);
    file_fail_after(-1, false);
    outcomes(&out, TWICE, got);
    for (int i = 0; i < TWICE; i++) {
      assert_int_equal(got[i].code, disk_is_full ? RC_IO : RC_OK);
      assert_int_equal(got[i].retry, disk_is_full);
    }
  }
  signer_free(f.signer);
  fixture_clean(&f);
}

/*
 * The n-th allocation fails: the request or the frame is refused, nothing is recorded by halves, and the same request
 * then succeeds.
 */
static void test_allocations_may_fail(void **state)
{
  fixture_t f;
  err_t e = {0};
  fixture_folder(&f);
  must_be_ok(fixture_open(&f, (slice_t){NULL, 0}, (slice_t){NULL, 0}, (slice_t){NULL, 0}, &e), &e);
  KEY_SCOPED sigkey_t *key = fixture_key(KEY_P256, 0);
  BUF_SCOPED buf_t in = buf_heap(1 << 16);
  put_sign(&f, key, "torture", 1, &in);
  long n = 0;
  for (bool signed_now = false; !signed_now; n++) {
    BUF_SCOPED buf_t out = buf_heap(1 << 20);
    msg_frame_t frame;
    msg_outcome_t outcome;
    must_be_ok(msg_frame_parse(buf_slice(&in), &frame), NULL);
    mem_fail_after(n);
    rc_t r = signer_answer(f.signer, &frame, &out, &e);
    mem_fail_after(-1);
    if (!rc_ok(r)) continue;
    outcomes(&out, 1, &outcome);
    signed_now = outcome.code == RC_OK;
    assert_true(n < 1000);
  }
  signer_free(f.signer);
  record_stats_t stats;
  uint64_t torn;
  must_be_ok(record_check(&f.dir, "record.log", NULL, NULL, &stats, &torn, &e), &e);
  assert_int_equal(stats.signatures, 1);
  assert_int_equal(torn, 0);
  fixture_clean(&f);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_request_comes_back),
      cmocka_unit_test(test_every_cut_is_a_syntax_error),
      cmocka_unit_test(test_lengths_are_bounded_both_ways),
      cmocka_unit_test(test_a_frame_has_a_longest_body),
      cmocka_unit_test(test_frames),
      cmocka_unit_test(test_messages_that_nobody_may_send),
      cmocka_unit_test(test_nobody_gets_what_could_not_be_recorded),
      cmocka_unit_test(test_allocations_may_fail),
  };
  log_setup(LOG_ERROR, false);
  arena = arena_new(16 * 1024 * 1024);
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  arena_free(arena);
  return failed;
}
