"""certctl-cli as its users meet it: against a scripted HTTPS server that answers as spec/api.md says, and offline."""
import contextlib
import http.server
import json
import ssl
import subprocess
import threading
import time

import pytest

from stack import BIN, ROOT, free_port

DATA = ROOT.parent / "shared/data/field"
KEY = "k-" + "0123456789abcdef" * 4


@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    """A certificate for loopback; it is its own CA."""
    folder = tmp_path_factory.mktemp("identity")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=cli test", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key.pem",
         "-out", folder / "cert.pem"], check=True, capture_output=True)
    return folder


class Server:
    """Answers by (method, path without query); an answer is (status, body), or a function of the request."""

    def __init__(self, identity):
        outer = self
        self.answers, self.requests = {}, []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.requests.append((self.command, self.path, dict(self.headers), body.decode()))
                found = outer.answers.get((self.command, self.path.split("?")[0]), (404, {"error": "Not Found", "message": "no such thing"}))
                if callable(found):
                    found = found(self)
                status, reply, *headers = found
                data = reply if isinstance(reply, bytes) else (json.dumps(reply) + "\n").encode()
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                if status != 204:
                    self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                if status != 204:
                    self.wfile.write(data)

            do_GET = do_POST = do_DELETE = answer

            def log_message(self, *args):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(identity / "cert.pem", identity / "key.pem")
        self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def set(self, method, path, answer):
        self.answers[method, path] = answer

    def paths(self):
        return [(method, path) for method, path, _, _ in self.requests]


@pytest.fixture
def server(identity):
    s = Server(identity)
    yield s
    s.http.shutdown()
    s.http.server_close()


@pytest.fixture
def cli(server, identity):
    """Runs the program; the environment names the server, its CA and the key."""

    def run(*args, **env):
        settings = {"CERTCTL_SERVER_URL": server.url, "CERTCTL_API_KEY": KEY, "CERTCTL_SERVER_CA_BUNDLE_PATH": str(identity / "cert.pem")}
        settings.update(env)
        return subprocess.run([BIN / "certctl-cli", *args], env=settings, capture_output=True, text=True, timeout=60)

    return run


CERT = {"id": "cert-1", "name": "web", "common_name": "a.example.test", "sans": ["a.example.test", "10.0.0.1"], "status": "Active",
        "issuer_id": "iss-local", "owner_id": "o-1", "team_id": "t-1", "renewal_policy_id": "rp-1", "expires_at": "2027-02-23T02:04:04.5Z",
        "target_ids": ["target-1"], "tags": {}}


def test_list_as_table_and_json(cli, server):
    never = dict(CERT, id="cert-22", status="Pending", expires_at="0001-01-01T00:00:00Z", common_name="b.example.test")
    server.set("GET", "/api/v1/certificates", (200, {"data": [CERT, never], "total": 7, "page": 1, "per_page": 2}))
    r = cli("certs", "list", "--status", "Active", "--per-page=2", "-page", "1", "--owner", "o 1&x")
    assert r.returncode == 0 and r.stderr == ""
    assert r.stdout == ("ID       COMMON NAME     STATUS   EXPIRES     ISSUER\n"
                        "cert-1   a.example.test  Active   2027-02-23  iss-local\n"
                        "cert-22  b.example.test  Pending  -           iss-local\n"
                        "\nTotal: 7\n")
    method, path, headers, _ = server.requests[0]
    assert path == "/api/v1/certificates?status=Active&owner_id=o%201%26x&page=1&per_page=2"
    assert headers["Authorization"] == f"Bearer {KEY}" and headers["User-Agent"].startswith("certctl-cli/") and "Content-Type" not in headers
    r = cli("--format", "json", "certs", "list")
    assert json.loads(r.stdout) == {"data": [CERT, never], "total": 7}
    assert r.stdout.startswith('{\n  "data": [\n    {\n      "id": "cert-1",\n')


