#include "x509/csr_emit.h"

#include "wire/der.h"
#include "x509/emit.h"
#include "x509/oid.h"

/* extensionRequest (RFC 2985 5.4.2) with one extension. */
static void put_attributes(buf_t *b, names_t names)
{
  size_t attributes = der_open(b, DER_CTX_CONS(0));
  if (names.n > 0) {
    size_t attribute = der_open(b, DER_SEQUENCE);
    der_put_oid(b, oid_der(OID_EXTENSION_REQUEST));
    size_t values = der_open(b, DER_SET);
    size_t extensions = der_open(b, DER_SEQUENCE);
    size_t extension = der_open(b, DER_SEQUENCE);
    der_put_oid(b, oid_der(OID_SUBJECT_ALT_NAME));
    size_t value = der_open(b, DER_OCTETS);
    emit_names(b, names);
    der_close(b, value);
    der_close(b, extension);
    der_close(b, extensions);
    der_close(b, values);
    der_close(b, attribute);
  }
  der_close(b, attributes);
}

rc_t csr_emit(sigkey_t *key, slice_t cn, names_t names, buf_t *der, err_t *e)
{
  uint8_t sig[KEY_SIG_MAX];
  size_t nsig = 0;
  BUF_SCOPED buf_t info = buf_heap(LIM_CSR_DER);
  for (size_t i = 0; i < names.n; i++)
    if (!name_kind_is_issued(names.v[i].kind))
      return err_set(e, RC_INVALID, "name_kind", "name", "cannot be asked for in a request");
  size_t outer = der_open(&info, DER_SEQUENCE);
  der_put_int(&info, 0);
  emit_cn(&info, cn.n <= LIM_COMMON_NAME ? cn : slice_of(NULL, 0));
  buf_put(&info, key_spki(key));
  put_attributes(&info, names);
  der_close(&info, outer);
  if (!rc_ok(buf_rc(&info)))
    return err_limit(e, info.code, "csr_size", NULL, "request is over {limit} bytes", LIM_CSR_DER);
  rc_t r = key_sign(key, buf_slice(&info), sig, &nsig);
  if (!rc_ok(r)) return err_set(e, r.code, "csr_sign", NULL, "request could not be signed");

  size_t csr = der_open(der, DER_SEQUENCE);
  buf_put(der, buf_slice(&info));
  buf_put(der, sigalg_der(key_sigalg(key)));
  der_put_bits(der, slice_of(sig, nsig), 0);
  der_close(der, csr);
  r = buf_rc(der);
  return rc_ok(r) ? r : err_limit(e, r.code, "csr_size", NULL, "request is over {limit} bytes", LIM_CSR_DER);
}
