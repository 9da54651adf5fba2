/* The certificates and requests that the mutations start from. */
#include "der_oracle.h"

#include "base/random.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/x509v3.h>

/* Fixed, so that one seed gives one run; nothing is verified here. */
static EVP_PKEY *signing_key(void)
{
  static const uint8_t raw[32] = "certificates for tests only ....";
  return EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, raw, sizeof raw);
}

static EVP_PKEY *from_params(const char *type, OSSL_PARAM_BLD *bld)
{
  EVP_PKEY *key = NULL;
  EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
  OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
  if (EVP_PKEY_fromdata_init(ctx) > 0) (void)EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params);
  OSSL_PARAM_free(params);
  OSSL_PARAM_BLD_free(bld);
  EVP_PKEY_CTX_free(ctx);
  return key;
}

/* The generator as a public key: a point that is on the curve for certain. */
static EVP_PKEY *ec_key(int nid, const char *group_name)
{
  uint8_t point[160];
  EC_GROUP *g = EC_GROUP_new_by_curve_name(nid);
  size_t n = EC_POINT_point2oct(g, EC_GROUP_get0_generator(g), POINT_CONVERSION_UNCOMPRESSED, point, sizeof point,
                                NULL);
  EC_GROUP_free(g);
  OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
  OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, group_name, 0);
  OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, n);
  return from_params("EC", bld);
}

static EVP_PKEY *rsa_key(unsigned bits)
{
  uint8_t raw[512];
  uint64_t state = bits;
  rng_t rng = rng_seeded(&state);
  rng_fill(&rng, raw, bits / 8);
  raw[0] |= 0x80;
  raw[bits / 8 - 1] |= 1;
  BIGNUM *n = BN_bin2bn(raw, (int)bits / 8, NULL), *e = BN_new();
  BN_set_word(e, 65537);
  OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
  OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n);
  OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e);
  EVP_PKEY *key = from_params("RSA", bld);
  BN_free(n);
  BN_free(e);
  return key;
}

static EVP_PKEY *public_key(unsigned which)
{
  switch (which % 5) {
  case 0: return ec_key(NID_X9_62_prime256v1, "P-256");
  case 1: return ec_key(NID_secp384r1, "P-384");
  case 2: return rsa_key(2048);
  case 3: return signing_key();
  default: return ec_key(NID_secp521r1, "P-521");
  }
}

static const struct {
  const char *field;
  int type;
  const char *value;
  int n;
  int set; /* X509_NAME_add_entry: 0 a new RDN, -1 joined to the last */
} attributes[] = {
  {"C", V_ASN1_PRINTABLESTRING, "DE", -1, 0},
  {"O", V_ASN1_UTF8STRING, "Br\xc3\xb6t & S\xc3\xb6hne, \"GmbH\"", -1, 0},
  {"OU", V_ASN1_T61STRING, "Caf\xe9", -1, 0},
  {"OU", V_ASN1_BMPSTRING, "\0B\0M\0P", 6, -1},
  {"L", V_ASN1_UNIVERSALSTRING, "\0\0\0L", 4, 0},
  {"serialNumber", V_ASN1_PRINTABLESTRING, "12-34", -1, 0},
  {"DC", V_ASN1_IA5STRING, "example", -1, 0},
  {"emailAddress", V_ASN1_IA5STRING, "a@example.test", -1, 0},
  {"CN", V_ASN1_UTF8STRING, " #www.example.test ", -1, 0},
  {"CN", V_ASN1_UTF8STRING, "www.example.test", -1, 0},
};

static void fill_name(X509_NAME *name, unsigned which)
{
  for (size_t i = 0; i < COUNT_OF(attributes); i++) {
    bool wanted = which & 8 ? i + 1 == COUNT_OF(attributes) : (which >> (i % 3) & 1) || i == 0 || i + 1 == COUNT_OF(attributes);
    if (!wanted || (which & 7) == 6) continue;
    int set = attributes[i].set < 0 && X509_NAME_entry_count(name) > 1 ? -1 : 0;
    X509_NAME_add_entry_by_txt(name, attributes[i].field, attributes[i].type, (const uint8_t *)attributes[i].value,
                               attributes[i].n, -1, set);
  }
}

static const struct {
  int nid;
  const char *value;
  bool in_csr;
} extensions[] = {
  {NID_subject_alt_name, "DNS:www.example.test,DNS:*.example.test,DNS:xn--mller-kva.example.test", true},
  {NID_basic_constraints, "critical,CA:FALSE", true},
  {NID_key_usage, "critical,digitalSignature,keyEncipherment", true},
  {NID_ext_key_usage, "serverAuth,clientAuth,1.2.3.4", true},
  {NID_subject_alt_name, "critical,IP:192.0.2.1,IP:2001:db8::1,email:a@example.test,URI:spiffe://example.test/x", true},
  {NID_tlsfeature, "status_request", true},
  {NID_subject_alt_name, "DNS:intranet,RID:1.2.3.4,otherName:1.2.3.4;UTF8:x", false},
  {NID_basic_constraints, "critical,CA:TRUE,pathlen:3", false},
  {NID_crl_distribution_points, "URI:http://crl.example.test/a.crl", false},
  {NID_info_access, "OCSP;URI:http://ocsp.example.test/,caIssuers;URI:http://ca.example.test/ca.cer", false},
  {NID_certificate_policies, "2.23.140.1.2.1", false},
  {NID_key_usage, "keyCertSign,cRLSign,decipherOnly", false},
};

