"""The agent deploys to a real nginx. Whatever goes wrong, the old certificate stays served and the job says why."""
import json
import os
import pathlib
import socket
import ssl
import stat
import subprocess
import time

import pytest

import agent_rig
from agent_rig import sha256_of_pem
from stack import BIN, free_port, no_sanitizer_report

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to other users")
GROUP = 4242


def soon(what, seconds=10):
    end = time.monotonic() + seconds
    while not (value := what()) and time.monotonic() < end:
        time.sleep(0.05)
    return value


class Rig:
    def __init__(self, tmp_path):
        (tmp_path / "ca").mkdir()
        self.ca = agent_rig.Ca(tmp_path / "ca")
        self.server = agent_rig.Server(self.ca, free_port())
        self.nginx = agent_rig.Nginx(tmp_path / "nginx", self.ca, free_port())
        self.agent = agent_rig.Agent(BIN / "certctl-agent", tmp_path, self.server)
        self.old = self.nginx.served()

    def run(self, seconds=60, **config):
        """One certificate from its request to the end of its deployment."""
        self.server.deploy_to = ("target-1", self.nginx.config(**config))
        self.server.add_request()
        self.agent.start()
        return self.server.end_of(seconds=seconds)

    def is_old(self):
        """The old certificate on disk and, once old workers have gone after a reload, in the handshake."""
        return b"old" in self.subject() and soon(lambda: self.nginx.served() == self.old)

    def subject(self):
        return subprocess.run(["openssl", "x509", "-in", self.nginx.cert, "-noout", "-subject"], capture_output=True).stdout

    def pair_matches(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.nginx.cert, self.nginx.key)
        return True


@pytest.fixture
def rig(tmp_path):
    r = Rig(tmp_path)
    yield r
    code = r.agent.stop() if r.agent.process else 0
    r.nginx.stop()
    r.server.stop()
    assert code == 0, r.agent.log()
    no_sanitizer_report(r.agent.log())


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_good_deployment_is_served_and_reported(rig):
    end = rig.run()
    assert end["status"] == "Completed", end
    leaf = rig.server.versions["mc-1"]
    assert rig.nginx.served() == sha256_of_pem(leaf) != rig.old
    assert [r["status"] for r in rig.server.reports[end["id"]]] == ["Running", "Completed"]
    assert rig.server.verifications[end["id"]] == [
        {"target_id": "target-1", "expected_fingerprint": sha256_of_pem(leaf), "actual_fingerprint": sha256_of_pem(leaf),
         "verified": True, "error": ""}]
    assert rig.nginx.cert.read_text().count("BEGIN CERTIFICATE") == 2  # the chain is behind the leaf
    assert rig.pair_matches() and not rig.nginx.leftovers()
    assert len([p for p in rig.nginx.live.iterdir() if "certctl-bak" in p.name]) == 2


def test_chain_goes_to_its_own_file_when_asked(rig):
    chain = rig.nginx.live / "chain.pem"
    end = rig.run(chain_path=str(chain))
    assert end["status"] == "Completed", end
    assert rig.nginx.cert.read_text().count("BEGIN CERTIFICATE") == 1
    assert chain.read_text() == rig.ca.cert.read_text() and mode(chain) == 0o644


def test_configuration_that_fails_validation(rig):
    rig.nginx.write_conf("bogus_directive on;")
    end = rig.run()
    assert end["status"] == "Failed"
    assert "validate_command" in end["error"] and "bogus_directive" in end["error"]
    assert "the old files are back" in end["error"] and "not reloaded" in end["error"]
    assert rig.is_old() and rig.pair_matches() and not rig.nginx.leftovers()


def test_reload_that_fails(rig):
    end = rig.run(reload_command="/bin/false")
    assert end["status"] == "Failed"
    assert 'reload_command "/bin/false" failed with exit code 1' in end["error"]
    assert "could not be reloaded with the old files" in end["error"] and str(rig.nginx.cert) in end["error"]
    assert rig.is_old() and rig.pair_matches() and not rig.nginx.leftovers()


