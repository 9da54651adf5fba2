#!/usr/bin/env python3
"""Runs all migrations and seeds on both engines and prepares every statement on
both; fails on a plan that reads a whole table without a written reason.

  sql_lint.py [--shapes FILE]… [--rows N] [--no-pg] [SQLDIR]

FILE has the shapes that db/list.c composes, one JSON object a line. SQLite runs
in memory, PostgreSQL in a cluster of its own: a temporary folder, a unix socket,
a user that is not root. Everything is removed afterwards.
"""
import argparse
import json
import os
import pwd
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

import sqlgen

failures = []


def fail(text):
    failures.append(text)
    print(f"sql_lint: {text}")


# --- plans ---------------------------------------------------------------

def load_waivers(path):
    out = {}
    for line in sqlgen.read(path).split("\n"):
        m = re.fullmatch(r"(\w+|\*) (order|filter) (\w+): (.+)", line)
        if m:
            out[m.group(1, 2, 3)] = m.group(4)
        elif line.strip() and not line.startswith("#"):
            fail(f"{path}: cannot read: {line}")
    return out


def shape_parts(st):
    """What a waiver can name: the columns that a list filters and orders by."""
    t = st["text"]["sqlite"]
    order = re.search(r'order by "(\w+)"', t)
    filters = re.findall(r'(?:where|and) (?:lower\()?"(\w+)"\)? [<=>] ?', t)
    return ([("order", order.group(1))] if order else []) + [("filter", f) for f in filters]


def waived(st, waivers, used):
    if st["scan"]:
        return True
    for kind, column in shape_parts(st) if st["shape"] else []:
        for key in ((st["of"], kind, column), ("*", kind, column)):
            if key in waivers:
                used.add(key)
                return True
    # A total over a list is remembered per version vector, so a scan for it is paid once a change.
    return bool(st["shape"]) and st["name"].endswith(".count")


def check_plan(st, scans, engine, waivers, used):
    """scans: tables that the plan reads whole."""
    if scans and not waived(st, waivers, used):
        what = " (" + ", ".join(" ".join(p) for p in shape_parts(st)) + ")" if st["shape"] else ""
        remedy = "a line in waivers.txt" if st["shape"] else '"-- scan: why"'
        fail(f"{st['name']}{what} on {engine} reads all of {', '.join(sorted(scans))}; an index, or {remedy}")


# --- SQLite --------------------------------------------------------------

LOAD = """
insert into agents (id, name, hostname, api_key_hash) values ('ag-lint', 'ag-lint', 'h', 'x');
insert into managed_certificates (id, name, common_name, owner_id, team_id, issuer_id, renewal_policy_id)
  with recursive n(i) as (select 1 union all select i + 1 from n where i < {rows})
  select 'c' || i, 'n' || i, 'n', 'o-alice', 't-platform', 'iss-local', 'rp-standard' from n;
insert into jobs (id, type, certificate_id, agent_id, status)
  select 'j' || id, 'Issuance', id, 'ag-lint', 'Completed' from managed_certificates;
insert into audit_events (id, actor, actor_type, action, resource_type, resource_id)
  select 'a' || id, 'x', 'User', 'y', 'certificate', id from managed_certificates;
"""


def sqlite_open(sqldir, rows):
    db = sqlite3.connect(":memory:")
    db.create_function("db_now", 0, lambda: int(time.time() * 1e6))
    db.execute("pragma foreign_keys = on")
    db.executescript("create table schema_migrations (version text primary key, applied_at integer)")
    for again in (False, True):  # everything must bear a second run
        for name, text, _ in sqlgen.scripts(os.path.join(sqldir, "migrations"), os.path.join(sqldir, "seed")):
            try:
                db.executescript(text["sqlite"])
            except sqlite3.Error as e:
                fail(f"{name} on sqlite{' a second time' if again else ''}: {e}")
    db.executescript(LOAD.format(rows=rows))
    return db


