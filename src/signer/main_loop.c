#include "signer/main_loop.h"

#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"
#include "crypto/hash.h"
#include "signer/frame_io.h"
#include "signer/issue.h"
#include "io/channel.h"

enum {
  FRAME_ARENA = 32 * 1024 * 1024, /* 64 requests of LIM_SIGN_NAME * 101 bytes, each copied about three times */
  TAIL_MOST = 1024
};

enum signer_state {
  STATE_READY = 1 << 0,
  STATE_BROKEN = 1 << 1   /* the record cannot be written: nothing is signed, what is known can be read */
};

struct signer {
  issue_env_t env;
  arena_t *arena;          /* of the frame being answered */
  buf_t in, out;
};

/* --- one handler for each kind --- */

typedef struct one_answer {
  sign_request_t request;
  rc_t code;
  err_t error;
  sign_answer_t answer;
} one_answer_t;

static MUST rc_t put_outcome(buf_t *out, rc_t code, const err_t *e)
{
  msg_outcome_t o = msg_outcome_of(code, e);
  return msg_put(&msg_outcome, &o, out);
}

/* An item that is a failure alone. */
static MUST rc_t put_failure(buf_t *out, rc_t code, const err_t *e)
{
  size_t item = msg_item_begin(out);
  TRY(put_outcome(out, code, e));
  msg_item_end(out, item);
  return buf_rc(out);
}

static MUST rc_t put_item(buf_t *out, const msg_shape_t *shape, const void *row)
{
  size_t item = msg_item_begin(out);
  TRY(put_outcome(out, rc(RC_OK), NULL));
  TRY(msg_put(shape, row, out));
  msg_item_end(out, item);
  return buf_rc(out);
}

static MUST rc_t next(msg_frame_t *f, const msg_shape_t *shape, arena_t *a, void *row)
{
  slice_t item;
  TRY(msg_item_next(&f->body, &item));
  TRY(msg_get(shape, &item, a, row));
  return item.n == 0 ? rc(RC_OK) : rc(RC_SYNTAX);
}

static void refuse(signer_t *s, one_answer_t *one)
{
  const err_t *e = &one->error;
  if (rc_is(one->code, RC_NOMEM) || rc_is(one->code, RC_IO)) return; /* not a decision */
  record_refusal_t entry = {
      .ref = one->request.ref,
      .issuer = one->request.issuer,
      .reason = slice_str(e->reason ? e->reason : rc_name(one->code)),
      .field = slice_str(e->field),
      .value = slice_str(e->value),
  };
  rc_t r = record_refuse(s->env.record, time_wall(s->env.time), &entry);
  if (rc_ok(r)) return;
  one->code = r;
  one->error = (err_t){0};
}

/*
 * The record holds what was decided before anybody learns of it; without the record nothing was decided. That goes for
 * a certificate from the record too: its entry may be one of this frame's, which are gone.
 */
static void commit(signer_t *s, one_answer_t *v, size_t n)
{
  err_t e = {0};
  FAILPOINT(signer_before_record);
  rc_t r = record_commit(s->env.record, &e);
  FAILPOINT(signer_after_record);
  if (rc_ok(r)) return;
  log_err(LOG_ERROR, "record not written", &e);
  for (size_t i = 0; i < n; i++) {
    v[i].code = err_set(&v[i].error, RC_IO, "record_unwritable", NULL, "the signer's record could not be written");
    v[i].error.retry = true;
  }
}

static MUST rc_t on_sign(signer_t *s, msg_frame_t *f, buf_t *out, uint32_t *ret_n)
{
  one_answer_t *v = ARENA_ARRAY(s->arena, one_answer_t, f->count);
  if (!v) return rc(RC_NOMEM);
  /* The whole frame first: of one that breaks its layout nothing is signed. */
  for (uint32_t i = 0; i < f->count; i++) TRY(next(f, &msg_sign_request, s->arena, &v[i].request));
  for (uint32_t i = 0; i < f->count; i++) {
    v[i].code = issue_leaf(&s->env, &v[i].request, s->arena, &v[i].answer, &v[i].error);
    if (!rc_ok(v[i].code)) refuse(s, &v[i]);
  }
  commit(s, v, f->count);
  for (uint32_t i = 0; i < f->count; i++)
    TRY(rc_ok(v[i].code) ? put_item(out, &msg_sign_answer, &v[i].answer) : put_failure(out, v[i].code, &v[i].error));
  *ret_n = f->count;
  return rc(RC_OK);
}

