/*
 * Prints the surfaces that are derived from the tables of the program: run by
 * `make docs`, and by the tests that compare them with what is committed.
 */
#include "api/routes.h"
#include "base/check.h"
#include "bin/cli.h"
#include "conf/conf.h"
#include "model/resources.h"
#include "targets/target.h"

#include <stdio.h>
#include <stdlib.h>

enum { OUT_MAX = 1024 * 1024 };

static const char head[] =
    "# Environment\n"
    "\n"
    "Every setting, emitted from the settings table (`make docs`); a test compares this page with the table. All names\n"
    "carry the prefix `CERTCTL_` in the environment. An empty value counts as not set. Precedence: flag, environment,\n"
    "default. A value outside its range refuses the start; an unknown `CERTCTL_*` name is a warning.\n"
    "\n"
    "| name | programs | type | flag | default | accepted | meaning |\n"
    "|---|---|---|---|---|---|---|\n";

/* "must be an integer from 1 to 9" reads in a column as "an integer from 1 to 9". */
static slice_t rule_short(slice_t rule)
{
  return slice_starts(rule, S("must be ")) ? slice_sub(rule, sizeof "must be " - 1, rule.n) : rule;
}

/* One line of the dump as a table row. */
static void row_put(buf_t *out, slice_t line)
{
  enum { NAME, PROGRAMS, TYPE, FLAG, DEFAULT, RULE, HELP, COLUMNS };
  slice_t c[COLUMNS] = {0};
  for (size_t i = 0; i < COLUMNS; i++) CHECK(slice_split(&line, '\t', &c[i]));
  buf_printf(out, "| `%.*s` | %.*s | %.*s |", SLICE_ARG(c[NAME]), SLICE_ARG(c[PROGRAMS]), SLICE_ARG(c[TYPE]));
  if (c[FLAG].n)
    buf_printf(out, " `--%.*s` |", SLICE_ARG(c[FLAG]));
  else
    buf_puts(out, " |");
  if (c[DEFAULT].n)
    buf_printf(out, " `%.*s` |", SLICE_ARG(c[DEFAULT]));
  else
    buf_puts(out, " |");
  slice_t rule = rule_short(c[RULE]);
  buf_printf(out, " %.*s | %.*s |\n", SLICE_ARG(rule), SLICE_ARG(c[HELP]));
}

static void environments(buf_t *out)
{
  buf_t dump = buf_heap(OUT_MAX);
  conf_dump(&dump);
  slice_t rest = buf_slice(&dump), line;
  buf_puts(out, head);
  while (slice_split(&rest, '\n', &line))
    if (line.n) row_put(out, line);
  CHECK(rc_ok(buf_rc(&dump)));
  buf_fini(&dump);
}

/* --- pieces of a page --- */

/* Text inside a table cell: a bar would end the cell. */
static void cell(buf_t *out, const char *text)
{
  for (const char *p = text ? text : ""; *p; p++) {
    if (*p == '|') buf_byte(out, '\\');
    buf_byte(out, (uint8_t)*p);
  }
}

/* The next cell of a row, as code when it is not empty. */
static void code_cell(buf_t *out, const char *text)
{
  buf_puts(out, " |");
  if (!text || !*text) return;
  buf_puts(out, " `");
  cell(out, text);
  buf_puts(out, "`");
}

static void text_cell(buf_t *out, const char *text)
{
  buf_puts(out, " | ");
  cell(out, text);
}

/* "certificate_profiles" as "Certificate profiles", "renewal-policies" alike. */
static void title(buf_t *out, slice_t name)
{
  buf_puts(out, "\n### ");
  for (size_t i = 0; i < name.n; i++) {
    uint8_t c = name.p[i];
    bool capital = i == 0 && c >= 'a' && c <= 'z';
    buf_byte(out, capital ? (uint8_t)(c - 'a' + 'A') : c == '_' || c == '-' ? ' ' : c);
  }
  buf_puts(out, "\n\n");
}

/* --- fields of resources and connectors --- */

static const char *const field_types[] = {[FT_TEXT] = "text", [FT_ENUM] = "one of", [FT_INT] = "integer", [FT_BOOL] = "boolean",
                                          [FT_TIME] = "time", [FT_TEXTS] = "array of texts", [FT_JSON] = "JSON"};

