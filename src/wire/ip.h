/*
 * IP addresses and prefixes: strict text in (RFC 4291 2.2 without zone; dotted
 * quads without leading zeros, since some readers take those as octal), the one
 * canonical text out (RFC 5952).
 */
#ifndef WIRE_IP_H
#define WIRE_IP_H

#include "base/slice.h"

typedef struct ip {
  uint8_t b[16]; /* network order; IPv4 uses the first four */
  uint8_t n;     /* 4 or 16 */
} ip_t;

typedef struct cidr {
  ip_t ip;
  uint8_t bits;
} cidr_t;

enum { IP_TEXT_MAX = 46 };

/* RC_SYNTAX for anything that is not exactly one address. */
MUST rc_t ip_parse(slice_t s, ip_t *ret);

/* From the 4 or 16 octets that certificates hold; RC_SYNTAX for another length. */
MUST rc_t ip_from_bytes(slice_t bytes, ip_t *ret);

/* Canonical text, terminated; returns its length. */
size_t ip_format(const ip_t *ip, char out[IP_TEXT_MAX]);

/* "address/bits"; RC_INVALID when bits behind the prefix are set, RC_SYNTAX otherwise. */
MUST rc_t cidr_parse(slice_t s, cidr_t *ret);

/* Same family and inside the prefix. */
bool cidr_contains(const cidr_t *c, const ip_t *ip);

/* Equal family and bytes. */
bool ip_eq(const ip_t *a, const ip_t *b);

#endif