static MUST rc_t on_chain(signer_t *s, msg_frame_t *f, buf_t *out, uint32_t *ret_n)
{
  msg_chain_t rq;
  err_t e = {0};
  TRY(next(f, &msg_chain, s->arena, &rq));
  *ret_n = 1;
  if (slice_eq(rq.issuer, s->env.ca->issuer)) return put_item(out, &msg_pem, &(msg_pem_t){s->env.ca->pem});
  rc_t r = err_set(&e, RC_NOTFOUND, "issuer_unknown", "issuer", "is no CA of this signer");
  return put_failure(out, r, &e);
}

static MUST rc_t on_tail(signer_t *s, msg_frame_t *f, buf_t *out, uint32_t *ret_n)
{
  msg_tail_t rq;
  err_t e = {0};
  size_t n = 0;
  uint64_t before;
  TRY(next(f, &msg_tail, s->arena, &rq));
  record_entry_t *v = ARENA_ARRAY(s->arena, record_entry_t, TAIL_MOST);
  if (!v) return rc(RC_NOMEM);
  *ret_n = 1;
  if (rq.before < 0 || rq.most < 0) return rc(RC_SYNTAX);
  rc_t r = record_tail(s->env.record, (uint64_t)rq.before, rq.most < TAIL_MOST ? (size_t)rq.most : TAIL_MOST, s->arena,
                       v, &n, &before, &e);
  if (!rc_ok(r)) return put_failure(out, r, &e);
  TRY(put_item(out, &msg_tail, &(msg_tail_t){(int64_t)before, (int64_t)n}));
  for (size_t i = 0; i < n; i++) {
    size_t item = msg_item_begin(out);
    TRY(msg_put(&msg_record_entry, &v[i], out));
    msg_item_end(out, item);
  }
  *ret_n = (uint32_t)n + 1;
  return rc(RC_OK);
}

static const struct rule {
  msg_kind_t kind;
  unsigned states;         /* in which it is legal */
  uint32_t most;           /* items in one frame */
  rc_t (*handle)(signer_t *s, msg_frame_t *f, buf_t *out, uint32_t *ret_n);
} rules[] = {
    {MSG_SIGN, STATE_READY, LIM_SIGN_BATCH, on_sign},
    {MSG_CHAIN, STATE_READY | STATE_BROKEN, 1, on_chain},
    {MSG_TAIL, STATE_READY | STATE_BROKEN, 1, on_tail},
};

/* The same refusal for every item of a frame whose kind is not legal in this state. */
static MUST rc_t not_now(const msg_frame_t *f, buf_t *out)
{
  err_t e = {0};
  rc_t r = err_set(&e, RC_IO, "record_broken", NULL,
                   "the signer's record cannot be written; the signer must be restarted");
  for (uint32_t i = 0; i < f->count; i++) TRY(put_failure(out, r, &e));
  return rc(RC_OK);
}

rc_t signer_answer(signer_t *s, const msg_frame_t *frame, buf_t *out, err_t *e)
{
  const struct rule *rule = NULL;
  for (size_t i = 0; i < COUNT_OF(rules); i++)
    if (rules[i].kind == frame->kind) rule = &rules[i];
  if (!rule || frame->reply || frame->count == 0 || frame->count > rule->most)
    return err_limit(e, RC_SYNTAX, "message_kind", NULL, "a message of kind {limit} that nobody may send",
                     (int64_t)frame->kind);

  unsigned state = record_broken(s->env.record) ? STATE_BROKEN : STATE_READY;
  msg_frame_t f = *frame;
  uint32_t n = f.count;
  size_t start = msg_frame_begin(out, (unsigned)f.kind | MSG_REPLY);
  rc_t r = rule->states & state ? rule->handle(s, &f, out, &n) : not_now(&f, out);
  if (rc_ok(r) && (rule->states & state) && f.body.n != 0) r = rc(RC_SYNTAX);
  if (rc_ok(r)) r = msg_frame_end(out, start, n);
  arena_reset(s->arena);
  return rc_ok(r) ? r : err_set(e, r.code, "message_items", NULL, "a message that does not follow its layout");
}

