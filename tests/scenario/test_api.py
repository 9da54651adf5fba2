"""The API of a running server: resources, bad input, who may do what, audit, jobs."""
import base64
import json
import re
import subprocess
import threading
import time

import pytest

from stack import ROOT, Server, make_csr, no_sanitizer_report


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    s = Server(tmp_path_factory.mktemp("api")).start()
    s.common = s.parents()
    yield s
    assert s.stop() == 0
    no_sanitizer_report(s.log())


RESOURCES = {
    "teams": ({"name": "Team A"}, {"description": "of people"}),
    "owners": ({"name": "Owner A", "email": "a@example.test", "team_id": "t-test"}, {"email": "b@example.test"}),
    "issuers": ({"name": "Issuer A", "type": "GenericCA", "config": {"validity_days": 30}}, {"config": {"validity_days": 7}, "enabled": False}),
    "profiles": ({"name": "Profile A", "max_ttl_seconds": 86400}, {"max_ttl_seconds": 3600, "must_staple": True}),
    "renewal-policies": ({"name": "Policy A", "renewal_window_days": 20}, {"max_retries": 5}),
}


@pytest.mark.parametrize("path", RESOURCES)
def test_create_read_update_list_delete(server, path):
    body, change = RESOURCES[path]
    row = server.made(f"/{path}", body)
    assert row["id"] and row["created_at"].endswith("Z")
    for k, v in body.items():
        assert row[k] == v
    assert server.get(f"/{path}/{row['id']}").json == row
    r = server.put(f"/{path}/{row['id']}", change)
    assert r.status == 200, r
    for k, v in {**body, **change}.items():
        assert r.json[k] == v
    assert r.json["updated_at"] > row["updated_at"] and r.json["created_at"] == row["created_at"]
    page = server.get(f"/{path}?per_page=500").json
    assert row["id"] in [x["id"] for x in page["data"]] and page["total"] >= 1 and page["page"] == 1 and page["per_page"] == 500
    again = server.post(f"/{path}", body)
    assert again.status == (409 if path != "owners" else 201), again
    assert server.delete(f"/{path}/{row['id']}").status == 204
    assert server.get(f"/{path}/{row['id']}").status == 404
    assert server.delete(f"/{path}/{row['id']}").status == 404
    assert server.put(f"/{path}/{row['id']}", change).status == 404


def test_mutations_write_their_audit_row_and_reads_none(server):
    row = server.made("/teams", {"name": "Audited"})
    before = server.get("/audit").json["total"]
    server.get("/teams")
    server.get(f"/teams/{row['id']}")
    assert server.get("/audit").json["total"] == before
    server.put(f"/teams/{row['id']}", {"description": "x"})
    server.delete(f"/teams/{row['id']}")
    mine = server.get(f"/audit?resource_id={row['id']}").json["data"]
    assert [x["action"] for x in mine] == ["delete_team", "update_team", "create_team"]
    assert all(x["actor"] == "root" and x["actor_type"] == "APIKey" and x["resource_type"] == "team" for x in mine)
    assert mine[1]["details"] == {"changes": "description"}
    one = server.get(f"/audit/{mine[0]['id']}").json
    assert one == mine[0]


def test_refused_mutations_write_no_audit_row(server):
    before = server.get("/audit?category=config").json["total"]
    assert server.post("/teams", {"name": ""}).status == 400
    assert server.post("/owners", {"name": "x", "team_id": "t-none"}).status == 400
    assert server.get("/audit?category=config").json["total"] == before


BAD_BODIES = {
    "malformed": b'{"name": ',
    "oversized": b'{"name":"' + b"x" * (2 << 20) + b'"}',
    "duplicate key": b'{"name":"a","name":"b"}',
    "deep": b'{"name":' + b"[" * 40 + b"]" * 40 + b"}",
    "not UTF-8": b'{"name":"\xff\xfe"}',
    "trailing bytes": b'{"name":"a"} x',
    "wrong type": b'{"name":7}',
    "array": b"[]",
    "lone surrogate": b'{"name":"\\ud800"}',
    "NUL": b'{"name":"a\\u0000b"}',
    "too long": json.dumps({"name": "n" * 256}).encode(),
    "missing": b"{}",
    "null": b'{"name":null}',
    "many tokens": b'{"name":[' + b"1," * 70000 + b"1]}",
}


