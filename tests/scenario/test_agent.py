"""The agent against a server double: one connection, its own key per job, and patience."""
import json
import os
import re
import signal
import subprocess
import time

import pytest

import agent_rig
from agent_rig import openssl
from stack import BIN, free_port, no_sanitizer_report


@pytest.fixture
def server(tmp_path):
    (tmp_path / "ca").mkdir()
    s = agent_rig.Server(agent_rig.Ca(tmp_path / "ca"), free_port())
    yield s
    s.stop()


@pytest.fixture
def agent(tmp_path, server):
    a = agent_rig.Agent(BIN / "certctl-agent", tmp_path, server)
    yield a
    if a.process:
        a.stop()
        no_sanitizer_report(a.log())


def run(program, *args, **env):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("CERTCTL_")}
    return subprocess.run([program, *args], env=clean | env, capture_output=True, text=True, timeout=30)


GOOD = ["--server", "https://localhost:1", "--api-key", "k", "--agent-id", "a", "--key-dir"]


def test_what_cannot_start_says_what_to_set(tmp_path):
    program = BIN / "certctl-agent"
    keys = str(tmp_path / "keys")
    (tmp_path / "empty.pem").write_text("")
    (tmp_path / "text.pem").write_text("no certificate\n")
    (tmp_path / "file").write_text("")
    for args, said in [
        ([], "CERTCTL_API_KEY"),
        (["-api-key", "k"], "CERTCTL_AGENT_ID"),
        ([*GOOD, keys, "--server", "http://x"], "https://"),
        ([*GOOD, keys, "--server", "localhost:8443"], "CERTCTL_SERVER_URL"),
        ([*GOOD, keys, "--server", "ftp://x"], "CERTCTL_SERVER_URL"),
        ([*GOOD, keys, "-ca-bundle", str(tmp_path / "none.pem")], "No such file or directory"),
        ([*GOOD, keys, "--ca-bundle", str(tmp_path / "empty.pem")], "CERTCTL_SERVER_CA_BUNDLE_PATH"),
        ([*GOOD, keys, f"--ca-bundle={tmp_path}/text.pem"], "CERTCTL_SERVER_CA_BUNDLE_PATH"),
        ([*GOOD, "/"], "CERTCTL_KEY_DIR"),
        ([*GOOD, str(tmp_path / "file")], "CERTCTL_KEY_DIR"),
        ([*GOOD, keys, "surplus"], "surplus"),
    ]:
        done = run(program, *args)
        assert (done.returncode, done.stdout) == (1, ""), (args, done)
        assert said in done.stderr and done.stderr.count("\n") == 1, (args, done.stderr)


def test_help_and_version():
    program = BIN / "certctl-agent"
    text = run(program, "--help")
    assert text.returncode == 0
    for flag in ("--server", "--api-key", "--agent-id", "--key-dir", "--ca-bundle", "--insecure-skip-verify", "--name"):
        assert flag in text.stdout
    assert re.fullmatch(r"certctl-agent \d+\.\d+\.\d+.*\n", run(program, "--version").stdout)
    assert "files_renamed" in run(program, "--list-failpoints").stdout.split()


def test_request_carries_what_was_asked(server, agent):
    server.add_request(cn="www.example.test", sans=["www.example.test", "192.0.2.1", "ops@example.test", "spiffe://x.test/a"])
    agent.start()
    server.wait(lambda s: s.csrs)
    assert server.csrs[0]["certificate_id"] == "mc-1"
    text = openssl("req", "-noout", "-text", "-verify", stdin=server.csrs[0]["csr_pem"])
    assert "DNS:www.example.test, IP Address:192.0.2.1, email:ops@example.test, URI:spiffe://x.test/a" in text
    assert "Subject: CN = www.example.test" in text and "prime256v1" in text


def test_heartbeat_and_headers(server, agent):
    agent.start()
    server.wait(lambda s: s.heartbeats and s.polls)
    beat = server.heartbeats[0]
    assert set(beat) == {"version", "hostname", "os", "architecture", "ip_address"}
    assert beat["os"] == "linux" and beat["hostname"] == os.uname().nodename
    assert server.polls[0][1] == "wait=50"
    assert agent.stop() == 0
    agent.start()
    server.wait(lambda s: len(s.instances) == 2)
    assert len(set(server.instances)) == 2 and all(re.fullmatch("[0-9a-f]{32}", i) for i in server.instances)


def test_work_that_appears_is_taken_at_once(server, agent):
    agent.start()
    server.wait(lambda s: s.polls)
    time.sleep(0.5)  # the poll is waiting at the server now
    began = time.monotonic()
    server.add_request()
    server.wait(lambda s: s.csrs)
    assert time.monotonic() - began < 3
    assert len(server.polls) <= 3


def test_server_that_does_not_wait_is_asked_every_30_seconds(server, agent):
    server.waits = False
    agent.start()
    server.wait(lambda s: s.polls)
    time.sleep(4)
    assert len(server.polls) == 1


def test_same_job_again_brings_the_same_key(server, agent):
    server.csr_status = 202
    server.leaf_of = lambda csr: server.ca.sign(csr)
    server.csr = lambda request, data: (server.csrs.append(data), request.answer(202, {"status": "csr_signed"}))
    server.add_request()
    agent.start(failpoint="csr_sent")
    assert agent.process.wait(30) == -signal.SIGKILL
    agent.start()
    server.wait(lambda s: len(s.csrs) >= 3)  # the double never takes the job away
    keys = {openssl("req", "-noout", "-pubkey", stdin=c["csr_pem"]) for c in server.csrs}
    assert len(keys) == 1


