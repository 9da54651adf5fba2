"""The signer and its confinement, on live processes.

A debugger takes over the network process and tries to reach the signer's files and processes; a probe asks over the signer's
own socket for what the ceiling does not allow. The same attempts without the confinement succeed, so the tests would notice its loss.
Root is needed: a process that is not dumpable can be debugged by root only.
"""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile

import pytest

from stack import BUILD, free_port, memory, until

PLAIN_USER = 64999  # any user that is not root: supervisor, signer and network process then share it
EPERM, EACCES = 1, 13
CEILING = {
    # the server's own identity needs this host's name, localhost and the loopback addresses
    "names": {"dns": ["*.example.com", "localhost", socket.gethostname().lower()], "ip": ["10.0.0.0/8", "127.0.0.1", "::1"], "email": [], "uri": []},
    "max_lifetime_s": 90 * 86400,
    "keys": [{"algorithm": "ECDSA", "min_size": 256, "max_size": 256}],
    "usages": ["serverAuth", "clientAuth"],
    "path_len": 0,
}
# case of tests/unit/bin/signer_probe.c: the name of its refusal
REFUSALS = {
    "name-outside": "ceiling_names",
    "name-outside-beside": "ceiling_names",
    "name-lookalike": "ceiling_names",
    "name-of-the-suffix": "ceiling_names",
    "address-outside": "ceiling_names",
    "address-v6-outside": "ceiling_names",
    "email-outside": "ceiling_names",
    "uri-outside": "ceiling_names",
    "lifetime-above": "ceiling_lifetime",
    "lifetime-above-profile-widens": "ceiling_lifetime",
    "lifetime-negative": "lifetime",
    "lifetime-above-profile": "profile_lifetime",
    "usage-above": "ceiling_usages",
    "usage-above-beside": "ceiling_usages",
    "key-p384": "ceiling_key",
    "key-rsa": "ceiling_key",
    "key-ed25519": "ceiling_key",
    "key-rsa-profile-widens": "ceiling_key",
    "key-outside-profile": "profile_key",
    "csr-asks-more": "name_not_asked",
    "common-name-beside": "common_name_not_asked",
    "csr-signature": "csr_signature",
    "issuer-unknown": "issuer_unknown",
    "ref-reused": "ref_reused",
}
SIGNED = {"allowed", "allowed-address", "allowed-at-the-end"}

both_programs = pytest.mark.parametrize("program", ["supervised", "certctl-server"])
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can debug a process that is not dumpable")


