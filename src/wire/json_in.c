#include "wire/json_in.h"

#include "base/check.h"
#include "base/limits.h"
#include "base/random.h"
#include "wire/json_out.h"

#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * The library's allocator is global, so it finds its arena through the thread.
 * When the arena is used up it does not return: the library keeps no resource
 * outside the arena while it parses, and its own handling of failed allocations
 * goes on with a cut token, so leaving by longjmp is both safe and the only
 * path that a test must cover. No arena, no memory: nothing else may use it.
 */
static _Thread_local struct {
  arena_t *arena;
  jmp_buf *out;
} parse_now;

static void *node_alloc(size_t n)
{
  if (!parse_now.arena) return NULL;
  void *p = arena_alloc(parse_now.arena, n);
  if (!p) longjmp(*parse_now.out, 1);
  return p;
}

static void node_free(void *p)
{
  (void)p; /* the arena is freed whole */
}

static void library_init(void)
{
  json_set_alloc_funcs(node_alloc, node_free);
  /* Seeded by us: on its own the library opens a device, which the sandbox forbids. Zero would mean "choose". */
  size_t seed;
  rng_fill(&rng_system, &seed, sizeof seed);
  json_object_seed(seed | 1);
}

/* Classes of bytes outside strings, for the pass that counts. */
enum { B_OTHER, B_OPEN, B_CLOSE, B_COMMA, B_QUOTE };

static const uint8_t byte_class[256] = {
  ['{'] = B_OPEN, ['['] = B_OPEN, ['}'] = B_CLOSE, [']'] = B_CLOSE, [','] = B_COMMA, [':'] = B_COMMA, ['"'] = B_QUOTE,
};

/* Index of the quote that ends the string beginning at i, or n. */
static size_t string_end(const uint8_t *p, size_t n, size_t i)
{
  for (i++; i < n && p[i] != '"'; i++)
    if (p[i] == '\\') i++;
  return i < n ? i : n;
}

static MUST rc_t over_cap(err_t *e, const char *reason, const char *text, int64_t limit, size_t at)
{
  rc_t r = err_limit(e, RC_FULL, reason, NULL, text, limit);
  if (e) e->offset = at;
  return r;
}

/*
 * Depth and tokens, before the library allocates anything. Every value costs
 * one opening bracket, comma or colon beside itself, so counting those bounds
 * the nodes; grammar is the library's business.
 */
static MUST rc_t caps_check(slice_t s, err_t *e)
{
  size_t depth = 0, tokens = 0;
  for (size_t i = 0; i < s.n; i++) {
    switch (byte_class[s.p[i]]) {
    case B_OPEN:
      tokens++;
      if (++depth > LIM_JSON_DEPTH)
        return over_cap(e, "json_depth", "JSON is nested deeper than {limit} levels", LIM_JSON_DEPTH, i);
      break;
    case B_CLOSE:
      if (depth) depth--;
      break;
    case B_COMMA: tokens++; break;
    case B_QUOTE: i = string_end(s.p, s.n, i); break;
    default: break;
    }
    if (tokens > LIM_JSON_TOKENS)
      return over_cap(e, "json_tokens", "JSON has more than {limit} values", LIM_JSON_TOKENS, i);
  }
  return rc(RC_OK);
}

static const struct parse_error {
  enum json_error_code library;
  int32_t code;
  const char *reason, *text;
} parse_errors[] = {
  {json_error_duplicate_key, RC_SYNTAX, "json_duplicate_key", "JSON object has the same key twice"},
  {json_error_invalid_utf8, RC_SYNTAX, "json_utf8", "JSON is not valid UTF-8"},
  {json_error_end_of_input_expected, RC_SYNTAX, "json_trailing", "JSON is followed by further data"},
  {json_error_numeric_overflow, RC_SYNTAX, "json_number", "JSON number is out of range"},
  {json_error_null_byte_in_key, RC_SYNTAX, "json_nul", "JSON text holds U+0000"},
  {json_error_null_character, RC_SYNTAX, "json_nul", "JSON text holds U+0000"},
  {json_error_premature_end_of_input, RC_SYNTAX, "json_syntax", "JSON ends in the middle"},
  {json_error_out_of_memory, RC_NOMEM, "json_memory", "JSON needs more memory than a request may use"},
  {json_error_unknown, RC_SYNTAX, "json_syntax", "not valid JSON"}, /* all others */
};

