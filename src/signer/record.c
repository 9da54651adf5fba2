#include "signer/record.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "crypto/hash.h"
#include "signer/record_int.h"

/*
 * File: RECORD_START bytes that name the format, then entries. An entry is
 *
 *   0  magic        4     "CTRE"
 *   4  length       4     of the whole entry, a multiple of 16
 *   8  previous     4     length of the entry before, 0 for the first
 *  12  type         1     enum record_type
 *  13  padding      1     zero bytes between body and sum
 *  14  0            2
 *  16  time         8     microseconds since 1970
 *  24  ref hash     8     first bytes of SHA-256(ref), so that a start needs no body
 *  32  body               fields by their table (signer/message.h)
 *      sum         32     SHA-256 of the 32 bytes before the entry, its head and its body
 *
 * The 32 bytes before an entry are the sum of the entry before (or the format's name), so
 * what is hashed is one run of bytes, in the file as in memory.
 */

static const char format_name[RECORD_START + 1] = "certctl signer record, format 1\n";

/* Slots of the index: 36 bits of offset / 16, 28 bits of hash whose low bits are the home slot. */
enum { SLOT_TAG_BITS = 28, SLOTS_FIRST = 4096 };
static const uint64_t slot_offset_mask = (UINT64_C(1) << 36) - 1;

struct record {
  log_file_t f;
  uint64_t *slots;
  size_t nslots, used;
  uint32_t last_length;      /* of the last entry, pending ones included */
  uint32_t kept_length;      /* of the last entry in the file */
  buf_t pending;             /* sum of the entry before, then entries */
  uint64_t entries, signatures;
  bool broken;
};

static const msg_field_t signature_fields[] = {
    MSG_TEXT(record_signature_t, ref, 128),
    MSG_TEXT(record_signature_t, issuer, 128),
    MSG_TEXT(record_signature_t, digest, RECORD_DIGEST),
    MSG_TEXT(record_signature_t, context, LIM_SIGN_CONTEXT),
    MSG_TEXT(record_signature_t, der, LIM_CERT_DER),
};
const msg_shape_t record_signature_shape = MSG_SHAPE(record_signature_t, signature_fields);

static const msg_field_t refusal_fields[] = {
    MSG_TEXT(record_refusal_t, ref, 128),
    MSG_TEXT(record_refusal_t, issuer, 128),
    MSG_TEXT(record_refusal_t, reason, 64),
    MSG_TEXT(record_refusal_t, field, 64),
    MSG_TEXT(record_refusal_t, value, ERR_VALUE_MAX),
};
const msg_shape_t record_refusal_shape = MSG_SHAPE(record_refusal_t, refusal_fields);

static const msg_field_t event_fields[] = {
    MSG_TEXT(record_event_t, what, 64),
    MSG_TEXT(record_event_t, issuer, 128),
    MSG_TEXT(record_event_t, detail, LIM_CEILING_FILE),
};
const msg_shape_t record_event_shape = MSG_SHAPE(record_event_t, event_fields);

static uint64_t ref_hash(slice_t ref)
{
  uint8_t digest[SHA256_LEN];
  sha256(ref, digest);
  return le_get(digest, 8);
}

bool record_head_read(const uint8_t p[RECORD_HEAD], record_head_t *ret)
{
  record_head_t h = {
      .length = (uint32_t)le_get(p + 4, 4),
      .previous = (uint32_t)le_get(p + 8, 4),
      .type = p[12],
      .padding = p[13],
      .time = {(int64_t)le_get(p + 16, 8)},
      .ref_hash = le_get(p + 24, 8),
  };
  if (memcmp(p, "CTRE", 4) != 0 || h.type < RT_SIGNATURE || h.type > RT_EVENT || h.padding > 15) return false;
  if (h.length % 16 != 0 || h.length > RECORD_ENTRY_MAX || h.length < (uint32_t)RECORD_HEAD + h.padding + RECORD_SUM)
    return false;
  if (le_get(p + 14, 2) != 0) return false;
  *ret = h;
  return true;
}

