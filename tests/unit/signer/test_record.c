#include "folder.h"

#include "crypto/hash.h"
#include "signer/record_int.h"

static record_signature_t signature(const char *ref, const char *der)
{
  static const uint8_t digest[RECORD_DIGEST] = {7};
  return (record_signature_t){slice_str(ref), S("iss-local"), {digest, sizeof digest}, S("context"), slice_str(der)};
}

static record_t *opened(fixture_t *f)
{
  err_t e = {0};
  record_t *r;
  must_be_ok(record_open(&f->dir, "record.log", &r, &e), &e);
  return r;
}

static void add(record_t *r, const char *ref, const char *der)
{
  err_t e = {0};
  record_signature_t s = signature(ref, der);
  must_be_ok(record_sign(r, (us_t){1}, &s), NULL);
  must_be_ok(record_commit(r, &e), &e);
}

static void expect(fixture_t *f, record_t *r, const char *ref, const char *der)
{
  err_t e = {0};
  record_signature_t s;
  rc_t code = record_find(r, slice_str(ref), f->arena, &s, &e);
  if (!der) {
    assert_true(rc_is(code, RC_NOTFOUND));
    return;
  }
  must_be_ok(code, &e);
  assert_true(slice_is(s.der, der));
  assert_true(slice_is(s.ref, ref));
  assert_true(slice_is(s.context, "context"));
}

static buf_t contents(fixture_t *f)
{
  err_t e = {0};
  buf_t b = buf_on(f->arena, 64 * 1024 * 1024);
  must_be_ok(file_read(&f->dir, "record.log", 64 * 1024 * 1024, &b, &e), &e);
  return b;
}

static void replace(fixture_t *f, slice_t bytes)
{
  err_t e = {0};
  must_be_ok(file_write(&f->dir, "record.log", bytes, FILE_PRIVATE, &e), &e);
}

static void test_pending_and_committed_are_found(void **state)
{
  err_t e = {0};
  record_t *r = opened(&fx);
  record_signature_t s = signature("a", "der-a");
  must_be_ok(record_sign(r, (us_t){1}, &s), NULL);
  expect(&fx, r, "a", "der-a");
  expect(&fx, r, "b", NULL);
  must_be_ok(record_commit(r, &e), &e);
  add(r, "b", "der-b");
  expect(&fx, r, "a", "der-a");
  expect(&fx, r, "b", "der-b");
  record_free(r);
  r = opened(&fx);
  expect(&fx, r, "a", "der-a");
  expect(&fx, r, "b", "der-b");
  assert_int_equal(record_stats(r).signatures, 2);
  record_free(r);
}

/* Whatever byte a crash stops at, all entries before it are there and the next one can be added. */
static void test_every_torn_tail_is_cut(void **state)
{
  err_t e = {0};
  record_t *r = opened(&fx);
  add(r, "a", "der-a");
  size_t one = (size_t)record_stats(r).bytes;
  add(r, "b", "der-b");
  record_free(r);
  buf_t whole = contents(&fx);
  for (size_t n = 0; n < whole.n; n++) {
    replace(&fx, slice_sub(buf_slice(&whole), 0, n));
    r = opened(&fx);
    expect(&fx, r, "a", n >= one ? "der-a" : NULL);
    expect(&fx, r, "b", NULL);
    add(r, "c", "der-c");
    expect(&fx, r, "c", "der-c");
    record_free(r);
    record_stats_t stats;
    uint64_t torn;
    must_be_ok(record_check(&fx.dir, "record.log", NULL, NULL, &stats, &torn, &e), &e);
    assert_int_equal(torn, 0);
    assert_int_equal(stats.signatures, n >= one ? 2 : 1);
  }
}

/* A crash may leave a block of the last batch unwritten: what follows it goes too, but nothing before. */
static void test_every_changed_byte_is_noticed(void **state)
{
  record_t *r = opened(&fx);
  add(r, "a", "der-a");
  size_t one = (size_t)record_stats(r).bytes;
  add(r, "b", "der-b");
  record_free(r);
  buf_t whole = contents(&fx);
  for (size_t i = RECORD_START; i < whole.n; i++) {
    record_stats_t stats;
    uint64_t torn = 0;
    whole.p[i] ^= 0x10;
    replace(&fx, buf_slice(&whole));
    err_t e = {0};
    rc_t code = record_check(&fx.dir, "record.log", NULL, NULL, &stats, &torn, &e);
    assert_true(!rc_ok(code) || torn > 0); /* a length that grew looks like an unfinished entry */
    if (!rc_ok(code)) assert_string_equal(e.reason, "record_damaged");
    r = opened(&fx);
    expect(&fx, r, "a", i >= one ? "der-a" : NULL);
    expect(&fx, r, "b", NULL);
    record_free(r);
    whole.p[i] ^= 0x10;
  }
}

