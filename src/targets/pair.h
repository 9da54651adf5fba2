/*
 * Is this certificate fit to be switched to? Checked before any file is touched.
 */
#ifndef TARGETS_PAIR_H
#define TARGETS_PAIR_H

#include "targets/target.h"

/*
 * The leaf and every chain certificate read, the key belongs to the leaf, the
 * leaf's names cover first_dns_name (empty: not asked), and now lies within its
 * dates. RC_INVALID or RC_SYNTAX: reasons "pair_leaf", "pair_chain",
 * "pair_key", "pair_key_mismatch", "pair_name", "pair_not_yet", "pair_expired".
 * ret_sha256 gets the leaf's fingerprint in hex.
 */
MUST rc_t pair_check(const deploy_job_t *job, us_t now, arena_t *a, char ret_sha256[65], err_t *e);

#endif