bool record_sum_ok(slice_t run)
{
  uint8_t sum[SHA256_LEN];
  sha256(slice_sub(run, 0, run.n - RECORD_SUM), sum);
  return memcmp(sum, run.p + run.n - RECORD_SUM, RECORD_SUM) == 0;
}

rc_t record_damaged(err_t *e, uint64_t offset)
{
  err_limit(e, RC_SYNTAX, "record_damaged", "record.log", "is damaged at byte {limit}", (int64_t)offset);
  return rc(RC_SYNTAX);
}

/* --- index --- */

static size_t slot_home(const record_t *r, uint64_t hash)
{
  return (size_t)(hash & ((UINT64_C(1) << SLOT_TAG_BITS) - 1)) & (r->nslots - 1);
}

static void slot_put(record_t *r, uint64_t slot)
{
  size_t i = slot_home(r, slot >> 36);
  while (r->slots[i] != 0) i = (i + 1) & (r->nslots - 1);
  r->slots[i] = slot;
}

static MUST rc_t index_grow(record_t *r, size_t nslots)
{
  uint64_t *old = r->slots;
  size_t nold = r->nslots, bytes;
  if (!size_mul(nslots, sizeof *r->slots, &bytes)) return rc(RC_FULL);
  uint64_t *slots = (uint64_t *)mem_alloc(bytes);
  if (!slots) return rc(RC_NOMEM);
  r->slots = slots;
  r->nslots = nslots;
  for (size_t i = 0; i < nold; i++)
    if (old[i] != 0) slot_put(r, old[i]);
  mem_free(old);
  return rc(RC_OK);
}

static MUST rc_t index_add(record_t *r, uint64_t hash, uint64_t offset)
{
  if (offset / 16 > slot_offset_mask) return rc(RC_FULL);
  if (r->used >= r->nslots - r->nslots / 4) TRY(index_grow(r, r->nslots * 2));
  slot_put(r, (hash & ((UINT64_C(1) << SLOT_TAG_BITS) - 1)) << 36 | offset / 16);
  r->used++;
  return rc(RC_OK);
}

/* --- reading the file through a window --- */

rc_t record_window_at(record_window_t *w, const log_file_t *f, uint64_t offset, size_t n, slice_t *ret, err_t *e)
{
  if (offset < w->start || offset + n > w->start + w->n) {
    w->start = offset;
    w->n = 0;
    TRY(log_file_read(f, offset, w->bytes, RECORD_WINDOW, &w->n, e));
  }
  size_t skip = (size_t)(offset - w->start);
  *ret = slice_of(w->bytes + skip, w->n - skip < n ? w->n - skip : n);
  return rc(RC_OK);
}

/* The head at `offset` and, when asked, its sum; false when nothing valid stands there. */
static MUST rc_t entry_at(record_window_t *w, const log_file_t *f, uint64_t offset, uint32_t previous, bool with_sum,
                          record_head_t *ret, bool *ret_valid, err_t *e)
{
  slice_t s;
  record_head_t h;
  *ret_valid = false;
  TRY(record_window_at(w, f, offset, RECORD_HEAD, &s, e));
  if (s.n < RECORD_HEAD || !record_head_read(s.p, &h) || h.previous != previous) return rc(RC_OK);
  if (h.length > f->size - offset) return rc(RC_OK);
  if (with_sum) {
    TRY(record_window_at(w, f, offset - RECORD_SUM, h.length + (size_t)RECORD_SUM, &s, e));
    if (s.n != h.length + (size_t)RECORD_SUM || !record_sum_ok(s)) return rc(RC_OK);
  }
  *ret = h;
  *ret_valid = true;
  return rc(RC_OK);
}

static MUST rc_t cut_tail(record_t *r, uint64_t offset, err_t *e)
{
  log_line(LOG_WARN, "record: torn tail cut", log_i("offset", (int64_t)offset),
           log_i("bytes", (int64_t)(r->f.size - offset)));
  return log_file_cut(&r->f, offset, e);
}

