#include "conf/conf.h"

#include "base/check.h"
#include "base/limits.h"
#include "conf/environ.h"
#include "conf/rules.h"

/* A load under way. */
typedef struct load {
  conf_t c;
  const setting_t *rows;
  size_t nrows;
  slice_t *raw;
  err_t *e;
} load_t;

static void *member(conf_t *c, const setting_t *s) { return (uint8_t *)c + s->offset; }

static rc_t refuse(const setting_t *s, slice_t value, err_t *e)
{
  err_set(e, RC_INVALID, "setting", s->env, s->rule);
  if (!(s->flags & SF_SECRET)) err_value(e, value.p, value.n);
  return rc(RC_INVALID);
}

static rc_t no_memory(err_t *e) { return err_set(e, RC_NOMEM, "memory", NULL, "out of memory"); }

/* Keeps `text` as what was given for row i; a secret is wiped at its source. */
static rc_t keep(load_t *l, size_t i, char *text)
{
  const setting_t *s = &l->rows[i];
  size_t n = strlen(text);
  if (n > LIM_SETTING) return err_limit(l->e, RC_FULL, "setting", s->env, "must have at most {limit} bytes", LIM_SETTING);
  if (s->flags & SF_SECRET) {
    secret_t *dst = member(&l->c, s);
    secret_fini(dst);
    if (!rc_ok(secret_take(dst, text, n))) return no_memory(l->e);
    l->raw[i] = slice_of(dst->p, n);
  } else {
    char *copy = arena_text(l->c.arena, slice_of(text, n));
    if (!copy) return no_memory(l->e);
    l->raw[i] = slice_of(copy, n);
  }
  return rc(RC_OK);
}

/* A secret of another program is of no use here, and must not be readable from here either. */
static rc_t environment_read(load_t *l)
{
  for (size_t i = 0; i < l->nrows; i++) {
    const setting_t *s = &l->rows[i];
    char *v = environ_get(s->env);
    if (v && (s->programs & l->c.program)) TRY(keep(l, i, v));
    if (s->flags & SF_SECRET) environ_wipe(s->env);
  }
  return rc(RC_OK);
}

/* Index of the row whose flag is `name` in this program, or nrows. */
static size_t flag_find(const load_t *l, slice_t name)
{
  size_t i = 0;
  while (i < l->nrows && !((l->rows[i].programs & l->c.program) && l->rows[i].flag && slice_is(name, l->rows[i].flag))) i++;
  return i;
}

/* argv[*at] if it is a flag of a setting: keeps its value, moves *at behind it, sets *ret_taken. */
static rc_t flag_read(load_t *l, char **argv, int *at, bool *ret_taken)
{
  static char yes[] = "true";
  char *arg = argv[*at];
  if (arg[0] != '-') return rc(RC_OK);
  slice_t name, rest = slice_str(arg + (arg[1] == '-' ? 2 : 1));
  CHECK(slice_split(&rest, '=', &name));
  size_t i = flag_find(l, name);
  if (i == l->nrows) return rc(RC_OK);
  char *value = rest.p ? arg + ((const char *)rest.p - arg) : NULL;
  if (!value && l->rows[i].type == ST_BOOL) value = yes;
  if (!value && argv[*at + 1]) value = argv[++*at];
  if (!value) return err_set(l->e, RC_INVALID, "flag_value", l->rows[i].flag, "needs a value");
  ++*at;
  *ret_taken = true;
  if (value[0] == 0) {
    l->raw[i] = (slice_t){NULL, 0};
    return rc(RC_OK);
  }
  return keep(l, i, value);
}

static rc_t flags_read(load_t *l, int *argc, char **argv)
{
  int kept = 1, at = 1;
  while (at < *argc && strcmp(argv[at], "--") != 0) {
    bool taken = false;
    TRY(flag_read(l, argv, &at, &taken));
    if (!taken) argv[kept++] = argv[at++];
  }
  while (at < *argc) argv[kept++] = argv[at++];
  argv[kept] = NULL;
  *argc = kept;
  return rc(RC_OK);
}

static rc_t bool_parse(slice_t v, bool *ret)
{
  static const char *const words[] = {"false", "0", "no", "f", "off", "n", "true", "1", "yes", "t", "on", "y"};
  for (size_t i = 0; i < COUNT_OF(words); i++)
    if (slice_ieq(v, slice_str(words[i]))) {
      *ret = i >= COUNT_OF(words) / 2;
      return rc(RC_OK);
    }
  return rc(RC_SYNTAX);
}

static rc_t int_parse(slice_t v, int64_t *ret)
{
  bool minus = v.n > 0 && v.p[0] == '-';
  if (v.n > 0 && (v.p[0] == '-' || v.p[0] == '+')) v = slice_sub(v, 1, v.n);
  TRY(slice_i64(v, ret));
  if (minus) *ret = -*ret;
  return rc(RC_OK);
}

static bool enum_has(const setting_t *s, slice_t v)
{
  for (const char *const *p = s->values; *p; p++)
    if (slice_is(v, *p)) return true;
  return false;
}

