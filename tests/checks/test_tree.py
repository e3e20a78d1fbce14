"""tools/tree.py lets documents that are right pass and names what is wrong in others."""

import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
sys.dont_write_bytecode = True
import tree  # noqa: E402

TABLE = "# A\n\n## Floors\n\n| floor | module | job |\n|---|---|---|\n| base | `slice` | views |\n"

GOOD = {
    "ARCHITECTURE.md": TABLE + "\n## Words\n\n| base | `no_row` | another table |\n",
    "README.md": "[more](ARCHITECTURE.md#floors) and [far](https://example.com/x)\n\n`make run`\n",
    "Makefile": ".PHONY: run\n\nrun: build\n\ttrue\n\nbuild:\n\ttrue\n",
    "docs/protocol.md": "[up](../README.md)\n\n```\n[no link](gone)\n```\n",
    "src/base/slice.c": "\n",
    "src/base/slice.h": "\n",
}

# (what is wrong, the files that make it so, what must be said)
BAD = [
    ("a module without a row", {"src/base/list.h": "\n"},
     "ARCHITECTURE.md: src/base/list has no row"),
    ("a row without a module", {"ARCHITECTURE.md": TABLE + "| net | `loop` | turns |\n"},
     "ARCHITECTURE.md: there is no src/net/loop"),
    ("two rows", {"ARCHITECTURE.md": TABLE + "| base | `slice` | again |\n"},
     "ARCHITECTURE.md: src/base/slice has two rows"),
    ("a dead link", {"docs/protocol.md": "[up](README.md)\n"},
     "docs/protocol.md: links to README.md, which is not there"),
    ("no such target", {"README.md": "Then:\n\n    make rnu\n"},
     "README.md: there is no `make rnu`"),
]


def check(files):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
        return tree.check(root)


class Tree(unittest.TestCase):
    def test_documents_that_are_right_pass(self):
        self.assertEqual(check(GOOD), [])

    def test_each_fault_is_named(self):
        for what, files, expected in BAD:
            with self.subTest(what):
                self.assertEqual(check({**GOOD, **files}), [expected])


if __name__ == "__main__":
    unittest.main()
