/*
 * One JSON object per line on the sink: time, level, msg, then typed fields
 * (spec/observability.md 4). Never pass a secret or unescaped user text as the
 * message: the message is a literal, values are fields. Context fields (request
 * id, actor) are attached per thread with log_context.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/clock.h"

typedef enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR } log_level_t;

typedef struct log_field {
  const char *name;
  enum { LOG_TEXT, LOG_INT, LOG_BOOL } kind;
  slice_t text;
  int64_t num;
} log_field_t;

static inline log_field_t log_s(const char *name, slice_t v) { return (log_field_t){name, LOG_TEXT, v, 0}; }
static inline log_field_t log_c(const char *name, const char *v) { return log_s(name, slice_str(v)); }
static inline log_field_t log_i(const char *name, int64_t v) { return (log_field_t){name, LOG_INT, {NULL, 0}, v}; }
static inline log_field_t log_b(const char *name, bool v) { return (log_field_t){name, LOG_BOOL, {NULL, 0}, v}; }

/* Lowest level written (default LOG_INFO) and, text form for people, JSON otherwise. */
void log_setup(log_level_t lowest, bool text_form);
bool log_on(log_level_t level);

/* Descriptor written to; default 1. */
void log_sink(int fd);

/* Fields added to every line of this thread until replaced; at most 4. NULL clears. */
void log_context(const log_field_t *fields, size_t n);

void log_write(log_level_t level, const char *msg, const log_field_t *fields, size_t n);

/* log_line(LOG_INFO, "issuer registry loaded", log_i("issuers", n)); the fields may be left out. */
#define log_line(level, ...) LOG_LINE_FIELDS(level, __VA_ARGS__, ((log_field_t){0}))
#define LOG_LINE_FIELDS(level, msg, ...)                                                 \
  do {                                                                                   \
    if (log_on(level)) {                                                                 \
      const log_field_t log_fields_[] = {__VA_ARGS__};                                   \
      log_write((level), (msg), log_fields_, COUNT_OF(log_fields_) - 1);                 \
    }                                                                                    \
  } while (0)

/* The detail of an err_t as fields `reason` and `error`. */
void log_err(log_level_t level, const char *msg, const err_t *e);

#endif