def test_work_shown_again_and_again_is_not_hammered(server, agent):
    server.csr = lambda request, data: (server.csrs.append(data), request.answer(202, {"status": "csr_signed"}))
    server.add_request()
    agent.start()
    server.wait(lambda s: len(s.csrs) >= 2)
    time.sleep(3)
    assert len(server.csrs) <= 3


def test_refused_request_fails_the_job_with_the_reason(server, agent):
    server.csr_status = 400
    job = server.add_request()
    agent.start()
    server.wait(lambda s: s.jobs[job]["status"] == "Failed")
    assert server.reports[job][-1]["error"].startswith("CSR rejected") and "not this one" in server.reports[job][-1]["error"]


@pytest.mark.parametrize("change, said", [
    ({"certificate_id": "../../etc/x"}, "key path validation failed"),
    ({"certificate_id": ".."}, "key path validation failed"),
    ({"certificate_id": "a" * 129}, "key path validation failed"),
    ({"common_name": ""}, "empty common name"),
    ({"common_name": "  "}, "empty common name"),
    ({"sans": ["bad name"]}, "CSR creation failed"),
    ({"type": "Deployment", "status": "Running", "target_type": "Nope"}, "unsupported target type"),
    ({"type": "Deployment", "status": "Running"}, "unsupported target type"),
    ({"type": "Deployment", "status": "Running", "target_type": "NGINX", "target_config": {"cert_path": "/x"}}, "reload_command"),
])
def test_bad_work_is_reported_and_changes_nothing(server, agent, change, said):
    with server.lock:
        job = server.add_request()
        server.jobs[job] |= change
    good = server.add_request(certificate="mc-good")
    agent.start()
    server.wait(lambda s: s.jobs[job]["status"] == "Failed" and s.csrs)
    assert said in server.reports[job][-1]["error"]
    assert [c["certificate_id"] for c in server.csrs] == ["mc-good"] and good
    assert not list(agent.keys.glob("a*")) and not (agent.dir / "etc").exists()


def test_ids_that_could_leave_their_path_are_not_even_answered(server, agent):
    with server.lock:
        job = server.add_request()
        server.jobs[job]["id"] = "../../status?x"
    server.add_request(certificate="mc-good")
    agent.start()
    server.wait(lambda s: s.csrs)
    assert [c["certificate_id"] for c in server.csrs] == ["mc-good"]
    assert not server.reports


def test_restart_of_the_server_is_bridged(server, agent):
    agent.start()
    server.wait(lambda s: s.polls)
    server.stop()
    time.sleep(1.5)
    before = len(server.polls)
    server.start()
    server.add_request()
    began = time.monotonic()
    server.wait(lambda s: len(s.polls) > before and s.csrs)
    assert time.monotonic() - began < 8


def test_answers_that_are_no_work_lists_are_survived(server, agent):
    answers = [(500, {"error": "x"}), (200, []), (200, {"jobs": 7}), (200, {"jobs": [7, {"id": 1}], "count": 2}), (200, {})]
    real = server.work
    server.work = lambda request: request.answer(*answers.pop(0), Preference_Applied="wait=50") if answers else real(request)
    server.add_request()
    agent.start()
    server.wait(lambda s: s.csrs, 60)
    assert agent.stop() == 0


def test_busy_server_is_asked_again(server, agent):
    statuses = [503, 429, 502]

    def csr(request, data):
        server.csrs.append(data)
        request.answer(statuses.pop(0) if statuses else 202, {"status": "x"})
        if not statuses:
            server.jobs["job-1"]["status"] = "Completed"

    server.csr = csr
    server.add_request()
    agent.start()
    server.wait(lambda s: len(s.csrs) == 4)
    assert "job-1" not in server.reports


def test_retired_agent_leaves_for_good(server, agent):
    server.retired = True
    agent.start()
    assert agent.process.wait(20) == 0
    assert "retired" in agent.log()


def test_retired_while_waiting(server, agent):
    agent.start()
    server.wait(lambda s: s.polls)
    with server.lock:
        server.retired = True
        server.hold = 0
        server.lock.notify_all()
    assert agent.process.wait(30) == 0


def test_stops_at_once_while_waiting(server, agent):
    agent.start()
    server.wait(lambda s: s.polls)
    time.sleep(0.3)
    began = time.monotonic()
    assert agent.stop() == 0
    assert time.monotonic() - began < 3


def test_one_agent_per_key_folder(server, agent):
    agent.start()
    server.wait(lambda s: s.polls)
    second = agent_rig.Agent(agent.program, agent.dir, server)
    second.start()
    assert second.process.wait(20) == 1
    assert "in use by another process" in second.log()


def test_server_with_a_foreign_certificate_is_not_spoken_to(server, agent, tmp_path):
    (tmp_path / "other").mkdir()
    mine, server.ca = server.ca, agent_rig.Ca(tmp_path / "other")
    agent.start()
    time.sleep(3)
    server.ca = mine
    assert not server.polls and not server.heartbeats


def test_nothing_secret_is_logged_or_left_in_files(server, agent, tmp_path):
    server.add_request()
    agent.start()
    server.wait(lambda s: s.csrs)
    agent.stop()
    assert "rig-key" not in agent.log() and "PRIVATE KEY" not in agent.log()
    for line in agent.log().splitlines():
        names = [name for name, _ in json.loads(line, object_pairs_hook=lambda pairs: pairs)]
        assert len(names) == len(set(names)), line
    sent = json.dumps([server.csrs, server.reports, server.heartbeats])
    assert "PRIVATE" not in sent
    (key,) = agent.keys.glob("mc-1/*.key")
    assert "BEGIN EC PRIVATE KEY" in key.read_text()
