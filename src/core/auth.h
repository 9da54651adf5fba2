/*
 * Authentication: who holds which key, and what they may do. Principals live
 * in one immutable snapshot that is rebuilt when their version stamp changed,
 * so a check costs at most one point read (design D6, spec/auth.md 3 and 5).
 */
#ifndef CORE_AUTH_H
#define CORE_AUTH_H

#include "core/actor.h"
#include "core/core.h"

typedef struct auth auth_t;

/* Takes the keys of the settings. */
MUST rc_t auth_start(const core_t *core, auth_t **ret, err_t *e);

void auth_free(auth_t *au);

/* A pinned snapshot: actors found in it live until auth_unpin. */
typedef struct auth_pin auth_pin_t;

/*
 * Finds the actor of an Authorization header ({NULL,0} when it was not sent). RC_DENIED
 * with the texts of spec/api.md 1.3 ("missing", "format", "unknown" as e->reason);
 * on RC_OK *ret_actor lives until auth_unpin(*ret_pin). An agent that somebody else's SQL
 * added is known after a second at most.
 */
MUST rc_t auth_check(auth_t *au, db_read_t *r, slice_t header, us_t now, const actor_t **ret_actor,
                     auth_pin_t **ret_pin, err_t *e);
void auth_unpin(auth_t *au, auth_pin_t *pin);

/* As auth_check, from memory alone. False: not known there, ask auth_check. */
bool auth_known(auth_t *au, slice_t header, us_t now, const actor_t **ret_actor, auth_pin_t **ret_pin);

/* Hex SHA-256 of a key, as stored. */
void auth_key_hash(slice_t key, char out[65]);

/* Stamp to touch when a key, grant or agent key changes. */
extern const char *const auth_stamps[];
extern const size_t auth_stamp_count;

/* Keys that the current snapshot knows, for metrics and tests. */
size_t auth_principals(auth_t *au);

#endif
