"""Compares what the emitter prints with the committed file, and fails where they differ: same.py EMIT SURFACE FILE.
In a file that has the mark line, only what stands below it is emitted; what stands above is written by hand.
same.py --write EMIT SURFACE FILE replaces the emitted part instead."""
import difflib
import subprocess
import sys

MARK = "<!-- Below this line: emitted from the tables by `make docs`; a test compares. -->\n"

write = sys.argv[1] == "--write"
emit, surface, path = sys.argv[2 if write else 1:]
now = subprocess.run([emit, surface], check=True, capture_output=True, text=True).stdout
with open(path, encoding="utf-8") as f:
    committed = f.read()
hand, mark, _ = committed.rpartition(MARK)
now = hand + mark + now
if now != committed and write:
    with open(path, "w", encoding="utf-8") as f:
        f.write(now)
elif now != committed:
    sys.stdout.writelines(difflib.unified_diff(committed.splitlines(True), now.splitlines(True), path, "emitted"))
    sys.exit(f"{path} differs from the tables: run `make docs`")
