/* The route table and what is derived from it: lookup, permissions, audit, OpenAPI; and the log of refusals. */
#include "world.h"

#include "api/denials.h"
#include "api/handlers.h"
#include "api/openapi.h"
#include "api/request.h"
#include "api/routes.h"
#include "wire/http1.h"
#include "wire/json_in.h"

#include <stdio.h>

static const int methods[] = {
    [RM_GET] = HTTP1_GET, [RM_POST] = HTTP1_POST, [RM_PUT] = HTTP1_PUT, [RM_DELETE] = HTTP1_DELETE};

typedef struct found {
  const route_t *route;
  slice_t param[ROUTE_PARAMS_MAX];
  size_t n;
  int status;
  unsigned allow;
} found_t;

static found_t find(int method, const char *path)
{
  found_t f = {0};
  f.route = route_find(method, slice_str(path), f.param, &f.n, &f.status, &f.allow);
  return f;
}

/* The pattern with "x" in place of each placeholder, in static storage. */
static const char *example(const char *pattern)
{
  static char path[256];
  size_t n = 0;
  for (const char *p = pattern; *p; p++) {
    if (*p == '{') {
      path[n++] = 'x';
      while (*p != '}') p++;
    } else {
      path[n++] = *p;
    }
    assert_true(n < sizeof path - 1);
  }
  path[n] = 0;
  return path;
}

#define ASK(cond, r)                                                                      \
  do {                                                                                    \
    if (!(cond)) fail_msg("%s %s: %s", route_method_name((r)->method), (r)->path, #cond); \
  } while (0)

static void test_every_route_is_found_by_its_own_path(void **state)
{
  (void)state;
  for (size_t i = 0; i < route_count; i++) {
    found_t f = find(methods[routes[i].method], example(routes[i].path));
    ASK(f.route == &routes[i], &routes[i]);
  }
}

static void test_every_route_has_a_permission_of_the_catalogue(void **state)
{
  (void)state;
  for (size_t i = 0; i < route_count; i++) {
    const route_t *r = &routes[i];
    bool word = strcmp(r->perm, PERM_OPEN) == 0 || strcmp(r->perm, PERM_ANY) == 0;
    ASK(word || permission_find(slice_str(r->perm)) >= 0, r);
    ASK(r->handler && r->help && r->help[0], r);
  }
}

/* What is open is written out here once more: nothing becomes open by accident. */
static void test_open_routes_are_these(void **state)
{
  static const char *const open[] = {"/health",
                                     "/healthz",
                                     "/ready",
                                     "/api/v1/version",
                                     "/api/v1/auth/info",
                                     "/api/v1/openapi.json",
                                     "/.well-known/pki/ca/{issuer_id}",
                                     "/api/v1/agents"};
  size_t n = 0;
  (void)state;
  for (size_t i = 0; i < route_count; i++) {
    if (strcmp(routes[i].perm, PERM_OPEN) != 0) continue;
    bool listed = false;
    for (size_t k = 0; k < COUNT_OF(open); k++) listed = listed || strcmp(open[k], routes[i].path) == 0;
    ASK(listed, &routes[i]);
    ASK(routes[i].method == RM_GET || strcmp(routes[i].path, "/api/v1/agents") == 0, &routes[i]);
    n++;
  }
  assert_int_equal(n, COUNT_OF(open));
}

/* Polls and heartbeats write no audit row (decisions: Who is who). */
static void test_every_route_that_changes_something_has_an_audit_action(void **state)
{
  (void)state;
  for (size_t i = 0; i < route_count; i++) {
    const route_t *r = &routes[i];
    bool quiet = r->method == RM_GET || slice_ends(slice_str(r->path), S("/heartbeat"));
    ASK(quiet == (r->audit == NULL), r);
    ASK(!r->list || (r->out && r->method == RM_GET), r);
    ASK(!(r->method == RM_GET && r->body_max), r);
  }
}

static void test_limits_are_within_reason(void **state)
{
  (void)state;
  for (size_t i = 0; i < route_count; i++) {
    const route_t *r = &routes[i];
    ASK(r->body_max <= 1024 * 1024, r);
    /* A body is parsed into the same arena that holds it. */
    ASK(r->body_max == 0 || (r->arena_max ? r->arena_max : ROUTE_ARENA) >= 2 * r->body_max, r);
    ASK(r->queue < QC_COUNT, r);
  }
}

static void test_literal_wins_over_placeholder(void **state)
{
  (void)state;
  assert_string_equal(find(HTTP1_GET, "/api/v1/agents/retired").route->path, "/api/v1/agents/retired");
  found_t f = find(HTTP1_GET, "/api/v1/agents/retiree");
  assert_string_equal(f.route->path, "/api/v1/agents/{id}");
  assert_true(f.n == 1 && slice_is(f.param[0], "retiree"));
}

static void test_placeholders_in_order(void **state)
{
  (void)state;
  found_t f = find(HTTP1_POST, "/api/v1/agents/a-1/jobs/j-2/status");
  assert_true(f.n == 2 && slice_is(f.param[0], "a-1") && slice_is(f.param[1], "j-2"));
}

static void test_paths_and_methods_that_are_not_there(void **state)
{
  static const char *const none[] = {"/",
                                     "/api/v1",
                                     "/api/v1/teams/",
                                     "/api/v1/teams//",
                                     "/api/v1//teams",
                                     "/API/v1/teams",
                                     "/api/v1/teams/x/y",
                                     "/api/v1/teamsx",
                                     "api/v1/teams",
                                     "/api/v1/certificates/x/",
                                     ""};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(none); i++) {
    found_t f = find(HTTP1_GET, none[i]);
    if (f.route || f.status != 404) fail_msg("%s is found", none[i]);
  }
  found_t f = find(HTTP1_DELETE, "/api/v1/teams");
  assert_null(f.route);
  assert_int_equal(f.status, 405);
  assert_int_equal(f.allow, 1u << RM_GET | 1u << RM_POST);
  assert_null(find(HTTP1_PATCH, "/api/v1/teams").route);
  assert_non_null(find(HTTP1_HEAD, "/api/v1/teams").route);
}