@pytest.mark.parametrize("what", BAD_BODIES)
def test_bad_json(server, what):
    r = server.post("/teams", raw=BAD_BODIES[what])
    assert r.status == (413 if what == "oversized" else 400), r
    if r.status == 400:
        body = r.json
        assert body["error"] == "Bad Request" and body["message"] and body["request_id"] == r.headers["X-Request-ID"]
    if what in ("wrong type", "too long", "missing", "null"):
        assert "name" in r.json["message"], r
    if what == "too long":
        assert "255" in r.json["message"], r
    assert server.get("/teams").status == 200


@pytest.mark.parametrize("body,field", [
    ({"owner_id": "o-none"}, "owner_id"), ({"team_id": "t-none"}, "team_id"), ({"issuer_id": "iss-none"}, "issuer_id"),
    ({"renewal_policy_id": "rp-none"}, "renewal_policy_id"), ({"certificate_profile_id": "prof-none"}, "certificate_profile_id"),
    ({"target_ids": ["tgt-none"]}, "target_ids")])
def test_unknown_reference(server, body, field):
    r = server.post("/certificates", {**server.common, "name": "ref", "common_name": "ref.test", **body})
    assert r.status == 400 and field in r.json["message"], r


@pytest.mark.parametrize("name", [
    "a..b", "-a.test", "a-.test", "under_score.test", "*.*.test", "a.*.test", "*", "x" * 64 + ".test", "a" * 254, "caf\u00e9.test", "a b.test",
    "xn--\u00fc.test", "xn--0.test", "1.2.3", "a@", "@b.test", "spiffe//x"])
def test_names_that_are_no_names(server, name):
    r = server.post("/certificates", {**server.common, "name": "bad", "common_name": name})
    assert r.status == 400 and "common_name" in r.json["message"], r
    r = server.post("/certificates", {**server.common, "name": "bad", "common_name": "ok.test", "sans": [name]})
    assert r.status == 400 and "sans" in r.json["message"], r


@pytest.mark.parametrize("name", ["a.test", "*.a.test", "intranet", "192.0.2.1", "2001:db8::1", "o@example.test", "spiffe://example.test/x", "A.TEST.", "xn--bcher-kva.test"])
def test_names_that_are_names(server, name):
    row = server.made("/certificates", {**server.common, "name": "ok " + name, "common_name": "ok.test", "sans": [name]})
    assert row["sans"] == [name] and row["status"] == "Pending" and row["expires_at"] == "0001-01-01T00:00:00Z"


def test_credentials_missing_wrong_foreign(server):
    r = server.get("/certificates", key=None)
    assert r.status == 401 and r.json == {"error": "Authorization header required"} and r.headers["WWW-Authenticate"]
    r = server.get("/certificates", key=None, headers={"Authorization": "Basic eA=="})
    assert r.status == 401 and r.json["error"].startswith("Invalid Authorization header format")
    r = server.get("/certificates", key="wrong")
    assert r.status == 401 and r.json == {"error": "Invalid API key"}
    r = server.post("/teams", {"name": "x"}, key="reader-key-for-tests")
    assert r.status == 403 and r.json == {"error": "Insufficient permissions"}
    assert server.get("/teams", key="reader-key-for-tests").status == 200
    denied = server.get("/audit?action=auth.denied&per_page=500").json
    assert denied["total"] >= 3
    server.get("/certificates", key="wrong")
    assert server.get("/audit?action=auth.denied&per_page=500").json["total"] <= denied["total"] + 1  # a new minute at most


def test_a_second_agent_cannot_speak_for_the_first(server):
    a, b = server.agent("speaker-a"), server.agent("speaker-b")
    mine = f"/agents/{a['id']}"
    assert server.post(mine + "/heartbeat", key=a["api_key"]).status == 200
    for method, path, body in [("POST", "/heartbeat", {}), ("GET", "/work", None), ("POST", "/csr", {"csr_pem": "x"}),
                               ("GET", "/certificates/mc-x", None), ("POST", "/jobs/job-x/status", {"status": "Running"})]:
        r = server.call(method, "/api/v1" + mine + path, body, key=b["api_key"])
        assert r.status == 403, (path, r)
    assert server.post("/teams", {"name": "agents may not"}, key=a["api_key"]).status == 403


