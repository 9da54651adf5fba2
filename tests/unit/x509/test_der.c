/*
 * Our readers against libcrypto's, on N damaged certificates and requests and on a file of
 * real certificates: test_der N [certificates.jsonl [seed]]. What ours accepts, libcrypto accepts
 * and reads alike; what ours refuses carries a name. Prints the refusals with their counts
 * and one line; exit 1 on failure.
 */
#include "der_mutate.h"
#include "der_oracle.h"

#include "base/clock.h"
#include "crypto/hash.h"
#include "wire/base64.h"

#include <openssl/err.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

enum { SEEDS = 96, FILE_MAX = 4096, REASONS = 128, SHOWN = 20, ARENA = 8 * 1024 * 1024, MIN_BOTH_PERCENT = 30, MAX_REFUSED_PERCENT = 7 };

static struct {
  const char *reason;
  unsigned long count, accepted_by_libcrypto;
} refusals[REASONS];

static struct {
  unsigned long both, none, ours_only, theirs_only, differ, unnamed;
} tally;

static const char *const prefixes[] = {"der_", "dn_", "ext_", "cert_", "csr_", "spki_", "name_"};

static bool is_named(const err_t *e)
{
  for (size_t i = 0; e->reason && e->text && i < COUNT_OF(prefixes); i++)
    if (slice_starts(slice_str(e->reason), slice_str(prefixes[i]))) return true;
  return false;
}

static void count_refusal(const err_t *e, bool theirs)
{
  if (!is_named(e)) {
    tally.unnamed++;
    return;
  }
  size_t i = 0;
  while (i < REASONS - 1 && refusals[i].reason && strcmp(refusals[i].reason, e->reason) != 0) i++;
  refusals[i].reason = e->reason;
  refusals[i].count++;
  refusals[i].accepted_by_libcrypto += theirs;
}

static void show_bad(const char *what, slice_t der)
{
  if (tally.differ + tally.ours_only > SHOWN) return;
  printf("differs: %s: ", what);
  for (size_t i = 0; i < der.n; i++) printf("%02x", der.p[i]);
  printf("\n");
}

static void tally_one(slice_t der, bool ours, bool theirs, const char *differs, const err_t *e)
{
  if (!ours) count_refusal(e, theirs);
  if (ours && theirs) tally.both++;
  else if (ours) tally.ours_only++;
  else if (theirs) tally.theirs_only++;
  else tally.none++;
  if (ours && !theirs) show_bad("libcrypto refuses", der);
  if (differs) {
    tally.differ++;
    show_bad(differs, der);
  }
}

static void try_cert(arena_t *a, slice_t der)
{
  cert_t c;
  err_t e = {0};
  const uint8_t *p = der.p;
  bool ours = rc_ok(cert_parse(a, der, &c, &e));
  X509 *x = d2i_X509(NULL, &p, (long)der.n);
  tally_one(der, ours, x != NULL, ours && x ? oracle_cert_differs(a, &c, x) : NULL, &e);
  X509_free(x);
}

static void try_csr(arena_t *a, slice_t der)
{
  csr_t c;
  err_t e = {0};
  const uint8_t *p = der.p;
  bool ours = rc_ok(csr_parse(a, der, &c, &e));
  X509_REQ *x = d2i_X509_REQ(NULL, &p, (long)der.n);
  tally_one(der, ours, x != NULL, ours && x ? oracle_csr_differs(a, &c, x) : NULL, &e);
  X509_REQ_free(x);
}

/* The file of certificates with what libcrypto's program read from each */

typedef struct record {
  const char *name;
  slice_t der;
  char sha256[65];
  char serial[2048];
  us_t not_before, not_after;
  char spki_sha256[65]; /* empty: libcrypto does not know the key's algorithm */
  bool read; /* by libcrypto */
} record_t;

static const char *text_of(const json_t *o, const char *key)
{
  const char *s = json_string_value(json_object_get(o, key));
  return s ? s : "";
}

static bool parse_date(const char *s, us_t *ret)
{
  civil_t c = {0};
  int n = sscanf(s, "%d-%d-%d %d:%d:%dZ", &c.year, &c.month, &c.day, &c.hour, &c.minute, &c.second);
  return n == 6 && rc_ok(civil_to_us(&c, ret));
}

static bool parse_record(arena_t *a, const char *line, record_t *ret)
{
  json_t *o = json_loads(line, 0, NULL);
  slice_t der64 = slice_str(text_of(o, "der"));
  record_t r = {.name = arena_text(a, slice_str(text_of(o, "name")))};
  uint8_t *der = arena_alloc(a, base64_decoded_max(der64.n));
  bool ok = der && rc_ok(base64_decode(BASE64_STD, der64, der, base64_decoded_max(der64.n), &r.der.n));
  r.der.p = der;
  const json_t *theirs = json_object_get(o, "openssl");
  r.read = json_is_object(theirs);
  snprintf(r.sha256, sizeof r.sha256, "%s", text_of(o, "sha256"));
  snprintf(r.serial, sizeof r.serial, "%s", text_of(theirs, "serial"));
  snprintf(r.spki_sha256, sizeof r.spki_sha256, "%s", text_of(theirs, "spki_sha256"));
  if (r.read) ok = ok && parse_date(text_of(theirs, "not_before"), &r.not_before) && parse_date(text_of(theirs, "not_after"), &r.not_after);
  json_decref(o);
  *ret = r;
  return ok;
}

static bool serial_is(slice_t text, const char *theirs)
{
  bool negative = *theirs == '-';
  theirs += negative;
  while (*theirs == '0' && theirs[1]) theirs++;
  return (text.p[0] == '-') == negative && slice_ieq(slice_sub(text, negative, text.n), slice_str(theirs));
}

