"""A server double, a small CA by the openssl program and a real nginx of our own, for tests of the agent alone."""
import contextlib
import hashlib
import http.server
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import threading
import time

NGINX = "/usr/sbin/nginx"


def openssl(*args, stdin=None):
    done = subprocess.run(["openssl", *map(str, args)], input=stdin, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def sha256_of_pem(pem):
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem[: pem.index("-----END CERTIFICATE-----") + 26])).hexdigest()


class Ca:
    def __init__(self, folder):
        self.dir = pathlib.Path(folder)
        self.cert, self.key = self.dir / "ca.pem", self.dir / "ca.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 30,
                "-subj", "/CN=Rig CA", "-keyout", self.key, "-out", self.cert)

    def sign(self, csr_pem, days=20):
        csr = self.dir / "one.csr"
        csr.write_text(csr_pem)
        return openssl("x509", "-req", "-in", csr, "-CA", self.cert, "-CAkey", self.key, "-CAcreateserial",
                       "-copy_extensions", "copy", "-days", days)

    def issue(self, names, stem, days=20):
        """A key and a certificate that the agent has nothing to do with."""
        key, csr, cert = (self.dir / f"{stem}.{x}" for x in ("key", "csr", "pem"))
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={stem}",
                "-addext", f"subjectAltName={names}", "-keyout", key, "-out", csr)
        cert.write_text(self.sign(csr.read_text(), days))
        return cert, key


