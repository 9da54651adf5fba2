/*
 * Any bytes as the record's file: it is opened (a torn tail cut), or refused by name; once opened it takes an
 * entry and is found whole by the checker.
 */
#include "base/check.h"
#include "base/log.h"
#include "signer/record.h"

#include <stdio.h>
#include <stdlib.h>

static char path[64];
static dir_t dir = DIR_CLOSED;

static void clean(void)
{
  rc_t r = file_remove(&dir, "record.log", NULL);
  CHECK(rc_ok(r) || rc_is(r, RC_NOTFOUND));
  dir_close(&dir);
  CHECK(remove(path) == 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
  (void)argc;
  (void)argv;
  log_setup(LOG_ERROR, false);
  (void)snprintf(path, sizeof path, "/dev/shm/certctl-fuzz-XXXXXX");
  CHECK(mkdtemp(path) && rc_ok(dir_private(path, &dir, NULL)));
  atexit(clean);
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  static const uint8_t digest[RECORD_DIGEST];
  err_t e = {0};
  record_t *r;
  record_stats_t stats;
  uint64_t torn;
  record_entry_t v[4];
  size_t n;
  uint64_t before;
  BUF_SCOPED buf_t file = buf_heap(LIM_SIGN_FRAME);
  /* Half of the inputs begin as a record does, so that the rest is looked at as entries. */
  if (size > 0 && data[0] & 1) buf_puts(&file, "certctl signer record, format 1\n");
  if (size > 0) buf_put(&file, slice_of(data + 1, size - 1));
  CHECK(rc_ok(file_write(&dir, "record.log", buf_slice(&file), FILE_PRIVATE, NULL)));
  if (!rc_ok(record_open(&dir, "record.log", &r, &e))) {
    CHECK(e.reason != NULL);
    return 0;
  }
  ARENA_SCOPED arena_t *a = arena_new(LIM_SIGN_FRAME * (size_t)2);
  record_signature_t s = {S("ref"), S("iss"), {digest, sizeof digest}, S(""), S("der")};
  rc_t tail = record_tail(r, 0, 4, a, v, &n, &before, &e);
  CHECK(rc_ok(tail) ? n <= 4 : e.reason != NULL);
  CHECK(rc_ok(record_sign(r, (us_t){0}, &s)) && rc_ok(record_commit(r, NULL)));
  record_free(r);
  rc_t checked = record_check(&dir, "record.log", NULL, NULL, &stats, &torn, &e);
  CHECK(rc_ok(checked) ? torn == 0 && stats.signatures >= 1 : e.reason != NULL);
  return 0;
}
