"""The house rules that a machine can check. Prints "ok NAME" or "FAIL NAME" with findings a check; exit 1 on any FAIL.

lint.py [--build DIR] [--only NAME,…] [--list] [--self-test]
--self-test plants each violation in a copy of the tree and demands that the check finds it in the planted file.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
SKIP_DIRS = {".git", "__pycache__", "var", "node_modules"}
TEXT = {".c", ".h", ".py", ".sh", ".md", ".build", ".txt", ".sql", ".json", ".golden", ""}


class Tree:
    """The files of one checkout, read once."""

    def __init__(self, root, build=None):
        self.root, self.build, self.cache = pathlib.Path(root), build, {}

    def paths(self, *tops):
        for top in tops or (".",):
            start = self.root / top
            if start.is_file():
                yield os.path.normpath(top)
            for folder, dirs, names in os.walk(start):
                dirs[:] = sorted(d for d in dirs if d not in SKIP_DIRS and not d.startswith("build"))
                for n in sorted(names):
                    p = os.path.relpath(os.path.join(folder, n), self.root)
                    if pathlib.Path(n).suffix in TEXT:
                        yield p

    def text(self, path):
        if path not in self.cache:
            self.cache[path] = (self.root / path).read_text(encoding="utf-8", errors="replace")
        return self.cache[path]

    def code(self, path):
        """C without comments and literals; line numbers stay."""
        key = ("code", path)
        if key not in self.cache:
            self.cache[key] = C_NOISE.sub(blank, self.text(path))
        return self.cache[key]

    def c_files(self, *tops):
        return [p for p in self.paths(*tops) if p.endswith((".c", ".h"))]

    def floors(self):
        return re.findall(r"^\| `(\w+)/` \|", self.text("src/README.md"), re.M)


C_NOISE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def blank(m):
    """Keeps the newlines of a comment or literal, and the file name of an #include."""
    return re.sub(r"[^\n]", " ", m.group(0))


def line_of(text, pos):
    return text.count("\n", 0, pos) + 1


def floor_of(path):
    parts = path.split("/")
    return parts[1] if parts[0] == "src" and len(parts) > 2 else None


CHECKS = {}


def check(*plants):
    """Registers a check; each plant is (path, text): appended to the file, or a new file."""

    def put(fn):
        CHECKS[fn.__name__.replace("_", "-")] = (fn, plants)
        return fn

    return put


# ---- floors and links ----


@check(("src/wire/planted.h", '#include "db/db.h"\n'), ("src/base/planted.c", '#include "planted_beside.h"\n'),
       ("src/api/planted.c", '#include "db/sqlite_planted.h"\n'), ("src/nofloor/planted.c", "int x;\n"))
def floors(t):
    """A floor includes only floors above it in src/README.md; the driver stays in db."""
    order = {f: i for i, f in enumerate(t.floors())}
    for path in t.c_files("src"):
        floor = floor_of(path)
        if floor not in order:
            yield path, 1, "lies in no floor of src/README.md"
            continue
        for m in re.finditer(r'^\s*#\s*include\s+"([^"]+)"', t.text(path), re.M):
            other, line = m.group(1).split("/")[0], line_of(t.text(path), m.start())
            if "/" not in m.group(1) or other not in order:
                yield path, line, f'"{m.group(1)}" is not written from src/'
            elif order[other] > order[floor]:
                yield path, line, f"{floor}/ includes {other}/, which stands below it"
            elif other == "db" and floor != "db" and re.search(r"db/(sqlite|pg|driver)", m.group(1)):
                yield path, line, "the database driver is included outside db/"


# What a program may link, and the libraries that must not be needed by the built file.
LINKS = {
    "certctl-agent": ("base desc conf wire crypto x509 io net targets agent", "libsqlite3 libseccomp libpq"),
    "certctl-signer": ("base desc conf wire crypto x509 io signer", "libssl libsqlite3 libpq libuv"),
    "certctl-cli": ("base desc conf wire crypto x509 io net bin", "libsqlite3 libseccomp libpq"),
}


