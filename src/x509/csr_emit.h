/*
 * A certification request (PKCS#10, RFC 2986) for a key of ours: subject CN,
 * the names as subjectAltName, signed by the key itself. Nothing else is asked
 * for, since the issuer decides the rest.
 */
#ifndef X509_CSR_EMIT_H
#define X509_CSR_EMIT_H

#include "base/buf.h"
#include "crypto/key.h"
#include "x509/names.h"

/*
 * Appends the DER. A cn that is empty or longer than LIM_COMMON_NAME octets is left
 * out (empty subject); `names` are written typed, in their order, in an
 * extensionRequest that is absent when there are none. RC_INVALID "name_kind" for
 * other kinds than DNS, IP, EMAIL, URI; RC_CRYPTO, RC_FULL, RC_NOMEM.
 */
MUST rc_t csr_emit(sigkey_t *key, slice_t cn, names_t names, buf_t *der, err_t *e);

#endif
