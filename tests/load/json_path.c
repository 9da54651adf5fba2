/*
 * JSON path against its floors, in turns within one run (A B A B …, medians):
 * reading: the library alone on a bump arena; writing: the same object appended
 * by hand. Prints one line per path with its ratio and gate; exits 1 above one.
 */
#include "base/check.h"
#include "base/clock.h"
#include "wire/json_in.h"
#include "wire/json_out.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 15, PER_ROUND = 4000, SANS = 12 };

typedef struct row {
  slice_t id, name, common_name, environment, owner_id, team_id, issuer_id, policy_id, profile_id, status, tags, source, note, pem;
  texts_t sans, target_ids;
  us_t expires_at, last_renewal_at, last_deployment_at, revoked_at, created_at, updated_at;
  int64_t renewals, days;
  bool auto_renew;
} row_t;

static const field_t fields[] = {
  FIELD(row_t, id, FT_TEXT, 0, .max = 128),
  FIELD(row_t, name, FT_TEXT, FF_REQUIRED, .max = 255),
  FIELD(row_t, common_name, FT_TEXT, FF_REQUIRED, .max = 253),
  FIELD(row_t, sans, FT_TEXTS, 0, .max = 100),
  FIELD(row_t, environment, FT_TEXT, 0, ),
  FIELD(row_t, owner_id, FT_TEXT, 0, ),
  FIELD(row_t, team_id, FT_TEXT, 0, ),
  FIELD(row_t, issuer_id, FT_TEXT, 0, ),
  FIELD(row_t, target_ids, FT_TEXTS, 0, ),
  FIELD(row_t, policy_id, FT_TEXT, 0, ),
  FIELD(row_t, profile_id, FT_TEXT, FF_OMITEMPTY, ),
  FIELD(row_t, status, FT_TEXT, 0, ),
  FIELD(row_t, expires_at, FT_TIME, 0, ),
  FIELD(row_t, tags, FT_JSON, 0, ),
  FIELD(row_t, last_renewal_at, FT_TIME, FF_OMITEMPTY, ),
  FIELD(row_t, last_deployment_at, FT_TIME, FF_OMITEMPTY, ),
  FIELD(row_t, revoked_at, FT_TIME, FF_OMITEMPTY, ),
  FIELD(row_t, source, FT_TEXT, FF_OMITEMPTY, ),
  FIELD(row_t, note, FT_TEXT, 0, ),
  FIELD(row_t, pem, FT_TEXT, 0, ),
  FIELD(row_t, renewals, FT_INT, 0, ),
  FIELD(row_t, days, FT_INT, 0, ),
  FIELD(row_t, auto_renew, FT_BOOL, 0, ),
  FIELD(row_t, created_at, FT_TIME, 0, ),
  FIELD(row_t, updated_at, FT_TIME, 0, ),
};

static const resource_t res = {.name = "certificate", .fields = fields, .nfields = COUNT_OF(fields)};

static slice_t sans[SANS], targets[2];
static char pem[700];

static row_t sample(void)
{
  static char names[SANS][64];
  for (int i = 0; i < SANS; i++) {
    snprintf(names[i], sizeof names[i], "host-%02d.service.example.com", i);
    sans[i] = slice_str(names[i]);
  }
  targets[0] = S("target-1764036244500000000-7");
  targets[1] = S("target-1764036244500000000-8");
  for (size_t i = 0; i < sizeof pem - 1; i++) pem[i] = (char)(i % 65 == 64 ? '\n' : 'A' + (int)(i * 7 % 26));
  return (row_t){
    .id = S("cert-1764036244500000000-123"), .name = S("api \"front\" certificate"), .common_name = S("host-00.service.example.com"),
    .environment = S("production"), .owner_id = S("owner-1764036244500000000-1"), .team_id = S("team-1764036244500000000-1"), .issuer_id = S("iss-local"),
    .policy_id = S("rp-standard"), .status = S("Active"),
    .tags = S("{\"team\":\"platform\",\"tier\":\"gold\",\"nested\":{\"a\":[1,2,3],\"b\":2.5,\"c\":null}}"),
    .source = S("API"), .note = S("renewed <automatically> & deployed; see \xe2\x80\x9crunbook\xe2\x80\x9d"), .pem = slice_str(pem),
    .sans = {sans, SANS}, .target_ids = {targets, 2}, .expires_at = {INT64_C(1803348244500000)}, .last_renewal_at = {INT64_C(1795572244500000)},
    .last_deployment_at = {INT64_C(1795572244600000)}, .revoked_at = US_NEVER, .created_at = {INT64_C(1764036244500000)},
    .updated_at = {INT64_C(1795572244500000)}, .renewals = 4, .days = 90, .auto_renew = true,
  };
}

