/*
 * Time as a parameter. Wall time is signed 64-bit microseconds since 1970 in a
 * struct; spans carry their unit in the name (`ttl_s`, `wait_ms`). Logic takes
 * a timesrc_t and never asks the system, so tests can replay a year.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/slice.h"

typedef struct us {
  int64_t us;
} us_t;

#define US_PER_S INT64_C(1000000)

/* "Never": year 1, as stored for a certificate that was never issued. */
#define US_NEVER ((us_t){INT64_C(-62135596800) * US_PER_S})

static inline bool us_is_never(us_t t) { return t.us <= INT64_C(-62135596800) * US_PER_S; }
static inline us_t us_add_s(us_t t, int64_t s) { return (us_t){t.us + s * US_PER_S}; }
static inline int us_cmp(us_t a, us_t b) { return a.us < b.us ? -1 : a.us > b.us; }
static inline us_t us_min(us_t a, us_t b) { return us_cmp(a, b) < 0 ? a : b; }
static inline us_t us_max(us_t a, us_t b) { return us_cmp(a, b) > 0 ? a : b; }
static inline us_t us_floor_s(us_t t)
{
  int64_t r = t.us % US_PER_S;
  return (us_t){t.us - (r < 0 ? r + US_PER_S : r)};
}

typedef struct timesrc {
  us_t (*wall)(void *self);      /* may step */
  int64_t (*mono_us)(void *self); /* never goes back; for deadlines */
  void *self;
} timesrc_t;

/* The system's clocks. */
extern const timesrc_t timesrc_system;

static inline us_t time_wall(const timesrc_t *t) { return t->wall(t->self); }
static inline int64_t time_mono_us(const timesrc_t *t) { return t->mono_us(t->self); }

typedef struct civil {
  int year, month, day, hour, minute, second, micro;
} civil_t;

/* Proleptic Gregorian, UTC, years 1 to 9999. */
civil_t civil_from_us(us_t t);

/* RC_INVALID for a date that does not exist (month 13, 30 February, second 60). */
MUST rc_t civil_to_us(const civil_t *c, us_t *ret);

enum { RFC3339_MAX = 32 };

/* "2026-11-25T02:04:04.5Z": UTC, fraction without trailing zeros. Returns the length. */
size_t rfc3339_format(us_t t, char out[RFC3339_MAX]);

/* RFC 3339 with any offset and up to 9 fraction digits; RC_SYNTAX or RC_INVALID. */
MUST rc_t rfc3339_parse(slice_t s, us_t *ret);

#endif
