/*
 * The floor of a durable write: the rows that one request stores, inserted by a bare SQLite loop into a store of the
 * product's own schema and indexes, group-committed with synchronous=FULL. Nothing else is done. Prints one line of JSON.
 *
 *   insert_floor STORE create|issue|sign COUNT BATCH
 *
 * create: a certificate and its audit row. issue: a version, its audit row, and the certificate's new state and end by key. Both refer to the parents and, for issue,
 * to the certificates mc-0, mc-1 … and the agent that the benchmark made. sign: one P-256
 * signature verified and one made, with contexts that are kept, and no row.
 */
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { PEM = 1650, CSR = 460 }; /* bytes of a chain of leaf and CA, and of a request, with P-256 keys */

static sqlite3 *s;
static sqlite3_stmt *row, *audit, *issued;
static char pem[PEM + 1], csr[CSR + 1], agent[128];
static EVP_PKEY_CTX *verify, *sign;
static uint8_t digest[32], signature[96];
static size_t signature_n = sizeof signature;

static void check(bool good, const char *what)
{
  if (good) return;
  (void)fprintf(stderr, "insert_floor: %s: %s\n", what, s ? sqlite3_errmsg(s) : "");
  exit(1);
}

static void run(const char *text) { check(sqlite3_exec(s, text, NULL, NULL, NULL) == SQLITE_OK, text); }

static sqlite3_stmt *prepare(const char *text)
{
  sqlite3_stmt *st = NULL;
  check(sqlite3_prepare_v3(s, text, -1, SQLITE_PREPARE_PERSISTENT, &st, NULL) == SQLITE_OK, text);
  return st;
}

static void bind(sqlite3_stmt *st, int i, const char *v) { check(sqlite3_bind_text(st, i, v, -1, SQLITE_STATIC) == SQLITE_OK, "bind"); }

static void bind_int(sqlite3_stmt *st, int i, int64_t v) { check(sqlite3_bind_int64(st, i, v) == SQLITE_OK, "bind"); }

static void step(sqlite3_stmt *st)
{
  check(sqlite3_step(st) == SQLITE_DONE, "step");
  check(sqlite3_reset(st) == SQLITE_OK, "reset");
}

