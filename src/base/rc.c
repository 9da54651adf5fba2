#include "base/rc.h"

#include "base/slice.h"

#include <stdio.h>
#include <string.h>

const char *rc_name(rc_t r)
{
  static const char *const names[] = {"ok",      "no memory", "full",      "syntax", "invalid", "not found", "conflict", "denied",
                                      "i/o",     "timeout",   "closed",    "again",  "crypto",  "gone",      "internal"};
  size_t i = (size_t)-(int64_t)r.code;
  return i < COUNT_OF(names) ? names[i] : "unknown";
}

const char *err_reason(const err_t *e)
{
  return e->reason ? e->reason : e->code != RC_OK ? rc_name(rc(e->code)) : "unnamed";
}

rc_t err_set(err_t *e, int32_t code, const char *reason, const char *field, const char *text)
{
  return err_limit(e, code, reason, field, text, 0);
}

rc_t err_limit(err_t *e, int32_t code, const char *reason, const char *field, const char *text, int64_t limit)
{
  if (e) *e = (err_t){.code = code, .reason = reason, .field = field, .text = text, .limit = limit};
  return rc(code);
}

void err_value(err_t *e, const void *p, size_t n)
{
  if (!e) return;
  const unsigned char *s = p;
  size_t k = 0;
  while (k < n && k < ERR_VALUE_MAX - 1) {
    e->value[k] = (s[k] < 0x20 || s[k] == 0x7f) ? '?' : (char)s[k];
    k++;
  }
  /* Do not cut a UTF-8 sequence in two. */
  if (k < n)
    while (k > 0 && ((unsigned char)e->value[k - 1] & 0xc0) == 0x80) k--;
  if (k < n && k > 0 && ((unsigned char)e->value[k - 1] & 0xc0) == 0xc0) k--;
  e->value[k] = 0;
  /* The value goes into JSON replies and records, which hold UTF-8 only. */
  if (!slice_utf8(slice_of(e->value, k)))
    for (char *c = e->value; *c; c++)
      if ((unsigned char)*c >= 0x80) *c = '?';
}

/* Appends text, replacing "{limit}", within cap - 1. */
static size_t put(char *out, size_t cap, size_t n, const char *s, int64_t limit)
{
  static const char mark[] = "{limit}";
  while (*s && n + 1 < cap) {
    if (strncmp(s, mark, sizeof mark - 1) == 0) {
      char num[24];
      snprintf(num, sizeof num, "%lld", (long long)limit);
      for (const char *d = num; *d && n + 1 < cap; d++) out[n++] = *d;
      s += sizeof mark - 1;
    } else {
      out[n++] = *s++;
    }
  }
  return n;
}

size_t err_format(const err_t *e, char *out, size_t cap)
{
  size_t n = 0;
  if (cap == 0) return 0;
  if (e->field) {
    n = put(out, cap, n, e->field, 0);
    n = put(out, cap, n, " ", 0);
  }
  n = put(out, cap, n, e->text ? e->text : err_reason(e), e->limit);
  if (e->value[0]) {
    n = put(out, cap, n, ": \"", 0);
    for (const char *v = e->value; *v && n + 2 < cap; v++) out[n++] = *v;
    n = put(out, cap, n, "\"", 0);
  }
  out[n] = 0;
  return n;
}
