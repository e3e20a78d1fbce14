#!/usr/bin/env python3
"""tree.py - the documents and the tree are of one mind.

Every module of src/ has a row in ARCHITECTURE.md's table of floors and every row has a module; what
a document links to is there; `make` targets that a document names exist.  Prints one line for each
breach, and exits 1 when there is any.

usage: tree.py [TREE]     (default: the tree this file is in)
"""

import pathlib
import re
import sys

MODULE_SUFFIXES = {".c", ".h", ".S"}
HEADING = "## Floors"

ROW = re.compile(r"^\| (\w+) \| `(\w+)` \|", re.M)
FENCE = re.compile(r"^```.*?^```", re.M | re.S)
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
TARGET = re.compile(r"(?:`|^[ \t]*)make ([a-z][\w-]*)", re.M)


def modules_of(tree):
    return {f"{path.parent.name}/{path.stem}" for path in (tree / "src").glob("*/*")
            if path.suffix in MODULE_SUFFIXES}


def check_modules(tree):
    text = (tree / "ARCHITECTURE.md").read_text(encoding="utf-8")
    part = text.partition(HEADING + "\n")[2].partition("\n## ")[0]
    rows = [f"{floor}/{module}" for floor, module in ROW.findall(part)]
    there = modules_of(tree)
    found = [f"ARCHITECTURE.md: src/{name} has no row" for name in sorted(there - set(rows))]
    found += [f"ARCHITECTURE.md: there is no src/{name}" for name in sorted(set(rows) - there)]
    found += [f"ARCHITECTURE.md: src/{name} has two rows"
              for name in sorted({name for name in rows if rows.count(name) > 1})]
    return found


def documents(tree):
    return sorted(tree.glob("*.md")) + sorted((tree / "docs").rglob("*.md"))


def check_links(tree, path):
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    return [f"{path.relative_to(tree)}: links to {link}, which is not there"
            for link in LINK.findall(text)
            if "://" not in link and not (path.parent / link).exists()]


def check_targets(tree, path):
    known = set(re.findall(r"^([a-z][\w-]*):", (tree / "Makefile").read_text(encoding="utf-8"),
                           re.M))
    return [f"{path.relative_to(tree)}: there is no `make {target}`"
            for target in TARGET.findall(path.read_text(encoding="utf-8")) if target not in known]


def check(tree):
    found = check_modules(tree)
    for path in documents(tree):
        found += check_links(tree, path) + check_targets(tree, path)
    return found


def main(argv):
    tree = pathlib.Path(argv[1] if len(argv) > 1 else pathlib.Path(__file__).parent.parent)
    found = check(tree.resolve())
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
