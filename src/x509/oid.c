#include "x509/oid.h"

#include "base/check.h"

typedef struct row {
  oid_t id;
  oid_class_t class;
  const char *name;
  uint8_t n;
  const char *der;
} row_t;

/* In the order of the enumeration: shorter first, then by octets, so that oid_find can halve. */
static const row_t rows[] = {
  {OID_X25519, OIDC_KEY, "X25519", 3, "\x2b\x65\x6e"},
  {OID_ED25519, OIDC_KEY, "Ed25519", 3, "\x2b\x65\x70"},
  {OID_ED448, OIDC_KEY, "Ed448", 3, "\x2b\x65\x71"},
  {OID_CN, OIDC_ATTR, "CN", 3, "\x55\x04\x03"},
  {OID_SURNAME, OIDC_ATTR, "surname", 3, "\x55\x04\x04"},
  {OID_SERIAL_NUMBER, OIDC_ATTR, "SERIALNUMBER", 3, "\x55\x04\x05"},
  {OID_C, OIDC_ATTR, "C", 3, "\x55\x04\x06"},
  {OID_L, OIDC_ATTR, "L", 3, "\x55\x04\x07"},
  {OID_ST, OIDC_ATTR, "ST", 3, "\x55\x04\x08"},
  {OID_STREET, OIDC_ATTR, "STREET", 3, "\x55\x04\x09"},
  {OID_O, OIDC_ATTR, "O", 3, "\x55\x04\x0a"},
  {OID_OU, OIDC_ATTR, "OU", 3, "\x55\x04\x0b"},
  {OID_TITLE, OIDC_ATTR, "title", 3, "\x55\x04\x0c"},
  {OID_POSTAL_CODE, OIDC_ATTR, "POSTALCODE", 3, "\x55\x04\x11"},
  {OID_GIVEN_NAME, OIDC_ATTR, "givenName", 3, "\x55\x04\x2a"},
  {OID_SUBJECT_KEY_ID, OIDC_EXT, "subjectKeyIdentifier", 3, "\x55\x1d\x0e"},
  {OID_KEY_USAGE, OIDC_EXT, "keyUsage", 3, "\x55\x1d\x0f"},
  {OID_SUBJECT_ALT_NAME, OIDC_EXT, "subjectAltName", 3, "\x55\x1d\x11"},
  {OID_ISSUER_ALT_NAME, OIDC_EXT, "issuerAltName", 3, "\x55\x1d\x12"},
  {OID_BASIC_CONSTRAINTS, OIDC_EXT, "basicConstraints", 3, "\x55\x1d\x13"},
  {OID_NAME_CONSTRAINTS, OIDC_EXT, "nameConstraints", 3, "\x55\x1d\x1e"},
  {OID_CRL_DISTRIBUTION_POINTS, OIDC_EXT, "cRLDistributionPoints", 3, "\x55\x1d\x1f"},
  {OID_CERTIFICATE_POLICIES, OIDC_EXT, "certificatePolicies", 3, "\x55\x1d\x20"},
  {OID_AUTHORITY_KEY_ID, OIDC_EXT, "authorityKeyIdentifier", 3, "\x55\x1d\x23"},
  {OID_EXT_KEY_USAGE, OIDC_EXT, "extKeyUsage", 3, "\x55\x1d\x25"},
  {OID_ANY_EKU, OIDC_EKU, "anyExtendedKeyUsage", 4, "\x55\x1d\x25\x00"},
  {OID_P224, OIDC_CURVE, "P-224", 5, "\x2b\x81\x04\x00\x21"},
  {OID_P384, OIDC_CURVE, "P-384", 5, "\x2b\x81\x04\x00\x22"},
  {OID_P521, OIDC_CURVE, "P-521", 5, "\x2b\x81\x04\x00\x23"},
  {OID_DSA, OIDC_KEY, "dsa", 7, "\x2a\x86\x48\xce\x38\x04\x01"},
  {OID_EC, OIDC_KEY, "id-ecPublicKey", 7, "\x2a\x86\x48\xce\x3d\x02\x01"},
  {OID_ECDSA_SHA1, OIDC_SIG, "ecdsa-with-SHA1", 7, "\x2a\x86\x48\xce\x3d\x04\x01"},
  {OID_KERBEROS_CLIENT, OIDC_EKU, "kerberosClientAuth", 7, "\x2b\x06\x01\x05\x02\x03\x04"},
  {OID_KERBEROS_KDC, OIDC_EKU, "kerberosKeyDistribution", 7, "\x2b\x06\x01\x05\x02\x03\x05"},
  {OID_P256, OIDC_CURVE, "P-256", 8, "\x2a\x86\x48\xce\x3d\x03\x01\x07"},
  {OID_ECDSA_SHA256, OIDC_SIG, "ecdsa-with-SHA256", 8, "\x2a\x86\x48\xce\x3d\x04\x03\x02"},
  {OID_ECDSA_SHA384, OIDC_SIG, "ecdsa-with-SHA384", 8, "\x2a\x86\x48\xce\x3d\x04\x03\x03"},
  {OID_ECDSA_SHA512, OIDC_SIG, "ecdsa-with-SHA512", 8, "\x2a\x86\x48\xce\x3d\x04\x03\x04"},
  {OID_AUTHORITY_INFO, OIDC_EXT, "authorityInfoAccess", 8, "\x2b\x06\x01\x05\x05\x07\x01\x01"},
  {OID_TLS_FEATURE, OIDC_EXT, "tlsFeature", 8, "\x2b\x06\x01\x05\x05\x07\x01\x18"},
  {OID_SERVER_AUTH, OIDC_EKU, "serverAuth", 8, "\x2b\x06\x01\x05\x05\x07\x03\x01"},
  {OID_CLIENT_AUTH, OIDC_EKU, "clientAuth", 8, "\x2b\x06\x01\x05\x05\x07\x03\x02"},
  {OID_CODE_SIGNING, OIDC_EKU, "codeSigning", 8, "\x2b\x06\x01\x05\x05\x07\x03\x03"},
  {OID_EMAIL_PROTECTION, OIDC_EKU, "emailProtection", 8, "\x2b\x06\x01\x05\x05\x07\x03\x04"},
  {OID_TIME_STAMPING, OIDC_EKU, "timeStamping", 8, "\x2b\x06\x01\x05\x05\x07\x03\x08"},
  {OID_OCSP_SIGNING, OIDC_EKU, "ocspSigning", 8, "\x2b\x06\x01\x05\x05\x07\x03\x09"},
  {OID_MACHINE_EAP, OIDC_EKU, "machineEAP", 8, "\x2b\x06\x01\x05\x05\x07\x03\x0d"},
  {OID_IPSEC_IKE, OIDC_EKU, "ipsecIKE", 8, "\x2b\x06\x01\x05\x05\x07\x03\x11"},
  {OID_AIA_OCSP, OIDC_ACCESS, "ocsp", 8, "\x2b\x06\x01\x05\x05\x07\x30\x01"},
  {OID_AIA_CA_ISSUERS, OIDC_ACCESS, "caIssuers", 8, "\x2b\x06\x01\x05\x05\x07\x30\x02"},
  {OID_RSA, OIDC_KEY, "rsaEncryption", 9, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"},
  {OID_RSA_MD5, OIDC_SIG, "md5WithRSAEncryption", 9, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04"},
  {OID_RSA_SHA1, OIDC_SIG, "sha1WithRSAEncryption", 9, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05"},
  {OID_RSA_PSS, OIDC_KEY, "rsassaPss", 9, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a"},
  {OID_RSA_SHA256, OIDC_SIG, "sha256WithRSAEncryption", 9, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"},
  {OID_RSA_SHA384, OIDC_SIG, "sha384WithRSAEncryption", 9, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c"},
  {OID_RSA_SHA512, OIDC_SIG, "sha512WithRSAEncryption", 9, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d"},
  {OID_EMAIL_ADDRESS, OIDC_ATTR, "emailAddress", 9, "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01"},
  {OID_UNSTRUCTURED_NAME, OIDC_REQ, "unstructuredName", 9, "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x02"},
  {OID_CHALLENGE_PASSWORD, OIDC_REQ, "challengePassword", 9, "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x07"},
  {OID_UNSTRUCTURED_ADDRESS, OIDC_REQ, "unstructuredAddress", 9, "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x08"},
  {OID_EXTENSION_REQUEST, OIDC_REQ, "extensionRequest", 9, "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e"},
  {OID_KEY_RECOVERY_AGENT, OIDC_EKU, "keyRecoveryAgent", 9, "\x2b\x06\x01\x04\x01\x82\x37\x15\x06"},
  {OID_DEVICE_SERIAL_NUMBER, OIDC_REQ, "deviceSerialNumber", 9, "\x2b\x06\x01\x04\x01\x82\x37\x15\x0e"},
  {OID_OCSP_NO_CHECK, OIDC_EKU, "ocspNoCheck", 9, "\x2b\x06\x01\x05\x05\x07\x30\x01\x05"},
  {OID_UID, OIDC_ATTR, "UID", 10, "\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01"},
  {OID_DC, OIDC_ATTR, "DC", 10, "\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19"},
  {OID_ENCRYPTING_FS, OIDC_EKU, "encryptingFileSystem", 10, "\x2b\x06\x01\x04\x01\x82\x37\x0a\x03\x04"},
  {OID_DOCUMENT_SIGNING, OIDC_EKU, "documentSigning", 10, "\x2b\x06\x01\x04\x01\x82\x37\x0a\x03\x0c"},
  {OID_SMART_CARD_LOGON, OIDC_EKU, "smartCardLogon", 10, "\x2b\x06\x01\x04\x01\x82\x37\x14\x02\x02"},
  {OID_SCT_LIST, OIDC_EXT, "signedCertificateTimestampList", 10, "\x2b\x06\x01\x04\x01\xd6\x79\x02\x04\x02"},
  {OID_CT_POISON, OIDC_EXT, "ctPoison", 10, "\x2b\x06\x01\x04\x01\xd6\x79\x02\x04\x03"},
};

_Static_assert(COUNT_OF(rows) == OID_COUNT - 1, "one row per identifier");

static slice_t row_der(const row_t *r) { return slice_of(r->der, r->n); }

static int row_cmp(const row_t *r, slice_t content)
{
  if (r->n != content.n) return r->n < content.n ? -1 : 1;
  return memcmp(r->der, content.p, content.n);
}

oid_t oid_find(slice_t content)
{
  size_t lo = 0, hi = COUNT_OF(rows);
  if (content.n == 0) return OID_UNKNOWN;
  while (lo < hi) {
    size_t mid = (lo + hi) / 2;
    int c = row_cmp(&rows[mid], content);
    if (c == 0) return rows[mid].id;
    if (c < 0) lo = mid + 1;
    else hi = mid;
  }
  return OID_UNKNOWN;
}

oid_t oid_named(oid_class_t of, slice_t name)
{
  for (size_t i = 0; i < COUNT_OF(rows); i++)
    if (rows[i].class == of && slice_is(name, rows[i].name)) return rows[i].id;
  return OID_UNKNOWN;
}

static const row_t *row_of(oid_t id)
{
  static const row_t none = {OID_UNKNOWN, OIDC_ATTR, "", 0, ""};
  if (id <= OID_UNKNOWN || id >= OID_COUNT) return &none;
  const row_t *r = &rows[id - 1];
  CHECK(r->id == id);
  return r;
}

slice_t oid_der(oid_t id) { return row_der(row_of(id)); }
const char *oid_name(oid_t id) { return row_of(id)->name; }
oid_class_t oid_class(oid_t id) { return row_of(id)->class; }

static void component(buf_t *b, uint64_t v, bool first)
{
  if (first) {
    uint64_t arc = v < 40 ? 0 : v < 80 ? 1 : 2;
    buf_printf(b, "%llu.%llu", (unsigned long long)arc, (unsigned long long)(v - 40 * arc));
  } else {
    buf_printf(b, ".%llu", (unsigned long long)v);
  }
}

void oid_dotted(buf_t *b, slice_t content)
{
  uint64_t v = 0;
  bool first = true, large = false;
  for (size_t i = 0; i < content.n; i++) {
    if (v >> 57) large = true;
    v = v << 7 | (content.p[i] & 0x7f);
    if (content.p[i] & 0x80) continue;
    if (large) buf_puts(b, first ? "?" : ".?");
    else component(b, v, first);
    v = 0;
    first = large = false;
  }
}

void oid_text(buf_t *b, slice_t content)
{
  oid_t id = oid_find(content);
  if (id == OID_UNKNOWN) oid_dotted(b, content);
  else buf_puts(b, oid_name(id));
}