static MUST rc_t parse_failed(const json_error_t *je, err_t *e)
{
  const struct parse_error *row = parse_errors;
  while (row->library != json_error_unknown && row->library != json_error_code(je)) row++;
  rc_t r = err_set(e, row->code, row->reason, NULL, row->text);
  if (e && je->position > 0) e->offset = (size_t)je->position;
  return r;
}

/* The library's parse with its allocator on `a`; on failure NULL and *je filled. */
static const json_t *load(arena_t *a, slice_t text, json_error_t *je)
{
  jmp_buf out;
  if (setjmp(out)) {
    parse_now.arena = NULL;
    je->text[JSON_ERROR_TEXT_LENGTH - 1] = (char)json_error_out_of_memory;
    return NULL;
  }
  parse_now.arena = a;
  parse_now.out = &out;
  const json_t *root = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, je);
  parse_now.arena = NULL;
  return root;
}

rc_t json_parse(arena_t *a, slice_t text, json_doc_t *ret, err_t *e)
{
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  CHECK(pthread_once(&once, library_init) == 0);
  TRY(caps_check(text, e));
  json_error_t je = {0};
  const json_t *root = text.n ? load(a, text, &je) : NULL;
  if (!root) return parse_failed(&je, e);
  *ret = (json_doc_t){root};
  return rc(RC_OK);
}

rc_t json_parse_object(arena_t *a, slice_t text, json_doc_t *ret, err_t *e)
{
  json_doc_t doc;
  TRY(json_parse(a, text, &doc, e));
  if (!json_is_object(doc.root))
    return err_set(e, RC_INVALID, "json_type", NULL, "the body must be a JSON object");
  *ret = doc;
  return rc(RC_OK);
}

json_kind_t json_kind(const json_t *node)
{
  static const json_kind_t kinds[] = {
    [JSON_OBJECT] = JK_OBJECT, [JSON_ARRAY] = JK_ARRAY, [JSON_STRING] = JK_TEXT, [JSON_INTEGER] = JK_INT,
    [JSON_REAL] = JK_REAL,     [JSON_TRUE] = JK_BOOL,   [JSON_FALSE] = JK_BOOL,  [JSON_NULL] = JK_NULL,
  };
  return node ? kinds[json_typeof(node)] : JK_NULL;
}

bool json_as_text(const json_t *node, slice_t *ret)
{
  if (json_kind(node) != JK_TEXT) return false;
  *ret = slice_of(json_string_value(node), json_string_length(node));
  return true;
}

size_t json_len(const json_t *node)
{
  return json_kind(node) == JK_ARRAY ? json_array_size(node) : json_object_size(node);
}

const json_t *json_at(const json_t *array, size_t i)
{
  return json_array_get(array, i);
}

/* The library's walk takes a node that may be written to; it does not write. */
static json_t *walkable(const json_t *node)
{
  return (json_t *)(uintptr_t)node;
}

bool json_next(const json_t *obj, json_iter_t *it, slice_t *ret_key, const json_t **ret_value)
{
  it->it = it->it ? json_object_iter_next(walkable(obj), it->it) : json_object_iter(walkable(obj));
  if (!it->it) return false;
  *ret_key = slice_of(json_object_iter_key(it->it), json_object_iter_key_len(it->it));
  *ret_value = json_object_iter_value(it->it);
  return true;
}

/* The member, or NULL when it is absent or null. */
static const json_t *member(const json_t *obj, const char *key)
{
  const json_t *v = json_object_get(obj, key);
  return json_kind(v) == JK_NULL ? NULL : v;
}

static MUST rc_t wrong(err_t *e, const char *reason, const char *field, const char *text, slice_t value)
{
  return err_quote(e, RC_INVALID, reason, field, text, value);
}

static MUST rc_t wrong_type(err_t *e, const char *field, const char *text)
{
  return wrong(e, "json_type", field, text, S(""));
}

/*
 * One value into its C type, shared by the getters and the rows. `field` is the
 * name for the error; the value is never null.
 */
static MUST rc_t take_text(const json_t *v, const char *field, slice_t *ret, err_t *e)
{
  return json_as_text(v, ret) ? rc(RC_OK) : wrong_type(e, field, "must be a string");
}