def test_get_as_lines_and_json(cli, server):
    server.set("GET", "/api/v1/certificates/a%2F..%2F%3Fb", (200, CERT))
    r = cli("certs", "get", "a/../?b")
    assert r.returncode == 0
    assert "Common Name:        a.example.test\n" in r.stdout and "Expires At:         2027-02-23 02:04:04 UTC\n" in r.stdout
    assert "SANs:               a.example.test, 10.0.0.1\n" in r.stdout and "Revoked At" not in r.stdout
    assert json.loads(cli("certs", "get", "a/../?b", "--format=json").stdout) == CERT


@pytest.mark.parametrize("words, path", [
    ("agents list", "/api/v1/agents"), ("agents get x", "/api/v1/agents/x"), ("jobs list --type Renewal", "/api/v1/jobs"),
    ("jobs get x", "/api/v1/jobs/x"), ("issuers list", "/api/v1/issuers"), ("issuers get x", "/api/v1/issuers/x"),
    ("targets list", "/api/v1/targets"), ("targets get x", "/api/v1/targets/x"), ("certs versions x", "/api/v1/certificates/x/versions"),
])
def test_every_read(cli, server, words, path):
    row = {"id": "x", "name": "n", "type": "Renewal", "enabled": True, "attempts": 3, "config": {"a": 1}, "hostname": "h"}
    server.set("GET", path, (200, {"data": [row], "total": 1} if "list" in words or "versions" in words else row))
    r = cli(*words.split())
    assert r.returncode == 0 and "x" in r.stdout and r.stderr == ""
    assert len(server.requests) == 1 and server.requests[0][1].split("?")[0] == path


def test_terminal_is_not_written_to_by_others(cli, server):
    server.set("GET", "/api/v1/agents/x", (200, {"id": "x", "name": "a\x1b[2Jb\u009bc\nd", "hostname": "\u00e9\u20ac"}))
    r = cli("agents", "get", "x")
    assert "a?[2Jb??c d\n" in r.stdout and "\u00e9\u20ac" in r.stdout and "\x1b" not in r.stdout


def test_errors_of_the_server(cli, server):
    r = cli("certs", "get", "nope")
    assert r.returncode == 1 and r.stdout == ""
    assert r.stderr == 'error: API error (HTTP 404): {"error": "Not Found", "message": "no such thing"}\n'
    server.set("GET", "/api/v1/jobs", (200, b"<html>"))
    r = cli("jobs", "list")
    assert r.returncode == 1 and "is not JSON" in r.stderr
    server.set("POST", "/api/v1/jobs/j/cancel", (204, b""))
    assert cli("jobs", "cancel", "j").stdout == "Job j cancelled\n"
    assert json.loads(cli("jobs", "cancel", "j", "--format=json").stdout) == {"status": "deleted"}


def test_connection_errors(cli, server, identity, tmp_path):
    r = cli("jobs", "list", "--server", f"https://127.0.0.1:{free_port()}")
    assert r.returncode == 1 and "connection refused" in r.stderr and "--server" in r.stderr
    r = cli("jobs", "list", CERTCTL_SERVER_CA_BUNDLE_PATH="")
    assert r.returncode == 1 and "--ca-bundle" in r.stderr and server.requests == []
    server.set("GET", "/api/v1/jobs", (200, {"data": [], "total": 0}))
    r = cli("jobs", "list", "--insecure", CERTCTL_SERVER_CA_BUNDLE_PATH="")
    assert r.returncode == 0 and r.stdout == "ID  TYPE  CERTIFICATE  STATUS  ATTEMPTS\n\nTotal: 0\n"
    for text, says in [("http://h", "plain http"), ("h:1", "no scheme"), ("ftp://h", "must begin with https://"), ("https://:1", "no valid host")]:
        r = cli("jobs", "list", "--server", text)
        assert r.returncode == 1 and says in r.stderr
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for path in (str(empty), "/nonexistent.pem", str(identity / "key.pem")):
        r = cli("jobs", "list", "--ca-bundle", path)
        assert r.returncode == 1 and r.stderr.startswith("error: ")
    assert "--ca-bundle" in cli("jobs", "list", "--ca-bundle", "/nonexistent.pem").stderr
    server.set("GET", "/api/v1/jobs", (401, {"error": "Authorization header required"}))
    r = cli("jobs", "list", CERTCTL_API_KEY="")
    assert r.returncode == 1 and "set CERTCTL_API_KEY" in r.stderr
    r = cli("jobs", "list", CERTCTL_API_KEY="another")
    assert r.returncode == 1 and "set CERTCTL_API_KEY" not in r.stderr
    r = cli("jobs", "list", "--api-key", "a b")
    assert r.returncode == 1 and "API key" in r.stderr
    assert KEY not in r.stderr