/* Rebuilds everything in memory from the file. */
static MUST rc_t reread(record_t *r, err_t *e)
{
  memset(r->slots, 0, r->nslots * sizeof *r->slots);
  r->used = 0;
  r->entries = r->signatures = 0;
  r->last_length = 0;
  MEM_SCOPED record_window_t *w = (record_window_t *)mem_alloc(sizeof *w);
  if (!w) return err_set(e, RC_NOMEM, "record_memory", NULL, "out of memory");

  uint64_t at = RECORD_START;
  while (at < r->f.size) {
    record_head_t h;
    bool valid, in_tail = r->f.size - at <= LIM_SIGN_FRAME;
    TRY(entry_at(w, &r->f, at, r->last_length, in_tail, &h, &valid, e));
    if (!valid) {
      if (!in_tail) return record_damaged(e, at);
      TRY(cut_tail(r, at, e));
      break;
    }
    if (h.type == RT_SIGNATURE) {
      if (!rc_ok(index_add(r, h.ref_hash, at))) return err_set(e, RC_NOMEM, "record_memory", NULL, "out of memory");
      r->signatures++;
    }
    r->entries++;
    r->last_length = h.length;
    at += h.length;
  }
  r->kept_length = r->last_length;

  slice_t sum;
  TRY(record_window_at(w, &r->f, r->f.size - RECORD_SUM, RECORD_SUM, &sum, e));
  if (sum.n != RECORD_SUM) return record_damaged(e, r->f.size);
  buf_reset(&r->pending);
  buf_put(&r->pending, sum);
  return buf_rc(&r->pending);
}

/* A new file gets its name; a file that a crash left shorter than that starts again. */
static MUST rc_t check_format(record_t *r, err_t *e)
{
  uint8_t start[RECORD_START];
  size_t n;
  TRY(log_file_read(&r->f, 0, start, sizeof start, &n, e));
  if (n == sizeof start) return memcmp(start, format_name, n) == 0 ? rc(RC_OK) : record_damaged(e, 0);
  TRY(log_file_cut(&r->f, 0, e));
  TRY(log_file_append(&r->f, slice_of(format_name, RECORD_START), e));
  return log_file_sync(&r->f, e);
}

rc_t record_open(const dir_t *d, const char *name, record_t **ret, err_t *e)
{
  record_t *r = (record_t *)mem_alloc(sizeof *r);
  if (!r) return err_set(e, RC_NOMEM, "record_memory", NULL, "out of memory");
  r->f.fd = -1;
  r->pending = buf_heap(2 * (size_t)LIM_SIGN_FRAME);
  rc_t code = index_grow(r, SLOTS_FIRST);
  if (rc_ok(code)) code = log_file_open(d, name, &r->f, e);
  if (rc_ok(code)) code = check_format(r, e);
  if (rc_ok(code)) code = reread(r, e);
  if (!rc_ok(code)) {
    record_free(r);
    return code;
  }
  *ret = r;
  return rc(RC_OK);
}

void record_free(record_t *r)
{
  if (!r) return;
  log_file_close(&r->f);
  buf_fini(&r->pending);
  mem_free(r->slots);
  mem_free(r);
}

/* The run of bytes (sum before, head, body, sum) of the entry at an offset, from memory or file, its sum checked. */
static MUST rc_t load_run(record_t *r, uint64_t offset, arena_t *a, record_head_t *ret_head, slice_t *ret_run, err_t *e)
{
  record_head_t h;
  if (offset >= r->f.size) {
    size_t at = (size_t)(offset - r->f.size);
    slice_t run = slice_sub(buf_slice(&r->pending), at, SIZE_MAX);
    CHECK(run.n >= RECORD_SUM + RECORD_HEAD && record_head_read(run.p + RECORD_SUM, &h));
    *ret_run = slice_sub(run, 0, RECORD_SUM + (size_t)h.length);
    *ret_head = h;
    return rc(RC_OK);
  }
  uint8_t head[RECORD_HEAD];
  size_t n;
  if (offset < RECORD_START) return record_damaged(e, offset);
  TRY(log_file_read(&r->f, offset, head, sizeof head, &n, e));
  if (n != sizeof head || !record_head_read(head, &h)) return record_damaged(e, offset);
  uint8_t *p = (uint8_t *)arena_alloc(a, RECORD_SUM + (size_t)h.length);
  if (!p) return err_set(e, RC_NOMEM, "record_memory", NULL, "out of memory");
  TRY(log_file_read(&r->f, offset - RECORD_SUM, p, RECORD_SUM + (size_t)h.length, &n, e));
  if (n != RECORD_SUM + (size_t)h.length || !record_sum_ok(slice_of(p, n))) return record_damaged(e, offset);
  *ret_run = slice_of(p, n);
  *ret_head = h;
  return rc(RC_OK);
}

