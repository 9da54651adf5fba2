"""Starting and stopping the server: first start and second, settings good and bad, its TLS identity, its CA, --check."""
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import threading
import time

import pytest

from stack import BIN, Server, free_port, make_csr, until

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="plays with owners of files")


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A server with what most tests here need."""
    s = Server(tmp_path_factory.mktemp("plain"), CERTCTL_AGENT_BOOTSTRAP_TOKEN="bootstrap-token-for-tests", CERTCTL_LOG_LEVEL="debug").start()
    yield s
    s.finish()


def refused(s, *words, seconds=30):
    """The server does not start: exit 1, one reason that has these words, and nothing left running."""
    s.spawn()
    assert s.proc.wait(seconds) == 1, s.log()
    text = s.log()
    for w in words:
        assert w in text, text
    return text


def leaf_digest(s, name="localhost"):
    """SHA-256 of the leaf in a fresh handshake."""
    ctx = ssl._create_unverified_context()
    with socket.create_connection(("127.0.0.1", s.port), 10) as plain_socket:
        with ctx.wrap_socket(plain_socket, server_hostname=name) as tls:
            return hashlib.sha256(tls.getpeercert(True)).hexdigest()


def openssl(*args, stdin=None):
    done = subprocess.run(["openssl", *map(str, args)], input=stdin, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def ca_digest(s):
    return hashlib.sha256(s.call("GET", "/.well-known/pki/ca/iss-local", key=None, verify=False).body).hexdigest()


def snapshot(folder):
    """Everything of a folder that a program could change."""
    out = {}
    # The -shm file is the engine's index of its log in shared memory: whoever reads the store touches it.
    for p in sorted(pathlib.Path(folder).rglob("*")):
        if p.name.endswith("-shm"):
            continue
        st = p.lstat()
        out[str(p)] = (st.st_mode, st.st_uid, st.st_gid, st.st_size, st.st_mtime_ns, hashlib.sha256(p.read_bytes()).hexdigest() if p.is_file() else "")
    return out


def check(s, **env):
    return subprocess.run([BIN / "certctl-server", "--check"], env={**s.environment(), **env}, capture_output=True, text=True, timeout=60)


# --- first start, second start ---


def test_first_start_makes_ca_identity_and_administrator(place):
    s = place(CERTCTL_API_KEYS_NAMED=None).start()
    key_file = s.state / "admin.key"
    key = key_file.read_text().strip()
    assert len(key) == 64 and stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert str(key_file) in s.log() and key not in s.log()
    me = s.get("/auth/me", key=key).json
    assert me["actor_id"] == "admin" and me["admin"] is True
    assert s.get("/teams", key="0" * 64).status == 401
    ca = ca_digest(s)
    s.call("POST", "/api/v1/teams", {"id": "t-kept", "name": "Kept"}, key=key)
    identity = leaf_digest(s)
    assert s.stop() == 0
    s.start()
    assert ca_digest(s) == ca and leaf_digest(s) == identity
    assert key_file.read_text().strip() == key and s.get("/auth/me", key=key).status == 200
    assert s.get("/teams/t-kept", key=key).json["name"] == "Kept"
    assert s.log().count("first administrator's key written") == 1
    for path in s.state.rglob("*"):
        if path.is_file():
            assert stat.S_IMODE(path.stat().st_mode) == (0o644 if path.name == "server.crt" else 0o600), path
    assert stat.S_IMODE((s.state / "signer").stat().st_mode) == 0o700


def test_demo_seed_rows_are_there_only_when_asked_for(place):
    s = place(CERTCTL_DEMO_SEED="true").start()
    assert {"t-platform", "t-security"} <= {t["id"] for t in s.get("/teams?per_page=500").json["data"]}
    assert s.get("/renewal-policies/rp-standard").status == 200 and s.get("/profiles/prof-standard-tls").status == 200
    s.delete("/teams/t-devops")
    s.stop()
    s.env.pop("CERTCTL_DEMO_SEED")
    s.start()
    assert s.get("/teams/t-platform").status == 200
    other = place().start()
    assert other.get("/teams").json["total"] == 0 and other.get("/renewal-policies/rp-default").status == 200


# --- settings ---


def test_unknown_setting_is_warned_of_with_the_nearest_name(place):
    wrong = "CERTCTL_" + "SERVER_PROT"
    s = place(**{wrong: "1"}).start()
    line = next(x for x in map(json.loads, s.log().splitlines()) if x["level"] == "WARN" and wrong in json.dumps(x))
    assert "CERTCTL_SERVER_PORT" in json.dumps(line)


@pytest.mark.parametrize("name, value, words", [
    ("CERTCTL_SERVER_PORT", "99999", ["1", "65535"]), ("CERTCTL_SERVER_PORT", "eight", ["integer"]), ("CERTCTL_DATABASE_URL", "mysql://x/y", ["sqlite"]),
    ("CERTCTL_AUTH_TYPE", "jwt", ["api-key"]), ("CERTCTL_SCHEDULER_RETRY_INTERVAL", "soon", []), ("CERTCTL_DEMO_SEED", "perhaps", []),
    ("CERTCTL_API_KEYS_NAMED", "no-colon", []), ("CERTCTL_KEYGEN_MODE", "server", ["agent"]), ("CERTCTL_LOG_LEVEL", "loud", [])])
def test_malformed_setting_refuses_the_start_naming_it(place, name, value, words):
    s = place(**{name: value})
    text = refused(s, name, *words)
    assert len(text.strip().splitlines()) == 1 and not s.state.exists(), text


def test_one_tls_setting_alone_refuses(place):
    for name, other in (("CERT", "KEY"), ("KEY", "CERT")):
        s = place(**{f"CERTCTL_SERVER_TLS_{name}_PATH": "/nowhere.pem"})
        refused(s, f"CERTCTL_SERVER_TLS_{other}_PATH")


def test_none_needs_loopback(place):
    refused(place(CERTCTL_AUTH_TYPE="none", CERTCTL_SERVER_HOST="0.0.0.0", CERTCTL_API_KEYS_NAMED=None), "CERTCTL_SERVER_HOST", "loopback")


def test_none_makes_everybody_the_demo_administrator(place):
    s = place(CERTCTL_AUTH_TYPE="none", CERTCTL_API_KEYS_NAMED=None).start()
    assert s.get("/auth/info", key=None).json["required"] is False
    assert s.get("/teams", key=None).status == 200
    assert s.call("POST", "/api/v1/teams", {"name": "x"}, key=None).status == 201
    assert s.get("/auth/me", key=None).json["actor_id"] == "actor-demo-anon"
    assert not (s.state / "admin.key").exists()
    assert '"WARN"' in s.log() and "CERTCTL_AUTH_TYPE" in s.log()


# --- registration by token ---


def test_bootstrap_token_registers_agents_and_nothing_else(plain):
    body = {"name": "by-token", "hostname": "h.test"}
    assert plain.post("/agents", body, key=None).status == 401
    assert plain.post("/agents", body, key="bootstrap-token-for-test").status == 401
    assert plain.post("/agents", body, key="bootstrap-token-for-testsx").status == 401
    r = plain.post("/agents", body, key="bootstrap-token-for-tests")
    assert r.status == 201 and r.json["api_key"], r
    assert plain.post(f"/agents/{r.json['id']}/heartbeat", {}, key=r.json["api_key"]).status == 200
    assert plain.get("/agents", key="bootstrap-token-for-tests").status == 401
    assert plain.post("/teams", {"name": "x"}, key="bootstrap-token-for-tests").status == 401
    audit = plain.get(f"/audit?resource_id={r.json['id']}").json["data"]
    assert [(a["action"], a["actor"]) for a in audit] == [("agent_registered", "bootstrap-token")]


def test_without_a_token_setting_no_token_registers(place):
    s = place().start()
    for key in (None, "", "x"):
        head = {"Authorization": "Bearer "} if key == "" else None
        assert s.post("/agents", {"name": "n", "hostname": "h"}, key=None if key == "" else key, headers=head).status == 401


# --- probes, ids, HEAD ---


def test_request_ids_are_ours_and_new(plain):
    seen = {plain.get("/teams", headers={"X-Request-ID": "mine"}).headers["X-Request-ID"] for _ in range(5)}
    assert len(seen) == 5 and "mine" not in seen and all(len(x) == 36 for x in seen)
    r = plain.get("/teams/none")
    assert r.json["request_id"] == r.headers["X-Request-ID"]
    until(lambda: f'"request_id":"{r.headers["X-Request-ID"]}"' in plain.log(), 5, "the request in the log")


def test_head_is_its_get_without_the_body(plain):
    for path, key in (("/health", None), ("/api/v1/teams", ""), ("/api/v1/teams/none", "")):
        get, head = plain.call("GET", path, key=key), plain.call("HEAD", path, key=key)
        assert head.status == get.status and head.body == b"" and head.headers["Content-Length"] == str(len(get.body))
        assert head.headers["ETag"] == get.headers["ETag"]


# --- its TLS identity ---


@pytest.fixture(scope="module")
def operators_ca(tmp_path_factory):
    """Issues server identities for localhost, each with a new key: (certificate, key)."""
    d = tmp_path_factory.mktemp("operators-ca")
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 30, "-subj", "/CN=House CA", "-keyout", d / "ca.key", "-out", d / "ca.pem")

    def issue(name):
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                "-keyout", d / f"{name}.key", "-out", d / f"{name}.csr")
        openssl("x509", "-req", "-in", d / f"{name}.csr", "-CA", d / "ca.pem", "-CAkey", d / "ca.key", "-CAcreateserial", "-days", 20, "-copy_extensions", "copy",
                "-out", d / f"{name}.pem")
        return d / f"{name}.pem", d / f"{name}.key"

    return issue


def digest_of(pem):
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pathlib.Path(pem).read_text())).hexdigest()


@pytest.fixture(scope="module")
def operated(tmp_path_factory, operators_ca):
    """A server with the operator's TLS files."""
    d = tmp_path_factory.mktemp("operated")
    cert, key = operators_ca("one")
    shutil.copy(cert, d / "tls.pem")
    shutil.copy(key, d / "tls.key")
    s = Server(d / "s", CERTCTL_SERVER_TLS_CERT_PATH=str(d / "tls.pem"), CERTCTL_SERVER_TLS_KEY_PATH=str(d / "tls.key")).start()
    s.tls = (d / "tls.pem", d / "tls.key")
    yield s
    assert s.stop() == 0