/* Far from the end no crash did it: cutting there would drop signatures that were answered. */
static void test_damage_far_from_the_end_refuses_the_start(void **state)
{
  enum { ENTRIES = 200, BODY = LIM_CERT_DER - 1 };
  static char der[BODY + 1];
  err_t e = {0};
  record_t *r = opened(&fx);
  memset(der, 'x', BODY);
  for (int i = 0; i < ENTRIES; i++) {
    char ref[16];
    (void)snprintf(ref, sizeof ref, "r%d", i);
    record_signature_t s = signature(ref, der);
    must_be_ok(record_sign(r, (us_t){1}, &s), NULL);
    if (i % 50 == 49) must_be_ok(record_commit(r, &e), &e);
  }
  record_free(r);
  buf_t whole = contents(&fx);
  assert_true(whole.n > LIM_SIGN_FRAME + 2 * (size_t)LIM_CERT_DER);
  uint32_t length = (uint32_t)whole.p[RECORD_START + 4] | (uint32_t)whole.p[RECORD_START + 5] << 8 | (uint32_t)whole.p[RECORD_START + 6] << 16;
  whole.p[RECORD_START + length + 8] ^= 1; /* head of the second entry */
  replace(&fx, buf_slice(&whole));
  assert_true(rc_is(record_open(&fx.dir, "record.log", &r, &e), RC_SYNTAX));
  assert_string_equal(e.reason, "record_damaged");
  assert_int_equal(e.limit, RECORD_START + length);
  whole.p[RECORD_START + length + 8] ^= 1;
  replace(&fx, buf_slice(&whole));
  r = opened(&fx);
  assert_int_equal(record_stats(r).signatures, ENTRIES);
  record_free(r);
}

static void test_a_foreign_file_is_refused(void **state)
{
  err_t e = {0};
  record_t *r;
  replace(&fx, S("this is somebody's diary, and it is longer than a format's name"));
  assert_true(rc_is(record_open(&fx.dir, "record.log", &r, &e), RC_SYNTAX));
  assert_string_equal(e.reason, "record_damaged");
}

static void test_one_signer_at_a_time(void **state)
{
  err_t e = {0};
  record_t *second;
  record_t *r = opened(&fx);
  assert_true(rc_is(record_open(&fx.dir, "record.log", &second, &e), RC_AGAIN));
  record_free(r);
}

/* More refs than the first table has slots, so that it grows; every one is found again, also after a restart. */
static void test_the_index_grows(void **state)
{
  enum { MANY = 10000 };
  err_t e = {0};
  record_t *r = opened(&fx);
  for (int i = 0; i < MANY; i++) {
    char ref[16];
    (void)snprintf(ref, sizeof ref, "job-%d", i);
    record_signature_t s = signature(ref, ref);
    must_be_ok(record_sign(r, (us_t){i}, &s), NULL);
    if (i % 500 == 499) must_be_ok(record_commit(r, &e), &e);
  }
  for (int pass = 0; pass < 2; pass++) {
    for (int i = 0; i < MANY; i += 7) {
      char ref[16];
      (void)snprintf(ref, sizeof ref, "job-%d", i);
      expect(&fx, r, ref, ref);
      arena_reset(fx.arena);
    }
    expect(&fx, r, "job-10000", NULL);
    record_free(r);
    r = opened(&fx);
  }
  record_free(r);
}

