/* What a resource adds to the five verbs: rules across fields, each at its limit. */
#include "app.h"

static char *text(app_world_t *f, slice_t s) { return arena_text(f->w.a, s); }

static void test_issuers(void **state)
{
  app_world_t *f = *state;
  app_want(f, 400, "POST", "/api/v1/issuers", "{\"name\":\"n\",\"type\":\"Pigeon\"}");
  app_holds(f, "GenericCA");
  app_want(f, 201, "POST", "/api/v1/issuers", "{\"id\":\"iss-n\",\"name\":\"n\",\"type\":\"genericca\"}");
  app_holds(f, "\"type\":\"GenericCA\"");
  app_holds(f, "\"source\":\"database\"");
  world_run(&f->w, "issuers", "update issuers set source = 'env' where id = 'iss-n'");
  app_want(f, 200, "PUT", "/api/v1/issuers/iss-n", "{\"name\":\"m\"}");
  app_holds(f, "\"source\":\"env\"");
}

#define NGINX                                                                        \
  "\"type\":\"nginx\",\"config\":{\"cert_path\":\"/tmp/a.crt\",\"key_path\":\"/tmp/" \
  "a.key\",\"validate_command\":\"nginx "                                            \
  "-t\",\"reload_command\":\"nginx -s reload\"}"

static void test_targets(void **state)
{
  app_world_t *f = *state;
  world_agent(&f->w, "agent-a", "a key");
  world_agent(&f->w, "agent-b", "b key");
  world_run(&f->w, "agents", "update agents set retired_at = 1 where id = 'agent-b'");
  app_want(f, 201, "POST", "/api/v1/targets", "{\"id\":\"tgt-n\",\"name\":\"n\",\"agent_id\":\"agent-a\"," NGINX "}");
  app_holds(f, "\"type\":\"NGINX\"");
  app_holds(f, "\"source\":\"database\"");
  assert_false(app_has(f, "retired_at"));
  app_want(f, 400, "POST", "/api/v1/targets", "{\"name\":\"m\",\"agent_id\":\"agent-none\"," NGINX "}");
  app_holds(f, "agent_id");
  app_want(f, 400, "POST", "/api/v1/targets", "{\"name\":\"m\",\"agent_id\":\"agent-b\"," NGINX "}");
  app_holds(f, "retired");
  app_want(f, 400, "POST", "/api/v1/targets", "{\"name\":\"m\",\"agent_id\":\"agent-a\",\"type\":\"Pigeon\"}");
  world_run(&f->w, "deployment_targets", "update deployment_targets set source = 'env', retired_at = 1000000");
  app_want(f, 200, "PUT", "/api/v1/targets/tgt-n", "{\"enabled\":false}");
  app_holds(f, "\"source\":\"env\"");
  app_holds(f, "\"retired_at\":\"1970-01-01T00:00:01Z\"");
}

static void test_key_algorithms_of_a_profile(void **state)
{
  static const struct {
    const char *rules;
    int status;
  } v[] = {{"[]", 201},
           {"{}", 400},
           {"[7]", 400},
           {"[[]]", 400},
           {"[{}]", 400},
           {"[{\"algorithm\":\"DSA\"}]", 400},
           {"[{\"algorithm\":\"RSA\",\"min_size\":2048}]", 201},
           {"[{\"algorithm\":\"RSA\",\"min_size\":2047}]", 400},
           {"[{\"algorithm\":\"RSA\",\"min_size\":16384}]", 201},
           {"[{\"algorithm\":\"RSA\",\"min_size\":16385}]", 400},
           {"[{\"algorithm\":\"ECDSA\",\"min_size\":256}]", 201},
           {"[{\"algorithm\":\"ECDSA\",\"min_size\":255}]", 400},
           {"[{\"algorithm\":\"ECDSA\"}]", 400},
           {"[{\"algorithm\":\"Ed25519\"}]", 201},
           {"[{\"algorithm\":\"Ed25519\",\"min_size\":-1}]", 400},
           {"[{\"algorithm\":\"Ed25519\"},{\"algorithm\":\"DSA\"}]", 400}};
  app_world_t *f = *state;
  for (size_t i = 0; i < COUNT_OF(v); i++)
    app_want(f, v[i].status, "POST", "/api/v1/profiles",
             text(f, arena_printf(f->w.a, "{\"name\":\"p%zu\",\"allowed_key_algorithms\":%s}", i, v[i].rules)));
}

static void test_usages_of_a_profile(void **state)
{
  app_world_t *f = *state;
  app_want(f, 201, "POST", "/api/v1/profiles",
           "{\"name\":\"a\",\"allowed_ekus\":[\"serverAuth\",\"clientAuth\",\"codeSigning\",\"emailProtection\","
           "\"timeStamping\"]}");
  app_want(f, 400, "POST", "/api/v1/profiles", "{\"name\":\"b\",\"allowed_ekus\":[\"serverAuth\",\"anything\"]}");
  app_holds(f, "allowed_ekus");
}

static void test_a_policys_id_is_made_of_its_name(void **state)
{
  static const char long_name[] = "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggghhhh";
  static const struct {
    const char *name, *id;
  } v[] = {{"AZaz09", "rp-azaz09"},
           {"@[`{/:x", "rp-x"},
           {"Prod & Test!", "rp-prod--test"},
           {"--x-", "rp-x"},
           {"!!!", "rp-policy"},
           {"- -", "rp-policy"},
           {long_name, "rp-aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggg"}};
  app_world_t *f = *state;
  for (size_t i = 0; i < COUNT_OF(v); i++) {
    app_want(f, 201, "POST", "/api/v1/renewal-policies", text(f, arena_printf(f->w.a, "{\"name\":\"%s\"}", v[i].name)));
    app_holds(f, text(f, arena_printf(f->w.a, "{\"id\":\"%s\",", v[i].id)));
    app_want(f, 200, "PUT", text(f, arena_printf(f->w.a, "/api/v1/renewal-policies/%s", v[i].id)),
             "{\"name\":\"renamed\"}");
    app_holds(f, v[i].id);
    app_want(f, 204, "DELETE", text(f, arena_printf(f->w.a, "/api/v1/renewal-policies/%s", v[i].id)), NULL);
  }
  app_want(f, 201, "POST", "/api/v1/renewal-policies", "{\"id\":\"mine\",\"name\":\"of the caller\"}");
  app_holds(f, "{\"id\":\"mine\",");
}

static void test_addresses_of_owners(void **state)
{
  static const struct {
    const char *email;
    int status;
  } v[] = {{"", 201}, {"a@b", 201}, {"@b", 400}, {"a@", 400}, {"ab", 400}, {"a@b@c", 400}, {"a@b@", 400}, {"a@@", 400}};
  app_world_t *f = *state;
  for (size_t i = 0; i < COUNT_OF(v); i++)
    app_want(
        f, v[i].status, "POST", "/api/v1/owners",
        text(f, arena_printf(f->w.a, "{\"name\":\"o%zu\",\"team_id\":\"t-data\",\"email\":\"%s\"}", i, v[i].email)));
}

int main(void)
{
#define WITH_APP(t) cmocka_unit_test_setup_teardown(t, app_setup, app_teardown)
  const struct CMUnitTest tests[] = {
      WITH_APP(test_issuers),
      WITH_APP(test_targets),
      WITH_APP(test_key_algorithms_of_a_profile),
      WITH_APP(test_usages_of_a_profile),
      WITH_APP(test_a_policys_id_is_made_of_its_name),
      WITH_APP(test_addresses_of_owners),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
