/* Waits for what other threads do. */
#ifndef TEST_EVENTUALLY_H
#define TEST_EVENTUALLY_H

#include <unistd.h>

/* Until `cond` holds, at most 10 s. */
#define EVENTUALLY(cond)                             \
  do {                                               \
    int left_ = 10000;                               \
    while (!(cond) && left_-- > 0) usleep(1000);     \
    assert_true(cond);                               \
  } while (0)

#endif