def children(pid):
    """Live children of a process: {pid: command line}."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            if int(stat[1]) == pid and stat[0] != "Z":
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Rig:
    """A supervisor with its two children, in a folder of its own."""

    def __init__(self, folder, user=0, program="supervised", **settings):
        self.folder = folder
        self.user = user
        self.state = folder / "state"
        self.programs = folder / "bin"
        self.log = folder / "log"
        self.program = program
        self.ready = {"supervised": '"msg":"serving"', "certctl-server": '"msg":"HTTPS server listening"'}[program]
        self.process = None
        folder.chmod(0o755)
        self.programs.mkdir()
        own = "src/bin/certctl-server" if program == "certctl-server" else "tests/unit/bin/supervised"
        for source in (own, "tests/unit/bin/signer_probe", "src/bin/certctl-signer"):
            shutil.copy(BUILD / source, self.programs)
        self.state.mkdir(mode=0o755)
        os.chown(self.state, user, user)
        ceiling = folder / "ceiling.json"
        ceiling.write_text(json.dumps(CEILING))
        self.env = {
            "PATH": os.environ["PATH"],
            "ASAN_OPTIONS": "detect_leaks=0",  # the leak check at the end of a process forks and traces
            "CERTCTL_STATE_DIR": str(self.state),
            "CERTCTL_SERVER_PORT": str(free_port()),
            "CERTCTL_CA_CEILING_FILE": str(ceiling),
            **settings,
        }

    def start(self, serving=True):
        self.log.touch()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([self.programs / self.program], env=self.env, stdout=log, stderr=log, user=self.user, group=self.user,
                                            extra_groups=[] if os.geteuid() == 0 else None)
        if serving:
            self.wait_serving(1)
        return self

    def text(self):
        return self.log.read_text()

    def wait_serving(self, times):
        def serving():
            if self.process.poll() is not None:
                raise AssertionError(f"ended with {self.process.returncode}:\n{self.text()}")
            return self.text().count(self.ready) >= times and self.net and self.signer

        until(serving)

    def child(self, mark):
        return next((pid for pid, line in children(self.process.pid).items() if mark in line), None)

    @property
    def net(self):
        return self.child("--network-process")

    @property
    def signer(self):
        return self.child("certctl-signer")

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)

    def probe(self, *args):
        run = subprocess.run([self.programs / "signer_probe", *map(str, args)], env=self.env, capture_output=True, text=True, timeout=60)
        assert run.returncode == 0, run.stderr
        lines = [line.split() for line in run.stdout.splitlines() if line and not line.startswith("{")]
        return {case: (ref, result) for case, ref, result in lines}

    def record(self, *command):
        run = subprocess.run([self.programs / "certctl-signer", "record", *command], env=self.env, capture_output=True, text=True, timeout=60)
        assert run.returncode == 0, run.stderr
        return run.stdout

    def debug(self, calls):
        """Lets the debugger make system calls in the network process: [(result, errno)]."""
        args = ["gdb", "-p", str(self.net), "-batch", "-nx", "-iex", "set debuginfod enabled off", "-iex", "set auto-load no"]
        for number, *rest in calls:
            words = ", ".join(f'"{w}"' if isinstance(w, (str, pathlib.Path)) else str(w) for w in rest)
            args += ["-ex", f'printf "result %ld\\n", ((long (*)(long, ...))syscall)({number}{", " if words else ""}{words})',
                     "-ex", 'printf "errno %d\\n", *((int *(*)(void))__errno_location)()']
        run = subprocess.run(args, capture_output=True, text=True, timeout=120)
        results = [int(line.split()[1]) for line in run.stdout.splitlines() if line.startswith("result ")]
        errors = [int(line.split()[1]) for line in run.stdout.splitlines() if line.startswith("errno ")]
        assert len(results) == len(errors) == len(calls), run.stdout + run.stderr
        return list(zip(results, errors))


@pytest.fixture
def rig():
    rigs = []

    def make(**kwargs):
        # Not below pytest's own folder: each pytest that starts closes that to other users, and ours run as several.
        rigs.append(Rig(pathlib.Path(tempfile.mkdtemp(prefix="certctl-signer-")), **kwargs))
        return rigs[-1]

    yield make
    for one in rigs:
        one.stop()
        shutil.rmtree(one.folder)


NR = {"open": 2, "kill": 62, "ptrace": 101, "rename": 82, "unlink": 87, "mkdir": 83, "socket": 41, "fork": 57, "execve": 59,
      "process_vm_readv": 310, "pidfd_open": 434, "pidfd_send_signal": 424, "tgkill": 234, "chmod": 90, "mount": 165, "bpf": 321}
O_CREAT_RDWR = 0o102
PTRACE_ATTACH, PTRACE_SEIZE = 16, 0x4206


def attempts(rig):
    """What somebody who owns the network process would try first: (name, system call)."""
    files = sorted((rig.state / "signer").iterdir())
    assert {f.name for f in files} >= {"ca-iss-local.sealed", "record.log", "passphrase"}
    tries = [(f"open {f.name}", (NR["open"], f, 0)) for f in files]
    tries += [(f"write {f.name}", (NR["open"], f, 1)) for f in files]
    tries += [
        ("open the folder", (NR["open"], rig.state / "signer", 0)),
        ("rename the folder", (NR["rename"], rig.state / "signer", rig.state / "gone")),
        ("remove the record", (NR["unlink"], rig.state / "signer/record.log")),
        ("make a file in the state folder", (NR["open"], rig.state / "new", O_CREAT_RDWR, 0o600)),
        ("make a folder in the state folder", (NR["mkdir"], rig.state / "newer", 0o700)),
        ("start a program", (NR["execve"], "/bin/true", 0, 0)),
        ("mount", (NR["mount"], "none", "/mnt", "tmpfs", 0, 0)),
        ("load a kernel program", (NR["bpf"], 0, 0, 0)),
        ("open a packet socket", (NR["socket"], 17, 3, 0)),
    ]
    for who, pid in (("signer", rig.signer), ("supervisor", rig.process.pid)):
        tries += [
            (f"memory of the {who}", (NR["open"], f"/proc/{pid}/mem", 2)),
            (f"descriptors of the {who}", (NR["open"], f"/proc/{pid}/fd/1", 2)),
            (f"trace the {who}", (NR["ptrace"], PTRACE_ATTACH, pid, 0, 0)),
            (f"seize the {who}", (NR["ptrace"], PTRACE_SEIZE, pid, 0, 0)),
            (f"read the {who}", (NR["process_vm_readv"], pid, 0, 0, 0, 0, 0)),
            (f"handle of the {who}", (NR["pidfd_open"], pid, 0)),
            (f"stop the {who}", (NR["kill"], pid, int(signal.SIGSTOP))),
            (f"end a thread of the {who}", (NR["tgkill"], pid, pid, int(signal.SIGKILL))),
            (f"kill the {who}", (NR["kill"], pid, int(signal.SIGKILL))),
        ]
    return tries


def not_refused(rig):
    """The attempts that were not answered by EPERM or EACCES."""
    tries = attempts(rig)
    results = rig.debug([call for _, call in tries])
    return [(name, result, error) for (name, _), (result, error) in zip(tries, results) if result != -1 or error not in (EPERM, EACCES)]


@root_only
@both_programs
@pytest.mark.parametrize("user", [0, PLAIN_USER], ids=["as-root", "as-plain-user"])
def test_debugger_in_the_network_process_reaches_nothing(rig, user, program):
    r = rig(user=user, program=program).start()
    before = (r.process.pid, r.signer, r.net)
    assert not_refused(r) == []
    assert (r.process.pid, r.signer, r.net) == before
    assert all(alive(pid) for pid in before)
    assert not (r.state / "new").exists() and not (r.state / "newer").exists() and (r.state / "signer").is_dir()


@root_only
@both_programs
def test_without_confinement_the_same_attempts_succeed(rig, program):
    """The control: were the confinement lost, the test above would fail."""
    r = rig(user=PLAIN_USER, program=program, CERTCTL_SANDBOX="off").start()
    signer = r.signer
    tries = [t for t in attempts(r) if t[0] in ("open ca-iss-local.sealed", "write record.log", "make a folder in the state folder",
                                                "handle of the signer", "kill the signer")]
    results = dict(zip([name for name, _ in tries], r.debug([call for _, call in tries])))
    assert [name for name, (result, _) in results.items() if result == -1] == []
    until(lambda: not alive(signer))
    assert '"msg":"running without confinement"' in r.text()


@root_only
@both_programs
def test_signer_and_network_process_gave_up_what_they_do_not_need(rig, program):
    r = rig(program=program).start()
    status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{r.signer}/status").read_text().splitlines() if ":\t" in line)
    assert status["Seccomp"] == "2" and status["NoNewPrivs"] == "1"
    assert status["Uid"].split() == ["64901"] * 4 and status["Gid"].split() == ["64901"] * 4 and status["Groups"].strip() == ""
    assert int(status["CapEff"], 16) == 0
    status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{r.net}/status").read_text().splitlines() if ":\t" in line)
    assert status["Seccomp"] == "2" and status["Uid"].split() == ["64902"] * 4 and int(status["CapEff"], 16) == 0
    for pid in (r.signer, r.net):
        assert "0" == [line.split()[4] for line in pathlib.Path(f"/proc/{pid}/limits").read_text().splitlines() if line.startswith("Max core")][0]


def check_probe(results, record):
    entries = [json.loads(line) for line in record.splitlines()]
    refused = {(e["ref"], e["reason"]) for e in entries if e["kind"] == "refusal"}
    signed = [e["ref"] for e in entries if e["kind"] == "signature"]
    assert set(results) == set(REFUSALS) | SIGNED
    for case, (ref, result) in results.items():
        if case in SIGNED:
            assert result == "signed" and signed.count(ref) == 1, case
        else:
            assert result == REFUSALS[case], case
            assert (ref, result) in refused, case


def test_requests_above_the_ceiling_are_refused_by_name_and_recorded(rig):
    r = rig()
    results = r.probe(r.programs / "certctl-signer")
    check_probe(results, r.record("dump"))
    assert "every sum is right" in r.record("check")


@root_only
@both_programs
def test_requests_on_the_live_socket_are_refused_by_name_and_recorded(rig, program):
    r = rig(program=program).start()
    check_probe(r.probe("--live", r.net, 4), r.record("dump"))
    assert alive(r.signer)


@root_only
def test_a_message_that_is_none_ends_the_signer_and_both_are_started_anew(rig):
    r = rig().start()
    first = (r.net, r.signer)
    r.debug([(1, 4, "GET / HTTP/1.1", 14)])  # write(2) to the signer's socket
    until(lambda: not alive(first[1]))
    r.wait_serving(2)
    assert r.net not in first and r.signer not in first
    assert '"reason":"syntax"' in r.text() or '"msg":"signer stops"' in r.text()


# --- the supervisor ---


@both_programs
@pytest.mark.parametrize("which", ["signer", "net"])
def test_when_either_dies_both_are_started_anew(rig, which, program):
    r = rig(program=program).start()
    first = (r.net, r.signer)
    os.kill(getattr(r, which), signal.SIGKILL)
    r.wait_serving(2)
    assert not any(alive(pid) for pid in first)
    assert len({*first, r.net, r.signer}) == 4
    assert r.text().count('"msg":"ca_made"') == 1


@both_programs
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_is_orderly_and_leaves_nothing(rig, number, program):
    r = rig(program=program).start()
    pids = (r.net, r.signer)
    r.process.send_signal(number)
    assert r.process.wait(20) == 0
    assert not any(alive(pid) for pid in pids)


def test_nothing_survives_the_supervisor(rig):
    r = rig().start()
    pids = (r.net, r.signer)
    r.process.kill()
    r.process.wait(20)
    until(lambda: not any(alive(pid) for pid in pids))


def test_a_refused_start_ends_with_1_and_says_why(rig):
    r = rig()
    (r.folder / "ceiling.json").write_text('{"names": {}}')
    r.start(serving=False)
    assert r.process.wait(20) == 1
    assert "ceiling_member" in r.text() and r.text().count('"msg":"signer does not start"') == 1


def test_wrong_passphrase_refuses_the_start(rig):
    r = rig(CERTCTL_CA_PASSPHRASE="right horse battery staple").start()
    r.stop()
    r.env["CERTCTL_CA_PASSPHRASE"] = "wrong horse battery staple"
    r.start(serving=False)
    assert r.process.wait(20) == 1
    assert "sealed_open" in r.text()
    assert "horse" not in r.text()


@root_only
@both_programs
def test_passphrase_reaches_the_signer_alone(rig, program):
    secret = "canary-horse-battery-staple"
    r = rig(program=program, CERTCTL_CA_PASSPHRASE=secret).start()
    assert not (r.state / "signer/passphrase").exists()
    for pid in (r.process.pid, r.net, r.signer):
        for name in ("environ", "cmdline"):
            assert secret.encode() not in pathlib.Path(f"/proc/{pid}/{name}").read_bytes(), (pid, name)
    assert secret.encode() not in b"".join(memory(r.net))
    for file in r.folder.rglob("*"):
        if file.is_file() and not file.is_relative_to(r.programs):
            assert secret.encode() not in file.read_bytes(), file


def test_tls_files_are_handed_over_on_change_and_on_sighup(rig):
    r = rig()
    cert, key = r.folder / "cert.pem", r.folder / "key.pem"
    cert.write_text("certificate one")
    key.write_text("key one")
    r.env |= {"CERTCTL_SERVER_TLS_CERT_PATH": str(cert), "CERTCTL_SERVER_TLS_KEY_PATH": str(key)}
    r.start()
    assert '"certificate":"certificate one","key":"key one"' in r.text()
    cert.write_text("certificate two")
    until(lambda: '"certificate":"certificate two"' in r.text())
    key.unlink()
    r.process.send_signal(signal.SIGHUP)
    until(lambda: "TLS files not handed over, the old ones stay" in r.text())
    (r.folder / "key.new").write_text("key three")
    (r.folder / "key.new").rename(key)
    until(lambda: '"key":"key three"' in r.text())
    assert r.process.poll() is None


def test_restart_keeps_ca_and_record(rig):
    r = rig().start()
    r.stop()
    first = [json.loads(line) for line in r.record("dump").splitlines()]
    r.start(serving=False)
    r.wait_serving(2)
    both = [json.loads(line) for line in r.record("dump").splitlines()]
    assert both[: len(first)] == first and len(both) == len(first) + 1
    assert [e["kind"] for e in both].count("event") == 1


def test_ceiling_is_set_offline_only(rig):
    r = rig().start()
    wider = r.folder / "wider.json"
    wider.write_text(json.dumps({**CEILING, "max_lifetime_s": 91 * 86400}))
    command = [r.programs / "certctl-signer", "ceiling", "set", wider]
    run = subprocess.run(command, env=r.env, capture_output=True, text=True, timeout=60)
    assert run.returncode == 1 and "stop it first" in run.stderr
    r.stop()
    run = subprocess.run(command, env=r.env, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    results = r.probe(r.programs / "certctl-signer")
    assert results["lifetime-above"][1] == "signed"
    assert results["name-outside"][1] == "ceiling_names"
    assert '"event":"ceiling_set"' in r.record("dump")


def test_a_lost_ca_file_is_not_replaced(rig):
    r = rig().start()
    r.stop()
    (r.state / "signer/ca-iss-local.sealed").unlink()
    r.start(serving=False)
    assert r.process.wait(20) == 1
    assert "ca_missing" in r.text()


def test_an_existing_ca_is_imported_once(rig):
    r = rig()
    cert, key = r.folder / "ca.pem", r.folder / "ca.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384", "-nodes", "-subj", "/CN=House Root",
                    "-days", "3650", "-keyout", key, "-out", cert, "-addext", "keyUsage=critical,keyCertSign,cRLSign"], check=True, capture_output=True)
    r.env |= {"CERTCTL_CA_CERT_PATH": str(cert), "CERTCTL_CA_KEY_PATH": str(key)}
    r.start()
    r.stop()
    digest = subprocess.run(["openssl", "x509", "-in", cert, "-noout", "-fingerprint", "-sha256"], check=True, capture_output=True, text=True)
    assert digest.stdout.split("=")[1].strip().replace(":", "").lower() in r.text()
    key.unlink()  # not needed again
    r.start(serving=False)
    r.wait_serving(2)
    assert r.text().count('"msg":"ca_imported"') == 1


@pytest.mark.parametrize("point", ["signer_before_record", "signer_after_record", "signer_before_reply"])
def test_killed_around_the_record_it_goes_on(rig, point):
    """The point kills the first signer at its first batch; the next one serves, and no signature is there twice or half."""
    r = rig(CERTCTL_FAILPOINT=point)
    names = subprocess.run([r.programs / "certctl-signer", "--list-failpoints"], capture_output=True, text=True).stdout.split()
    assert point in names
    if not failpoints_built(r):
        pytest.skip("built without failpoints")
    r.start(serving=False)
    r.wait_serving(1)
    entries = [json.loads(line) for line in r.record("dump").splitlines()]
    refs = [e["ref"] for e in entries if e["kind"] == "signature"]
    assert len(refs) == len(set(refs)) == (1 if point == "signer_before_record" else 2)
    assert '"msg":"child died, both are started anew","child":"signer"' in r.text()
    assert "every sum is right" in r.record("check")


def failpoints_built(r):
    """Whether the points are in this build: then a name that is none refuses."""
    run = subprocess.run([r.programs / "certctl-signer", "record", "check"], env={**r.env, "CERTCTL_FAILPOINT": "nonsense"}, capture_output=True, text=True)
    return "names no failpoint" in run.stderr
