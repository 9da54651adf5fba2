/*
 * A signer in a thread of the test, over a socket pair, with its folder in a
 * temporary place; and CSRs with a fresh key.
 */
#ifndef TEST_SIGNER_FIXTURE_H
#define TEST_SIGNER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/mem.h"
#include "io/channel.h"
#include "signer/client.h"
#include "signer/main_loop.h"
#include "x509/csr_emit.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct fixture {
  char path[64];
  dir_t dir;
  signer_t *signer;
  signer_client_t *client;
  arena_t *arena;
  pthread_t thread;
  int signer_fd;
  us_t now;
  rc_t served;
} fixture_t;

static us_t fixture_wall(void *self)
{
  return *(us_t *)self;
}

static int64_t fixture_mono(void *self)
{
  return ((us_t *)self)->us;
}

static timesrc_t fixture_time(fixture_t *f)
{
  return (timesrc_t){fixture_wall, fixture_mono, &f->now};
}

static inline void must_be_ok(rc_t r, const err_t *e)
{
  const err_t none = {0};
  if (rc_ok(r)) return;
  if (!e) e = &none;
  char text[512];
  err_format(e, text, sizeof text);
  fail_msg("%s: %s: %s", rc_name(r), e->reason ? e->reason : "-", text);
}

static void *fixture_run(void *self)
{
  fixture_t *f = (fixture_t *)self;
  err_t e = {0};
  f->served = signer_serve(f->signer, f->signer_fd, &e);
  channel_close(&f->signer_fd);
  return NULL;
}

static inline MUST rc_t fixture_open(fixture_t *f, slice_t ceiling, slice_t cert_pem, slice_t key_pem, err_t *e)
{
  static timesrc_t time;
  time = fixture_time(f);
  signer_setup_t setup = {
      .dir = &f->dir, .passphrase = S("correct horse"), .issuer = S("iss-local"), .common_name = S("CertCtl Local CA"),
      .ceiling = ceiling, .import_cert_pem = cert_pem, .import_key_pem = key_pem, .time = &time, .rng = &rng_system};
  return signer_open(&setup, &f->signer, e);
}

static inline void fixture_folder(fixture_t *f)
{
  err_t e = {0};
  /* Memory where there is some: the tests sync thousands of times. */
  *f = (fixture_t){.path = "/dev/shm/certctl-signer-XXXXXX", .dir = DIR_CLOSED, .now = {INT64_C(1790000000) * US_PER_S}};
  if (!mkdtemp(f->path)) {
    (void)snprintf(f->path, sizeof f->path, "/tmp/certctl-signer-XXXXXX");
    assert_non_null(mkdtemp(f->path));
  }
  must_be_ok(dir_private(f->path, &f->dir, &e), &e);
  f->arena = arena_new(64 * 1024 * 1024);
  assert_non_null(f->arena);
}

static inline void fixture_connect(fixture_t *f)
{
  err_t e = {0};
  int ends[2];
  must_be_ok(channel_stream(ends, &e), &e);
  f->signer_fd = ends[1];
  assert_int_equal(pthread_create(&f->thread, NULL, fixture_run, f), 0);
  must_be_ok(signer_client_new(ends[0], 60000, &f->client, &e), &e);
}

static inline void fixture_start(fixture_t *f, slice_t ceiling)
{
  err_t e = {0};
  fixture_folder(f);
  must_be_ok(fixture_open(f, ceiling, (slice_t){NULL, 0}, (slice_t){NULL, 0}, &e), &e);
  fixture_connect(f);
}

static inline void fixture_disconnect(fixture_t *f)
{
  signer_client_free(f->client);
  f->client = NULL;
  pthread_join(f->thread, NULL);
  signer_free(f->signer);
  f->signer = NULL;
}

static rc_t fixture_remove(void *self, const char *name)
{
  return file_remove((const dir_t *)self, name, NULL);
}

static inline void fixture_clean(fixture_t *f)
{
  rc_t r = dir_each(&f->dir, fixture_remove, &f->dir, NULL);
  assert_true(rc_ok(r));
  dir_close(&f->dir);
  arena_free(f->arena);
  assert_int_equal(remove(f->path), 0);
}

static inline void fixture_stop(fixture_t *f)
{
  fixture_disconnect(f);
  fixture_clean(f);
}

/* A CSR of `key` for these DNS names. */
static inline slice_t fixture_csr(fixture_t *f, sigkey_t *key, const char *const *names, size_t n)
{
  err_t e = {0};
  names_t parsed;
  slice_t *texts = ARENA_ARRAY(f->arena, slice_t, n ? n : 1);
  for (size_t i = 0; i < n; i++) texts[i] = slice_str(names[i]);
  must_be_ok(names_parse_all(f->arena, texts, n, "names", &parsed, &e), &e);
  buf_t der = buf_on(f->arena, LIM_CSR_DER);
  must_be_ok(csr_emit(key, (slice_t){NULL, 0}, parsed, &der, &e), &e);
  return buf_slice(&der);
}

static inline sigkey_t *fixture_key(key_kind_t kind, unsigned bits)
{
  err_t e = {0};
  sigkey_t *key;
  must_be_ok(key_generate(kind, bits, &key, &e), &e);
  return key;
}

#endif
