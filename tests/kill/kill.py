"""Kills processes at every failpoint and at random instants while certificates are issued and deployed, then counts.

usage: kill.py N [--failpoints-only] [--seed S]    ten kills at each failpoint for N = 170 (N/17 each), and N at random instants

Ends with one line "0 lost, 0 twice"; exit 1 when anything was lost, done twice, or a job did not complete.
"""
import argparse
import collections
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/scenario")]
from agent_rig import Ca, Nginx  # noqa: E402
from stack import BIN, Server, free_port, make_csr, until  # noqa: E402

OWNER = {"command_before_commit": "net", "command_after_commit": "net", "issue_before_sign": "net", "issue_before_command": "net",
         "csr_reply": "net", "pickup_reply": "net", "signer_before_record": "signer", "signer_after_record": "signer",
         "signer_before_reply": "signer", "key_written": "agent", "csr_sent": "agent", "files_staged": "agent", "files_renamed": "agent",
         "reloaded": "agent", "verified": "agent", "report_sent": "agent", "supervisor_restart": "supervisor"}
LIVE = {"Pending", "AwaitingCSR", "Running"}


class Rig:
    def __init__(self, folder, rng):
        self.dir, self.rng = pathlib.Path(folder), rng
        self.dir.chmod(0o711)
        self.ca_dir = self.dir / "ca"
        self.ca_dir.mkdir()
        self.nginx = Nginx(self.dir / "nginx", Ca(self.ca_dir), free_port())
        self.server = Server(self.dir / "server", CERTCTL_LOG_LEVEL="info")
        self.server.start()
        self.common = self.server.parents()
        # A retry is soon, so that a deployment that a kill made fail is repeated within the test.
        self.agent_row = self.server.agent("kill-agent")
        self.server.made("/targets", {"id": "tgt", "name": "nginx", "type": "NGINX", "agent_id": self.agent_row["id"], "config": self.nginx.config()})
        self.agent_proc = None
        self.certs, self.sites, self.jobs, self.direct = [], [], [], []   # what was answered; sites have a target
        self.deaths = 0
        self.start_agent()

    # --- processes ---

    def start_agent(self, failpoint=None):
        env = {k: v for k, v in os.environ.items() if not k.startswith("CERTCTL_")}
        env.update(CERTCTL_SERVER_URL=self.server.url, CERTCTL_API_KEY=self.agent_row["api_key"], CERTCTL_AGENT_ID=self.agent_row["id"],
                   CERTCTL_KEY_DIR=str(self.dir / "keys"), CERTCTL_SERVER_CA_BUNDLE_PATH=str(self.server.ca))
        if failpoint:
            env["CERTCTL_FAILPOINT"] = failpoint
        with open(self.dir / "agent.log", "ab") as log:
            self.agent_proc = subprocess.Popen([BIN / "certctl-agent"], env=env, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

    def restart_server(self, failpoint=None):
        self.server.stop()
        if failpoint:
            self.server.env["CERTCTL_FAILPOINT"] = failpoint
        self.server.spawn()
        self.server.env.pop("CERTCTL_FAILPOINT", None)

    def revive(self):
        """Starts again what nobody else starts again: the supervisor and the agent."""
        if self.server.proc.poll() is not None:
            self.server.spawn()
        if self.agent_proc.poll() is not None:
            self.start_agent()

    def child_deaths(self):
        return self.server.log().count('"msg":"child died')

    # --- work ---

    def ask(self, method, path, body=None):
        """The reply, or None when the server went away before it answered."""
        try:
            return self.server.call(method, "/api/v1" + path, body, timeout=20)
        except OSError:
            return None
        except Exception as e:  # http.client's torn answers
            if type(e).__module__ == "http.client":
                return None
            raise

    def create(self):
        r = self.ask("POST", "/certificates", {**self.common, "name": f"site {time.monotonic_ns()}", "common_name": "www.example.test",
                                               "sans": ["www.example.test"], "target_ids": ["tgt"]})
        if r and r.status == 201:
            self.certs.append(r.json["id"])
            self.sites.append(r.json["id"])

    def renew(self):
        if self.sites:
            r = self.ask("POST", f"/certificates/{self.rng.choice(self.sites[-6:])}/renew")
            if r and r.status == 202:
                self.jobs.append(r.json["job_id"])

    def operator_csr(self):
        """A certificate without target, issued from an operator's CSR: its commit has no job to hold on to."""
        r = self.ask("POST", "/certificates", {**self.common, "name": f"direct {time.monotonic_ns()}", "common_name": "direct.test"})
        if not r or r.status != 201:
            return
        self.certs.append(r.json["id"])
        csr, _ = make_csr(self.dir, ["DNS:direct.test"])
        done = self.ask("POST", f"/agents/{self.agent_row['id']}/csr", {"csr_pem": csr, "certificate_id": r.json["id"]})
        if done and done.status == 202:
            self.direct.append(r.json["id"])

    def work(self):
        self.rng.choice([self.create, self.create, self.renew, self.operator_csr])()

    def rows(self, path):
        out, page = [], 1
        while True:
            r = self.ask("GET", f"{path}{'&' if '?' in path else '?'}per_page=500&page={page}")
            if not r or r.status != 200:
                return None
            out += r.json["data"]
            if len(out) >= r.json["total"]:
                return out
            page += 1

    def settled(self):
        """All jobs have ended; failed ones are begun again, as the retry loop would after its pause."""
        self.revive()
        rows = self.rows("/jobs")
        if rows is None:
            return False
        open_jobs = self.open_jobs = [j for j in rows if j["status"] != "Completed"]
        for j in open_jobs:
            if j["status"] == "Failed":
                print(f"  job {j['id']} {j['type']} failed: {j.get('last_error')}", flush=True)
                self.ask("POST", f"/jobs/{j['id']}/retry")
        return not open_jobs

    # --- kills ---

    def at_failpoint(self, name):
        owner = OWNER[name]
        before = self.child_deaths()
        nth = self.rng.randint(1, 6) if name.startswith("command_") else 1
        if owner == "agent":
            self.agent_proc.terminate()
            self.agent_proc.wait(20)
            self.start_agent(f"{name}:{nth}")
            hit = lambda: self.agent_proc.poll() == -signal.SIGKILL
        else:
            self.restart_server(f"{name}:{nth}")
            hit = lambda: self.child_deaths() > before
        if owner == "supervisor":
            until(lambda: "net" in self.server.children(), 30, "the network process")
            os.kill(self.server.children()["net"], signal.SIGKILL)
            hit = lambda: self.server.proc.poll() == -signal.SIGKILL
        end = time.monotonic() + 60
        while not hit():
            assert time.monotonic() < end, f"failpoint {name} was not reached"
            if owner != "supervisor":
                (self.create if self.rng.random() < 0.7 else self.operator_csr)()
            time.sleep(0.1)
        self.deaths += 1
        until(self.settled, 120, f"settling after {name}")

    def at_random(self):
        self.revive()
        time.sleep(self.rng.random() * 0.4)
        self.work()
        time.sleep(self.rng.random() * 0.3)
        kids = self.server.children() if self.server.proc.poll() is None else {}
        victims = {"supervisor": self.server.proc.pid, "agent": self.agent_proc.pid, **kids}
        name = self.rng.choice(["supervisor", "agent", "net", "net", "signer", "signer"])
        hit = False
        if victims.get(name):
            try:
                os.kill(victims[name], signal.SIGKILL)
                hit = True
            except ProcessLookupError:
                pass
        self.deaths += hit
        if name == "supervisor":
            self.server.proc.wait()
        if name == "agent":
            self.agent_proc.wait()
        return hit

    # --- counting ---

    def record(self):
        self.server.stop()
        done = subprocess.run([BIN / "certctl-signer", "record", "dump"], env=self.server.environment(), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return [x for x in map(json.loads, done.stdout.splitlines()) if x["kind"] == "signature" and x["context"]]

    def count(self):
        lost, twice = [], []
        rows = {j["id"]: j for j in self.rows("/jobs")}
        certs = {c["id"]: c for c in self.rows("/certificates")}
        versions = [v for c in certs for v in self.rows(f"/certificates/{c}/versions")]
        lost += [f"certificate {c}" for c in self.certs if c not in certs]
        lost += [f"job {j}" for j in self.jobs if j not in rows]
        lost += [f"job {j['id']} is {j['status']}" for j in rows.values() if j["status"] != "Completed"]
        issued = collections.Counter(v["certificate_id"] for v in versions)
        lost += [f"answered issuance of {c}" for c in self.direct if not issued[c]]
        deployments = collections.Counter(j["certificate_id"] for j in rows.values() if j["type"] == "Deployment")
        issuances = collections.Counter(j["certificate_id"] for j in rows.values() if j["type"] != "Deployment")
        for c in certs:
            if issuances[c] and deployments[c] != issuances[c]:
                (lost if deployments[c] < issuances[c] else twice).append(f"{deployments[c]} deployments for {issuances[c]} issuances of {c}")
        served = self.nginx.served()
        if served not in {v["fingerprint_sha256"] for v in versions}:
            lost.append("nginx serves no version")
        leftovers = self.nginx.leftovers()
        lost += [f"left over: {x}" for x in leftovers]
        signatures = self.record()
        by_ref = collections.Counter(s["ref"] for s in signatures)
        twice += [f"{n} signatures for {ref}" for ref, n in by_ref.items() if n > 1]
        twice += [f"serial {s}" for s, n in collections.Counter(v["serial_number"] for v in versions).items() if n > 1]
        known = {v["fingerprint_sha256"] for v in versions}
        lost += [f"signature {s['ref']} without a version" for s in signatures if s["sha256"] not in known]
        signed = {s["sha256"] for s in signatures}
        twice += [f"version {v['id']} without a signature" for v in versions if v["fingerprint_sha256"] not in signed]
        twice += [f"{n} versions for job {j}" for j, n in collections.Counter(s["ref"] for s in signatures if s["ref"] in rows).items() if n > 1]
        print(f"{self.deaths} kills, {len(certs)} certificates, {len(versions)} versions, {len(rows)} jobs, {len(signatures)} signatures", flush=True)
        return lost, twice

    def close(self):
        for stop in (self.agent_proc.kill, self.server.stop, self.nginx.stop):
            try:
                stop()
            except Exception as e:
                print(f"  while stopping: {e}")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("n", type=int, nargs="?", default=170)
    p.add_argument("--failpoints-only", action="store_true")
    p.add_argument("--seed", type=int, default=1)
    o = p.parse_args()
    rng = random.Random(o.seed)
    with tempfile.TemporaryDirectory(prefix="certctl-kill-") as folder:
        rig = Rig(folder, rng)
        try:
            t0 = time.monotonic()
            rig.create()
            until(rig.settled, 60, "first certificate")
            for name in OWNER:
                for _ in range(max(1, o.n // len(OWNER))):
                    rig.at_failpoint(name)
                print(f"{time.monotonic() - t0:7.1f} s  {name}: {max(1, o.n // len(OWNER))} kills, all jobs completed", flush=True)
            if not o.failpoints_only:
                hits = 0
                while hits < o.n:
                    if not rig.at_random():  # the victim was between two lives
                        continue
                    hits += 1
                    if hits % 10 == 0:
                        until(rig.settled, 180, "settling after random kills")
                        print(f"{time.monotonic() - t0:7.1f} s  {hits} kills at random instants, all jobs completed", flush=True)
            until(rig.settled, 180, "settling")
            lost, twice = rig.count()
        except BaseException:
            print("open:", getattr(rig, "open_jobs", None))
            for f in ("server/server.log", "agent.log"):
                print(f"--- {f}\n" + "\n".join((rig.dir / f).read_text(errors="replace").splitlines()[-25:]))
            raise
        finally:
            rig.close()
    for x in (lost + twice)[:40]:
        print("  " + x)
    print(f"{len(lost)} lost, {len(twice)} twice")
    return 1 if lost or twice else 0


if __name__ == "__main__":
    sys.exit(main())
