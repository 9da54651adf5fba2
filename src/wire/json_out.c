#include "wire/json_out.h"

#include "base/check.h"

/* Room for n bytes without counting them; NULL when they may not fit: then the slow path says exactly. */
static inline uint8_t *room(buf_t *b, size_t n)
{
  return b->code == 0 && b->size - b->n >= n ? b->p + b->n : NULL;
}

/*
 * What a byte of a text becomes: 0 itself; 1 \u00XX; 2 start of a sequence that
 * is checked; otherwise the letter behind the backslash.
 */
enum { ESC_HEX = 1, ESC_UTF8 = 2 };

#define C4(i, v) [i] = (v), [(i) + 1] = (v), [(i) + 2] = (v), [(i) + 3] = (v)
#define C16(i, v) C4(i, v), C4((i) + 4, v), C4((i) + 8, v), C4((i) + 12, v)

static const uint8_t escape[256] = {
  C4(0, ESC_HEX),
  C4(4, ESC_HEX),
  ['\b'] = ESC_HEX,
  ['\v'] = ESC_HEX,
  ['\f'] = ESC_HEX,
  [14] = ESC_HEX,
  [15] = ESC_HEX,
  C16(16, ESC_HEX),
  ['\n'] = 'n',
  ['\r'] = 'r',
  ['\t'] = 't',
  ['"'] = '"',
  ['\\'] = '\\',
  ['<'] = ESC_HEX,
  ['>'] = ESC_HEX,
  ['&'] = ESC_HEX,
  C16(0x80, ESC_UTF8),
  C16(0x90, ESC_UTF8),
  C16(0xa0, ESC_UTF8),
  C16(0xb0, ESC_UTF8),
  C16(0xc0, ESC_UTF8),
  C16(0xd0, ESC_UTF8),
  C16(0xe0, ESC_UTF8),
  C16(0xf0, ESC_UTF8),
};

/* Length of the well-formed UTF-8 sequence at s, 0 if it is none (Unicode 3.9, table 3-7). */
static size_t utf8_at(slice_t s)
{
  size_t n = s.p[0] >= 0xf0 ? 4 : s.p[0] >= 0xe0 ? 3 : 2;
  return s.n >= n && slice_utf8(slice_of(s.p, n)) ? n : 0;
}

