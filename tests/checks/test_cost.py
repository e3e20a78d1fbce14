"""tools/cost.py adds up what callgrind wrote, and fails a figure that has moved, either way."""

import contextlib
import io
import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
sys.dont_write_bytecode = True
import cost  # noqa: E402

# Two functions of ours, one of which calls the other and libc; the stand-in for a clock; and a
# visitor in the same program, who is not counted but for his system calls.
DUMP = """# callgrind format
events: Ir sysCount sysTime
ob=(1) /build/release/rvpn-cost
fl=(1) a.c
fn=(1) outer
0 100
cfn=(2) inner
calls=3 0
0 30 1 5
0 7
cob=(2) /lib/libc.so.6
cfi=(9) ???
cfn=(3) write
calls=2 0
0 50 2 9

fn=(2)
fi=(4) b.h
0 30 0 0

fn=(5) __wrap_clock
0 1000
cob=(2)
cfn=(6) clock_gettime
calls=2 0
0 8 2 9

fn=(7) a_visitor
0 0
cob=(2)
cfn=(3)
calls=9 0
0 0 9 9

ob=(2)
fl=(9)
fn=(3)
0 50 2 9
"""
RECORDED = {"a work": {"instructions": 1000, "system calls": 4, "bytes copied": 0}}

ROWS = [
    # (what, instructions, system calls, bytes copied, how many are ill)
    ("the same", 1000, 4, 0, 0),
    ("within the margin", 1050, 3.8, 0, 0),
    ("dearer", 1060, 4, 0, 1),
    ("cheaper, and not recorded", 940, 4, 0, 1),
    ("one more system call in ten times", 1000, 4.25, 0, 1),
    ("copies where there was none", 1000, 4, 100, 1),
]


class Cost(unittest.TestCase):
    def test_a_call_counts_where_it_leads_and_stand_ins_not_at_all(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "dump")
            path.write_text(DUMP, encoding="utf-8")
            name, figures, more = cost.of_work("a work\tMB\t2.0\t4\t500",
                                               *cost.read_dump(path))
        self.assertEqual(name, "a work")
        self.assertEqual(figures, {"instructions": 137 / 2, "system calls": 3, "bytes copied": 250})
        self.assertEqual(more["dearest"][0], (107 / 2, "outer"))
        self.assertEqual(more["with libraries"], 1187 / 2)

    def test_what_has_moved_is_ill(self):
        for what, instructions, calls, copied, ill in ROWS:
            figures = dict(zip(cost.FIGURES, (instructions, calls, copied)))
            with self.subTest(what), contextlib.redirect_stdout(io.StringIO()):
                works = [("a work", figures, {"unit": "MB", "with libraries": 0})]
                self.assertEqual(cost.judge(works, RECORDED), (3 - ill, ill))

    def test_what_is_not_recorded_or_no_longer_there_is_ill(self):
        figures = dict(RECORDED["a work"])
        with contextlib.redirect_stdout(io.StringIO()):
            works = [("another", figures, {"unit": "MB", "with libraries": 0})]
            self.assertEqual(cost.judge(works, RECORDED), (0, 6))


if __name__ == "__main__":
    unittest.main()