def sqlite_scans(db, st):
    values = [None] * len(st["params"])
    tables = {r[0] for r in db.execute("select name from sqlite_master where type = 'table'")}
    scans = set()
    for row in db.execute("explain query plan " + st["text"]["sqlite"], values):
        m = re.match(r"SCAN (\w+)(.*)", row[3])
        if not m:
            continue
        table, how = m.groups()
        alias = re.search(rf"\b(\w+) (?:as )?{table}\b", st["text"]["sqlite"])
        if table not in tables and not (alias and alias.group(1) in tables):
            continue
        # Walking an index in the order that a limit cuts is not a scan, unless a filter throws most of it away.
        if "USING" in how and st["shape"] and " limit " in st["text"]["sqlite"] and not any(k == "filter" for k, _ in shape_parts(st)):
            continue
        scans.add(table)
    return scans


def check_sqlite(sqldir, rows, stmts, waivers, used):
    db = sqlite_open(sqldir, rows)
    for st in stmts:
        try:
            check_plan(st, sqlite_scans(db, st), "sqlite", waivers, used)
        except sqlite3.Error as e:
            fail(f"{st['name']} on sqlite: {e}: {st['text']['sqlite']}")
    db.close()


# --- PostgreSQL ----------------------------------------------------------

def pg_bin(name):
    folders = sorted((os.path.join("/usr/lib/postgresql", v, "bin") for v in os.listdir("/usr/lib/postgresql")
                      if os.path.isdir("/usr/lib/postgresql")), reverse=True) if os.path.isdir("/usr/lib/postgresql") else []
    for folder in folders + os.environ["PATH"].split(":"):
        if os.access(os.path.join(folder, name), os.X_OK):
            return os.path.join(folder, name)
    raise FileNotFoundError(name)


class Cluster:
    """A PostgreSQL of our own: temporary folder, unix socket, not root, gone afterwards."""

    def __enter__(self):
        self.dir = tempfile.mkdtemp(prefix="certctl-pg-")
        self.env = {"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": self.dir}
        self.as_user = {}
        self.server = None
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self):
        if os.geteuid() == 0:
            names = {p.pw_name: p for p in pwd.getpwall()}
            p = names.get("postgres") or names["nobody"]
            os.chown(self.dir, p.pw_uid, p.pw_gid)
            self.as_user = {"user": p.pw_uid, "group": p.pw_gid, "extra_groups": []}
        data = os.path.join(self.dir, "data")
        subprocess.run([pg_bin("initdb"), "-D", data, "-U", "lint", "-A", "trust", "--no-sync", "-E", "UTF8"], check=True,
                       env=self.env, cwd=self.dir, stdout=subprocess.DEVNULL, **self.as_user)
        self.log = open(os.path.join(self.dir, "log"), "wb")
        self.server = subprocess.Popen([pg_bin("postgres"), "-D", data, "-k", self.dir, "-h", "", "-F", "-c", "shared_buffers=16MB",
                                        "-c", "max_connections=4", "-c", "autovacuum=off"], env=self.env, cwd=self.dir,
                                       stdout=self.log, stderr=self.log, start_new_session=True, **self.as_user)
        for _ in range(200):
            if self.psql("select 1").returncode == 0:
                return
            if self.server.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError("PostgreSQL does not start: " + sqlgen.read(os.path.join(self.dir, "log"))[-500:])

    def psql(self, script, stop=True):
        return subprocess.run([pg_bin("psql"), "-X", "-q", "-A", "-t", "-h", self.dir, "-U", "lint", "-d", "postgres", "-v",
                               f"ON_ERROR_STOP={int(stop)}", "-f", "-"], input=script, capture_output=True, text=True,
                              env=self.env, cwd=self.dir, check=False, **self.as_user)

    def __exit__(self, *_):
        if self.server:
            self.server.send_signal(signal.SIGQUIT)  # ours alone: immediate shutdown, nothing to keep
            self.server.wait()
            self.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)


