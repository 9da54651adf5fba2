/* The five verbs of every resource: identifiers, pages, filters, sorting, cursors, tags, what a refusal names. */
#include "app.h"

#include "wire/base64.h"

#include <stdio.h>

static char *text(app_world_t *f, slice_t s) { return arena_text(f->w.a, s); }

/* --- one row --- */

static void test_identifiers(void **state)
{
  static const char long_id[] =
      "iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii"
      "iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii";
  static const struct {
    const char *id;
    int status;
  } v[] = {{"a.b_c-D9", 201}, {"...", 201},      {"-", 201},        {".", 400},     {"..", 400},       {"a/b", 400},
           {"a b", 400},      {"\xc3\xa9", 400}, {"a\\u002b", 400}, {long_id, 400}, {long_id + 2, 201}};
  app_world_t *f = *state;
  _Static_assert(sizeof long_id - 1 == 130, "two more than an id may have");
  for (size_t i = 0; i < COUNT_OF(v); i++)
    app_want(f, v[i].status, "POST", "/api/v1/teams",
             text(f, arena_printf(f->w.a, "{\"id\":\"%s\",\"name\":\"n%zu\"}", v[i].id, i)));
  app_want(f, 400, "POST", "/api/v1/teams",
           text(f, arena_printf(f->w.a, "{\"id\":\"%s\",\"name\":\"n\"}", long_id + 1)));
  app_holds(f, "128 characters");
  app_want(f, 201, "POST", "/api/v1/teams", "{\"name\":\"made\"}");
  app_holds(f, "\"id\":\"team-");
}

static void test_a_change_touches_what_was_sent(void **state)
{
  app_world_t *f = *state;
  app_want(f, 201, "POST", "/api/v1/teams", "{\"id\":\"t-x\",\"name\":\"X\",\"description\":\"old\"}");
  int64_t made = world_number(&f->w, "select created_at from teams where id = 't-x'");
  assert_int_equal(made, f->w.now.us);
  f->w.now = us_add_s(f->w.now, 5);
  app_want(f, 200, "PUT", "/api/v1/teams/t-x", "{\"id\":\"t-other\",\"description\":\"new\"}");
  app_holds(f, "\"id\":\"t-x\"");
  app_holds(f, "\"name\":\"X\"");
  assert_int_equal(world_number(&f->w, "select created_at from teams where id = 't-x' and description = 'new'"), made);
  assert_int_equal(world_number(&f->w, "select updated_at from teams where id = 't-x'"), f->w.now.us);
  assert_true(slice_is(world_text(&f->w, "select details from audit_events where action = 'update_team'"),
                       "{\"changes\":\"description\"}"));
  app_want(f, 200, "PUT", "/api/v1/teams/t-x", "{\"name\":\"Y\",\"description\":\"newer\"}");
  assert_int_equal(world_number(&f->w, "select count(*) from audit_events where details like '%name,description%'"), 1);
  app_want(f, 400, "PUT", "/api/v1/teams/t-x", "{\"name\":\"\"}");
  app_want(f, 404, "PUT", "/api/v1/teams/t-none", "{\"name\":\"Z\"}");
  app_holds(f, "Team not found");
}

