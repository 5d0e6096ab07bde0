#!/usr/bin/env python3
"""Checks that every function in hot_functions.ld is in the library: by the map that the linker wrote for it (build.rs).

With `--prune`, those that are not go: functions in assembly have no section of their own, and come with their files.
"""

import re
import sys
from fnmatch import fnmatchcase
from pathlib import Path

maps = sorted(Path("target/release/build").glob("validator-*/out/validator.map"), key=lambda file: file.stat().st_mtime)
if not maps:
    sys.exit("there is no map of the library: run `make build` first")
sections = set(re.findall(r"\.text\.[^\s)]+", maps[-1].read_text(errors="replace")))
script = Path("hot_functions.ld")
listed = re.findall(r"^ *\*\((\.text\.[^)]+)\)$", script.read_text(), re.MULTILINE)
missing = [
    patterns
    for patterns in listed
    if not any(fnmatchcase(section, pattern) for pattern in patterns.split() for section in sections)
]
if "--prune" in sys.argv:
    lines = script.read_text().splitlines(keepends=True)
    script.write_text("".join(line for line in lines if line.strip().removeprefix("*(")[:-1] not in missing))
    sys.exit()
for patterns in missing:
    print(f"hot_functions.ld: the library has no {patterns.split()[0]}", file=sys.stderr)
if missing:
    sys.exit(f"{len(missing)} of {len(listed)} patterns match nothing: run `make hot-functions`")