static MUST rc_t take_bool(const json_t *v, const char *field, bool *ret, err_t *e)
{
  if (json_kind(v) != JK_BOOL) return wrong_type(e, field, "must be true or false");
  *ret = json_is_true(v);
  return rc(RC_OK);
}

static MUST rc_t take_i64(const json_t *v, const char *field, int64_t min, int64_t max, int64_t *ret, err_t *e)
{
  if (json_kind(v) != JK_INT) return wrong_type(e, field, "must be a whole number");
  int64_t i = json_integer_value(v);
  if (i < min) return err_limit(e, RC_INVALID, "json_range", field, "must be at least {limit}", min);
  if (i > max) return err_limit(e, RC_INVALID, "json_range", field, "must be {limit} or less", max);
  *ret = i;
  return rc(RC_OK);
}

static MUST rc_t take_time(const json_t *v, const char *field, us_t *ret, err_t *e)
{
  slice_t s;
  if (!json_as_text(v, &s)) return wrong_type(e, field, "must be a time as in RFC 3339");
  if (!rc_ok(rfc3339_parse(s, ret))) return wrong(e, "json_time", field, "must be a time as in RFC 3339", s);
  return rc(RC_OK);
}

static MUST rc_t take_texts(const json_t *v, const char *field, size_t max_items, arena_t *a, texts_t *ret, err_t *e)
{
  if (json_kind(v) != JK_ARRAY) return wrong_type(e, field, "must be an array of strings");
  size_t n = json_len(v);
  if (max_items && n > max_items)
    return err_limit(e, RC_INVALID, "json_items", field, "must have {limit} entries or fewer", (int64_t)max_items);
  slice_t *items = ARENA_ARRAY(a, slice_t, n);
  if (!items) return err_set(e, RC_NOMEM, "json_memory", field, "needs more memory than a request may use");
  for (size_t i = 0; i < n; i++)
    if (!json_as_text(json_at(v, i), &items[i])) return wrong_type(e, field, "must be an array of strings");
  *ret = (texts_t){items, n};
  return rc(RC_OK);
}

bool json_has(const json_t *obj, const char *key)
{
  return member(obj, key) != NULL;
}

rc_t json_get_text(const json_t *obj, const char *key, slice_t *ret, err_t *e)
{
  const json_t *v = member(obj, key);
  return v ? take_text(v, key, ret, e) : rc(RC_OK);
}

rc_t json_get_bool(const json_t *obj, const char *key, bool *ret, err_t *e)
{
  const json_t *v = member(obj, key);
  return v ? take_bool(v, key, ret, e) : rc(RC_OK);
}

rc_t json_get_i64(const json_t *obj, const char *key, int64_t min, int64_t max, int64_t *ret, err_t *e)
{
  const json_t *v = member(obj, key);
  return v ? take_i64(v, key, min, max, ret, e) : rc(RC_OK);
}

rc_t json_get_time(const json_t *obj, const char *key, us_t *ret, err_t *e)
{
  const json_t *v = member(obj, key);
  return v ? take_time(v, key, ret, e) : rc(RC_OK);
}

rc_t json_get_texts(const json_t *obj, const char *key, size_t max_items, arena_t *a, texts_t *ret, err_t *e)
{
  const json_t *v = member(obj, key);
  return v ? take_texts(v, key, max_items, a, ret, e) : rc(RC_OK);
}

static MUST rc_t get_kind(const json_t *obj, const char *key, json_kind_t kind, const char *text, const json_t **ret,
                          err_t *e)
{
  const json_t *v = member(obj, key);
  if (!v) return rc(RC_OK);
  if (json_kind(v) != kind) return wrong_type(e, key, text);
  *ret = v;
  return rc(RC_OK);
}

rc_t json_get_object(const json_t *obj, const char *key, const json_t **ret, err_t *e)
{
  return get_kind(obj, key, JK_OBJECT, "must be an object", ret, e);
}

rc_t json_get_array(const json_t *obj, const char *key, const json_t **ret, err_t *e)
{
  return get_kind(obj, key, JK_ARRAY, "must be an array", ret, e);
}

/* Shortest decimal that reads back as the same number. */
static void real_emit(double v, buf_t *b)
{
  char text[32];
  for (int digits = 15; digits <= 17; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, v);
    if (memcmp(&(double){strtod(text, NULL)}, &v, sizeof v) == 0) break;
  }
  buf_puts(b, text);
  if (!strpbrk(text, ".e")) buf_puts(b, ".0"); /* stays a fraction when read again */
}