def replace(s, pair):
    for new, place_ in zip(pair, s.tls):
        shutil.copy(new, str(place_) + ".new")
        os.replace(str(place_) + ".new", place_)


def test_operators_tls_files_are_served(operated, operators_ca):
    assert leaf_digest(operated) == digest_of(operated.tls[0])
    assert "TLS identity issued" not in operated.log()


def test_operators_tls_files_reload_on_sighup_and_old_connections_go_on(operated, operators_ca):
    ctx = ssl._create_unverified_context()
    raw = socket.create_connection(("127.0.0.1", operated.port), 10)
    old = ctx.wrap_socket(raw, server_hostname="localhost")

    def ask():
        old.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return old.recv(8192).startswith(b"HTTP/1.1 200")

    assert ask()
    two = operators_ca("two")
    replace(operated, two)
    operated.proc.send_signal(signal.SIGHUP)
    until(lambda: leaf_digest(operated) == digest_of(two[0]), 10, "the new leaf")
    assert ask()
    old.close()


def test_operators_tls_files_reload_on_change(operated, operators_ca):
    three = operators_ca("three")
    replace(operated, three)
    until(lambda: leaf_digest(operated) == digest_of(three[0]), 10, "the new leaf")


@pytest.mark.parametrize("what", ["key of another", "no PEM", "empty", "gone"])
def test_broken_replacement_keeps_the_old_identity(operated, operators_ca, what):
    good = operators_ca("four-" + what.replace(" ", "-"))
    replace(operated, good)
    operated.proc.send_signal(signal.SIGHUP)
    until(lambda: leaf_digest(operated) == digest_of(good[0]), 10, "the good leaf")
    before = operated.log().count('"ERROR"')
    if what == "key of another":
        shutil.copy(operators_ca("stranger")[1], operated.tls[1])
    elif what == "gone":
        operated.tls[0].unlink()
    else:
        operated.tls[0].write_text("hello" if what == "no PEM" else "")
    operated.proc.send_signal(signal.SIGHUP)
    until(lambda: operated.log().count('"ERROR"') > before, 10, "a line that says so")
    assert leaf_digest(operated) == digest_of(good[0])
    assert operated.call("GET", "/health", key=None, verify=False).status == 200


