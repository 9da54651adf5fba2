#!/usr/bin/env python3
"""Turns sql/ into C: typed statements and embedded scripts. See sql/README.md.

  sqlgen.py header  OUT DEPFILE SQLDIR   typed parameter structs
  sqlgen.py source  OUT DEPFILE SQLDIR   statement texts and packers
  sqlgen.py scripts OUT DEPFILE SQLDIR   migrations and seeds
The dependency file names every input and its folder, so that a new file is
noticed. Imported by sql_lint.py for the same parsing.
"""
import json
import os
import re
import sys

ENGINES = ("sqlite", "pg")
# parameter type -> C member, PostgreSQL cast
TYPES = {
    "text": ("slice_t", "text"), "int": ("int64_t", "bigint"), "bool": ("bool", "boolean"),
    "time": ("us_t", "timestamptz"), "blob": ("slice_t", "bytea"), "json": ("slice_t", "jsonb"),
    "texts": ("texts_t", "text[]"),
}
NULLABLE = {"text", "time", "blob", "json", "texts"}
SQLITE_NOW = "cast(round((julianday('now') - 2440587.5) * 86400000.0) as integer) * 1000"
# Quoted text and comments are matched first, so that nothing inside them is taken for a parameter.
TOKEN = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|::|:([a-z_][a-z0-9_]*)")


class Fail(Exception):
    pass


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def expand(sql, engine):
    """{now} and {plus_s EXPR, SECONDS}: the two places where the engines spell time differently."""
    if engine == "sqlite":
        sql = sql.replace("{now}", "db_now()")
        return re.sub(r"\{plus_s ([^{}]+), ([^{},]+)\}", r"(\1 + (\2) * 1000000)", sql)
    sql = sql.replace("{now}", "clock_timestamp()")
    return re.sub(r"\{plus_s ([^{}]+), ([^{},]+)\}", r"(\1 + (\2) * interval '1 second')", sql)


def parse_statements(paths):
    """[{name, params: [(name, type, nullable)], text: {engine: sql}, scan, where}] in file order."""
    found = {}
    for path in paths:
        blocks = re.split(r"(?m)^-- name: *", read(path))
        for block in blocks[1:]:
            head, _, body = block.partition("\n")
            m = re.fullmatch(r"([a-z][a-z0-9_]*)(?: \[(sqlite|pg)\])?", head.strip())
            if not m:
                raise Fail(f"{path}: bad name line: {head!r}")
            name, engine = m.groups()
            params, scan, lines = [], None, []
            for line in body.split("\n"):
                p = re.fullmatch(r"-- :([a-z_][a-z0-9_]*) ([a-z]+)(\??)\s*", line)
                s = re.match(r"-- scan: *(.+)", line)
                if p:
                    pname, ptype, q = p.groups()
                    if ptype not in TYPES or (q and ptype not in NULLABLE):
                        raise Fail(f"{path}: {name}: parameter {pname}: no such type {ptype}{q}")
                    params.append((pname, ptype, bool(q)))
                elif s:
                    scan = s.group(1).strip()
                elif not line.startswith("--"):
                    lines.append(line)
            sql = "\n".join(lines).strip().rstrip(";").strip()
            if not sql or ";" in re.sub(r"'[^']*'", "", sql):
                raise Fail(f"{path}: {name}: want exactly one statement")
            add_statement(found, path, name, engine, params, scan, sql)
    for st in found.values():
        for engine in ENGINES:
            if engine not in st["raw"]:
                raise Fail(f"{st['where']}: {st['name']}: no text for {engine}")
        finish_statement(st)
    return list(found.values())


