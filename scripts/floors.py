#!/usr/bin/env python3
"""Checks which folder imports which, against the tables of floors in ARCHITECTURE.md, and that no files import in a circle.

A table follows a comment `<!-- floors: FOLDER -->`. Its first column names a folder (or a file) of that folder, its last
one what that may import, in backticks. What is imported is read from `crate::...`, in whatever form.
"""

import re
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

GROUP = re.compile(r"\bcrate::\{((?:[^{}]|\{[^{}]*\})*)\}")
PATH = re.compile(r"\bcrate::([a-z_0-9]+)((?:::[a-z_0-9]+)*)")
COMMENT = re.compile(r"//[^\n]*")


def tables():
    """Each table: the folder that it is about, and what each of its floors may import."""
    text = Path("ARCHITECTURE.md").read_text()
    for found in re.finditer(r"<!-- floors: (\S+) -->\n+((?:\|.*\n)+)", text):
        rows = [line.strip("|").split("|") for line in found[2].splitlines()[2:]]
        names = [(re.findall(r"`([a-z_.]+)/?`", row[0]), re.findall(r"`([a-z_.]+)/?`", row[-1])) for row in rows]
        yield Path(found[1]), {floor: set(below) for floors, below in names for floor in floors}


def imports(file):
    """What a file imports: paths below the crate, each as a tuple of names."""
    text = COMMENT.sub("", file.read_text())
    for group in GROUP.findall(text):
        # Of `a::{b, c}` within a group, `a` is enough.
        for item in re.sub(r"::\{[^}]*\}", "", group).split(","):
            if item.strip():
                text += f"\ncrate::{item.strip()}"
    for found in PATH.finditer(text):
        yield (found[1], *filter(None, found[2].split("::")))


def file_of(root, path):
    """The file that defines what a path names, if it is one of ours."""
    for length in range(len(path), 0, -1):
        stem = root.joinpath(*path[:length])
        for file in (stem.with_suffix(".rs"), stem / "mod.rs"):
            if file.exists():
                return file
    return None


def faults():
    """Every import that no table allows, and every circle."""
    checked = 0
    for root, floors in tables():
        circles = {}
        for file in sorted(root.rglob("*.rs")):
            checked += 1
            own = file.relative_to(root).parts[0]
            if own not in floors:
                yield f"{file}: ARCHITECTURE.md has no floor `{own}` of {root}"
                continue
            for path in imports(file):
                target = file_of(root, path)
                if target in (None, file):
                    continue
                circles.setdefault(file, set()).add(target)
                floor = target.relative_to(root).parts[0]
                if floor not in {own, *floors[own]}:
                    yield f"{file} imports {'::'.join(path)}: `{own}` may not import `{floor}`"
        try:
            TopologicalSorter(circles).prepare()
        except CycleError as error:
            yield "in a circle: " + " imports ".join(str(file) for file in reversed(error.args[1]))
    if not checked:
        yield "ARCHITECTURE.md has no table of floors"


found = sorted(set(faults()))
print("\n".join(found), file=sys.stderr)
sys.exit(bool(found))
