/*
 * Certificates as inventory rows: created with their targets and first jobs,
 * changed, mapped, archived, renewed (spec/model.md 3.1, 3.2, 3.5).
 */
#ifndef CORE_INVENTORY_H
#define CORE_INVENTORY_H

#include "core/actor.h"
#include "core/core.h"
#include "model/resources.h"

/* What decides whether a certificate may be renewed or deployed now. */
typedef struct certificate_state {
  slice_t status, common_name;
  us_t last_renewal_at; /* never: not issued yet */
  int64_t attempts;     /* that its policy gives a job */
} certificate_state_t;

/* RC_NOTFOUND. Reads the store, so nothing else may be reading. */
MUST rc_t certificate_state_read(const core_t *core, arena_t *a, slice_t id, certificate_state_t *ret, err_t *e);

/*
 * Stores the row with its target mapping and, with targets, one Issuance job per agent,
 * in one command. Fills id, times, status and defaults of *c. RC_INVALID (unknown target or
 * reference), RC_CONFLICT (id or name taken).
 */
MUST rc_t inventory_create(const core_t *core, arena_t *a, certificate_t *c, const actor_t *who, err_t *e);

/* Writes the fields of `set` and, with `targets`, replaces the mapping. `changed` names the fields for the audit row. */
MUST rc_t inventory_update(const core_t *core, arena_t *a, certificate_t *c, uint64_t set, bool targets,
                           slice_t changed, const actor_t *who, err_t *e);

/* RC_NOTFOUND: certificate, target, or a mapping to take away; RC_INVALID beyond LIM_CERT_TARGETS. */
MUST rc_t inventory_map(const core_t *core, arena_t *a, slice_t certificate, slice_t target, bool add,
                        const actor_t *who, err_t *e);

MUST rc_t inventory_archive(const core_t *core, arena_t *a, slice_t certificate, const actor_t *who, err_t *e);

/*
 * Issues anew: one job per agent with targets, or one for nobody. RC_CONFLICT "in_progress" while a
 * job is under way, unless forced: then *ret_job is that one. RC_INVALID: archived or expired.
 */
MUST rc_t inventory_renew(const core_t *core, arena_t *a, slice_t certificate, bool force, const actor_t *who,
                          slice_t *ret_job, err_t *e);

#endif
