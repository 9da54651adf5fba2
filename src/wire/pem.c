#include "wire/pem.h"

#include "wire/base64.h"

#define DASHES "-----"
#define BEGIN_MARK S(DASHES "BEGIN ")
#define END_MARK S(DASHES "END ")

/* First occurrence of `what` in text at or after `from`; text.n if absent. */
static size_t find(slice_t text, size_t from, slice_t what)
{
  slice_t rest = slice_sub(text, from, text.n);
  const void *hit = rest.n ? memmem(rest.p, rest.n, what.p, what.n) : NULL;
  return hit ? (size_t)((const uint8_t *)hit - text.p) : text.n;
}

bool pem_is(slice_t text) { return text.n && find(text, 0, BEGIN_MARK) < text.n; }

static bool is_eol(uint8_t c) { return c == '\n' || c == '\r'; }

/* CR, LF and CRLF end a line; the last one does so with its CR. */
static bool ends_line(slice_t text, size_t i)
{
  return text.p[i] == '\r' || (text.p[i] == '\n' && (i == 0 || text.p[i - 1] != '\r'));
}

typedef struct parser {
  arena_t *a;
  slice_t text;
  pem_block_t *blocks;
  size_t n, size;
  pem_problem_t *problems;
  size_t nproblems, problems_size;
  size_t line_at, line; /* line number of the offset line_at */
} parser_t;

/* Line of an offset that is not before the last one asked for. */
static size_t line_of(parser_t *p, size_t offset)
{
  for (; p->line_at < offset; p->line_at++) p->line += ends_line(p->text, p->line_at);
  return p->line;
}

/* Room for one more element of `one` bytes; NULL out of memory or above LIM_PEM_BLOCKS. */
static void *grow(arena_t *a, void *v, size_t n, size_t *size, size_t one)
{
  if (n < *size) return v;
  size_t wider = *size ? *size * 2 : 8;
  void *w = arena_array(a, one, wider);
  if (!w) return NULL;
  if (n) memcpy(w, v, n * one);
  *size = wider;
  return w;
}

static rc_t add_problem(parser_t *p, const char *reason, const char *text, size_t offset, bool lost)
{
  if (p->nproblems == LIM_PEM_BLOCKS) return rc(RC_FULL);
  pem_problem_t *v = grow(p->a, p->problems, p->nproblems, &p->problems_size, sizeof *v);
  if (!v) return rc(RC_NOMEM);
  p->problems = v;
  v[p->nproblems++] = (pem_problem_t){reason, text, offset, line_of(p, offset), lost};
  return rc(RC_OK);
}

static rc_t add_block(parser_t *p, pem_block_t block)
{
  if (p->n == LIM_PEM_BLOCKS) return rc(RC_FULL);
  pem_block_t *v = grow(p->a, p->blocks, p->n, &p->size, sizeof *v);
  if (!v) return rc(RC_NOMEM);
  p->blocks = v;
  block.line = line_of(p, block.offset);
  v[p->n++] = block;
  return rc(RC_OK);
}

static const struct {
  const char *label;
  pem_kind_t kind;
} kinds[] = {
  {"CERTIFICATE", PEM_CERT},
  {"X509 CERTIFICATE", PEM_CERT},
  {"X.509 CERTIFICATE", PEM_CERT},
  {"CERTIFICATE REQUEST", PEM_CSR},
  {"NEW CERTIFICATE REQUEST", PEM_CSR},
};

static pem_kind_t kind_of(slice_t label)
{
  for (size_t i = 0; i < COUNT_OF(kinds); i++)
    if (slice_is(label, kinds[i].label)) return kinds[i].kind;
  return slice_ends(label, S("PRIVATE KEY")) ? PEM_KEY : PEM_OTHER;
}

typedef struct span {
  slice_t label;
  slice_t body;       /* between the marks */
  size_t begin, next; /* offsets of BEGIN and of the first byte behind the block */
  const char *reason; /* why the block cannot be read, or NULL */
  const char *text;
} span_t;

/* Label between the mark at `at` and the next dashes of its line; false without those. */
static bool read_label(slice_t text, size_t at, slice_t mark, slice_t *ret, size_t *ret_behind)
{
  size_t from = at + mark.n, stop = find(text, from, S(DASHES));
  if (stop == text.n) return false;
  slice_t label = slice_sub(text, from, stop - from);
  if (slice_find(label, '\n') < label.n || slice_find(label, '\r') < label.n) return false;
  *ret = slice_trim(label);
  *ret_behind = stop + S(DASHES).n;
  return true;
}

/* The block whose BEGIN is at s->begin. */
static void read_span(slice_t text, span_t *s)
{
  size_t body = 0;
  if (!read_label(text, s->begin, BEGIN_MARK, &s->label, &body)) {
    s->reason = "pem_begin";
    s->text = "has a BEGIN line that is not closed";
    s->next = s->begin + BEGIN_MARK.n;
    return;
  }
  /* END is looked for up to the next BEGIN only, so that the whole file is walked once. */
  size_t other = find(text, body, BEGIN_MARK), end = find(slice_sub(text, 0, other), body, END_MARK);
  if (end == other) {
    s->reason = "pem_no_end";
    s->text = "is cut off: it has no END line";
    s->next = other;
    return;
  }
  slice_t end_label;
  if (!read_label(text, end, END_MARK, &end_label, &s->next)) {
    s->reason = "pem_no_end";
    s->text = "is cut off: its END line is not closed";
    s->next = end + END_MARK.n;
  } else if (!slice_eq(end_label, s->label)) {
    s->reason = "pem_label";
    s->text = "ends with another label than it begins with";
  }
  s->body = slice_sub(text, body, end - body);
}

