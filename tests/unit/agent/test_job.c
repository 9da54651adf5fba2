/* What the agent makes of a work list, and of the answers it gets. */
#include "agent/deploy.h"
#include "agent/link.h"
#include "agent/request.h"
#include "wire/pem.h"
#include "../arena.h"

static rc_t item_of(const char *json, work_item_t *ret, err_t *e)
{
  json_doc_t doc = {0};
  assert_true(rc_ok(json_parse(arena, slice_str(json), &doc, NULL)));
  return work_item_read(doc.root, arena, ret, e);
}

static void test_items(void **state)
{
  work_item_t w = {0};
  assert_true(rc_ok(item_of("{\"id\":\"job-1\",\"type\":\"Issuance\",\"certificate_id\":\"mc-1\",\"common_name\":\"a.test\","
                            "\"sans\":[\"a.test\",\"192.0.2.1\"],\"status\":\"AwaitingCSR\",\"new_member\":{\"x\":1}}",
                            &w, NULL)));
  assert_true(slice_is(w.status, "AwaitingCSR"));
  assert_int_equal(w.sans.n, 2);
  assert_true(slice_is(w.target_config, "{}"));
  assert_true(rc_ok(item_of("{\"id\":\"job-2\",\"type\":\"Deployment\",\"certificate_id\":\"mc-1\",\"target_id\":null,"
                            "\"target_type\":\"NGINX\",\"target_config\":{\"cert_path\":\"/x\",\"n\":[1,2]},\"status\":\"Running\"}",
                            &w, NULL)));
  assert_true(slice_is(w.target_config, "{\"cert_path\":\"/x\",\"n\":[1,2]}"));
  assert_int_equal(w.target_id.n, 0);
  assert_int_equal(w.sans.n, 0);
}

static void test_items_that_are_refused(void **state)
{
  static const struct {
    const char *json, *field;
  } rows[] = {
    {"7", "jobs"},
    {"{}", "id"},
    {"{\"id\":\"../../etc\"}", "id"},
    {"{\"id\":\"a/status?x=\"}", "id"},
    {"{\"id\":5}", "id"},
    {"{\"id\":\"j\",\"sans\":\"a\"}", "sans"},
    {"{\"id\":\"j\",\"sans\":[1]}", "sans"},
    {"{\"id\":\"j\",\"target_config\":\"{}\"}", "target_config"},
    {"{\"id\":\"j\",\"common_name\":[]}", "common_name"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    work_item_t w = {0};
    err_t e = {0};
    assert_false(rc_ok(item_of(rows[i].json, &w, &e)));
    assert_string_equal(e.field, rows[i].field);
    assert_int_equal(w.id.n, 0);
  }
}

static void names_are(const char *json, const char *expect, const char *first_dns)
{
  work_item_t w = {0};
  names_t names = {0};
  slice_t first = {0};
  buf_t text = buf_on(arena, 4096);
  assert_true(rc_ok(item_of(json, &w, NULL)));
  assert_true(rc_ok(request_names(&w, arena, &names, &first, NULL)));
  for (size_t i = 0; i < names.n; i++)
    buf_printf(&text, "%s%s:%.*s", i ? "," : "", name_kind_text(names.v[i].kind), SLICE_ARG(names.v[i].text));
  if (!slice_is(buf_slice(&text), expect)) fail_msg("%.*s", SLICE_ARG(buf_slice(&text)));
  assert_true(slice_is(first, first_dns));
}

static void test_names_of_a_request(void **state)
{
  names_are("{\"id\":\"j\",\"common_name\":\"A.test\",\"sans\":[\"b.test\",\"a.test\",\"B.TEST.\"]}",
            "DNS:a.test,DNS:b.test", "a.test");
  names_are("{\"id\":\"j\",\"common_name\":\"My Service\",\"sans\":[\"192.0.2.1\",\"2001:db8::1\",\"s@x.test\",\"spiffe://x/y\",\"c.test\"]}",
            "IP:192.0.2.1,IP:2001:db8::1,email:s@x.test,URI:spiffe://x/y,DNS:c.test", "c.test");
  names_are("{\"id\":\"j\",\"common_name\":\"192.0.2.7\",\"sans\":[]}", "", "");
  names_are("{\"id\":\"j\",\"common_name\":\"*.w.test\"}", "DNS:*.w.test", "*.w.test");
  work_item_t w = {0};
  names_t names = {0};
  slice_t first = {0};
  err_t e = {0};
  assert_true(rc_ok(item_of("{\"id\":\"j\",\"common_name\":\"a.test\",\"sans\":[\"not a name\"]}", &w, NULL)));
  assert_false(rc_ok(request_names(&w, arena, &names, &first, &e)));
  assert_non_null(strstr(e.value, "not a name"));
}

static void put_block(buf_t *b, const char *label, const char *content)
{
  pem_emit(b, label, slice_str(content));
}

static void test_pickup_is_split(void **state)
{
  slice_t leaf, der, chain;
  buf_t text = buf_on(arena, 4096), expect = buf_on(arena, 4096);
  buf_puts(&text, "some text\n");
  put_block(&text, "CERTIFICATE", "leaf");
  buf_puts(&text, "\r\n\r\n");
  put_block(&text, "CERTIFICATE", "middle");
  put_block(&text, "CERTIFICATE", "root");
  put_block(&expect, "CERTIFICATE", "middle");
  put_block(&expect, "CERTIFICATE", "root");
  assert_true(rc_ok(deploy_split(buf_slice(&text), arena, &leaf, &der, &chain, NULL)));
  assert_true(slice_is(der, "leaf"));
  assert_true(slice_eq(chain, buf_slice(&expect)));
  assert_true(slice_starts(leaf, S("-----BEGIN CERTIFICATE-----\n")));

  buf_reset(&text);
  put_block(&text, "CERTIFICATE", "alone");
  assert_true(rc_ok(deploy_split(buf_slice(&text), arena, &leaf, &der, &chain, NULL)));
  assert_int_equal(chain.n, 0);

  put_block(&text, "EC PRIVATE KEY", "never");
  assert_false(rc_ok(deploy_split(buf_slice(&text), arena, &leaf, &der, &chain, NULL)));
  assert_false(rc_ok(deploy_split(S(""), arena, &leaf, &der, &chain, NULL)));
  assert_false(rc_ok(deploy_split(S("-----BEGIN CERTIFICATE-----\nAAAA\n"), arena, &leaf, &der, &chain, NULL)));
}

static void test_backoff_is_quick_first_and_capped(void **state)
{
  uint64_t seed = 42;
  rng_t rng = rng_seeded(&seed);
  assert_int_equal(link_backoff_ms(&rng, 0), 0);
  int64_t first = link_backoff_ms(&rng, 1), second = link_backoff_ms(&rng, 2);
  assert_in_range(first, 900, 1100);
  assert_in_range(second, 1800, 2200);
  bool differs = false;
  for (uint32_t n = 1; n < 1000; n++) {
    int64_t ms = link_backoff_ms(&rng, n);
    assert_in_range(ms, 900, 330000);
    differs = differs || (n > 500 && ms != link_backoff_ms(&rng, n));
  }
  assert_true(differs);
  assert_in_range(link_backoff_ms(&rng, UINT32_MAX), 270000, 330000);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    T(test_items),
    T(test_items_that_are_refused),
    T(test_names_of_a_request),
    T(test_pickup_is_split),
    T(test_backoff_is_quick_first_and_capped),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