def test_agent_key_is_shown_once_and_kept_as_hash(server):
    a = server.agent("shown-once")
    assert "api_key" not in server.get(f"/agents/{a['id']}").json
    db = (server.state / "certctl.db").read_bytes() + (server.state / "certctl.db-wal").read_bytes()
    assert a["api_key"].encode() not in db


def test_idle_agent_is_retired_without_force(server):
    a = server.agent("idle")
    r = server.delete(f"/agents/{a['id']}")
    assert r.status == 200 and r.json["cascade"] is False
    assert set(r.json["counts"].values()) == {0}
    assert server.get(f"/agents/{a['id']}/work", key=a["api_key"]).status == 410


def test_retire_agent(server):
    a = server.agent("to-retire")
    t = server.made("/targets", {"name": "t", "type": "NGINX", "agent_id": a["id"], "config": NGINX})
    c = server.made("/certificates", {**server.common, "name": "retiring", "common_name": "r.test", "target_ids": [t["id"]]})
    r = server.delete(f"/agents/{a['id']}")
    assert r.status == 409 and r.json["error"] == "blocked_by_dependencies"
    assert r.json["counts"] == {"active_targets": 1, "active_certificates": 1, "pending_jobs": 1}
    assert server.delete(f"/agents/{a['id']}?force=true").status == 400
    r = server.delete(f"/agents/{a['id']}?force=true&reason=old")
    assert r.status == 200 and r.json["cascade"] is True
    assert server.delete(f"/agents/{a['id']}?force=true&reason=old").status == 204
    assert server.post(f"/agents/{a['id']}/heartbeat", key=a["api_key"]).status == 410
    assert server.get(f"/agents/{a['id']}/work", key=a["api_key"]).status == 410
    assert a["id"] in [x["id"] for x in server.get("/agents/retired").json["data"]]
    assert a["id"] not in [x["id"] for x in server.get("/agents?per_page=500").json["data"]]
    assert server.get(f"/targets/{t['id']}").json["retired_reason"] == "old"
    job = server.get(f"/jobs?certificate_id={c['id']}").json["data"][0]
    assert job["status"] == "Cancelled" and job["last_error"] == "agent was retired"
    assert server.post("/targets", {"name": "t2", "type": "NGINX", "agent_id": a["id"], "config": NGINX}).status == 400


NGINX = {"cert_path": "/tmp/site.crt", "key_path": "/tmp/site.key", "validate_command": "nginx -t", "reload_command": "nginx -s reload"}


@pytest.mark.parametrize("config,word", [
    ({}, "cert_path"), ({**NGINX, "reload_command": "a; b"}, "reload_command"), ({**NGINX, "cert_path": 7}, "cert_path"), ({**NGINX, "validate_command": ""}, "validate_command")])
def test_target_configuration_is_checked_at_write(server, config, word):
    a = server.get("/agents").json["data"][0]
    r = server.post("/targets", {"name": "bad", "type": "nginx", "agent_id": a["id"], "config": config})
    assert r.status == 400 and word in r.json["message"], r
    assert server.post("/targets", {"name": "bad", "type": "Pigeon", "agent_id": a["id"], "config": NGINX}).status == 400


def test_in_use_is_not_deleted(server):
    server.made("/profiles", {"id": "prof-used", "name": "used"})
    server.made("/certificates", {**server.common, "name": "in use", "common_name": "in-use.test", "certificate_profile_id": "prof-used"})
    for path in ("profiles/prof-used", "teams/t-test", "owners/o-test", "issuers/iss-local", "renewal-policies/rp-default"):
        assert server.delete("/" + path).status == 409, path


