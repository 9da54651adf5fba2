/*
 * What server and signer say to each other, and what the record keeps: frames
 * of items, each item a struct written by its field table. One codec reads and
 * writes them all, and bounds every length, since either side may be taken over.
 *
 * A frame is a head of MSG_HEAD bytes ("CS", version, kind, count of items,
 * length of the body) and a body of `count` items, each a length and its
 * fields in table order, integers little-endian, nothing behind the last.
 * A reply has its request's kind with MSG_REPLY set and begins each item with an
 * outcome. Decoded slices point into the bytes given.
 */
#ifndef SIGNER_MESSAGE_H
#define SIGNER_MESSAGE_H

#include "base/buf.h"
#include "base/limits.h"
#include "desc/field.h"

enum { MSG_HEAD = 12, MSG_REPLY = 0x80 };

typedef enum msg_kind {
  MSG_SIGN = 1, /* 1 to LIM_SIGN_BATCH sign_request_t; as many replies, in order */
  MSG_CHAIN = 2, /* msg_chain_t; its answer is a msg_pem_t */
  MSG_TAIL = 3  /* msg_tail_t; first reply msg_tail_t, then record_entry_t items */
} msg_kind_t;

/*
 * What one leaf is to be. The signer checks proof of possession, that the CSR asks
 * for no name outside `names`, the CA's ceiling and its lint table; it makes the
 * TBSCertificate itself. The digest of (issuer, key, names, lifetime, usages) is
 * bound to `ref`: the same ref and digest return the recorded bytes, the same ref
 * with another digest is refused "ref_reused".
 */
typedef struct sign_request {
  slice_t ref;             /* 1..128 bytes; "<job id>" or, without a job, a fresh id */
  slice_t issuer;          /* "iss-local" */
  slice_t csr_der;
  slice_t common_name;     /* of the certificate row; subject CN when it fits 64 characters */
  texts_t names;           /* names of the row (CN when it is a name, and SANs), untyped text */
  int64_t lifetime_s;      /* wanted; clamped to the CA's end, refused above the ceiling's and profile's maximum */
  int64_t profile_max_s;   /* 0 = none; narrows */
  texts_t profile_keys;    /* "ECDSA:256", "RSA:2048", "Ed25519:0" (least sizes); empty = any the ceiling has */
  texts_t ekus;            /* "serverAuth", …; empty = serverAuth and clientAuth */
  bool must_staple;
  slice_t context;         /* opaque, at most 1 KiB, kept in the record so that a lost commit can be finished later */
} sign_request_t;

typedef struct sign_answer {
  slice_t der;
  slice_t serial_hex;      /* 40 lower-case digits */
  us_t not_before, not_after;
  slice_t fingerprint_hex; /* SHA-256 of der */
  slice_t key_algorithm;   /* RSA, ECDSA, Ed25519 */
  int64_t key_size;
  bool from_record;        /* answered from the record, not signed now */
} sign_answer_t;

typedef struct record_entry {
  slice_t ref, issuer, context, der;
} record_entry_t;

/* Result of one request; texts empty and code RC_OK when it was done. */
typedef struct msg_outcome {
  int64_t code;            /* enum rc_code */
  slice_t reason, field, text, value;
  int64_t limit;
  bool retry;
} msg_outcome_t;

typedef struct msg_chain {
  slice_t issuer;
} msg_chain_t;

/* Signatures of the record below offset `before` (0 = from its end), newest first, at most `most`; the reply's
   `before` is where to go on, 0 when there are no older ones. */
typedef struct msg_tail {
  int64_t before, most;
} msg_tail_t;

typedef struct msg_pem {
  slice_t pem;             /* chain, the leaf's issuer first */
} msg_pem_t;

typedef struct msg_field {
  field_type_t type;       /* FT_TEXT, FT_TEXTS, FT_INT, FT_BOOL, FT_TIME */
  uint32_t offset;
  uint32_t max;            /* most bytes of the text, or of each text of a list */
  uint32_t items;          /* FT_TEXTS: most texts */
} msg_field_t;

typedef struct msg_shape {
  const msg_field_t *fields;
  uint32_t nfields;
  uint32_t size;           /* of the struct */
} msg_shape_t;

/* Rows of a field table; a member whose type does not fit is a negative array size. */
#define MSG_FIELD(row, member, ftype, most, count)                                                 \
  {.type = (ftype),                                                                                \
   .offset = offsetof(row, member) + 0 * sizeof(char[FIELD_TYPE_OK(ftype, ((row *)0)->member) ? 1 : -1]), \
   .max = (most),                                                                                  \
   .items = (count)}
#define MSG_TEXT(row, member, most) MSG_FIELD(row, member, FT_TEXT, most, 0)
#define MSG_TEXTS(row, member, most, count) MSG_FIELD(row, member, FT_TEXTS, most, count)
#define MSG_PLAIN(row, member, ftype) MSG_FIELD(row, member, ftype, 0, 0)
#define MSG_SHAPE(row, table) {(table), COUNT_OF(table), sizeof(row)}

extern const msg_shape_t msg_sign_request, msg_sign_answer, msg_record_entry, msg_outcome, msg_chain, msg_tail, msg_pem;

/* Appends the fields of *row. RC_FULL when a text or list is over its maximum, or b over its cap. */
MUST rc_t msg_put(const msg_shape_t *shape, const void *row, buf_t *b);

/*
 * Reads one struct from the front of *in and moves *in behind it. RC_SYNTAX, RC_FULL, RC_NOMEM (lists are in the
 * arena).
 */
MUST rc_t msg_get(const msg_shape_t *shape, slice_t *in, arena_t *a, void *row);

typedef struct msg_frame {
  msg_kind_t kind;
  bool reply;
  uint32_t count;
  slice_t body;            /* items not yet taken */
} msg_frame_t;

/* Starts a frame in b (empty or not) and returns where; msg_frame_end sets count and length. */
size_t msg_frame_begin(buf_t *b, unsigned kind);
MUST rc_t msg_frame_end(buf_t *b, size_t start, uint32_t count);

/* Starts and ends one item around its fields. */
size_t msg_item_begin(buf_t *b);
void msg_item_end(buf_t *b, size_t start);

/* Length of the body announced by a head. RC_SYNTAX for other bytes, RC_FULL above LIM_SIGN_FRAME. */
MUST rc_t msg_head_check(const uint8_t head[MSG_HEAD], size_t *ret_body);

/* A frame that is whole. RC_SYNTAX unless kind, count and length are well formed. */
MUST rc_t msg_frame_parse(slice_t bytes, msg_frame_t *ret);

/* The next item's bytes; RC_SYNTAX when it runs over, or at the end. */
MUST rc_t msg_item_next(slice_t *body, slice_t *ret_item);

/* Outcome of a failure, for a reply. *e is what the check filled. */
msg_outcome_t msg_outcome_of(rc_t code, const err_t *e);

#endif
