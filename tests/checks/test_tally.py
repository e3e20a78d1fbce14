"""tools/tally.py counts what ctest and node wrote, and never takes silence for success."""

import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
sys.dont_write_bytecode = True
import tally  # noqa: E402

JUNIT = """<?xml version="1.0" encoding="UTF-8"?>
<testsuite name="(empty)" tests="4" failures="1" disabled="0" skipped="1">
  <testcase name="a" status="run"><system-out>12 passed, 9 failed</system-out></testcase>
  <testcase name="b" status="run"/>
  <testcase name="c" status="fail"><failure message=""/></testcase>
  <testcase name="d" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/></testcase>
</testsuite>
"""
TAP = ("ok 1 - x\n# pass 99\n1..2\n# tests 5\n# suites 0\n# pass 3\n# fail 0\n# cancelled 1\n"
       "# skipped 1\n# todo 0\n# duration_ms 5\n")

ROWS = [
    # (what, steps.txt, other files, (passed, failed, skipped))
    ("nothing at all", None, {}, (0, 1, 0)),
    ("both kinds add up", "ctest-debug\tfailed\ne2e-asan\tfailed\n",
     {"ctest-debug.xml": JUNIT, "node-asan.tap": TAP}, (5, 2, 2)),
    ("a build that works is no test", "build-debug\tok\n", {}, (0, 0, 0)),
    ("a build that fails is a failure", "build-debug\tfailed\nctest-debug\tnot run\n", {},
     (0, 2, 0)),
    ("a runner that died before it wrote", "ctest-debug\tfailed\n", {}, (0, 1, 0)),
    ("a runner that says well and wrote nothing", "e2e-asan\tok\n", {}, (0, 1, 0)),
    ("a file that is cut off", "ctest-debug\tok\n", {"ctest-debug.xml": JUNIT[:150]}, (0, 1, 0)),
    ("TAP without its end", "e2e-asan\tok\n", {"node-asan.tap": "ok 1 - x\n"}, (0, 1, 0)),
    ("a sanitizer's report beside tests that pass", "e2e-asan\tfailed\n",
     {"node-asan.tap": TAP.replace("cancelled 1", "cancelled 0")}, (3, 1, 1)),
    ("each figure of what things cost is a test", "cost\tfailed\n",
     {"cost.tap": "# pass 28\n# fail 2\n"}, (28, 2, 0)),
    ("figures of another compiler are skipped", "cost\tok\n",
     {"cost.tap": "# pass 0\n# fail 0\n# skipped 30\n"}, (0, 0, 30)),
    ("clang-tidy is one test", "tidy\tok\n", {}, (1, 0, 0)),
    ("the soak is one test", "soak\tok\n", {}, (1, 0, 0)),
    ("clang-tidy fails", "tidy\tfailed\n", {}, (0, 1, 0)),
]


class Tally(unittest.TestCase):
    def test_each_row_adds_up(self):
        for what, steps, files, expected in ROWS:
            with self.subTest(what), tempfile.TemporaryDirectory() as name:
                folder = pathlib.Path(name)
                for file, text in {**files, **({"steps.txt": steps} if steps else {})}.items():
                    (folder / file).write_text(text, encoding="utf-8")
                self.assertEqual(tally.counted(folder), expected)

    def test_skips_are_named_only_when_there_are_any(self):
        self.assertEqual(tally.line((3, 0, 0)), "3 passed, 0 failed")
        self.assertEqual(tally.line((3, 1, 2)), "3 passed, 1 failed, 2 skipped")


if __name__ == "__main__":
    unittest.main()
