"""Flips comparisons in changed source files, one at a time, and counts what the tests notice.

mutate.py [--count 30] [--seed 1] [--base REF] [--need 24] [--jobs N] [--minutes 40] [FILE …]

Each mutant is built in a copy of the tree (build-mutate), only what depends on the file; then the unit tests of its floor
run, then, while nothing notices, the other unit tests and the scenario tests named for its folder. A mutant that does not compile counts for nothing
and is replaced. Ends with "noticed K/N"; exit 0 when K reaches --need, as a share of N.
"""
import argparse
import filecmp
import functools
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
import lint  # noqa: E402  (the C scanner of the house rules)

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = ROOT / "build-mutate"
TREE, BUILD = WORK / "tree", WORK / "out"
FLIPS = {"==": "!=", "!=": "==", "<=": "<", ">=": ">", "<": "<=", ">": ">=", "&&": "||", "||": "&&"}
OPERATOR = re.compile(r"(?<![-<>=!&|+*/%^])(==|!=|<=|>=|&&|\|\||<(?![<=])|>(?![>=]))(?![=])")
CAST = re.compile(r"\((?:u?int\d+_t|size_t|(?:unsigned )?(?:char|int|long long))\)(?=[\w(])")
TERM = r"([\w.>\-\[\]]+|\([^()]*\))"
CHOICE = re.compile(rf"{TERM} ([<>]=?) {TERM} \? *{TERM} : *{TERM}\s*[;,)]")  # a < b ? a : b
CLAMP = re.compile(rf"if \({TERM} ([<>]=?) {TERM}\) {TERM} = {TERM};")  # if (a > b) a = b;
# Whole-program tests that exercise a folder, tried when its unit tests notice nothing.
SCENARIOS = {"agent": "agent nginx", "targets": "nginx", "api": "api", "core": "api", "work": "api", "net": "http", "signer": "signer",
             "io": "signer agent", "db": "api", "bin": "cli agent signer", "model": "api"}
ENV = dict(os.environ, BUILD=str(BUILD), PYTHONDONTWRITEBYTECODE="1", ASAN_OPTIONS="detect_leaks=0")


def changed_files(base):
    """Source files of src/ that differ from `base`; all of them when there is no such commit."""
    if base:
        out = subprocess.run(["git", "diff", "--name-only", base, "--", "src"], cwd=ROOT, capture_output=True, text=True)
    else:
        out = subprocess.run(["git", "ls-files", "src"], cwd=ROOT, capture_output=True, text=True)
    return [f for f in out.stdout.split() if f.endswith(".c") and (ROOT / f).exists()]


def ties(line):
    """Columns of comparisons that choose a minimum, a maximum or a clamp: where < and <= differ, both give the same value."""
    line = CAST.sub(lint.blank, line)
    return {m.start(2) for shape in (CHOICE, CLAMP) for m in shape.finditer(line) if {m[1], m[3]} == {m[4], m[5]}}


def sites(path):
    """(offset, operator) of each comparison in code, outside the preprocessor, static assertions and equivalent changes."""
    code = lint.C_NOISE.sub(lint.blank, (ROOT / path).read_text())
    for m in OPERATOR.finditer(code):
        line_start = code.rfind("\n", 0, m.start()) + 1
        line = code[line_start:code.find("\n", m.start())]
        if line.lstrip().startswith("#") or "_Static_assert" in line or "CHECK(" in line:
            continue
        if m.start(1) - line_start not in ties(line):
            yield m.start(1), m.group(1)


def run(args, seconds, **kw):
    """Return code, or None when it took too long; the whole group is ended then."""
    p = subprocess.Popen([str(a) for a in args], env=ENV, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **kw)
    try:
        return p.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(p.pid, signal.SIGKILL)
        p.wait()
        return None


