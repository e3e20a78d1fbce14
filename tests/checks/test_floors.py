"""tools/floors.py lets the good tree pass and names each breach of a bad one."""

import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
sys.dont_write_bytecode = True
import floors  # noqa: E402

GOOD = {
    "CMakeLists.txt": "floor(base FILES slice.c)\n"
                      "floor(proto FILES ws.c\n    BELOW base LIBS PkgConfig::JANSSON)\n"
                      "floor(net FILES conn.c mailbox.c BELOW base)\n"
                      "floor(tunnel FILES flow.c BELOW proto net)\n"
                      "unit_test(proto ws LIBS PkgConfig::JANSSON)\n",
    "src/base/slice.h": "#include <stddef.h>\n",
    "src/base/slice.c": '#include "base/slice.h"\n',
    "src/proto/ws.h": '#include "base/slice.h"\n',
    "src/proto/ws.c": '/* the header\n * first */\n#include "proto/ws.h"\n#include <string.h>\n',
    "src/net/conn.c": '#include "base/slice.h"\n/* no pthread_mutex here, no _Atomic */\n',
    "src/net/mailbox.c": "#include <pthread.h>\nstatic pthread_mutex_t lock;\n",
    "src/tunnel/flow.c": '#include "proto/ws.h"\n#include "base/slice.h"\n',
    "src/server/main.c": "int main(void)\n{\n    return 0;\n}\n",
    "tests/unit/proto/test_ws.c": '#include "proto/ws.h"\n#include "fixture.h"\n',
}

# (what is wrong, the files that make it so, what must be said)
BAD = [
    ("a floor above", {"src/base/slice.h": '#include "proto/ws.h"\n'},
     ["src/base/slice.h:1: base may not know proto"]),
    ("a floor beside", {"src/net/conn.c": '#include "base/slice.h"\n#include "proto/ws.h"\n'},
     ["src/net/conn.c:2: net may not know proto"]),
    ("no floor in the name", {"src/proto/ws.h": '#include "slice.h"\n'},
     ["src/proto/ws.h:1: \"slice.h\" is not written from src/"]),
    ("a header that is not there", {"src/proto/ws.h": '#include "base/gone.h"\n'},
     ["src/proto/ws.h:1: \"base/gone.h\" is not in src/"]),
    ("its own header second", {"src/proto/ws.c": '#include <string.h>\n#include "proto/ws.h"\n'},
     ["src/proto/ws.c:1: does not include its own"]),
    ("a folder that is no floor", {"src/glue/a.h": "\n"}, ["src/glue: has no row"]),
    ("a file beside the floors", {"src/a.c": "\n"}, ["src/a.c: only floors stand in src/"]),
    ("a lock of its own", {"src/net/conn.c": "\nstatic pthread_mutex_t lock;\n"},
     ["src/net/conn.c:2: a lock (pthread_mutex_t)"]),
    ("a read-write lock", {"src/tunnel/flow.c": "pthread_rwlock_t lock;\n"},
     ["src/tunnel/flow.c:1: a lock (pthread_rwlock_t)"]),
    ("an atomic of its own", {"src/tunnel/flow.c": "static _Atomic int n;\n"},
     ["src/tunnel/flow.c:1: an atomic (_Atomic)"]),
    ("a link upwards", {"CMakeLists.txt": GOOD["CMakeLists.txt"].replace(
        "floor(base FILES slice.c)", "floor(base FILES slice.c BELOW proto)")},
     ["CMakeLists.txt: base may not link proto"]),
    ("a link hidden among the libraries", {"CMakeLists.txt": GOOD["CMakeLists.txt"].replace(
        "LIBS PkgConfig::JANSSON)", "LIBS net)", 1)},
     ["CMakeLists.txt: proto links the floor net under LIBS"]),
    ("a file in no library", {"src/proto/lost.c": "\n"},
     ["CMakeLists.txt: src/proto/lost.c is in no floor(...)"]),
    ("a floor not declared", {"src/edge/visitor.c": "\n"},
     ["CMakeLists.txt: src/edge is not declared"]),
    ("a test that links upwards", {"CMakeLists.txt": GOOD["CMakeLists.txt"].replace(
        "unit_test(proto ws LIBS PkgConfig::JANSSON)", "unit_test(proto ws LIBS tunnel)")},
     ["CMakeLists.txt: the test of proto/ws may not link tunnel"]),
    ("a test that looks upwards", {"tests/unit/proto/test_ws.c": '#include "net/conn.h"\n'},
     ["tests/unit/proto/test_ws.c:1: a test of proto may not know net"]),
]


def complaints(files):
    with tempfile.TemporaryDirectory() as folder:
        tree = pathlib.Path(folder)
        for name, text in files.items():
            path = tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return floors.check(tree)


class Floors(unittest.TestCase):
    def test_a_good_tree_passes(self):
        self.assertEqual(complaints(GOOD), [])

    def test_each_breach_is_named_and_nothing_else(self):
        for what, files, expected in BAD:
            with self.subTest(what):
                said = complaints({**GOOD, **files})
                self.assertEqual(len(said), len(expected), said)
                for line, start in zip(said, expected):
                    self.assertTrue(line.startswith(start), line)


if __name__ == "__main__":
    unittest.main()