/* --- reading: floor --- */

static struct {
  uint8_t *p;
  size_t n;
} bump;

static void *bump_alloc(size_t n)
{
  void *p = bump.p + bump.n;
  bump.n += (n + 15) & ~(size_t)15;
  CHECK(bump.n <= 1 << 20);
  return p;
}

static void bump_free(void *p) { (void)p; }

static void read_floor(slice_t text)
{
  bump.n = 0;
  CHECK(json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL));
}

static void read_ours(arena_t *a, slice_t text)
{
  json_doc_t doc;
  arena_reset(a);
  CHECK(rc_ok(json_parse(a, text, &doc, NULL)));
}

/* --- writing: floor --- */

static uint8_t *put(uint8_t *p, const char *s, size_t n)
{
  memcpy(p, s, n);
  return p + n;
}

#define LIT(p, s) put((p), "" s, sizeof(s) - 1)

static uint8_t *put_text(uint8_t *p, slice_t s)
{
  static const char hex[] = "0123456789abcdef";
  *p++ = '"';
  for (size_t i = 0; i < s.n; i++) {
    uint8_t c = s.p[i];
    if (c == '"' || c == '\\') {
      *p++ = '\\';
      *p++ = c;
    } else if (c == '\n') {
      p = LIT(p, "\\n");
    } else if (c < 0x20 || c == '<' || c == '>' || c == '&') {
      p = LIT(p, "\\u00");
      *p++ = (uint8_t)hex[c >> 4];
      *p++ = (uint8_t)hex[c & 15];
    } else {
      *p++ = c;
    }
  }
  *p++ = '"';
  return p;
}

static uint8_t *put_texts(uint8_t *p, texts_t t)
{
  *p++ = '[';
  for (size_t i = 0; i < t.n; i++) {
    if (i) *p++ = ',';
    p = put_text(p, t.v[i]);
  }
  *p++ = ']';
  return p;
}

static uint8_t *put_time(uint8_t *p, us_t t)
{
  *p++ = '"';
  p += rfc3339_format(t, (char *)p);
  *p++ = '"';
  return p;
}

static uint8_t *put_int(uint8_t *p, int64_t v)
{
  uint8_t d[24];
  size_t n = sizeof d;
  do d[--n] = (uint8_t)('0' + v % 10);
  while (v /= 10);
  return put(p, (const char *)d + n, sizeof d - n);
}

static size_t write_floor(uint8_t *out, const row_t *r)
{
  uint8_t *p = out;
#define TEXT(key, m) p = put_text(LIT(p, key), r->m)
#define TIME(key, m) p = put_time(LIT(p, key), r->m)
  TEXT("{\"id\":", id);
  TEXT(",\"name\":", name);
  TEXT(",\"common_name\":", common_name);
  p = put_texts(LIT(p, ",\"sans\":"), r->sans);
  TEXT(",\"environment\":", environment);
  TEXT(",\"owner_id\":", owner_id);
  TEXT(",\"team_id\":", team_id);
  TEXT(",\"issuer_id\":", issuer_id);
  p = put_texts(LIT(p, ",\"target_ids\":"), r->target_ids);
  TEXT(",\"policy_id\":", policy_id);
  if (r->profile_id.n) TEXT(",\"profile_id\":", profile_id);
  TEXT(",\"status\":", status);
  TIME(",\"expires_at\":", expires_at);
  p = put(LIT(p, ",\"tags\":"), (const char *)r->tags.p, r->tags.n);
  if (!us_is_never(r->last_renewal_at)) TIME(",\"last_renewal_at\":", last_renewal_at);
  if (!us_is_never(r->last_deployment_at)) TIME(",\"last_deployment_at\":", last_deployment_at);
  if (!us_is_never(r->revoked_at)) TIME(",\"revoked_at\":", revoked_at);
  if (r->source.n) TEXT(",\"source\":", source);
  TEXT(",\"note\":", note);
  TEXT(",\"pem\":", pem);
  p = put_int(LIT(p, ",\"renewals\":"), r->renewals);
  p = put_int(LIT(p, ",\"days\":"), r->days);
  p = r->auto_renew ? LIT(p, ",\"auto_renew\":true") : LIT(p, ",\"auto_renew\":false");
  TIME(",\"created_at\":", created_at);
  TIME(",\"updated_at\":", updated_at);
  *p++ = '}';
  return (size_t)(p - out);
}

