/* What the CLI makes of an answer, good or not. */
#include "bin/cli.h"

#include "../arena.h"

#include "capture.h"

static capture_t capture;

static void test_statuses(void **state)
{
  static const struct {
    int status;
    const char *body, *key, *said; /* said NULL: an answer */
  } rows[] = {
    {200, "{}", "k", NULL},
    {399, "{}", "k", NULL},
    {400, "{\"error\":\"no\"}\n\n", "k", "error: API error (HTTP 400): {\"error\":\"no\"}\n"},
    {401, "", "k", "error: API error (HTTP 401): \n"},
    {401, "who?", "", "error: API error (HTTP 401): who?\n  no key was sent: set CERTCTL_API_KEY or --api-key\n"},
    {403, "no", "", "error: API error (HTTP 403): no\n"},
  };
  static cli_t cli;
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    uint8_t key[8] = "k";
    conf_t conf = {.api_key = {.p = key, .n = strlen(rows[i].key)}};
    cli = (cli_t){.arena = arena, .conf = &conf};
    capture_begin(&capture, stderr);
    bool good = cli_judge(&cli, rc(RC_OK), NULL, &(http_answer_t){.status = rows[i].status, .body = slice_str(rows[i].body)});
    (void)capture_end(&capture);
    assert_int_equal(good, rows[i].said == NULL);
    assert_string_equal(capture.text, rows[i].said ? rows[i].said : "");
  }
}

static void test_failed_exchanges_come_with_advice(void **state)
{
  static const struct {
    const char *reason, *advice;
  } rows[] = {{"tls_verify", "--ca-bundle"}, {"sock_connect", "--server"}, {"sock_resolve", "--server"}, {"http_syntax", NULL}};
  static cli_t cli;
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    conf_t conf = {.server_url = S("https://h")};
    err_t e = {0};
    rc_t r = err_set(&e, RC_IO, rows[i].reason, NULL, "it failed");
    cli = (cli_t){.arena = arena, .conf = &conf};
    capture_begin(&capture, stderr);
    bool good = cli_judge(&cli, r, &e, &(http_answer_t){.status = 200});
    (void)capture_end(&capture);
    assert_false(good);
    assert_true(slice_starts(slice_str(capture.text), S("error: https://h: it failed")));
    assert_int_equal(strchr(capture.text, '\n') != strrchr(capture.text, '\n'), rows[i].advice != NULL);
    if (rows[i].advice) assert_non_null(strstr(capture.text, rows[i].advice));
  }
}

static void test_answers_that_are_no_json(void **state)
{
  static const struct {
    int status;
    const char *body, *json; /* json NULL: refused */
  } rows[] = {{200, "[1]", "[1]"}, {204, "", "{\"status\":\"deleted\"}"}, {200, "", NULL}, {200, "<html>", NULL}};
  static cli_t cli;
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    const json_t *node = NULL;
    buf_t text = buf_on(arena, 256);
    cli = (cli_t){.arena = arena};
    capture_begin(&capture, stderr);
    bool good = cli_judge_json(&cli, &(http_answer_t){.status = rows[i].status, .body = slice_str(rows[i].body)}, &node);
    (void)capture_end(&capture);
    assert_int_equal(good, rows[i].json != NULL);
    if (good) json_emit(node, &text);
    if (good) assert_true(slice_is(buf_slice(&text), rows[i].json));
    else assert_string_equal(capture.text, "error: the server's answer is not JSON (HTTP 200)\n");
  }
}

/* Refused before anything is sent: such a key could write headers of its own. */
static void test_keys_that_could_end_their_line(void **state)
{
  static const struct {
    const char *key;
    bool refused;
  } rows[] = {{"!~", false}, {"", false}, {"a b", true}, {"a\r\nX: y", true}, {"a\x7f", true}, {"\x80", true}, {"a\x1f", true}};
  static cli_t cli;
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    uint8_t key[16] = {0};
    memcpy(key, rows[i].key, strlen(rows[i].key));
    conf_t conf = {.api_key = {.p = key, .n = strlen(rows[i].key)}, .server_url = S("no url")};
    cli = (cli_t){.arena = arena, .conf = &conf};
    capture_begin(&capture, stderr);
    int code = cli_connect(&cli);
    (void)capture_end(&capture);
    assert_int_equal(code, CLI_FAILED);
    assert_int_equal(strcmp(capture.text, "error: the API key has characters that no key has\n") == 0, rows[i].refused);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
    T(test_keys_that_could_end_their_line),
    T(test_statuses),
    T(test_failed_exchanges_come_with_advice),
    T(test_answers_that_are_no_json),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