def test_tls_files_that_do_not_exist_refuse_the_start(place):
    refused(place(CERTCTL_SERVER_TLS_CERT_PATH="/nowhere/cert.pem", CERTCTL_SERVER_TLS_KEY_PATH="/nowhere/key.pem"), "CERTCTL_SERVER_TLS_CERT_PATH", "/nowhere/cert.pem")


# --- its CA ---


def make_ca(folder, sub):
    root, key = folder / "root.pem", folder / "root.key"
    ext = ["-addext", "keyUsage=critical,keyCertSign,cRLSign", "-addext", "basicConstraints=critical,CA:TRUE"]
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-nodes", "-days", 3650, "-subj", "/CN=House Root", "-keyout", key, "-out", root, *ext)
    if not sub:
        return root, key, root
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=House Issuing CA", "-keyout", folder / "sub.key", "-out", folder / "sub.csr")
    (folder / "ext").write_text("basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
    openssl("x509", "-req", "-in", folder / "sub.csr", "-CA", root, "-CAkey", key, "-CAcreateserial", "-days", 1000, "-extfile", folder / "ext", "-out", folder / "sub.pem")
    chain = folder / "chain.pem"
    chain.write_text((folder / "sub.pem").read_text() + root.read_text())
    return chain, folder / "sub.key", root


@pytest.mark.parametrize("kind", ["root", "sub-CA"])
def test_existing_ca_is_imported_and_issues(place, tmp_path, kind):
    chain, key, root = make_ca(tmp_path, kind == "sub-CA")
    s = place(CERTCTL_CA_CERT_PATH=str(chain), CERTCTL_CA_KEY_PATH=str(key)).start()
    common = s.parents()
    a = s.agent("importer")
    c = s.made("/certificates", {**common, "name": "imported", "common_name": "imported.test"})
    csr, _ = make_csr(tmp_path, ["DNS:imported.test"])
    assert s.post(f"/agents/{a['id']}/csr", {"csr_pem": csr, "certificate_id": c["id"]}).status == 202
    pem = s.get(f"/agents/{a['id']}/certificates/{c['id']}").json
    (tmp_path / "leaf.pem").write_text(pem["certificate_pem"])
    openssl("verify", "-CAfile", root, "-untrusted", tmp_path / "leaf.pem", "-x509_strict", tmp_path / "leaf.pem")
    # One file trusts the API too.
    ctx = ssl.create_default_context(cafile=str(root))
    with socket.create_connection(("127.0.0.1", s.port), 10) as raw, ctx.wrap_socket(raw, server_hostname="localhost") as tls:
        assert tls.version() == "TLSv1.3"
    s.stop()
    key.unlink()  # sealed at the first start, not needed again
    s.start()
    assert s.get(f"/certificates/{c['id']}").json["status"] == "Active"


@pytest.mark.parametrize("what", ["key of another", "a leaf", "no file"])
def test_ca_that_cannot_be_imported_refuses(place, tmp_path, what):
    chain, key, _ = make_ca(tmp_path, False)
    if what == "key of another":
        (tmp_path / "other").mkdir()
        key = make_ca(tmp_path / "other", False)[1]
    if what == "a leaf":
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 30, "-subj", "/CN=leaf", "-keyout", key, "-out", chain,
                "-addext", "basicConstraints=critical,CA:FALSE")
    if what == "no file":
        chain = tmp_path / "gone.pem"
    s = place(CERTCTL_CA_CERT_PATH=str(chain), CERTCTL_CA_KEY_PATH=str(key))
    text = refused(s, "CERTCTL_CA_CERT_PATH" if what == "no file" else "ca_")
    assert not (s.state / "signer/ca-iss-local.sealed").exists() and "PRIVATE" not in text


