/*
 * Layout of the record's entries, shared by the writer (record.c) and the
 * checker (record_check.c). Not for others.
 */
#ifndef SIGNER_RECORD_INT_H
#define SIGNER_RECORD_INT_H

#include "signer/record.h"

enum {
  RECORD_START = 32,  /* the format's name */
  RECORD_HEAD = 32,
  RECORD_SUM = 32,
  RECORD_ENTRY_MAX = 256 * 1024, /* LIM_CERT_DER, LIM_SIGN_CONTEXT, LIM_CEILING_FILE and texts fit twice */
  RECORD_WINDOW = 1024 * 1024
};

_Static_assert(RECORD_WINDOW > RECORD_ENTRY_MAX + RECORD_SUM, "an entry fits a window");
_Static_assert(RECORD_ENTRY_MAX > LIM_CERT_DER + LIM_SIGN_CONTEXT + LIM_CEILING_FILE + 4096,
               "every body fits an entry");

enum record_type { RT_SIGNATURE = 1, RT_REFUSAL = 2, RT_EVENT = 3 };

typedef struct record_head {
  uint32_t length, previous;
  uint8_t type, padding;
  us_t time;
  uint64_t ref_hash;
} record_head_t;

extern const msg_shape_t record_signature_shape, record_refusal_shape, record_event_shape;

/* False when the bytes are no head: magic, type, lengths. */
MUST bool record_head_read(const uint8_t p[RECORD_HEAD], record_head_t *ret);

/* `run` is the 32 bytes before an entry and the entry. */
MUST bool record_sum_ok(slice_t run);
slice_t record_body(const record_head_t *h, slice_t run);
rc_t record_damaged(err_t *e, uint64_t offset);

typedef struct record_window {
  uint64_t start;
  size_t n;
  uint8_t bytes[RECORD_WINDOW];
} record_window_t;

/* n bytes of the file at an offset (fewer at its end), read ahead by the window. */
MUST rc_t record_window_at(record_window_t *w, const log_file_t *f, uint64_t offset, size_t n, slice_t *ret, err_t *e);

#endif