def test_reload_that_fails_and_still_exits_0(rig):
    """nginx -t passes over a port in use, nginx -s reload exits 0, and the old workers go on answering."""
    busy = free_port()
    with socket.create_server(("127.0.0.1", busy)):
        rig.nginx.write_conf(f"server {{ listen 127.0.0.1:{busy}; return 204; }}")
        end = rig.run(post_deploy_verify_backoff=100_000_000)
    assert end["status"] == "Failed"
    assert "still serves another certificate" in end["error"] and rig.old in end["error"]
    assert "the server was reloaded with the old files" in end["error"]
    assert rig.is_old() and rig.pair_matches() and not rig.nginx.leftovers()
    (report,) = rig.server.verifications[end["id"]]
    assert report["verified"] is False and report["actual_fingerprint"] == rig.old and report["error"]


def test_endpoint_that_serves_something_else(rig):
    other = {"enabled": True, "endpoint": f"localhost:{rig.server.port}"}
    end = rig.run(post_deploy_verify=other, post_deploy_verify_backoff=100_000_000)
    assert end["status"] == "Failed" and "still serves another certificate" in end["error"]
    assert rig.is_old() and rig.pair_matches()


def test_endpoint_that_does_not_answer(rig):
    nobody = {"enabled": True, "endpoint": f"127.0.0.1:{free_port()}"}
    end = rig.run(post_deploy_verify=nobody, post_deploy_verify_backoff=100_000_000)
    assert end["status"] == "Failed" and "could not be asked what it serves" in end["error"]
    assert rig.is_old()
    (report,) = rig.server.verifications[end["id"]]
    assert report["actual_fingerprint"] == "" and report["expected_fingerprint"]


def test_key_that_does_not_match(rig):
    cert, _ = rig.ca.issue("DNS:www.example.test", "foreign")
    rig.server.leaf_of = lambda csr: cert.read_text()
    end = rig.run()
    assert end["status"] == "Failed" and "no key of this certificate on this host" in end["error"]
    assert rig.is_old()


def test_certificate_for_another_name(rig):
    def for_another_name(csr):
        key = next(rig.agent.keys.glob("mc-1/*.key"))
        other = agent_rig.openssl("req", "-new", "-key", key, "-subj", "/CN=other", "-addext", "subjectAltName=DNS:other.test")
        return rig.ca.sign(other)

    rig.server.leaf_of = for_another_name
    end = rig.run()
    assert end["status"] == "Failed" and "does not cover the name" in end["error"] and "www.example.test" in end["error"]
    assert "nothing was changed" in end["error"] and rig.is_old()


def test_expired_certificate(rig):
    rig.server.leaf_of = lambda csr: rig.ca.sign(csr, days=-1)
    end = rig.run()
    assert end["status"] == "Failed" and "has expired" in end["error"] and rig.is_old()


def test_command_that_never_ends_is_stopped_with_its_children(rig, tmp_path):
    script = tmp_path / "hang.sh"
    script.write_text("#!/bin/sh\nsleep 1000 &\necho $! > " + str(tmp_path / "child") + "\nsleep 1000\n")
    script.chmod(0o755)
    end = rig.run(validate_command=str(script))
    assert end["status"] == "Failed" and "was stopped after 30 seconds" in end["error"]
    child = pathlib.Path(f"/proc/{(tmp_path / 'child').read_text().strip()}/stat")
    assert not child.exists() or child.read_text().rsplit(")", 1)[1].split()[0] == "Z"
    assert rig.is_old()


def test_command_gets_nothing_of_ours(rig, tmp_path):
    script = tmp_path / "look.sh"
    script.write_text("#!/usr/bin/python3 -I\nimport json, os\n"
                      "fds = [f for f in map(int, os.listdir('/proc/self/fd')) if os.path.exists(f'/proc/self/fd/{f}')]\n"
                      f"json.dump([dict(os.environ), os.umask(0), fds, os.getpgid(0) == os.getpid()], open('{tmp_path}/seen', 'w'))\n")
    script.chmod(0o755)
    end = rig.run(validate_command=str(script))
    assert end["status"] == "Completed", end
    env, umask, fds, own_group = json.loads((tmp_path / "seen").read_text())
    assert set(env) <= {"PATH", "LC_ALL", "HOME", "LC_CTYPE"}
    assert umask == 0o022 and sorted(fds) == [0, 1, 2] and own_group


@ROOT_ONLY
@pytest.mark.parametrize("before, after", [(0o640, 0o640), (0o600, 0o600), (0o644, 0o640)])
def test_owner_group_and_mode_stay(rig, before, after):
    """Field case 31; 0644 loses what others could read, since the key is ours."""
    os.chown(rig.nginx.key, 0, GROUP)
    rig.nginx.key.chmod(before)
    rig.nginx.cert.chmod(0o664)
    end = rig.run()
    assert end["status"] == "Completed", end
    assert (rig.nginx.key.stat().st_uid, rig.nginx.key.stat().st_gid, mode(rig.nginx.key)) == (0, GROUP, after)
    assert mode(rig.nginx.cert) == 0o664