/* Writes the value of one row into the snapshot. */
static rc_t row_read(load_t *l, size_t i)
{
  const setting_t *s = &l->rows[i];
  void *dst = member(&l->c, s);
  slice_t v = l->raw[i].p ? l->raw[i] : slice_str(s->def);
  int64_t num;
  switch (s->type) {
  case ST_TEXT:
    if (!(s->flags & SF_SECRET)) *(slice_t *)dst = v;
    return rc(RC_OK);
  case ST_ENUM:
    if (!enum_has(s, v)) return refuse(s, v, l->e);
    *(slice_t *)dst = v;
    return rc(RC_OK);
  case ST_BOOL:
    return rc_ok(bool_parse(v, dst)) ? rc(RC_OK) : refuse(s, v, l->e);
  case ST_INT:
    if (!rc_ok(int_parse(v, &num)) || num < s->min || num > s->max) return refuse(s, v, l->e);
    break;
  case ST_DURATION:
    if (!rc_ok(conf_duration(v, &num)) || num < s->min * US_PER_S || num > s->max * US_PER_S) return refuse(s, v, l->e);
    break;
  }
  *(int64_t *)dst = num;
  return rc(RC_OK);
}

static rc_t load_run(load_t *l, int *argc, char **argv)
{
  l->c.arena = arena_new(LIM_CONF_ARENA);
  if (!l->c.arena) return no_memory(l->e);
  l->raw = ARENA_ARRAY(l->c.arena, slice_t, l->nrows);
  if (!l->raw) return no_memory(l->e);
  l->c.raw = l->raw;
  TRY(environment_read(l));
  if (argc) TRY(flags_read(l, argc, argv));
  for (size_t i = 0; i < l->nrows; i++) {
    if (!(l->rows[i].programs & l->c.program)) continue;
    TRY(row_read(l, i));
    TRY(rules_check(&l->c, &l->rows[i], l->e));
  }
  return rules_finish(&l->c, l->e);
}

rc_t conf_load(uint32_t program, int *argc, char **argv, conf_t *ret, err_t *e)
{
  load_t l = {.c.program = program, .e = e};
  l.rows = conf_settings(&l.nrows);
  rc_t r = load_run(&l, argc, argv);
  if (rc_ok(r))
    *ret = l.c;
  else
    conf_fini(&l.c);
  return r;
}

void conf_fini(conf_t *c)
{
  size_t n;
  const setting_t *rows = conf_settings(&n);
  for (size_t i = 0; i < n; i++)
    if (rows[i].flags & SF_SECRET) secret_fini(member(c, &rows[i]));
  arena_free(c->arena);
  *c = (conf_t){0};
}

size_t conf_refusal(const err_t *e, char *out, size_t cap)
{
  static const char head[] = "Failed to load configuration: ";
  CHECK(cap > sizeof head);
  memcpy(out, head, sizeof head);
  return sizeof head - 1 + err_format(e, out + sizeof head - 1, cap - (sizeof head - 1));
}

void conf_start_log(const conf_t *c)
{
  static const char *const names[] = {"debug", "info", "warn", "error"};
  log_level_t level = LOG_INFO;
  for (size_t i = 0; i < COUNT_OF(names); i++)
    if (slice_is(c->log_level, names[i])) level = (log_level_t)i;
  log_setup(level, slice_is(c->log_format, "text"));
  for (size_t i = 0; i < c->nwarnings; i++)
    log_write(c->warnings[i].level, c->warnings[i].text, c->warnings[i].fields, c->warnings[i].nfields);
}

/* "server, signer" of a set of programs. */
static void programs_put(buf_t *out, uint32_t programs)
{
  static const char *const names[] = {"server", "agent", "cli", "signer"};
  const char *sep = "";
  for (size_t i = 0; i < COUNT_OF(names); i++)
    if (programs & (1U << i)) {
      buf_printf(out, "%s%s", sep, names[i]);
      sep = ", ";
    }
}

/* Order of the dump: by name, then as they are checked. */
static int dump_order(const setting_t *a, const setting_t *b)
{
  int by_name = strcmp(a->name, b->name);
  return by_name ? by_name : (int)(a - b);
}

/* The least row behind `last`, NULL at the end. */
static const setting_t *dump_next(const setting_t *last)
{
  size_t n;
  const setting_t *rows = conf_settings(&n), *next = NULL;
  for (const setting_t *s = rows; s < rows + n; s++)
    if ((!last || dump_order(s, last) > 0) && (!next || dump_order(s, next) < 0)) next = s;
  return next;
}

void conf_dump(buf_t *out)
{
  static const char *const types[] = {[ST_TEXT] = "text", [ST_BOOL] = "bool", [ST_INT] = "int", [ST_DURATION] = "duration",
                                      [ST_ENUM] = "enum"};
  for (const setting_t *s = dump_next(NULL); s; s = dump_next(s)) {
    buf_printf(out, "%s\t", s->name);
    programs_put(out, s->programs);
    buf_printf(out, "\t%s\t%s\t%s\t%s\t%s\n", s->flags & SF_SECRET ? "secret" : types[s->type],
               s->flag ? s->flag : "", s->def ? s->def : "", s->rule ? s->rule : "", s->help);
  }
}