slice_t record_body(const record_head_t *h, slice_t run)
{
  return slice_sub(run, RECORD_SUM + RECORD_HEAD, h->length - (size_t)RECORD_HEAD - h->padding - RECORD_SUM);
}

rc_t record_find(record_t *r, slice_t ref, arena_t *a, record_signature_t *ret, err_t *e)
{
  uint64_t hash = ref_hash(ref), tag = hash & ((UINT64_C(1) << SLOT_TAG_BITS) - 1);
  for (size_t i = slot_home(r, hash); r->slots[i] != 0; i = (i + 1) & (r->nslots - 1)) {
    if (r->slots[i] >> 36 != tag) continue;
    record_head_t h;
    slice_t run;
    record_signature_t s;
    uint64_t offset = (r->slots[i] & slot_offset_mask) * 16;
    TRY(load_run(r, offset, a, &h, &run, e));
    slice_t body = record_body(&h, run);
    if (h.type != RT_SIGNATURE || !rc_ok(msg_get(&record_signature_shape, &body, a, &s)))
      return record_damaged(e, offset);
    if (!slice_eq(s.ref, ref)) continue;
    *ret = s;
    return rc(RC_OK);
  }
  return rc(RC_NOTFOUND);
}

/* --- writing --- */

static MUST rc_t add(record_t *r, us_t now, enum record_type type, slice_t ref, const msg_shape_t *shape,
                     const void *row)
{
  buf_t *b = &r->pending;
  size_t run = b->n - RECORD_SUM, start = b->n;
  uint8_t *head = buf_grow(b, RECORD_HEAD);
  if (!head) return buf_rc(b);
  rc_t code = msg_put(shape, row, b);
  size_t padding = (16 - (b->n - start) % 16) % 16;
  uint8_t *pad = buf_grow(b, padding + RECORD_SUM);
  if (!rc_ok(code) || !pad) {
    b->n = start;
    b->code = 0;
    return rc_ok(code) ? rc(RC_FULL) : code;
  }
  memset(pad, 0, padding);
  head = b->p + start; /* the buffer may have moved */
  size_t length = b->n - start;
  memset(head, 0, RECORD_HEAD);
  memcpy(head, "CTRE", 4);
  le_put(head + 4, length, 4);
  le_put(head + 8, r->last_length, 4);
  head[12] = (uint8_t)type;
  head[13] = (uint8_t)padding;
  le_put(head + 16, (uint64_t)now.us, 8);
  uint64_t hash = ref_hash(ref);
  le_put(head + 24, hash, 8);
  sha256(slice_of(b->p + run, RECORD_SUM + length - RECORD_SUM), b->p + b->n - RECORD_SUM);

  if (type == RT_SIGNATURE) {
    code = index_add(r, hash, r->f.size + run);
    if (!rc_ok(code)) {
      b->n = start;
      return code;
    }
    r->signatures++;
  }
  r->entries++;
  r->last_length = (uint32_t)length;
  return rc(RC_OK);
}

rc_t record_sign(record_t *r, us_t now, const record_signature_t *s)
{
  return add(r, now, RT_SIGNATURE, s->ref, &record_signature_shape, s);
}

rc_t record_refuse(record_t *r, us_t now, const record_refusal_t *s)
{
  return add(r, now, RT_REFUSAL, s->ref, &record_refusal_shape, s);
}

