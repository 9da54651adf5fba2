#include "app.h"

#include "api/routes.h"
#include "core/setup.h"

#include <stdio.h>

static const conf_key_t keys[] = {{{(const uint8_t *)"root", 4}, {(const uint8_t *)"root-key", 8}, true},
                                  {{(const uint8_t *)"reader", 6}, {(const uint8_t *)"reader-key", 10}, false}};

int app_setup(void **state)
{
  static app_world_t f;
  err_t e = {0};
  world_open(&f.w);
  world_signer(&f.w);
  f.w.conf.keys = keys;
  f.w.conf.nkeys = COUNT_OF(keys);
  f.app = (app_t){.core = f.w.core};
  must(setup_store(&f.w.core, &e), &e);
  must(app_start(&f.app, &e), &e);
  f.http = app_http(&f.app);
  f.last = arena_new(64 * 1024 * 1024);
  assert_non_null(f.last);
  *state = &f;
  return 0;
}

int app_teardown(void **state)
{
  app_world_t *f = *state;
  arena_free(f->last);
  app_stop(&f->app);
  world_close(&f->w);
  return 0;
}

http_response_t app_ask(app_world_t *f, arena_t *a, const ask_t *q)
{
  char text[8192];
  http1_head_t head;
  http_plan_t plan = {0};
  http_response_t rp = {0};
  size_t scan = 0;
  err_t e = {0};
  const char *body = q->body ? q->body : "";
  int len = snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n%s%s%s%s\r\n", q->method,
                     q->path, strlen(body), q->key ? "Authorization: Bearer " : "", q->key ? q->key : "",
                     q->key ? "\r\n" : "", q->headers ? q->headers : "");
  must(http1_request(slice_of(text, (size_t)len), &scan, &head, &e), &e);
  f->http.plan(f->http.self, &head, &plan);
  if (plan.status) return (http_response_t){.status = plan.status};
  const http_request_t rq = {.head = &head,
                             .body = slice_str(body),
                             .remote_addr = S("127.0.0.1"),
                             .request_id = S("r-1"),
                             .route = plan.route,
                             .on_loop = q->on_loop,
                             .wait_over = q->wait_over,
                             .arena = a};
  assert_true(strlen(body) <= plan.body_max || plan.body_max == 0);
  arena_set_budget(a, q->budget ? q->budget : plan.arena_max);
  mem_fail_after(q->fail - 1);
  f->http.handle(f->http.self, &rq, &rp);
  mem_fail_after(-1);
  assert_true(rp.park || rp.elsewhere || (rp.status >= 200 && rp.status < 600));
  /* A success has the status that the OpenAPI document states; a deletion may have more to say. */
  const route_t *route = plan.route;
  if (rp.status / 100 == 2 && rp.status != route_success(route))
    assert_true(route->method == RM_DELETE && rp.status == 200);
  return rp;
}

int app_say(app_world_t *f, const ask_t *q)
{
  ARENA_SCOPED arena_t *a = arena_new(64 * 1024 * 1024);
  assert_non_null(a);
  http_response_t rp = app_ask(f, a, q);
  arena_reset(f->last);
  f->headers = arena_text(f->last, rp.headers);
  f->body = arena_text(f->last, rp.body);
  assert_true(f->headers && f->body);
  return rp.elsewhere || rp.park ? 0 : rp.status;
}

int app_do(app_world_t *f, const char *method, const char *path, const char *body)
{
  return app_say(f, &(ask_t){.method = method, .path = path, .key = "root-key", .body = body});
}

bool app_has(const app_world_t *f, const char *text) { return strstr(f->body, text) != NULL; }

void app_want(app_world_t *f, int status, const char *method, const char *path, const char *body)
{
  int is = app_do(f, method, path, body);
  if (is != status) fail_msg("%s %s %s: %d %s", method, path, body ? body : "", is, f->body);
}

void app_holds(const app_world_t *f, const char *text)
{
  if (!app_has(f, text)) fail_msg("no %s in %s", text, f->body);
}
