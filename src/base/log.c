#include "base/log.h"

#include "base/limits.h"

#include <stdatomic.h>
#include <unistd.h>

static _Atomic int lowest_level = LOG_INFO;
static _Atomic int sink_fd = 1;
static _Atomic bool text_lines;

enum { CONTEXT_MAX = 4 };
static _Thread_local struct {
  log_field_t field[CONTEXT_MAX];
  size_t n;
} context;

void log_setup(log_level_t lowest, bool text_form)
{
  lowest_level = (int)lowest;
  text_lines = text_form;
}

bool log_on(log_level_t level) { return (int)level >= lowest_level; }

void log_sink(int fd) { sink_fd = fd; }

void log_context(const log_field_t *fields, size_t n)
{
  context.n = 0;
  for (size_t i = 0; fields && i < n && i < CONTEXT_MAX; i++) context.field[context.n++] = fields[i];
}

typedef struct line {
  char p[LIM_LOG_LINE];
  size_t n;
} line_t;

/* Keeps room for the closing quote, brace and newline. */
static void put(line_t *l, char c)
{
  if (l->n < sizeof l->p - 8) l->p[l->n++] = c;
}

static void puts_plain(line_t *l, const char *s)
{
  while (*s) put(l, *s++);
}

/* True while the longest unit of put_escaped fits: half an escape or half a character would spoil the line. */
static bool has_room(const line_t *l, uint8_t c)
{
  size_t most = (c & 0xc0) == 0x80 ? 1 : 6;
  return l->n + most < sizeof l->p - 8;
}

/* JSON string content; bytes that are not UTF-8 become '?', so that every line parses. */
static void put_escaped(line_t *l, slice_t s)
{
  static const char hex[] = "0123456789abcdef";
  bool utf8 = slice_utf8(s);
  for (size_t i = 0; i < s.n && has_room(l, s.p[i]); i++) {
    uint8_t c = s.p[i];
    if (c == '"' || c == '\\') {
      put(l, '\\');
      put(l, (char)c);
    } else if (c < 0x20 || c == 0x7f) {
      puts_plain(l, "\\u00");
      put(l, hex[c >> 4]);
      put(l, hex[c & 15]);
    } else {
      put(l, c >= 0x80 && !utf8 ? '?' : (char)c);
    }
  }
}

static void put_int(line_t *l, int64_t v)
{
  char out[I64_TEXT_MAX];
  slice_t digits = slice_from_i64(v, out);
  for (size_t i = 0; i < digits.n; i++) put(l, (char)digits.p[i]);
}

static void put_value(line_t *l, const log_field_t *f)
{
  switch (f->kind) {
  case LOG_INT: put_int(l, f->num); break;
  case LOG_BOOL: puts_plain(l, f->num ? "true" : "false"); break;
  case LOG_TEXT:
    put(l, '"');
    put_escaped(l, f->text);
    l->p[l->n++] = '"'; /* within the reserve */
    break;
  }
}

static void put_fields(line_t *l, const log_field_t *f, size_t n, bool text)
{
  for (size_t i = 0; i < n; i++) {
    if (l->n > sizeof l->p - 64) return;
    puts_plain(l, text ? " " : ",\"");
    puts_plain(l, f[i].name);
    puts_plain(l, text ? "=" : "\":");
    put_value(l, &f[i]);
  }
}

void log_write(log_level_t level, const char *msg, const log_field_t *fields, size_t n)
{
  static const char *const names[] = {"DEBUG", "INFO", "WARN", "ERROR"};
  line_t l = {.n = 0};
  char when[RFC3339_MAX];
  bool text = text_lines;
  rfc3339_format(time_wall(&timesrc_system), when);
  puts_plain(&l, text ? "" : "{\"time\":\"");
  puts_plain(&l, when);
  puts_plain(&l, text ? " " : "\",\"level\":\"");
  puts_plain(&l, names[level]);
  puts_plain(&l, text ? " " : "\",\"msg\":\"");
  put_escaped(&l, slice_str(msg));
  if (!text) l.p[l.n++] = '"';
  put_fields(&l, fields, n, text);
  put_fields(&l, context.field, context.n, text);
  if (!text) l.p[l.n++] = '}';
  l.p[l.n++] = '\n';
  /* One write, so that lines of threads do not mix; a full pipe loses the line rather than the request. */
  ssize_t done = write(sink_fd, l.p, l.n);
  (void)done;
}

void log_err(log_level_t level, const char *msg, const err_t *e)
{
  char text[512];
  size_t n = err_format(e, text, sizeof text);
  log_line(level, msg, log_c("reason", err_reason(e)),
           log_s("error", slice_of(text, n)));
}
