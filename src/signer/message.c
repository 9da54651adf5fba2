#include "signer/message.h"

#include <stddef.h>

enum { MSG_VERSION = 1 };

/* Every length of this protocol, in one place; reasons stand in base/limits.h where they are shared. */
static const msg_field_t sign_request_fields[] = {
    MSG_TEXT(sign_request_t, ref, 128),
    MSG_TEXT(sign_request_t, issuer, 128),
    MSG_TEXT(sign_request_t, csr_der, LIM_CSR_DER),
    MSG_TEXT(sign_request_t, common_name, LIM_SIGN_NAME),
    MSG_TEXTS(sign_request_t, names, LIM_SIGN_NAME, LIM_CERT_NAMES + 1),
    MSG_PLAIN(sign_request_t, lifetime_s, FT_INT),
    MSG_PLAIN(sign_request_t, profile_max_s, FT_INT),
    MSG_TEXTS(sign_request_t, profile_keys, 32, 16),
    MSG_TEXTS(sign_request_t, ekus, 64, 16),
    MSG_PLAIN(sign_request_t, must_staple, FT_BOOL),
    MSG_TEXT(sign_request_t, context, LIM_SIGN_CONTEXT),
};
const msg_shape_t msg_sign_request = MSG_SHAPE(sign_request_t, sign_request_fields);

static const msg_field_t sign_answer_fields[] = {
    MSG_TEXT(sign_answer_t, der, LIM_CERT_DER),
    MSG_TEXT(sign_answer_t, serial_hex, 40),
    MSG_PLAIN(sign_answer_t, not_before, FT_TIME),
    MSG_PLAIN(sign_answer_t, not_after, FT_TIME),
    MSG_TEXT(sign_answer_t, fingerprint_hex, 64),
    MSG_TEXT(sign_answer_t, key_algorithm, 16),
    MSG_PLAIN(sign_answer_t, key_size, FT_INT),
    MSG_PLAIN(sign_answer_t, from_record, FT_BOOL),
};
const msg_shape_t msg_sign_answer = MSG_SHAPE(sign_answer_t, sign_answer_fields);

static const msg_field_t record_entry_fields[] = {
    MSG_TEXT(record_entry_t, ref, 128),
    MSG_TEXT(record_entry_t, issuer, 128),
    MSG_TEXT(record_entry_t, context, LIM_SIGN_CONTEXT),
    MSG_TEXT(record_entry_t, der, LIM_CERT_DER),
};
const msg_shape_t msg_record_entry = MSG_SHAPE(record_entry_t, record_entry_fields);

static const msg_field_t outcome_fields[] = {
    MSG_PLAIN(msg_outcome_t, code, FT_INT),
    MSG_TEXT(msg_outcome_t, reason, 64),
    MSG_TEXT(msg_outcome_t, field, 64),
    MSG_TEXT(msg_outcome_t, text, 256),
    MSG_TEXT(msg_outcome_t, value, ERR_VALUE_MAX),
    MSG_PLAIN(msg_outcome_t, limit, FT_INT),
    MSG_PLAIN(msg_outcome_t, retry, FT_BOOL),
};
const msg_shape_t msg_outcome = MSG_SHAPE(msg_outcome_t, outcome_fields);

static const msg_field_t chain_fields[] = {MSG_TEXT(msg_chain_t, issuer, 128)};
const msg_shape_t msg_chain = MSG_SHAPE(msg_chain_t, chain_fields);

static const msg_field_t tail_fields[] = {
    MSG_PLAIN(msg_tail_t, before, FT_INT),
    MSG_PLAIN(msg_tail_t, most, FT_INT),
};
const msg_shape_t msg_tail = MSG_SHAPE(msg_tail_t, tail_fields);

static const msg_field_t pem_fields[] = {MSG_TEXT(msg_pem_t, pem, LIM_SIGN_CHAIN)};
const msg_shape_t msg_pem = MSG_SHAPE(msg_pem_t, pem_fields);

static void put_uint(buf_t *b, uint64_t v, size_t n)
{
  uint8_t *p = buf_grow(b, n);
  if (p) le_put(p, v, n);
}

static MUST bool take_uint(slice_t *in, size_t n, uint64_t *ret)
{
  if (in->n < n) return false;
  *ret = le_get(in->p, n);
  *in = (slice_t){in->p + n, in->n - n};
  return true;
}

static MUST rc_t put_text(buf_t *b, slice_t s, uint32_t max)
{
  if (s.n > max) return rc(RC_FULL);
  put_uint(b, s.n, 4);
  buf_put(b, s);
  return rc(RC_OK);
}

static MUST rc_t take_text(slice_t *in, uint32_t max, slice_t *ret)
{
  uint64_t n;
  if (!take_uint(in, 4, &n)) return rc(RC_SYNTAX);
  if (n > max) return rc(RC_FULL);
  if (n > in->n) return rc(RC_SYNTAX);
  *ret = slice_of(in->p, (size_t)n);
  *in = slice_of(in->p + n, in->n - (size_t)n);
  return rc(RC_OK);
}

static MUST rc_t put_texts(buf_t *b, const texts_t *t, const msg_field_t *f)
{
  if (t->n > f->items) return rc(RC_FULL);
  put_uint(b, t->n, 2);
  for (size_t i = 0; i < t->n; i++) TRY(put_text(b, t->v[i], f->max));
  return rc(RC_OK);
}