static void test_a_refusal_names_what_is_at_fault(void **state)
{
#define ROW "\"common_name\":\"a.test\",\"renewal_policy_id\":\"rp-standard\""
  static const struct {
    const char *path, *body, *says;
    int status;
  } v[] = {
      {"teams", "{\"id\":\"t-platform\",\"name\":\"N\"}", "Team with this id already exists", 409},
      {"teams", "{\"name\":\"Platform\"}", "Team with this name already exists", 409},
      {"owners", "{\"name\":\"N\",\"team_id\":\"t-none\"}", "team_id", 400},
      {"certificates",
       "{\"name\":\"N\",\"owner_id\":\"o-none\",\"team_id\":\"t-data\",\"issuer_id\":\"iss-local\"," ROW "}",
       "owner_id", 400},
      {"certificates",
       "{\"name\":\"N\",\"owner_id\":\"o-bob\",\"team_id\":\"t-data\",\"issuer_id\":\"iss-none\"," ROW "}", "issuer_id",
       400},
      {"certificates",
       "{\"name\":\"N\",\"owner_id\":\"o-bob\",\"team_id\":\"t-data\",\"issuer_id\":\"iss-local\"," ROW
       ",\"certificate_profile_id\":\"prof-none\"}",
       "certificate_profile_id", 400},
  };
#undef ROW
  app_world_t *f = *state;
  for (size_t i = 0; i < COUNT_OF(v); i++) {
    app_want(f, v[i].status, "POST", text(f, arena_printf(f->w.a, "/api/v1/%s", v[i].path)), v[i].body);
    app_holds(f, v[i].says);
    app_holds(f, v[i].status == 400 ? "does not exist" : "exists");
  }
}

static void test_what_is_in_use_is_not_deleted(void **state)
{
  app_world_t *f = *state;
  app_want(f, 409, "DELETE", "/api/v1/teams/t-data", NULL);
  app_holds(f, "Cannot delete team");
  app_want(f, 204, "DELETE", "/api/v1/profiles/prof-smime", NULL);
  app_want(f, 404, "DELETE", "/api/v1/profiles/prof-smime", NULL);
}

/* --- lists --- */

static void test_pages(void **state)
{
  static const struct {
    const char *query, *says;
  } v[] = {{"", "\"page\":1,\"per_page\":50"},
           {"?page=0", "\"page\":1,"},
           {"?page=2", "\"page\":2,"},
           {"?page=2147483647", "\"page\":2147483647,"},
           {"?page=2147483648", "\"page\":1,"},
           {"?page=x", "\"page\":1,"},
           {"?per_page=0", "\"per_page\":50"},
           {"?per_page=1", "\"per_page\":1}"},
           {"?per_page=500", "\"per_page\":500}"},
           {"?per_page=501", "\"per_page\":50}"},
           {"?page_size=7", "\"per_page\":50}"}, /* a word of the certificate list */
           {"?cursor=nonsense", "\"total\":6"}};
  app_world_t *f = *state;
  for (size_t i = 0; i < COUNT_OF(v); i++) {
    app_want(f, 200, "GET", text(f, arena_printf(f->w.a, "/api/v1/teams%s", v[i].query)), NULL);
    app_holds(f, v[i].says);
    assert_false(app_has(f, "next_cursor"));
  }
}

static void test_filters_and_fields(void **state)
{
  static const struct {
    const char *query, *says;
  } v[] = {{"issuers?enabled=true", "\"total\":1"},
           {"issuers?enabled=false", "\"total\":0"},
           {"issuers?enabled=maybe", "\"total\":1"}, /* cannot be a value of it: ignored */
           {"issuers?enabled=", "\"total\":1"},
           {"issuers?type=GenericCA", "\"total\":1"},
           {"issuers?type=genericca", "\"total\":0"},
           {"agents?status=online", "\"total\":1"},
           {"agents?status=Offline", "\"total\":0"},
           {"agents?instance=x", "\"total\":1"}, /* no filter */
           {"owners?team_id=t-data&name=Eve", "\"total\":1"},
           {"owners?team_id=t-data&name=Bob", "\"total\":0"},
           {"teams?fields=name,nothing&per_page=1&sort=name", "{\"data\":[{\"name\":\"Data\"}]"},
           {"teams?fields=id&per_page=1&sort=name", "{\"data\":[{\"id\":\"t-data\"}]"},
           {"teams?fields=name,%20id&per_page=1&sort=name", "{\"data\":[{\"id\":\"t-data\",\"name\":\"Data\"}]"},
           {"teams?fields=nothing&per_page=1", "{\"data\":[{}]"},
           {"teams?fields=&per_page=1", "\"description\":"},
           {"agents?fields=api_key_hash", "{\"data\":[{}]"}};
  app_world_t *f = *state;
  world_agent(&f->w, "agent-a", "agent-key");
  for (size_t i = 0; i < COUNT_OF(v); i++) {
    app_want(f, 200, "GET", text(f, arena_printf(f->w.a, "/api/v1/%s", v[i].query)), NULL);
    app_holds(f, v[i].says);
  }
}