@pytest.mark.parametrize("args, says", [
    ([], "Usage:"), (["certs"], "needs a subcommand"), (["certs", "frob"], "unknown command: certs frob"), (["frob"], "unknown command: frob"),
    (["certs", "get"], "needs ID"), (["certs", "get", "a", "b"], "does not take b"), (["certs", "get", ""], "empty argument"),
    (["certs", "list", "--frob"], "unknown flag --frob"), (["certs", "get", "x", "--status", "y"], "has no flag --status"),
    (["certs", "list", "--status"], "--status needs a value"), (["certs", "list", "--server"], "--server needs a value"),
    (["certs", "create", "n", "--owner", "o"], "--team is required"), (["version", "--format", "xml"], "table or json"),
    (["certs", "renew", "x", "--wait=soon"], "--wait takes"), (["certs", "renew", "x", "--wait=0"], "--wait takes"),
    (["certs", "renew", "x", "--force=maybe"], "true or false"), (["inspect"], "needs FILE"), (["frob", "--help"], "unknown command"),
])
def test_usage(cli, server, args, says):
    r = cli(*args)
    assert r.returncode == 2 and says in r.stderr and r.stdout == "" and server.requests == []


def test_help_of_everything(cli):
    everything = cli("--help")
    assert everything.returncode == 0
    commands = [line[2:].split("  ")[0].rstrip() for line in everything.stdout.split("Commands:\n")[1].split("\n\n")[0].splitlines()]
    assert len(commands) >= 19
    for line in commands:
        words = [w for w in line.split() if w.islower()]
        for asked in (["--help"], ["-h"]):
            r = cli(*words, *asked)
            assert r.returncode == 0 and f"Usage: certctl-cli {' '.join(words)}" in r.stdout, words
        assert cli("--help", *words).stdout == r.stdout
    assert "certs create" in cli("certs", "--help").stdout and "agents" not in cli("certs", "--help").stdout
    assert cli("version").stdout == cli("--version").stdout


def body_of(server, path):
    return json.loads(next(b for m, p, _, b in server.requests if (m, p) == ("POST", path)))


CREATE = ["certs", "create", "web", "--owner", "o-1", "--team=t-1", "--policy", "rp-1"]


def test_create(cli, server):
    server.set("POST", "/api/v1/certificates", (201, CERT))
    r = cli(*CREATE, "--san", "a.example.test, 10.0.0.1", "--san=x@example.test", "--target", "target-1")
    assert r.returncode == 0 and "ID:                 cert-1\n" in r.stdout and r.stderr == ""
    assert body_of(server, "/api/v1/certificates") == {
        "name": "web", "common_name": "a.example.test", "issuer_id": "iss-local", "sans": ["a.example.test", "10.0.0.1", "x@example.test"],
        "target_ids": ["target-1"], "owner_id": "o-1", "team_id": "t-1", "renewal_policy_id": "rp-1"}
    assert server.requests[0][2]["Content-Type"] == "application/json"
    server.requests.clear()
    cli("certs", "create", "web", "--owner", "o-1", "--team", "t-1", "--issuer", "iss-2", "--cn", "c.test", "--environment", "production", "--profile", "prof-1")
    assert body_of(server, "/api/v1/certificates") == {
        "name": "web", "common_name": "c.test", "issuer_id": "iss-2", "sans": [], "target_ids": [], "owner_id": "o-1", "team_id": "t-1",
        "renewal_policy_id": "rp-default", "environment": "production", "certificate_profile_id": "prof-1"}


