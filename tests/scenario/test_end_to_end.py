"""Server, agent and a real nginx together: a certificate is asked for, issued, deployed, proved; and what happens when a part of it fails.

Whatever fails, nginx goes on serving what it served, the job says why, and once the fault is mended a retry brings it to its end.
"""
import hashlib
import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
import time

import pytest

from agent_rig import Ca, Nginx
from stack import BIN, ROOT, Server, free_port, no_sanitizer_report, until


class Site:
    """An agent with its nginx, registered at the server."""

    def __init__(self, rig, name):
        self.rig, self.name = rig, name
        self.dir = rig.dir / name
        self.nginx = Nginx(self.dir / "nginx", rig.ca, free_port())
        self.row = rig.server.agent(name)
        self.target = rig.server.made("/targets", {"id": f"tgt-{name}", "name": name, "type": "NGINX", "agent_id": self.row["id"], "config": self.nginx.config()})["id"]
        self.proc = None
        self.keys = self.dir / "keys"
        self.log = self.dir / "agent.log"

    def start(self, failpoint=None):
        env = {k: v for k, v in os.environ.items() if not k.startswith("CERTCTL_")}
        env.update(CERTCTL_SERVER_URL=self.rig.server.url, CERTCTL_API_KEY=self.row["api_key"], CERTCTL_AGENT_ID=self.row["id"], CERTCTL_KEY_DIR=str(self.keys),
                   CERTCTL_SERVER_CA_BUNDLE_PATH=str(self.rig.server.ca))
        if failpoint:
            env["CERTCTL_FAILPOINT"] = failpoint
        with open(self.log, "ab") as log:
            self.proc = subprocess.Popen([BIN / "certctl-agent"], env=env, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        return self

    def stop(self):
        if self.proc and self.proc.poll() is None:
            self.proc.terminate()
            self.proc.wait(20)
        return self.proc.returncode if self.proc else 0

    def configure(self, **more):
        r = self.rig.server.put(f"/targets/{self.target}", {"config": self.nginx.config(**more)})
        assert r.status == 200, r

    def close(self):
        self.stop()
        self.nginx.stop()


class Rig:
    def __init__(self, folder):
        self.dir = folder
        (folder / "ca").mkdir()
        self.ca = Ca(folder / "ca")
        self.server = Server(folder / "server").start()
        self.common = self.server.parents()
        self.n = 0

    def create(self, *sites, name="www.example.test"):
        self.n += 1
        return self.server.made("/certificates", {**self.common, "name": f"site {self.n}", "common_name": name, "target_ids": [s.target for s in sites]})["id"]

    def jobs(self, certificate, kind):
        return self.server.get(f"/jobs?certificate_id={certificate}&type={kind}").json["data"]

    def ended(self, certificate, count=1, kind="Deployment", seconds=30):
        """The newest job of the kind, once `count` of them have ended."""

        def look():
            jobs = self.jobs(certificate, kind)
            return jobs if len([j for j in jobs if j["status"] in ("Completed", "Failed")]) >= count else None

        try:
            jobs = until(look, seconds, f"{count} ended {kind} of {certificate}")
        except AssertionError as e:
            logs = "".join("".join(p.read_text().splitlines(True)[-8:]) for p in self.dir.glob("*/agent.log"))
            raise AssertionError(f"{e}: {self.jobs(certificate, kind)[:2]}\n{logs}") from None
        return max(jobs, key=lambda j: j["created_at"])

    def versions(self, certificate):
        return self.server.get(f"/certificates/{certificate}/versions").json["data"]

    def newest(self, certificate):
        return max(self.versions(certificate), key=lambda v: v["created_at"])["fingerprint_sha256"]

    def renew(self, certificate):
        r = self.server.post(f"/certificates/{certificate}/renew")
        assert r.status == 202, r
        return r.json["job_id"]

    def retry(self, job):
        """Begins the job again and waits for its end."""
        r = self.server.post(f"/jobs/{job['id']}/retry")
        assert r.status == 200, r
        return until(lambda: next((j for j in [self.server.get(f"/jobs/{job['id']}").json] if j["status"] in ("Completed", "Failed")), None), 30, "end of the retried job")


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    r = Rig(tmp_path_factory.mktemp("end-to-end"))
    yield r
    r.server.finish()


@pytest.fixture(scope="module")
def site(rig):
    """An agent whose nginx serves a certificate of ours already."""
    s = Site(rig, "first").start()
    s.certificate = rig.create(s)
    assert rig.ended(s.certificate)["status"] == "Completed"
    yield s
    s.close()
    no_sanitizer_report(s.log.read_text())


def serves(site, digest, seconds=10):
    until(lambda: site.nginx.served() == digest, seconds, f"nginx serving {digest}")


def test_created_with_a_target_it_is_served_and_proved(rig, site):
    newest = rig.newest(site.certificate)
    serves(site, newest)
    (job,) = rig.jobs(site.certificate, "Deployment")
    assert job["verification_status"] == "success" and job["verification_fingerprint"] == newest and job["verified_at"] and job["attempts"] == 1
    seen = rig.server.get(f"/jobs/{job['id']}/verification").json
    assert seen["verified"] is True and seen["actual_fingerprint"] == newest
    row = rig.server.get(f"/certificates/{site.certificate}").json
    assert row["status"] == "Active" and row["last_deployment_at"] >= row["last_renewal_at"]
    ctx = ssl.create_default_context(cafile=str(rig.server.ca))
    with socket.create_connection(("127.0.0.1", site.nginx.port), 5) as raw, ctx.wrap_socket(raw, server_hostname="www.example.test") as tls:
        assert hashlib.sha256(tls.getpeercert(True)).hexdigest() == newest


def test_private_key_stays_on_the_agents_host(rig, site):
    keys = list(site.keys.glob(f"{site.certificate}/*.key"))
    assert keys and all(stat.S_IMODE(k.stat().st_mode) == 0o600 for k in keys) and stat.S_IMODE(site.keys.stat().st_mode) == 0o700
    blob = b"".join(p.read_bytes() for p in rig.server.state.rglob("*") if p.is_file())
    for k in keys:
        assert k.read_text().splitlines()[1].encode() not in blob


def test_renew_gives_a_new_leaf(rig, site):
    before = site.nginx.served()
    rig.renew(site.certificate)
    assert rig.ended(site.certificate, 2)["status"] == "Completed"
    newest = rig.newest(site.certificate)
    assert newest != before
    serves(site, newest)


def failing(rig, site, words, broken, mended, verified=None):
    """With the fault, a renewal leaves the old leaf served and says why; mended, the same job completes on retry."""
    before = site.nginx.served()
    count = len(rig.jobs(site.certificate, "Deployment"))
    broken()
    try:
        rig.renew(site.certificate)
        job = rig.ended(site.certificate, count + 1, seconds=60)
    finally:
        mended()
    assert job["status"] == "Failed", job
    for w in words:
        assert w in job["last_error"], job["last_error"]
    serves(site, before)
    assert not site.nginx.leftovers()
    audit = rig.server.get(f"/audit?resource_id={site.certificate}&action=deployment_job_failed").json["data"][0]
    assert audit["details"]["job_id"] == job["id"] and audit["actor"] == site.row["id"]
    if verified is not None:
        assert job["verification_status"] == "failed" and job["verification_fingerprint"] == verified, job
    done = rig.retry(job)
    assert done["status"] == "Completed" and not done.get("last_error") and done["attempts"] == job["attempts"] + 1, done
    assert done["verification_status"] == "success"
    serves(site, rig.newest(site.certificate))


def test_nginx_configuration_that_fails_validation(rig, site):
    failing(rig, site, ["validate_command", "bogus_directive"], lambda: site.nginx.write_conf("bogus_directive on;"), site.nginx.write_conf)


def test_reload_that_fails(rig, site):
    failing(rig, site, ["reload_command", "/bin/false"], lambda: site.configure(reload_command="/bin/false"), site.configure)


def test_endpoint_that_serves_something_else(rig, site, tmp_path):
    other = {"enabled": True, "endpoint": f"127.0.0.1:{rig.server.port}"}
    api = hashlib.sha256(ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", rig.server.port)))).hexdigest()
    failing(rig, site, ["serves another certificate"], lambda: site.configure(post_deploy_verify=other, post_deploy_verify_backoff=100_000_000), site.configure, api)


def test_folder_that_is_gone(rig, site):
    gone = site.nginx.config(cert_path=str(site.dir / "gone/cert.pem"), key_path=str(site.dir / "gone/key.pem"))
    failing(rig, site, ["gone"], lambda: site.configure(**gone), site.configure)


def test_key_that_does_not_match(rig, site):
    """Between request and deployment somebody replaces the key on the agent's disk."""
    before = site.nginx.served()
    count = len(rig.jobs(site.certificate, "Deployment"))
    known = set(site.keys.glob(f"{site.certificate}/*.key"))
    site.stop()
    site.start("csr_sent")
    rig.renew(site.certificate)
    assert site.proc.wait(30) == -signal.SIGKILL
    (key,) = set(site.keys.glob(f"{site.certificate}/*.key")) - known
    mine = key.read_bytes()
    subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key], check=True, capture_output=True)
    site.start()
    job = rig.ended(site.certificate, count + 1)
    assert job["status"] == "Failed" and "key" in job["last_error"], job
    serves(site, before)
    key.write_bytes(mine)
    assert rig.retry(job)["status"] == "Completed"
    serves(site, rig.newest(site.certificate))