static int64_t now_us(void)
{
  struct timespec t;
  (void)clock_gettime(CLOCK_REALTIME, &t);
  return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Ids grow with time, as the product's do. */
static void insert_audit(const char *action, const char *subject, const char *details, int64_t now, long n)
{
  char id[64];
  (void)snprintf(id, sizeof id, "audit-%lld%03ld", (long long)now, n % 1000);
  const char *const text[] = {id, "root", "APIKey", action, "certificate", subject, details};
  for (int i = 0; i < 7; i++) bind(audit, i + 1, text[i]);
  bind_int(audit, 8, now);
  bind(audit, 9, "cert_lifecycle");
  step(audit);
}

static void insert_create(long n)
{
  char id[64], name[64];
  int64_t now = now_us();
  (void)snprintf(id, sizeof id, "mc-%lld%03ld", (long long)now, n % 1000);
  (void)snprintf(name, sizeof name, "floor-%ld-%lld", n, (long long)now);
  const char *const text[] = {id, name, "svc.bench.test", "[\"svc.bench.test\",\"www.bench.test\"]", "production", "o-test", "t-test",
                              "iss-local", "rp-default", "Pending", "{}", ""};
  for (int i = 0; i < 12; i++) bind(row, i + 1, text[i]);
  bind_int(row, 13, INT64_C(-62135596800000000)); /* never issued: year 1 */
  bind_int(row, 14, now);
  bind_int(row, 15, now);
  step(row);
  insert_audit("certificate_created", id, "{\"common_name\":\"svc.bench.test\",\"issuer_id\":\"iss-local\",\"target_count\":0,\"job_count\":0}", now, n);
}

static void insert_issue(long n)
{
  char id[64], certificate[32], serial[64], fingerprint[96];
  int64_t now = now_us();
  (void)snprintf(certificate, sizeof certificate, "mc-%ld", n);
  (void)snprintf(id, sizeof id, "certver-%lld%03ld", (long long)now, n % 1000);
  /* Spread like the digests that they stand for. */
  uint64_t r = (uint64_t)now * UINT64_C(0x9e3779b97f4a7c15) ^ (uint64_t)n * UINT64_C(0xc2b2ae3d27d4eb4f);
  r ^= r >> 31;
  (void)snprintf(serial, sizeof serial, "%016llx%016llx%08lx", (unsigned long long)r, (unsigned long long)now, n);
  (void)snprintf(fingerprint, sizeof fingerprint, "%016llx%016llx%016llx%016lx", (unsigned long long)(r * 3), (unsigned long long)now, (unsigned long long)r, n);
  const char *const text[] = {id, certificate, serial, fingerprint, pem, csr, "ECDSA", agent};
  for (int i = 0; i < 8; i++) bind(row, i + 1, text[i]);
  bind_int(row, 9, now);
  bind_int(row, 10, now + INT64_C(7776000000000));
  bind_int(row, 11, now);
  bind_int(row, 12, 256);
  step(row);
  bind(issued, 1, certificate);
  bind_int(issued, 2, now + INT64_C(7776000000000));
  bind_int(issued, 3, now);
  step(issued);
  insert_audit("csr_submitted", certificate, "{\"agent_id\":\"ag-bench\",\"serial\":\"0123456789abcdef0123456789abcdef01234567\",\"not_after\":\"2027-01-01T00:00:00Z\",\"keygen_mode\":\"agent\",\"deployment_jobs\":0}", now, n);
}

static void keys_make(void)
{
  EVP_PKEY *k = EVP_EC_gen("P-256");
  check(k != NULL, "key");
  sign = EVP_PKEY_CTX_new_from_pkey(NULL, k, NULL);
  verify = EVP_PKEY_CTX_new_from_pkey(NULL, k, NULL);
  check(sign && verify && EVP_PKEY_sign_init(sign) == 1 && EVP_PKEY_verify_init(verify) == 1, "contexts");
  check(EVP_PKEY_sign(sign, signature, &signature_n, digest, sizeof digest) == 1, "sign");
  EVP_PKEY_free(k);
}

static void arithmetic(void)
{
  uint8_t out[96];
  size_t n = sizeof out;
  check(EVP_PKEY_verify(verify, signature, signature_n, digest, sizeof digest) == 1, "verify");
  check(EVP_PKEY_sign(sign, out, &n, digest, sizeof digest) == 1, "sign");
}

static double cpu_us(void)
{
  struct rusage u;
  (void)getrusage(RUSAGE_SELF, &u);
  return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static void read_agent(void)
{
  sqlite3_stmt *st = prepare("select id from agents order by registered_at desc limit 1");
  check(sqlite3_step(st) == SQLITE_ROW, "agent");
  (void)snprintf(agent, sizeof agent, "%s", (const char *)sqlite3_column_text(st, 0));
  (void)sqlite3_finalize(st);
}

static void open_store(const char *path, bool issue)
{
  check(sqlite3_open_v2(path, &s, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK, "open");
  run("pragma synchronous = full; pragma foreign_keys = on; pragma temp_store = memory; pragma wal_autocheckpoint = 4000;"
      "pragma cache_size = -8192; update writer_open set open = 1"); /* the counting triggers rest, as they do for our writer */
  row = prepare(issue ? "insert into certificate_versions (id, certificate_id, serial_number, fingerprint_sha256, pem_chain, csr_pem, key_algorithm,"
                        " agent_id, not_before, not_after, created_at, key_size) values (?,?,?,?,?,?,?,?,?,?,?,?)"
                      : "insert into managed_certificates (id, name, common_name, sans, environment, owner_id, team_id, issuer_id,"
                        " renewal_policy_id, status, tags, source, expires_at, created_at, updated_at) values (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
  audit = prepare("insert into audit_events (id, actor, actor_type, action, resource_type, resource_id, details, \"timestamp\","
                  " event_category) values (?,?,?,?,?,?,?,?,?)");
  issued = prepare("update managed_certificates set status = 'Active', expires_at = ?2, last_renewal_at = ?3, updated_at = ?3 where id = ?1");
  read_agent();
}

static void close_store(void)
{
  run("update writer_open set open = 0");
  (void)sqlite3_finalize(row);
  (void)sqlite3_finalize(audit);
  (void)sqlite3_finalize(issued);
  (void)sqlite3_close(s);
}

static void insert_all(void (*one)(long n), long count, long batch)
{
  for (long n = 0; n < count;) {
    run("begin immediate");
    for (long i = 0; i < batch && n < count; i++) one(n++);
    run("commit");
  }
}

int main(int argc, char **argv)
{
  const char *what = argc == 5 ? argv[2] : "";
  bool signs = strcmp(what, "sign") == 0, issue = strcmp(what, "issue") == 0;
  long count = argc == 5 ? strtol(argv[3], NULL, 10) : 0, batch = argc == 5 ? strtol(argv[4], NULL, 10) : 0;
  if (count < 1 || batch < 1 || (!signs && !issue && strcmp(what, "create") != 0)) {
    (void)fprintf(stderr, "usage: insert_floor STORE create|issue|sign COUNT BATCH\n");
    return 2;
  }
  memset(pem, 'A', PEM);
  memset(csr, 'A', CSR);
  if (signs) keys_make();
  else open_store(argv[1], issue);
  double from = cpu_us();
  int64_t began = now_us();
  for (long n = 0; signs && n < count; n++) arithmetic();
  if (!signs) insert_all(issue ? insert_issue : insert_create, count, batch);
  double cpu = cpu_us() - from, seconds = (double)(now_us() - began) / 1e6;
  if (!signs) close_store();
  EVP_PKEY_CTX_free(sign);
  EVP_PKEY_CTX_free(verify);
  (void)printf("{\"count\":%ld,\"cpu_us\":%.2f,\"per_second\":%.0f}\n", count, cpu / (double)count, (double)count / seconds);
  return 0;
}