static void test_openapi_says_what_the_table_says(void **state)
{
  arena_t *a = arena_new(64 * 1024 * 1024);
  buf_t b = buf_on(a, 4 * 1024 * 1024);
  json_doc_t doc;
  const json_t *paths = NULL, *item, *operation;
  err_t e = {0};
  (void)state;
  openapi_emit(&b);
  must(buf_rc(&b), NULL);
  must(json_parse_object(a, buf_slice(&b), &doc, &e), &e);
  must(json_get_object(doc.root, "paths", &paths, &e), &e);
  size_t operations = 0;
  static const char *const verbs[] = {"get", "post", "put", "delete"};
  json_iter_t it = {0};
  slice_t key;
  while (json_next(paths, &it, &key, &item)) operations += json_len(item);
  assert_int_equal(operations, route_count);
  for (size_t i = 0; i < route_count; i++) {
    item = operation = NULL;
    must(json_get_object(paths, routes[i].path, &item, &e), &e);
    must(json_get_object(item, verbs[routes[i].method], &operation, &e), &e);
    ASK(operation != NULL, &routes[i]);
    ASK(json_has(operation, "responses"), &routes[i]);
    const json_t *parameters = NULL;
    must(json_get_array(operation, "parameters", &parameters, &e), &e);
    for (const char *p = routes[i].path; (p = strchr(p, '{')) != NULL; p++) {
      bool named = false;
      for (size_t k = 0; k < json_len(parameters); k++) {
        slice_t name = S("");
        must(json_get_text(json_at(parameters, k), "name", &name, &e), &e);
        named = named || slice_eq(name, slice_of(p + 1, strcspn(p + 1, "}")));
      }
      ASK(named, &routes[i]);
    }
  }
  arena_free(a);
}

/* --- the document in detail; `at` walks objects by key, and fails where one is missing --- */

static const json_t *at(const json_t *o, const char *key)
{
  json_iter_t it = {0};
  slice_t k;
  const json_t *v;
  while (json_next(o, &it, &k, &v))
    if (slice_is(k, key)) return v;
  fail_msg("no %s", key);
  return NULL;
}

static bool text_is(const json_t *o, const char *key, const char *want)
{
  slice_t t = S("");
  must(json_get_text(o, key, &t, NULL), NULL);
  return slice_is(t, want);
}

static const json_t *document(arena_t *a)
{
  buf_t b = buf_on(a, 4 * 1024 * 1024);
  json_doc_t doc;
  openapi_emit(&b);
  must(buf_rc(&b), NULL);
  must(json_parse_object(a, buf_slice(&b), &doc, NULL), NULL);
  return doc.root;
}

