#include "x509/spki.h"

typedef struct key_row {
  oid_t id;
  const char *name;
} key_row_t;

static const key_row_t names[] = {
  {OID_RSA, "RSA"},     {OID_RSA_PSS, "RSA-PSS"}, {OID_EC, "ECDSA"},   {OID_ED25519, "Ed25519"},
  {OID_ED448, "Ed448"}, {OID_X25519, "X25519"},   {OID_DSA, "DSA"},
};

static const struct {
  oid_t id;
  int64_t size;
  size_t octets; /* of one coordinate */
  bool usable;
  key_kind_t kind;
} curves[] = {
  {OID_P224, 224, 28, false, KEY_P256},
  {OID_P256, 256, 32, true, KEY_P256},
  {OID_P384, 384, 48, true, KEY_P384},
  {OID_P521, 521, 66, false, KEY_P384},
};

const char *spki_algorithm(const spki_t *k)
{
  for (size_t i = 0; i < COUNT_OF(names); i++)
    if (names[i].id == k->algorithm) return names[i].name;
  return "";
}

static void fault(spki_t *k, const char *token, const char *text, const char *rule)
{
  if (k->fault) return;
  k->fault = token;
  k->text = text;
  k->rule = rule;
}

/* RSAPublicKey (RFC 8017 A.1.1), NULL parameters (RFC 3279 2.3.1). */
static void read_rsa(spki_t *k, slice_t params)
{
  if (!slice_eq(params, S("\x05\x00")))
    fault(k, "spki_parameters", "has RSA parameters other than NULL", "e_spki_rsa_encryption_parameter_not_null");
  der_t r;
  der_init(&r, k->bits);
  (void)der_enter(&r, DER_SEQUENCE);
  slice_t n = der_unsigned(&r);
  bool modulus_read = der_ok(&r);
  slice_t e = der_unsigned(&r);
  der_leave(&r);
  if (!rc_ok(der_end(&r, NULL))) {
    bool negative = modulus_read && r.code == RC_INVALID;
    fault(k, "spki_key", "is not an RSA key as RFC 8017 wants it",
          negative ? "e_rsa_exp_negative" : "e_rsa_no_public_key");
    return;
  }
  k->parts = (key_parts_t){.kind = KEY_RSA, .n = n, .e = e};
  k->size = key_bits(&k->parts);
  k->usable = true;
}

/* Named curves only, uncompressed points (RFC 5480 2.1.1, 2.2). */
static void read_ec(spki_t *k, slice_t params)
{
  der_t r;
  der_init(&r, params);
  k->curve = oid_find(der_oid(&r));
  if (!rc_ok(der_end(&r, NULL))) {
    fault(k, "spki_parameters", "has EC parameters that are no named curve", NULL);
    return;
  }
  for (size_t i = 0; i < COUNT_OF(curves); i++) {
    if (curves[i].id != k->curve) continue;
    k->size = curves[i].size;
    bool form = k->bits.n == 1 + 2 * curves[i].octets && k->bits.p[0] == 4;
    if (!form) fault(k, "spki_key", "has a point that is not uncompressed or not of its curve's size", NULL);
    if (!form || !curves[i].usable) return;
    k->parts = (key_parts_t){.kind = curves[i].kind, .point = k->bits};
    k->usable = true;
    return;
  }
}

/* RFC 8410 3 and 4: no parameters, 32 octets. */
static void read_ed25519(spki_t *k, slice_t params)
{
  k->size = 256;
  if (params.n) fault(k, "spki_parameters", "has parameters where Ed25519 has none", NULL);
  if (k->bits.n != 32) fault(k, "spki_key", "is not an Ed25519 key of 32 octets", NULL);
  if (k->fault) return;
  k->parts = (key_parts_t){.kind = KEY_ED25519, .point = k->bits};
  k->usable = true;
}

/* The prime p of Dss-Parms (RFC 3279 2.3.2), for its size. */
static void read_dsa(spki_t *k, slice_t params)
{
  der_t r;
  der_init(&r, params);
  (void)der_enter(&r, DER_SEQUENCE);
  slice_t p = der_unsigned(&r);
  if (der_ok(&r)) k->size = key_number_bits(p);
}

/* *ret_params is empty when absent. */
static slice_t read_algorithm(der_t *r, slice_t *ret_oid, slice_t *ret_params)
{
  *ret_oid = *ret_params = (slice_t){NULL, 0};
  const uint8_t *start = r->p;
  if (!der_enter(r, DER_SEQUENCE)) return (slice_t){NULL, 0};
  *ret_oid = der_oid(r);
  if (der_more(r)) *ret_params = der_raw(r, 0);
  der_leave(r);
  err_t e = {0};
  if (der_ok(r) && ret_params->n && !rc_ok(der_check(*ret_params, &e))) der_fail(r, RC_SYNTAX, e.reason, e.text);
  return der_ok(r) ? slice_of(start, (size_t)(r->p - start)) : (slice_t){NULL, 0};
}

slice_t algorithm_read(der_t *r)
{
  slice_t oid, params;
  return read_algorithm(r, &oid, &params);
}

spki_t spki_read(der_t *r)
{
  spki_t k = {0};
  slice_t params;
  const uint8_t *start = r->p;
  if (!der_enter(r, DER_SEQUENCE)) return k;
  (void)read_algorithm(r, &k.oid, &params);
  k.bits = der_bits(r, NULL);
  der_leave(r);
  if (!der_ok(r)) return k;
  k.raw = slice_of(start, (size_t)(r->p - start));
  k.algorithm = oid_find(k.oid);
  switch (k.algorithm) {
  case OID_RSA: read_rsa(&k, params); break;
  case OID_EC: read_ec(&k, params); break;
  case OID_ED25519: read_ed25519(&k, params); break;
  case OID_DSA: read_dsa(&k, params); break;
  default: break;
  }
  return k;
}