static void test_heads(void **state)
{
  static const struct {
    uint32_t length;
    uint8_t type, padding;
    bool good;
  } rows[] = {
    {RECORD_HEAD + RECORD_SUM, RT_SIGNATURE, 0, true},      {RECORD_HEAD + RECORD_SUM, RT_EVENT, 0, true},
    {RECORD_HEAD + RECORD_SUM, RT_SIGNATURE - 1, 0, false}, {RECORD_HEAD + RECORD_SUM, RT_EVENT + 1, 0, false},
    {RECORD_HEAD + RECORD_SUM, RT_REFUSAL, 1, false},       {RECORD_HEAD + RECORD_SUM + 16, RT_REFUSAL, 15, true},
    {RECORD_HEAD + RECORD_SUM + 16, RT_REFUSAL, 16, false}, {RECORD_HEAD + RECORD_SUM - 16, RT_REFUSAL, 0, false},
    {RECORD_HEAD + RECORD_SUM + 8, RT_REFUSAL, 0, false},   {RECORD_ENTRY_MAX, RT_REFUSAL, 0, true},
    {RECORD_ENTRY_MAX + 16, RT_REFUSAL, 0, false},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    record_head_t h = {0};
    uint8_t head[RECORD_HEAD] = "CTRE";
    le_put(head + 4, rows[i].length, 4);
    head[12] = rows[i].type;
    head[13] = rows[i].padding;
    if (record_head_read(head, &h) != rows[i].good) fail_msg("row %zu", i);
    assert_int_equal(h.length, rows[i].good ? rows[i].length : 0);
    head[15] = 1;
    assert_false(record_head_read(head, &h));
  }
}

static rc_t take_line(void *self, slice_t line)
{
  buf_t *b = (buf_t *)self;
  buf_put(b, line);
  buf_byte(b, '\n');
  return rc(RC_OK);
}

/* A certificate is shown by its digest, and by nothing else when it cannot be read. */
static void test_dump(void **state)
{
  err_t e = {0};
  record_stats_t stats;
  uint64_t torn;
  buf_t lines = buf_on(fx.arena, 64 * 1024);
  record_t *r = opened(&fx);
  record_refusal_t no = {S("b"), S("iss-local"), S("ceiling_names"), S("names"), S("x.test")};
  record_event_t event = {S("ca_made"), S("iss-local"), S("detail")};
  add(r, "a", "der-a");
  must_be_ok(record_refuse(r, (us_t){2}, &no), NULL);
  must_be_ok(record_note(r, (us_t){3}, &event), NULL);
  must_be_ok(record_commit(r, &e), &e);
  record_free(r);
  must_be_ok(record_check(&fx.dir, "record.log", take_line, &lines, &stats, &torn, &e), &e);
  assert_int_equal(stats.entries, 3);
  assert_int_equal(stats.signatures, 1);
  buf_byte(&lines, 0);
  const char *text = (const char *)lines.p;
  char digest[2 * SHA256_LEN + 1];
  sha256_hex(S("der-a"), digest);
  assert_non_null(strstr(text, "\"kind\":\"signature\",\"ref\":\"a\",\"issuer\":\"iss-local\",\"context\":\"context\",\"sha256\":\""));
  assert_non_null(strstr(text, digest));
  assert_null(strstr(text, "serial"));
  assert_non_null(strstr(text, "\"kind\":\"refusal\",\"ref\":\"b\",\"issuer\":\"iss-local\",\"reason\":\"ceiling_names\",\"field\":\"names\",\"value\":\"x.test\"}\n"));
  assert_non_null(strstr(text, "\"kind\":\"event\",\"event\":\"ca_made\",\"issuer\":\"iss-local\",\"detail\":\"detail\"}\n"));
}

/* A run of refusals is looked through 4096 entries at a time. */
static void test_tail_behind_many_refusals(void **state)
{
  enum { STEPS = 4096 };
  err_t e = {0};
  record_entry_t v[1];
  size_t n;
  uint64_t before = 0;
  record_t *r = opened(&fx);
  record_refusal_t no = {.reason = S("no")};
  add(r, "a", "der-a");
  uint64_t first_end = record_stats(r).bytes;
  for (int i = 0; i < STEPS; i++) must_be_ok(record_refuse(r, (us_t){1}, &no), NULL);
  must_be_ok(record_commit(r, &e), &e);
  must_be_ok(record_tail(r, 0, 1, fx.arena, v, &n, &before, &e), &e);
  assert_int_equal(n, 0);
  assert_int_equal(before, first_end);
  must_be_ok(record_tail(r, before, 1, fx.arena, v, &n, &before, &e), &e);
  assert_int_equal(n, 1);
  assert_int_equal(before, 0);
  record_free(r);
}

