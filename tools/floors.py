#!/usr/bin/env python3
"""floors.py - who may know whom.

A folder of src/ is a floor: one static library that includes and links only floors below it.
Prints one line for each breach, and exits 1 when there is any.

usage: floors.py [TREE]     (default: the tree this file is in)
"""

import pathlib
import re
import sys

# Lowest first.  Floors of one row do not know each other; each may know every row below.
FLOORS = [
    ["base"],
    ["proto", "auth", "meter", "net"],
    ["tunnel"],
    ["edge"],
    ["admin"],
    ["server"],
]

# What crosses threads, and the only files (without suffix) that may do so.
SHARED = [
    ("a lock", re.compile(r"\bpthread_(mutex|rwlock|cond|spin)_?\w*"),
     {"base/slab", "tunnel/registry", "net/mailbox", "edge/quota"}),
    ("an atomic", re.compile(r"\b_Atomic\b|\bstdatomic\.h\b|\batomic_\w+|\b__(atomic|sync)_\w+"),
     {"meter/meter", "meter/tally", "tunnel/registry", "net/mailbox", "net/supply"}),
]

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
FLOOR_CALL = re.compile(r"^[ \t]*floor\(([^)]*)\)", re.M)
TEST_CALL = re.compile(r"^[ \t]*(?:unit|fuzz)_test\(([^)]*)\)", re.M)


def below(floor):
    """The floors that `floor` may include and link."""
    lower = set()
    for row in FLOORS:
        if floor in row:
            return lower
        lower.update(row)
    return None


def known_floors():
    return [name for row in FLOORS for name in row]


def without_comments(text):
    return COMMENT.sub(lambda m: "\n" * m.group().count("\n"), text)


def line_of(text, at):
    return text.count("\n", 0, at) + 1


def check_include(tree, floor, target):
    """What is wrong with `floor` including "target", or None."""
    part, slash, _ = target.partition("/")
    if not slash:
        return f'"{target}" is not written from src/, as "floor/file.h"'
    if not (tree / "src" / target).is_file():
        return f'"{target}" is not in src/'
    if part != floor and part not in below(floor):
        return f'{floor} may not know {part}: "{target}"'
    return None


def check_source(tree, path, floor):
    text = without_comments(path.read_text(encoding="utf-8"))
    name = path.relative_to(tree)
    noun = f"{floor}/{path.stem}"
    found = []
    includes = list(INCLUDE.finditer(text))
    for match in includes:
        if match[1] == '"':
            wrong = check_include(tree, floor, match[2])
            if wrong:
                found.append(f"{name}:{line_of(text, match.start())}: {wrong}")
    if path.suffix == ".c" and path.with_suffix(".h").is_file():
        if not includes or includes[0][2] != noun + ".h":
            found.append(f'{name}:1: does not include its own "{noun}.h" first')
    for what, pattern, allowed in SHARED:
        match = pattern.search(text)
        if match and noun not in allowed:
            found.append(f"{name}:{line_of(text, match.start())}: {what} ({match.group()}) "
                         f"outside {', '.join(sorted(allowed))}")
    return found


def parse_floor_call(arguments):
    """floor(name FILES ... BELOW ... LIBS ...) as a name and a dict of lists."""
    words = re.sub(r"#[^\n]*", "", arguments).split()
    parts = {"FILES": [], "BELOW": [], "LIBS": []}
    current = None
    for word in words[1:]:
        if word in parts:
            current = word
        elif current:
            parts[current].append(word)
    return words[0], parts


def check_link(tree, name, parts):
    if below(name) is None:
        return [f"CMakeLists.txt: floor({name}) has no row in tools/floors.py"]
    found = []
    for other in parts["BELOW"]:
        if other not in below(name):
            found.append(f"CMakeLists.txt: {name} may not link {other}")
    for other in parts["LIBS"]:
        if other in known_floors():
            found.append(f"CMakeLists.txt: {name} links the floor {other} under LIBS, not BELOW")
    here = {p.relative_to(tree / "src" / name).as_posix()
            for p in (tree / "src" / name).glob("*.[cS]")}
    here -= {"main.c"}  # the program's own
    for forgotten in sorted(here - set(parts["FILES"])):
        found.append(f"CMakeLists.txt: src/{name}/{forgotten} is in no floor(...)")
    return found


def check_test_link(arguments):
    """unit_test(floor module LIBS ...) links its own floor and those below."""
    floor, module, *words = arguments.split()
    if below(floor) is None:
        return [f"CMakeLists.txt: the test of {module} names no floor: {floor}"]
    above = set(words) & set(known_floors()) - below(floor)
    return [f"CMakeLists.txt: the test of {floor}/{module} may not link {other}"
            for other in sorted(above)]


def check_unit_test(tree, path):
    floor = path.parent.name
    text = without_comments(path.read_text(encoding="utf-8"))
    found = []
    for match in INCLUDE.finditer(text):
        part = match[2].partition("/")[0]
        if match[1] == '"' and part in known_floors() and part != floor:
            if part not in (below(floor) or set()):
                found.append(f"{path.relative_to(tree)}:{line_of(text, match.start())}: a test "
                             f'of {floor} may not know {part}: "{match[2]}"')
    return found


def check_cmake(tree):
    text = (tree / "CMakeLists.txt").read_text(encoding="utf-8")
    calls = [parse_floor_call(m[1]) for m in FLOOR_CALL.finditer(text)]
    found = []
    for name, parts in calls:
        found += check_link(tree, name, parts)
    for match in TEST_CALL.finditer(text):
        found += check_test_link(match[1])
    declared = {name for name, _ in calls}
    for folder in sorted((tree / "src").iterdir()):
        sources = [p for p in folder.glob("*.c") if p.name != "main.c"]
        if sources and folder.name not in declared:
            found.append(f"CMakeLists.txt: src/{folder.name} is not declared with floor(...)")
    return found


def check(tree):
    found = []
    for entry in sorted((tree / "src").iterdir()):
        if not entry.is_dir():
            found.append(f"src/{entry.name}: only floors stand in src/")
        elif below(entry.name) is None:
            found.append(f"src/{entry.name}: has no row in tools/floors.py")
        else:
            for path in sorted(entry.rglob("*.[ch]")):
                found += check_source(tree, path, entry.name)
    for path in sorted((tree / "tests" / "unit").glob("*/*.[ch]")):
        found += check_unit_test(tree, path)
    return found + check_cmake(tree)


def main(argv):
    tree = pathlib.Path(argv[1] if len(argv) > 1 else pathlib.Path(__file__).parent.parent)
    found = check(tree.resolve())
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
