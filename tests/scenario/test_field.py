"""Field cases at the user's level: certificates in the wild read, requests in the wild answered, names by one rule, search signs literal.

The unit tests know the same files; here they go through settings, API, signer and back, and OpenSSL looks at what comes out.
"""
import json
import re
import ssl
import socket
import subprocess
import urllib.parse

import pytest

from stack import BIN, ROOT, Server, make_csr

DATA = ROOT.parent / "shared/data/field"
with_data = pytest.mark.skipif(not DATA.is_dir(), reason="the field files are not here")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    s = Server(tmp_path_factory.mktemp("field")).start()
    s.common = s.parents()
    s.worker = s.agent("field")
    yield s
    s.finish()


def openssl(*args, stdin=None):
    return subprocess.run(["openssl", *map(str, args)], input=stdin, capture_output=True, text=True, errors="replace")


def cases(kind):
    index = DATA / "index.json"
    return [c for c in json.loads(index.read_text()) if c["kind"] == kind] if index.is_file() else []


def names_in(csr):
    """Common name and DNS names of a request as OpenSSL reads it."""
    text = openssl("req", "-noout", "-text", "-nameopt", "utf8,sep_multiline", "-in", csr).stdout
    cn = re.search(r"CN=(.*)", text) or re.search(r"commonName *= *(.*)", text)
    return cn[1].strip() if cn else "", re.findall(r"DNS:([^,\s]+)", text)


def submit(s, certificate, csr_pem):
    return s.post(f"/agents/{s.worker['id']}/csr", {"csr_pem": csr_pem, "certificate_id": certificate})


# --- 16: one bad of three ---


@with_data
def test_one_negative_serial_does_not_spoil_the_trust_file(server, tmp_path):
    """A file of roots, one of them bad: the others are trusted all the same, by the command line and the agent."""
    roots = tmp_path / "roots.pem"
    roots.write_text((DATA / "bundle/one_negative.pem").read_text() + server.ca.read_text())
    env = {"CERTCTL_SERVER_URL": server.url, "CERTCTL_API_KEY": server.key, "CERTCTL_SERVER_CA_BUNDLE_PATH": str(roots)}
    done = subprocess.run([BIN / "certctl-cli", "status"], env=env, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done


# --- 20: PEM in the wild ---


FORMS = {
    "crlf": lambda t: t.replace("\n", "\r\n").encode(),
    "byte order mark": lambda t: b"\xef\xbb\xbf" + t.encode(),
    "text before": lambda t: b"subject=House Root\nissuer=House Root\n" + t.encode(),
    "leading blank line": lambda t: b"\n\n" + t.encode(),
    "blanks behind": lambda t: t.replace("\n", "  \n").encode(),
}


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    d = tmp_path_factory.mktemp("house")
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3000", "-subj", "/CN=House Root", "-keyout", d / "ca.key", "-out",
            d / "ca.pem", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", d / "tls.key",
            "-out", d / "tls.csr")
    openssl("x509", "-req", "-in", d / "tls.csr", "-CA", d / "ca.pem", "-CAkey", d / "ca.key", "-CAcreateserial", "-days", "20", "-copy_extensions", "copy", "-out", d / "tls.pem")
    return d


@pytest.mark.parametrize("form", FORMS)
def test_pem_in_the_wild_is_imported_and_served(house, tmp_path_factory, form):
    """CA and TLS files as editors and other programs leave them."""
    d = tmp_path_factory.mktemp("wild")
    s = Server(d)
    for name in ("ca.pem", "ca.key", "tls.pem", "tls.key"):
        (d / name).write_bytes(FORMS[form]((house / name).read_text()))
    s.env |= {"CERTCTL_CA_CERT_PATH": str(d / "ca.pem"), "CERTCTL_CA_KEY_PATH": str(d / "ca.key"), "CERTCTL_SERVER_TLS_CERT_PATH": str(d / "tls.pem"),
              "CERTCTL_SERVER_TLS_KEY_PATH": str(d / "tls.key")}
    s.start()
    try:
        ctx = ssl.create_default_context(cafile=str(house / "ca.pem"))
        with socket.create_connection(("127.0.0.1", s.port), 10) as raw, ctx.wrap_socket(raw, server_hostname="localhost"):
            pass
        assert s.call("GET", "/.well-known/pki/ca/iss-local", key=None, verify=False).body == ssl.PEM_cert_to_DER_cert((house / "ca.pem").read_text())
    finally:
        assert s.stop() == 0


# --- 23 and 27: requests in the wild ---