def test_methods_paths_probes(server):
    assert server.get("/nothing").status == 404
    r = server.call("PATCH", "/api/v1/teams", {})
    assert r.status == 405 and r.headers["Allow"] == "GET, POST"
    assert server.delete("/audit/audit-1").status == 405
    assert server.call("HEAD", "/health").status == 200
    assert server.call("GET", "/health", key=None).json == {"status": "healthy"}
    assert server.call("GET", "/healthz", key=None).status == 200
    assert server.call("GET", "/ready", key=None).json["status"] == "ready"
    assert server.get("/version", key=None).json["version"]
    assert server.get("/auth/info", key=None).json["auth_type"] == "api-key"
    me = server.get("/auth/me").json
    assert me["admin"] is True and me["roles"] == ["r-admin"] and len(me["effective_permissions"]) == 82
    assert server.get("/auth/check", key="reader-key-for-tests").json["admin_via_role"] is False
    assert server.get("/metrics").json["gauge"]["certificate_total"] >= 1
    assert server.get("/stats/summary").json["total_certificates"] >= 1


def test_security_headers(server):
    r = server.get("/teams")
    for h in ("Strict-Transport-Security", "X-Frame-Options", "X-Content-Type-Options", "Referrer-Policy", "Content-Security-Policy", "Permissions-Policy"):
        assert r.headers[h], h


def test_list_etag(server):
    r = server.get("/teams")
    tag = r.headers["ETag"]
    same = server.get("/teams", headers={"If-None-Match": tag})
    assert same.status == 304 and same.body == b"" and same.headers["ETag"] == tag and same.headers["Content-Type"] is None
    assert server.get("/teams", headers={"If-None-Match": '"x", W/' + tag}).status == 304
    assert server.get("/teams", headers={"If-None-Match": "*"}).status == 304
    server.made("/teams", {"name": "New tag"})
    changed = server.get("/teams", headers={"If-None-Match": tag})
    assert changed.status == 200 and changed.headers["ETag"] != tag
    assert server.get("/teams", headers={"If-None-Match": tag}, key="wrong").status == 401


def test_foreign_writer_changes_the_tag(server):
    tag = server.get("/teams").headers["ETag"]
    subprocess.run(["sqlite3", server.state / "certctl.db", ".timeout 5000", "insert into teams (id, name) values ('t-foreign', 'Foreign')"], check=True)
    r = server.get("/teams", headers={"If-None-Match": tag})
    assert r.status == 200 and "t-foreign" in [x["id"] for x in r.json["data"]]


def test_pages_sort_filters_fields_cursor(server):
    for i in range(7):
        server.made("/certificates", {**server.common, "id": f"mc-page-{i}", "name": f"page {i}", "common_name": f"p{6 - i}.test", "environment": "paging"})
    q = "/certificates?environment=paging"
    assert [x["id"] for x in server.get(q).json["data"]] == [f"mc-page-{i}" for i in range(7)]
    p = server.get(q + "&page=3&per_page=3").json
    assert [x["id"] for x in p["data"]] == ["mc-page-6"] and p["total"] == 7
    assert server.get(q + "&page=9&per_page=3").json["data"] == []
    assert server.get(q + "&per_page=9999").json["per_page"] == 50
    assert [x["common_name"] for x in server.get(q + "&sort=commonName").json["data"]][0] == "p0.test"
    assert [x["common_name"] for x in server.get(q + "&sort=-commonName").json["data"]][0] == "p6.test"
    assert server.get(q + "&fields=id,name").json["data"][0].keys() == {"id", "name"}
    first = server.get(q + "&per_page=3").json
    seen, cursor = [x["id"] for x in first["data"]], first["next_cursor"]
    while cursor:
        page = server.get(f"{q}&page_size=3&cursor={cursor}").json
        seen += [x["id"] for x in page["data"]]
        cursor = page.get("next_cursor")
    assert seen == [f"mc-page-{i}" for i in range(7)]
    assert server.get(q + "&status=pending").json["total"] == 7
    assert server.get(q + "&status=Active").json["total"] == 0