static STACK_OF(X509_EXTENSION) *make_extensions(unsigned which, bool csr)
{
  STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();
  X509V3_CTX ctx;
  X509V3_set_ctx_nodb(&ctx);
  X509V3_set_ctx(&ctx, NULL, NULL, NULL, NULL, 0);
  for (size_t i = 0; i < COUNT_OF(extensions); i++) {
    if ((csr && !extensions[i].in_csr) || !((which >> (i % 5) & 1) || i == which % COUNT_OF(extensions))) continue;
    if (X509v3_get_ext_by_NID(list, extensions[i].nid, -1) >= 0) continue;
    X509_EXTENSION *x = X509V3_EXT_conf_nid(NULL, &ctx, extensions[i].nid, extensions[i].value);
    if (x) sk_X509_EXTENSION_push(list, x);
  }
  return list;
}

static slice_t keep(arena_t *a, unsigned char *der, int n)
{
  slice_t s = n > 0 ? arena_dup(a, slice_of(der, (size_t)n)) : (slice_t){NULL, 0};
  OPENSSL_free(der);
  return s;
}

static slice_t make_cert(arena_t *a, unsigned which, EVP_PKEY *signer)
{
  static const char *const times[] = {"20200101000000Z", "20491231235959Z", "20500101000000Z", "19500101000000Z", "99991231235959Z"};
  static const char *const serials[] = {"1", "7f", "80", "ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00", "-1", "-80", "0"};
  X509 *x = X509_new();
  EVP_PKEY *key = public_key(which);
  STACK_OF(X509_EXTENSION) *exts = make_extensions(which, false);
  BIGNUM *serial = NULL;
  unsigned char *der = NULL;
  BN_hex2bn(&serial, serials[which % COUNT_OF(serials)]);
  BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(x));
  ASN1_TIME_set_string_X509(X509_getm_notBefore(x), times[which % 4]);
  ASN1_TIME_set_string_X509(X509_getm_notAfter(x), times[(which / 4) % COUNT_OF(times)]);
  fill_name(X509_get_subject_name(x), which);
  fill_name(X509_get_issuer_name(x), which / 2);
  X509_set_pubkey(x, key);
  bool v3 = which % 9 != 0;
  X509_set_version(x, v3 ? X509_VERSION_3 : X509_VERSION_1);
  for (int i = 0; v3 && i < sk_X509_EXTENSION_num(exts); i++) X509_add_ext(x, sk_X509_EXTENSION_value(exts, i), -1);
  X509_sign(x, signer, NULL);
  int n = i2d_X509(x, &der);
  sk_X509_EXTENSION_pop_free(exts, X509_EXTENSION_free);
  BN_free(serial);
  EVP_PKEY_free(key);
  X509_free(x);
  return keep(a, der, n);
}

static slice_t make_csr(arena_t *a, unsigned which, EVP_PKEY *signer)
{
  X509_REQ *x = X509_REQ_new();
  EVP_PKEY *key = public_key(which % 4); /* not P-521, which ours does not take */
  STACK_OF(X509_EXTENSION) *exts = make_extensions(which, true);
  unsigned char *der = NULL;
  fill_name(X509_REQ_get_subject_name(x), which);
  X509_REQ_set_pubkey(x, key);
  if (sk_X509_EXTENSION_num(exts)) X509_REQ_add_extensions(x, exts);
  if (which % 3 == 0)
    X509_REQ_add1_attr_by_NID(x, NID_pkcs9_challengePassword, MBSTRING_ASC, (const uint8_t *)"secret", -1);
  if (which % 5 == 0) X509_REQ_add1_attr_by_NID(x, NID_pkcs9_unstructuredName, MBSTRING_ASC, (const uint8_t *)"x", -1);
  X509_REQ_sign(x, signer, NULL);
  int n = i2d_X509_REQ(x, &der);
  sk_X509_EXTENSION_pop_free(exts, X509_EXTENSION_free);
  EVP_PKEY_free(key);
  X509_REQ_free(x);
  return keep(a, der, n);
}

static size_t make_all(arena_t *a, slice_t *ret, size_t most,
                       slice_t (*make)(arena_t *a, unsigned which, EVP_PKEY *signer))
{
  EVP_PKEY *signer = signing_key();
  size_t n = 0;
  for (unsigned i = 0; n < most; i++) {
    slice_t der = make(a, i, signer);
    if (!der.p) break;
    ret[n++] = der;
  }
  EVP_PKEY_free(signer);
  return n;
}

size_t oracle_make_certs(arena_t *a, slice_t *ret, size_t most) { return make_all(a, ret, most, make_cert); }
size_t oracle_make_csrs(arena_t *a, slice_t *ret, size_t most) { return make_all(a, ret, most, make_csr); }