@pytest.mark.parametrize("umask", [0o077, 0o000])
def test_new_files_whatever_the_umask(rig, umask):
    new = {"cert_path": str(rig.nginx.live / "new.pem"), "key_path": str(rig.nginx.live / "new.key"),
           "reload_command": "/bin/true", "validate_command": "/bin/true", "post_deploy_verify": {}}
    rig.server.deploy_to = ("target-1", new)
    rig.server.add_request()
    rig.agent.start(preexec_fn=lambda: os.umask(umask))
    end = rig.server.end_of()
    assert end["status"] == "Completed", end
    assert mode(rig.nginx.live / "new.key") == 0o600 and mode(rig.nginx.live / "new.pem") == 0o644
    assert end["id"] not in rig.server.verifications  # nothing was asked, so nothing is claimed
    assert mode(rig.agent.keys) == 0o700
    for path in rig.agent.keys.rglob("*"):
        assert path.is_symlink() or mode(path) == (0o700 if path.is_dir() else 0o600), path


@ROOT_ONLY
def test_folder_that_the_agent_may_not_write(rig, tmp_path):
    rig.agent.keys.mkdir(0o700)
    os.chown(rig.agent.keys, 65534, 65534)
    for path in (tmp_path, *tmp_path.parents):
        if path != pathlib.Path("/") and path.owner() == "root" and not mode(path) & 0o001:
            path.chmod(mode(path) | 0o011)
    rig.nginx.key.chmod(0o644)
    rig.ca.cert.chmod(0o644)
    rig.server.deploy_to = ("target-1", rig.nginx.config())
    rig.server.add_request()
    rig.agent.start(user=65534, group=65534, extra_groups=[])
    end = rig.server.end_of()
    assert end["status"] == "Failed" and "Permission denied" in end["error"] and str(rig.nginx.live)[-40:] in end["error"]
    assert "nothing was changed" in end["error"] and rig.is_old()


def test_second_deployment_of_the_same_changes_nothing(rig):
    assert rig.run()["status"] == "Completed"
    before = {p.name: p.stat().st_ino for p in rig.nginx.live.iterdir()}
    with rig.server.lock:
        job = rig.server.add_deployment()
    rig.server.wait(lambda s: s.jobs[job]["status"] == "Completed")
    assert {p.name: p.stat().st_ino for p in rig.nginx.live.iterdir()} == before
    assert rig.server.verifications[job][0]["verified"] is True


POINTS = ["key_written", "csr_sent", "files_staged", "files_renamed", "reloaded", "verified", "report_sent"]


@pytest.mark.parametrize("point", POINTS)
def test_killed_at(rig, point):
    """SIGKILL at each point of the agent; the next run ends the work with the same key, once."""
    rig.server.deploy_to = ("target-1", rig.nginx.config())
    rig.server.add_request()
    rig.agent.start(failpoint=point)
    assert rig.agent.process.wait(60) == -9, rig.agent.log()
    rig.agent.start()
    end = rig.server.end_of()
    assert end["status"] == "Completed", end
    assert rig.nginx.served() == sha256_of_pem(rig.server.versions["mc-1"])
    assert rig.pair_matches() and not rig.nginx.leftovers()
    keys = {agent_rig.openssl("req", "-pubkey", "-noout", stdin=c["csr_pem"]) for c in rig.server.csrs}
    assert len(keys) == 1 and len(list(rig.agent.keys.glob("mc-1/*.key"))) == 1
    assert not list((rig.agent.keys / "+deploying").iterdir())


@pytest.mark.parametrize("point", ["files_renamed", "reloaded", "verified"])
def test_killed_and_the_server_does_not_come_back(rig, point):
    """Without any word from the server the pair on disk is whole again, and served."""
    rig.server.deploy_to = ("target-1", rig.nginx.config())
    rig.server.add_request()
    rig.agent.start(failpoint=point)
    assert rig.agent.process.wait(60) == -9, rig.agent.log()
    rig.server.stop()
    rig.agent.start()
    assert soon(lambda: not list((rig.agent.keys / "+deploying").iterdir()))
    assert rig.is_old() and rig.pair_matches() and not rig.nginx.leftovers()