def test_search_signs_are_literal(server):
    names = ["a_b", "axb", "50%", "50x", "back\\slash", "\u00e9", "e\u0301"]
    for n in names:
        server.made("/teams", {"name": "find " + n})
    for n in names:
        r = server.call("GET", "/api/v1/teams?per_page=1&name=" + "".join(f"%{b:02x}" for b in ("find " + n).encode()))
        assert r.json["total"] == 1 and [x["name"] for x in r.json["data"]] == ["find " + n], r


def chain(reply_json):
    return reply_json["certificate_pem"]


def test_operator_issues_from_csr(server, tmp_path):
    c = server.made("/certificates", {**server.common, "name": "direct", "common_name": "direct.test", "sans": ["10.0.0.9"]})
    a = server.agent("operators-agent")
    csr, _ = make_csr(tmp_path, ["DNS:direct.test", "IP:10.0.0.9"], cn="direct.test")
    r = server.post(f"/agents/{a['id']}/csr", {"csr_pem": csr, "certificate_id": c["id"]})
    assert r.status == 202 and r.json == {"status": "csr_signed"}, r
    pem = chain(server.get(f"/agents/{a['id']}/certificates/{c['id']}").json)
    (tmp_path / "leaf.pem").write_text(pem)
    out = subprocess.run(["openssl", "verify", "-CAfile", server.ca, "-x509_strict", "-purpose", "sslserver", tmp_path / "leaf.pem"], capture_output=True, text=True)
    assert out.returncode == 0, out
    row = server.get(f"/certificates/{c['id']}").json
    assert row["status"] == "Active" and row["expires_at"] > "2026" and row["last_renewal_at"]
    v = server.get(f"/certificates/{c['id']}/versions").json
    assert v["total"] == 1 and v["data"][0]["agent_id"] == a["id"] and len(v["data"][0]["serial_number"]) == 40 and v["data"][0]["csr_pem"].strip() == csr.strip()
    assert server.post(f"/agents/{a['id']}/csr", {"csr_pem": csr, "certificate_id": c["id"]}, key=a["api_key"]).status == 202  # the same key again
    other, _ = make_csr(tmp_path, ["DNS:direct.test"])
    assert server.post(f"/agents/{a['id']}/csr", {"csr_pem": other, "certificate_id": c["id"]}, key=a["api_key"]).status == 404


@pytest.mark.parametrize("what", ["bad signature", "weak key", "names not asked for", "extra extensions", "trailing bytes", "no PEM"])
def test_bad_csr(server, tmp_path, what):
    c = server.get("/certificates?name=bad%20csr").json["data"] or [server.made("/certificates", {**server.common, "name": "bad csr", "common_name": "csr.test"})]
    a = server.get("/agents?name=csr-agent").json["data"] or [server.agent("csr-agent")]
    good, _ = make_csr(tmp_path, ["DNS:csr.test"])
    der = bytearray(base64.b64decode("".join(good.splitlines()[1:-1])))
    if what == "bad signature":
        der[-1] ^= 1
    if what == "trailing bytes":
        der += b"\0\0"
    pem = "-----BEGIN CERTIFICATE REQUEST-----\n" + base64.encodebytes(bytes(der)).decode() + "-----END CERTIFICATE REQUEST-----\n"
    if what == "weak key":
        pem, _ = make_csr(tmp_path, ["DNS:csr.test"], key=("rsa", "1024"))
    if what == "names not asked for":
        pem, _ = make_csr(tmp_path, ["DNS:csr.test", "DNS:evil.test"])
    if what == "extra extensions":
        pem, _ = make_csr(tmp_path, ["DNS:csr.test"], extra=["nameConstraints=permitted;DNS:test"])
    if what == "no PEM":
        pem = "hello"
    r = server.post(f"/agents/{a[0]['id']}/csr", {"csr_pem": pem, "certificate_id": c[0]["id"]})
    assert r.status == 400 and len(r.json["message"]) > 10, r
    assert server.get(f"/certificates/{c[0]['id']}/versions").json["total"] == 0