static void field_rule(buf_t *out, const field_t *f)
{
  buf_printf(out, " | %s", field_types[f->type]);
  for (const char *const *v = f->values; v && *v; v++) buf_printf(out, "%s `%s`", v == f->values ? "" : ",", *v);
  if (f->type == FT_INT && f->max) buf_printf(out, ", %lld to %lld", (long long)f->min, (long long)f->max);
  if (f->type == FT_TEXT && f->max) buf_printf(out, ", at most %lld characters", (long long)f->max);
  if (f->type == FT_TEXTS && f->max) buf_printf(out, ", at most %lld", (long long)f->max);
  if (f->type == FT_JSON && f->max) buf_printf(out, ", at most %lld bytes", (long long)f->max);
  if (f->ref) buf_printf(out, ", id in `%s`", f->ref);
}

static void field_use(buf_t *out, const field_t *f)
{
  static const struct {
    uint32_t flag;
    const char *word;
  } words[] = {{FF_REQUIRED, "required"}, {FF_READONLY, "read only"},   {FF_IMMUTABLE, "set once"}, {FF_SECRET, "secret"},
               {FF_FILTER, "filter"},     {FF_SORT, "sort"}};
  bool any = false;
  buf_puts(out, " |");
  for (size_t i = 0; i < COUNT_OF(words); i++)
    if (f->flags & words[i].flag) {
      buf_printf(out, "%s%s", any ? ", " : " ", words[i].word);
      any = true;
    }
}

static void fields_put(buf_t *out, const field_t *fields, uint32_t n)
{
  buf_puts(out, "| field | value | use | default | meaning |\n|---|---|---|---|---|\n");
  for (uint32_t i = 0; i < n; i++) {
    const field_t *f = &fields[i];
    if (f->flags & FF_HIDDEN) continue;
    buf_printf(out, "| `%s`", f->name);
    field_rule(out, f);
    field_use(out, f);
    code_cell(out, f->def);
    text_cell(out, f->help);
    buf_puts(out, " |\n");
  }
}

static void target_nginx(buf_t *out)
{
  const target_kind_t *k = target_find(S("NGINX"));
  CHECK(k);
  fields_put(out, k->fields, k->nfields);
}

/* --- routes --- */

/* "certificates" of "/api/v1/certificates/{id}"; what is about no resource stands together. */
static slice_t route_group(const route_t *r)
{
  static const char *const about_the_server[] = {"version", "openapi.json", "stats", "metrics"};
  slice_t path = slice_str(r->path), prefix = S("/api/v1/"), first;
  if (!slice_starts(path, prefix)) return S("server");
  path = slice_sub(path, prefix.n, path.n);
  CHECK(slice_split(&path, '/', &first));
  for (size_t i = 0; i < COUNT_OF(about_the_server); i++)
    if (slice_is(first, about_the_server[i])) return S("server");
  return first;
}

/* Rows shared by resources name the verb; the resource has the action. */
static const char *route_audit(const route_t *r)
{
  const resource_t *about = r->in ? r->in : r->out;
  if (!r->audit || !about) return r->audit;
  if (strcmp(r->audit, "create") == 0) return about->audit_create;
  if (strcmp(r->audit, "update") == 0) return about->audit_update;
  return strcmp(r->audit, "delete") == 0 ? about->audit_delete : r->audit;
}

static void route_row(buf_t *out, const route_t *r)
{
  buf_printf(out, "| `%s %s`", route_method_name(r->method), r->path);
  code_cell(out, r->perm);
  buf_puts(out, " |");
  if (r->in) buf_printf(out, " `%s`,", r->in->name);
  if (r->body_max) buf_printf(out, " %u KiB", r->body_max / 1024);
  buf_puts(out, " |");
  if (r->out && r->method != RM_DELETE) buf_printf(out, " %s`%s`", r->list ? "page of " : "", r->out->name);
  code_cell(out, route_audit(r));
  text_cell(out, r->help);
  buf_puts(out, " |\n");
}

static void api(buf_t *out)
{
  buf_puts(out, "\n## Routes\n");
  for (size_t i = 0; i < route_count; i++) {
    slice_t group = route_group(&routes[i]);
    bool seen = false;
    for (size_t k = 0; k < i && !seen; k++) seen = slice_eq(route_group(&routes[k]), group);
    if (seen) continue;
    title(out, group);
    buf_puts(out, "| route | permission | body | reply | audit action | what it does |\n|---|---|---|---|---|---|\n");
    for (size_t k = i; k < route_count; k++)
      if (slice_eq(route_group(&routes[k]), group)) route_row(out, &routes[k]);
  }
  buf_puts(out, "\n## Resources\n");
  for (const resource_t *const *r = res_all; *r; r++) {
    title(out, slice_str((*r)->name));
    fields_put(out, (*r)->fields, (*r)->nfields);
  }
}