rc_t record_note(record_t *r, us_t now, const record_event_t *s)
{
  return add(r, now, RT_EVENT, s->issuer, &record_event_shape, s);
}

/*
 * After a failed fdatasync the kernel may hold pages as clean that never reached the disk. Cutting them off
 * and appending again dirties every page that counts, and the next fdatasync speaks for all of them.
 */
static void take_back(record_t *r, uint64_t size)
{
  err_t ignored = {0};
  rc_t code = log_file_cut(&r->f, size, &ignored);
  if (rc_ok(code)) code = log_file_sync(&r->f, &ignored);
  if (rc_ok(code)) code = reread(r, &ignored);
  if (rc_ok(code)) return;
  r->broken = true;
  log_err(LOG_ERROR, "record: cannot be cut back, signing stops", &ignored);
}

rc_t record_commit(record_t *r, err_t *e)
{
  if (r->broken)
    return err_set(e, RC_IO, "record_broken", NULL, "could not be written earlier; the signer must be restarted");
  if (r->pending.n == RECORD_SUM) return rc(RC_OK);
  uint64_t size = r->f.size;
  rc_t code = log_file_append(&r->f, slice_sub(buf_slice(&r->pending), RECORD_SUM, SIZE_MAX), e);
  if (rc_ok(code)) code = log_file_sync(&r->f, e);
  if (!rc_ok(code)) {
    take_back(r, size);
    return code;
  }
  memmove(r->pending.p, r->pending.p + r->pending.n - RECORD_SUM, RECORD_SUM);
  r->pending.n = RECORD_SUM;
  r->kept_length = r->last_length;
  return rc(RC_OK);
}

bool record_broken(const record_t *r)
{
  return r->broken;
}

/* Length of the entry that ends at `offset`, 0 at the start of the file. */
static MUST rc_t length_before(record_t *r, uint64_t offset, uint32_t *ret, err_t *e)
{
  if (offset == r->f.size) {
    *ret = r->kept_length;
    return rc(RC_OK);
  }
  uint8_t head[RECORD_HEAD];
  size_t n;
  record_head_t h;
  TRY(log_file_read(&r->f, offset, head, sizeof head, &n, e));
  if (n != sizeof head || !record_head_read(head, &h) || h.previous > offset - RECORD_START)
    return err_set(e, RC_INVALID, "record_offset", "before", "is no entry of the record");
  *ret = h.previous;
  return rc(RC_OK);
}

rc_t record_tail(record_t *r, uint64_t before, size_t most, arena_t *a, record_entry_t *ret, size_t *ret_n,
                 uint64_t *ret_before, err_t *e)
{
  enum { STEPS = 4096 }; /* entries looked at in one call, so that a run of refusals cannot hold the signer */
  uint64_t at = before == 0 ? r->f.size : before;
  size_t n = 0, bytes = 0;
  if (at > r->f.size || at < RECORD_START || at % 16 != 0)
    return err_set(e, RC_INVALID, "record_offset", "before", "is no entry of the record");
  for (size_t step = 0; step < STEPS && n < most && bytes < LIM_SIGN_FRAME / 2; step++) {
    uint32_t length = 0;
    record_head_t h;
    slice_t run;
    record_signature_t s;
    TRY(length_before(r, at, &length, e));
    if (length == 0) break;
    at -= length;
    TRY(load_run(r, at, a, &h, &run, e));
    if (h.type != RT_SIGNATURE) continue;
    slice_t body = record_body(&h, run);
    if (!rc_ok(msg_get(&record_signature_shape, &body, a, &s))) return record_damaged(e, at);
    ret[n++] = (record_entry_t){.ref = s.ref, .issuer = s.issuer, .context = s.context, .der = s.der};
    bytes += h.length;
  }
  *ret_n = n;
  *ret_before = at <= RECORD_START ? 0 : at;
  return rc(RC_OK);
}

record_stats_t record_stats(const record_t *r)
{
  return (record_stats_t){r->entries, r->signatures, r->f.size};
}