def test_profile_narrows(server, tmp_path):
    p = server.made("/profiles", {"name": "narrow", "max_ttl_seconds": 3600, "allowed_key_algorithms": [{"algorithm": "ECDSA", "min_size": 384}], "must_staple": True})
    c = server.made("/certificates", {**server.common, "name": "narrow", "common_name": "narrow.test", "certificate_profile_id": p["id"]})
    a = server.agent("narrow-agent")
    weak, _ = make_csr(tmp_path, ["DNS:narrow.test"])
    assert server.post(f"/agents/{a['id']}/csr", {"csr_pem": weak, "certificate_id": c["id"]}).status == 400
    strong, _ = make_csr(tmp_path, ["DNS:narrow.test"], key=("ec", "P-384"))
    assert server.post(f"/agents/{a['id']}/csr", {"csr_pem": strong, "certificate_id": c["id"]}).status == 202
    v = server.get(f"/certificates/{c['id']}/versions").json["data"][0]
    text = subprocess.run(["openssl", "x509", "-noout", "-text"], input=v["pem_chain"], capture_output=True, text=True).stdout
    assert "status_request" in text and v["key_size"] == 384
    server.put(f"/profiles/{p['id']}", {"enabled": False})
    assert server.post(f"/agents/{a['id']}/csr", {"csr_pem": strong, "certificate_id": c["id"]}).status == 409


def test_create_with_target_makes_a_job_that_a_parked_agent_gets_at_once(server):
    a = server.agent("parked")
    t = server.made("/targets", {"id": "tgt-parked", "name": "n", "type": "NGINX", "agent_id": a["id"], "config": NGINX})
    got = {}

    def poll():
        t0 = time.monotonic()
        got["reply"] = server.get(f"/agents/{a['id']}/work", key=a["api_key"], headers={"Prefer": "wait=20", "Certctl-Instance": "0" * 32})
        got["seconds"] = time.monotonic() - t0

    th = threading.Thread(target=poll)
    th.start()
    time.sleep(1.5)
    c = server.made("/certificates", {**server.common, "name": "parked", "common_name": "parked.test", "target_ids": [t["id"]]})
    assert c["target_ids"] == ["tgt-parked"]
    th.join(25)
    assert got["reply"].headers["Preference-Applied"] == "wait=20" and got["seconds"] < 10
    item = got["reply"].json["jobs"][0]
    assert item["status"] == "AwaitingCSR" and item["common_name"] == "parked.test" and item["certificate_id"] == c["id"]
    r = server.post(f"/agents/{a['id']}/jobs/{item['id']}/status", {"status": "Failed", "error": "no disk"}, key=a["api_key"])
    assert r.status == 200
    job = server.get(f"/jobs/{item['id']}").json
    assert job["status"] == "Failed" and job["last_error"] == "no disk" and job["attempts"] == 1
    assert server.get(f"/certificates/{c['id']}").json["status"] == "Failed"
    assert server.post(f"/jobs/{item['id']}/retry").json == {"status": "job_retried"}
    assert server.post(f"/jobs/{item['id']}/retry").status == 409
    assert server.get(f"/jobs/{item['id']}").json["status"] == "AwaitingCSR"
    assert server.post(f"/certificates/{c['id']}/renew").status == 409
    forced = server.post(f"/certificates/{c['id']}/renew?force=true")
    assert forced.status == 202 and forced.json["job_id"] == item["id"]
    assert server.post(f"/jobs/{item['id']}/cancel").json == {"status": "job_cancelled"}
    assert server.post(f"/jobs/{item['id']}/cancel").status == 409
    assert server.post("/jobs/job-none/cancel").status == 404


def test_jobs_of_another_agent(server):
    a, b = server.agent("owner-of-job"), server.agent("thief-of-job")
    server.made("/targets", {"id": "tgt-own", "name": "own", "type": "NGINX", "agent_id": a["id"], "config": NGINX})
    c = server.made("/certificates", {**server.common, "name": "own", "common_name": "own.test", "target_ids": ["tgt-own"]})
    job = server.get(f"/jobs?certificate_id={c['id']}").json["data"][0]
    assert server.post(f"/agents/{b['id']}/jobs/{job['id']}/status", {"status": "Failed"}, key=b["api_key"]).status == 403
    assert server.post(f"/jobs/{job['id']}/verify", {"target_id": "x", "expected_fingerprint": "y", "verified": False, "error": "z"}, key=b["api_key"]).status == 403
    assert server.get(f"/jobs/{job['id']}").json["status"] == "AwaitingCSR"
    assert server.post(f"/agents/{a['id']}/jobs/{job['id']}/status", {"status": "Exploded"}, key=a["api_key"]).status == 400