static void test_tail_pages(void **state)
{
  err_t e = {0};
  record_entry_t v[3];
  size_t n;
  uint64_t before = 0;
  record_t *r = opened(&fx);
  must_be_ok(record_tail(r, 0, 3, fx.arena, v, &n, &before, &e), &e);
  assert_int_equal(n, 0);
  assert_int_equal(before, 0);
  for (int i = 0; i < 5; i++) {
    char ref[16];
    (void)snprintf(ref, sizeof ref, "r%d", i);
    add(r, ref, "der");
  }
  must_be_ok(record_tail(r, 0, 3, fx.arena, v, &n, &before, &e), &e);
  assert_int_equal(n, 3);
  assert_true(slice_is(v[0].ref, "r4") && slice_is(v[2].ref, "r2"));
  assert_int_not_equal(before, 0);
  must_be_ok(record_tail(r, before, 3, fx.arena, v, &n, &before, &e), &e);
  assert_int_equal(n, 2);
  assert_true(slice_is(v[1].ref, "r0"));
  assert_int_equal(before, 0);
  assert_true(rc_is(record_tail(r, 40, 3, fx.arena, v, &n, &before, &e), RC_INVALID));
  assert_true(rc_is(record_tail(r, UINT64_C(1) << 50, 3, fx.arena, v, &n, &before, &e), RC_INVALID));
  record_free(r);
}

/* The disk refuses the n-th step of a commit: the entry does not count, earlier ones do, and the next commit works. */
static void test_a_failed_commit_takes_back_its_entries(void **state)
{
  record_t *r = opened(&fx);
  add(r, "a", "der-a");
  int failed = 0;
  for (long n = 0;; n++) {
    err_t e = {0};
    record_signature_t s = signature("b", "der-b");
    must_be_ok(record_sign(r, (us_t){1}, &s), NULL);
    file_fail_after(n, false);
    rc_t code = record_commit(r, &e);
    file_fail_after(-1, false);
    if (rc_ok(code)) break;
    failed++;
    assert_false(record_broken(r));
    expect(&fx, r, "a", "der-a");
    expect(&fx, r, "b", NULL);
  }
  assert_int_equal(failed, 2); /* the write and the fdatasync */
  expect(&fx, r, "b", "der-b");
  record_free(r);
  r = opened(&fx);
  expect(&fx, r, "b", "der-b");
  record_free(r);
}

/* A disk that refuses everything leaves a record that says so and takes nothing more. */
static void test_a_dead_disk_breaks_the_record(void **state)
{
  err_t e = {0};
  record_t *r = opened(&fx);
  add(r, "a", "der-a");
  record_signature_t s = signature("b", "der-b");
  must_be_ok(record_sign(r, (us_t){1}, &s), NULL);
  file_fail_after(0, true);
  assert_false(rc_ok(record_commit(r, &e)));
  file_fail_after(-1, false);
  assert_true(record_broken(r));
  assert_true(rc_is(record_commit(r, &e), RC_IO));
  assert_string_equal(e.reason, "record_broken");
  expect(&fx, r, "a", "der-a");
  record_free(r);
}

/* The n-th allocation fails: the call says so, nothing is half done, and the next call works. */
static void test_allocations_may_fail(void **state)
{
  record_t *r = opened(&fx);
  add(r, "a", "der-a");
  record_free(r);
  for (long n = 0;; n++) {
    err_t e = {0};
    mem_fail_after(n);
    rc_t code = record_open(&fx.dir, "record.log", &r, &e);
    mem_fail_after(-1);
    if (rc_ok(code)) {
      assert_true(n > 2);
      break;
    }
    assert_true(rc_is(code, RC_NOMEM));
  }
  expect(&fx, r, "a", "der-a");
  record_free(r);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, fresh, gone)
      T(test_pending_and_committed_are_found),
      T(test_every_torn_tail_is_cut),
      T(test_every_changed_byte_is_noticed),
      T(test_damage_far_from_the_end_refuses_the_start),
      T(test_a_foreign_file_is_refused),
      T(test_one_signer_at_a_time),
      T(test_the_index_grows),
      cmocka_unit_test(test_heads),
      T(test_dump),
      T(test_tail_pages),
      T(test_tail_behind_many_refusals),
      T(test_a_failed_commit_takes_back_its_entries),
      T(test_a_dead_disk_breaks_the_record),
      T(test_allocations_may_fail),
  };
  log_setup(LOG_ERROR, false);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