class Jobs:
    """A certificate's jobs that move on each time one of them is polled."""

    def __init__(self, server, *states, held=0.0):
        self.server, self.states, self.held, self.polls = server, list(states), held, []
        server.set("POST", "/api/v1/certificates", (201, dict(CERT, status="Pending")))
        server.set("GET", "/api/v1/certificates/cert-1", (200, CERT))
        server.set("GET", "/api/v1/jobs", lambda h: (200, {"data": self.rows(), "total": len(self.rows())}))
        for name in ("job-1", "job-2"):
            server.set("GET", f"/api/v1/jobs/{name}", self.poll)

    def rows(self):
        rows = [{"id": f"job-{i + 1}", "type": ("Issuance", "Deployment")[i], "status": s.split(":")[0], "created_at": f"2026-11-25T02:00:0{i}Z",
                 "target_id": ["", "target-1"][i], "last_error": s.partition(":")[2]} for i, s in enumerate(self.states[0]) if s]
        return rows[::-1]

    def poll(self, handler):
        self.polls.append(handler.headers.get("Prefer"))
        time.sleep(self.held)  # the server's own time, which a long poll is made of
        if len(self.states) > 1:
            self.states.pop(0)
        name = handler.path.rsplit("/", 1)[1]
        return (200, next(row for row in self.rows() if row["id"] == name), ("Preference-Applied", "wait=50"))


def test_create_and_wait(cli, server):
    jobs = Jobs(server, ["AwaitingCSR", ""], ["Completed", "Pending"], ["Completed", "Running"], ["Completed", "Completed"], held=0.1)
    r = cli(*CREATE, "--target", "target-1", "--wait")
    assert r.returncode == 0, r.stderr
    assert float(r.stderr.splitlines()[-1].split("s  ")[0]) < 2  # news is followed at once, no pause between
    assert [line.split("s  ")[1] for line in r.stderr.splitlines()[1:]] == [
        "Issuance job-1: AwaitingCSR", "Issuance job-1: Completed", "Deployment job-2 to target-1: Pending",
        "Deployment job-2 to target-1: Running", "Deployment job-2 to target-1: Completed"]
    assert "Status:             Active\n" in r.stdout and set(jobs.polls) == {"wait=50"}


def test_wait_sees_failure(cli, server):
    Jobs(server, ["Completed", "Running"], ["Completed", "Failed:nginx -t said no"])
    r = cli(*CREATE, "--wait=1m", "--format", "json")
    assert r.returncode == 1 and "Failed, nginx -t said no" in r.stderr and "1 of 2 jobs failed" in r.stderr
    assert json.loads(r.stdout)["id"] == "cert-1"


def test_wait_runs_out(cli, server):
    jobs = Jobs(server, ["AwaitingCSR", ""])
    r = cli(*CREATE, "--wait=2s")
    assert r.returncode == 3 and "still under way" in r.stderr
    assert 1 <= len(jobs.polls) <= 3  # a server without long polls is asked once a second


def test_wait_outlives_a_restart(cli, server):
    Jobs(server, ["AwaitingCSR", ""], ["Completed", ""])
    real, calls = server.answers["GET", "/api/v1/jobs"], []

    def restarting(handler):
        calls.append(1)
        return (503, {"error": "starting"}) if len(calls) in (2, 3) else real(handler)

    server.set("GET", "/api/v1/jobs", restarting)
    r = cli(*CREATE, "--wait=30s")
    assert r.returncode == 0 and r.stderr.count("the server is away") == 1