def test_one_leaf_per_agent(server, tmp_path):
    a, b = server.agent("leaf-a"), server.agent("leaf-b")
    for x in (a, b):
        server.made("/targets", {"id": "tgt-" + x["name"], "name": "n", "type": "NGINX", "agent_id": x["id"], "config": NGINX})
    c = server.made("/certificates", {**server.common, "name": "two", "common_name": "two.test", "target_ids": ["tgt-leaf-a", "tgt-leaf-b"]})
    assert server.get(f"/jobs?certificate_id={c['id']}").json["total"] == 2
    serials = {}
    for x in (a, b):
        csr, _ = make_csr(tmp_path, ["DNS:two.test"])
        assert server.post(f"/agents/{x['id']}/csr", {"csr_pem": csr, "certificate_id": c["id"]}, key=x["api_key"]).status == 202
        pem = chain(server.get(f"/agents/{x['id']}/certificates/{c['id']}", key=x["api_key"]).json)
        serials[x["id"]] = subprocess.run(["openssl", "x509", "-noout", "-serial"], input=pem, capture_output=True, text=True).stdout
        expected = "Active" if x is b else "Pending"
        assert server.get(f"/certificates/{c['id']}").json["status"] == expected
    assert len(set(serials.values())) == 2
    jobs = server.get(f"/jobs?certificate_id={c['id']}&type=Deployment").json["data"]
    assert sorted(j["agent_id"] for j in jobs) == sorted([a["id"], b["id"]])
    work = server.get(f"/agents/{a['id']}/work", key=a["api_key"]).json
    assert work["count"] == 1 and work["jobs"][0]["target_config"]["key_path"] == "/tmp/site.key"
    r = server.post(f"/certificates/{c['id']}/renew")
    assert r.status == 202 and server.get(f"/jobs/{r.json['job_id']}").json["type"] == "Renewal"
    assert server.get(f"/certificates/{c['id']}").json["status"] == "RenewalInProgress"


def test_an_agent_without_a_target_cannot_answer_a_csr_job(server, tmp_path):
    """A job for nobody in particular is an operator's, or a mapped agent's: no other agent gets a certificate for those names."""
    stranger, mapped = server.agent("stranger"), server.agent("mapped")
    c = server.made("/certificates", {**server.common, "name": "wanted", "common_name": "wanted.test"})
    job = server.post(f"/certificates/{c['id']}/renew").json["job_id"]
    csr, _ = make_csr(tmp_path, ["DNS:wanted.test"])
    body = {"csr_pem": csr, "certificate_id": c["id"]}
    assert server.post(f"/agents/{stranger['id']}/csr", body, key=stranger["api_key"]).status == 404
    bad = {"csr_pem": csr.replace("M", "N", 1), "certificate_id": c["id"]}
    assert server.post(f"/agents/{stranger['id']}/csr", bad, key=stranger["api_key"]).status == 404
    assert server.get(f"/jobs/{job}").json["status"] == "AwaitingCSR"
    assert server.get(f"/certificates/{c['id']}/versions").json["total"] == 0
    server.made("/targets", {"id": "tgt-mapped", "name": "m", "type": "NGINX", "agent_id": mapped["id"], "config": NGINX})
    assert server.put(f"/certificates/{c['id']}/targets/tgt-mapped").status == 204
    assert server.post(f"/agents/{stranger['id']}/csr", body, key=stranger["api_key"]).status == 404
    assert server.post(f"/agents/{mapped['id']}/csr", body, key=mapped["api_key"]).status == 202
    assert server.get(f"/jobs/{job}").json["status"] == "Completed"


