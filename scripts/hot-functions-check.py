#!/usr/bin/env python3
"""Checks that every function in hot_functions.ld is in the library: by the map that the linker wrote for it (build.rs)."""

import re
import sys
from fnmatch import fnmatchcase
from pathlib import Path

maps = sorted(Path("target/release/build").glob("validator-*/out/validator.map"), key=lambda file: file.stat().st_mtime)
if not maps:
    sys.exit("there is no map of the library: run `make build` first")
sections = set(re.findall(r"\.text\.[^\s)]+", maps[-1].read_text(errors="replace")))
listed = re.findall(r"^ *\*\((\.text\.[^)]+)\)$", Path("hot_functions.ld").read_text(), re.MULTILINE)
missing = [
    patterns
    for patterns in listed
    if not any(fnmatchcase(section, pattern) for pattern in patterns.split() for section in sections)
]
for patterns in missing:
    print(f"hot_functions.ld: the library has no {patterns.split()[0]}", file=sys.stderr)
if missing:
    sys.exit(f"{len(missing)} of {len(listed)} patterns match nothing: run `make hot-functions`")
