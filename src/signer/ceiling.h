/*
 * The ceiling of a CA: what it may ever sign, fixed when the CA is made and
 * sealed beside its key. Requests, profiles and the server's settings can only ask for
 * less. The text form is JSON, every member required, none unknown:
 *
 *   {"names": {"dns": [P…], "ip": [P…], "email": [P…], "uri": [P…]},
 *    "max_lifetime_s": 34387200,
 *    "keys": [{"algorithm": "ECDSA", "min_size": 256, "max_size": 384}, …],
 *    "usages": ["serverAuth", …], "path_len": 0}
 *
 * Patterns P: "*" allows every name of the kind; an empty list allows none.
 *   dns    "*.example.com": every name below example.com at any depth, wildcards included, not example.com itself;
 *          "example.com": that name alone
 *   ip     "10.0.0.0/8", "2001:db8::/32", or one address
 *   email  "user@example.com"; or a pattern as for dns, applied to the host
 *   uri    a pattern as for dns, applied to the host; a URI without a host needs "*"
 *
 * Algorithms are RSA, ECDSA, Ed25519; max_size is optional. All slices live in the arena given.
 */
#ifndef SIGNER_CEILING_H
#define SIGNER_CEILING_H

#include "desc/field.h"
#include "x509/names.h"

enum { CEILING_KEYS = 8, CEILING_PATTERNS = 1000, CEILING_USAGES = 32 };

typedef struct ceiling_key {
  slice_t algorithm;
  int64_t min_size, max_size;
} ceiling_key_t;

typedef struct ceiling {
  slice_t text;            /* the JSON it was read from */
  texts_t dns, ip, email, uri;
  int64_t max_lifetime_s;
  ceiling_key_t keys[CEILING_KEYS];
  size_t nkeys;
  texts_t usages;
  int64_t path_len;
} ceiling_t;

/* Any name, 398 days, P-256 and P-384, RSA from 2048, Ed25519, serverAuth and clientAuth, no CA below. */
slice_t ceiling_default(void);

/* RC_INVALID or RC_SYNTAX naming the member, RC_FULL above LIM_CEILING_FILE, RC_NOMEM. */
MUST rc_t ceiling_parse(arena_t *a, slice_t json, ceiling_t *ret, err_t *e);

/* RC_DENIED "ceiling_names" with the first name that no pattern allows. */
MUST rc_t ceiling_check_names(const ceiling_t *c, names_t names, err_t *e);

/*
 * RC_INVALID "lifetime" unless positive; RC_DENIED "ceiling_lifetime" or, below that, "profile_lifetime"
 * (profile_max_s > 0).
 */
MUST rc_t ceiling_check_lifetime(const ceiling_t *c, int64_t lifetime_s, int64_t profile_max_s, err_t *e);

/*
 * RC_DENIED "ceiling_key" or "profile_key". A profile's keys are "ALGORITHM:LEAST SIZE"; one that is not so is
 * RC_INVALID "profile_key_form".
 */
MUST rc_t ceiling_check_key(const ceiling_t *c, slice_t algorithm, int64_t size, texts_t profile_keys, err_t *e);

/* RC_DENIED "ceiling_usages" with the first usage that is not allowed. */
MUST rc_t ceiling_check_usages(const ceiling_t *c, texts_t usages, err_t *e);

#endif
