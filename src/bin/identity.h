/*
 * The server's own TLS identity: the operator's files when settings name
 * them, else one that the built-in CA issues for this host, kept in
 * <state>/tls and replaced at two thirds of its life (decisions: Certificates).
 */
#ifndef BIN_IDENTITY_H
#define BIN_IDENTITY_H

#include "core/core.h"

typedef struct identity {
  slice_t cert_pem, key_pem; /* in the arena given; wipe the key after use */
  us_t renew_at;             /* never: the operator's */
} identity_t;

/* Reads the self-made identity, or makes one where it is missing, for other names, of another CA, or past two thirds. */
MUST rc_t identity_self(const core_t *core, arena_t *a, identity_t *ret, err_t *e);

/* Reads the operator's files from the descriptors that the supervisor handed over; RC_AGAIN when none are there. */
MUST rc_t identity_handed(arena_t *a, bool wait, identity_t *ret, err_t *e);

#endif
