#include "x509/oid.h"

#include "base/check.h"

typedef struct row {
  oid_t id;
  const char *name;
  uint8_t n;
  const char *der;
  bool eku; /* an extended key usage, or what profiles name like one */
} row_t;

/* In the order of the enumeration: shorter first, then by octets, so that oid_find can halve. */
static const row_t rows[] = {
  {OID_X25519, "X25519", 3, "\x2b\x65\x6e"},
  {OID_ED25519, "Ed25519", 3, "\x2b\x65\x70"},
  {OID_ED448, "Ed448", 3, "\x2b\x65\x71"},
  {OID_CN, "CN", 3, "\x55\x04\x03"},
  {OID_SURNAME, "surname", 3, "\x55\x04\x04"},
  {OID_SERIAL_NUMBER, "SERIALNUMBER", 3, "\x55\x04\x05"},
  {OID_C, "C", 3, "\x55\x04\x06"},
  {OID_L, "L", 3, "\x55\x04\x07"},
  {OID_ST, "ST", 3, "\x55\x04\x08"},
  {OID_STREET, "STREET", 3, "\x55\x04\x09"},
  {OID_O, "O", 3, "\x55\x04\x0a"},
  {OID_OU, "OU", 3, "\x55\x04\x0b"},
  {OID_TITLE, "title", 3, "\x55\x04\x0c"},
  {OID_POSTAL_CODE, "POSTALCODE", 3, "\x55\x04\x11"},
  {OID_GIVEN_NAME, "givenName", 3, "\x55\x04\x2a"},
  {OID_SUBJECT_KEY_ID, "subjectKeyIdentifier", 3, "\x55\x1d\x0e"},
  {OID_KEY_USAGE, "keyUsage", 3, "\x55\x1d\x0f"},
  {OID_SUBJECT_ALT_NAME, "subjectAltName", 3, "\x55\x1d\x11"},
  {OID_ISSUER_ALT_NAME, "issuerAltName", 3, "\x55\x1d\x12"},
  {OID_BASIC_CONSTRAINTS, "basicConstraints", 3, "\x55\x1d\x13"},
  {OID_NAME_CONSTRAINTS, "nameConstraints", 3, "\x55\x1d\x1e"},
  {OID_CRL_DISTRIBUTION_POINTS, "cRLDistributionPoints", 3, "\x55\x1d\x1f"},
  {OID_CERTIFICATE_POLICIES, "certificatePolicies", 3, "\x55\x1d\x20"},
  {OID_AUTHORITY_KEY_ID, "authorityKeyIdentifier", 3, "\x55\x1d\x23"},
  {OID_EXT_KEY_USAGE, "extKeyUsage", 3, "\x55\x1d\x25"},
  {OID_ANY_EKU, "anyExtendedKeyUsage", 4, "\x55\x1d\x25\x00", true},
  {OID_P224, "P-224", 5, "\x2b\x81\x04\x00\x21"},
  {OID_P384, "P-384", 5, "\x2b\x81\x04\x00\x22"},
  {OID_P521, "P-521", 5, "\x2b\x81\x04\x00\x23"},
  {OID_DSA, "dsa", 7, "\x2a\x86\x48\xce\x38\x04\x01"},
  {OID_EC, "id-ecPublicKey", 7, "\x2a\x86\x48\xce\x3d\x02\x01"},
  {OID_ECDSA_SHA1, "ecdsa-with-SHA1", 7, "\x2a\x86\x48\xce\x3d\x04\x01"},
  {OID_KERBEROS_CLIENT, "kerberosClientAuth", 7, "\x2b\x06\x01\x05\x02\x03\x04", true},
  {OID_KERBEROS_KDC, "kerberosKeyDistribution", 7, "\x2b\x06\x01\x05\x02\x03\x05", true},
  {OID_P256, "P-256", 8, "\x2a\x86\x48\xce\x3d\x03\x01\x07"},
  {OID_ECDSA_SHA256, "ecdsa-with-SHA256", 8, "\x2a\x86\x48\xce\x3d\x04\x03\x02"},
  {OID_ECDSA_SHA384, "ecdsa-with-SHA384", 8, "\x2a\x86\x48\xce\x3d\x04\x03\x03"},
  {OID_ECDSA_SHA512, "ecdsa-with-SHA512", 8, "\x2a\x86\x48\xce\x3d\x04\x03\x04"},
  {OID_AUTHORITY_INFO, "authorityInfoAccess", 8, "\x2b\x06\x01\x05\x05\x07\x01\x01"},
  {OID_TLS_FEATURE, "tlsFeature", 8, "\x2b\x06\x01\x05\x05\x07\x01\x18"},
  {OID_SERVER_AUTH, "serverAuth", 8, "\x2b\x06\x01\x05\x05\x07\x03\x01", true},
  {OID_CLIENT_AUTH, "clientAuth", 8, "\x2b\x06\x01\x05\x05\x07\x03\x02", true},
  {OID_CODE_SIGNING, "codeSigning", 8, "\x2b\x06\x01\x05\x05\x07\x03\x03", true},
  {OID_EMAIL_PROTECTION, "emailProtection", 8, "\x2b\x06\x01\x05\x05\x07\x03\x04", true},
  {OID_TIME_STAMPING, "timeStamping", 8, "\x2b\x06\x01\x05\x05\x07\x03\x08", true},
  {OID_OCSP_SIGNING, "ocspSigning", 8, "\x2b\x06\x01\x05\x05\x07\x03\x09", true},
  {OID_MACHINE_EAP, "machineEAP", 8, "\x2b\x06\x01\x05\x05\x07\x03\x0d", true},
  {OID_IPSEC_IKE, "ipsecIKE", 8, "\x2b\x06\x01\x05\x05\x07\x03\x11", true},
  {OID_AIA_OCSP, "ocsp", 8, "\x2b\x06\x01\x05\x05\x07\x30\x01"},
  {OID_AIA_CA_ISSUERS, "caIssuers", 8, "\x2b\x06\x01\x05\x05\x07\x30\x02"},
  {OID_RSA, "rsaEncryption", 9, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"},
  {OID_RSA_MD5, "md5WithRSAEncryption", 9, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04"},
  {OID_RSA_SHA1, "sha1WithRSAEncryption", 9, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05"},
  {OID_RSA_PSS, "rsassaPss", 9, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a"},
  {OID_RSA_SHA256, "sha256WithRSAEncryption", 9, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"},
  {OID_RSA_SHA384, "sha384WithRSAEncryption", 9, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c"},
  {OID_RSA_SHA512, "sha512WithRSAEncryption", 9, "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d"},
  {OID_EMAIL_ADDRESS, "emailAddress", 9, "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01"},
  {OID_UNSTRUCTURED_NAME, "unstructuredName", 9, "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x02"},
  {OID_CHALLENGE_PASSWORD, "challengePassword", 9, "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x07"},
  {OID_UNSTRUCTURED_ADDRESS, "unstructuredAddress", 9, "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x08"},
  {OID_EXTENSION_REQUEST, "extensionRequest", 9, "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e"},
  {OID_KEY_RECOVERY_AGENT, "keyRecoveryAgent", 9, "\x2b\x06\x01\x04\x01\x82\x37\x15\x06", true},
  {OID_DEVICE_SERIAL_NUMBER, "deviceSerialNumber", 9, "\x2b\x06\x01\x04\x01\x82\x37\x15\x0e"},
  {OID_OCSP_NO_CHECK, "ocspNoCheck", 9, "\x2b\x06\x01\x05\x05\x07\x30\x01\x05", true},
  {OID_UID, "UID", 10, "\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01"},
  {OID_DC, "DC", 10, "\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19"},
  {OID_ENCRYPTING_FS, "encryptingFileSystem", 10, "\x2b\x06\x01\x04\x01\x82\x37\x0a\x03\x04", true},
  {OID_DOCUMENT_SIGNING, "documentSigning", 10, "\x2b\x06\x01\x04\x01\x82\x37\x0a\x03\x0c", true},
  {OID_SMART_CARD_LOGON, "smartCardLogon", 10, "\x2b\x06\x01\x04\x01\x82\x37\x14\x02\x02", true},
  {OID_SCT_LIST, "signedCertificateTimestampList", 10, "\x2b\x06\x01\x04\x01\xd6\x79\x02\x04\x02"},
  {OID_CT_POISON, "ctPoison", 10, "\x2b\x06\x01\x04\x01\xd6\x79\x02\x04\x03"},
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

oid_t oid_eku(slice_t name)
{
  for (size_t i = 0; i < COUNT_OF(rows); i++)
    if (rows[i].eku && slice_is(name, rows[i].name)) return rows[i].id;
  return OID_UNKNOWN;
}

static const row_t *row_of(oid_t id)
{
  static const row_t none = {OID_UNKNOWN, "", 0, "", false};
  if (id <= OID_UNKNOWN || id >= OID_COUNT) return &none;
  const row_t *r = &rows[id - 1];
  CHECK(r->id == id);
  return r;
}

slice_t oid_der(oid_t id) { return row_der(row_of(id)); }
const char *oid_name(oid_t id) { return row_of(id)->name; }

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
