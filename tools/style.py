#!/usr/bin/env python3
"""style.py - the part of the house style that a tool can check.

Banned calls, lengths of functions and files, header guards, names of files, trailing blanks,
notes left for later, and paths or hosts of one particular machine.  Layout is clang-format's.
Prints one line for each breach, and exits 1 when there is any.

usage: style.py [TREE]     (default: the tree this file is in)
"""

import os
import pathlib
import re
import sys

FUNCTION_LINES = 60
FILE_LINES_WARN = 450
# Tests are tables of rows, so their files may be longer.
FILE_LINES = [("src/", 600), ("web/", 600), ("tools/", 600), ("bench/", 600), ("tests/", 900)]

SKIPPED_FILES = {".git"}  # which a linked worktree has in place of the folder
SKIPPED_FOLDERS = {".git", "build", "node_modules", "rvpn-state", "__pycache__"}
# Bytes from elsewhere: inputs and texts that must stay as they came.
VERBATIM = ("tests/corpus/", "tests/vectors/", "LICENSE")
TEXT_SUFFIXES = {".c", ".h", ".S", ".py", ".sh", ".mjs", ".js", ".cjs", ".json", ".html", ".css",
                 ".md", ".txt", ".cmake", ".yaml", ".yml", ".in", ".1", ".5", ".8", ""}

BANNED = ("sprintf vsprintf strcpy stpcpy strcat strncpy strncat strtok atoi atol atoll atof gets "
          "scanf sscanf fscanf vscanf vsscanf vfscanf system alloca setjmp longjmp usleep sleep")
CLOCKS = "time gettimeofday clock_gettime"
HEAP = "malloc calloc realloc reallocarray strdup strndup aligned_alloc posix_memalign"


def call_of(names):
    return re.compile(r"(?<![\w.>])(" + "|".join(names.split()) + r")\s*\(")


# (which files, except these, what, why it is wrong)
C_RULES = [
    ("", (), call_of(BANNED), "{} is banned"),
    ("src/", ("src/base/clock.c",), call_of(CLOCKS), "{} is called outside base/clock.c"),
    ("src/proto/", (), call_of(HEAP), "{}: proto allocates nothing"),
    ("src/proto/", ("src/proto/control.c", "src/proto/control.h"), re.compile(r"\b(json_\w+)"),
     "{}: in proto only control knows JSON"),
    ("src/", (), re.compile(r"\b(typedef)\b"), "{} hides what a thing is"),
    ("src/", (), re.compile(r"\b(?:struct|enum|union)\s+(\w+_t)\b"), "{}: POSIX keeps names in _t"),
]

# In every text file, comments and strings too.  Written so that no pattern matches itself.
TEXT_RULES = [
    (re.compile(r"\b(TO[D]O|FIX[M]E|X[X]X)\b"), "{}: do it, or say in docs/decisions why not"),
    (re.compile(r"(?<![\w.$}~*/-])(/(?:work|root|home)(?=[/\s\"'`,;:)]|$))", re.M),
     "{}: a path of one machine"),
    (re.compile(r"\b(registry\.[a-z0-9-]+\.[a-z]+|npmjs\.[a-z]+|pypi\.[a-z]+|deb\.debian\.[a-z]+|"
                r"crates\.[i]o)\b"), "{}: a package registry's host"),
    (re.compile(r"(?i)\b(issues? #?\d+)\b"), "{}: say what it is about, not its number"),
]

COMMENT_OR_LITERAL = re.compile(
    r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.S)
NO_NOUN = re.compile(r"(?i)(^|[_.-])(utils?|helpers?|common|misc)([_.-]|$)")


def blank(match):
    """A comment or literal as blanks, so that positions stay."""
    return re.sub(r"[^\n]", " ", match.group())


def line_of(text, at):
    return text.count("\n", 0, at) + 1


def files_of(tree):
    for folder, inner, names in os.walk(tree):
        inner[:] = sorted(d for d in inner if d not in SKIPPED_FOLDERS)
        for name in sorted(set(names) - SKIPPED_FILES):
            path = pathlib.Path(folder, name)
            if path.is_file() and not path.is_symlink():
                yield path.relative_to(tree).as_posix()


def check_text(name, text):
    found = []
    for pattern, why in TEXT_RULES:
        for match in pattern.finditer(text):
            found.append(f"{name}:{line_of(text, match.start())}: {why.format(match[1])}")
    if not name.endswith("package-lock.json"):
        for number, line in enumerate(text.split("\n"), 1):
            if line != line.rstrip():
                found.append(f"{name}:{number}: trailing blanks")
    if text and not text.endswith("\n"):
        found.append(f"{name}: does not end with a newline")
    return found


def check_calls(name, code):
    found = []
    for prefix, but, pattern, why in C_RULES:
        if name.startswith(prefix) and name not in but:
            for match in pattern.finditer(code):
                found.append(f"{name}:{line_of(code, match.start())}: {why.format(match[1])}")
    return found


def check_functions(name, code):
    """clang-format puts a function's braces, and nothing else's that follows ")", in column 0."""
    found = []
    lines = code.split("\n")
    start = None
    for number, line in enumerate(lines, 1):
        if line.startswith("{") and start is None:
            start = number
        elif line.startswith("}") and start is not None:
            if number - start - 1 > FUNCTION_LINES:
                found.append(f"{name}:{start}: a function of {number - start - 1} lines, "
                             f"more than {FUNCTION_LINES}")
            start = None
    return found


def check_guard(name, code):
    guard = "RVPN_" + re.sub(r"[^A-Z0-9]", "_", name.removeprefix("src/").upper())
    lines = [line for line in code.split("\n") if line.strip()]
    if lines[:2] != [f"#ifndef {guard}", f"#define {guard}"]:
        return [f"{name}:1: is not guarded by {guard}"]
    return []


def check_length(name, text):
    lines = text.count("\n")
    for prefix, most in FILE_LINES:
        if name.startswith(prefix) and lines > most:
            return [f"{name}: {lines} lines, more than {most}: two nouns are hiding in it"]
    return []


def check_file(tree, name):
    found = []
    path = tree / name
    if NO_NOUN.search(path.name):
        found.append(f"{name}: a noun has not been found for this file yet")
    if name.startswith(VERBATIM) or path.suffix not in TEXT_SUFFIXES:
        return found
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return found + [f"{name}: is not UTF-8"]
    found += check_text(name, text)
    if not name.endswith(("package-lock.json", ".md")):
        found += check_length(name, text)
    if path.suffix in (".c", ".h"):
        code = COMMENT_OR_LITERAL.sub(blank, text)
        found += check_calls(name, code) + check_functions(name, code)
        if path.suffix == ".h":
            found += check_guard(name, code)
    return found


def long_files(tree):
    """Worth a look, and no fault: source files getting long."""
    for name in files_of(tree):
        if name.startswith("src/") and name.endswith((".c", ".h")):
            lines = (tree / name).read_text(encoding="utf-8").count("\n")
            if lines > FILE_LINES_WARN:
                yield f"note: {name}: {lines} lines, more than {FILE_LINES_WARN}"


def check(tree):
    found = []
    for name in files_of(tree):
        found += check_file(tree, name)
    return found


def main(argv):
    tree = pathlib.Path(argv[1] if len(argv) > 1 else pathlib.Path(__file__).parent.parent)
    tree = tree.resolve()
    found = check(tree)
    for line in found + list(long_files(tree)):
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