def test_ceiling_file_binds_what_is_issued(place, tmp_path):
    ceiling = tmp_path / "ceiling.json"
    names = ["*.inside.test", "localhost", socket.gethostname().lower()]
    ceiling.write_text(json.dumps({"names": {"dns": names, "ip": ["127.0.0.1", "::1"], "email": [], "uri": []}, "max_lifetime_s": 7776000,
                                   "keys": [{"algorithm": "ECDSA", "min_size": 256}], "usages": ["serverAuth"], "path_len": 0}))
    s = place(CERTCTL_CA_CEILING_FILE=str(ceiling)).start()
    profile = s.made("/profiles", {"name": "servers", "allowed_ekus": ["serverAuth"]})
    common = {**s.parents(), "certificate_profile_id": profile["id"]}
    a = s.agent("ceiling")
    replies = {}
    for name in ("www.inside.test", "www.outside.test"):
        c = s.made("/certificates", {**common, "name": name, "common_name": name})
        csr, _ = make_csr(tmp_path, [f"DNS:{name}"])
        replies[name] = s.post(f"/agents/{a['id']}/csr", {"csr_pem": csr, "certificate_id": c["id"]})
    assert replies["www.inside.test"].status == 202
    r = replies["www.outside.test"]
    assert r.status in (400, 403) and "www.outside.test" in r.json["message"], r


