"""Faults of the running server: no room on the disk, killed signer, full queue, slow clients, memory, secrets, a clock that steps."""
import asyncio
import contextlib
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

from stack import BIN, Server, make_csr, memory, until

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="mounts, or reads another process")
NGINX = {"cert_path": "/tmp/site.crt", "key_path": "/tmp/site.key", "validate_command": "nginx -t", "reload_command": "nginx -s reload"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    s = Server(tmp_path_factory.mktemp("faults-plain"), ASAN_OPTIONS="quarantine_size_mb=1:detect_leaks=0").start()
    s.common = s.parents()
    yield s
    s.finish()


def tls_socket(s, timeout=30):
    return ssl._create_unverified_context().wrap_socket(socket.create_connection(("127.0.0.1", s.port), timeout), server_hostname="localhost")


def sound(s):
    """After its end the store is whole and the signer's record too."""
    text = subprocess.run(["sqlite3", s.state / "certctl.db", "pragma integrity_check; pragma foreign_key_check"], capture_output=True, text=True).stdout
    assert text.strip() == "ok", text
    done = subprocess.run([BIN / "certctl-signer", "record", "check"], env=s.environment(), capture_output=True, text=True)
    assert done.returncode == 0 and "every sum is right" in done.stdout, done


# --- disk full ---


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 24 MB, and a function that takes all its room."""
    disk = tmp_path / "disk"
    disk.mkdir()
    for d in (disk, tmp_path, tmp_path.parent, tmp_path.parent.parent):
        d.chmod(d.stat().st_mode | 0o011)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=755", "none", disk], check=True)

    def fill():
        fd = os.open(disk / "fill", os.O_WRONLY | os.O_CREAT)
        with contextlib.suppress(OSError):
            while True:
                os.write(fd, bytes(4096))
        os.close(fd)

    yield disk, fill
    subprocess.run(["umount", "-l", disk], check=True)


@ROOT_ONLY
def test_disk_full(place, small_disk, tmp_path):
    """Without room every change is refused with a clear message, nothing is half stored, reads go on; with room all goes on."""
    disk, fill = small_disk
    s = place()
    s.state = disk / "state"
    s.start()
    common = s.parents()
    a = s.agent("full")
    s.made("/targets", {"id": "tgt-full", "name": "t", "type": "NGINX", "agent_id": a["id"], "config": NGINX})
    c = s.made("/certificates", {**common, "name": "full", "common_name": "full.test", "target_ids": ["tgt-full"]})
    csr, _ = make_csr(tmp_path, ["DNS:full.test"])
    fill()
    made, refused = [], 0
    for i in range(400):
        r = s.post("/teams", {"id": f"t-{i}", "name": f"team {i}", "description": "x" * 2000})
        if r.status == 201:
            made.append(f"t-{i}")
            continue
        assert r.status == 503 and "full" in r.json["message"] and r.headers["Retry-After"], r
        refused += 1
        if refused == 3:
            break
    assert refused == 3
    r = s.post(f"/agents/{a['id']}/csr", {"csr_pem": csr, "certificate_id": c["id"]}, key=a["api_key"])
    assert r.status in (500, 503) and r.json["message"], r
    assert s.get("/teams?per_page=1").status == 200 and s.call("GET", "/health", key=None).status == 200
    assert s.get(f"/certificates/{c['id']}/versions").json["total"] == 0
    job = s.get(f"/jobs?certificate_id={c['id']}").json["data"][0]
    assert job["status"] == "AwaitingCSR" and job["attempts"] == 0
    (disk / "fill").unlink()
    until(lambda: s.post("/teams", {"id": "t-after", "name": "after"}).status in (201, 409), 20, "a change after there is room")
    until(lambda: s.post(f"/agents/{a['id']}/csr", {"csr_pem": csr, "certificate_id": c["id"]}, key=a["api_key"]).status == 202, 20, "issuance")
    assert s.get(f"/certificates/{c['id']}/versions").json["total"] == 1
    have = {x["id"] for x in s.get("/teams?per_page=500").json["data"]}
    assert have == {*made, "t-after", "t-test"}
    audited = {x["resource_id"] for x in s.get("/audit?action=create_team&per_page=500").json["data"]}
    assert audited == have
    assert s.stop() == 0
    sound(s)
    assert "disk" in s.log()


# --- the signer dies ---


def issuable(s, name):
    """An agent, a certificate of its and a target: (agent, certificate) for a CSR."""
    a = s.agent(name)
    s.made("/targets", {"id": f"tgt-{name}", "name": "t", "type": "NGINX", "agent_id": a["id"], "config": NGINX})
    return a, s.made("/certificates", {**s.common, "name": name, "common_name": "www.example.test", "target_ids": [f"tgt-{name}"]})


def test_signer_that_falls_silent_is_started_anew(place, tmp_path):
    """Stopped, not dead: the request in hand ends with 503, both processes come anew, the same request is signed once."""
    s = place().start()
    s.common = s.parents()
    a, c = issuable(s, "silent")
    csr, _ = make_csr(tmp_path, ["DNS:www.example.test"])
    kids = s.children()
    os.kill(kids["signer"], signal.SIGSTOP)
    with contextlib.suppress(OSError, http.client.HTTPException):  # the answer may be cut off with its process
        assert s.post(f"/agents/{a['id']}/csr", {"csr_pem": csr, "certificate_id": c["id"]}, key=a["api_key"]).status == 503
    until(lambda: len(now := s.children()) == 2 and not set(now.values()) & set(kids.values()), 120, "both children anew")
    s.ready()
    assert "signer gave no answer in time" in s.log()
    assert s.post(f"/agents/{a['id']}/csr", {"csr_pem": csr, "certificate_id": c["id"]}, key=a["api_key"]).status == 202
    assert s.get(f"/certificates/{c['id']}/versions").json["total"] == 1
    s.stop()
    sound(s)


def test_signer_killed_in_the_middle_of_a_batch(place, tmp_path):
    """Clients ask again after a 503 or a torn connection. In the end each has one leaf, and the signer signed once for each."""
    agents, each = 8, 4
    s = place().start()
    common = s.parents()
    work = []
    for n in range(agents):
        a = s.agent(f"batch-{n}")
        s.made("/targets", {"id": f"tgt-{n}", "name": "t", "type": "NGINX", "agent_id": a["id"], "config": NGINX})
        for k in range(each):
            c = s.made("/certificates", {**common, "name": f"batch {n} {k}", "common_name": "batch.test", "target_ids": [f"tgt-{n}"]})
            work.append((a, c["id"]))
    csr, _ = make_csr(tmp_path, ["DNS:batch.test"])
    answers, strange = {}, []
    ca = s.ca  # read once: the file is written anew at each look

    def one(part):
        for a, c in part:
            end = time.monotonic() + 60
            while time.monotonic() < end:
                try:
                    r = s.call("POST", f"/api/v1/agents/{a['id']}/csr", {"csr_pem": csr, "certificate_id": c}, key=a["api_key"], verify=False, timeout=20)
                except (OSError, http.client.HTTPException):
                    time.sleep(0.05)
                    continue
                if r.status == 202:
                    answers[c] = answers.get(c, 0) + 1
                    break
                if r.status != 503 or not r.headers["Retry-After"]:
                    strange.append(repr(r))
                    break
                time.sleep(0.05)

    threads = [threading.Thread(target=one, args=(work[i::agents],)) for i in range(agents)]
    for t in threads:
        t.start()
    kills, killed = 0, {}
    for left in (agents * each * 3 // 4, agents * each // 2, agents * each // 4):
        until(lambda: len(work) - len(answers) <= left or strange, 60, "progress")
        kids = s.children()
        if "signer" in kids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(kids["signer"], signal.SIGKILL)
                killed, kills = kids, kills + 1
    for t in threads:
        t.join(90)
    assert not strange and kills >= 2 and len(answers) == len(work), (strange[:2], kills, len(answers))
    # The network process of a killed signer answers for a moment yet.
    until(lambda: len(now := s.children()) == 2 and not set(now.values()) & set(killed.values()), 30, "both children anew")
    s.ready()
    serials = set()
    for _, c in work:
        versions = s.get(f"/certificates/{c}/versions").json
        assert versions["total"] == 1, (c, versions["total"])
        serials.add(versions["data"][0]["serial_number"])
        jobs = s.get(f"/jobs?certificate_id={c}").json["data"]
        assert sorted((j["type"], j["status"]) for j in jobs) == [("Deployment", "Pending"), ("Issuance", "Completed")]
    assert len(serials) == len(work) and ca.exists()
    s.stop()
    dump = subprocess.run([BIN / "certctl-signer", "record", "dump"], env=s.environment(), capture_output=True, text=True, check=True).stdout
    refs = [x["ref"] for x in map(json.loads, dump.splitlines()) if x["kind"] == "signature" and x["context"]]
    assert len(refs) == len(set(refs)) == len(work)
    sound(s)


# --- more than it can do ---


async def crowd(port, count, request):
    """Status lines of many connections that ask at the same time; None for one that was closed unanswered."""
    ctx = ssl._create_unverified_context()

    async def one(n):
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=ctx, server_hostname="localhost")
            writer.write(request(n))
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
            writer.close()
            return head.decode()
        except (OSError, asyncio.IncompleteReadError):
            return None

    return await asyncio.gather(*(one(n) for n in range(count)))


def test_full_queue_is_503_with_retry_after(server):
    """Somebody else holds the store; requests wait, the queue fills, what does not fit is told to come back."""
    holder = subprocess.Popen(["sqlite3", server.state / "certctl.db"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    holder.stdin.write(".timeout 5000\nbegin immediate;\nselect 'held';\n")
    holder.stdin.flush()
    assert holder.stdout.readline().strip() == "held"

    def request(n):
        body = json.dumps({"id": f"t-crowd-{n}", "name": f"crowd {n}"}).encode()
        return (f"POST /api/v1/teams HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {server.key}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n").encode() + body

    release = threading.Timer(8, lambda: (holder.stdin.write("rollback;\n.quit\n"), holder.stdin.flush()))
    release.start()
    try:
        heads = asyncio.run(crowd(server.port, 1300, request))
    finally:
        release.join()
        holder.wait(10)
    statuses = [h.split(" ", 2)[1] if h else "closed" for h in heads]
    assert set(statuses) <= {"201", "503"}, {x: statuses.count(x) for x in set(statuses)}
    busy = [h for h in heads if h and " 503 " in h.split("\r\n")[0]]
    assert busy and all("retry-after:" in h.lower() for h in busy), len(busy)
    total = server.get("/teams?name=none").json["total"]
    assert total == 0
    count = subprocess.run(["sqlite3", server.state / "certctl.db", "select count(*) from teams where id like 't-crowd-%'"], capture_output=True, text=True).stdout
    assert int(count) == statuses.count("201")
    assert server.post("/teams", {"name": "after the crowd"}).status == 201


def test_slow_and_idle_clients_are_cut(server):
    """A head must be there within 5 s of its beginning, a handshake too; a client that says nothing does not keep others out."""
    raw = [socket.create_connection(("127.0.0.1", server.port), 20) for _ in range(20)]
    half = tls_socket(server)
    half.sendall(b"GET /health HTTP/1.1\r\nHost: loc")
    drip = tls_socket(server)
    began = time.monotonic()
    ends = {}

    def watch(name, sock, byte=None):
        sock.settimeout(1)
        while time.monotonic() - began < 20:
            try:
                if byte:
                    sock.sendall(byte)
                if not sock.recv(4096):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        ends[name] = time.monotonic() - began

    drip.sendall(b"GET /health HTTP/1.1\r\nX: ")
    threads = [threading.Thread(target=watch, args=a) for a in (("raw", raw[0]), ("half", half), ("drip", drip, b"x"))]
    for t in threads:
        t.start()
    assert server.call("GET", "/health", key=None).status == 200
    for t in threads:
        t.join(25)
    for s in raw + [half, drip]:
        s.close()
    assert all(3.5 < v < 9 for v in ends.values()) and len(ends) == 3, ends


# --- memory ---


def rss_kib(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])


def hammer(s, requests, threads=3):
    """Good and bad requests over kept connections."""
    ctx = ssl._create_unverified_context()
    key = {"Authorization": f"Bearer {s.key}"}
    calls = [("GET", "/api/v1/teams?per_page=20", None, key, 200), ("GET", "/health", None, {}, 200), ("POST", "/api/v1/teams", b'{"name":', key, 400),
             ("GET", "/api/v1/teams/none", None, key, 404), ("GET", "/api/v1/certificates", None, {"Authorization": "Bearer wrong"}, 401),
             ("PUT", "/api/v1/teams/t-test", b'{"description":"x"}', key, 200), ("GET", "/api/v1/certificates?status=Active", None, key, 200)]
    bad = []

    def run(count):
        conn = http.client.HTTPSConnection("localhost", s.port, context=ctx, timeout=30)
        for i in range(count):
            method, path, body, head, want = calls[i % len(calls)]
            conn.request(method, path, body, head)
            r = conn.getresponse()
            text = r.read()
            if r.status != want:
                bad.append((method, path, r.status, text[:200]))
        conn.close()

    pool = [threading.Thread(target=run, args=(requests // threads,)) for _ in range(threads)]
    for t in pool:
        t.start()
    for t in pool:
        t.join()
    assert not bad, bad[:5]


def test_memory_is_flat_over_10000_requests(server):
    pid = server.children()["net"]
    sanitized = b"__asan_init" in (BIN / "certctl-server").read_bytes()
    hammer(server, 8000)
    before, seen = rss_kib(pid), []
    for _ in range(3):  # on a busy machine more threads may have come; what leaks grows each time
        hammer(server, 10000)
        after = rss_kib(pid)
        seen.append((before, after))
        if after - before < (before // 10 if sanitized else 2048):
            break
        before = after
    else:
        pytest.fail(f"grows with each 10,000 requests: {seen} KiB")
    assert server.children()["net"] == pid


# --- secrets ---


@ROOT_ONLY
def test_canary_secrets_are_nowhere(place, tmp_path):
    """Keys, token and passphrase in no log, file or reply; passphrase and CA key not in the network process either."""
    ca, ca_key = tmp_path / "ca.pem", tmp_path / "ca.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "900", "-subj", "/CN=Canary CA", "-keyout", ca_key,
                    "-out", ca, "-addext", "keyUsage=critical,keyCertSign,cRLSign"], check=True, capture_output=True)
    text = subprocess.run(["openssl", "pkey", "-in", ca_key, "-noout", "-text"], check=True, capture_output=True, text=True).stdout
    scalar = bytes.fromhex("".join(re.search(r"priv:(.*?)pub:", text, re.S)[1].replace(":", "").split())).lstrip(b"\0").rjust(32, b"\0")
    fixed = {"admin key": "canary-admin-9d1f", "reader key": "canary-reader-77aa", "token": "canary-token-51cc", "passphrase": "canary-passphrase-e0e0"}
    s = place(CERTCTL_API_KEYS_NAMED=f"root:{fixed['admin key']}:admin,reader:{fixed['reader key']}", CERTCTL_AGENT_BOOTSTRAP_TOKEN=fixed["token"],
              CERTCTL_CA_PASSPHRASE=fixed["passphrase"], CERTCTL_CA_CERT_PATH=str(ca), CERTCTL_CA_KEY_PATH=str(ca_key), CERTCTL_LOG_LEVEL="debug")
    s.key = fixed["admin key"]
    s.start()
    common = s.parents()
    a = s.post("/agents", {"name": "canary", "hostname": "h"}, key=fixed["token"]).json
    fixed["agent key"] = a["api_key"]
    s.made("/targets", {"id": "tgt", "name": "t", "type": "NGINX", "agent_id": a["id"], "config": NGINX})
    c = s.made("/certificates", {**common, "name": "canary", "common_name": "canary.test", "target_ids": ["tgt"]})
    csr, _ = make_csr(tmp_path, ["DNS:canary.test"])
    replies = [s.post(f"/agents/{a['id']}/csr", {"csr_pem": csr, "certificate_id": c["id"]}, key=a["api_key"])]
    assert replies[0].status == 202
    for key in (*(v for k, v in fixed.items() if k != "passphrase"), "canary-wrong"):
        for path in ("/agents", "/audit?per_page=500", "/jobs", "/certificates", "/issuers", "/metrics", "/openapi.json", "/auth/me", f"/agents/{a['id']}", "/nothing",
                     f"/agents/{a['id']}/work", f"/agents/{a['id']}/certificates/{c['id']}"):
            replies.append(s.get(path, key=key))
        replies.append(s.post("/teams", raw=f'{{"name": "{key}" '.encode(), key=key))
    for name, secret in fixed.items():
        for r in replies:
            where = r.body.decode(errors="replace") + str(r.headers)
            assert secret not in where.replace(f'{{\\"name\\": \\"{secret}', ""), (name, r)
    kids = s.children()
    images = {who: list(memory(pid)) for who, pid in (("net", kids["net"]), ("supervisor", s.proc.pid))}
    for what in (fixed["passphrase"].encode(), scalar, b"BEGIN EC PRIVATE", ca_key.read_bytes()[40:80]):
        assert not any(what in piece for piece in images["net"]), what
    assert not any(scalar in piece for piece in images["supervisor"])
    for pid in (s.proc.pid, *kids.values()):
        for file in ("environ", "cmdline"):
            blob = pathlib.Path(f"/proc/{pid}/{file}").read_bytes()
            assert not [n for n, secret in fixed.items() if secret.encode() in blob], (pid, file)
    s.stop()
    fixed["CA key"] = scalar.decode("latin-1")
    for path in [*s.folder.rglob("*")]:
        if path.is_file():
            blob = path.read_bytes()
            found = [n for n, secret in fixed.items() if secret.encode("latin-1") in blob]
            assert not found and (b"PRIVATE KEY" not in blob or path.name == "server.key"), (path, found)


# --- the clock ---


def test_clock_step(place, tmp_path):
    """The wall clock jumps a year ahead and back: handshakes, jobs and loops go on."""
    library = next(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
    if not library:
        pytest.skip("libfaketime is not here")
    stamp = tmp_path / "offset"
    for d in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        d.chmod(d.stat().st_mode | 0o011)

    def step(text):
        (tmp_path / "next").write_text(text)
        (tmp_path / "next").chmod(0o644)
        os.replace(tmp_path / "next", stamp)

    step("+0d")
    s = place(LD_PRELOAD=str(library), FAKETIME_TIMESTAMP_FILE=str(stamp), FAKETIME_NO_CACHE="1", FAKETIME_DONT_FAKE_MONOTONIC="1", CERTCTL_SANDBOX="off",
              ASAN_OPTIONS="verify_asan_link_order=0:detect_leaks=0", CERTCTL_SCHEDULER_JOB_PROCESSOR_INTERVAL="1s")
    s.start()
    common = s.parents()
    a = s.agent("clock")
    s.made("/targets", {"id": "tgt", "name": "t", "type": "NGINX", "agent_id": a["id"], "config": NGINX})

    def issue(name):
        c = s.made("/certificates", {**common, "name": name, "common_name": f"{name}.test", "target_ids": ["tgt"]})
        csr, _ = make_csr(tmp_path, [f"DNS:{name}.test"])
        r = s.call("POST", f"/api/v1/agents/{a['id']}/csr", {"csr_pem": csr, "certificate_id": c["id"]}, key=a["api_key"], verify=False)
        assert r.status == 202, r
        return s.call("GET", f"/api/v1/certificates/{c['id']}/versions", verify=False).json["data"][0]

    def work():
        return s.call("GET", f"/api/v1/agents/{a['id']}/work", key=a["api_key"], verify=False).json["jobs"] or []

    made = s.made

    def unverified(path, body):
        r = s.call("POST", "/api/v1" + path, body, verify=False)
        assert r.status == 201, r
        return r.json

    now = issue("now")
    year = time.gmtime().tm_year
    assert now["not_before"].startswith(str(year))
    jobs = {j["id"] for j in work()}
    assert len(jobs) == 1
    s.made = unverified
    step("+365d")
    until(lambda: s.call("GET", "/health", key=None, verify=False).status == 200, 10, "an answer")
    ahead = issue("ahead")
    assert ahead["not_before"][:4] == str(year + 1)
    step("+0d")
    back = issue("back")
    assert back["not_before"][:4] == str(year)
    s.made = made
    # The deployment that was queued "in a year" has its turn now, once the loop has run.
    until(lambda: len({j["id"] for j in work()}) == 3, 30, "all three deployments")
    assert s.get("/teams").status == 200  # with the certificate checked again
    assert "loop failed" not in s.log()
