/*
 * Object identifiers: those the project knows by number, and any other as the content
 * octets of its DER. Values; nothing is owned.
 */
#ifndef X509_OID_H
#define X509_OID_H

#include "base/buf.h"

typedef enum oid {
  OID_UNKNOWN,
  OID_X25519,                      /* 1.3.101.110 X25519 */
  OID_ED25519,                     /* 1.3.101.112 Ed25519 */
  OID_ED448,                       /* 1.3.101.113 Ed448 */
  OID_CN,                          /* 2.5.4.3 CN */
  OID_SURNAME,                     /* 2.5.4.4 surname */
  OID_SERIAL_NUMBER,               /* 2.5.4.5 SERIALNUMBER */
  OID_C,                           /* 2.5.4.6 C */
  OID_L,                           /* 2.5.4.7 L */
  OID_ST,                          /* 2.5.4.8 ST */
  OID_STREET,                      /* 2.5.4.9 STREET */
  OID_O,                           /* 2.5.4.10 O */
  OID_OU,                          /* 2.5.4.11 OU */
  OID_TITLE,                       /* 2.5.4.12 title */
  OID_POSTAL_CODE,                 /* 2.5.4.17 POSTALCODE */
  OID_GIVEN_NAME,                  /* 2.5.4.42 givenName */
  OID_SUBJECT_KEY_ID,              /* 2.5.29.14 subjectKeyIdentifier */
  OID_KEY_USAGE,                   /* 2.5.29.15 keyUsage */
  OID_SUBJECT_ALT_NAME,            /* 2.5.29.17 subjectAltName */
  OID_ISSUER_ALT_NAME,             /* 2.5.29.18 issuerAltName */
  OID_BASIC_CONSTRAINTS,           /* 2.5.29.19 basicConstraints */
  OID_NAME_CONSTRAINTS,            /* 2.5.29.30 nameConstraints */
  OID_CRL_DISTRIBUTION_POINTS,     /* 2.5.29.31 cRLDistributionPoints */
  OID_CERTIFICATE_POLICIES,        /* 2.5.29.32 certificatePolicies */
  OID_AUTHORITY_KEY_ID,            /* 2.5.29.35 authorityKeyIdentifier */
  OID_EXT_KEY_USAGE,               /* 2.5.29.37 extKeyUsage */
  OID_ANY_EKU,                     /* 2.5.29.37.0 anyExtendedKeyUsage */
  OID_P224,                        /* 1.3.132.0.33 P-224 */
  OID_P384,                        /* 1.3.132.0.34 P-384 */
  OID_P521,                        /* 1.3.132.0.35 P-521 */
  OID_DSA,                         /* 1.2.840.10040.4.1 dsa */
  OID_EC,                          /* 1.2.840.10045.2.1 id-ecPublicKey */
  OID_ECDSA_SHA1,                  /* 1.2.840.10045.4.1 ecdsa-with-SHA1 */
  OID_KERBEROS_CLIENT,             /* 1.3.6.1.5.2.3.4 kerberosClientAuth */
  OID_KERBEROS_KDC,                /* 1.3.6.1.5.2.3.5 kerberosKeyDistribution */
  OID_P256,                        /* 1.2.840.10045.3.1.7 P-256 */
  OID_ECDSA_SHA256,                /* 1.2.840.10045.4.3.2 ecdsa-with-SHA256 */
  OID_ECDSA_SHA384,                /* 1.2.840.10045.4.3.3 ecdsa-with-SHA384 */
  OID_ECDSA_SHA512,                /* 1.2.840.10045.4.3.4 ecdsa-with-SHA512 */
  OID_AUTHORITY_INFO,              /* 1.3.6.1.5.5.7.1.1 authorityInfoAccess */
  OID_TLS_FEATURE,                 /* 1.3.6.1.5.5.7.1.24 tlsFeature */
  OID_SERVER_AUTH,                 /* 1.3.6.1.5.5.7.3.1 serverAuth */
  OID_CLIENT_AUTH,                 /* 1.3.6.1.5.5.7.3.2 clientAuth */
  OID_CODE_SIGNING,                /* 1.3.6.1.5.5.7.3.3 codeSigning */
  OID_EMAIL_PROTECTION,            /* 1.3.6.1.5.5.7.3.4 emailProtection */
  OID_TIME_STAMPING,               /* 1.3.6.1.5.5.7.3.8 timeStamping */
  OID_OCSP_SIGNING,                /* 1.3.6.1.5.5.7.3.9 ocspSigning */
  OID_MACHINE_EAP,                 /* 1.3.6.1.5.5.7.3.13 machineEAP */
  OID_IPSEC_IKE,                   /* 1.3.6.1.5.5.7.3.17 ipsecIKE */
  OID_AIA_OCSP,                    /* 1.3.6.1.5.5.7.48.1 ocsp */
  OID_AIA_CA_ISSUERS,              /* 1.3.6.1.5.5.7.48.2 caIssuers */
  OID_RSA,                         /* 1.2.840.113549.1.1.1 rsaEncryption */
  OID_RSA_MD5,                     /* 1.2.840.113549.1.1.4 md5WithRSAEncryption */
  OID_RSA_SHA1,                    /* 1.2.840.113549.1.1.5 sha1WithRSAEncryption */
  OID_RSA_PSS,                     /* 1.2.840.113549.1.1.10 rsassaPss */
  OID_RSA_SHA256,                  /* 1.2.840.113549.1.1.11 sha256WithRSAEncryption */
  OID_RSA_SHA384,                  /* 1.2.840.113549.1.1.12 sha384WithRSAEncryption */
  OID_RSA_SHA512,                  /* 1.2.840.113549.1.1.13 sha512WithRSAEncryption */
  OID_EMAIL_ADDRESS,               /* 1.2.840.113549.1.9.1 emailAddress */
  OID_UNSTRUCTURED_NAME,           /* 1.2.840.113549.1.9.2 unstructuredName */
  OID_CHALLENGE_PASSWORD,          /* 1.2.840.113549.1.9.7 challengePassword */
  OID_UNSTRUCTURED_ADDRESS,        /* 1.2.840.113549.1.9.8 unstructuredAddress */
  OID_EXTENSION_REQUEST,           /* 1.2.840.113549.1.9.14 extensionRequest */
  OID_KEY_RECOVERY_AGENT,          /* 1.3.6.1.4.1.311.21.6 keyRecoveryAgent */
  OID_DEVICE_SERIAL_NUMBER,        /* 1.3.6.1.4.1.311.21.14 deviceSerialNumber */
  OID_OCSP_NO_CHECK,               /* 1.3.6.1.5.5.7.48.1.5 ocspNoCheck */
  OID_UID,                         /* 0.9.2342.19200300.100.1.1 UID */
  OID_DC,                          /* 0.9.2342.19200300.100.1.25 DC */
  OID_ENCRYPTING_FS,               /* 1.3.6.1.4.1.311.10.3.4 encryptingFileSystem */
  OID_DOCUMENT_SIGNING,            /* 1.3.6.1.4.1.311.10.3.12 documentSigning */
  OID_SMART_CARD_LOGON,            /* 1.3.6.1.4.1.311.20.2.2 smartCardLogon */
  OID_SCT_LIST,                    /* 1.3.6.1.4.1.11129.2.4.2 signedCertificateTimestampList */
  OID_CT_POISON,                   /* 1.3.6.1.4.1.11129.2.4.3 ctPoison */
  OID_COUNT
} oid_t;

/* The identifier with these content octets, or OID_UNKNOWN. */
oid_t oid_find(slice_t content);

/*
 * The extended key usage of that name ("serverAuth", exact case; ocspNoCheck too, which profiles list), or OID_UNKNOWN.
 */
oid_t oid_eku(slice_t name);

/* Content octets; static. OID_UNKNOWN has none. */
slice_t oid_der(oid_t id);

/* Name ("keyUsage", "CN"); static. "" for OID_UNKNOWN. */
const char *oid_name(oid_t id);

/* Appends the dotted form; content octets must be well formed (der_oid). Components above 64 bits become "?". */
void oid_dotted(buf_t *b, slice_t content);

/* Appends the name of a known identifier, else the dotted form. */
void oid_text(buf_t *b, slice_t content);

#endif