def test_ceiling_file_that_is_none_refuses(place, tmp_path):
    bad = tmp_path / "ceiling.json"
    bad.write_text('{"names": {}')
    refused(place(CERTCTL_CA_CEILING_FILE=str(bad)), "CERTCTL_CA_CEILING_FILE")
    refused(place(CERTCTL_CA_CEILING_FILE=str(tmp_path / "gone.json")), "CERTCTL_CA_CEILING_FILE")


def test_passphrase_file_and_wrong_passphrase(place, tmp_path):
    secret = tmp_path / "passphrase"
    secret.write_text("right horse battery\n")
    s = place(CERTCTL_CA_PASSPHRASE_FILE=str(secret)).start()
    ca = ca_digest(s)
    assert not (s.state / "signer/passphrase").exists()
    s.stop()
    s.env |= {"CERTCTL_CA_PASSPHRASE_FILE": None, "CERTCTL_CA_PASSPHRASE": "right horse battery"}  # the line's end is no part of it
    s.start()
    assert ca_digest(s) == ca
    s.stop()
    s.env["CERTCTL_CA_PASSPHRASE"] = "wrong horse battery"
    text = refused(s, "passphrase")
    assert "horse" not in text
    s.env |= {"CERTCTL_CA_PASSPHRASE": None, "CERTCTL_CA_PASSPHRASE_FILE": str(tmp_path / "gone")}
    refused(s, "CERTCTL_CA_PASSPHRASE_FILE", "gone")


# --- what stops it ---


@ROOT_ONLY
def test_state_folder_below_a_closed_one_is_said_in_one_line(place, tmp_path):
    s = place()
    closed = s.folder / "closed"
    closed.mkdir(mode=0o700)
    s.state = closed / "state"
    text = refused(s, "CERTCTL_STATE_DIR", "closed to other users")
    assert text.count('"ERROR"') == 1, text


def test_state_folder_that_cannot_be_made_is_said(place):
    s = place()
    (s.folder / "file").write_text("")
    s.state = s.folder / "file/state"
    refused(s, "file/state")


def test_newer_schema_is_refused(place):
    s = place().start()
    s.stop()
    subprocess.run(["sqlite3", s.state / "certctl.db", "insert into schema_migrations (version) values ('999999_future.sql')"], check=True)
    refused(s, "schema")
    assert check(s).returncode == 1


def test_store_that_is_no_database_is_refused(place):
    s = place()
    s.state.mkdir()
    (s.state / "certctl.db").write_bytes(b"not a database at all, but long enough to have a header\n" * 200)
    refused(s, "certctl.db")


def test_sandbox_off_warns_at_each_start_and_shows_in_ready(place):
    s = place(CERTCTL_SANDBOX="off").start()
    assert s.call("GET", "/ready", key=None).json["sandbox"] == "off"
    assert "running without confinement" in s.log()


# --- --check ---


def test_check_before_the_first_start_makes_nothing(place):
    s = place()
    before = snapshot(s.folder)
    done = check(s)
    assert done.returncode == 0 and "the first start makes it" in done.stdout, done
    assert snapshot(s.folder) == before