class Server:
    """The agent's side of the API: jobs in, reports out."""

    def __init__(self, ca, port):
        self.ca, self.port = ca, port
        self.cert, self.key = ca.issue("DNS:localhost,IP:127.0.0.1", "api")
        self.lock = threading.Condition()
        self.jobs, self.versions, self.reports, self.verifications = {}, {}, {}, {}
        self.csrs, self.heartbeats, self.polls, self.instances = [], [], [], []
        self.waits, self.hold, self.retired = True, 20, False
        self.deploy_to = None      # (target_id, config) of the deployment made after a CSR
        self.leaf_of = ca.sign     # what is issued for a CSR
        self.csr_status = 202
        self.http = None
        self.start()

    def start(self):
        rig = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def answer(self, status, body, **headers):
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(data)

            def do_GET(self):
                rig.handle(self, None)

            def do_POST(self):
                rig.handle(self, self.rfile.read(int(self.headers["Content-Length"])))

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(self.cert, self.key)

        class Http(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def get_request(self):
                connection, address = super().get_request()
                connection.settimeout(60)
                return context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

            def handle_error(self, *args):
                pass

            def shutdown_request(self, request):
                with contextlib.suppress(OSError):
                    request.close()

        self.http = Http(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        self.http.shutdown()
        self.http.server_close()

    # --- calls ---

    def handle(self, request, body):
        assert request.headers["Authorization"] == "Bearer rig-key"
        assert len(request.headers["Certctl-Instance"]) == 32
        head, tail = request.path.split("/api/v1", 1)
        assert head == ""
        parts = tail.strip("/").split("/")
        data = json.loads(body) if body else None
        with self.lock:
            try:
                self.route(request, parts, data)
            finally:
                self.lock.notify_all()

    def route(self, request, parts, data):
        instance = request.headers["Certctl-Instance"]
        if instance not in self.instances:
            self.instances.append(instance)
            for job in self.jobs.values():  # the epoch rule: what a dead run held comes back
                if job["status"] == "Running":
                    job["taken"] = False
        if parts[:1] == ["jobs"] and parts[2:] == ["verify"]:
            self.verifications.setdefault(parts[1], []).append(data)
            return request.answer(200, {"job_id": parts[1]})
        assert parts[:2] == ["agents", "agent-1"], parts
        call = parts[2]
        if call == "heartbeat":
            self.heartbeats.append(data)
            return request.answer(410 if self.retired else 200, {"status": "heartbeat_recorded"})
        if call == "work":
            return self.work(request)
        if call == "csr":
            return self.csr(request, data)
        if call == "certificates":
            pem = self.versions.get(parts[3])
            return request.answer(200 if pem else 404, {"certificate_pem": pem} if pem else {"error": "Not Found"})
        if call == "jobs" and parts[4] == "status":
            return self.report(request, parts[3], data)
        raise AssertionError(parts)

    def open_work(self):
        out = []
        for job in self.jobs.values():
            if job["status"] == "AwaitingCSR" or (job["status"] == "Running" and not job["taken"]):
                job["taken"] = job["status"] == "Running"
                out.append({k: v for k, v in job.items() if k != "taken"})
        return out

    def work(self, request):
        self.polls.append((time.monotonic(), request.headers["Prefer"]))
        if self.retired:
            return request.answer(410, {"error": "Gone"})
        jobs = self.open_work()
        if self.waits and not jobs:
            end = time.monotonic() + self.hold
            while not jobs and time.monotonic() < end and not self.retired:
                self.lock.wait(0.5)
                jobs = self.open_work()
        extra = {"Preference_Applied": "wait=50"} if self.waits else {}
        return request.answer(200, {"jobs": jobs, "count": len(jobs)}, **extra)

    def csr(self, request, data):
        self.csrs.append(data)
        if self.csr_status != 202:
            return request.answer(self.csr_status, {"error": "Bad Request", "message": "not this one"})
        certificate = data["certificate_id"]
        job = next(j for j in self.jobs.values() if j["certificate_id"] == certificate and j["type"] != "Deployment")
        if job["status"] == "AwaitingCSR":
            self.versions[certificate] = self.leaf_of(data["csr_pem"]) + self.ca.cert.read_text()
            job["status"] = "Completed"
            if self.deploy_to:
                self.add_deployment(certificate)
        return request.answer(202, {"status": "csr_signed"})

    def report(self, request, job_id, data):
        self.reports.setdefault(job_id, []).append(data)
        if self.jobs[job_id]["status"] not in ("Completed", "Failed"):
            self.jobs[job_id]["status"] = data["status"]
            self.jobs[job_id]["taken"] = data["status"] == "Running"
        return request.answer(200, {"status": "updated"})

    # --- tests ---

    def add_request(self, certificate="mc-1", cn="www.example.test", sans=("www.example.test",), job=None):
        with self.lock:
            job = job or f"job-{len(self.jobs) + 1}"
            self.jobs[job] = {"id": job, "type": "Issuance", "certificate_id": certificate, "common_name": cn,
                              "sans": list(sans), "status": "AwaitingCSR", "taken": False}
            self.lock.notify_all()
            return job

    def add_deployment(self, certificate="mc-1"):
        target, config = self.deploy_to
        job = f"job-{len(self.jobs) + 1}"
        self.jobs[job] = {"id": job, "type": "Deployment", "certificate_id": certificate, "target_id": target,
                          "target_type": "NGINX", "target_config": config, "status": "Running", "taken": False}
        self.lock.notify_all()
        return job

    def wait(self, what, seconds=40):
        end = time.monotonic() + seconds
        with self.lock:
            while not (value := what(self)):
                assert time.monotonic() < end, f"jobs {self.jobs} reports {self.reports} csrs {len(self.csrs)}"
                self.lock.wait(0.2)
            return value

    def end_of(self, kind="Deployment", seconds=40):
        """The last report of the newest job of that kind, once it has ended."""

        def look(s):
            jobs = [j for j in s.jobs.values() if j["type"] == kind]
            if jobs and jobs[-1]["status"] in ("Completed", "Failed") and s.reports.get(jobs[-1]["id"]):
                return dict(s.reports[jobs[-1]["id"]][-1], id=jobs[-1]["id"])
            return None

        return self.wait(look, seconds)


class Nginx:
    """A real nginx with its own prefix and port; the system's service is never touched."""

    def __init__(self, folder, ca, port):
        self.dir, self.port = pathlib.Path(folder), port
        self.live = self.dir / "live"
        self.live.mkdir(parents=True)
        self.cert, self.key = self.live / "cert.pem", self.live / "key.pem"
        cert, key = ca.issue("DNS:old.example.test", "old")
        self.cert.write_bytes(cert.read_bytes())
        self.key.write_bytes(key.read_bytes())
        self.key.chmod(0o640)
        self.conf = self.dir / "nginx.conf"
        self.write_conf()
        self.process = None
        self.start()

    def write_conf(self, extra=""):
        self.conf.write_text(f"""
pid {self.dir}/nginx.pid;
error_log {self.dir}/error.log;
daemon off;
worker_processes 1;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {self.dir}/t1; proxy_temp_path {self.dir}/t2; fastcgi_temp_path {self.dir}/t3;
  uwsgi_temp_path {self.dir}/t4; scgi_temp_path {self.dir}/t5;
  server {{
    listen 127.0.0.1:{self.port} ssl;
    ssl_certificate {self.cert};
    ssl_certificate_key {self.key};
    return 204;
  }}
  {extra}
}}
""")

    def command(self, *words):
        return " ".join([NGINX, *words, "-p", str(self.dir), "-c", str(self.conf), "-e", str(self.dir / "error.log")])

    def start(self):
        self.process = subprocess.Popen(self.command().split(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.await_answer()

    def await_answer(self):
        end = time.monotonic() + 15
        while True:
            with contextlib.suppress(OSError):
                return self.served()
            assert time.monotonic() < end and self.process.poll() is None, (self.dir / "error.log").read_text()
            time.sleep(0.05)

    def served(self, name="www.example.test"):
        """SHA-256 of the leaf in a fresh handshake."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection(("127.0.0.1", self.port), 5) as plain:
            with context.wrap_socket(plain, server_hostname=name) as tls:
                return hashlib.sha256(tls.getpeercert(True)).hexdigest()

    def config(self, **more):
        return {"cert_path": str(self.cert), "key_path": str(self.key), "validate_command": self.command("-t"),
                "reload_command": self.command("-s", "reload"),
                "post_deploy_verify": {"enabled": True, "endpoint": f"127.0.0.1:{self.port}"}} | more

    def stop(self):
        self.process.terminate()
        self.process.wait(10)

    def leftovers(self):
        return sorted(p.name for p in self.live.iterdir() if "certctl-tmp" in p.name or "certctl-journal" in p.name)


class Agent:
    def __init__(self, program, folder, server):
        self.program, self.dir, self.server = program, pathlib.Path(folder), server
        self.keys = self.dir / "keys"
        self.process, self.out = None, self.dir / "agent.log"

    def start(self, failpoint=None, **popen):
        env = {k: v for k, v in os.environ.items() if not k.startswith("CERTCTL_")}
        env |= {"CERTCTL_SERVER_URL": f"https://localhost:{self.server.port}", "CERTCTL_API_KEY": "rig-key",
                "CERTCTL_AGENT_ID": "agent-1", "CERTCTL_KEY_DIR": str(self.keys),
                "CERTCTL_SERVER_CA_BUNDLE_PATH": str(self.server.ca.cert)}
        if failpoint:
            env["CERTCTL_FAILPOINT"] = failpoint
        with open(self.out, "ab") as out:
            self.process = subprocess.Popen([self.program], env=env, stdout=out, stderr=out, **popen)
        return self

    def stop(self):
        """Ends it as a service manager does; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def log(self):
        return self.out.read_text()
