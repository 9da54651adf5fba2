/* One fixture for the tests of a program that need its folder and arena but no running signer, fresh for each. */
#ifndef TEST_SIGNER_FOLDER_H
#define TEST_SIGNER_FOLDER_H

#include "fixture.h"

static fixture_t fx;

static int fresh(void **state)
{
  fixture_folder(&fx);
  return 0;
}

static int gone(void **state)
{
  fixture_clean(&fx);
  return 0;
}

#endif