rc_t signer_serve(signer_t *s, int fd, err_t *e)
{
  for (;;) {
    msg_frame_t f;
    rc_t r = frame_read(fd, &s->in, &f, e);
    if (rc_is(r, RC_CLOSED)) return rc(RC_OK);
    TRY(r);
    buf_reset(&s->out);
    TRY(signer_answer(s, &f, &s->out, e));
    FAILPOINT(signer_before_reply);
    r = channel_write(fd, buf_slice(&s->out), e);
    if (rc_is(r, RC_CLOSED)) return rc(RC_OK);
    TRY(r);
  }
}

/* --- start --- */

static MUST rc_t note_ca(signer_t *s, const char *what, err_t *e)
{
  const ca_t *ca = s->env.ca;
  char text[2 * SHA256_LEN + 1];
  sha256_hex(ca->cert.der, text);
  log_line(LOG_INFO, what, log_s("issuer", ca->issuer), log_c("sha256", text));
  record_event_t event = {slice_str(what), ca->issuer, slice_str(text)};
  rc_t r = record_note(s->env.record, time_wall(s->env.time), &event);
  return rc_ok(r) ? record_commit(s->env.record, e) : r;
}

static MUST rc_t open_ca(signer_t *s, const signer_setup_t *setup, const store_t *store, err_t *e)
{
  rc_t r = store_ca_load(store, setup->issuer, &s->env.ca, e);
  if (!rc_is(r, RC_NOTFOUND)) return r;
  if (record_stats(s->env.record).signatures > 0)
    return err_set(e, RC_CONFLICT, "ca_missing", "CA file",
                   "is missing although the record holds its signatures; restore it");
  us_t now = time_wall(setup->time);
  slice_t ceiling = setup->ceiling.n ? setup->ceiling : ceiling_default();
  if (e) *e = (err_t){0};
  if (setup->import_cert_pem.n > 0) {
    TRY(store_ca_import(store, setup->issuer, setup->import_cert_pem, setup->import_key_pem, ceiling, now, &s->env.ca,
                        e));
    return note_ca(s, "ca_imported", e);
  }
  TRY(store_ca_make(store, setup->issuer, setup->common_name, ceiling, now, &s->env.ca, e));
  return note_ca(s, "ca_made", e);
}

static MUST rc_t open_all(signer_t *s, const signer_setup_t *setup, err_t *e)
{
  SECRET_SCOPED secret_t kept = {0};
  store_t store = {setup->dir, setup->passphrase, setup->rng};
  if (store.passphrase.n == 0) {
    TRY(store_passphrase(setup->dir, setup->rng, &kept, e));
    store.passphrase = slice_of(kept.p, kept.n);
  }
  TRY(record_open(setup->dir, "record.log", &s->env.record, e));
  return open_ca(s, setup, &store, e);
}

rc_t signer_open(const signer_setup_t *setup, signer_t **ret, err_t *e)
{
  signer_t *s = (signer_t *)mem_alloc(sizeof *s);
  if (!s) return err_set(e, RC_NOMEM, "signer_memory", NULL, "out of memory");
  s->env.time = setup->time;
  s->env.rng = setup->rng;
  s->in = buf_heap(LIM_SIGN_FRAME + MSG_HEAD);
  s->out = buf_heap(LIM_SIGN_FRAME + MSG_HEAD);
  s->arena = arena_new(FRAME_ARENA);
  rc_t r = s->arena ? open_all(s, setup, e) : err_set(e, RC_NOMEM, "signer_memory", NULL, "out of memory");
  if (rc_ok(r)) *ret = s;
  else signer_free(s);
  return r;
}

void signer_free(signer_t *s)
{
  if (!s) return;
  ca_free(s->env.ca);
  record_free(s->env.record);
  arena_free(s->arena);
  buf_fini(&s->in);
  buf_fini(&s->out);
  mem_free(s);
}