def add_statement(found, path, name, engine, params, scan, sql):
    st = found.setdefault(name, {"name": name, "declared": params, "raw": {}, "scan": None, "where": path})
    if st["where"] != path:
        raise Fail(f"{path}: {name}: already defined in {st['where']}")
    if params and st["declared"] and params != st["declared"]:
        raise Fail(f"{path}: {name}: the two engines declare different parameters")
    st["declared"] = st["declared"] or params
    st["scan"] = st["scan"] or scan
    for e in [engine] if engine else ENGINES:
        if e in st["raw"]:
            raise Fail(f"{path}: {name}: two texts for {e}")
        st["raw"][e] = expand(sql, e)


def finish_statement(st):
    """Numbers the parameters by first appearance and writes the text of each engine."""
    declared = {p[0]: p for p in st["declared"]}
    if len(declared) != len(st["declared"]):
        raise Fail(f"{st['where']}: {st['name']}: a parameter is declared twice")
    order = []
    for engine in ENGINES:
        used = [m.group(1) for m in TOKEN.finditer(st["raw"][engine]) if m.group(1)]
        for u in used:
            if u not in declared:
                raise Fail(f"{st['where']}: {st['name']}: parameter :{u} has no type")
            if u not in order:
                order.append(u)
        if set(declared) - set(used):
            raise Fail(f"{st['where']}: {st['name']}: unused on {engine}: {sorted(set(declared) - set(used))}")
    st["params"] = [declared[n] for n in order]
    number = {n: i + 1 for i, n in enumerate(order)}
    st["text"] = {}
    for engine in ENGINES:
        def put(m, engine=engine):
            n = m.group(1)
            if not n:
                if m.group(0).startswith("--"):
                    raise Fail(f"{st['where']}: {st['name']}: a comment stands behind SQL")
                return m.group(0)
            return f"?{number[n]}" if engine == "sqlite" else f"${number[n]}::{TYPES[declared[n][1]][1]}"
        st["text"][engine] = re.sub(r"\s*\n\s*", " ", TOKEN.sub(put, st["raw"][engine]))
    m = re.match(r"(?is)\s*(?:with\b.*?\)\s*)?(insert\s+into|update|delete\s+from)\s+\"?([a-z_]+)", st["text"]["sqlite"])
    st["table"] = m.group(2) if m else None
    st["removes"] = bool(m) and m.group(1).lower().startswith("delete")


def expand_script(sql, engine, seeds):
    """@stamp lines, @roles and (@now) of migrations and seeds."""
    out = []
    for line in sql.split("\n"):
        if line.startswith("@stamp "):
            out += [stamp_triggers(t, engine) for t in line.split()[1:]]
        elif line.strip() == "@roles":
            out.append(role_rows(os.path.join(seeds, "roles.txt")))
        elif not line.lstrip().startswith("--"):
            out.append(line)
    text = "\n".join(out).replace("(@now)", f"({SQLITE_NOW})" if engine == "sqlite" else "now()")
    return re.sub(r"\n{2,}", "\n", expand(text, engine)).strip() + "\n"


def stamp_triggers(table, engine):
    row = f"insert into stamp (resource, writer, n) values ('{table}', 'other', 0) on conflict do nothing;\n"
    if engine == "pg":
        return row + (f"create or replace trigger {table}_stamp after insert or update or delete on {table}\n"
                      "  for each statement execute function stamp_other();")
    return row + "\n".join(
        f"create trigger if not exists {table}_stamp_{op} after {op} on {table}\n"
        "  when (select open from writer_open where id = 1) = 0\n"
        f"begin update stamp set n = n + 1 where resource = '{table}' and writer = 'other'; end;"
        for op in ("insert", "update", "delete"))


