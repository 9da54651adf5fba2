/*
 * The signer's own record: every signature (with its DER), every refusal and
 * every change of a CA, appended and synced before the answer goes out. It is a
 * chain: each entry carries the SHA-256 over the sum of the entry before, its own head and
 * body, so a missing or changed entry shows. A tail that a crash tore is cut at
 * the start; damage further in stops the start.
 *
 * One owner, one thread. In memory there are 8 bytes per slot of a hash table
 * over the refs of signatures (16 MB for a million); the rest is read from the file.
 */
#ifndef SIGNER_RECORD_H
#define SIGNER_RECORD_H

#include "base/clock.h"
#include "io/log_file.h"
#include "signer/message.h"

enum { RECORD_DIGEST = 32 };

typedef struct record_signature {
  slice_t ref, issuer;
  slice_t digest;          /* RECORD_DIGEST bytes: what the ref was used for */
  slice_t context, der;
} record_signature_t;

typedef struct record_refusal {
  slice_t ref, issuer;
  slice_t reason, field, value;
} record_refusal_t;

/* Anything else that changes what may be signed: "ca_made", "ca_imported", "ceiling_set". */
typedef struct record_event {
  slice_t what, issuer, detail;
} record_event_t;

typedef struct record record_t;

/*
 * Opens or makes `name` in d, reads the heads, checks the sums of the last
 * LIM_SIGN_FRAME bytes and cuts a torn tail (a warning in the log). RC_SYNTAX "record_damaged"
 * with the offset when damage lies before them; RC_AGAIN when another signer holds it.
 */
MUST rc_t record_open(const dir_t *d, const char *name, record_t **ret, err_t *e);
void record_free(record_t *r);

/* The signature with that ref, committed or pending; RC_NOTFOUND. Slices in the arena. */
MUST rc_t record_find(record_t *r, slice_t ref, arena_t *a, record_signature_t *ret, err_t *e);

/* Adds an entry that is durable after record_commit. RC_FULL, RC_NOMEM. */
MUST rc_t record_sign(record_t *r, us_t now, const record_signature_t *s);
MUST rc_t record_refuse(record_t *r, us_t now, const record_refusal_t *s);
MUST rc_t record_note(record_t *r, us_t now, const record_event_t *s);

/*
 * Writes what is pending with one fdatasync. On failure nothing of it counts:
 * the file is cut back and reread. RC_IO; record_broken says whether even that failed, and then
 * every later commit is refused.
 */
MUST rc_t record_commit(record_t *r, err_t *e);
bool record_broken(const record_t *r);

/*
 * Walks back from offset `before` (0 = the end) and gives at most `most`
 * signatures, newest first, of at most LIM_SIGN_FRAME / 2 bytes together; *ret_before is where to go on,
 * 0 when there are none left. RC_INVALID for an offset that is no entry's.
 */
MUST rc_t record_tail(record_t *r, uint64_t before, size_t most, arena_t *a, record_entry_t *ret, size_t *ret_n,
                      uint64_t *ret_before, err_t *e);

typedef struct record_stats {
  uint64_t entries, signatures, bytes;
} record_stats_t;

record_stats_t record_stats(const record_t *r);

/* One entry of any kind as text, for `certctl-signer record dump`: a line of JSON appended to out. */
typedef rc_t (*record_line_t)(void *self, slice_t json_line);

/*
 * Reads a record beside its writer, checks every sum, and calls `each` (NULL = only check)
 * for every entry in order. RC_SYNTAX "record_damaged" at the first entry that does not fit; an
 * incomplete last entry is reported as *ret_torn bytes, since the writer may be in the middle of it.
 */
MUST rc_t record_check(const dir_t *d, const char *name, record_line_t each, void *self, record_stats_t *ret,
                       uint64_t *ret_torn, err_t *e);

#endif
