/*
 * PEM files (RFC 7468) as they are found in the field: every block is read, whatever is
 * wrong around or between them is reported by position, and one bad block does not hide
 * the others. Blocks live in the caller's arena.
 *
 * Private keys are listed but never decoded here, so that a scan of files cannot come to
 * hold one; crypto/key.h reads them.
 */
#ifndef WIRE_PEM_H
#define WIRE_PEM_H

#include "base/buf.h"
#include "base/limits.h"

typedef enum pem_kind {
  PEM_OTHER,
  PEM_CERT, /* CERTIFICATE, and the old X509 CERTIFICATE, X.509 CERTIFICATE */
  PEM_CSR,  /* CERTIFICATE REQUEST, NEW CERTIFICATE REQUEST */
  PEM_KEY   /* every "… PRIVATE KEY" */
} pem_kind_t;

typedef struct pem_block {
  pem_kind_t kind;
  slice_t label;  /* "CERTIFICATE"; points into the text */
  slice_t der;    /* empty for PEM_KEY */
  size_t offset;  /* of "-----BEGIN", bytes from the start */
  size_t line;    /* the same, counted from 1 */
} pem_block_t;

typedef struct pem_problem {
  const char *reason; /* stable token, "pem_no_end" */
  const char *text;   /* sentence part: "block … has no END line" */
  size_t offset, line;
  bool lost;          /* a block was not read; false: read nevertheless */
} pem_problem_t;

typedef struct pem_file {
  const pem_block_t *blocks;
  size_t n;
  const pem_problem_t *problems; /* in order of position */
  size_t nproblems;
} pem_file_t;

/*
 * Reads all blocks. RC_FULL above LIM_PEM_FILE bytes ("pem_size") or LIM_PEM_BLOCKS blocks
 * and problems ("pem_blocks"), RC_NOMEM. A text without any block is no failure: n = 0, and where
 * the reason is known (UTF-16) a problem.
 */
MUST rc_t pem_parse(arena_t *a, slice_t text, pem_file_t *ret, err_t *e);

/*
 * The one block of this kind, for fields that hold exactly one. Text around it is ignored.
 * RC_SYNTAX: "pem_missing", "pem_many", or the reason of the problem that lost the block.
 */
MUST rc_t pem_one(arena_t *a, slice_t text, pem_kind_t kind, slice_t *ret_der, err_t *e);

/* Appends one block, 64 columns, LF. */
void pem_emit(buf_t *b, const char *label, slice_t der);

/* True if the text has a BEGIN line, so that it is to be read as PEM and not as DER. */
bool pem_is(slice_t text);

#endif
