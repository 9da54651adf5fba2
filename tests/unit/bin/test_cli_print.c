/* What the CLI prints of an answer. */
#include "base/mem.h"
#include "bin/cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "capture.h"

static arena_t *arena;
static capture_t capture;

static int fresh(void **state)
{
  arena = arena_new(16 << 20);
  return arena ? 0 : -1;
}

static int gone(void **state)
{
  arena_free(arena);
  return 0;
}

static void test_control_characters_are_replaced(void **state)
{
  static const char *const rows[][2] = {
    {"", ""},
    {"plain text ~", "plain text ~"},
    {"a\x1b[2Jb", "a?[2Jb"},
    {"\x01\x1f\x7f\r\t", "?????"},
    {"line\nline", "line\nline"},
    {"\xc3\xa9\xe2\x82\xac", "\xc3\xa9\xe2\x82\xac"},
    {"\xc2\x80x\xc2\x9f", "??x??"},
    {"\xc2\xa0", "\xc2\xa0"},
    {"cut \xc2", "cut \xc2"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++)
    assert_true(slice_is(cli_printable(arena, slice_str(rows[i][0])), rows[i][1]));
  ARENA_SCOPED arena_t *small = arena_new(1);
  assert_true(slice_is(cli_printable(small, S("some text")), "?"));
}

static void test_json_is_indented(void **state)
{
  static const char *const rows[][2] = {
    {"{}", "{}\n"},
    {"[]", "[]\n"},
    {"[[],{}]", "[\n  [],\n  {}\n]\n"},
    {"{\"a\":1}", "{\n  \"a\": 1\n}\n"},
    {"{\"a\":[1,{\"b\":null}],\"c\":true}", "{\n  \"a\": [\n    1,\n    {\n      \"b\": null\n    }\n  ],\n  \"c\": true\n}\n"},
    {"[\"{,:[]}\",\"\\\"]\",\"\\\\\"]", "[\n  \"{,:[]}\",\n  \"\\\"]\",\n  \"\\\\\"\n]\n"},
    {"\"\"", "\"\"\n"},
    {"[\"cut", "[\n  \"cut\n"}, /* not valid: nothing behind the end is read */
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    size_t n = strlen(rows[i][0]);
    uint8_t *exact = mem_alloc(n);
    assert_non_null(exact);
    memcpy(exact, rows[i][0], n);
    capture_begin(&capture, stdout);
    cli_print_compact(slice_of(exact, n));
    assert_string_equal(capture_end(&capture), rows[i][1]);
    mem_free(exact);
  }
}

/* By shape and columns of `command`. */
static const char *printed(const cli_command_t *command, bool json, const char *answer)
{
  static cli_t cli;
  json_doc_t doc = {0};
  assert_true(rc_ok(json_parse(arena, slice_str(answer), &doc, NULL)));
  cli = (cli_t){.command = command, .json = json, .arena = arena, .args = {S("a\x1b-1")}, .nargs = 1};
  capture_begin(&capture, stdout);
  cli_print(&cli, doc.root);
  return capture_end(&capture);
}

static const cli_command_t list = {.shape = CLI_LIST, .columns = {{"ID", "id"}, {"SINCE", "since", CELL_DATE}, {"WHAT", "what"}}};

static void test_tables(void **state)
{
  assert_string_equal(printed(&list, false, "{\"data\":[],\"total\":0}"), "ID  SINCE  WHAT\n\nTotal: 0\n");
  assert_string_equal(printed(&list, false, "{\"data\":[{\"what\":\"x\",\"id\":\"\xc3\xa9\xc3\xa9\xc3\xa9\",\"since\":\"2027-02-23T02:04:04Z\"},"
                                            "{\"id\":\"a\",\"since\":null,\"what\":[1,\"two\"]}],\"total\":7}"),
                      "ID   SINCE       WHAT\n"
                      "\xc3\xa9\xc3\xa9\xc3\xa9  2027-02-23  x\n"
                      "a                1, two\n"
                      "\nTotal: 7\n");
  /* without a total there are as many as there are */
  assert_string_equal(printed(&list, false, "{\"data\":[{\"id\":\"a\"},{\"id\":\"b\"}],\"total\":-1}"),
                      "ID  SINCE  WHAT\na          \nb          \n\nTotal: 2\n");
  assert_string_equal(printed(&list, false, "{\"total\":3}"), "ID  SINCE  WHAT\n\nTotal: 3\n");
  assert_string_equal(printed(&list, false, "{\"data\":7}"), "ID  SINCE  WHAT\n\nTotal: 0\n");
}

static void test_lists_as_json(void **state)
{
  assert_string_equal(printed(&list, true, "{\"data\":[1],\"total\":9,\"page\":1}"), "{\n  \"data\": [\n    1\n  ],\n  \"total\": 9\n}\n");
  assert_string_equal(printed(&list, true, "{\"x\":1}"), "{\n  \"data\": [],\n  \"total\": 0\n}\n");
}

static void test_objects(void **state)
{
  static const cli_command_t object = {.shape = CLI_OBJECT,
                                       .columns = {{"Name", "name"}, {"At", "at", CELL_TIME}, {"A title of many words", "n"},
                                                   {"Maybe", "maybe", CELL_ANY, true}, {"More", "more", CELL_DATE, true}}};
  assert_string_equal(printed(&object, false, "{\"name\":\"a\\nb\\u001bc\",\"at\":\"2027-02-23T02:04:04.9Z\",\"n\":{\"k\":[1]}}"),
                      "Name:               a b?c\n"
                      "At:                 2027-02-23 02:04:04 UTC\n"
                      "A title of many words: {\"k\":[1]}\n");
  assert_string_equal(printed(&object, false, "{\"at\":\"0001-01-01T00:00:00Z\",\"n\":false,\"maybe\":\"\",\"more\":\"soon\"}"),
                      "Name:               \n"
                      "At:                 -\n"
                      "A title of many words: false\n"
                      "More:               soon\n");
  assert_string_equal(printed(&object, false, "{\"maybe\":0,\"name\":[]}"),
                      "Name:               \n"
                      "At:                 \n"
                      "A title of many words: \n"
                      "Maybe:              0\n");
  assert_string_equal(printed(&object, true, "{\"maybe\":0}"), "{\n  \"maybe\": 0\n}\n");
}

static void test_sentences(void **state)
{
  static const cli_command_t say = {.shape = CLI_SAY, .say = "Job {} cancelled"};
  assert_string_equal(printed(&say, false, "{}"), "Job a?-1 cancelled\n");
  assert_string_equal(printed(&say, true, "{\"status\":\"deleted\"}"), "{\n  \"status\": \"deleted\"\n}\n");
}

int main(void)
{
  const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, fresh, gone)
    T(test_control_characters_are_replaced),
    T(test_json_is_indented),
    T(test_tables),
    T(test_lists_as_json),
    T(test_objects),
    T(test_sentences),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