def copy_tree():
    """The tree's files into TREE. Only what differs is written, so that a second run builds little; the mutant of an
    interrupted run differs, and its copy is then newer than the object built from it."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True)
    wanted = {f for f in listed.stdout.splitlines() if (ROOT / f).is_file()}
    for old in [p for p in TREE.rglob("*") if p.is_file() and str(p.relative_to(TREE)) not in wanted]:
        old.unlink()
    for f in wanted:
        if not (TREE / f).exists() or not filecmp.cmp(ROOT / f, TREE / f, shallow=False):
            (TREE / f).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / f, TREE / f)


def prepare(jobs):
    """A copy of the tree with its own build, all tests built."""
    copy_tree()
    if not (BUILD / "build.ninja").exists():
        subprocess.run(["meson", "setup", BUILD, TREE, "-Db_sanitize=address,undefined", "-Db_lundef=false", "-Dfailpoints=true"],
                       check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["ninja", "-C", BUILD, "-j", jobs, "-k", "0", "--quiet"], stdout=subprocess.DEVNULL)


def all_tests():
    names = subprocess.run(["meson", "test", "-C", BUILD, "--list"], capture_output=True, text=True).stdout.splitlines()
    return [n.strip() for n in names if re.fullmatch(r"[\w-]+", n.strip())]


def scenario_files(floor):
    found = []
    for word in SCENARIOS.get(floor, "").split():
        found += sorted((TREE / "tests/scenario").glob(f"test_*{word}*.py"))
    return found


def passes(test):
    """Whether a unit test (its name) or scenario file (its path) passes on what is built now."""
    if isinstance(test, str):
        return run(["meson", "test", "-C", BUILD, "--no-rebuild", "-t", "3", test], 240) == 0
    return run([sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test], 300, cwd=TREE) == 0


def notices(path, units, jobs):
    """The first thing that notices the mutant built now, or None. `units`: the unit tests that pass without one."""
    own = [t for t in units if t.startswith(path.split("/")[1] + "-")]
    rest = [t for t in units if t not in own and not t.endswith(".py")]
    for names in (own, rest):
        if names and run(["meson", "test", "-C", BUILD, "--no-rebuild", "--num-processes", jobs, "-t", "3", *names], 240) != 0:
            return "unit tests"
    return next((f for f in scenario_files(path.split("/")[1]) if not passes(f)), None)


@functools.cache
def passes_unchanged(test, targets, jobs):
    """Whether it passes without a mutant, too: only then it noticed one. The tree is restored."""
    return run(["ninja", "-C", BUILD, "-j", jobs, *targets], 600) == 0 and passes(test)


def programs():
    """Ninja's names of the programs and tests that the plain tree builds."""
    out = subprocess.run(["ninja", "-C", BUILD, "-t", "targets", "all"], capture_output=True, text=True).stdout
    names = re.findall(r"^((?:src/bin|tests/unit)/[\w/-]+): c_LINKER", out, re.M)
    return tuple(n for n in names if (BUILD / n).exists())


def mutate(path, at, op):
    target = TREE / path
    text = (ROOT / path).read_text()
    target.write_text(text[:at] + FLIPS[op] + text[at + len(op):])
    line = text.count("\n", 0, at) + 1
    return f"{path}:{line}: {op} to {FLIPS[op]}: {text.splitlines()[line - 1].strip()[:90]}"


def restore(path):
    shutil.copyfile(ROOT / path, TREE / path)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--count", type=int, default=30)
    ap.add_argument("--need", type=int, default=24)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--base", help="commit that the changed files are counted from; all of src without it")
    ap.add_argument("--jobs", default=str(os.cpu_count()))
    ap.add_argument("--minutes", type=float, default=40)
    ap.add_argument("files", nargs="*")
    args = ap.parse_args()
    began = time.monotonic()
    print("mutate: building the copy", flush=True)
    prepare(args.jobs)
    units = [t for t in all_tests() if passes(t)]
    targets = programs()
    print(f"mutate: {len(units)} unit tests pass without a mutant, {time.monotonic() - began:.0f} s", flush=True)
    pool = [(f, at, op) for f in (args.files or changed_files(args.base)) for at, op in sites(f)]
    random.Random(args.seed).shuffle(pool)
    noticed = tried = 0
    for path, at, op in pool:
        if tried == args.count or time.monotonic() - began > args.minutes * 60:
            break
        what = mutate(path, at, op)
        if run(["ninja", "-C", BUILD, "-j", args.jobs, *targets], 600) != 0:
            restore(path)
            continue
        tried += 1
        by = notices(path, units, args.jobs)
        restore(path)
        if isinstance(by, pathlib.Path):
            by = by.name if passes_unchanged(by, targets, args.jobs) else None
        noticed += by is not None
        print(f"{'noticed ' if by else 'MISSED  '}{what}" + (f"  ({by})" if by else ""), flush=True)
    fine = tried > 0 and noticed * args.count >= args.need * tried
    print(f"noticed {noticed}/{tried}, {time.monotonic() - began:.0f} s")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
