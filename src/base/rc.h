/*
 * Results. rc_t is a struct so that a status can never be mistaken for a
 * count, and every function that returns one is MUST. The detail of a failure
 * goes into a caller-owned err_t, filled where the failure is found and
 * formatted only where it is shown.
 */
#ifndef BASE_RC_H
#define BASE_RC_H

#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Class of a failure: decides what a protocol layer answers, never the text. */
enum rc_code {
  RC_OK = 0,
  RC_NOMEM = -1,    /* allocation failed, or an arena is over its budget */
  RC_FULL = -2,     /* a stated cap (size, count, depth) was exceeded */
  RC_SYNTAX = -3,   /* bytes do not follow their grammar */
  RC_INVALID = -4,  /* well formed, but not an acceptable value */
  RC_NOTFOUND = -5, /* the thing named does not exist */
  RC_CONFLICT = -6, /* the state does not allow it (guard missed, duplicate) */
  RC_DENIED = -7,   /* the caller may not do this */
  RC_IO = -8,       /* the operating system refused */
  RC_TIMEOUT = -9,  /* a deadline passed */
  RC_CLOSED = -10,  /* the peer went away */
  RC_AGAIN = -11,   /* more input is needed, or a queue is full: try later */
  RC_CRYPTO = -12,  /* the crypto library failed or a signature is wrong */
  RC_GONE = -13,    /* existed once; will not come back */
  RC_INTERNAL = -14 /* a bug on our side */
};

typedef struct rc {
  int32_t code;
} rc_t;

static inline rc_t rc(int32_t code) { return (rc_t){code}; }
static inline MUST bool rc_ok(rc_t r) { return r.code == RC_OK; }
static inline MUST bool rc_is(rc_t r, int32_t code) { return r.code == code; }

/* Short lower-case word for a code ("syntax"); static storage. */
const char *rc_name(rc_t r);

#define TRY(expr)                       \
  do {                                  \
    rc_t try_rc_ = (expr);              \
    if (!rc_ok(try_rc_)) return try_rc_; \
  } while (0)

enum { ERR_VALUE_MAX = 96 };

/*
 * Why something failed. All pointers are to static text; `value` is a bounded
 * copy of the offending value with control characters replaced. Zero it
 * ((err_t){0}) before use. A NULL err_t is accepted everywhere.
 */
typedef struct err {
  int32_t code;
  const char *reason;           /* stable token, "csr_signature", for logs, records and tests */
  const char *field;            /* wire name of the field at fault, or NULL */
  const char *text;             /* sentence part; "{limit}" stands for `limit` */
  int64_t limit;                /* the limit that was exceeded; 0 if none */
  size_t offset;                /* byte offset in the input, where that helps */
  char value[ERR_VALUE_MAX];    /* the offending value; may be empty */
  bool retry;                   /* trying again later can help */
} err_t;

/* Its reason, else a word for its code; "unnamed" when whoever failed said nothing. */
const char *err_reason(const err_t *e);

/* Fills *e (when not NULL) and returns rc(code), so that it fits in `return`. */
rc_t err_set(err_t *e, int32_t code, const char *reason, const char *field, const char *text);

/* The same with a limit for "{limit}" in `text`. */
rc_t err_limit(err_t *e, int32_t code, const char *reason, const char *field, const char *text, int64_t limit);

/* Copies up to ERR_VALUE_MAX - 1 printable bytes of the offending value into e. */
void err_value(err_t *e, const void *p, size_t n);

/*
 * Writes "<field> <text>: "<value>"" with the absent parts left out, always
 * terminated, cut at `cap`. Returns the length written without the zero.
 */
size_t err_format(const err_t *e, char *out, size_t cap);

#endif
