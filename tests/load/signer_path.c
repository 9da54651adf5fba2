/*
 * Signatures through the whole signer, client threads to socket to record and back, against the floor: one verification
 * and one signature with kept contexts. In turns within one run (A B A B …), medians; CPU of both processes. 64 producers
 * stand for the server's workers. The record lies in the folder given (default: the working directory), so that the cost of
 * its fdatasync is the disk's; the rate shows it, CPU hardly does. Exits 1 under the gate.
 */
#include "base/check.h"
#include "base/log.h"
#include "io/channel.h"
#include "signer/client.h"
#include "signer/main_loop.h"
#include "x509/csr.h"
#include "x509/csr_emit.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 3, PER_ROUND = 6400, PRODUCERS = 64, CSRS = 64 };

#define GATE 0.5 /* of the floor's CPU: an issued certificate costs at most twice its arithmetic here */
#define OK(expr) CHECK(rc_ok(expr))

static slice_t csrs[CSRS];
static EVP_PKEY_CTX *verifiers[CSRS], *signer_ctx;
static slice_t digests[CSRS], signatures[CSRS];
static arena_t *setup;
static signer_client_t *client;
static atomic_size_t next_ref;

static double cpu_of(int who)
{
  struct rusage u;
  CHECK(getrusage(who, &u) == 0);
  return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static double wall(void)
{
  return (double)time_mono_us(&timesrc_system);
}

/* --- what is signed --- */

static EVP_PKEY *library_key(slice_t point)
{
  uint8_t copy[65];
  char group[] = "P-256";
  memcpy(copy, point.p, sizeof copy);
  OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string("group", group, 0), OSSL_PARAM_construct_octet_string("pub", copy, sizeof copy),
                         OSSL_PARAM_construct_end()};
  EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
  EVP_PKEY *k = NULL;
  CHECK(EVP_PKEY_fromdata_init(c) == 1 && EVP_PKEY_fromdata(c, &k, EVP_PKEY_PUBLIC_KEY, params) == 1);
  EVP_PKEY_CTX_free(c);
  return k;
}

static void make_csr(size_t i)
{
  sigkey_t *key;
  names_t names;
  csr_t csr;
  const slice_t text = S("www.example.com");
  buf_t der = buf_on(setup, 2048);
  uint8_t *digest = (uint8_t *)arena_alloc(setup, 32);
  OK(key_generate(KEY_P256, 0, &key, NULL));
  OK(names_parse_all(setup, &text, 1, "names", &names, NULL));
  OK(csr_emit(key, text, names, &der, NULL));
  csrs[i] = buf_slice(&der);
  OK(csr_parse(setup, csrs[i], &csr, NULL));
  CHECK(EVP_Digest(csr.tbs.p, csr.tbs.n, digest, NULL, EVP_sha256(), NULL) == 1);
  digests[i] = slice_of(digest, 32);
  signatures[i] = csr.signature;
  EVP_PKEY *pub = library_key(key_parts(key).point);
  verifiers[i] = EVP_PKEY_CTX_new_from_pkey(NULL, pub, NULL);
  CHECK(verifiers[i] && EVP_PKEY_verify_init(verifiers[i]) == 1);
  EVP_PKEY_free(pub);
  key_free(key);
}

/* --- the two paths --- */

static void run_floor(void)
{
  for (size_t i = 0; i < PER_ROUND; i++) {
    size_t k = i % CSRS, n = 80;
    uint8_t sig[96];
    CHECK(EVP_PKEY_verify(verifiers[k], signatures[k].p, signatures[k].n, digests[k].p, digests[k].n) == 1);
    CHECK(EVP_PKEY_sign(signer_ctx, sig, &n, digests[k].p, digests[k].n) == 1);
  }
}

static void *produce(void *self)
{
  arena_t *a = arena_new(256 * 1024);
  const slice_t name = S("www.example.com");
  (void)self;
  for (size_t i = 0; i < PER_ROUND / PRODUCERS; i++) {
    char ref[32];
    size_t number = atomic_fetch_add(&next_ref, 1);
    sign_answer_t answer;
    int n = snprintf(ref, sizeof ref, "job-%zu", number);
    sign_request_t rq = {.ref = slice_of(ref, (size_t)n), .issuer = S("iss-local"), .csr_der = csrs[number % CSRS], .common_name = name,
                         .names = {&name, 1}, .lifetime_s = 90 * 86400, .context = S("certificate mc-0123456789, agent ag-0123456789")};
    OK(signer_sign(client, &rq, a, &answer, NULL));
    CHECK(!answer.from_record);
    arena_reset(a);
  }
  arena_free(a);
  return NULL;
}