static void object_emit(const json_t *node, buf_t *b)
{
  json_iter_t it = {0};
  slice_t key;
  const json_t *v;
  uint8_t before = '{';
  for (; json_next(node, &it, &key, &v); before = ',') {
    buf_byte(b, before);
    json_text_emit(b, key);
    buf_byte(b, ':');
    json_emit(v, b);
  }
  buf_puts(b, before == '{' ? "{}" : "}");
}

static void array_emit(const json_t *node, buf_t *b)
{
  buf_byte(b, '[');
  for (size_t i = 0; i < json_len(node); i++) {
    if (i) buf_byte(b, ',');
    json_emit(json_at(node, i), b);
  }
  buf_byte(b, ']');
}

/* Recursion is as deep as the document, which the parse has capped. */
void json_emit(const json_t *node, buf_t *b)
{
  slice_t s = {0};
  switch (json_kind(node)) {
  case JK_OBJECT: object_emit(node, b); break;
  case JK_ARRAY: array_emit(node, b); break;
  case JK_TEXT: json_as_text(node, &s); json_text_emit(b, s); break;
  case JK_INT: buf_i64(b, json_integer_value(node)); break;
  case JK_REAL: real_emit(json_real_value(node), b); break;
  case JK_BOOL: buf_puts(b, json_is_true(node) ? "true" : "false"); break;
  case JK_NULL: buf_puts(b, "null"); break;
  }
}

/* A control character other than tab and newline has no place in a name or a description. */
static bool has_control(slice_t s)
{
  for (size_t i = 0; i < s.n; i++)
    if (s.p[i] < 0x20 && s.p[i] != '\t' && s.p[i] != '\n') return true;
  return false;
}

static MUST rc_t check_text(const field_t *f, slice_t s, err_t *e)
{
  if (f->max && slice_utf8_len(s) > (size_t)f->max)
    return err_limit(e, RC_INVALID, "field_length", f->name, "must be {limit} characters or fewer", f->max);
  if (has_control(s)) return wrong(e, "field_control", f->name, "must not contain control characters", s);
  return rc(RC_OK);
}

/* "must be one of A, B, C"; the arena's text lives as long as the request that shows it. */
static const char *enum_text(const field_t *f, arena_t *a)
{
  buf_t b = buf_on(a, 1024);
  for (const char *const *v = f->values; *v; v++) buf_printf(&b, "%s%s", v == f->values ? "must be one of " : ", ", *v);
  buf_byte(&b, 0);
  return rc_ok(buf_rc(&b)) ? (const char *)b.p : "is not one of the allowed values";
}

static MUST rc_t find_enum(const field_t *f, slice_t s, arena_t *a, slice_t *ret, err_t *e)
{
  for (const char *const *v = f->values; *v; v++) {
    if (!slice_ieq(s, slice_str(*v))) continue;
    *ret = slice_str(*v);
    return rc(RC_OK);
  }
  return wrong(e, "field_enum", f->name, enum_text(f, a), s);
}

static MUST rc_t read_text(const field_t *f, const json_t *v, slice_t *ret, err_t *e)
{
  slice_t s = {0};
  TRY(take_text(v, f->name, &s, e));
  TRY(check_text(f, s, e));
  *ret = s;
  return rc(RC_OK);
}

static MUST rc_t read_enum(const field_t *f, const json_t *v, arena_t *a, slice_t *ret, err_t *e)
{
  slice_t s = {0};
  TRY(take_text(v, f->name, &s, e));
  return find_enum(f, s, a, ret, e);
}

static MUST rc_t read_texts(const field_t *f, const json_t *v, arena_t *a, texts_t *ret, err_t *e)
{
  texts_t t = {0};
  TRY(take_texts(v, f->name, (size_t)f->max, a, &t, e));
  for (size_t i = 0; i < t.n; i++)
    if (has_control(t.v[i])) return wrong(e, "field_control", f->name, "must not contain control characters", t.v[i]);
  *ret = t;
  return rc(RC_OK);
}