def check_pg_scripts(pg, sqldir):
    pg.psql("create table schema_migrations (version text primary key, applied_at timestamptz not null default now())")
    for again in (False, True):
        for name, text, _ in sqlgen.scripts(os.path.join(sqldir, "migrations"), os.path.join(sqldir, "seed")):
            r = pg.psql("begin;\nset client_min_messages = error;\n" + text["pg"] + "commit;")
            if r.returncode:
                fail(f"{name} on pg{' a second time' if again else ''}: {r.stderr.strip()}")


def check_pg(sqldir, stmts, waivers, used):
    with Cluster() as pg:
        check_pg_scripts(pg, sqldir)
        script = ["\\set VERBOSITY terse", "set plan_cache_mode = force_generic_plan;", "set enable_seqscan = off;"]
        for i, st in enumerate(stmts):
            args = ", ".join(["null"] * len(st["params"]))
            script += [f"\\echo @{i}", "\\warn @" + str(i), f"prepare s{i} as {st['text']['pg']};",
                       f"explain (costs off) execute s{i}" + (f"({args});" if args else ";")]
        r = pg.psql("\n".join(script) + "\n", stop=False)
        errors = dict(re.findall(r"^@(\d+)\n((?:(?!@\d).*\n?)+)", r.stderr, re.M))
        plans = dict(re.findall(r"^@(\d+)\n((?:(?!@\d).*\n?)*)", r.stdout, re.M))
        if len(plans) != len(stmts):
            fail(f"psql answered {len(plans)} of {len(stmts)} statements: {r.stderr[-300:]}")
        for i, st in enumerate(stmts):
            if errors.get(str(i), "").strip():
                fail(f"{st['name']} on pg: {errors[str(i)].strip()}: {st['text']['pg']}")
            # With sequential scans switched off one remains only where no index can help.
            scans = set(re.findall(r"Seq Scan on (\w+)", plans.get(str(i), "")))
            if st["shape"] and "order by" in st["text"]["pg"]:
                scans = set()  # small or empty tables are sorted whole here; SQLite's plan decides
            check_plan(st, scans, "pg", waivers, used)


# --- main ----------------------------------------------------------------

def load_shapes(path):
    out = []
    for line in sqlgen.read(path).split("\n"):
        if line:
            s = json.loads(line)
            n = max([int(x) for x in re.findall(r"\?(\d+)", s["sqlite"])], default=0)
            out.append({"name": f"{s['table']}.{s['name']}", "of": s["table"], "params": [None] * n, "shape": True, "scan": None,
                        "text": {"sqlite": s["sqlite"], "pg": s["pg"]}})
    return out


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--shapes", action="append", default=[])
    p.add_argument("--rows", type=int, default=100_000, help="certificates, jobs and audit rows at which SQLite plans")
    p.add_argument("--no-pg", action="store_true", help="SQLite only")
    p.add_argument("sqldir", nargs="?", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "sql"))
    a = p.parse_args()
    try:
        stmts = sqlgen.parse_statements(sqlgen.sql_files(a.sqldir, "stmt"))
    except sqlgen.Fail as e:
        sys.exit(f"sql_lint: {e}")
    for st in stmts:
        st["shape"] = False
    for path in a.shapes:
        stmts += load_shapes(path)
    waivers, used = load_waivers(os.path.join(a.sqldir, "waivers.txt")), set()
    check_sqlite(a.sqldir, a.rows, stmts, waivers, used)
    if not a.no_pg:
        check_pg(a.sqldir, stmts, waivers, used)
    for key in sorted(set(waivers) - used) if a.shapes else []:
        fail(f"waivers.txt: {' '.join(key)} is not needed")
    print(f"sql_lint: {len(stmts)} statements on {'sqlite' if a.no_pg else 'sqlite and pg'}, {len(failures)} failures")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