static void check_schema_of(arena_t *a, const json_t *holder, const route_t *r, const resource_t *res, bool list)
{
  const json_t *schema = at(at(at(holder, "content"), "application/json"), "schema");
  ASK(json_has(schema, "properties") == list, r);
  if (list) {
    ASK(json_len(at(schema, "properties")) == 4, r);
    schema = at(at(at(schema, "properties"), "data"), "items");
  }
  ASK(text_is(schema, "$ref", arena_text(a, arena_printf(a, "#/components/schemas/%s", res->name))), r);
}

static size_t count_of(const char *s, char c)
{
  size_t n = 0;
  for (; *s; s++) n += *s == c;
  return n;
}

static void test_openapi_operations(void **state)
{
  arena_t *a = arena_new(64 * 1024 * 1024);
  const json_t *root = document(a);
  static const char *const verbs[] = {"get", "post", "put", "delete"};
  (void)state;
  for (size_t i = 0; i < route_count; i++) {
    const route_t *r = &routes[i];
    const json_t *o = at(at(at(root, "paths"), r->path), verbs[r->method]), *parameters = at(o, "parameters");
    size_t filters = 0;
    for (uint32_t k = 0; r->list && k < r->out->nfields; k++) filters += (r->out->fields[k].flags & FF_FILTER) != 0;
    ASK(json_len(parameters) == count_of(r->path, '{') + (r->list ? 2 + filters : 0), r);
    for (size_t k = 0; k < json_len(parameters); k++)
      ASK(json_has(json_at(parameters, k), "required") == text_is(json_at(parameters, k), "in", "path"), r);
    ASK((json_len(at(o, "security")) == 0) == (strcmp(r->perm, PERM_OPEN) == 0), r);
    ASK(json_has(o, "requestBody") == (r->in != NULL), r);
    if (r->in) check_schema_of(a, at(o, "requestBody"), r, r->in, false);
    bool makes = r->handler == rest_create || r->handler == certificates_create || r->handler == agents_register;
    char code[8];
    (void)snprintf(code, sizeof code, "%d", r->status ? r->status : r->method == RM_DELETE ? 204 : makes ? 201 : 200);
    ASK(json_len(at(o, "responses")) == 1, r);
    const json_t *reply = at(at(o, "responses"), code);
    ASK(json_has(reply, "content") == (r->out && r->method != RM_DELETE), r);
    if (json_has(reply, "content")) check_schema_of(a, reply, r, r->out, r->list);
  }
  arena_free(a);
}