static void test_sorting(void **state)
{
  static const struct {
    const char *query, *first;
  } v[] = {{"teams?sort=name", "t-data"},
           {"teams?sort=-name", "t-security"},
           {"teams?sort=name&sort_desc=true", "t-security"},
           {"teams?sort=name&sort_desc=false", "t-data"},
           {"owners?sort=name", "o-alice"},
           {"certificates?sort=commonName", "mc-2"},
           {"certificates?sort=common_name", "mc-2"},
           {"certificates?sort=-commonName", "mc-1"},
           {"certificates?sort=notAfter", "mc-3"},
           {"certificates?sort=-notAfter", "mc-2"},
           {"certificates?sort=owner_id", "mc-1"}, /* not one to sort by: as made */
           {"certificates?sort=nothing", "mc-1"},
           {"certificates?sort=-", "mc-1"},
           {"certificates?sort=", "mc-1"},
           {"certificates?sort=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "mc-1"}};
  app_world_t *f = *state;
  static const char *const names[] = {"c.test", "a.test", "b.test"};
  static const int days[] = {2, 3, 1};
  for (int i = 0; i < 3; i++) {
    certificate_t c = world_certificate(&f->w, text(f, arena_printf(f->w.a, "mc-%d", i + 1)), names[i]);
    c.expires_at = us_add_s(f->w.now, days[i] * 86400);
    c.created_at = us_add_s(f->w.now, i);
    c.owner_id = i == 1 ? S("o-alice") : S("o-bob");
    world_put(&f->w, &res_certificate, &c);
  }
  for (size_t i = 0; i < COUNT_OF(v); i++) {
    app_want(f, 200, "GET", text(f, arena_printf(f->w.a, "/api/v1/%s", v[i].query)), NULL);
    const char *want = text(f, arena_printf(f->w.a, "{\"data\":[{\"id\":\"%s\"", v[i].first));
    if (strncmp(f->body, want, strlen(want)) != 0) fail_msg("%s: %s", v[i].query, f->body);
  }
}

/* --- cursors --- */

static const char *cursor_of(app_world_t *f, const char *plain)
{
  buf_t b = buf_on(f->w.a, 1024);
  base64_encode(&b, BASE64_URL, slice_str(plain));
  return text(f, buf_slice(&b));
}

static const char *next_cursor(app_world_t *f)
{
  static const char key[] = "\"next_cursor\":\"";
  const char *at = strstr(f->body, key);
  if (!at) return NULL;
  at += sizeof key - 1;
  return text(f, slice_of(at, strcspn(at, "\"")));
}

static const char *certificates(app_world_t *f, const char *query, const char *cursor)
{
  app_want(f, 200, "GET",
           text(f, arena_printf(f->w.a, "/api/v1/certificates?fields=id&%s%s%s", query, cursor ? "&cursor=" : "",
                                cursor ? cursor : "")),
           NULL);
  return next_cursor(f);
}

static void test_cursors_walk_the_certificates(void **state)
{
  app_world_t *f = *state;
  assert_null(certificates(f, "per_page=2", NULL));
  for (int i = 0; i < 5; i++) {
    certificate_t c = world_certificate(&f->w, text(f, arena_printf(f->w.a, "mc-%d", i)), "www.example.test");
    world_put(&f->w, &res_certificate, &c);
  }
  assert_null(certificates(f, "per_page=5", NULL)); /* all of them */
  assert_null(certificates(f, "per_page=6", NULL));
  assert_null(certificates(f, "per_page=2&page=3", NULL));
  assert_non_null(certificates(f, "per_page=2&page=2", NULL));
  assert_null(certificates(f, "per_page=2&sort=name", NULL)); /* in the order of creation alone */
  const char *cursor = certificates(f, "page_size=2", NULL);
  app_holds(f, "[{\"id\":\"mc-0\"},{\"id\":\"mc-1\"}]");
  assert_non_null(cursor);
  cursor = certificates(f, "page_size=2", cursor);
  app_holds(f, "[{\"id\":\"mc-2\"},{\"id\":\"mc-3\"}]");
  app_holds(f, "\"page_size\":2}");
  assert_non_null(cursor);
  cursor = certificates(f, "page_size=2", cursor);
  app_holds(f, "[{\"id\":\"mc-4\"}]");
  assert_null(cursor);
}

static void test_cursors_that_are_none(void **state)
{
  static const struct {
    const char *plain;
    int status;
  } v[] = {{"2026-01-01T00:00:00Z:x", 200},
           {"2026-01-01T00:00:00Z:", 400},
           {"2026-01-01T00:00:00Z", 400},
           {"2026-01-01T00:00:00Zx:y", 400},
           {"2026-01-01T00:00:00:x", 400},
           {"2026-13-01T00:00:00Z:x", 400},
           {"Z:x", 400},
           {"", 400}};
  app_world_t *f = *state;
  for (size_t i = 0; i < COUNT_OF(v); i++) {
    const char *token = v[i].plain[0] ? cursor_of(f, v[i].plain) : "***";
    app_want(f, v[i].status, "GET", text(f, arena_printf(f->w.a, "/api/v1/certificates?cursor=%s", token)), NULL);
    app_want(f, 200, "GET", text(f, arena_printf(f->w.a, "/api/v1/certificates?sort=name&cursor=%s", token)), NULL);
  }
}

/* --- tags --- */

static const char *tag_of(app_world_t *f, const char *path, const char *key)
{
  assert_int_equal(app_say(f, &(ask_t){.method = "GET", .path = path, .key = key}), 200);
  const char *at = strstr(f->headers, "ETag: ");
  assert_non_null(at);
  return text(f, slice_of(at + 6, 66));
}

/* GET with If-None-Match; `form` has the tag in place of "@". */
static int with_tag(app_world_t *f, const ask_t *q, const char *form, const char *tag)
{
  slice_t rest = slice_str(form), left;
  ask_t with = *q;
  bool has = strchr(form, '@') != NULL;
  (void)slice_split(&rest, '@', &left);
  with.headers = text(
      f, arena_printf(f->w.a, "If-None-Match: %.*s%s%.*s\r\n", SLICE_ARG(left), has ? tag : "", SLICE_ARG(rest)));
  return app_say(f, &with);
}

static void test_an_unchanged_list_is_304(void **state)
{
  static const struct {
    const char *form;
    int status;
  } v[] = {{"@", 304}, {"W/@", 304}, {"\"x\", @", 304}, {"@,\"x\"", 304}, {"*", 304}, {"\"x\"", 200}, {"W/\"x\"", 200}};
  app_world_t *f = *state;
  const ask_t q = {.method = "GET", .path = "/api/v1/teams", .key = "root-key"};
  const char *tag = tag_of(f, q.path, q.key);
  for (size_t i = 0; i < COUNT_OF(v); i++) {
    int status = with_tag(f, &q, v[i].form, tag);
    if (status != v[i].status) fail_msg("%s: %d", v[i].form, status);
    assert_int_equal(f->body[0] == 0, status == 304);
    assert_int_equal(strstr(f->headers, "Content-Type") == NULL, status == 304);
    assert_non_null(strstr(f->headers, tag));
  }
  assert_int_equal(with_tag(f, &(ask_t){.method = "GET", .path = q.path}, "@", tag), 401);
  app_want(f, 201, "POST", "/api/v1/teams", "{\"name\":\"another\"}");
  assert_int_equal(with_tag(f, &q, "@", tag), 200);
}

static void test_a_tag_is_of_one_list_for_one_caller(void **state)
{
  app_world_t *f = *state;
  const char *tag = tag_of(f, "/api/v1/teams", "root-key");
  assert_string_not_equal(tag, tag_of(f, "/api/v1/teams", "reader-key"));
  assert_string_not_equal(tag, tag_of(f, "/api/v1/teams?page=2", "root-key"));
  assert_string_not_equal(tag, tag_of(f, "/api/v1/owners", "root-key"));
  assert_string_equal(tag, tag_of(f, "/api/v1/teams", "root-key"));
}

/* The targets of a certificate stand in another table. */
static void test_a_mapping_changes_the_tag_of_the_certificates(void **state)
{
  app_world_t *f = *state;
  certificate_t c = world_certificate(&f->w, "mc-1", "www.example.test");
  world_agent(&f->w, "agent-a", "agent-key");
  world_target(&f->w, "tgt-a", "agent-a");
  world_put(&f->w, &res_certificate, &c);
  const char *tag = tag_of(f, "/api/v1/certificates", "root-key");
  app_want(f, 204, "PUT", "/api/v1/certificates/mc-1/targets/tgt-a", NULL);
  assert_string_not_equal(tag, tag_of(f, "/api/v1/certificates", "root-key"));
}

/* --- on the loop, where only memory is asked; 0: a worker is to answer --- */

static void test_what_the_loop_answers_itself(void **state)
{
  app_world_t *f = *state;
  ask_t q = {.method = "GET", .path = "/api/v1/teams", .key = "root-key", .on_loop = true};
  assert_int_equal(with_tag(f, &q, "*", ""), 0); /* nobody is known yet */
  const char *tag = tag_of(f, q.path, q.key);
  assert_int_equal(with_tag(f, &q, "@", tag), 304);
  assert_int_equal(with_tag(f, &q, "\"x\"", tag), 0);
  q.key = "nobody";
  assert_int_equal(with_tag(f, &q, "@", tag), 0);
  q.key = NULL;
  assert_int_equal(with_tag(f, &q, "@", tag), 0);
  assert_int_equal(
      app_say(f, &(ask_t){.method = "GET", .path = "/api/v1/auth/me", .key = "reader-key", .on_loop = true}), 200);
  assert_int_equal(app_say(f, &(ask_t){.method = "GET", .path = "/health", .on_loop = true}), 200);
  app_want(f, 200, "GET", "/api/v1/metrics", NULL);
  uint64_t answered = atomic_load(&f->app.requests);
  assert_int_equal(with_tag(f, &q, "@", tag), 0);
  assert_int_equal(atomic_load(&f->app.requests), answered); /* counted where it is answered */
  world_agent(&f->w, "agent-a", "agent-key");
  world_run(&f->w, "api_keys", "update api_keys set name = name");
  app_want(f, 200, "GET", "/api/v1/teams", NULL);
  q.key = "agent-key"; /* known, but has no business there: a refusal is audited by a worker */
  assert_int_equal(with_tag(f, &q, "*", ""), 0);
}

int main(void)
{
#define WITH_APP(t) cmocka_unit_test_setup_teardown(t, app_setup, app_teardown)
  const struct CMUnitTest tests[] = {
      WITH_APP(test_identifiers),
      WITH_APP(test_a_change_touches_what_was_sent),
      WITH_APP(test_a_refusal_names_what_is_at_fault),
      WITH_APP(test_what_is_in_use_is_not_deleted),
      WITH_APP(test_pages),
      WITH_APP(test_filters_and_fields),
      WITH_APP(test_sorting),
      WITH_APP(test_cursors_walk_the_certificates),
      WITH_APP(test_cursors_that_are_none),
      WITH_APP(test_an_unchanged_list_is_304),
      WITH_APP(test_a_tag_is_of_one_list_for_one_caller),
      WITH_APP(test_a_mapping_changes_the_tag_of_the_certificates),
      WITH_APP(test_what_the_loop_answers_itself),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
