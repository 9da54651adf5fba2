"""The documents say what is so: links and anchors resolve, files, make targets and tests that are named exist, error texts that
are quoted are in the source, and blocks marked ```sh run do run, in the order of their page, against the built programs."""
import json
import os
import re
import socket
import subprocess

import pytest

from stack import BIN, ROOT, Server, free_port, make_csr, until

OURS = [p for p in ROOT.rglob("*.md") if p.relative_to(ROOT).parts[0] in
        ("docs", "src", "sql", "tests", "fuzz", "tools", "packaging", "README.md", "SECURITY.md")]
PAGES = sorted(p for p in OURS if p.is_relative_to(ROOT / "docs"))
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.M | re.S)


def name(path):
    return str(path.relative_to(ROOT))


def prose(path):
    return FENCE.sub("", path.read_text())


def anchors(path):
    """Anchors of headings as GitHub makes them."""
    heads = re.findall(r"^#+ (.*)$", prose(path), re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in heads}


@pytest.mark.parametrize("page", OURS, ids=name)
def test_links_resolve(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{target}: no such file"
        assert file.is_relative_to(ROOT), f"{target} leads out of the repository"
        if anchor:
            assert anchor in anchors(file), f"{target}: no such heading"


@pytest.mark.parametrize("page", OURS, ids=name)
def test_what_is_named_exists(page):
    make = (ROOT / "Makefile").read_text()
    targets = {t for line in re.findall(r"^([\w][\w\s.-]*):(?!=)", make, re.M) for t in line.split()}
    for word in re.findall(r"`([^`\n]+)`", prose(page)) + [line for _, b in FENCE.findall(page.read_text()) for line in b.splitlines()]:
        for t in re.findall(r"(?:^|; |&& )make ([a-z][\w-]*)", word):
            assert t in targets, f"make has no target {t}"
        if re.fullmatch(r"(?:tests|tools|src|sql|fuzz|docs|packaging)/[\w./-]+", word):
            assert (ROOT / word).exists() or (page.parent / word).exists(), f"{word}: no such file"


def test_every_page_is_in_the_index():
    index = ROOT / "docs/README.md"
    linked = {(index.parent / t).resolve() for t in re.findall(r"\]\(([^)#\s]+)", index.read_text())}
    assert set(PAGES) - linked == {index}


def test_parity_names_tests_that_exist():
    named = re.findall(r"`(tests/[\w./]+)::(\w+)`", (ROOT / "docs/contributor/parity.md").read_text())
    assert len(named) > 40
    for file, test in named:
        text = (ROOT / file).read_text()
        assert re.search(rf"^def {test}\(" if file.endswith(".py") else rf"\b{test}\(void \*\*", text, re.M), f"{file} has no {test}"


def test_quoted_errors_are_in_the_source():
    page = (ROOT / "docs/reference/connectors/nginx.md").read_text()
    rows = re.findall(r"^\| (`[^|]*`) \|", page[page.index("| last_error has"):page.index("## Settings")], re.M)
    source = "".join(p.read_text() for d in ("src/targets", "src/agent") for p in (ROOT / d).glob("*.c"))
    quoted = [q for row in rows for q in re.findall(r"`([^`]+)`", row)]
    assert len(quoted) >= 8
    for q in quoted:
        assert q in source, f"nothing says {q!r}"


def test_figures_of_the_runbook_are_those_of_the_source():
    (most,) = re.findall(r"TAIL = (\d+)", (ROOT / "src/core/issue.c").read_text())
    assert f"newest {int(most):,} of the" in " ".join((ROOT / "docs/operator/runbooks/disaster-recovery.md").read_text().split())


def test_limits_of_the_api_page_are_those_of_the_source():
    page = (ROOT / "docs/reference/api.md").read_text()
    table = page[page.index("## Limits"):page.index("<!--")]
    source = (ROOT / "src/base/limits.h").read_text() + (ROOT / "src/net/http_server.h").read_text()
    for says, written in [("16 KiB, 64, 8 KiB", ("LIM_HTTP_HEAD = 16 * 1024", "LIM_HTTP_HEADERS = 64", "LIM_HTTP_TARGET = 8 * 1024")),
                          ("32 levels, 65,536 tokens", ("LIM_JSON_DEPTH = 32", "LIM_JSON_TOKENS = 64 * 1024")),
                          ("5 s, 30 s, 120 s, 60 s", ("0: 5, 30, 120, 60 s",)), ("16,384", ("0: 16,384",)), ("| 100 |", ("LIM_CERT_NAMES = 100",))]:
        assert says in table
        for w in written:
            assert w in source, f"{w} is no longer so"


# --- blocks that run ---


def blocks(page, mark):
    return [body for info, body in FENCE.findall((ROOT / "docs" / page).read_text()) if info == f"sh {mark}"]


def shell(script, cwd, env, seconds=150):
    done = subprocess.run(["sh", "-eu"], input=script, cwd=cwd, env=env, text=True, errors="replace", timeout=seconds,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, f"exit {done.returncode}:\n{done.stdout}"
    return done.stdout


@pytest.fixture
def server(tmp_path):
    tmp_path.chmod(0o755)
    s = Server(tmp_path / "run")
    s.start()
    yield s
    s.stop()


def test_quickstart(server, tmp_path):
    """A clone as `make run` leaves it: build/bin, var/ca.pem, var/state, team and owner. Ports alone are others."""
    server.made("/teams", {"id": "t-run", "name": "Run"})
    server.made("/owners", {"id": "o-run", "name": "Run", "email": "run@example.test", "team_id": "t-run"})
    clone = tmp_path / "clone"
    (clone / "build").mkdir(parents=True)
    (clone / "var/state").mkdir(parents=True)
    (clone / "build/bin").symlink_to(BIN)
    (clone / "var/ca.pem").write_text(server.ca.read_text())
    (clone / "var/state/admin.key").write_text(server.key)
    clone.chmod(0o755)
    parts = blocks("getting-started/quickstart.md", "run")
    assert len(parts) == 7
    script = "\n".join(parts).replace("8443", str(server.port)).replace("9444", str(free_port()))
    env = {k: v for k, v in os.environ.items() if not k.startswith("CERTCTL_")}
    # What a failing block leaves running is ended by its own pid files.
    script = "trap 'set +e; kill ${agent_pid:-} 2>/dev/null; [ ! -s var/second/nginx.pid ] || kill $(cat var/second/nginx.pid) 2>/dev/null' EXIT\n" + script
    out = shell(script, clone, env)
    assert "Server Status: healthy" in out
    assert re.search(r"Status: +Active", out), out
    assert out.rstrip().splitlines()[-1] == "second" or "\nsecond\n" in out, out


@pytest.fixture
def recovery(server, tmp_path):
    """(run a block by name, server): the runbook's variables and programs."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("CERTCTL_")}
    env.update(STATE=str(server.state), BACKUP=str(tmp_path / "backup"), PATH=f"{BIN}:{os.environ['PATH']}",
               CERTCTL_STATE_DIR=str(server.state), CERTCTL_SERVER_PORT=str(server.port),
               CERTCTL_SERVER_URL=server.url, CERTCTL_SERVER_CA_BUNDLE_PATH=str(server.ca), CERTCTL_API_KEY=server.key)

    def run(mark):
        (block,) = blocks("operator/runbooks/disaster-recovery.md", f"run={mark}")
        return shell(block, tmp_path, env)

    return run, server


def issued(server, folder, common, stem):
    """A certificate issued from a CSR; its id and serial."""
    cert = server.made("/certificates", {**common, "name": stem, "common_name": f"{stem}.test"})
    csr, _ = make_csr(folder, [f"DNS:{stem}.test"])
    r = server.post(f"/agents/{server.drill_agent}/csr", {"csr_pem": csr, "certificate_id": cert["id"]})
    assert r.status == 202, r
    return cert["id"], server.get(f"/certificates/{cert['id']}/versions").json["data"][0]["serial_number"]


def test_restore_drill(recovery, tmp_path):
    run, server = recovery
    common = server.parents()
    agent = server.agent("drill")
    server.drill_agent = agent["id"]
    kept, serial = issued(server, tmp_path, common, "kept")
    ca = server.ca.read_text()

    assert "every sum is right" in run("backup")
    lost, _ = issued(server, tmp_path, common, "lost")

    # The server is gone, all of it.
    server.stop()
    subprocess.run(["rm", "-rf", "--one-file-system", server.state], check=True)
    out = run("restore")
    assert "sealed file is there" in out and "readable, schema known" in out
    server.start()
    assert "Server Status: healthy" in run("after")
    assert server.ca.read_text() == ca
    assert server.get(f"/certificates/{kept}/versions").json["data"][0]["serial_number"] == serial
    assert server.get(f"/certificates/{lost}").status == 404
    assert server.post(f"/agents/{agent['id']}/heartbeat", key=agent["api_key"]).status == 200
    issued(server, tmp_path, common, "after")

    # The store alone is lost; the record knows what was signed since the backup.
    csr, _ = make_csr(tmp_path, ["DNS:kept.test"])
    assert server.post(f"/agents/{agent['id']}/csr", {"csr_pem": csr, "certificate_id": kept}).status == 202
    newer = server.get(f"/certificates/{kept}/versions").json["data"][0]["serial_number"]
    assert newer != serial
    server.stop()
    run("database")
    server.start()
    until(lambda: newer in [v["serial_number"] for v in server.get(f"/certificates/{kept}/versions").json["data"]], 10, "adoption")


def test_ceiling_of_the_page(tmp_path):
    """The example starts a server on the host that it names, and keeps out what it leaves out."""
    tmp_path.chmod(0o755)
    (text,) = [b for info, b in FENCE.findall((ROOT / "docs/operator/security.md").read_text()) if info == "json"]
    ceiling = json.loads(text)
    ceiling["names"]["dns"] = [socket.gethostname() if n == "ca1" else n for n in ceiling["names"]["dns"]]
    file = tmp_path / "ceiling.json"
    file.write_text(json.dumps(ceiling))
    s = Server(tmp_path / "run", CERTCTL_CA_CEILING_FILE=str(file)).start()
    try:
        common, agent = s.parents(), s.agent("ceiling")["id"]
        for name, status in [("www.example.com", 202), ("www.example.net", 400)]:
            cert = s.made("/certificates", {**common, "name": name, "common_name": name})
            csr, _ = make_csr(tmp_path, [f"DNS:{name}"])
            r = s.post(f"/agents/{agent}/csr", {"csr_pem": csr, "certificate_id": cert["id"]})
            assert r.status == status and (status == 202 or "ceiling" in r.json["message"]), r
    finally:
        s.stop()


@pytest.mark.parametrize("what,says", [("ca-iss-local.sealed", "ca_missing"), ("passphrase", "sealed_open")])
def test_lost_key_or_passphrase_refuses(server, what, says):
    server.stop()
    (server.state / "signer" / what).unlink()
    server.spawn()
    assert server.proc.wait(30) == 1
    assert says in server.log()


def test_new_ca_after_a_loss(server, tmp_path):
    """Step 2 of the runbook's last resort: signer/ and tls/ moved away, a new CA, the inventory kept."""
    server.parents()
    old = server.ca.read_text()
    server.stop()
    for d in ("signer", "tls"):
        (server.state / d).rename(tmp_path / f"old-{d}")
    server.start()
    assert server.log().count("ca_made") == 2 and server.ca.read_text() != old
    assert server.get("/teams/t-test").status == 200
