#!/usr/bin/env python3
"""tally.py - adds up what test.py's steps left in a folder, as one line on its own:

    N passed, N failed          or          N passed, N failed, N skipped

Tests count as ctest and node count them.  A step that failed without a failing test to show for
it (a build, a report from a sanitizer, a runner that died) counts as one failure, and so does a
run that left nothing at all.

usage: tally.py FOLDER [STATUS]     (STATUS: what the run ended with; exits 1 on any failure)
"""

import pathlib
import re
import sys
import xml.etree.ElementTree

# Steps that count as one test each.
WHOLE = {"tidy", "soak"}

# What each step leaves; the others (builds, checks of one program) count as themselves.
LEAVES = {"ctest": "ctest-{}.xml", "e2e": "node-{}.tap", "cost": "cost.tap"}


def count_junit(text):
    """(passed, failed, skipped) in ctest's JUnit file."""
    passed = failed = skipped = 0
    for case in xml.etree.ElementTree.fromstring(text).iter("testcase"):
        if case.find("failure") is not None or case.get("status") == "fail":
            failed += 1
        elif case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
            skipped += 1
        else:
            passed += 1
    return passed, failed, skipped


def count_tap(text):
    """(passed, failed, skipped) from the lines that end node's TAP; None if they are missing."""
    last = {key: int(value) for key, value in
            re.findall(r"^# (pass|fail|cancelled|skipped|todo) (\d+)$", text, re.M)}
    if "pass" not in last or "fail" not in last:
        return None
    return (last["pass"], last["fail"] + last.get("cancelled", 0),
            last.get("skipped", 0) + last.get("todo", 0))


def count_step(folder, name):
    """What the step's own file says; None when it says nothing that can be read."""
    kind, _, preset = name.partition("-")
    path = folder / LEAVES[kind].format(preset)
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
        return count_junit(text) if kind == "ctest" else count_tap(text)
    except (OSError, xml.etree.ElementTree.ParseError):
        return None


def counted(folder):
    """(passed, failed, skipped) of all steps in `folder`."""
    total = [0, 0, 0]
    try:
        steps = (folder / "steps.txt").read_text(encoding="utf-8").splitlines()
    except OSError:
        steps = []
    for step in steps:
        name, _, how = step.partition("\t")
        counts = None
        if name.partition("-")[0] in LEAVES:
            counts = count_step(folder, name)
            if counts is None and how == "ok":
                how = "failed"
        if counts:
            total = [a + b for a, b in zip(total, counts)]
        if how != "ok" and not (counts and counts[1]):
            total[1] += 1
        elif name in WHOLE:
            total[0] += 1
    return tuple(total) if steps else (0, 1, 0)


def line(counts):
    text = f"{counts[0]} passed, {counts[1]} failed"
    return text + (f", {counts[2]} skipped" if counts[2] else "")


def main(argv):
    passed, failed, skipped = counted(pathlib.Path(argv[1]))
    if len(argv) > 2 and argv[2] != "0" and not failed:
        failed = 1
    print(line((passed, failed, skipped)))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