@check(("src/bin/meson.build", "executable('certctl-agent', 'x.c', link_with: [base_lib, db_lib])\n"),
       ("src/bin/meson.build", "executable('certctl-signer', 'x.c', link_with: [net_lib], dependencies: dep_ssl)\n"))
def links(t):
    """Agent, signer and CLI link their own floors only (design: who links what)."""
    path = "src/bin/meson.build"
    if not (t.root / path).exists():
        return
    for m in re.finditer(r"executable\('([\w-]+)'(.*?)\n(?=\S|\Z)", t.text(path) + "\n", re.S):
        if m.group(1) not in LINKS:
            continue
        allowed, banned = (set(x.split()) for x in LINKS[m.group(1)])
        line = line_of(t.text(path), m.start())
        for lib in re.findall(r"\b(\w+)_lib\b", m.group(2)):
            if lib not in allowed:
                yield path, line, f"{m.group(1)} links {lib}"
        for dep, lib in (("dep_sqlite", "libsqlite3"), ("dep_ssl", "libssl")):
            if re.search(rf"\b{dep}\b", m.group(2)) and lib in banned:
                yield path, line, f"{m.group(1)} depends on {lib}"
    for program, (_, banned) in LINKS.items():
        built = t.build and pathlib.Path(t.build) / "src/bin" / program
        if built and built.exists():
            needed = subprocess.run(["readelf", "-d", built], capture_output=True, text=True).stdout
            for lib in re.findall(r"NEEDED.*\[(lib[a-z0-9]+)", needed):
                if lib in banned.split():
                    yield path, 1, f"the built {program} needs {lib}"


@check(("build/bin/certctl-signer", "no program\n"))
def hardened(t):
    """The programs of `make build`, where they are built: position independent, bound at start, no executable stack."""
    for program in ("certctl-server", "certctl-signer", "certctl-agent", "certctl-cli"):
        path = f"build/bin/{program}"
        if not (t.root / path).exists():
            continue
        elf = subprocess.run(["readelf", "-hdlW", t.root / path], capture_output=True, text=True).stdout
        for what, pattern in (("position independent", r"Flags:.*\bPIE\b"), ("bound at start", r"\bBIND_NOW\b"),
                              ("relocated read-only", r"GNU_RELRO"), ("without executable stack", r"GNU_STACK\s.*\sRW\s")):
            if not re.search(pattern, elf):
                yield path, 1, f"is not {what}"


# ---- headers ----