static MUST rc_t take_texts(slice_t *in, const msg_field_t *f, arena_t *a, texts_t *ret)
{
  uint64_t n;
  if (!take_uint(in, 2, &n)) return rc(RC_SYNTAX);
  if (n > f->items) return rc(RC_FULL);
  slice_t *v = NULL;
  if (n > 0) {
    v = ARENA_ARRAY(a, slice_t, (size_t)n);
    if (!v) return rc(RC_NOMEM);
  }
  for (size_t i = 0; i < n; i++) TRY(take_text(in, f->max, &v[i]));
  *ret = (texts_t){v, (size_t)n};
  return rc(RC_OK);
}

rc_t msg_put(const msg_shape_t *shape, const void *row, buf_t *b)
{
  for (uint32_t i = 0; i < shape->nfields; i++) {
    const msg_field_t *f = &shape->fields[i];
    const void *at = (const uint8_t *)row + f->offset;
    switch (f->type) {
    case FT_TEXTS: TRY(put_texts(b, (const texts_t *)at, f)); break;
    case FT_INT: put_uint(b, (uint64_t)*(const int64_t *)at, 8); break;
    case FT_TIME: put_uint(b, (uint64_t)((const us_t *)at)->us, 8); break;
    case FT_BOOL: put_uint(b, *(const bool *)at, 1); break;
    default: TRY(put_text(b, *(const slice_t *)at, f->max)); break;
    }
  }
  return buf_rc(b);
}

rc_t msg_get(const msg_shape_t *shape, slice_t *in, arena_t *a, void *row)
{
  for (uint32_t i = 0; i < shape->nfields; i++) {
    const msg_field_t *f = &shape->fields[i];
    void *at = (uint8_t *)row + f->offset;
    uint64_t v = 0;
    switch (f->type) {
    case FT_TEXTS: TRY(take_texts(in, f, a, (texts_t *)at)); break;
    case FT_INT:
      if (!take_uint(in, 8, &v)) return rc(RC_SYNTAX);
      *(int64_t *)at = (int64_t)v;
      break;
    case FT_TIME:
      if (!take_uint(in, 8, &v)) return rc(RC_SYNTAX);
      ((us_t *)at)->us = (int64_t)v;
      break;
    case FT_BOOL:
      if (!take_uint(in, 1, &v) || v > 1) return rc(RC_SYNTAX);
      *(bool *)at = v == 1;
      break;
    default: TRY(take_text(in, f->max, (slice_t *)at)); break;
    }
  }
  return rc(RC_OK);
}

size_t msg_frame_begin(buf_t *b, unsigned kind)
{
  size_t start = b->n;
  buf_puts(b, "CS");
  buf_byte(b, MSG_VERSION);
  buf_byte(b, (uint8_t)kind);
  put_uint(b, 0, 8);
  return start;
}

rc_t msg_frame_end(buf_t *b, size_t start, uint32_t count)
{
  TRY(buf_rc(b));
  size_t body = b->n - start - MSG_HEAD;
  if (body > LIM_SIGN_FRAME) return rc(RC_FULL);
  le_put(b->p + start + 4, count, 4);
  le_put(b->p + start + 8, body, 4);
  return rc(RC_OK);
}

size_t msg_item_begin(buf_t *b)
{
  size_t start = b->n;
  put_uint(b, 0, 4);
  return start;
}

void msg_item_end(buf_t *b, size_t start)
{
  if (b->code == 0) le_put(b->p + start, b->n - start - 4, 4);
}

/* Which kinds exist is decided by the dispatch table; here a head is only well formed. */
rc_t msg_head_check(const uint8_t head[MSG_HEAD], size_t *ret_body)
{
  if (head[0] != 'C' || head[1] != 'S' || head[2] != MSG_VERSION) return rc(RC_SYNTAX);
  uint64_t n = le_get(head + 8, 4);
  if (n > LIM_SIGN_FRAME) return rc(RC_FULL);
  *ret_body = (size_t)n;
  return rc(RC_OK);
}

rc_t msg_frame_parse(slice_t bytes, msg_frame_t *ret)
{
  size_t body;
  if (bytes.n < MSG_HEAD) return rc(RC_SYNTAX);
  TRY(msg_head_check(bytes.p, &body));
  uint64_t count = le_get(bytes.p + 4, 4);
  /* Each item has at least its length, so a count beyond body / 4 cannot be true. */
  if (bytes.n - MSG_HEAD != body || count > body / 4) return rc(RC_SYNTAX);
  *ret = (msg_frame_t){.kind = (msg_kind_t)(bytes.p[3] & ~(unsigned)MSG_REPLY),
                       .reply = (bytes.p[3] & MSG_REPLY) != 0,
                       .count = (uint32_t)count,
                       .body = slice_sub(bytes, MSG_HEAD, body)};
  return rc(RC_OK);
}

rc_t msg_item_next(slice_t *body, slice_t *ret_item)
{
  return take_text(body, LIM_SIGN_FRAME, ret_item);
}

msg_outcome_t msg_outcome_of(rc_t code, const err_t *e)
{
  msg_outcome_t o = {.code = code.code};
  if (rc_ok(code)) return o;
  o.reason = slice_sub(slice_str(e->reason ? e->reason : rc_name(code)), 0, 64);
  o.field = slice_sub(slice_str(e->field), 0, 64);
  o.text = slice_sub(slice_str(e->text), 0, 256);
  o.value = slice_of(e->value, strnlen(e->value, ERR_VALUE_MAX - 1));
  o.limit = e->limit;
  o.retry = e->retry;
  return o;
}
