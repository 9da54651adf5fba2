"""Fails when what the emitter prints differs from the committed file: same.py EMIT SURFACE FILE."""
import difflib
import subprocess
import sys

emit, surface, path = sys.argv[1:]
now = subprocess.run([emit, surface], check=True, capture_output=True, text=True).stdout
with open(path, encoding="utf-8") as f:
    committed = f.read()
if now != committed:
    sys.stdout.writelines(difflib.unified_diff(committed.splitlines(True), now.splitlines(True), path, "emitted"))
    sys.exit(f"{path} differs from the tables: run `make docs`")
