#include "api/openapi.h"

#include "api/routes.h"
#include "base/version.h"
#include "model/resources.h"
#include "wire/json_out.h"

#include <stdio.h>

static void schema_ref(jw_t *j, const resource_t *r, bool list)
{
  char ref[96];
  snprintf(ref, sizeof ref, "#/components/schemas/%s", r->name);
  jw_object(j);
  if (list) {
    jw_put_str(j, "type", "object");
    jw_key(j, "properties");
    jw_object(j);
    jw_key(j, "data");
    jw_object(j);
    jw_put_str(j, "type", "array");
    jw_key(j, "items");
    jw_object(j);
    jw_put_str(j, "$ref", ref);
    jw_object_end(j);
    jw_object_end(j);
    static const char *const counts[] = {"total", "page", "per_page"};
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
      jw_key(j, counts[i]);
      jw_object(j);
      jw_put_str(j, "type", "integer");
      jw_object_end(j);
    }
    jw_object_end(j);
  } else {
    jw_put_str(j, "$ref", ref);
  }
  jw_object_end(j);
}

static void content(jw_t *j, const resource_t *r, bool list)
{
  jw_key(j, "content");
  jw_object(j);
  jw_key(j, "application/json");
  jw_object(j);
  jw_key(j, "schema");
  schema_ref(j, r, list);
  jw_object_end(j);
  jw_object_end(j);
}

static void parameter(jw_t *j, slice_t name, const char *in, bool required)
{
  jw_object(j);
  jw_put_text(j, "name", name);
  jw_put_str(j, "in", in);
  if (required) jw_put_bool(j, "required", true);
  jw_key(j, "schema");
  jw_object(j);
  jw_put_str(j, "type", "string");
  jw_object_end(j);
  jw_object_end(j);
}

static void parameters(jw_t *j, const route_t *r)
{
  slice_t path = slice_str(r->path), part;
  jw_key(j, "parameters");
  jw_array(j);
  while (slice_split(&path, '/', &part))
    if (slice_starts(part, S("{"))) parameter(j, slice_sub(part, 1, part.n - 2), "path", true);
  if (r->list) {
    parameter(j, S("page"), "query", false);
    parameter(j, S("per_page"), "query", false);
    for (uint32_t i = 0; i < r->out->nfields; i++)
      if (r->out->fields[i].flags & FF_FILTER) parameter(j, slice_str(r->out->fields[i].name), "query", false);
  }
  jw_array_end(j);
}

static void operation(jw_t *j, const route_t *r)
{
  static const char *const verbs[] = {[RM_GET] = "get", [RM_POST] = "post", [RM_PUT] = "put", [RM_DELETE] = "delete"};
  bool open = strcmp(r->perm, PERM_OPEN) == 0;
  jw_key(j, verbs[r->method]);
  jw_object(j);
  jw_put_str(j, "summary", r->help);
  jw_put_str(j, "x-permission", r->perm);
  parameters(j, r);
  if (r->in) {
    jw_key(j, "requestBody");
    jw_object(j);
    content(j, r->in, false);
    jw_object_end(j);
  }
  jw_key(j, "security");
  jw_array(j);
  if (!open) {
    jw_object(j);
    jw_key(j, "bearer");
    jw_array(j);
    jw_array_end(j);
    jw_object_end(j);
  }
  jw_array_end(j);
  jw_key(j, "responses");
  jw_object(j);
  char status[8];
  snprintf(status, sizeof status, "%d", route_success(r));
  jw_key(j, status);
  jw_object(j);
  jw_put_str(j, "description", r->help);
  if (r->out && r->method != RM_DELETE) content(j, r->out, r->list);
  jw_object_end(j);
  jw_object_end(j);
  jw_object_end(j);
}

/* All methods of one path stand together, as the format wants it. */
static void paths(jw_t *j)
{
  jw_key(j, "paths");
  jw_object(j);
  for (size_t i = 0; i < route_count; i++) {
    bool seen = false;
    for (size_t k = 0; k < i && !seen; k++) seen = strcmp(routes[k].path, routes[i].path) == 0;
    if (seen) continue;
    jw_key(j, routes[i].path);
    jw_object(j);
    for (size_t k = i; k < route_count; k++)
      if (strcmp(routes[k].path, routes[i].path) == 0) operation(j, &routes[k]);
    jw_object_end(j);
  }
  jw_object_end(j);
}

static void property(jw_t *j, const field_t *f)
{
  static const char *const types[] = {
      [FT_TEXT] = "string", [FT_ENUM] = "string", [FT_INT] = "integer", [FT_BOOL] = "boolean",
      [FT_TIME] = "string", [FT_TEXTS] = "array", [FT_JSON] = NULL};
  jw_key(j, f->name);
  jw_object(j);
  if (types[f->type]) jw_put_str(j, "type", types[f->type]);
  if (f->type == FT_TIME) jw_put_str(j, "format", "date-time");
  if (f->type == FT_TEXT && f->max) jw_put_int(j, "maxLength", f->max);
  if (f->type == FT_INT && f->max) {
    jw_put_int(j, "minimum", f->min);
    jw_put_int(j, "maximum", f->max);
  }
  if (f->type == FT_TEXTS) {
    jw_key(j, "items");
    jw_object(j);
    jw_put_str(j, "type", "string");
    jw_object_end(j);
  }
  if (f->values) {
    jw_key(j, "enum");
    jw_array(j);
    for (const char *const *v = f->values; *v; v++) jw_str(j, *v);
    jw_array_end(j);
  }
  if (f->flags & FF_READONLY) jw_put_bool(j, "readOnly", true);
  jw_put_str(j, "description", f->help);
  jw_object_end(j);
}

static void schemas(jw_t *j)
{
  jw_key(j, "schemas");
  jw_object(j);
  for (const resource_t *const *r = res_all; *r; r++) {
    jw_key(j, (*r)->name);
    jw_object(j);
    jw_put_str(j, "type", "object");
    jw_key(j, "required");
    jw_array(j);
    for (uint32_t i = 0; i < (*r)->nfields; i++)
      if ((*r)->fields[i].flags & FF_REQUIRED) jw_str(j, (*r)->fields[i].name);
    jw_array_end(j);
    jw_key(j, "properties");
    jw_object(j);
    for (uint32_t i = 0; i < (*r)->nfields; i++)
      if (!((*r)->fields[i].flags & FF_HIDDEN)) property(j, &(*r)->fields[i]);
    jw_object_end(j);
    jw_object_end(j);
  }
  jw_object_end(j);
}

void openapi_emit(buf_t *b)
{
  jw_t j = jw_on(b);
  jw_object(&j);
  jw_put_str(&j, "openapi", "3.1.0");
  jw_key(&j, "info");
  jw_object(&j);
  jw_put_str(&j, "title", "certctl");
  jw_put_str(&j, "version", version_text());
  jw_object_end(&j);
  paths(&j);
  jw_key(&j, "components");
  jw_object(&j);
  jw_key(&j, "securitySchemes");
  jw_object(&j);
  jw_key(&j, "bearer");
  jw_object(&j);
  jw_put_str(&j, "type", "http");
  jw_put_str(&j, "scheme", "bearer");
  jw_object_end(&j);
  jw_object_end(&j);
  schemas(&j);
  jw_object_end(&j);
  jw_object_end(&j);
}