static MUST rc_t read_json(const field_t *f, const json_t *v, arena_t *a, slice_t *ret, err_t *e)
{
  json_kind_t k = json_kind(v);
  if (k != JK_OBJECT && k != JK_ARRAY) return wrong_type(e, f->name, "must be an object or an array");
  buf_t b = buf_on(a, f->max ? (size_t)f->max : LIM_JSON_FIELD);
  json_emit(v, &b);
  rc_t r = buf_rc(&b);
  if (rc_is(r, RC_FULL))
    return err_limit(e, RC_INVALID, "field_length", f->name, "must be {limit} bytes or fewer", (int64_t)b.cap);
  if (!rc_ok(r)) return err_set(e, RC_NOMEM, "json_memory", f->name, "needs more memory than a request may use");
  *ret = buf_slice(&b);
  return rc(RC_OK);
}

static MUST rc_t read_field(const field_t *f, const json_t *v, arena_t *a, void *row, err_t *e)
{
  void *to = field_at(f, row);
  bool ranged = f->min || f->max;
  switch (f->type) {
  case FT_TEXT: return read_text(f, v, to, e);
  case FT_ENUM: return read_enum(f, v, a, to, e);
  case FT_INT: return take_i64(v, f->name, ranged ? f->min : INT64_MIN, ranged ? f->max : INT64_MAX, to, e);
  case FT_BOOL: return take_bool(v, f->name, to, e);
  case FT_TIME: return take_time(v, f->name, to, e);
  case FT_TEXTS: return read_texts(f, v, a, to, e);
  case FT_JSON: return read_json(f, v, a, to, e);
  }
  return err_set(e, RC_INTERNAL, "field_type", f->name, "has no known type");
}

rc_t json_row_read(const resource_t *res, arena_t *a, const json_t *obj, void *row, uint64_t *ret_present, err_t *e)
{
  CHECK(res->nfields <= 64);
  uint64_t present = 0;
  for (uint32_t i = 0; i < res->nfields; i++) {
    const field_t *f = &res->fields[i];
    if (f->flags & (FF_READONLY | FF_HIDDEN | FF_VIRTUAL)) continue;
    const json_t *v = member(obj, f->name);
    if (!v || (f->type == FT_ENUM && json_string_length(v) == 0 && json_kind(v) == JK_TEXT)) continue;
    TRY(read_field(f, v, a, row, e));
    present |= UINT64_C(1) << i;
  }
  *ret_present = present;
  return rc(RC_OK);
}

/* Text and enumerations stand in the table bare, everything else as JSON. */
static MUST rc_t set_default(const field_t *f, arena_t *a, void *row, err_t *e)
{
  if (f->type == FT_TEXT || f->type == FT_ENUM) {
    *(slice_t *)field_at(f, row) = slice_str(f->def);
    return rc(RC_OK);
  }
  slice_t text = slice_str(f->def);
  if (f->type == FT_TIME) return rfc3339_parse(text, field_at(f, row));
  json_doc_t doc;
  TRY(json_parse(a, text, &doc, e));
  return read_field(f, doc.root, a, row, e);
}

rc_t json_row_defaults(const resource_t *res, arena_t *a, uint64_t present, void *row, err_t *e)
{
  CHECK(res->nfields <= 64);
  for (uint32_t i = 0; i < res->nfields; i++) {
    const field_t *f = &res->fields[i];
    if (!f->def || (present >> i & 1)) continue;
    rc_t r = set_default(f, a, row, e);
    if (rc_is(r, RC_NOMEM)) return r;
    if (!rc_ok(r)) return err_set(e, RC_INTERNAL, "field_default", f->name, "has a default that is none of its type");
  }
  return rc(RC_OK);
}

static bool is_empty(const field_t *f, const void *row)
{
  const void *at = field_at(f, row);
  switch (f->type) {
  case FT_TEXT: return slice_trim(*(const slice_t *)at).n == 0;
  case FT_ENUM:
  case FT_JSON: return ((const slice_t *)at)->n == 0;
  case FT_TEXTS: return ((const texts_t *)at)->n == 0;
  case FT_TIME: return us_is_never(*(const us_t *)at);
  case FT_INT:
  case FT_BOOL: return false; /* zero and false are values */
  }
  return true;
}

rc_t json_row_required(const resource_t *res, const void *row, err_t *e)
{
  for (uint32_t i = 0; i < res->nfields; i++) {
    const field_t *f = &res->fields[i];
    if ((f->flags & FF_REQUIRED) && is_empty(f, row))
      return err_set(e, RC_INVALID, "field_required", f->name, "is required");
  }
  return rc(RC_OK);
}
