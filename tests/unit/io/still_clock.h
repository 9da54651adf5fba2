/* A clock that stands still at STILL_US, so that an instant can be met exactly. */
#ifndef TEST_IO_STILL_CLOCK_H
#define TEST_IO_STILL_CLOCK_H

#include "base/clock.h"

enum { STILL_US = 5000000 };

static int64_t still_mono_us(void *self) { return STILL_US; }
static us_t still_wall(void *self) { return (us_t){STILL_US}; }
static const timesrc_t still_clock = {still_wall, still_mono_us, NULL};

#endif