@check(("src/base/planted.h", "#ifndef BASE_PLANTED_H\n#define BASE_PLANTED_H\nint planted(unheard_of_t x);\n#endif\n"))
def headers_alone(t):
    """Each header compiles by itself, with both compilers."""
    headers = [p for p in t.paths("src") if p.endswith(".h")]
    if t.only:
        headers = [p for p in headers if "planted" in p]
    compilers = [c for c in ("gcc", "clang") if shutil.which(c)]
    flags = ["-std=c17", "-D_GNU_SOURCE", "-Isrc", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-fsyntax-only", "-x", "c"]
    if t.build:
        flags.append(f"-I{t.build}/src")

    def one(job):
        cc, header = job
        if header.endswith("sql_stmts.h") or (not t.build and "db/sql_stmts.h" in t.text(header)):
            return None
        source = f'#include "{os.path.relpath(header, "src")}"\n'
        done = subprocess.run([cc, *flags, "-"], input=source, cwd=t.root, capture_output=True, text=True)
        if done.returncode:
            first = next((x for x in done.stderr.splitlines() if "error" in x), done.stderr[:200])
            return header, 1, f"{cc}: {first}"
        return None

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from filter(None, pool.map(one, [(c, h) for h in headers for c in compilers]))


@check(("src/base/planted.h", "#ifndef OTHER_NAME\n#define OTHER_NAME\n#endif\n"))
def header_guards(t):
    """Guards are FLOOR_NAME_H, so that no two headers share one."""
    for path in t.paths("src"):
        if path.endswith(".h"):
            want = re.sub(r"\W", "_", os.path.relpath(path, "src")).upper()
            if not re.search(rf"#ifndef {want}\n#define {want}\n", t.text(path)):
                yield path, 1, f"has no guard {want}"


# These fill an error or a reply and hand its code back, so that they fit in `return`; ignoring that code loses nothing.
NO_MUST = re.compile(r"rc|err_set|err_limit|err_quote|\w+_(?:fail|failed|refused|damaged)|(?:rest_)?reply_\w+")


def declared_rc(t, path):
    """(name, line, has MUST) of the functions returning rc_t that a header declares."""
    code = t.code(path)
    for m in re.finditer(r"^([ \t]*(?:\w+[ \t]+)*?)rc_t[ \t]+(\w+)\(", code, re.M):
        if "typedef" not in m.group(1):
            yield m.group(2), line_of(code, m.start()), "MUST" in m.group(1)


@check(("src/base/planted.h", "rc_t planted_run(void);\n"))
def must_use(t):
    """Every declared function that returns rc_t is MUST."""
    for path in t.paths("src"):
        if path.endswith(".h"):
            for name, line, must in declared_rc(t, path):
                if not must and not NO_MUST.fullmatch(name):
                    yield path, line, f"{name} returns rc_t and is not MUST"


@check(("src/base/planted.c", "void planted(void)\n{\n  (void)buf_rc(0);\n}\n"))
def void_casts(t):
    """A must-use result is not cast away."""
    names = {n for p in t.paths("src") if p.endswith(".h") for n in re.findall(r"\bMUST\b[^;{]*?\b(\w+)\(", t.code(p))}
    for path in t.c_files("src", "tests", "fuzz"):
        for m in re.finditer(r"\(void\)\s*(\w+)\s*\(", t.code(path)):
            if m.group(1) in names:
                yield path, line_of(t.code(path), m.start()), f"the result of {m.group(1)} is cast away"


# ---- what may be called where ----

CALL = r"(?<![\w.>]){}\s*\("
BANNED = ("strcpy strcat stpcpy strncpy strncat sprintf vsprintf strtok atoi atol atoll atof gmtime localtime ctime asctime "
          "alloca gets scanf rand srand tmpnam mktemp").split()
BANNED_IN_PRODUCT = "system popen strtol strtoul strtoll strtoull gmtime_r localtime_r mktime timegm sleep usleep".split()


@check(("src/base/planted.c", "void planted(char *p)\n{\n  strcpy(p, p);\n}\n"),
       ("tests/unit/base/planted.c", "int planted(char *p)\n{\n  return atoi (p);\n}\n"),
       ("src/bin/planted.c", 'int planted(void)\n{\n  return system("x");\n}\n'))
def banned_functions(t):
    """Functions without bounds, without errors or with hidden state."""
    for top, names in (("src", BANNED + BANNED_IN_PRODUCT), ("tests", BANNED), ("fuzz", BANNED), ("tools", BANNED)):
        pattern = re.compile(CALL.format("(" + "|".join(names) + ")"))
        for path in t.c_files(top):
            for m in pattern.finditer(t.code(path)):
                yield path, line_of(t.code(path), m.start()), f"{m.group(1)} is banned"


# Pattern, the floors where it belongs, what to say.
ONLY_HERE = [
    (r"\bEVP_\w+", "crypto", "the crypto library's keys and digests"),
    (r"\bsqlite3_\w+|\bPQ[a-z]\w+", "db", "a database driver"),
    (r"\bSSL_\w+", "net", "the TLS library"),
    (r"(?<![\w.>])(?:secure_getenv|getenv|setenv|unsetenv|putenv|clearenv)\s*\(|\benviron\b", "conf", "the environment"),
    (CALL.format("(?:clock_gettime|gettimeofday|time)"), "base", "a clock"),
    (CALL.format("(?:malloc|calloc|realloc|reallocarray|free|strdup|strndup|asprintf|vasprintf|aligned_alloc|posix_memalign)"),
     "base", "the heap"),
    (CALL.format("(?:getrandom|getentropy)"), "base", "the random source"),
    (CALL.format("(?:socket|socketpair|connect|bind|listen|accept4?|sendmsg|recvmsg|send|recv|open|openat2?|creat|fopen|fdopen|"
                 "unlink|unlinkat|rename|renameat2?|mkdir|mkdirat|rmdir|fsync|fdatasync|f?chmod|fchmodat|f?chown|fchownat|pipe2?|"
                 "v?fork|execvp?e?|execlp?|fexecve|posix_spawnp?|waitpid|epoll_\\w+|inotify_\\w+|signalfd|timerfd_\\w+|opendir|"
                 "prctl|setres[ug]id|setgroups|ptrace)"), "io", "a descriptor, a file, a process"),
    (r"\buv_\w+", "io net", "the event loop's library"),
    (r"#\s*include\s*<openssl/", "crypto net", "the crypto library's headers"),
    (r"#\s*include\s*<(?:sqlite3|libpq-fe)\.h>", "db", "a driver's header"),
    (r"#\s*include\s*<jansson\.h>", "wire", "the JSON library"),
    (r"#\s*include\s*<(?:seccomp|linux/\w+)\.h>", "io", "the kernel's confinement"),
]

# (path, call): reason. Nothing else is let through.
ONLY_HERE_WAIVED = {}


@check(("src/api/planted.c", "void planted(void)\n{\n  EVP_MD_free(0);\n}\n"), ("src/core/planted.c", "char *p = getenv(0);\n"),
       ("src/core/planted.c", "void f(void *p)\n{\n  free(p);\n}\n"), ("src/agent/planted.c", "int f(void)\n{\n  return open(0, 0);\n}\n"),
       ("src/api/planted.c", "int x = sqlite3_step(0);\n"), ("src/core/planted.c", "#include <uv.h>\nint f = uv_run(0);\n"),
       ("src/net/planted.c", "#include <jansson.h>\n"), ("src/work/planted.c", "long f = time(0);\n"))
def only_here(t):
    """Each foreign interface has one floor that calls it."""
    for pattern, homes, what in ONLY_HERE:
        for path in t.c_files("src"):
            if floor_of(path) in homes.split():
                continue
            code = t.text(path) if "include" in pattern else t.code(path)
            own = set(re.findall(r"^static [^;{=]*?\b(\w+)\(", t.code(path), re.M))
            for m in re.finditer(pattern, code):
                call = re.match(r"\W*(\w+)", m.group(0)).group(1)
                if call not in own and (path, call) not in ONLY_HERE_WAIVED:
                    yield path, line_of(code, m.start()), f"{call}: {what} belongs to {homes.replace(' ', ' and ')}"


# ---- settings, names ----

ROW = re.compile(r"^    (?:TEXT|SECRET|BOOL|INT|INTERVAL|ENUM|ROW)\((\w+), (\w+), (.*?)(?=^    [A-Z]+\(|^\};)", re.M | re.S)


def settings_rows(t):
    text = t.text("src/conf/settings.c")
    for m in ROW.finditer(text):
        yield m.group(1), m.group(2), m.group(3), line_of(text, m.start())


@check(("src/conf/settings.c", "    TEXT(PLANTED_NAME, planted_name, SP_SERVER, .help = \"x\"),\n};\n"),
       ("src/conf/settings.c", "    TEXT(PLANTED_NAME, other_member, SP_SERVER, .help = \"x\"),\n};\n"))
def settings_read(t):
    """A setting is read by something outside conf/ and tests, and its member bears its name."""
    rows = list(settings_rows(t))
    if len(rows) < 30:
        yield "src/conf/settings.c", 1, f"only {len(rows)} rows were recognised"
    used = set()
    for path in t.c_files("src"):
        if floor_of(path) != "conf":
            used.update(re.findall(r"(?:->|\.)\s*(\w+)", t.code(path)))
    # What the snapshot derives from a setting stands for it.
    derived = {"database_url": "database_path", "api_keys_named": "keys", "auth_secret": "keys", "keygen_mode": "keygen_mode",
               "log_level": "conf_start_log", "log_format": "conf_start_log"}
    everything = used | {w for p in t.c_files("src") if floor_of(p) not in ("conf",) for w in re.findall(r"\bconf_start_log\b", t.code(p))}
    # A setting with one accepted value has no reader: the loader's refusal is its whole effect.
    one_value = {"keygen_mode"}
    for name, member, rest, line in rows:
        if member not in (name.lower(), name.lower() + "_us"):
            yield "src/conf/settings.c", line, f"{name} is kept in {member}"
        if "SF_ACCEPTED" in rest or member in one_value or derived.get(member, member) in everything:
            continue
        yield "src/conf/settings.c", line, f"nothing reads {name}"


# Macros of the build, and names that tests use because nothing knows them.
NOT_SETTINGS = {"CERTCTL_FAILPOINTS", "CERTCTL_VERSION", "CERTCTL_COMMIT", "CERTCTL_SOURCE_ROOT", "CERTCTL_DATABASE_MAX_CONN", "CERTCTL_UNHEARD_OF", "CERTCTL_PLANTED"}
# Names that are told about in places and do not exist (spec/scale.md 10.5).
DENIED = ["CERTCTL_" + n for n in ("AGENT_POLL_" "INTERVAL", "ASYNC_POLL_MAX_" "ATTEMPTS")]
NAME = re.compile(r"\bCERTCTL_[A-Z0-9_]*[A-Z0-9](?![A-Z0-9_]*[*<{])")
NAMED_IN = ("src", "tests", "fuzz", "tools", "docs", "packaging", "README.md", "SECURITY.md", "Makefile", "meson.build", ".ci", "sql")


@check(("docs/planted.md", "Set CERTCTL_PLANTED_NAME.\n"), ("tests/scenario/planted.py", 'ENV = "CERTCTL_PLANTED_NAME"\n'))
def environment_names(t):
    """CERTCTL_* names in source, docs, packaging and tests are names of the table."""
    known = {"CERTCTL_" + r[0] for r in settings_rows(t)} | NOT_SETTINGS
    for path in t.paths(*NAMED_IN):
        for m in NAME.finditer(t.text(path)):
            if m.group(0) not in known and not path.endswith("tools/lint.py"):
                yield path, line_of(t.text(path), m.start()), f"{m.group(0)} is no setting"


@check(("src/conf/settings.c", '    TEXT(PLANTED_NAME, planted_name, SP_SERVER, .help = "x"),\n};\n'))
def environment_described(t):
    """Every setting stands in packaging/ENVIRONMENTS.md (a test compares the whole page with the table)."""
    page = t.text("packaging/ENVIRONMENTS.md")
    for name, _, _, line in settings_rows(t):
        if f"| `{name}` |" not in page:
            yield "src/conf/settings.c", line, f"{name} is not described: run `make docs`"


@check(("docs/planted.md", "Set CERTCTL_AGENT_POLL_" + "INTERVAL.\n"))
def denied_names(t):
    """Names that do not exist are in no file."""
    for path in t.paths():
        for name in DENIED:
            at = t.text(path).find(name)
            if at >= 0:
                yield path, line_of(t.text(path), at), f"{name} does not exist"


@check(("src/model/planted.c", '{FIELD(planted_t, planted_column, FT_TEXT, 0, .help = "x")},\n'),
       ("src/model/planted.c", '{.name = "planted_metric", .group = "gauge", .sql = "planted_metric"},\n'))
def fields_stored(t):
    """A field has its column in the migrations; a metric that says `sql` is a column of a statement."""
    sql = {top: "\n".join(t.text(p) for p in t.paths(f"sql/{top}")) for top in ("migrations", "stmt")}
    if not sql["migrations"]:
        return
    for path in t.c_files("src"):
        text = t.text(path)
        for m in re.finditer(r"\bFIELD\(\s*\w+,\s*(\w+),[^;]*?(?=\bFIELD\(|\n\};|\Z)", text):
            named = re.search(r'\.column = "(\w+)"', m.group(0))
            if floor_of(path) == "desc" or "FF_VIRTUAL" in m.group(0):
                continue
            if floor_of(path) == "model" and not re.search(rf"\b{(named or m).group(1)}\b", sql["migrations"]):
                yield path, line_of(text, m.start()), f"no migration has the column {(named or m).group(1)}"
        for m in re.finditer(r'\.sql = "(\w+)"', text):
            if not re.search(rf"\b{m.group(1)}\b", sql["stmt"]):
                yield path, line_of(text, m.start()), f"no statement has the column {m.group(1)}"


# ---- text ----


@check(("src/planted/x.c", "int x;\n"))
def readmes(t):
    """Each folder of src has a README of a page at most."""
    for floor in sorted({os.path.dirname(p) for p in t.c_files("src")}):
        readme = f"{floor}/README.md"
        if not (t.root / readme).exists():
            yield floor, 1, "has no README.md"
        elif t.text(readme).count("\n") > 90:
            yield readme, 1, "is longer than a page"


WORDS = re.compile(r"\b(" + "|".join(("TO" "DO", "FIX" "ME", "X" "XX", "HA" "CK")) + r")\b")


@check(("src/base/planted.c", "/* TO" + "DO: finish */\n"))
def unfinished(t):
    """No note of unfinished work."""
    for path in t.paths("src", "tests", "fuzz", "tools", "docs", "packaging", "sql", "README.md", "SECURITY.md", "Makefile"):
        for m in WORDS.finditer(t.text(path)):
            yield path, line_of(t.text(path), m.start()), f"{m.group(1)} left behind"


MACHINE = re.compile(r"(?<![\w.])/(?:wo" r"rk|ro" r"ot|Us" r"ers|mnt)/[\w.-]|(?<![\w.])/ho" r"me/[a-z]+/")


@check(("tools/planted.sh", "cat /wo" + "rk/main/x\n"))
def machine_paths(t):
    """No path of the machine that somebody worked on."""
    for path in t.paths("src", "tests", "fuzz", "tools", "docs", "packaging", "sql", "README.md", "Makefile", ".ci", "meson.build"):
        for m in MACHINE.finditer(t.text(path)):
            yield path, line_of(t.text(path), m.start()), f"{m.group(0)}… is a path of one machine"


@check(("src/base/planted.c", "int x; /* " + "y" * 160 + " */\n"), ("src/base/planted.c", "int x;\n" * 900),
       ("src/base/planted.c", "void f(void)\n{\n\tint x;\n}\n"), ("Makefile", "# x\n" * 81))
def shape(t):
    """Lines of at most 160 columns (120 is the aim), files of at most 800 lines, no tabs in C; a Makefile of at most 80 lines."""
    if t.text("Makefile").count("\n") > 80:
        yield "Makefile", 81, "is longer than 80 lines"
    for path in t.c_files("src"):
        lines = t.text(path).split("\n")
        if len(lines) > 801:
            yield path, 801, "is longer than 800 lines"
        for i, line in enumerate(lines, 1):
            if len(line) > 160:
                yield path, i, f"is {len(line)} columns wide"
            if "\t" in line:
                yield path, i, "has a tab"


@check(("README.md", "\n```sh\nmake planted-target\n```\n"), ("README.md", "\n```sh\nbuild/bin/planted-program --help\n```\n"))
def readme_blocks(t):
    """The README's shell blocks name targets and programs that exist."""
    if not (t.root / "README.md").exists():
        return
    text, make = t.text("README.md"), t.text("Makefile")
    blocks = list(re.finditer(r"^```(?:sh|console|bash)\n(.*?)^```", text, re.M | re.S))
    if not blocks:
        yield "README.md", 1, "has no shell block"
    for b in blocks:
        for m in re.finditer(r"\bmake ((?!install)[a-z][\w-]*)", b.group(1)):
            if not re.search(rf"^[\w\s.-]*\b{re.escape(m.group(1))}\b[\w\s.-]*:(?!=)", make, re.M):
                yield "README.md", line_of(text, b.start() + m.start()), f"make has no target {m.group(1)}"
        for m in re.finditer(r"\bbuild/bin/([\w-]+)", b.group(1)):
            if m.group(1) not in make:
                yield "README.md", line_of(text, b.start()), f"{m.group(1)} is not built"


@check(("tests/unit/base/planted.c", "static void planted(void **state)\n{\n  int x = 1;\n}\n"
        "const struct CMUnitTest tests[] = {cmocka_unit_test(planted)};\n"))
def tests_can_fail(t):
    """Every cmocka case asserts something, itself or by a function of its file that does."""
    verdict = r"\b(?:assert_\w+|fail|fail_msg|skip|CHECK|expect_\w+)\s*\("
    for path in t.c_files("tests/unit"):
        code = t.code(path)
        bodies = dict(re.findall(r"^(?:static )?[\w* ]+?[ *](\w+)\([^;{]*?\)\n\{(.*?)^\}", code, re.M | re.S))
        judges = {n for n, b in bodies.items() if re.search(verdict, b)}
        judges |= {n for n in re.findall(r"#define (\w+)\(", code)}
        for _ in range(4):
            judges |= {n for n, b in bodies.items() if any(re.search(rf"\b{j}\b", b) for j in judges)}
        for name in re.findall(r"\bcmocka_unit_test\w*\(\s*(\w+)", code):
            if name in bodies and name not in judges:
                yield path, 1, f"{name} cannot fail"


# ---- running ----


def findings(t, name):
    return sorted(set(CHECKS[name][0](t)))


def run_checks(names, build):
    failed = 0
    t = Tree(ROOT, build)
    t.only = False
    for name in names:
        found = findings(t, name)
        print(f"{'FAIL' if found else 'ok'} {name}", flush=True)
        for path, line, text in found[:40]:
            print(f"  {path}:{line}: {text}")
        if len(found) > 40:
            print(f"  … and {len(found) - 40} more")
        failed += bool(found)
    return failed


def copy_tree(dst):
    for path in Tree(ROOT).paths():
        to = dst / path
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, to)