@pytest.mark.parametrize("case", cases("csr"), ids=lambda c: c["file"])
def test_request_in_the_wild(server, tmp_path, case):
    """Issued so that OpenSSL accepts it with its names in the SAN, or refused with words that name the fault; the row itself is refused by the same rule."""
    csr = DATA / case["file"]
    cn, dns = names_in(csr)
    wanted = (dns or [cn])[0]
    row = {**server.common, "name": case["file"], "common_name": wanted, "sans": dns}
    r = server.post("/certificates", row)
    if case["expect"]["do"] == "refuse":
        assert r.status == 400 and ("common_name" in r.json["message"] or "sans" in r.json["message"]), r
        by_row = r.json["message"].split(" ", 1)[1]
        c = server.made("/certificates", {**row, "common_name": "ok.example.test", "sans": []})
        r = submit(server, c["id"], csr.read_text())
        assert r.status == 400, r
        if wanted.isascii():  # one rule, one wording; bytes that are no text cannot come by JSON
            assert by_row.split(":")[0] in r.json["message"], (by_row, r.json["message"])
        assert server.get(f"/certificates/{c['id']}/versions").json["total"] == 0
        return
    assert r.status == 201, r
    r = submit(server, r.json["id"], csr.read_text())
    assert r.status == 202, r
    version = server.get(f"/certificates?name={urllib.parse.quote(case['file'])}").json["data"][0]
    pem = server.get(f"/certificates/{version['id']}/versions").json["data"][0]["pem_chain"]
    leaf = tmp_path / "leaf.pem"
    leaf.write_text(pem)
    done = openssl("verify", "-CAfile", server.ca, "-x509_strict", "-purpose", "sslserver", leaf)
    assert done.returncode == 0, done
    text = openssl("x509", "-noout", "-text", "-in", leaf).stdout
    sans = re.findall(r"DNS:([^,\s]+)", text)
    assert sans == sorted(set(sans), key=sans.index) and wanted.lower().rstrip(".") in sans and all(n == n.lower() and not n.endswith(".") for n in sans), text
    if "name" in case["expect"]:
        assert case["expect"]["name"] in sans
    subject = openssl("x509", "-noout", "-subject", "-in", leaf).stdout
    if "CN" not in subject:
        assert "X509v3 Subject Alternative Name: critical" in text, text


@pytest.mark.parametrize("name, words", [
    ("under_score.test", "underscore"), ("a.*.test", "leftmost"), ("*.*.test", "leftmost"), ("x" * 64 + ".test", "63"), ("xn--0.test", ""), ("-a.test", ""), ("a..b", "")])
def test_one_rule_and_one_wording_in_api_and_request(server, tmp_path, name, words):
    """What the API says of a name, the check of a request says of it too."""
    api = server.post("/certificates", {**server.common, "name": "one rule", "common_name": "ok.test", "sans": [name]}).json["message"]
    assert words in api, api
    c = server.get("/certificates?name=one%20rule%20row").json["data"] or [server.made("/certificates", {**server.common, "name": "one rule row", "common_name": "ok.test"})]
    csr, _ = make_csr(tmp_path, [f"DNS:{name}"])
    r = submit(server, c[0]["id"], csr)
    assert r.status == 400, r
    said = api.split(" ", 1)[1].split(":")[0]
    assert said in r.json["message"], (api, r.json["message"])


def test_one_label_names_are_possible_in_a_private_ca(server, tmp_path):
    c = server.made("/certificates", {**server.common, "name": "intranet", "common_name": "intranet"})
    csr, _ = make_csr(tmp_path, ["DNS:intranet"], cn="intranet")
    assert submit(server, c["id"], csr).status == 202


# --- 45: search signs ---


def test_search_signs_are_literal_and_totals_are_counted_after_the_filter(server):
    """Among a thousand others each name is found alone, on page 1 of one row, whatever signs it has."""
    names = ["a_b", "axb", "50%", "50x", "back\\slash", "back/slash", "\u00e9", "e\u0301", "n" * 64, "n" * 65, "'quote", '"double"', "a*b", "?", "a b"]
    for n in names:
        server.made("/profiles", {"name": n, "max_ttl_seconds": 3600})
    subprocess.run(["sqlite3", server.state / "certctl.db", ".timeout 5000",
                    "with recursive n(i) as (values(1) union all select i+1 from n where i < 1000) "
                    "insert into certificate_profiles (id, name) select 'prof-x' || i, 'other ' || i from n"], check=True)
    assert server.get("/profiles?per_page=1").json["total"] == 1000 + len(names)
    for n in names:
        r = server.call("GET", "/api/v1/profiles?per_page=1&page=1&name=" + urllib.parse.quote(n, safe=""))
        assert r.status == 200 and r.json["total"] == 1 and [x["name"] for x in r.json["data"]] == [n], (n, r)
        r = server.call("GET", "/api/v1/profiles?per_page=1&page=2&name=" + urllib.parse.quote(n, safe=""))
        assert r.json["total"] == 1 and r.json["data"] == []
    for n in ("%", "_", "n" * 63, "a", "other", "OTHER 1"):
        assert server.call("GET", "/api/v1/profiles?name=" + urllib.parse.quote(n, safe="")).json["total"] == 0, n
