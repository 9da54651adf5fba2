"""Malformed HTTP/1.1 over real sockets, directly and behind a real nginx.

    test_http_strict.py [--program build-asan/tests/load/bare_app]
    test_http_strict.py --url https://127.0.0.1:8443 --ca ca.pem [--good /health] [--count-path P --handled RE --refused RE]

The first form starts the program with an identity of its own; the second tests a server that runs already.
Under pytest the program is that of the build folder in BUILD, else of the newest one.
"""
import argparse
import glob
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from urllib.parse import urlsplit

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from stack import Server, free_port  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DATA = os.path.join(ROOT, "..", "shared", "data", "http-malformed.jsonl")

# The kinds that must be refused whether or not the shared data is there; {p} is the good path.
OWN = [
    ("two Content-Length, equal", "POST {p} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
    ("CL with blank inside", "POST {p} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1 0\r\n\r\n"),
    ("CL hex", "POST {p} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0x0\r\n\r\n"),
    ("TE chunked, identity", "POST {p} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
    ("TE with vertical tab", "POST {p} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"),
    ("TE then CL", "POST {p} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n0\r\n\r\n"),
    ("TE space before colon", "POST {p} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
    ("chunk size with blank", "POST {p} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n"),
    ("chunk extension with LF", "POST {p} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5;a\nb\r\nhello\r\n0\r\n\r\n"),
    ("trailer folded", "POST {p} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n c\r\n\r\n"),
    ("leading blank in first header", "GET {p} HTTP/1.1\r\n Host: localhost\r\n\r\n"),
    ("Host with path", "GET {p} HTTP/1.1\r\nHost: localhost/x\r\n\r\n"),
    ("empty Host", "GET {p} HTTP/1.1\r\nHost:\r\n\r\n"),
    ("absolute target without host", "GET http:/// HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ("unknown method", "BREW {p} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ("CONNECT", "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost:80\r\n\r\n"),
    ("two spaces in request line", "GET  {p} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ("target too long", "GET /" + "a" * 9000 + " HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ("header too large", "GET {p} HTTP/1.1\r\nHost: localhost\r\nX: " + "a" * 17000 + "\r\n\r\n"),
    ("too many headers", "GET {p} HTTP/1.1\r\nHost: localhost\r\n" + "X: a\r\n" * 70 + "\r\n"),
    ("no version", "GET {p}\r\nHost: localhost\r\n\r\n"),
]


def cases(good):
    rows = [(name, text.replace("{p}", good)) for name, text in OWN]
    if os.path.exists(DATA):
        with open(DATA, encoding="utf-8") as f:
            for line in f:
                row = json.loads(line)
                rows.append((row["name"], row["request"].replace(" /health ", f" {good} ")))
    else:
        print("shared data is not there: only the cases of this file")
    return [(name, text.encode("latin-1")) for name, text in rows]


def answers(data):
    """Status codes of the responses in a byte stream; every byte must belong to one."""
    codes = []
    while data:
        head, sep, rest = data.partition(b"\r\n\r\n")
        m = re.match(rb"HTTP/1\.[01] (\d{3})", head)
        assert sep and m, f"not a response: {data[:80]!r}"
        code = int(m.group(1))
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        if length is None and re.search(rb"(?i)\r\ntransfer-encoding: *chunked", head):
            end = rest.index(b"0\r\n\r\n") + 5
        elif length is None and code not in (204, 304):
            end = len(rest)
        else:
            end = int(length.group(1)) if length else 0
        assert len(rest) >= end, f"response cut off: {data[:80]!r}"
        codes.append(code)
        data = rest[end:]
    return codes


class Target:
    """The server under test: opens connections, and tells what it counted: (path, handled regexp, refused regexp) or a function."""

    def __init__(self, host, port, ca, good, count=None):
        self.host, self.port, self.good, self.count_spec = host, port, good, count
        self.context = ssl.create_default_context(cafile=ca)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_3

    def connect(self):
        s = self.context.wrap_socket(socket.create_connection((self.host, self.port), 10), server_hostname="localhost")
        s.settimeout(10)
        return s

    def good_request(self):
        return f"GET {self.good} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()

    def counts(self):
        """(handled, refused or None) as the server has them now, without the requests that ask for it."""
        if not self.count_spec:
            return None
        if callable(self.count_spec):
            return self.count_spec()
        path, handled, refused = self.count_spec
        with self.connect() as s:
            s.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            text = read_all(s).decode()
        body = text.partition("\r\n\r\n")[2]
        return tuple(sum(int(x) for x in re.findall(rx, body)) for rx in (handled, refused))


def read_all(s):
    """Everything until the peer closes. Fails if it does not."""
    data = b""
    while True:
        try:
            part = s.recv(65536)
        except (ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
            break
        if not part:
            break
        data += part
    return data


def one_good(target):
    with target.connect() as s:
        s.sendall(target.good_request())
        data = b""
        while b"\r\n\r\n" not in data:
            part = s.recv(65536)
            assert part, "connection closed before an answer"
            data += part
    assert data.startswith(b"HTTP/1.1 200"), data[:60]


def check_direct(target):
    n = 0
    for name, request in cases(target.good):
        before = target.counts()
        one_good(target)
        with target.connect() as s:
            s.sendall(request + target.good_request() * 2)
            try:
                codes = answers(read_all(s))
            except socket.timeout:
                raise AssertionError(f"{name}: the connection stays open") from None
        right = codes == [] or (len(codes) == 1 and (400 <= codes[0] < 500 or codes[0] in (501, 505)))
        assert right, f"{name}: answered {codes}"
        one_good(target)
        if before:
            after = target.counts()
            assert after[0] - before[0] == 2, f"{name}: {after[0] - before[0]} requests handled, not the 2 good ones"
            assert before[1] is None or after[1] - before[1] == len(codes), f"{name}: {after[1] - before[1]} refusals counted, {len(codes)} answered"
        n += 1
    print(f"direct: {n} malformed requests refused, {2 * n} good ones answered")
    return n


NGINX = """
daemon off;
{user}
pid {dir}/nginx.pid;
error_log {dir}/error.log;
events {{ worker_connections 256; }}
http {{
  client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
  log_format passed '$upstream_addr|$upstream_status|$status|$request';
  access_log {dir}/access.log passed;
  upstream server {{ server {host}:{port}; keepalive 4; }}
  server {{
    listen 127.0.0.1:{front};
    location / {{
      proxy_pass https://server;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host localhost;
      proxy_ssl_protocols TLSv1.3;
      proxy_next_upstream off;
      proxy_request_buffering {buffering};
    }}
  }}
}}
"""


def ask_nginx(port, data):
    """Sends, then reads what comes until nginx closes or is silent."""
    with socket.create_connection(("127.0.0.1", port), 10) as s:
        s.settimeout(0.4)
        s.sendall(data)
        got = b""
        try:
            while True:
                part = s.recv(65536)
                if not part:
                    break
                got += part
        except (socket.timeout, ConnectionResetError):
            pass
    return got


def check_proxied(target, buffering):
    """What nginx passed on, and with which answer, is exactly what the server counted: no request hides in another."""
    front = free_port()
    with tempfile.TemporaryDirectory() as d:
        conf = os.path.join(d, "nginx.conf")
        user = "user root;" if os.getuid() == 0 else ""
        with open(conf, "w", encoding="utf-8") as f:
            f.write(NGINX.format(dir=d, host=target.host, port=target.port, front=front, buffering=buffering, user=user))
        nginx = subprocess.Popen([shutil.which("nginx") or "/usr/sbin/nginx", "-p", d, "-c", conf, "-e", os.path.join(d, "error.log")])
        try:
            wait_port(front)
            before = target.counts()
            good = target.good_request()
            body = f"POST {target.good} HTTP/1.1\r\nHost: localhost\r\n".encode()
            extra = [
                ("pipelined", good * 3),
                ("bodies", body + b"Content-Length: 5\r\n\r\nhello" + good),
                ("chunks", body + b"Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nA: b\r\n\r\n" + good),
                ("a request in a body", body + f"Content-Length: {len(good)}\r\n\r\n".encode() + good + good),
                ("a request in a chunk", body + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(good) + good + b"\r\n0\r\n\r\n" + good),
            ]
            for _, request in cases(target.good) + extra:
                ask_nginx(front, request + good)
            nginx.terminate()
            nginx.wait(20)
            with open(os.path.join(d, "access.log"), encoding="utf-8") as f:
                rows = [line.rstrip("\n").split("|", 3) for line in f]
        finally:
            if nginx.poll() is None:
                nginx.kill()
                nginx.wait()
    passed = [r for r in rows if r[0] != "-"]
    ours = [r for r in passed if r[1] != "-"]
    handled = [r for r in ours if r[1] == "200"]
    assert len(handled) >= 12, "nginx passed on hardly anything: the test shows nothing"
    assert all(r[1] == "200" or 400 <= int(r[1]) < 500 or r[1] in ("501", "505") for r in ours), [r for r in ours if r[1][0] == "5"]
    print(f"behind nginx (buffering {buffering}): {len(rows)} requests seen by nginx, {len(passed)} passed on, {len(handled)} handled")
    if before:
        after = target.counts()
        assert after[0] - before[0] == len(handled), f"we handled {after[0] - before[0]}, nginx logged {len(handled)}"
        if before[1] is None:
            return
        refused = len(ours) - len(handled)
        cut = len(passed) - len(ours)  # nginx gave up before our answer: it may or may not have been sent
        assert refused <= after[1] - before[1] <= refused + cut, f"we refused {after[1] - before[1]}, nginx logged {refused} (and {cut} cut off)"


def wait_port(port):
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"nothing listens on port {port}")


def find_program():
    build = os.environ.get("BUILD", "build*")
    found = glob.glob(os.path.join(ROOT, build, "tests", "load", "bare_app"))
    return max(found, key=os.path.getmtime) if found else None


class Program:
    """bare_app with an identity made for the occasion."""

    def __init__(self, path):
        self.dir = tempfile.mkdtemp()
        self.cert, key = os.path.join(self.dir, "cert.pem"), os.path.join(self.dir, "key.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                        "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", self.cert],
                       check=True, stderr=subprocess.DEVNULL)
        self.process = subprocess.Popen([path, "--cert", self.cert, "--key", key], stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().split()[-1])

    def stop(self):
        self.process.terminate()
        code = self.process.wait(20)
        shutil.rmtree(self.dir)
        assert code == 0, f"server ended with {code}"


def run_all(target):
    check_direct(target)
    for buffering in ("on", "off"):
        check_proxied(target, buffering)


def test_http_strict():
    program = find_program()
    assert program, "bare_app is not built"
    run_program(program)


def test_http_strict_server(tmp_path):
    server = Server(tmp_path).start()
    try:
        asked = [0]

        def counts():
            asked[0] += 1  # the earlier ones are in the figure; this one never is, which cancels out
            return server.get("/metrics").json["counter"]["http_requests_total"] - asked[0], None

        run_all(Target("127.0.0.1", server.port, str(server.ca), "/health", counts))
    finally:
        server.stop()


def run_program(path):
    p = Program(path)
    try:
        run_all(Target("127.0.0.1", p.port, p.cert, "/health", ("/count", r'"handled":(\d+)', r'"refused":(\d+)')))
    finally:
        p.stop()


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--program")
    a.add_argument("--url")
    a.add_argument("--ca")
    a.add_argument("--good", default="/health")
    a.add_argument("--count-path")
    a.add_argument("--handled", default=r'"handled":(\d+)')
    a.add_argument("--refused", default=r'"refused":(\d+)')
    o = a.parse_args()
    if o.url:
        u = urlsplit(o.url)
        count = (o.count_path, o.handled, o.refused) if o.count_path else None
        run_all(Target(u.hostname, u.port or 8443, o.ca, o.good, count))
    else:
        program = o.program or find_program()
        if not program:
            sys.exit("bare_app is not built; name it with --program")
        run_program(program)
    print("http strictness: all right")


if __name__ == "__main__":
    main()
