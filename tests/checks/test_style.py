"""tools/style.py lets good files pass and names each breach of a bad one."""

import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
sys.dont_write_bytecode = True
import style  # noqa: E402

GOOD = [
    ("src/base/clock.c", "int64_t now(void)\n{\n    return clock_gettime(CLOCK_MONOTONIC, &t);\n}\n"),
    ("src/net/loop.c", "/* never sleep(1) */\nlog_warn(\"sprintf(x)\");\nloop_time(l);\nt.time(1);\n"),
    ("src/net/loop.h", "/* loop.h */\n#ifndef RVPN_NET_LOOP_H\n#define RVPN_NET_LOOP_H\n#endif\n"),
    ("src/proto/control.c", "json_t *j = json_loads(text, 0, 0);\n"),
    ("src/net/conn.c", "void f(void)\n{\n" + "    g();\n" * 60 + "}\n"),
    ("tests/corpus/ws/odd", "blanks at the end   \nand no newline"),
    ("docs/a.md", "see `$HOME/.config` and https://a.example/home/ and ~/work/\n"),
]

NOTE = "TO" + "DO"
PLACE = "/ho" + "me/me/x"
HOST = "registry.np" + "mjs.org"

# (file, text, what must be said about it)
BAD = [
    ("src/net/a.c", "\nsprintf(b, f);\n", "src/net/a.c:2: sprintf is banned"),
    ("tests/unit/net/test_a.c", "n = atoi (s);\n", "tests/unit/net/test_a.c:1: atoi is banned"),
    ("tests/fuzz/fuzz_a.c", "usleep(1);\n", "tests/fuzz/fuzz_a.c:1: usleep is banned"),
    ("src/net/a.c", "t = time(NULL);\n", "src/net/a.c:1: time is called outside base/clock.c"),
    ("src/proto/a.c", "p = malloc(1);\n", "src/proto/a.c:1: malloc: proto allocates nothing"),
    ("src/proto/a.c", "json_decref(j);\n", "src/proto/a.c:1: json_decref: in proto only control"),
    ("src/net/a.c", "typedef int fd;\n", "src/net/a.c:1: typedef hides"),
    ("src/net/a.c", "struct conn_t *c;\n", "src/net/a.c:1: conn_t: POSIX keeps"),
    ("src/net/a.c", "int f(void)\n{\n" + "    g();\n" * 61 + "}\n",
     "src/net/a.c:2: a function of 61 lines"),
    ("src/net/a.c", "int a;\n" * 601, "src/net/a.c: 601 lines"),
    ("src/net/a.h", "#ifndef A_H\n#define A_H\n#endif\n", "src/net/a.h:1: is not guarded by RVPN_NET_A_H"),
    ("src/net/net_util.c", "int a;\n", "src/net/net_util.c: a noun has not been found"),
    ("src/net/a.c", f"/* {NOTE}: later */\n", f"src/net/a.c:1: {NOTE}: do it"),
    ("docs/a.md", "two blanks  \n", "docs/a.md:1: trailing blanks"),
    ("docs/a.md", "no newline", "docs/a.md: does not end with a newline"),
    ("docs/a.md", f"run\nit in {PLACE}\n", "docs/a.md:2: "),
    ("tests/e2e/package-lock.json", f'"https://{HOST}/ws"\n', "tests/e2e/package-lock.json:1: "),
    ("docs/a.md", "as iss" + "ue 7 says\n", "docs/a.md:1: "),
]


def complaints(files):
    with tempfile.TemporaryDirectory() as folder:
        tree = pathlib.Path(folder)
        for name, text in files:
            path = tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return style.check(tree)


class Style(unittest.TestCase):
    def test_good_files_pass(self):
        self.assertEqual(complaints(GOOD), [])

    def test_each_breach_is_named_and_nothing_else(self):
        for name, text, expected in BAD:
            with self.subTest(expected):
                said = complaints([(name, text)])
                self.assertEqual(len(said), 1, said)
                self.assertTrue(said[0].startswith(expected), said[0])


if __name__ == "__main__":
    unittest.main()
