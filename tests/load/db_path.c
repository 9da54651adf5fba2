/*
 * Durable writes of a certificate row and its audit row by 64 producers, against
 * a bare insert loop of the same rows on the same schema, in batches as large as
 * ours were (A B A B …, medians). Prints rate and CPU ratios; exits 1 below the
 * gate. Arguments: seconds per turn (default 2), producers (default 64).
 */
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "rows.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { TURNS = 3, PRODUCERS_MAX = 256 };
#define GATE 0.6

#define DETAILS "{\"name\":\"svc.example.test\",\"issuer_id\":\"iss-local\",\"owner_id\":\"o-alice\"}"

static const slice_t sans[] = {{(const uint8_t *)"svc.example.test", 16}, {(const uint8_t *)"www.svc.example.test", 20}};

/* --- the floor: one thread, sqlite3 alone --- */

static void sql(sqlite3 *s, const char *text)
{
  if (sqlite3_exec(s, text, NULL, NULL, NULL) != SQLITE_OK) {
    (void)fprintf(stderr, "%s: %s\n", text, sqlite3_errmsg(s));
    exit(1);
  }
}

static void bind(sqlite3_stmt *st, int i, const char *v) { CHECK(sqlite3_bind_text(st, i, v, -1, SQLITE_STATIC) == SQLITE_OK); }

static void step(sqlite3_stmt *st)
{
  CHECK(sqlite3_step(st) == SQLITE_DONE);
  CHECK(sqlite3_reset(st) == SQLITE_OK);
}

static void floor_insert(sqlite3_stmt *cert, sqlite3_stmt *audit)
{
  char id[ID_MAX], aid[ID_MAX];
  us_t now = time_wall(&timesrc_system);
  (void)id_new("cert", now.us, id);
  (void)id_new("audit", now.us, aid);
  const char *const c[] = {id, id, "svc.example.test", "[\"svc.example.test\",\"www.svc.example.test\"]", "production", "o-alice",
                           "t-platform", "iss-local", "rp-standard", "Pending", "{}"};
  for (int i = 0; i < (int)COUNT_OF(c); i++) bind(cert, i + 1, c[i]);
  CHECK(sqlite3_bind_int64(cert, 12, US_NEVER.us) == SQLITE_OK);
  CHECK(sqlite3_bind_int64(cert, 13, now.us) == SQLITE_OK);
  CHECK(sqlite3_bind_int64(cert, 14, now.us) == SQLITE_OK);
  step(cert);
  const char *const a[] = {aid, "alice", "User", "certificate_created", "certificate", id, DETAILS};
  for (int i = 0; i < (int)COUNT_OF(a); i++) bind(audit, i + 1, a[i]);
  CHECK(sqlite3_bind_int64(audit, 8, now.us) == SQLITE_OK);
  bind(audit, 9, "cert_lifecycle");
  step(audit);
}

