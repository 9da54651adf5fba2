/*
 * The server's side of the signer: requests of many workers are gathered into
 * messages of up to 64 over one socket; a caller blocks until its answer is
 * there. The client never waits to fill a message. Thread-safe.
 */
#ifndef SIGNER_CLIENT_H
#define SIGNER_CLIENT_H

#include "base/arena.h"
#include "signer/message.h"

typedef struct signer_client signer_client_t;

/*
 * Takes over the connected socket `fd`; starts the client's thread. A signer that says nothing for `patience_ms`
 * while it is asked counts as dead, and the log says so.
 */
MUST rc_t signer_client_new(int fd, int64_t patience_ms, signer_client_t **ret, err_t *e);

/* Whether the signer ended or fell silent: every call answers RC_CLOSED from then on. */
bool signer_client_dead(signer_client_t *c);

void signer_client_free(signer_client_t *c);

/*
 * Signs one leaf. RC_DENIED or RC_INVALID with e->reason by name (those of signer/issue.h: ceiling_names,
 * ceiling_lifetime, csr_signature, name_not_asked …), RC_CONFLICT ref_reused; RC_IO record_unwritable (retry);
 * RC_CLOSED when the signer died (retry after the restart: the same ref gives the same bytes).
 */
MUST rc_t signer_sign(signer_client_t *c, const sign_request_t *rq, arena_t *a, sign_answer_t *ret, err_t *e);

/* PEM chain of a CA (leaf's issuer first) in the arena. RC_NOTFOUND. */
MUST rc_t signer_ca_chain(signer_client_t *c, slice_t issuer, arena_t *a, slice_t *ret_pem, err_t *e);

/* The newest `most` signatures of the record, oldest first: what a crash may have left without its row. */
MUST rc_t signer_record_tail(signer_client_t *c, size_t most, arena_t *a, record_entry_t **ret, size_t *ret_n,
                             err_t *e);

#endif
