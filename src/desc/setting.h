/*
 * Row type of the settings tables: one row per CERTCTL_* name.
 */
#ifndef DESC_SETTING_H
#define DESC_SETTING_H

#include "base/slice.h"

typedef enum setting_type {
  ST_TEXT,       /* slice_t, verbatim; secret_t when SF_SECRET */
  ST_BOOL,       /* bool; true 1 yes t on / false 0 no f off, any case, else refused */
  ST_INT,        /* int64_t */
  ST_DURATION,   /* int64_t microseconds; Go duration grammar (spec/config.md 1) */
  ST_ENUM        /* slice_t, one of values */
} setting_type_t;

enum setting_flag {
  SF_SECRET = 1 << 0,    /* never shown: not logged, not dumped, scrubbed from the environment after reading */
  SF_ACCEPTED = 1 << 1   /* accepted and without effect; one warning says so */
};

enum setting_program { SP_SERVER = 1, SP_AGENT = 2, SP_CLI = 4, SP_SIGNER = 8 };

typedef struct setting {
  const char *env;      /* "CERTCTL_SERVER_PORT" */
  const char *name;     /* without CERTCTL_ */
  setting_type_t type;
  uint32_t flags;
  uint32_t programs;    /* bits of setting_program */
  uint32_t offset;      /* of the member in conf_t */
  const char *def;      /* text form; NULL = empty */
  int64_t min, max;     /* ST_INT, ST_DURATION (seconds); both 0 = any */
  const char *const *values; /* ST_ENUM: NULL-terminated */
  const char *rule;     /* what is accepted, completing "<name> …": "must be an integer from 1 to 65535"; NULL = any text */
  const char *flag;     /* command-line flag of agent and CLI, without dashes; NULL = none */
  const char *help;
} setting_t;

#endif