#define ASKF(cond, r, f)                                                        \
  do {                                                                          \
    if (!(cond)) fail_msg("%s.%s: %s", (r)->name, (f) ? (f)->name : "", #cond); \
  } while (0)

static void check_property(const resource_t *r, const field_t *f, const json_t *p)
{
  static const char *const types[] = {
      [FT_TEXT] = "string", [FT_ENUM] = "string", [FT_INT] = "integer", [FT_BOOL] = "boolean",
      [FT_TIME] = "string", [FT_TEXTS] = "array", [FT_JSON] = ""};
  size_t values = 0;
  ASKF(text_is(p, "type", types[f->type]), r, f);
  ASKF(text_is(p, "format", f->type == FT_TIME ? "date-time" : ""), r, f);
  ASKF(json_has(p, "maxLength") == (f->type == FT_TEXT && f->max > 0), r, f);
  ASKF(json_has(p, "minimum") == (f->type == FT_INT && f->max > 0), r, f);
  ASKF(json_has(p, "maximum") == (f->type == FT_INT && f->max > 0), r, f);
  ASKF(json_has(p, "items") == (f->type == FT_TEXTS), r, f);
  ASKF(json_has(p, "readOnly") == ((f->flags & FF_READONLY) != 0), r, f);
  for (const char *const *v = f->values; v && *v; v++) values++;
  ASKF(json_has(p, "enum") ? json_len(at(p, "enum")) == values : values == 0, r, f);
}

static void test_openapi_schemas(void **state)
{
  arena_t *a = arena_new(64 * 1024 * 1024);
  const json_t *schemas = at(at(document(a), "components"), "schemas");
  size_t n = 0;
  (void)state;
  for (const resource_t *const *r = res_all; *r; r++, n++) {
    const json_t *schema = at(schemas, (*r)->name), *properties = at(schema, "properties");
    size_t shown = 0, required = 0;
    for (uint32_t k = 0; k < (*r)->nfields; k++) {
      const field_t *f = &(*r)->fields[k];
      required += (f->flags & FF_REQUIRED) != 0;
      ASKF(json_has(properties, f->name) == !(f->flags & FF_HIDDEN), *r, f);
      if (f->flags & FF_HIDDEN) continue;
      check_property(*r, f, at(properties, f->name));
      shown++;
    }
    ASKF(json_len(properties) == shown && json_len(at(schema, "required")) == required, *r, (const field_t *)NULL);
  }
  assert_int_equal(json_len(schemas), n);
  arena_free(a);
}

/* --- failures as statuses --- */

static void test_every_class_of_failure_has_its_status(void **state)
{
  static const struct {
    int32_t code;
    int status;
    const char *says;
  } v[] = {{RC_SYNTAX, 400, "name it"},         {RC_INVALID, 400, "name it"},
           {RC_FULL, 400, "name it"},           {RC_CRYPTO, 400, "name it"},
           {RC_NOTFOUND, 404, "name it"},       {RC_CONFLICT, 409, "name it"},
           {RC_DENIED, 403, "name it"},         {RC_GONE, 410, "name it"},
           {RC_NOMEM, 413, "more memory"},      {RC_AGAIN, 503, "name it"},
           {RC_TIMEOUT, 503, "name it"},        {RC_CLOSED, 503, "signer is restarting"},
           {RC_IO, 500, "nothing was changed"}, {RC_INTERNAL, 500, "nothing was changed"}};
  arena_t *a = arena_new(1 << 20);
  const http_request_t http = {.request_id = S("r-1")};
  request_t rq = {.http = &http, .route = &routes[0], .a = a};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(v) + 1; i++) {
    bool full = i == COUNT_OF(v); /* a store without room: nothing is broken, and it may pass */
    reply_t rp = {.headers = buf_on(a, 1024), .body = buf_on(a, 4096)};
    const err_t e = {.reason = "why", .text = "name it", .retry = full};
    int status = full ? 503 : v[i].status;
    must(reply_error(&rq, &rp, rc(full ? RC_IO : v[i].code), &e), NULL);
    const char *body = arena_text(a, buf_slice(&rp.body));
    if (rp.status != status || !strstr(body, full ? "name it" : v[i].says)) fail_msg("%zu: %d %s", i, rp.status, body);
    assert_int_equal(rp.headers.n > 0, status == 503);
  }
  arena_free(a);
}

static void test_refusals_are_logged_once_a_minute_each(void **state)
{
  denial_log_t *d = denial_log_new();
  us_t now = {INT64_C(1790000000) * US_PER_S / (60 * US_PER_S) * (60 * US_PER_S)};
  (void)state;
  assert_non_null(d);
  assert_true(denial_first(d, S("a"), "unknown", now));
  assert_false(denial_first(d, S("a"), "unknown", now));
  assert_true(denial_first(d, S("a"), "missing", now));
  assert_true(denial_first(d, S("b"), "unknown", now));
  assert_false(denial_first(d, S("a"), "unknown", us_add_s(now, 59)));
  assert_true(denial_first(d, S("a"), "unknown", us_add_s(now, 60)));
  assert_false(denial_first(d, S("a"), "unknown", us_add_s(now, 60)));
  denial_log_free(d);
  denial_log_free(NULL);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_route_is_found_by_its_own_path),
      cmocka_unit_test(test_every_route_has_a_permission_of_the_catalogue),
      cmocka_unit_test(test_open_routes_are_these),
      cmocka_unit_test(test_every_route_that_changes_something_has_an_audit_action),
      cmocka_unit_test(test_limits_are_within_reason),
      cmocka_unit_test(test_literal_wins_over_placeholder),
      cmocka_unit_test(test_placeholders_in_order),
      cmocka_unit_test(test_paths_and_methods_that_are_not_there),
      cmocka_unit_test(test_openapi_says_what_the_table_says),
      cmocka_unit_test(test_openapi_operations),
      cmocka_unit_test(test_openapi_schemas),
      cmocka_unit_test(test_every_class_of_failure_has_its_status),
      cmocka_unit_test(test_refusals_are_logged_once_a_minute_each),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
