#include "signer/record.h"

#include "base/mem.h"
#include "crypto/hash.h"
#include "signer/record_int.h"
#include "wire/json_out.h"
#include "x509/cert.h"

enum { LINE_ARENA = 2 * 1024 * 1024, LINE_MAX = 1024 * 1024 };

/* The certificate by what others know it by; one that does not parse is still shown by its digest. */
static void put_certificate(jw_t *j, arena_t *a, slice_t der)
{
  cert_t c;
  slice_t serial;
  char hex[2 * SHA256_LEN + 1];
  sha256_hex(der, hex);
  jw_put_str(j, "sha256", hex);
  if (!rc_ok(cert_parse(a, der, &c, NULL)) || !rc_ok(cert_serial_text(a, c.serial, &serial))) return;
  jw_put_text(j, "serial", serial);
  jw_put_time(j, "not_before", c.not_before);
  jw_put_time(j, "not_after", c.not_after);
}

/* Members of an entry by its fields, in their order; NULL is left out, "der" shown as the certificate it is. */
static const char *const signature_names[] = {"ref", "issuer", NULL, "context", "der"};
static const char *const refusal_names[] = {"ref", "issuer", "reason", "field", "value"};
static const char *const event_names[] = {"event", "issuer", "detail"};

static const struct kind {
  const char *name;
  const msg_shape_t *shape;
  const char *const *members;
} kinds[] = {
    [RT_SIGNATURE] = {"signature", &record_signature_shape, signature_names},
    [RT_REFUSAL] = {"refusal", &record_refusal_shape, refusal_names},
    [RT_EVENT] = {"event", &record_event_shape, event_names},
};

static MUST rc_t put_members(jw_t *j, const struct kind *kind, arena_t *a, slice_t body)
{
  union {
    record_signature_t signature;
    record_refusal_t refusal;
    record_event_t event;
  } row;
  TRY(msg_get(kind->shape, &body, a, &row));
  if (body.n != 0) return rc(RC_SYNTAX);
  for (uint32_t i = 0; i < kind->shape->nfields; i++) {
    const char *name = kind->members[i];
    const slice_t *v = (const slice_t *)(const void *)((const uint8_t *)&row + kind->shape->fields[i].offset);
    if (!name) continue;
    if (strcmp(name, "der") == 0) put_certificate(j, a, *v);
    else jw_put_text(j, name, *v);
  }
  return rc(RC_OK);
}

typedef struct checker {
  log_file_t f;
  record_window_t *window;
  arena_t *arena;
  buf_t line;
  record_line_t each;
  void *self;
  record_stats_t stats;
} checker_t;

static MUST rc_t show(checker_t *k, uint64_t offset, const record_head_t *h, slice_t run, err_t *e)
{
  buf_reset(&k->line);
  jw_t j = jw_on(&k->line);
  jw_object(&j);
  jw_put_int(&j, "offset", (int64_t)offset);
  jw_put_time(&j, "time", h->time);
  jw_put_str(&j, "kind", kinds[h->type].name);
  rc_t r = put_members(&j, &kinds[h->type], k->arena, record_body(h, run));
  jw_object_end(&j);
  arena_reset(k->arena);
  if (!rc_ok(r)) return record_damaged(e, offset);
  TRY(buf_rc(&k->line));
  return k->each ? k->each(k->self, buf_slice(&k->line)) : rc(RC_OK);
}

/* The entry at an offset, whole and checked. *ret_run.p is NULL when the file ends within it. */
static MUST rc_t entry(checker_t *k, uint64_t offset, uint32_t previous, record_head_t *ret, slice_t *ret_run, err_t *e)
{
  slice_t s;
  record_head_t h;
  *ret_run = (slice_t){NULL, 0};
  TRY(record_window_at(k->window, &k->f, offset, RECORD_HEAD, &s, e));
  if (s.n < RECORD_HEAD) return rc(RC_OK);
  if (!record_head_read(s.p, &h) || h.previous != previous) return record_damaged(e, offset);
  TRY(record_window_at(k->window, &k->f, offset - RECORD_SUM, h.length + (size_t)RECORD_SUM, &s, e));
  if (s.n < h.length + (size_t)RECORD_SUM) return rc(RC_OK);
  if (!record_sum_ok(s)) return record_damaged(e, offset);
  *ret = h;
  *ret_run = s;
  return rc(RC_OK);
}

static MUST rc_t walk(checker_t *k, uint64_t *ret_torn, err_t *e)
{
  uint64_t at = RECORD_START;
  uint32_t previous = 0;
  while (at < k->f.size) {
    record_head_t h = {0};
    slice_t run;
    TRY(entry(k, at, previous, &h, &run, e));
    if (!run.p) break;
    TRY(show(k, at, &h, run, e));
    k->stats.entries++;
    k->stats.signatures += h.type == RT_SIGNATURE;
    previous = h.length;
    at += h.length;
  }
  k->stats.bytes = at;
  *ret_torn = k->f.size > at ? k->f.size - at : 0;
  return rc(RC_OK);
}

rc_t record_check(const dir_t *d, const char *name, record_line_t each, void *self, record_stats_t *ret,
                  uint64_t *ret_torn, err_t *e)
{
  checker_t k = {.f = {.fd = -1}, .line = buf_heap(LINE_MAX), .each = each, .self = self};
  uint64_t torn = 0;
  k.window = (record_window_t *)mem_alloc(sizeof *k.window);
  k.arena = arena_new(LINE_ARENA);
  rc_t r = k.window && k.arena ? log_file_view(d, name, &k.f, e)
                               : err_set(e, RC_NOMEM, "record_memory", NULL, "out of memory");
  if (rc_ok(r)) r = walk(&k, &torn, e);
  log_file_close(&k.f);
  arena_free(k.arena);
  mem_free(k.window);
  buf_fini(&k.line);
  if (!rc_ok(r)) return r;
  *ret = k.stats;
  *ret_torn = torn;
  return r;
}