def test_agent_restarted_in_between(rig, site):
    site.stop()
    rig.renew(site.certificate)
    count = len(rig.jobs(site.certificate, "Deployment"))
    time.sleep(0.2)
    assert rig.jobs(site.certificate, "Renewal")[0]["status"] == "AwaitingCSR"
    site.start()
    assert rig.ended(site.certificate, count + 1)["status"] == "Completed"
    serves(site, rig.newest(site.certificate))


def test_server_restarted_in_between(rig, site):
    count = len(rig.jobs(site.certificate, "Deployment"))
    agent = site.proc.pid
    rig.renew(site.certificate)
    assert rig.server.stop() == 0
    rig.server.start()
    assert rig.ended(site.certificate, count + 1, seconds=60)["status"] == "Completed"
    serves(site, rig.newest(site.certificate))
    assert site.proc.poll() is None and site.proc.pid == agent


def test_two_agents_get_two_leaves(rig, site):
    second = Site(rig, "second").start()
    try:
        certificate = rig.create(site, second, name="two.example.test")
        rig.ended(certificate, 2)
        assert [j["status"] for j in rig.jobs(certificate, "Deployment")] == ["Completed", "Completed"]
        leaves = {v["agent_id"]: v["fingerprint_sha256"] for v in rig.versions(certificate)}
        assert len(set(leaves.values())) == 2
        serves(site, leaves[site.row["id"]])
        serves(second, leaves[second.row["id"]])
        assert rig.server.get(f"/certificates/{certificate}").json["status"] == "Active"
    finally:
        second.close()


def test_deployment_on_demand(rig, site):
    count = len(rig.jobs(site.certificate, "Deployment"))
    r = rig.server.post(f"/certificates/{site.certificate}/deploy")
    assert r.status == 202, r
    assert rig.ended(site.certificate, count + 1)["status"] == "Completed"
    serves(site, rig.newest(site.certificate))


def test_retired_agent_ends_with_0(rig):
    third = Site(rig, "third").start()
    try:
        until(lambda: rig.server.get(f"/agents/{third.row['id']}").json["version"], 20, "a heartbeat")
        assert rig.server.delete(f"/agents/{third.row['id']}?force=true&reason=old").status == 200
        assert third.proc.wait(30) == 0
    finally:
        third.close()


def test_kill_at_each_failpoint():
    """A process killed at every failpoint once: nothing is lost, nothing done twice, every job completes (tests/kill/kill.py)."""
    done = subprocess.run([sys.executable, ROOT / "tests/kill/kill.py", "17", "--failpoints-only"], capture_output=True, text=True, timeout=400)
    assert done.returncode == 0 and done.stdout.strip().endswith("0 lost, 0 twice"), done.stdout[-3000:] + done.stderr[-1000:]