def role_rows(path):
    perms, grants = {}, []
    for line in read(path).split("\n"):
        if not line.strip() or line.startswith("#"):
            continue
        roles, _, names = line.partition("|")
        for name in names.split():
            if name in perms:
                raise Fail(f"{path}: {name} stands twice")
            pid = "p-" + re.sub(r"[._]", "-", name)
            space = name.rsplit(".", 1)[0]
            perms[name] = (pid, "auth.session" if name == "auth.session.list.all" else space)
            grants += [("r-" + r, pid) for r in ["admin"] + [r for r in roles.split() if r != "-"]]
    rows = ",\n".join(f"('{pid}', '{name}', '{space}')" for name, (pid, space) in sorted(perms.items()))
    gr = ",\n".join(f"('{r}', '{p}')" for r, p in sorted(grants))
    return (f"insert into permissions (id, name, namespace) values\n{rows}\non conflict do nothing;\n"
            f"insert into role_permissions (role_id, permission_id) values\n{gr}\non conflict do nothing;")


def scripts(migrations, seeds):
    """[(version or seed name, {engine: text}, is_seed)]: migrations in order, then the seeds."""
    out = []
    for f in sorted(os.listdir(migrations)):
        if f.endswith(".sqlite.sql"):
            stem = f[:-len(".sqlite.sql")]
            text = {e: expand_script(read(os.path.join(migrations, f"{stem}.{e}.sql")), e, seeds) for e in ENGINES}
            out.append((stem + ".sql", text, False))
    for name in ("base", "demo"):
        raw = read(os.path.join(seeds, name + ".sql"))
        out.append((name, {e: expand_script(raw, e, seeds) for e in ENGINES}, True))
    return out


def columns(pg_text):
    """(table, column, not null, text[]) of each column, from the PostgreSQL text of the migrations."""
    out = []
    for m in re.finditer(r"create table if not exists (\w+) \((.*?)\n\);", pg_text, re.S):
        for line in m.group(2).split("\n"):
            c = re.match(r'  "?(\w+)"? ((?:text\[\]|\w+).*)', line)
            if c and c.group(1) not in ("constraint", "primary", "unique", "check"):
                rest = c.group(2)
                out.append((m.group(1), c.group(1), " not null" in rest, rest.startswith("text[]")))
    return out


def c_text(s):
    return "\n    ".join(json.dumps(line + "\n", ensure_ascii=True) for line in s.rstrip("\n").split("\n"))


def emit_header(stmts):
    out = ["/* Made from sql/stmt by tools/sqlgen.py. */", "#ifndef DB_SQL_STMTS_H", "#define DB_SQL_STMTS_H", "",
           '#include "db/db.h"', "",
           "/* One statement with its values in arena a: SQL(a, job_cancel, .id = id, .at = now). */",
           "#define SQL(a, name, ...) sql_##name((a), &(struct sql_##name){__VA_ARGS__})", ""]
    for st in stmts:
        n = st["name"]
        out.append(f"extern const sql_text_t sql_text_{n};")
        if st["params"]:
            out.append(f"struct sql_{n} {{")
            out += [f"  {TYPES[t][0]} {p};" + ("  /* nullable */" if q else "") for p, t, q in st["params"]]
            out += ["};", f"MUST stmt_t sql_{n}(arena_t *a, const struct sql_{n} *p);", ""]
        else:
            out += [f"MUST stmt_t sql_{n}(arena_t *a);", ""]
    names = len(stmts)
    out += ["/* Every fixed statement. */", f"enum {{ SQL_COUNT = {names} }};",
            "extern const sql_text_t *const sql_all[SQL_COUNT];", "", "#endif", ""]
    return "\n".join(out)


def packer(p, t, q):
    if t == "bool":
        return f"val_bool(p->{p})"
    if t == "int":
        return f"val_int(p->{p})"
    if t == "time":
        return f"val_time_or_null(p->{p})" if q else f"val_time(p->{p})"
    fn = f"val_{t}"
    return f"{fn}_or_null(p->{p})" if q else f"{fn}(p->{p})"


