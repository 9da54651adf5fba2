#include "bin/cli.h"

#include "base/limits.h"

#include <stdio.h>

enum { OUT_MAX = 8 * LIM_RESPONSE }; /* indentation and padding of the largest answer */

/* --- JSON --- */

static void new_line(buf_t *b, size_t depth)
{
  buf_byte(b, '\n');
  for (size_t i = 0; i < depth; i++) buf_puts(b, "  ");
}

/* Behind the string that begins at i. */
static size_t string_end(slice_t s, size_t i)
{
  for (i++; i < s.n && s.p[i] != '"'; i++)
    if (s.p[i] == '\\') i++;
  return i < s.n ? i + 1 : s.n;
}

/* Two-space indentation of compact JSON from `depth` on; {} and [] stay together. */
static void indent(slice_t s, size_t depth, buf_t *b)
{
  for (size_t i = 0; i < s.n;) {
    uint8_t c = s.p[i], next = i + 1 < s.n ? s.p[i + 1] : 0;
    size_t end = c == '"' ? string_end(s, i) : i + 1;
    if (c == '}' || c == ']') new_line(b, --depth);
    buf_put(b, slice_of(s.p + i, end - i));
    if (c == ':') buf_byte(b, ' ');
    if (c == ',') new_line(b, depth);
    if ((c == '{' || c == '[') && (next == '}' || next == ']'))
      buf_byte(b, s.p[end++]);
    else if (c == '{' || c == '[')
      new_line(b, ++depth);
    i = end;
  }
}

static void write_out(const buf_t *b)
{
  fwrite(b->p, 1, b->n, stdout);
}

void cli_print_compact(slice_t json)
{
  BUF_SCOPED buf_t b = buf_heap(OUT_MAX);
  indent(json, 0, &b);
  buf_byte(&b, '\n');
  write_out(&b);
}

void cli_print_json(const json_t *node)
{
  BUF_SCOPED buf_t b = buf_heap(OUT_MAX);
  json_emit(node, &b);
  cli_print_compact(buf_slice(&b));
}

/* --- text --- */

slice_t cli_printable(arena_t *a, slice_t s)
{
  uint8_t *out = arena_alloc(a, s.n);
  if (!out) return S("?");
  for (size_t i = 0; i < s.n; i++) {
    uint8_t c = s.p[i];
    bool c1 = c == 0xc2 && i + 1 < s.n && s.p[i + 1] < 0xa0;
    out[i] = (c < 0x20 && c != '\n') || c == 0x7f ? '?' : c;
    if (!c1) continue;
    out[i] = '?'; /* U+0080 to U+009F: as good as escape sequences */
    out[++i] = '?';
  }
  return slice_of(out, s.n);
}

static void texts_cell(const json_t *node, buf_t *b)
{
  for (size_t i = 0; i < json_len(node); i++) {
    slice_t s = {0};
    if (i) buf_puts(b, ", ");
    if (json_as_text(json_at(node, i), &s))
      buf_put(b, s);
    else
      json_emit(json_at(node, i), b);
  }
}

/* RFC 3339 as the server writes it, UTC: a date, or date and time; "-" for never. */
static void time_cell(slice_t s, cli_cell_t cell, buf_t *b)
{
  us_t t;
  char text[RFC3339_MAX];
  if (!rc_ok(rfc3339_parse(s, &t))) {
    buf_put(b, s);
    return;
  }
  if (us_is_never(t)) {
    buf_puts(b, "-");
    return;
  }
  rfc3339_format(us_floor_s(t), text);
  buf_put(b, slice_of(text, 10));
  if (cell == CELL_TIME) buf_printf(b, " %.8s UTC", text + 11);
}

