/*
 * DER (X.690 section 10 and 11) read strictly through a cursor, and written into a
 * buf_t. The reader owns nothing: every slice it returns points into the input.
 *
 * Reading: der_init, then any number of reads, then one der_end. The first failure
 * sticks: later reads return nothing and change nothing, so a parser is straight-line
 * code. der_enter and der_leave walk into and out of constructed values; leaving a value
 * before its last byte is an error of its own ("der_trailing"). der_field names the part
 * being read, which the error then carries.
 *
 * Refused by name: indefinite, non-minimal and over-long lengths, tag numbers above 30,
 * integers with padding, booleans other than 00 and FF, bit strings with set padding bits,
 * malformed object identifiers, unsorted SET OF, times outside RFC 5280 4.1.2.5, nesting
 * deeper than LIM_DER_DEPTH.
 */
#ifndef WIRE_DER_H
#define WIRE_DER_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/limits.h"

enum der_tag {
  DER_BOOLEAN = 0x01,
  DER_INTEGER = 0x02,
  DER_BITS = 0x03,
  DER_OCTETS = 0x04,
  DER_NULL = 0x05,
  DER_OID = 0x06,
  DER_ENUMERATED = 0x0a,
  DER_UTF8 = 0x0c,
  DER_PRINTABLE = 0x13,
  DER_T61 = 0x14,
  DER_IA5 = 0x16,
  DER_UTC_TIME = 0x17,
  DER_GENERALIZED_TIME = 0x18,
  DER_UNIVERSAL = 0x1c,
  DER_BMP = 0x1e,
  DER_SEQUENCE = 0x30,
  DER_SET = 0x31
};

#define DER_CTX(n) ((uint8_t)(0x80 | (n)))             /* [n] IMPLICIT of a primitive type */
#define DER_CTX_CONS(n) ((uint8_t)(0xa0 | (n)))        /* [n] EXPLICIT, or IMPLICIT of a constructed type */

typedef struct der {
  const uint8_t *p;       /* next byte */
  const uint8_t *end;     /* end of the innermost value entered */
  const uint8_t *base;    /* start of the input, for offsets */
  const char *field;      /* part being read, NULL = none */
  int32_t code;           /* first failure, RC_SYNTAX, RC_INVALID or RC_FULL; 0 while fine */
  const char *reason;     /* its token, "der_trailing" */
  const char *text;       /* its sentence part */
  size_t offset;          /* where, in bytes from the start of the input */
  uint32_t depth;
  const uint8_t *ends[LIM_DER_DEPTH];
} der_t;

/* Starts reading at the first byte of `in`, which must outlive the reader. */
void der_init(der_t *r, slice_t in);

/* True while nothing failed. */
static inline bool der_ok(const der_t *r) { return r->code == 0; }

/* True while nothing failed and the innermost value has bytes left. */
static inline bool der_more(const der_t *r) { return r->p < r->end; }

/* Tag of the next value, or 0 at the end and after a failure. Consumes nothing. */
static inline uint8_t der_peek(const der_t *r) { return r->p < r->end ? *r->p : 0; }

/* Names the part that is read next, for errors. Static text. After a failure the part at fault stays named. */
static inline void der_field(der_t *r, const char *field)
{
  if (r->code == 0) r->field = field;
}

/* Records a failure at the current position, unless one is recorded. All pointers are to static text. */
void der_fail(der_t *r, int32_t code, const char *reason, const char *text);

/*
 * Enters the next value, which must have this tag (OCTET STRING allowed: values wrapped in one). False after a failure.
 */
bool der_enter(der_t *r, uint8_t tag);

/* Leaves the innermost value; "der_trailing" when it has bytes left. */
void der_leave(der_t *r);

/* Content of the next value, which must have this tag. Empty after a failure. */
slice_t der_get(der_t *r, uint8_t tag);

/* The next value whole, header included; tag 0 = any. Its inside is not looked at. */
slice_t der_raw(der_t *r, uint8_t tag);

/* The next value, any tag: content, its tag in *ret_tag (0 after a failure). */
slice_t der_any(der_t *r, uint8_t *ret_tag);

/* INTEGER: the two's complement content octets, checked minimal, sign kept (RFC 5280 4.1.2.2 serials). */
slice_t der_integer(der_t *r);

/* INTEGER that must be positive or zero, without the sign octet. "der_integer_negative". */
slice_t der_unsigned(der_t *r);

/* INTEGER 0..max. "der_integer_range". */
uint32_t der_small(der_t *r, uint32_t max);

/* BOOLEAN. */
bool der_bool(der_t *r);

/* OBJECT IDENTIFIER: content octets, checked (X.690 8.19.2). */
slice_t der_oid(der_t *r);

/* BIT STRING: the octets after the count of unused bits, which goes to *ret_unused (NULL: must be 0). */
slice_t der_bits(der_t *r, unsigned *ret_unused);

/*
 * UTCTime "YYMMDDHHMMSSZ" (1950 to 2049) or GeneralizedTime "YYYYMMDDHHMMSSZ", nothing
 * else (RFC 5280 4.1.2.5). *ret_tag (NULL allowed) gets the form read.
 */
us_t der_time(der_t *r, uint8_t *ret_tag);

/* Checks that the members of a SET OF whose content is `set` are in ascending order (X.690 11.6). */
void der_check_set(der_t *r, slice_t set);

/*
 * Ends reading. Trailing bytes are "der_trailing". On failure *e gets reason, field, text
 * and byte offset; the class is RC_SYNTAX, RC_FULL (a limit) or what der_fail was given.
 */
MUST rc_t der_end(der_t *r, err_t *e);

/*
 * Walks all values of `in` to the bottom: lengths, tags, forms of the universal primitive
 * types. For opaque parts (parameters, other names) that no parser looks at.
 */
MUST rc_t der_check(slice_t in, err_t *e);

/* True for content octets that are a well-formed object identifier. */
bool der_oid_valid(slice_t content);

/* True for content octets of a BIT STRING with correct padding (X.690 8.6.2.2, 11.2.1). */
bool der_bits_valid(slice_t content);

/*
 * Writing. Failures stick in the buffer (buf_rc). A constructed value is opened, filled and
 * closed; its length is patched when it closes.
 */

/* Begins a value with this tag; the mark goes to der_close. */
size_t der_open(buf_t *b, uint8_t tag);
void der_close(buf_t *b, size_t mark);

/* One whole value. */
void der_put(buf_t *b, uint8_t tag, slice_t content);

/* INTEGER from a big-endian magnitude: leading zeros dropped, a sign octet added where needed. */
void der_put_unsigned(buf_t *b, slice_t magnitude);

/* INTEGER. */
void der_put_int(buf_t *b, int64_t v);

/* BIT STRING of whole octets minus `unused` bits (0..7), which the caller has set to zero. */
void der_put_bits(buf_t *b, slice_t octets, unsigned unused);

/* BIT STRING of named bits, bit i of `bits` is named bit i; trailing zeros dropped (X.690 11.2.2). */
void der_put_named_bits(buf_t *b, uint32_t bits);

void der_put_bool(buf_t *b, bool v);
void der_put_null(buf_t *b);

/* OBJECT IDENTIFIER from its content octets. */
static inline void der_put_oid(buf_t *b, slice_t content) { der_put(b, DER_OID, content); }
static inline void der_put_octets(buf_t *b, slice_t v) { der_put(b, DER_OCTETS, v); }

/* UTCTime for 1950 to 2049, else GeneralizedTime (RFC 5280 4.1.2.5); fractions are dropped. */
void der_put_time(buf_t *b, us_t t);

#endif