static uint64_t floor_run(const char *path, int64_t until, int batch)
{
  sqlite3 *s = NULL;
  sqlite3_stmt *cert = NULL, *audit = NULL;
  uint64_t n = 0;
  CHECK(sqlite3_open_v2(path, &s, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK);
  sql(s, "pragma synchronous = full; pragma foreign_keys = on; pragma temp_store = memory; pragma wal_autocheckpoint = 4000;"
         "pragma cache_size = -8192; update writer_open set open = 1");
  CHECK(sqlite3_prepare_v2(s, "insert into managed_certificates (id, name, common_name, sans, environment, owner_id, team_id, issuer_id,"
                              " renewal_policy_id, status, tags, expires_at, created_at, updated_at) values (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                           -1, &cert, NULL) == SQLITE_OK);
  CHECK(sqlite3_prepare_v2(s, "insert into audit_events (id, actor, actor_type, action, resource_type, resource_id, details, \"timestamp\","
                              " event_category) values (?,?,?,?,?,?,?,?,?)", -1, &audit, NULL) == SQLITE_OK);
  while (time_mono_us(&timesrc_system) < until) {
    sql(s, "begin immediate");
    for (int i = 0; i < batch; i++, n++) floor_insert(cert, audit);
    sql(s, "commit");
  }
  (void)sqlite3_finalize(cert);
  (void)sqlite3_finalize(audit);
  sql(s, "update writer_open set open = 0");
  (void)sqlite3_close(s);
  return n;
}

/* --- ours: producers that wait for each command --- */

typedef struct producer {
  db_t *db;
  int64_t until;
  uint64_t n;
  pthread_t thread;
} producer_t;

static rc_t ours_insert(db_t *db, arena_t *a, err_t *e)
{
  char id[ID_MAX], aid[ID_MAX];
  us_t now = time_wall(&timesrc_system);
  slice_t cid = slice_of(id, id_new("cert", now.us, id));
  certificate_t c = {.id = cid, .name = cid, .common_name = sans[0], .sans = {sans, COUNT_OF(sans)}, .environment = S("production"),
                     .owner_id = S("o-alice"), .team_id = S("t-platform"), .issuer_id = S("iss-local"),
                     .renewal_policy_id = S("rp-standard"), .status = S("Pending"), .tags = S("{}"), .expires_at = US_NEVER,
                     .created_at = now, .updated_at = now};
  audit_t u = {.id = slice_of(aid, id_new("audit", now.us, aid)), .actor = S("alice"), .actor_type = S("User"),
               .action = S("certificate_created"), .resource_type = S("certificate"), .resource_id = cid, .details = S(DETAILS),
               .timestamp = now, .event_category = S("cert_lifecycle")};
  cmd_t *m = cmd_new(a);
  cmd_add(m, list_insert(a, &res_certificate, &c), 1);
  cmd_add(m, list_insert(a, &res_audit, &u), 1);
  return db_submit(db, m, e);
}

static void *produce(void *arg)
{
  producer_t *p = arg;
  arena_t *a = arena_new(256 * 1024);
  CHECK(a != NULL);
  while (time_mono_us(&timesrc_system) < p->until) {
    err_t e = {0};
    arena_reset(a);
    if (!rc_ok(ours_insert(p->db, a, &e))) {
      (void)fprintf(stderr, "submit: %s %s\n", e.reason, e.value);
      exit(1);
    }
    p->n++;
  }
  arena_free(a);
  return NULL;
}

static db_t *store_open(const char *url)
{
  err_t e = {0};
  db_t *db = NULL;
  rc_t r = db_open(&(db_options_t){.url = slice_str(url), .max_conns = 4, .time = &timesrc_system, .demo_seed = true}, &db, &e);
  if (!rc_ok(r)) {
    (void)fprintf(stderr, "%s: %s %s\n", url, e.reason, e.value);
    exit(1);
  }
  return db;
}

static uint64_t ours_run(const char *url, int64_t span_us, size_t producers, int *ret_batch, int64_t *ret_us)
{
  static producer_t p[PRODUCERS_MAX];
  uint64_t n = 0;
  db_t *db = store_open(url);
  int64_t from = time_mono_us(&timesrc_system);
  for (size_t i = 0; i < producers; i++) {
    p[i] = (producer_t){.db = db, .until = from + span_us};
    CHECK(pthread_create(&p[i].thread, NULL, produce, &p[i]) == 0);
  }
  for (size_t i = 0; i < producers; i++) {
    CHECK(pthread_join(p[i].thread, NULL) == 0);
    n += p[i].n;
  }
  *ret_us = time_mono_us(&timesrc_system) - from;
  db_stats_t st;
  db_stats(db, &st);
  *ret_batch = (int)(st.commands / (st.commits ? st.commits : 1));
  db_close(db);
  return n;
}

/* --- turns --- */

static int64_t cpu_us(void)
{
  struct rusage u;
  CHECK(getrusage(RUSAGE_SELF, &u) == 0);
  return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * US_PER_S + u.ru_utime.tv_usec + u.ru_stime.tv_usec;
}

typedef struct turn {
  double rate, cpu; /* per second; microseconds of CPU per pair of rows */
} turn_t;

static turn_t turn_of(uint64_t n, int64_t span_us, int64_t cpu) { return (turn_t){(double)n * 1e6 / (double)span_us, (double)cpu / (double)n}; }

static int by_value(const void *a, const void *b)
{
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static double median(const turn_t *t, bool rate)
{
  double v[TURNS];
  for (int i = 0; i < TURNS; i++) v[i] = rate ? t[i].rate : t[i].cpu;
  qsort(v, TURNS, sizeof v[0], by_value);
  return v[TURNS / 2];
}

static void remove_store(const char *dir)
{
  static const char *const ends[] = {"t.db", "t.db-wal", "t.db-shm"};
  char path[256];
  for (size_t i = 0; i < COUNT_OF(ends); i++) {
    (void)snprintf(path, sizeof path, "%s/%s", dir, ends[i]);
    (void)unlink(path);
  }
  (void)rmdir(dir);
}

int main(int argc, char **argv)
{
  int64_t seconds = argc > 1 ? strtol(argv[1], NULL, 10) : 2;
  size_t producers = argc > 2 ? strtoul(argv[2], NULL, 10) : 64;
  turn_t ours[TURNS], base[TURNS];
  if (seconds < 1 || producers < 1 || producers > PRODUCERS_MAX) return 2;
  log_setup(LOG_ERROR, true);
  for (int i = 0; i < TURNS; i++) {
    char dir[] = "/var/tmp/certctl-bench-XXXXXX", url[64];
    int batch = 1;
    int64_t us = 0, cpu = cpu_us();
    CHECK(mkdtemp(dir) != NULL);
    (void)snprintf(url, sizeof url, "sqlite:%s/t.db", dir);
    uint64_t n = ours_run(url, seconds * US_PER_S, producers, &batch, &us);
    ours[i] = turn_of(n, us, cpu_us() - cpu);
    remove_store(dir);
    char dir2[] = "/var/tmp/certctl-bench-XXXXXX";
    CHECK(mkdtemp(dir2) != NULL);
    (void)snprintf(url, sizeof url, "sqlite:%s/t.db", dir2);
    db_close(store_open(url));
    cpu = cpu_us();
    int64_t from = time_mono_us(&timesrc_system);
    n = floor_run(url + 7, from + seconds * US_PER_S, batch);
    base[i] = turn_of(n, time_mono_us(&timesrc_system) - from, cpu_us() - cpu);
    remove_store(dir2);
    (void)printf("turn %d: ours %.0f/s, %.1f us CPU; bare loop %.0f/s, %.1f us CPU; batch %d\n", i + 1, ours[i].rate, ours[i].cpu,
                 base[i].rate, base[i].cpu, batch);
  }
  double rate = median(ours, true) / median(base, true), cpu = median(ours, false) / median(base, false);
  bool good = rate >= GATE;
  (void)printf("db_path: %zu producers: %.2f of the bare loop's rate (gate %.1f), %.2f x its CPU: %s\n", producers, rate, GATE, cpu,
               good ? "met" : "MISSED");
  return good ? 0 : 1;
}
