/*
 * Every cap of the project, with its reason. A growing buffer or a reader takes
 * its maximum from here.
 */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

enum {
  LIM_DER_DEPTH = 16,            /* nesting of constructed values; a certificate needs 8 */
  LIM_CERT_DER = 64 * 1024,      /* one certificate; the largest seen in public logs are about 30 KiB */
  LIM_CSR_DER = 16 * 1024,       /* one CSR: an RSA-8192 key, 100 names of 100 bytes */
  LIM_CERT_NAMES = 100,          /* names in one leaf; public CAs stop at 100 */
  LIM_CERT_TARGETS = 10000,      /* deployment targets of one certificate: its renewal is one command with a job for each */
  LIM_COMMON_NAME = 64,          /* characters of a common name (ub-common-name, RFC 5280 A.1) */
  LIM_NAME_LEN = 253,            /* a DNS name in presentation form (RFC 1035) */
  LIM_PEM_FILE = 4 * 1024 * 1024, /* a bundle of every public root is 250 KiB */
  LIM_PEM_BLOCKS = 10000,        /* blocks, and problems, of one file: forty times every public root */
  LIM_CERT_EXTENSIONS = 64,      /* extensions of one certificate or CSR; the most seen in public logs is about 20 */
  LIM_DN_ATTRIBUTES = 64,        /* attributes of one distinguished name */
  LIM_CERT_SANS = 4096,          /* names read from a foreign certificate; 2,000 are seen on content networks */
  LIM_URI_NAME = 2048,           /* a URI name (SPIFFE-ID 2.3) */
  LIM_EMAIL_LEN = 254,           /* RFC 5321 4.5.3.1.3, without the angle brackets */
  LIM_HTTP_HEAD = 16 * 1024,     /* request line and headers */
  LIM_HTTP_HEADERS = 64,         /* header fields of one message */
  LIM_HTTP_TARGET = 8 * 1024,    /* request target */
  LIM_HTTP_CHUNK_EXTRA = 4 * 1024, /* extensions and trailers of one chunked body, all dropped */
  LIM_TLS_KEPT = 256 * 1024,     /* ciphertext kept while the reader of a connection has no room */
  LIM_HTTP_SPARE_BODY = 4 * 1024, /* body of a request that takes none: read and dropped, so that the connection lives */
  LIM_HTTP_AHEAD = 16 * 1024,    /* bytes of pipelined requests read ahead before reading stops */
  LIM_HTTP_PARK_KEY = 128,       /* key of a parked request: an id */
  LIM_JSON_DEPTH = 32,           /* design D5 */
  LIM_JSON_TOKENS = 64 * 1024,   /* design D5 */
  LIM_JSON_FIELD = 64 * 1024,    /* one JSON column whose table row states no limit; a connector's configuration is under 4 KiB */
  LIM_RESPONSE = 32 * 1024 * 1024, /* one buffered reply: 500 rows of a list with long fields */
  LIM_SIGN_BATCH = 64,           /* requests in one message to the signer (design D4) */
  LIM_SIGN_CONTEXT = 1024,       /* opaque bytes kept beside a signature */
  LIM_SIGN_NAME = 1024,          /* one name asked for, before it is typed: a long URI */
  LIM_SIGN_FRAME = 8 * 1024 * 1024, /* one message of the signer: 64 answers of LIM_CERT_DER and their heads */
  LIM_SIGN_WORDS = 512,          /* distinct texts of errors a client keeps; the signer has about 100 */
  LIM_SIGN_CHAIN = 16 * 1024,    /* a CA's chain in PEM: LIM_CA_CHAIN certificates of 1.5 KiB */
  LIM_CA_CHAIN = 8,              /* certificates of an imported CA's file */
  LIM_CEILING_FILE = 64 * 1024,  /* a ceiling: 1,000 name patterns of 60 bytes */
  LIM_COMMAND = 1024,            /* bytes of an operator's command line (spec/auth.md 13) */
  LIM_PATH = 1024,               /* a directory path, with its zero; longer ones are refused */
  LIM_NAME = 256,                /* one path component, with its zero (NAME_MAX) */
  LIM_SETTING = 64 * 1024,       /* one value in the environment; a list of 1,000 API keys */
  LIM_CONF_ARENA = 1024 * 1024,  /* all settings together; the kernel takes 2 MiB of arguments and environment */
  LIM_API_KEYS = 1000,           /* keys in the environment; more belong in the store */
  LIM_KEY_NAME = 255,            /* name of an API key, as its column */
  LIM_CONF_WARNINGS = 64,        /* warnings of one start; more say nothing new */
  LIM_DEPLOY_REPORT = 4 * 1024,  /* text about one deployment; it becomes a job's error */
  LIM_COMMAND_OUTPUT = 2 * 1024, /* of an operator's command, kept for that text */
  LIM_AGENT_REPLY = 1024 * 1024, /* one answer to the agent: a work list, or a certificate with its chain */
  LIM_WORK_ITEMS = 256,          /* jobs taken from one poll; the rest come with the next */
  LIM_KEY_FILE = 16 * 1024,      /* a private key in PEM: RSA-8192 is 6.4 KiB */
  LIM_DB_VALUE = 32 * 1024 * 1024, /* one stored value or row */
  LIM_SQL_TEXT = 16 * 1024,      /* one composed statement: 64 columns, 12 filters */
  LIM_LOG_LINE = 8 * 1024        /* one log line; longer values are cut */
};

#endif
