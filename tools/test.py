"""Runs every suite that needs no outside network, prints the seconds of each, and ends with one line
"N passed, M failed". Exit 0 only when nothing failed.

unit      meson's tests, the statements prepared on both engines among them; each cmocka case counts for itself
lint      tools/lint.py, then its self-test, each check counting for itself
scenario  whole programs, by pytest
"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build-asan"
PY = sys.executable
CASE = re.compile(r"^\[ *(OK|FAILED|ERROR|SKIPPED) *\] (?!\d+ test)(\w+)", re.M)
ENV = dict(os.environ, BUILD=str(BUILD), PYTHONDONTWRITEBYTECODE="1",
           ASAN_OPTIONS="detect_leaks=1:abort_on_error=0:allocator_may_return_null=1", UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1")


def run(args, **kw):
    return subprocess.run([str(a) for a in args], cwd=ROOT, env=ENV, text=True, errors="replace", **kw)


def captured(args):
    return run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def show_tail(text, lines=60):
    print("\n".join("    " + line for line in text.rstrip().splitlines()[-lines:]), flush=True)


def unit_names():
    """Names of the cmocka cases as the sources list them, and meson's other tests."""
    for path in sorted((ROOT / "tests/unit").rglob("*.c")):
        for name in re.findall(r"\bcmocka_unit_test\w*\(\s*(\w+)", path.read_text()):
            yield f"unit {path.parent.name}/{name}"
    for line in captured(["meson", "test", "-C", BUILD, "--list"]).stdout.splitlines():
        if re.fullmatch(r"[\w:/ .-]+", line) and "ninja" not in line:
            yield f"unit {line.split(' / ')[-1].strip()}"


def unit_one(record):
    """(passed, failed) of one program of meson's log."""
    cases = CASE.findall(record.get("stdout", "") + record.get("stderr", ""))
    bad = len({name for word, name in cases if word in ("FAILED", "ERROR")})
    good = len({name for word, name in cases if word == "OK"})
    if record["result"] in ("OK", "SKIP", "EXPECTEDFAIL"):
        return (good or 1), bad
    print(f"  {record['result']} {record['name']}")
    show_tail(record.get("stdout", "") + record.get("stderr", ""))
    return good, bad or 1


def unit(jobs):
    log = BUILD / "meson-logs/testlog.json"
    log.unlink(missing_ok=True)
    done = captured(["meson", "test", "-C", BUILD, "--no-rebuild", "--num-processes", jobs, "--timeout-multiplier", "6"])
    if not log.exists():
        show_tail(done.stdout)
        return 0, 1
    sums = [unit_one(json.loads(line)) for line in log.read_text().splitlines() if line.strip()]
    return sum(s[0] for s in sums), sum(s[1] for s in sums)


def lint_tool(tool, *args):
    """A tool that prints "ok NAME" or "FAIL NAME" a check, and details indented."""
    done = captured([PY, tool, *args])
    good = len(re.findall(r"^ok ", done.stdout, re.M))
    bad = len(re.findall(r"^FAIL ", done.stdout, re.M))
    if done.returncode != 0 and not bad:
        bad = 1
    if bad:
        show_tail("\n".join(line for line in done.stdout.splitlines() if not line.startswith("ok ")))
    return good, bad


def lint(jobs):
    checks, plants = lint_tool("tools/lint.py", "--build", BUILD), lint_tool("tools/lint.py", "--self-test")
    return checks[0] + plants[0], checks[1] + plants[1]


def lint_names():
    for extra in ([], ["--self-test"]):
        for line in captured([PY, "tools/lint.py", "--list", *extra]).stdout.splitlines():
            yield f"lint {line}"


PYTEST = [PY, "-m", "pytest", "-q", "-p", "no:cacheprovider"]


def scenario(jobs):
    report = BUILD / "scenario.xml"
    report.unlink(missing_ok=True)
    done = captured(PYTEST + ["--junitxml", report, "tests/scenario"])
    if done.returncode == 5:  # nothing collected
        return 0, 0
    if not report.exists():
        show_tail(done.stdout)
        return 0, 1
    suite = ET.parse(report).getroot().find("testsuite")
    total, bad, skipped = (int(suite.get(k)) for k in ("tests", "failures", "skipped"))
    bad += int(suite.get("errors"))
    if bad or done.returncode:
        show_tail(done.stdout, 150)
    if skipped:
        print(f"  {skipped} skipped")
    return total - bad - skipped, bad or int(done.returncode != 0)


def scenario_names():
    for line in captured(PYTEST + ["--collect-only", "tests/scenario"]).stdout.splitlines():
        if "::" in line:
            yield f"scenario {line.split('/')[-1]}"


SUITES = {
    "unit": (unit, unit_names, "tests/unit"),
    "lint": (lint, lint_names, "tools/lint.py"),
    "scenario": (scenario, scenario_names, "tests/scenario"),
}


def build(jobs):
    print("== build (address and undefined sanitizers, failpoints) ==", flush=True)
    began = time.monotonic()
    done = captured(["ninja", "-C", BUILD, "-j", jobs, "--quiet"])
    ok = done.returncode == 0
    if not ok:
        show_tail(done.stdout)
    print(f"   build: {'done' if ok else 'FAILED'}, {time.monotonic() - began:.0f} s", flush=True)
    return ok


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--list", action="store_true", help="print the names and run nothing")
    ap.add_argument("--suite", default=",".join(SUITES), help="comma separated")
    ap.add_argument("--jobs", default=str(os.cpu_count()))
    args = ap.parse_args()
    chosen = [s for s in args.suite.split(",") if s]
    unknown = [s for s in chosen if s not in SUITES]
    if unknown:
        ap.error(f"no suite {unknown[0]}: {', '.join(SUITES)}")
    if args.list:
        for s in chosen:
            for name in SUITES[s][1]():
                print(name)
        return 0
    passed = failed = 0
    if not build(args.jobs):
        failed += 1
        chosen = [s for s in chosen if s == "lint"]
    for s in chosen:
        run_suite, _, needs = SUITES[s]
        if not (ROOT / needs).exists():
            continue
        print(f"== {s} ==", flush=True)
        began = time.monotonic()
        good, bad = run_suite(args.jobs)
        passed, failed = passed + good, failed + bad
        print(f"   {s}: {good} passed, {bad} failed, {time.monotonic() - began:.0f} s", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
