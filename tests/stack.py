"""A whole certctl on loopback for tests: server (with its signer), agents, a CA file, and calls to the API."""
import contextlib
import http.client
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = ROOT / os.environ.get("BUILD", "build-asan")  # the Meson tree under test
BIN = BUILD / "src/bin"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def until(check, seconds=20, what="condition"):
    """Calls check until it is true; the last value."""
    end = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        assert time.monotonic() < end, f"{what} not met in {seconds} s"
        time.sleep(0.05)


def memory(pid):
    """Readable and writable memory of a process, piece by piece."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as mem:
        for line in maps:
            span, rights, *_ = line.split()
            start, end = (int(x, 16) for x in span.split("-"))
            if not rights.startswith("rw") or end - start > 1 << 30:
                continue
            with contextlib.suppress(OSError, ValueError):
                mem.seek(start)
                yield mem.read(end - start)


def no_sanitizer_report(log):
    assert "ERROR: AddressSanitizer" not in log and "runtime error" not in log, log[-5000:]


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


class Server:
    """certctl-server on its own state folder. `env` adds settings; key is the caller's API key."""

    def __init__(self, folder, port=None, **env):
        self.folder = pathlib.Path(folder)
        self.state = self.folder / "state"
        self.port = port or free_port()
        self.env = {"CERTCTL_API_KEYS_NAMED": "root:root-key-for-tests:admin,reader:reader-key-for-tests", **env}
        self.key = "root-key-for-tests"
        self.proc = None
        self.log_path = self.folder / "server.log"
        self.folder.mkdir(parents=True, exist_ok=True)
        # As root the server gives root up: what pytest made for root alone must let it through.
        for d in [self.folder, *self.folder.parents]:
            if os.getuid() == 0 and d.is_relative_to("/tmp") and d != pathlib.Path("/tmp"):
                d.chmod(d.stat().st_mode | 0o011)

    @property
    def url(self):
        return f"https://localhost:{self.port}"

    def environment(self):
        base = {k: v for k, v in os.environ.items() if not k.startswith("CERTCTL_")}
        # The leak checker traces its own process at exit, which the confinement forbids; leaks are the unit tests' business.
        base["ASAN_OPTIONS"] = ":".join(filter(None, [base.get("ASAN_OPTIONS"), "detect_leaks=0"]))
        return {**base, "CERTCTL_STATE_DIR": str(self.state), "CERTCTL_SERVER_PORT": str(self.port), **{k: v for k, v in self.env.items() if v is not None}}

    def spawn(self):
        with open(self.log_path, "ab") as log:
            self.proc = subprocess.Popen([BIN / "certctl-server"], env=self.environment(), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        return self

    def start(self, seconds=40):
        self.spawn()
        return self.ready(seconds)

    def ready(self, seconds=40):
        def up():
            assert self.proc.poll() is None, f"server ended with {self.proc.returncode}: {self.log()[-2000:]}"
            try:
                return self.call("GET", "/health", key=None, verify=False).status == 200
            except OSError:
                return False
        until(up, seconds, "server start")
        return self

    @property
    def ca(self):
        """CA file, made from the chain that the server keeps for itself."""
        path = self.folder / "ca.pem"
        text = (self.state / "tls/server.crt").read_text()
        pem = "-----BEGIN" + text.split("-----BEGIN", 2)[2]
        if not path.exists() or path.read_text() != pem:  # replaced whole: threads of a test share it
            part = path.with_suffix(f".{threading.get_ident()}")
            part.write_text(pem)
            part.replace(path)
        return path

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def children(self):
        """pids by role: net, signer."""
        out = {}
        for pid in pathlib.Path(f"/proc/{self.proc.pid}/task/{self.proc.pid}/children").read_text().split():
            try:
                args = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            out["net" if b"--network-process" in args else "signer"] = int(pid)
        return out

    def stop(self, seconds=40):
        if self.proc and self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
            self.proc.wait(seconds)
        return self.proc.returncode if self.proc else None

    def finish(self):
        """Stops it at the end of a test, and looks at what the sanitizers said."""
        self.stop()
        no_sanitizer_report(self.log())

    def kill(self):
        """SIGKILL to the supervisor; its children end with it."""
        kids = self.children() if self.proc.poll() is None else {}
        self.proc.kill()
        self.proc.wait()
        for pid in kids.values():
            until(lambda p=pid: not pathlib.Path(f"/proc/{p}").exists(), 10, "end of a child")

    def call(self, method, path, body=None, key="", headers=None, verify=True, timeout=70, raw=None):
        """One request on a connection of its own. key="": the administrator's; None: no header."""
        if verify:
            ctx = ssl.create_default_context(cafile=str(self.ca))
        else:
            ctx = ssl._create_unverified_context()
        conn = http.client.HTTPSConnection("localhost", self.port, timeout=timeout, context=ctx)
        head = dict(headers or {})
        key = self.key if key == "" else key
        if key is not None:
            head["Authorization"] = f"Bearer {key}"
        data = raw if raw is not None else json.dumps(body).encode() if body is not None else None
        if data is not None:
            head.setdefault("Content-Type", "application/json")
        try:
            conn.request(method, path, data, head)
            r = conn.getresponse()
            return Reply(r.status, r.headers, r.read())
        finally:
            conn.close()

    def get(self, path, **kw):
        return self.call("GET", "/api/v1" + path, **kw)

    def post(self, path, body=None, **kw):
        return self.call("POST", "/api/v1" + path, body if body is not None or "raw" in kw else {}, **kw)

    def put(self, path, body=None, **kw):
        return self.call("PUT", "/api/v1" + path, body, **kw)

    def delete(self, path, **kw):
        return self.call("DELETE", "/api/v1" + path, **kw)

    def made(self, path, body):
        r = self.post(path, body)
        assert r.status == 201, r
        return r.json

    def parents(self):
        """Team, owner; with rp-default and iss-local all that a certificate needs. The common fields."""
        self.made("/teams", {"id": "t-test", "name": "Test"})
        self.made("/owners", {"id": "o-test", "name": "Owner", "email": "o@example.test", "team_id": "t-test"})
        return {"owner_id": "o-test", "team_id": "t-test", "issuer_id": "iss-local", "renewal_policy_id": "rp-default"}

    def agent(self, name):
        """A registered agent: its row with api_key."""
        return self.made("/agents", {"name": name, "hostname": name + ".test"})


def make_csr(folder, names, cn=None, key=("ec", "P-256"), extra=()):
    """(csr PEM, key path) by openssl, for names like "DNS:a.test" or "IP:127.0.0.1"."""
    folder = pathlib.Path(folder)
    path = folder / f"csr-{time.monotonic_ns()}.key"
    alg = ["-algorithm", "EC", "-pkeyopt", f"ec_paramgen_curve:{key[1]}"] if key[0] == "ec" else \
        ["-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{key[1]}"] if key[0] == "rsa" else ["-algorithm", key[0]]
    subprocess.run(["openssl", "genpkey", *alg, "-out", path], check=True, capture_output=True)
    args = ["openssl", "req", "-new", "-key", path, "-subj", f"/CN={cn}" if cn else "/"]
    if names:
        args += ["-addext", "subjectAltName=" + ",".join(names)]
    for e in extra:
        args += ["-addext", e]
    return subprocess.run(args, check=True, capture_output=True, text=True).stdout, path
