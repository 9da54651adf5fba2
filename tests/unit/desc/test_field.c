/* Field tables: found by wire name, stored under the column's. */
#include "desc/field.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

typedef struct row {
  slice_t id;
  int64_t size;
} row_t;

static const field_t fields[] = {
  FIELD(row_t, id, FT_TEXT, 0, .column = "row_id"),
  FIELD(row_t, size, FT_INT, 0, ),
};

static const resource_t res = {.name = "row", .fields = fields, .nfields = COUNT_OF(fields)};

static void fields_are_found_by_wire_name(void **state)
{
  assert_int_equal(resource_field(&res, S("id")), 0);
  assert_int_equal(resource_field(&res, S("size")), 1);
  assert_int_equal(resource_field(&res, S("row_id")), -1);
  assert_int_equal(resource_field(&res, S("")), -1);
  assert_string_equal(field_column(&fields[0]), "row_id");
  assert_string_equal(field_column(&fields[1]), "size");
}

static void a_field_is_at_its_member(void **state)
{
  row_t row = {S("x"), 7};
  assert_ptr_equal(field_at(&fields[0], &row), &row.id);
  assert_ptr_equal(field_at(&fields[1], &row), &row.size);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(fields_are_found_by_wire_name), cmocka_unit_test(a_field_is_at_its_member),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