def planted(root, name, path, text):
    """True if the check finds the violation where it was planted, and not without it."""
    target = root / path
    before = target.read_bytes() if target.exists() else None
    made = [p for p in [target.parent, *target.parent.parents] if not p.exists()]

    def hits():
        t = Tree(root)
        t.only = True
        return {f for f in findings(t, name) if f[0] == path or path.startswith(f[0] + "/")}

    clean = hits() if before is not None else set()
    target.parent.mkdir(parents=True, exist_ok=True)
    content = (before or b"").decode()
    if text.endswith("};\n") and "\n};\n" in content:  # a row goes into the table
        at = content.index("\n};\n", content.index("settings[]")) + 1
        content = content[:at] + text + content[at + 3:]
    else:
        content += text
    target.write_text(content)
    found = hits()
    if before is None:
        target.unlink()
        for p in made:
            p.rmdir()
    else:
        target.write_bytes(before)
    return len(found) > len(clean)


def self_test(names):
    failed = 0
    with tempfile.TemporaryDirectory() as tmp:
        root = pathlib.Path(tmp)
        copy_tree(root)
        for name in names:
            missed = [p for p in CHECKS[name][1] if not planted(root, name, *p)]
            missed += [("none", "the check has no plant")] if not CHECKS[name][1] else []
            print(f"{'FAIL' if missed else 'ok'} finds-{name}", flush=True)
            for path, text in missed:
                print(f"  planted in {path}, not found: {text[:100]!r}")
            failed += bool(missed)
    return failed


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--build", help="tree whose programs and generated headers are looked at")
    ap.add_argument("--only", help="comma separated")
    ap.add_argument("--list", action="store_true")
    ap.add_argument("--self-test", action="store_true")
    args = ap.parse_args()
    names = args.only.split(",") if args.only else list(CHECKS)
    if args.list:
        print("\n".join(("finds-" if args.self_test else "") + n for n in names))
        return 0
    return 1 if (self_test(names) if args.self_test else run_checks(names, args.build)) else 0


if __name__ == "__main__":
    sys.exit(main())
