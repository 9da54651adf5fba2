/*
 * Frames as a network process that was taken over could send them, to a signer with a real
 * CA and record in a temporary folder. Whatever comes in: one reply that parses, or an end.
 */
#include "base/check.h"
#include "base/log.h"
#include "io/file.h"
#include "signer/main_loop.h"

#include <stdio.h>
#include <stdlib.h>

enum { RUNS_EACH = 20000 }; /* then a new folder, so that the record stays small */

static char path[64];
static dir_t dir = DIR_CLOSED;
static signer_t *signer;
static unsigned runs;

static rc_t remove_entry(void *self, const char *name)
{
  (void)self;
  return file_remove(&dir, name, NULL);
}

static void close_signer(void)
{
  if (!signer) return;
  signer_free(signer);
  CHECK(rc_ok(dir_each(&dir, remove_entry, NULL, NULL)));
  dir_close(&dir);
  CHECK(remove(path) == 0);
  signer = NULL;
}

static void open_signer(void)
{
  close_signer();
  (void)snprintf(path, sizeof path, "/dev/shm/certctl-fuzz-XXXXXX");
  CHECK(mkdtemp(path) && rc_ok(dir_private(path, &dir, NULL)));
  signer_setup_t setup = {.dir = &dir, .passphrase = S("fuzz"), .issuer = S("iss-local"), .common_name = S("Fuzz CA"),
                          .time = &timesrc_system, .rng = &rng_system};
  CHECK(rc_ok(signer_open(&setup, &signer, NULL)));
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
  (void)argc;
  (void)argv;
  log_setup(LOG_ERROR, false);
  atexit(close_signer);
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  msg_frame_t f, reply;
  err_t e = {0};
  if (runs++ % RUNS_EACH == 0) open_signer();
  if (size < 2) return 0;
  /* Every other input is a frame as it is; for the rest only the head is right: kind, count, body. */
  BUF_SCOPED buf_t in = buf_heap(LIM_SIGN_FRAME + MSG_HEAD);
  if (data[0] & 0x80) {
    buf_put(&in, slice_of(data + 1, size - 1));
  } else {
    size_t start = msg_frame_begin(&in, data[0]);
    buf_put(&in, slice_of(data + 2, size - 2));
    if (!rc_ok(msg_frame_end(&in, start, data[1] & 7))) return 0;
  }
  if (!rc_ok(msg_frame_parse(buf_slice(&in), &f))) return 0;
  BUF_SCOPED buf_t out = buf_heap(LIM_SIGN_FRAME + MSG_HEAD);
  if (!rc_ok(signer_answer(signer, &f, &out, &e))) {
    CHECK(e.reason != NULL);
    return 0;
  }
  CHECK(rc_ok(msg_frame_parse(buf_slice(&out), &reply)) && reply.reply && reply.kind == f.kind && reply.count >= 1);
  for (uint32_t i = 0; i < reply.count; i++) {
    slice_t item;
    CHECK(rc_ok(msg_item_next(&reply.body, &item)));
  }
  CHECK(reply.body.n == 0);
  return 0;
}