def emit_source(stmts):
    out = ["/* Made from sql/stmt by tools/sqlgen.py. */", '#include "db/sql_stmts.h"', ""]
    for st in stmts:
        n, table = st["name"], f'"{st["table"]}"' if st["table"] else "NULL"
        out += [f"const sql_text_t sql_text_{n} = {{", f'  .name = "{n}",', "  .text = {",
                "    " + json.dumps(st["text"]["sqlite"], ensure_ascii=True) + ",",
                "    " + json.dumps(st["text"]["pg"], ensure_ascii=True) + "},",
                f"  .table = {table},", f"  .removes = {'true' if st['removes'] else 'false'},",
                f"  .scan = {json.dumps(st['scan']) if st['scan'] else 'NULL'},",
                f"  .nvals = {len(st['params'])}}};", ""]
        if not st["params"]:
            out += [f"stmt_t sql_{n}(arena_t *a)", "{", "  (void)a;",
                    f"  return (stmt_t){{&sql_text_{n}, NULL, 0}};", "}", ""]
            continue
        k = len(st["params"])
        out += [f"stmt_t sql_{n}(arena_t *a, const struct sql_{n} *p)", "{",
                f"  val_t *v = ARENA_ARRAY(a, val_t, {k});",
                f"  if (!v) return (stmt_t){{&sql_text_{n}, NULL, {k}}};"]
        out += [f"  v[{i}] = {packer(*prm)};" for i, prm in enumerate(st["params"])]
        out += [f"  return (stmt_t){{&sql_text_{n}, v, {k}}};", "}", ""]
    out += ["const sql_text_t *const sql_all[SQL_COUNT] = {"] + [f"  &sql_text_{s['name']}," for s in stmts] + ["};", ""]
    return "\n".join(out)


def emit_scripts(all_scripts):
    out = ["/* Made from sql/migrations and sql/seed by tools/sqlgen.py. */", '#include "db/migrate.h"', ""]
    moves = [s for s in all_scripts if not s[2]]
    out.append("const db_script_t db_migrations[] = {")
    for name, text, _ in moves:
        out.append(f'  {{"{name}", {{\n    {c_text(text["sqlite"])},\n    {c_text(text["pg"])}}}}},')
    out += ["};", f"const size_t db_migrations_n = {len(moves)};", "", "const db_column_t db_columns[] = {"]
    cols = columns("\n".join(text["pg"] for _, text, _ in moves))
    flag = ("false", "true")
    out += [f'  {{"{t}", "{c}", {flag[n]}, {flag[a]}}},' for t, c, n, a in cols]
    out += ["};", f"const size_t db_columns_n = {len(cols)};", ""]
    for name, text, is_seed in all_scripts:
        if is_seed:
            out.append(f'const db_script_t db_seed_{name}_script = {{"{name}", {{\n    {c_text(text["sqlite"])},\n'
                       f'    {c_text(text["pg"])}}}}};')
    return "\n".join(out) + "\n"


def sql_files(sqldir, sub):
    folder = os.path.join(sqldir, sub)
    return [os.path.join(folder, f) for f in sorted(os.listdir(folder)) if f.endswith((".sql", ".txt"))]


def main(argv):
    if len(argv) != 5 or argv[1] not in ("header", "source", "scripts"):
        raise Fail(__doc__)
    kind, out, depfile, sqldir = argv[1:]
    if kind == "scripts":
        used = sql_files(sqldir, "migrations") + sql_files(sqldir, "seed")
        text = emit_scripts(scripts(os.path.join(sqldir, "migrations"), os.path.join(sqldir, "seed")))
    else:
        used = sql_files(sqldir, "stmt")
        text = (emit_header if kind == "header" else emit_source)(parse_statements(used))
    with open(out, "w", encoding="utf-8") as f:
        f.write(text)
    folders = sorted({os.path.dirname(u) for u in used})
    with open(depfile, "w", encoding="utf-8") as f:
        f.write(f"{out}: " + " ".join(x.replace(" ", "\\ ") for x in used + folders) + "\n")


if __name__ == "__main__":
    try:
        main(sys.argv)
    except Fail as e:
        sys.exit(f"sqlgen: {e}")