/* RFC 1421 4.6 headers end at the first empty line; they hold a colon, which base64 never does. */
static slice_t skip_headers(slice_t body)
{
  size_t colon = slice_find(body, ':');
  if (colon == body.n) return body;
  bool blank = false; /* nothing stands in this line so far */
  for (size_t i = colon; i < body.n; i++) {
    if (ends_line(body, i)) {
      if (blank) return slice_sub(body, i, body.n);
      blank = true;
    } else if (!is_eol(body.p[i])) {
      blank = false;
    }
  }
  return body;
}

/* True if only a byte order mark stands between the line's start and `at`. */
static bool at_line_start(slice_t text, size_t at)
{
  if (at == 0 || is_eol(text.p[at - 1])) return true;
  return at == 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0;
}

static rc_t take_block(parser_t *p, const span_t *s)
{
  pem_block_t block = {.kind = kind_of(s->label), .label = s->label, .offset = s->begin};
  if (!at_line_start(p->text, s->begin))
    TRY(add_problem(p, "pem_joined", "begins in the middle of a line; servers refuse such a file", s->begin, false));
  if (s->reason) return add_problem(p, s->reason, s->text, s->begin, true);
  if (slice_is(s->label, "TRUSTED CERTIFICATE")) {
    /* It may carry "rejected for …": reading it as a plain certificate would turn distrust into trust. */
    return add_problem(p, "pem_trusted", "is a TRUSTED CERTIFICATE, whose trust settings are not read", s->begin, true);
  }
  if (block.kind == PEM_KEY) return add_block(p, block);
  slice_t body = skip_headers(s->body);
  size_t cap = base64_decoded_max(body.n), n = 0;
  uint8_t *der = arena_alloc(p->a, cap);
  if (!der) return rc(RC_NOMEM);
  if (!rc_ok(base64_decode(BASE64_WS, body, der, cap, &n)) || n == 0)
    return add_problem(p, "pem_base64", n ? "is not base64" : "has no readable base64 between its lines", s->begin,
                       true);
  block.der = slice_of(der, n);
  return add_block(p, block);
}

/* UTF-16 with or without its mark: every second byte of ASCII text is zero. */
static bool is_utf16(slice_t t)
{
  if (t.n < 4) return false;
  bool marked = (t.p[0] == 0xff && t.p[1] == 0xfe) || (t.p[0] == 0xfe && t.p[1] == 0xff);
  return marked || (t.p[0] == 0 && t.p[2] == 0 && t.p[1] && t.p[3]) || (t.p[1] == 0 && t.p[3] == 0 && t.p[0] && t.p[2]);
}

static rc_t parse_all(parser_t *p)
{
  if (is_utf16(p->text)) return add_problem(p, "pem_utf16", "is in UTF-16; save it as ASCII or UTF-8", 0, true);
  for (size_t at = find(p->text, 0, BEGIN_MARK); at < p->text.n;) {
    span_t s = {.begin = at};
    read_span(p->text, &s);
    TRY(take_block(p, &s));
    at = find(p->text, s.next, BEGIN_MARK);
  }
  return rc(RC_OK);
}

rc_t pem_parse(arena_t *a, slice_t text, pem_file_t *ret, err_t *e)
{
  if (text.n > LIM_PEM_FILE)
    return err_limit(e, RC_FULL, "pem_size", NULL, "is longer than {limit} bytes", LIM_PEM_FILE);
  parser_t p = {.a = a, .text = text, .line = 1};
  rc_t r = parse_all(&p);
  if (rc_is(r, RC_FULL))
    return err_limit(e, RC_FULL, "pem_blocks", NULL, "has more than {limit} PEM blocks", LIM_PEM_BLOCKS);
  if (!rc_ok(r)) return err_set(e, r.code, "memory", NULL, "needs more memory than it may have");
  *ret = (pem_file_t){p.blocks, p.n, p.problems, p.nproblems};
  return r;
}

rc_t pem_one(arena_t *a, slice_t text, pem_kind_t kind, slice_t *ret_der, err_t *e)
{
  pem_file_t f;
  const pem_block_t *hit = NULL;
  TRY(pem_parse(a, text, &f, e));
  for (size_t i = 0; i < f.nproblems; i++)
    if (f.problems[i].lost) {
      rc_t r = err_set(e, RC_SYNTAX, f.problems[i].reason, NULL, f.problems[i].text);
      if (e) e->offset = f.problems[i].offset;
      return r;
    }
  for (size_t i = 0; i < f.n; i++) {
    if (f.blocks[i].kind != kind) continue;
    if (hit) return err_set(e, RC_SYNTAX, "pem_many", NULL, "has more than one PEM block of its kind");
    hit = &f.blocks[i];
  }
  if (!hit) return err_set(e, RC_SYNTAX, "pem_missing", NULL, "has no PEM block of the expected kind");
  *ret_der = hit->der;
  return rc(RC_OK);
}

enum { PEM_COLUMNS_BYTES = 48 }; /* 64 characters (RFC 7468 2) */

void pem_emit(buf_t *b, const char *label, slice_t der)
{
  buf_put(b, BEGIN_MARK);
  buf_puts(b, label);
  buf_puts(b, DASHES "\n");
  for (size_t at = 0; at < der.n; at += PEM_COLUMNS_BYTES) {
    base64_encode(b, BASE64_STD, slice_sub(der, at, PEM_COLUMNS_BYTES));
    buf_byte(b, '\n');
  }
  buf_put(b, END_MARK);
  buf_puts(b, label);
  buf_puts(b, DASHES "\n");
}
