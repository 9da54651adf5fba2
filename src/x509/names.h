/*
 * Names that a certificate can carry, by one rule and in one wording for the API, the CSR
 * check and the signer. Text or wire form in, a normalised name_t out: lower case, no
 * trailing dot, canonical addresses. Two names are the same name when kind and bytes are.
 *
 * DNS names: labels of letters, digits and hyphens (RFC 1123 2.1), 1 to 63 octets, 253 in
 * all; "*" only as the whole leftmost label above at least two others (RFC 6125 6.4.3);
 * "xn--" labels must decode (RFC 3492) to something that needs them, other labels with
 * "--" in third place are reserved (RFC 5890 2.3.1); one label is allowed, as private
 * networks use it; a last label of digits is refused, since software reads it as an
 * address. Non-ASCII text is refused: the A-label form is what a certificate carries.
 * Addresses, RFC 4291; e-mail, RFC 5321 dot-atom at a DNS name; URI, RFC 3986 with scheme
 * (RFC 5280 4.2.1.6), no user information.
 *
 * Memory is the caller's arena. Failures are RC_INVALID (RC_FULL for a limit) with a reason
 * "name_…", field "name" and the offending value; RC_NOMEM.
 */
#ifndef X509_NAMES_H
#define X509_NAMES_H

#include "base/arena.h"
#include "base/limits.h"

/* The numbers are the tags of GeneralName (RFC 5280 4.2.1.6). */
typedef enum name_kind {
  NAME_OTHER = 0,
  NAME_EMAIL = 1,
  NAME_DNS = 2,
  NAME_X400 = 3,
  NAME_DIRECTORY = 4,
  NAME_EDI = 5,
  NAME_URI = 6,
  NAME_IP = 7,
  NAME_REGISTERED_ID = 8
} name_kind_t;

typedef struct name {
  name_kind_t kind;
  slice_t bytes; /* content octets of the GeneralName: ASCII text, or 4 or 16 octets of an address */
  slice_t text;  /* for people and JSON: as bytes, or the address in canonical text */
} name_t;

typedef struct names {
  const name_t *v;
  size_t n;
} names_t;

/* "DNS", "IP", "email", "URI", and words for the others; static. */
const char *name_kind_text(name_kind_t kind);

/* DNS, IP, e-mail and URI: the kinds that are asked for and issued. */
static inline bool name_kind_is_issued(name_kind_t k)
{
  return k == NAME_DNS || k == NAME_IP || k == NAME_EMAIL || k == NAME_URI;
}

/* Types and normalises one text as the user wrote it. */
MUST rc_t names_parse(arena_t *a, slice_t text, name_t *ret, err_t *e);

/*
 * Checks and normalises a name that arrives typed, as in a CSR. A dNSName that spells an
 * IP address becomes that address (agents in the field send them so). Kinds other than
 * DNS, IP, e-mail and URI: "name_kind".
 */
MUST rc_t names_from_wire(arena_t *a, name_kind_t kind, slice_t bytes, name_t *ret, err_t *e);

/*
 * Types and normalises n texts: first occurrence kept, in order. "name_count" above
 * LIM_CERT_NAMES (after removal of repetitions). `field` names the list in errors.
 */
MUST rc_t names_parse_all(arena_t *a, const slice_t *texts, size_t n, const char *field, names_t *ret, err_t *e);

/* Normalised names without repetitions, in order. RC_NOMEM. */
MUST rc_t names_dedupe(arena_t *a, names_t in, names_t *ret);

bool name_eq(const name_t *a, const name_t *b);
bool names_have(names_t set, const name_t *one);

/* First name of `sub` that is not in `set`, or NULL. */
const name_t *names_missing(names_t sub, names_t set);

/* True if the certificate's name `pattern` covers `host`: equal, or its "*" stands for one label (RFC 6125 6.4.3). */
bool name_covers(const name_t *pattern, const name_t *host);

#endif
