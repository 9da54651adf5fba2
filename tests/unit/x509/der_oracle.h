/*
 * What libcrypto reads from the same bytes, compared with what ours read.
 */
#ifndef TEST_DER_ORACLE_H
#define TEST_DER_ORACLE_H

#include "x509/cert.h"
#include "x509/csr.h"

#include <openssl/x509.h>

/* NULL when equal, else the name of the first part that differs. */
const char *oracle_cert_differs(arena_t *a, const cert_t *c, X509 *x);
const char *oracle_csr_differs(arena_t *a, const csr_t *c, X509_REQ *x);

/* Certificates and requests of many shapes, signed with a fixed key; DER in the arena. Returns how many. */
size_t oracle_make_certs(arena_t *a, slice_t *ret, size_t most);
size_t oracle_make_csrs(arena_t *a, slice_t *ret, size_t most);

#endif