def test_wait_without_jobs(cli, server):
    Jobs(server, ["", ""])
    r = cli(*CREATE, "--wait")
    assert r.returncode == 0 and "nothing to wait for" in r.stderr


def test_renew(cli, server):
    server.set("POST", "/api/v1/certificates/cert-1/renew", (202, {"status": "renewal_triggered", "job_id": "job-2"}))
    r = cli("certs", "renew", "cert-1")
    assert (r.returncode, r.stdout) == (0, "Renewal of certificate cert-1 started\nJob ID: job-2\n")
    assert cli("certs", "renew", "--force", "cert-1").stdout.startswith("Forced renewal of certificate cert-1")
    assert server.paths() == [("POST", "/api/v1/certificates/cert-1/renew"), ("POST", "/api/v1/certificates/cert-1/renew?force=true")]
    assert server.requests[0][3] == "" and "Content-Type" not in server.requests[0][2]
    # an old failure is not this renewal's
    Jobs(server, ["Failed", "Running"], ["Failed", "Completed"])
    server.set("GET", "/api/v1/jobs/job-2", (200, {"id": "job-2", "created_at": "2026-11-25T02:00:01Z"}))
    states = iter([["Failed", "Running"], ["Failed", "Completed"]])

    def advancing(handler):
        rows = [{"id": "job-2", "type": "Renewal", "status": next(states)[1], "created_at": "2026-11-25T02:00:01Z"},
                {"id": "job-1", "type": "Issuance", "status": "Failed", "created_at": "2026-11-25T02:00:00Z"}]
        return (200, {"data": rows, "total": 2})

    server.set("GET", "/api/v1/jobs", advancing)
    r = cli("certs", "renew", "cert-1", "--wait=30s")
    assert r.returncode == 0 and "job-1" not in r.stderr and "Renewal job-2: Completed" in r.stderr
    server.set("POST", "/api/v1/certificates/cert-1/renew", (409, {"error": "Conflict", "message": "renewal already in progress"}))
    r = cli("certs", "renew", "cert-1", "--wait")
    assert r.returncode == 1 and "already in progress" in r.stderr


def test_status(cli, server):
    server.set("GET", "/health", (200, {"status": "healthy"}))
    server.set("GET", "/api/v1/stats/summary", (200, {"total_certificates": 3, "failed_jobs": 0, "offline_agents": 0}))
    r = cli("status")
    assert r.returncode == 0 and r.stdout.startswith("Server Status: healthy\n\nSummary Stats:\n  total_certificates:") and "!" not in r.stdout
    assert json.loads(cli("status", "--format", "json").stdout) == {
        "health": {"status": "healthy"}, "summary": {"total_certificates": 3, "failed_jobs": 0, "offline_agents": 0}}
    server.set("GET", "/api/v1/stats/summary", (200, {"failed_jobs": 2, "offline_agents": 1}))
    r = cli("status")
    assert r.returncode == 0 and "! 2 jobs have failed\n  certctl-cli jobs list --status Failed" in r.stdout and "! 1 agents are offline" in r.stdout
    server.set("GET", "/health", (200, {"status": "unwell"}))
    assert cli("status").returncode == 1


def test_ca_root(cli, server, identity):
    pem = (identity / "cert.pem").read_text()
    der = ssl.PEM_cert_to_DER_cert(pem)
    server.set("GET", "/.well-known/pki/ca/iss-local", (200, pem.encode()))
    server.set("GET", "/.well-known/pki/ca/iss%202", (200, der))
    assert cli("ca", "root").stdout == pem
    assert ssl.PEM_cert_to_DER_cert(cli("ca", "root", "iss 2").stdout) == der
    server.set("GET", "/.well-known/pki/ca/iss-local", (200, b"not it"))
    r = cli("ca", "root")
    assert r.returncode == 1 and r.stdout == "" and "no certificate" in r.stderr
    assert "pem-certificate-chain" in server.requests[0][2]["Accept"]