/* --- commands --- */

static void flag_row(buf_t *out, const cli_flag_t *f)
{
  const char *value = f->value ? f->value : "VALUE";
  buf_printf(out, "| `--%s", f->name);
  if (f->kind == CF_SPAN) buf_printf(out, "[=%s]", value);
  if (f->kind == CF_TEXT || f->kind == CF_LIST) buf_printf(out, " %s", value);
  buf_puts(out, "`");
  text_cell(out, f->help);
  buf_puts(out, f->required ? "; required |\n" : " |\n");
}

static void cli(buf_t *out)
{
  static const char *const methods[] = {[HTTP1_GET] = "GET", [HTTP1_POST] = "POST", [HTTP1_PUT] = "PUT", [HTTP1_DELETE] = "DELETE"};
  buf_puts(out, "\n## Commands\n");
  for (size_t i = 0; i < cli_ncommands; i++) {
    const cli_command_t *c = &cli_commands[i];
    buf_printf(out, "\n### `certctl-cli %s%s%s`\n\n%s.", c->words, c->args ? " " : "", c->args ? c->args : "", c->help);
    if (c->path) {
      CHECK(c->method == HTTP1_NONE || ((size_t)c->method < COUNT_OF(methods) && methods[c->method]));
      buf_printf(out, " Asks `%s %s`.", c->method == HTTP1_NONE ? "GET" : methods[c->method], c->path);
    }
    buf_puts(out, "\n");
    if (c->flags[0].name) buf_puts(out, "\n| flag | meaning |\n|---|---|\n");
    for (const cli_flag_t *f = c->flags; f->name; f++) flag_row(out, f);
  }
}

/* --- settings by program --- */

static void setting_row(buf_t *out, const setting_t *s)
{
  static const char *const types[] = {[ST_TEXT] = "text", [ST_BOOL] = "bool", [ST_INT] = "int", [ST_DURATION] = "duration", [ST_ENUM] = "enum"};
  slice_t rule = rule_short(slice_str(s->rule ? s->rule : ""));
  buf_printf(out, "| `%s`", s->env);
  buf_printf(out, " | %s%s", types[s->type], s->flags & SF_SECRET ? ", secret" : "");
  if (s->flag)
    buf_printf(out, " | `--%s`", s->flag);
  else
    buf_puts(out, " |");
  code_cell(out, s->def);
  buf_printf(out, " | %.*s", SLICE_ARG(rule));
  text_cell(out, s->help);
  buf_puts(out, " |\n");
}

static void configuration(buf_t *out)
{
  static const struct {
    uint32_t program;
    const char *name;
  } programs[] = {{SP_SERVER, "certctl-server"}, {SP_SIGNER, "certctl-signer"}, {SP_AGENT, "certctl-agent"}, {SP_CLI, "certctl-cli"}};
  size_t n = 0;
  const setting_t *rows = conf_settings(&n);
  for (size_t p = 0; p < COUNT_OF(programs); p++) {
    buf_printf(out, "\n## %s\n\n| name | type | flag | default | accepted | meaning |\n|---|---|---|---|---|---|\n", programs[p].name);
    for (size_t i = 0; i < n; i++)
      if (rows[i].programs & programs[p].program) setting_row(out, &rows[i]);
  }
}

static const struct {
  const char *name;
  void (*put)(buf_t *out);
} surfaces[] = {
    {"environments", environments},   /* packaging/ENVIRONMENTS.md, whole */
    {"settings", conf_dump},          /* tests/unit/conf/settings.golden, whole */
    {"api", api},                     /* docs/reference/api.md, below its mark */
    {"cli", cli},                     /* docs/reference/cli.md */
    {"configuration", configuration}, /* docs/reference/configuration.md */
    {"target-nginx", target_nginx},   /* docs/reference/connectors/nginx.md */
};

int main(int argc, char **argv)
{
  for (size_t i = 0; argc == 2 && i < COUNT_OF(surfaces); i++) {
    if (strcmp(argv[1], surfaces[i].name) != 0) continue;
    buf_t out = buf_heap(OUT_MAX);
    surfaces[i].put(&out);
    bool fine = rc_ok(buf_rc(&out)) && fwrite(out.p, 1, out.n, stdout) == out.n && fflush(stdout) == 0;
    buf_fini(&out);
    return fine ? 0 : 1;
  }
  fputs("usage: emit SURFACE, one of", stderr);
  for (size_t i = 0; i < COUNT_OF(surfaces); i++) fprintf(stderr, " %s", surfaces[i].name);
  fputs("\n", stderr);
  return 2;
}