def test_mapping_routes(server):
    a = server.agent("mapper")
    server.made("/targets", {"id": "tgt-map", "name": "map", "type": "NGINX", "agent_id": a["id"], "config": NGINX})
    c = server.made("/certificates", {**server.common, "name": "map", "common_name": "map.test"})
    assert server.put(f"/certificates/{c['id']}/targets/tgt-map").status == 204
    assert server.get(f"/certificates/{c['id']}").json["target_ids"] == ["tgt-map"]
    assert server.get(f"/certificates/{c['id']}/deployments").json["total"] == 1
    assert server.get(f"/certificates?agent_id={a['id']}").json["total"] == 1
    assert server.put(f"/certificates/{c['id']}", {"environment": "x"}).json["target_ids"] == ["tgt-map"]
    assert server.put(f"/certificates/{c['id']}", {"target_ids": []}).json["target_ids"] == []
    assert server.delete(f"/certificates/{c['id']}/targets/tgt-map").status == 404
    assert server.put(f"/certificates/{c['id']}/targets/tgt-none").status == 404
    assert server.delete(f"/certificates/{c['id']}").status == 204
    assert server.get(f"/certificates/{c['id']}").json["status"] == "Archived"
    assert server.post(f"/certificates/{c['id']}/renew").status == 400


def test_openapi_has_every_route(server):
    """Every route of ours is one of the specification's, or one that decisions add; the document is emitted from the table."""
    doc = server.get("/openapi.json", key=None).json
    assert doc["openapi"] == "3.1.0" and "get" in doc["paths"]["/api/v1/certificates"]
    tsv = ROOT.parent / "shared/data/routes.tsv"
    if not tsv.exists():
        pytest.skip("route list of the specification is not here")
    blank = lambda path: re.sub(r"\{[^}]*\}", "{}", path)
    listed = {(m.lower(), blank(p)) for m, p, *_ in (line.split("\t") for line in tsv.read_text().splitlines()[1:])}
    ours = {(m, blank(p.removeprefix("/api/v1"))) for p, ops in doc["paths"].items() for m in ops}
    additions = {("get", "/healthz"), ("get", "/openapi.json"), ("get", "/.well-known/pki/ca/{}"), ("post", "/jobs/{}/retry"),
                 ("put", "/certificates/{}/targets/{}"), ("delete", "/certificates/{}/targets/{}")}
    assert ours - listed == additions


def test_port_in_use(server):
    other = Server(server.folder / "second", port=server.port)
    other.spawn()
    assert other.proc.wait(30) == 1
    assert "address already in use" in other.log()


def test_no_secret_in_the_log(server):
    text = server.log()
    assert "root-key-for-tests" not in text and "PRIVATE KEY" not in text


def test_certificate_with_thousands_of_targets(place):
    """A wildcard of a large house: listed, read, renewed and deployed as any other."""
    s, wide = place().start(), 2500
    cert = s.made("/certificates", {**s.parents(), "name": "wide", "common_name": "wide.test"})["id"]
    assert s.stop() == 0
    sql = f"""
        with recursive k(i) as (select 1 union all select i + 1 from k where i < {wide})
        insert into agents (id, name, hostname, api_key_hash) select 'many-' || i, 'many ' || i, 'h', 'x' || i from k;
        insert into deployment_targets (id, name, type, agent_id, config) select 'tgt-' || id, 'site', 'NGINX', id, '{{}}' from agents where id like 'many-%';
        insert into certificate_target_mappings (certificate_id, target_id) select '{cert}', id from deployment_targets;
        update managed_certificates set last_renewal_at = created_at;"""
    subprocess.run(["sqlite3", s.state / "certctl.db", sql], check=True)
    s.start()
    assert len(s.get(f"/certificates/{cert}").json["target_ids"]) == wide
    assert len(s.get("/certificates").json["data"][0]["target_ids"]) == wide
    where = s.get(f"/certificates/{cert}/deployments").json
    assert where["total"] == len(where["data"]) == wide
    assert s.put(f"/certificates/{cert}", {"environment": "wide"}).status == 200
    r = s.post(f"/certificates/{cert}/deploy")
    assert r.status == 202 and r.json["jobs"] == wide, r
    assert s.post(f"/certificates/{cert}/renew").status == 202
    assert s.get("/jobs?type=Renewal").json["total"] == s.get("/jobs?type=Deployment").json["total"] == wide