def test_inspect_own_certificate(cli, identity, tmp_path):
    pem = (identity / "cert.pem").read_text()
    der = tmp_path / "cert.der"
    der.write_bytes(ssl.PEM_cert_to_DER_cert(pem))
    junk = tmp_path / "junk"
    junk.write_bytes(b"hello\n")
    r = cli("inspect", str(identity / "cert.pem"), str(der))
    assert r.returncode == 0
    one, two = json.loads(r.stdout)
    want = subprocess.run(["openssl", "x509", "-in", der, "-inform", "DER", "-noout", "-serial", "-fingerprint", "-sha256"],
                          capture_output=True, text=True, check=True).stdout.lower().replace(":", "")
    for c in (one, two):
        assert f"serial={c['serial_number']}\n" in want.replace("serial=0", "serial=") and c["fingerprint_sha256"] in want
        assert c["common_name"] == "cli test" and c["sans"] == ["127.0.0.1"] and c["key_algorithm"] == "ECDSA" and c["key_size"] == 256
        assert c["is_ca"] is True and c["chain"] == []
    assert one["source_format"] == "PEM" and two["source_format"] == "DER" and one["source_path"].endswith("cert.pem")
    r = cli("inspect", str(junk), "/nonexistent", str(der))
    assert r.returncode == 1
    reasons = [c.get("refused") for c in json.loads(r.stdout)]
    assert reasons == ["pem_missing", "file_open", None]


def test_inspect_keeps_no_key(cli, identity, tmp_path):
    both = tmp_path / "both.pem"
    key = (identity / "key.pem").read_text()
    both.write_text(key + (identity / "cert.pem").read_text())
    r = cli("inspect", str(both))
    assert r.returncode == 0 and len(json.loads(r.stdout)) == 1
    assert key.splitlines()[1] not in r.stdout + r.stderr and "PRIVATE" not in r.stdout + r.stderr


def test_inspect_chain(cli):
    if not DATA.is_dir():
        pytest.skip("no ../shared/data/field here")
    chain = DATA.parent / "field/ca"
    text = (chain / "issuing.pem").read_text() + (chain / "root.pem").read_text()
    import tempfile
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as f:
        f.write(text)
        f.flush()
        issuing, root = json.loads(cli("inspect", f.name).stdout)
    assert [c["fingerprint_sha256"] for c in issuing["chain"]] == [root["fingerprint_sha256"]] and root["chain"] == []


def field_cases():
    index = DATA / "index.json"
    if not index.is_file():
        return []
    return [c for c in json.loads(index.read_text()) if c["file"].split("/")[0] in ("bundle", "cert", "ca")]


@pytest.mark.parametrize("case", field_cases(), ids=lambda c: c["file"] if isinstance(c, dict) else "none")
def test_inspect_field_cases(cli, case):
    """Cases 16 and 20 of the field list: as many certificates as there are, what is not read named with its place."""
    r = cli("inspect", str(DATA / case["file"]))
    found = json.loads(r.stdout)
    read = [c for c in found if "refused" not in c]
    refused = [c for c in found if "refused" in c]
    assert r.returncode == (1 if refused else 0)
    assert all(c["refused"] and c["detail"] for c in refused)
    if "certs" in case["expect"]:
        assert len(read) == case["expect"]["certs"]
        assert all("line" in c for c in refused)
    else:
        assert len(found) == 1
    findings = {f["text"] for c in read for f in c["findings"]} | {c["detail"] for c in refused}
    wanted = {"negative serial": "serial", "zero serial": "serial", "serial too long": "serial", "trailing bytes": "trailing", "not DER": "minimal"}
    if "finding" in case["expect"]:
        assert any(wanted[case["expect"]["finding"]] in text for text in findings), findings


def test_output_that_cannot_be_written():
    with open("/dev/full", "w") as full, contextlib.suppress(BrokenPipeError):
        r = subprocess.run([BIN / "certctl-cli", "--help"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=30)
    assert r.returncode == 1 and "cannot write" in r.stderr