static const char *record_differs(arena_t *a, const record_t *r, const cert_t *c)
{
  char hex[65];
  slice_t serial;
  if (!r->read) return "libcrypto refuses";
  if (!rc_ok(cert_serial_text(a, c->serial, &serial)) || !serial_is(serial, r->serial)) return "serial";
  if (c->not_before.us != r->not_before.us || c->not_after.us != r->not_after.us) return "dates";
  sha256_hex(c->spki.raw, hex);
  if (r->spki_sha256[0] ? strcmp(hex, r->spki_sha256) != 0 : c->spki.usable) return "key digest";
  sha256_hex(r->der, hex);
  return strcmp(hex, r->sha256) == 0 ? NULL : "fingerprint";
}

/* Reads the file; its certificates become seeds too. Returns false when something differs or too many are refused. */
static bool check_file(const char *path, arena_t *keep, slice_t *seeds, size_t *nseeds, size_t most)
{
  FILE *f = fopen(path, "r");
  if (!f) return printf("%s: cannot be read\n", path), false;
  ARENA_SCOPED arena_t *a = arena_new(ARENA);
  char *line = NULL;
  size_t size = 0, total = 0, refused = 0, differ = 0, unnamed = 0;
  while (getline(&line, &size, f) > 0) {
    record_t r;
    cert_t c;
    err_t e = {0};
    arena_reset(a);
    total++;
    if (!parse_record(a, line, &r)) {
      printf("line %zu cannot be read\n", total);
      differ++;
      continue;
    }
    if (!rc_ok(cert_parse(a, r.der, &c, &e))) {
      refused++;
      if (!is_named(&e)) unnamed++;
      printf("refused: %-40s %s %s\n", r.name, e.field ? e.field : "", e.reason ? e.reason : "without a name");
    } else {
      const char *d = record_differs(a, &r, &c);
      if (d) printf("differs: %s: %s\n", r.name, d);
      differ += d != NULL;
    }
    if (*nseeds < most) seeds[(*nseeds)++] = arena_dup(keep, r.der);
  }
  free(line);
  fclose(f);
  printf("file: %zu certificates, %zu refused, %zu of them without a name, %zu differ\n", total, refused, unnamed,
         differ);
  return total > 0 && differ == 0 && unnamed == 0 && refused * 100 <= total * MAX_REFUSED_PERCENT;
}

static void mutate_all(unsigned long n, uint64_t seed, const slice_t *certs, size_t ncerts, const slice_t *csrs,
                       size_t ncsrs)
{
  ARENA_SCOPED arena_t *a = arena_new(ARENA);
  BUF_SCOPED buf_t out = buf_heap(1 << 20), again = buf_heap(1 << 20);
  rng_t rng = rng_seeded(&seed);
  for (unsigned long i = 0; i < n; i++) {
    bool csr = i % 3 == 2;
    const slice_t *set = csr ? csrs : certs;
    size_t of = csr ? ncsrs : ncerts;
    slice_t in = set[rng_below(&rng, of)], donor = set[rng_below(&rng, of)];
    der_mutate(&rng, in, donor, &out);
    if (rng_below(&rng, 4) == 0) {
      der_mutate(&rng, buf_slice(&out), donor, &again);
      buf_reset(&out);
      buf_put(&out, buf_slice(&again));
    }
    /* An own allocation of exact size, so that reading beyond its end is noticed. */
    uint8_t *exact = malloc(out.n ? out.n : 1);
    memcpy(exact, out.p, out.n);
    arena_reset(a);
    if (csr) try_csr(a, slice_of(exact, out.n));
    else try_cert(a, slice_of(exact, out.n));
    free(exact);
    ERR_clear_error();
  }
}

int main(int argc, char **argv)
{
  static slice_t certs[FILE_MAX + SEEDS], csrs[SEEDS];
  ARENA_SCOPED arena_t *keep = arena_new(64 * 1024 * 1024);
  unsigned long n = argc > 1 ? strtoul(argv[1], NULL, 10) : 5000;
  size_t ncerts = oracle_make_certs(keep, certs, SEEDS), ncsrs = oracle_make_csrs(keep, csrs, SEEDS);
  bool file_ok = true;
  if (ncerts != SEEDS || ncsrs != SEEDS) return printf("cannot make the seeds\n"), 1;
  if (argc > 2 && argv[2][0]) file_ok = check_file(argv[2], keep, certs, &ncerts, COUNT_OF(certs));
  else printf("file: certificates.jsonl is not here; mutations start from the seeds made here alone\n");
  mutate_all(n, argc > 3 ? strtoul(argv[3], NULL, 10) : 20261125, certs, ncerts, csrs, ncsrs);
  printf("%-28s %10s %22s\n", "refusal", "count", "accepted by libcrypto");
  for (size_t i = 0; i < REASONS && refusals[i].reason; i++)
    printf("%-28s %10lu %22lu\n", refusals[i].reason, refusals[i].count, refusals[i].accepted_by_libcrypto);
  bool ok = file_ok && tally.ours_only == 0 && tally.differ == 0 && tally.unnamed == 0 && tally.both * 100 >= n * MIN_BOTH_PERCENT;
  printf("test_der: %lu inputs, %lu accepted by both (%lu%%), %lu by neither, %lu by libcrypto alone, %lu by ours alone, %lu read "
         "differently, %lu refusals without a name: %s\n",
         n, tally.both, n ? tally.both * 100 / n : 0, tally.none, tally.theirs_only, tally.ours_only, tally.differ, tally.unnamed,
         ok ? "ok" : "FAILED");
  return ok ? 0 : 1;
}