/* Writes the special byte s.p[0] in its form; returns how many input bytes that took. */
static size_t special_emit(buf_t *b, slice_t s)
{
  static const char hex[] = "0123456789abcdef";
  uint8_t c = s.p[0], how = escape[c];
  if (how == ESC_UTF8) {
    size_t n = utf8_at(s);
    buf_put(b, n ? slice_of(s.p, n) : S("\xef\xbf\xbd"));
    return n ? n : 1;
  }
  if (how == ESC_HEX)
    buf_put(b, slice_of((const char[]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6));
  else
    buf_put(b, slice_of((const uint8_t[]){'\\', how}, 2));
  return 1;
}

/* Bytes that stand as they are, copied in one go. */
static size_t plain_run(slice_t s, size_t i)
{
  size_t k = i;
  while (k < s.n && !escape[s.p[k]]) k++;
  return k - i;
}

static void escaped_emit(buf_t *b, slice_t v)
{
  for (size_t i = 0; i < v.n;) {
    size_t n = plain_run(v, i);
    if (n) buf_put(b, slice_of(v.p + i, n));
    i += n;
    if (i < v.n) i += special_emit(b, slice_of(v.p + i, v.n - i));
  }
}

void json_text_emit(buf_t *b, slice_t v)
{
  size_t n = plain_run(v, 0);
  uint8_t *at = n == v.n ? room(b, n + 2) : NULL;
  if (at) { /* nearly every text: nothing to escape, and room for it */
    at[0] = '"';
    if (n) memcpy(at + 1, v.p, n);
    at[n + 1] = '"';
    b->n += n + 2;
    return;
  }
  buf_byte(b, '"');
  escaped_emit(b, v);
  buf_byte(b, '"');
}

/* Comma where one is due, before a value or a key. */
static inline void before_value(jw_t *j)
{
  if (j->after_key) {
    j->after_key = false;
    return;
  }
  uint64_t bit = UINT64_C(1) << j->depth;
  if (j->depth && (j->started & bit)) buf_byte(j->b, ',');
  j->started |= bit;
}

static void open_container(jw_t *j, uint8_t c)
{
  before_value(j);
  buf_byte(j->b, c);
  CHECK(j->depth < 63);
  j->depth++;
  j->started &= ~(UINT64_C(1) << j->depth);
}

static void close_container(jw_t *j, uint8_t c)
{
  CHECK(j->depth > 0 && !j->after_key);
  buf_byte(j->b, c);
  j->depth--;
}

void jw_object(jw_t *j) { open_container(j, '{'); }
void jw_object_end(jw_t *j) { close_container(j, '}'); }
void jw_array(jw_t *j) { open_container(j, '['); }
void jw_array_end(jw_t *j) { close_container(j, ']'); }

void jw_key_slice(jw_t *j, slice_t key)
{
  CHECK(j->depth > 0 && !j->after_key);
  before_value(j);
  json_text_emit(j->b, key);
  buf_byte(j->b, ':');
  j->after_key = true;
}

void jw_key(jw_t *j, const char *key)
{
  jw_key_slice(j, slice_str(key));
}

void jw_text(jw_t *j, slice_t v)
{
  before_value(j);
  json_text_emit(j->b, v);
}

void jw_str(jw_t *j, const char *v)
{
  if (v)
    jw_text(j, slice_str(v));
  else
    jw_null(j);
}

void jw_raw(jw_t *j, slice_t v)
{
  before_value(j);
  buf_put(j->b, v);
}

void jw_int(jw_t *j, int64_t v)
{
  before_value(j);
  buf_i64(j->b, v);
}

void jw_bool(jw_t *j, bool v)
{
  jw_raw(j, v ? S("true") : S("false"));
}

void jw_null(jw_t *j)
{
  jw_raw(j, S("null"));
}

void jw_time(jw_t *j, us_t v)
{
  char text[RFC3339_MAX];
  size_t n = rfc3339_format(v, text);
  before_value(j);
  json_text_emit(j->b, slice_of(text, n));
}

void jw_texts(jw_t *j, texts_t v)
{
  jw_array(j);
  for (size_t i = 0; i < v.n; i++) jw_text(j, v.v[i]);
  jw_array_end(j);
}

/* A JSON column that says nothing. */
static bool json_is_blank(slice_t v)
{
  return v.n == 0 || slice_is(v, "{}") || slice_is(v, "[]") || slice_is(v, "null");
}

static bool field_empty(const field_t *f, const void *at)
{
  switch (f->type) {
  case FT_TEXT:
  case FT_ENUM: return ((const slice_t *)at)->n == 0;
  case FT_INT: return *(const int64_t *)at == 0;
  case FT_BOOL: return !*(const bool *)at;
  case FT_TIME: return us_is_never(*(const us_t *)at);
  case FT_TEXTS: return ((const texts_t *)at)->n == 0;
  case FT_JSON: return json_is_blank(*(const slice_t *)at);
  }
  return true;
}

static void field_emit(jw_t *j, const field_t *f, const void *row)
{
  const void *at = field_at(f, row);
  if ((f->flags & FF_OMITEMPTY) && field_empty(f, at)) return;
  jw_key(j, f->name);
  switch (f->type) {
  case FT_TEXT:
  case FT_ENUM: jw_text(j, *(const slice_t *)at); break;
  case FT_INT: jw_int(j, *(const int64_t *)at); break;
  case FT_BOOL: jw_bool(j, *(const bool *)at); break;
  case FT_TIME: jw_time(j, *(const us_t *)at); break;
  case FT_TEXTS: jw_texts(j, *(const texts_t *)at); break;
  case FT_JSON: jw_raw(j, ((const slice_t *)at)->n ? *(const slice_t *)at : S("null")); break;
  }
}

/* Indexes of the fields asked for, by name; at most 64. */
static size_t chosen_by_name(const resource_t *res, uint64_t only, uint8_t order[64])
{
  size_t n = 0;
  for (uint32_t i = 0; i < res->nfields; i++) {
    if (!(only >> i & 1)) continue;
    size_t k = n++;
    for (; k > 0 && strcmp(res->fields[order[k - 1]].name, res->fields[i].name) > 0; k--) order[k] = order[k - 1];
    order[k] = (uint8_t)i;
  }
  return n;
}

void json_row_members(jw_t *j, const resource_t *res, const void *row, const uint64_t *only_fields)
{
  CHECK(res->nfields <= 64);
  const uint32_t never = FF_HIDDEN | FF_SECRET;
  if (!only_fields) {
    for (uint32_t i = 0; i < res->nfields; i++)
      if (!(res->fields[i].flags & never)) field_emit(j, &res->fields[i], row);
    return;
  }
  uint8_t order[64];
  size_t n = chosen_by_name(res, *only_fields, order);
  for (size_t i = 0; i < n; i++)
    if (!(res->fields[order[i]].flags & never)) field_emit(j, &res->fields[order[i]], row);
}

void json_row_write(jw_t *j, const resource_t *res, const void *row, const uint64_t *only_fields)
{
  jw_object(j);
  json_row_members(j, res, row, only_fields);
  jw_object_end(j);
}
