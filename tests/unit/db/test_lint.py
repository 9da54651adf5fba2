"""Planted faults that tools/sql_lint.py must notice, each by its own words."""
import os
import shutil
import subprocess
import sys
import tempfile

LINT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "tools", "sql_lint.py")
# file under sql/, text added to it, words that lint must say, whether PostgreSQL is needed
CASES = [
    ("stmt/x.sql", "-- name: x_scan\nselect id from audit_events where actor = 'a'\n", "x_scan on sqlite reads all of audit_events", False),
    ("stmt/x.sql", "-- name: x_waived\n-- scan: planted\nselect id from audit_events where actor = 'a'\n", None, False),
    ("stmt/x.sql", "-- name: x_typo\nselect nothing_such from teams\n", "x_typo on sqlite: no such column", False),
    ("stmt/x.sql", "-- name: x_untyped\nselect id from teams where id = :id\n", ":id has no type", False),
    ("stmt/x.sql", "-- name: x_two\nselect 1; select 2\n", "exactly one statement", False),
    ("stmt/x.sql", "-- name: x_one [sqlite]\nselect 1\n", "no text for pg", False),
    ("stmt/x.sql", "-- name: x_null\n-- :n int?\nselect :n\n", "no such type int?", False),
    ("stmt/x.sql", "-- name: x_unused\n-- :id text\nselect 1\n", "unused", False),
    ("stmt/x.sql", "-- name: stamp_all\nselect 1\n", "already defined", False),
    ("waivers.txt", "jobs order nothing: planted\n", None, False),
    ("stmt/x.sql", "-- name: x_pg\nselect unixepoch('now')\n", "x_pg on pg", True),
    ("stmt/x.sql", "-- name: x_pgtype\n-- :id int\nselect name from teams where id = :id\n", "x_pgtype on pg", True),
    ("migrations/001001_base.pg.sql", "\ncreate table broken (id nonsense);\n", "on pg: ", True),
]


def run(sqldir, pg):
    cmd = [sys.executable, LINT, "--rows", "100", sqldir] + ([] if pg else ["--no-pg"])
    return subprocess.run(cmd, capture_output=True, text=True, check=False)


def main():
    bad = 0
    for path, text, words, pg in CASES:
        with tempfile.TemporaryDirectory() as tmp:
            sqldir = shutil.copytree(sys.argv[1], os.path.join(tmp, "sql"))
            with open(os.path.join(sqldir, path), "a", encoding="utf-8") as f:
                f.write(text)
            r = run(sqldir, pg)
            said = r.stdout + r.stderr
            good = (r.returncode != 0 and words in said) if words else r.returncode == 0
            if not good:
                bad += 1
                print(f"not noticed: {text!r}: {said[-300:]}")
    print(f"{len(CASES) - bad} of {len(CASES)} planted faults noticed")
    return bad


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
