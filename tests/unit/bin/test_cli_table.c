/* What the rows of the command table promise each other. */
#include "bin/cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_rows(void **state)
{
  (void)state;
  for (size_t i = 0; i < cli_ncommands; i++) {
    const cli_command_t *c = &cli_commands[i];
    for (size_t k = 0; k < i; k++) assert_string_not_equal(c->words, cli_commands[k].words);
    assert_true(c->help && c->max_args >= c->min_args && c->max_args <= CLI_ARGS_MAX);
    assert_int_equal(c->args != NULL, c->max_args > 0);
    assert_true(c->path || (c->run && c->offline));
    if (c->path && strstr(c->path, "{}")) assert_true(c->max_args == 1);
    assert_int_equal(c->shape == CLI_SAY, c->say != NULL);
    if (c->say) assert_non_null(strstr(c->say, "{}"));
    assert_int_equal(c->shape == CLI_LIST || c->shape == CLI_OBJECT, c->columns[0].title != NULL);
    assert_true(c->run || c->shape != CLI_OWN);
    for (size_t k = 0; k < CLI_COLUMNS_MAX && c->columns[k].title; k++) assert_non_null(c->columns[k].key);
    assert_null(c->flags[CLI_FLAGS_MAX - 1].name); /* the end is there */
  }
}

/* A flag may stand before the command, so its kind must not depend on the command; none may hide a setting's. */
static void test_flags_have_one_kind(void **state)
{
  (void)state;
  size_t nsettings = 0;
  const setting_t *settings = conf_settings(&nsettings);
  for (size_t i = 0; i < cli_ncommands; i++)
    for (const cli_flag_t *f = cli_commands[i].flags; f->name; f++) {
      assert_non_null(f->help);
      assert_int_equal(f->kind == CF_BOOL, f->value == NULL);
      for (size_t k = 0; k < cli_ncommands; k++)
        for (const cli_flag_t *g = cli_commands[k].flags; g->name; g++)
          if (strcmp(f->name, g->name) == 0) assert_int_equal(f->kind, g->kind);
      for (size_t k = 0; k < nsettings; k++)
        if ((settings[k].programs & SP_CLI) && settings[k].flag) assert_string_not_equal(f->name, settings[k].flag);
    }
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_flags_have_one_kind)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