def test_check_of_a_good_state_changes_nothing(place):
    s = place().start()
    s.parents()
    s.stop()
    before = snapshot(s.folder)
    done = check(s)
    assert done.returncode == 0 and [line.split()[0] for line in done.stdout.splitlines()] == ["settings", "files", "store", "ca", "sandbox", "port"], done
    assert snapshot(s.folder) == before


@pytest.mark.parametrize("setting", ["CERTCTL_SERVER_TLS_KEY_PATH", "CERTCTL_CA_PASSPHRASE_FILE"])
def test_check_names_the_setting_whose_file_is_missing(place, tmp_path, setting):
    there = tmp_path / "there.pem"
    there.write_text("x")
    done = check(place(), **{"CERTCTL_SERVER_TLS_CERT_PATH": str(there), "CERTCTL_SERVER_TLS_KEY_PATH": str(there), setting: "/nowhere/file"})
    assert done.returncode == 1, done
    assert re.search(rf"^files +{setting} .*/nowhere/file", done.stdout, re.M), done.stdout


def test_check_beside_a_running_server_says_the_port_is_in_use(place):
    s = place().start()
    done = check(s)
    assert done.returncode == 1 and "address already in use" in done.stdout, done
    assert s.get("/teams").status == 200
    assert check(s, CERTCTL_SERVER_PORT=str(free_port())).returncode == 0


def test_check_of_bad_states_says_which(place):
    s = place()
    s.state.mkdir()
    (s.state / "certctl.db").write_bytes(b"no database" * 500)
    before = snapshot(s.folder)
    done = check(s)
    assert done.returncode == 1 and any(line.startswith("store") and "certctl.db" in line for line in done.stdout.splitlines()), done
    assert snapshot(s.folder) == before
    done = check(s, CERTCTL_SERVER_PORT="0")
    assert done.returncode == 1 and "CERTCTL_SERVER_PORT" in done.stderr, done


@pytest.mark.parametrize("args, code, where", [(["--help"], 0, "usage"), (["--version"], 0, "certctl-server"), (["--nonsense"], 2, "--nonsense"), (["extra"], 2, "extra")])
def test_arguments(args, code, where):
    done = subprocess.run([BIN / "certctl-server", *args], capture_output=True, text=True, timeout=30)
    assert done.returncode == code and where in done.stdout + done.stderr


# --- stopping ---


def test_sigterm_under_load_answers_what_it_took_on(place, tmp_path):
    """Every request that was begun gets its whole answer or a closed connection before it; every 201 is stored; exit 0."""
    s = place().start()
    s.parents()
    made, torn, stop = [], [], threading.Event()

    def work(n):
        i = 0
        while not stop.is_set():
            i += 1
            try:
                r = s.post("/teams", {"id": f"t-{n}-{i}", "name": f"team {n} {i}"}, timeout=20)
            except OSError:
                return
            except Exception as e:  # half an answer
                if type(e).__name__ != "RemoteDisconnected":
                    torn.append(repr(e))
                return
            if r.status == 201:
                made.append(r.json["id"])
            elif r.status != 503:
                torn.append(repr(r))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for t in threads:
        t.start()
    until(lambda: len(made) > 40, 30, "some load")
    began = time.monotonic()
    code = s.stop()
    stop.set()
    for t in threads:
        t.join(30)
    assert code == 0 and time.monotonic() - began < 20 and not torn, torn[:3]
    s.start()
    have = set()
    page = 1
    while True:
        data = s.get(f"/teams?per_page=500&page={page}").json["data"]
        have |= {x["id"] for x in data}
        if len(data) < 500:
            break
        page += 1
    assert set(made) <= have, len(set(made) - have)


def test_network_process_killed_comes_back(place):
    s = place().start()
    s.made("/teams", {"id": "t-before", "name": "before"})
    first = s.children()
    os.kill(first["net"], signal.SIGKILL)
    until(lambda: {"net", "signer"} <= s.children().keys() and s.children()["net"] != first["net"], 20, "a new network process")
    s.ready()
    assert s.get("/teams/t-before").status == 200
    assert s.children()["signer"] != first["signer"]  # both are started anew
    assert s.log().count("both are started anew") == 1
