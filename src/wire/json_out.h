/*
 * JSON out: a streaming writer into a buffer, no tree. Commas are its own
 * business; errors (cap, memory) stick in the buffer and are read once with
 * buf_rc. Texts are escaped as the API promises: ", \, control characters, and
 * <, >, & as \u003c, \u003e, \u0026; bytes that are not UTF-8 become U+FFFD, so
 * what comes out is always valid JSON.
 */
#ifndef WIRE_JSON_OUT_H
#define WIRE_JSON_OUT_H

#include "base/buf.h"
#include "base/clock.h"
#include "desc/field.h"

typedef struct jw {
  buf_t *b;
  uint64_t started; /* bit d: the container at depth d has a member */
  uint32_t depth;
  bool after_key;
} jw_t;

/* A writer that appends to b, which must outlive it. */
static inline jw_t jw_on(buf_t *b) { return (jw_t){.b = b}; }

/* Containers nest 63 deep at most; unbalanced calls stop the process. */
void jw_object(jw_t *j);
void jw_object_end(jw_t *j);
void jw_array(jw_t *j);
void jw_array_end(jw_t *j);

void jw_key(jw_t *j, const char *key);
void jw_key_slice(jw_t *j, slice_t key);

void jw_text(jw_t *j, slice_t v);
void jw_str(jw_t *j, const char *v); /* NULL is null */
void jw_int(jw_t *j, int64_t v);
void jw_bool(jw_t *j, bool v);
void jw_time(jw_t *j, us_t v);   /* RFC 3339; never is "0001-01-01T00:00:00Z" */
void jw_null(jw_t *j);
void jw_raw(jw_t *j, slice_t v); /* one complete JSON value, copied as it is */
void jw_texts(jw_t *j, texts_t v);

/* Key and value in one call. */
static inline void jw_put_text(jw_t *j, const char *k, slice_t v) { jw_key(j, k); jw_text(j, v); }
static inline void jw_put_str(jw_t *j, const char *k, const char *v) { jw_key(j, k); jw_str(j, v); }
static inline void jw_put_int(jw_t *j, const char *k, int64_t v) { jw_key(j, k); jw_int(j, v); }
static inline void jw_put_bool(jw_t *j, const char *k, bool v) { jw_key(j, k); jw_bool(j, v); }
static inline void jw_put_time(jw_t *j, const char *k, us_t v) { jw_key(j, k); jw_time(j, v); }
static inline void jw_put_raw(jw_t *j, const char *k, slice_t v) { jw_key(j, k); jw_raw(j, v); }

/*
 * One row as an object, by its field table: HIDDEN and SECRET fields are never
 * written; OMITEMPTY fields not when empty, zero, false or never; an empty
 * FT_JSON is null, an empty FT_TEXTS []. With only_fields (a bit per field
 * index) just those, ordered by name (spec/api.md 1.14); NULL: all, in table order.
 */
void json_row_write(jw_t *j, const resource_t *res, const void *row, const uint64_t *only_fields);

/* The members alone, inside an object the caller opened, so that it can add its own. */
void json_row_members(jw_t *j, const resource_t *res, const void *row, const uint64_t *only_fields);

/* Appends v as a JSON text with its quotes, escaped as above. */
void json_text_emit(buf_t *b, slice_t v);

#endif