static void write_ours(buf_t *b, const row_t *r)
{
  buf_reset(b);
  jw_t j = jw_on(b);
  json_row_write(&j, &res, r, NULL);
}

/* --- rounds --- */

static int by_value(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static double median(double v[ROUNDS])
{
  qsort(v, ROUNDS, sizeof *v, by_value);
  return v[ROUNDS / 2];
}

/* CPU time of the process: other work on the machine does not count. */
static int64_t cpu_us(void)
{
  return (int64_t)clock() * US_PER_S / CLOCKS_PER_SEC;
}

static double micros(int64_t from)
{
  return (double)(cpu_us() - from) / PER_ROUND;
}

static bool report(const char *name, double floor[ROUNDS], double ours[ROUNDS], double gate)
{
  double f = median(floor), o = median(ours);
  printf("%s: floor %.2f us, ours %.2f us, ratio %.2f, gate %.2f: %s\n", name, f, o, o / f, gate, o / f <= gate ? "met" : "MISSED");
  return o / f <= gate;
}

static bool bench_write(const row_t *row)
{
  static uint8_t out[8192];
  double floor[ROUNDS], ours[ROUNDS];
  BUF_SCOPED buf_t b = buf_heap(1 << 20);
  write_ours(&b, row);
  CHECK(write_floor(out, row) == b.n && memcmp(out, b.p, b.n) == 0); /* the same work */
  for (int k = 0; k < ROUNDS; k++) {
    int64_t t = cpu_us();
    for (int i = 0; i < PER_ROUND; i++) CHECK(write_floor(out, row) == b.n);
    floor[k] = micros(t);
    t = cpu_us();
    for (int i = 0; i < PER_ROUND; i++) write_ours(&b, row);
    ours[k] = micros(t);
  }
  return report("json write, 2 KB row", floor, ours, 1.6);
}

static bool bench_read(const char *name, slice_t text)
{
  double floor[ROUNDS], ours[ROUNDS];
  ARENA_SCOPED arena_t *a = arena_new(1 << 20);
  CHECK(a);
  json_malloc_t our_alloc;
  json_free_t our_free;
  read_ours(a, text); /* installs its allocator */
  json_get_alloc_funcs(&our_alloc, &our_free);
  for (int k = 0; k < ROUNDS; k++) {
    json_set_alloc_funcs(bump_alloc, bump_free);
    int64_t t = cpu_us();
    for (int i = 0; i < PER_ROUND; i++) read_floor(text);
    floor[k] = micros(t);
    json_set_alloc_funcs(our_alloc, our_free);
    t = cpu_us();
    for (int i = 0; i < PER_ROUND; i++) read_ours(a, text);
    ours[k] = micros(t);
  }
  return report(name, floor, ours, 1.3);
}

int main(void)
{
  row_t row = sample();
  BUF_SCOPED buf_t b = buf_heap(1 << 20);
  write_ours(&b, &row);
  bump.p = malloc(1 << 20);
  CHECK(bump.p && rc_ok(buf_rc(&b)));
  bool ok = bench_write(&row);
  ok &= bench_read("json read, 2 KB row", buf_slice(&b));
  ok &= bench_read("json read, create body", S("{\"name\":\"api\",\"common_name\":\"api.example.com\",\"sans\":[\"api.example.com\"],"
                                                "\"owner_id\":\"o-alice\",\"team_id\":\"t-platform\",\"issuer_id\":\"iss-local\"}"));
  free(bump.p);
  return ok ? 0 : 1;
}