static slice_t cell_text(arena_t *a, const json_t *object, const cli_column_t *col)
{
  buf_t b = buf_on(a, LIM_RESPONSE);
  json_iter_t it = {0};
  slice_t key, s = {0};
  const json_t *v = NULL, *found = NULL;
  while (json_next(object, &it, &key, &v))
    if (slice_is(key, col->key)) found = v;
  if (json_as_text(found, &s))
    col->cell == CELL_ANY ? buf_put(&b, s) : time_cell(s, col->cell, &b);
  else if (json_kind(found) == JK_ARRAY)
    texts_cell(found, &b);
  else if (json_kind(found) != JK_NULL)
    json_emit(found, &b);
  for (size_t i = 0; i < b.n; i++)
    if (b.p[i] == '\n') b.p[i] = ' ';
  return b.n ? cli_printable(a, buf_slice(&b)) : S("");
}

static size_t count_columns(const cli_column_t *cols)
{
  size_t n = 0;
  while (n < CLI_COLUMNS_MAX && cols[n].title) n++;
  return n;
}

static void pad(buf_t *b, slice_t s, size_t width, bool last)
{
  buf_put(b, s);
  for (size_t n = slice_utf8_len(s); !last && n < width + 2; n++) buf_byte(b, ' ');
}

static void print_table(const cli_t *c, const json_t *rows)
{
  const cli_column_t *cols = c->command->columns;
  size_t ncols = count_columns(cols), nrows = json_len(rows), width[CLI_COLUMNS_MAX] = {0};
  slice_t *cells = ARENA_ARRAY(c->arena, slice_t, ncols * (nrows + 1));
  if (!cells) return;
  for (size_t i = 0; i <= nrows; i++)
    for (size_t k = 0; k < ncols; k++) {
      slice_t s = i ? cell_text(c->arena, json_at(rows, i - 1), &cols[k]) : slice_str(cols[k].title);
      size_t n = slice_utf8_len(s);
      cells[i * ncols + k] = s;
      if (n > width[k]) width[k] = n;
    }
  BUF_SCOPED buf_t b = buf_heap(OUT_MAX);
  for (size_t i = 0; i <= nrows; i++) {
    for (size_t k = 0; k < ncols; k++) pad(&b, cells[i * ncols + k], width[k], k + 1 == ncols);
    buf_byte(&b, '\n');
  }
  write_out(&b);
}

static void print_list(const cli_t *c, const json_t *node)
{
  const json_t *rows = NULL;
  int64_t total = 0;
  bool whole = rc_ok(json_get_array(node, "data", &rows, NULL)) &&
               rc_ok(json_get_i64(node, "total", 0, INT64_MAX, &total, NULL));
  if (!whole) total = (int64_t)json_len(rows);
  if (!c->json) {
    print_table(c, rows);
    printf("\nTotal: %lld\n", (long long)total);
    return;
  }
  BUF_SCOPED buf_t b = buf_heap(OUT_MAX);
  buf_puts(&b, "{\"data\":");
  if (rows)
    json_emit(rows, &b);
  else
    buf_puts(&b, "[]");
  buf_printf(&b, ",\"total\":%lld}", (long long)total);
  cli_print_compact(buf_slice(&b));
}

static void print_lines(const cli_t *c, const json_t *node)
{
  BUF_SCOPED buf_t b = buf_heap(OUT_MAX);
  size_t n = count_columns(c->command->columns);
  for (const cli_column_t *col = c->command->columns; n > 0; n--, col++) {
    slice_t s = cell_text(c->arena, node, col);
    if (s.n == 0 && col->optional) continue;
    buf_puts(&b, col->title);
    buf_puts(&b, ": ");
    for (size_t k = strlen(col->title); k < 18; k++) buf_byte(&b, ' ');
    buf_put(&b, s);
    buf_byte(&b, '\n');
  }
  write_out(&b);
}

static void print_sentence(const cli_t *c)
{
  const char *hole = strstr(c->command->say, "{}");
  slice_t arg = cli_printable(c->arena, c->args[0]);
  printf("%.*s%.*s%s\n", (int)(hole - c->command->say), c->command->say, SLICE_ARG(arg), hole + 2);
}

void cli_print(const cli_t *c, const json_t *node)
{
  if (c->command->shape == CLI_LIST)
    print_list(c, node);
  else if (c->json)
    cli_print_json(node);
  else if (c->command->shape == CLI_SAY)
    print_sentence(c);
  else
    print_lines(c, node);
}