static void run_ours(void)
{
  pthread_t threads[PRODUCERS];
  for (size_t i = 0; i < PRODUCERS; i++) CHECK(pthread_create(&threads[i], NULL, produce, NULL) == 0);
  for (size_t i = 0; i < PRODUCERS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
}

/* --- the signer, a process of its own --- */

static NORETURN void be_signer(const char *folder, int fd)
{
  dir_t dir = DIR_CLOSED;
  signer_t *s;
  err_t e = {0};
  OK(dir_private(folder, &dir, NULL));
  signer_setup_t how = {.dir = &dir, .passphrase = S("bench"), .issuer = S("iss-local"), .common_name = S("Bench CA"),
                        .time = &timesrc_system, .rng = &rng_system};
  if (!rc_ok(signer_open(&how, &s, &e))) check_failed(__FILE__, __LINE__, e.reason);
  OK(signer_serve(s, fd, NULL));
  signer_free(s);
  _exit(0);
}

/* CPU of a live child, in microseconds. */
static double cpu_of_child(pid_t pid)
{
  clockid_t id;
  struct timespec t;
  CHECK(clock_getcpuclockid(pid, &id) == 0 && clock_gettime(id, &t) == 0);
  return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *v)
{
  qsort(v, ROUNDS, sizeof *v, compare);
  return v[ROUNDS / 2];
}

static rc_t remove_entry(void *self, const char *name)
{
  return file_remove((const dir_t *)self, name, NULL);
}

int main(int argc, char **argv)
{
  char folder[256];
  int ends[2], status;
  double bare[ROUNDS], ours[ROUNDS], signer[ROUNDS], rate[ROUNDS];
  log_setup(LOG_ERROR, false);
  (void)snprintf(folder, sizeof folder, "%s/signer-bench-XXXXXX", argc > 1 ? argv[1] : ".");
  CHECK(mkdtemp(folder) != NULL);
  OK(channel_stream(ends, NULL));
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    channel_close(&ends[0]);
    be_signer(folder, ends[1]);
  }
  channel_close(&ends[1]);
  setup = arena_new(8 << 20);
  CHECK(setup != NULL);
  for (size_t i = 0; i < CSRS; i++) make_csr(i);
  EVP_PKEY *own = EVP_EC_gen("P-256");
  signer_ctx = EVP_PKEY_CTX_new_from_pkey(NULL, own, NULL);
  CHECK(signer_ctx && EVP_PKEY_sign_init(signer_ctx) == 1);
  EVP_PKEY_free(own);
  OK(signer_client_new(ends[0], 60000, &client, NULL));
  slice_t chain;
  OK(signer_ca_chain(client, S("iss-local"), setup, &chain, NULL)); /* it has started */

  for (size_t r = 0; r < ROUNDS; r++) {
    double c = cpu_of(RUSAGE_SELF);
    run_floor();
    bare[r] = (cpu_of(RUSAGE_SELF) - c) / PER_ROUND;
    double mine = cpu_of(RUSAGE_SELF), its = cpu_of_child(pid), begun = wall();
    run_ours();
    rate[r] = PER_ROUND / ((wall() - begun) / 1e6);
    signer[r] = (cpu_of_child(pid) - its) / PER_ROUND;
    ours[r] = (cpu_of(RUSAGE_SELF) - mine) / PER_ROUND + signer[r];
  }
  signer_client_free(client);
  CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  dir_t dir = DIR_CLOSED;
  OK(dir_open(folder, &dir, NULL));
  OK(dir_each(&dir, remove_entry, &dir, NULL));
  dir_close(&dir);
  CHECK(rmdir(folder) == 0);

  double a = median(bare), b = median(ours);
  printf("signer path  floor %.1f us  ours %.1f us (signer %.1f us)  ratio %.2f  gate %.2f  %.0f signatures/s durable\n", a, b, median(signer),
         a / b, GATE, median(rate));
  return a / b >= GATE ? 0 : 1;
}
