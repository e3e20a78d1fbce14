#!/usr/bin/env python3
"""test.py - builds and runs every test there is, in the order that fails soonest.

Each step leaves what it counted in build/results/ (JUnit from ctest, TAP from node, and one line
of its own in steps.txt), where tally.py adds it up.  A step that fails does not stop the others.

usage: test.py [STEP...]      (default: all of them; `test.py --list` names them)
"""

import os
import pathlib
import shutil
import subprocess
import sys
import time

import tally

TREE = pathlib.Path(__file__).resolve().parent.parent
RESULTS = TREE / "build" / "results"
E2E = TREE / "tests" / "e2e"
CORES = len(os.sched_getaffinity(0))

# A sanitizer writes its report to a file, so that none is lost in a child's output; a step that
# leaves one has failed, whatever its tests said.
REPORTS = RESULTS / "sanitizer"
SANITIZERS = {
    "ASAN_OPTIONS": f"detect_stack_use_after_return=1:log_path={REPORTS}/report",
    "UBSAN_OPTIONS": f"print_stacktrace=1:log_path={REPORTS}/report",
    "TSAN_OPTIONS": f"second_deadlock_stack=1:atexit_sleep_ms=0:log_path={REPORTS}/report",
}


def run(command, **how):
    """Returns whether `command` succeeded."""
    env = {**os.environ, **SANITIZERS, **how.pop("env", {})}
    return subprocess.run(command, cwd=how.pop("cwd", TREE), env=env, check=False,
                          stdin=subprocess.DEVNULL, **how).returncode == 0


def build(preset):
    return (run(["cmake", "--preset", preset, "--log-level=WARNING"]) and
            run(["cmake", "--build", f"build/{preset}", "-j", str(CORES)]))


def still_addresses():
    """A prefix under which addresses are not random: the thread sanitizer of clang 14 cannot
    live with as much randomness as newer kernels use."""
    command = ["setarch", os.uname().machine, "-R"]
    if shutil.which("setarch") and run(command + ["true"], stderr=subprocess.DEVNULL):
        return command
    return []


def ctest(preset, *only, prefix=()):
    return run([*prefix, "ctest", "--test-dir", f"build/{preset}", "-j", str(CORES),
                "--output-on-failure", "--no-tests=error",
                "--output-junit", str(RESULTS / f"ctest-{preset}.xml"), *only])


def npm_install(folder):
    """The packages the lock file names, unless they are there already."""
    lock = folder / "package-lock.json"
    done = folder / "node_modules" / ".package-lock.json"
    if done.is_file() and done.stat().st_mtime >= lock.stat().st_mtime:
        return True
    return run(["npm", "ci", "--no-audit", "--no-fund"], cwd=folder)


# Under the thread sanitizer these show nothing: there is no relay in them, or one without load.
NO_THREADS = {"packers.test.mjs"}

# Its relay is built with address sanitizer, and nothing else would show a leak as well.
TORTURE = {"torture.test.mjs"}


# What runs under valgrind: a visit of each kind and the ways to end one, by the oldest and the
# newest of the clients, and what strangers send.
FOR_VALGRIND = ("class A: (TLS|a raw TCP visitor|a WebSocket|a local|a visitor may)|"
                "class D: (http|TLS|20 visitors at|a visitor that goes|an end of|payload|.* dies)|"
                "unauthenticated WebSocket|breaks the protocol|in time where|body that no page|"
                "leave their counts")
VALGRIND_FILES = ["clients", "streams", "hostile", "slow"]


def valgrind(slowness):
    """Some tests against the release build under valgrind."""
    report = RESULTS / "node-valgrind.tap"
    return run(["node", "--test", "--test-reporter=spec", "--test-reporter-destination=stdout",
                "--test-reporter=tap", f"--test-reporter-destination={report}",
                *(f"{name}.test.mjs" for name in VALGRIND_FILES)],
               cwd=E2E, env={"RVPN_BIN": str(TREE / "tools" / "valgrind.sh"),
                             "RVPN_E2E_ONLY": FOR_VALGRIND,
                             "RVPN_E2E_SLOWNESS": str(slowness), "RVPN_E2E_BIG": "0"})


def end_to_end(preset, slowness, big="0", but=(), prefix=()):
    """The tests against one build; the deadlines stretch by `slowness`, `big` adds the long ones."""
    files = sorted({path.name for path in E2E.glob("*.test.mjs")} - set(but))
    if not files:
        print("no end-to-end test for this build")
        return False
    report = RESULTS / f"node-{preset}.tap"
    return run([*prefix, "node", "--test", "--test-reporter=spec",
                "--test-reporter-destination=stdout", "--test-reporter=tap",
                f"--test-reporter-destination={report}", *files], cwd=E2E,
               env={"RVPN_BIN": str(TREE / "build" / preset / "rvpn"),
                    "RVPN_E2E_SLOWNESS": str(slowness), "RVPN_E2E_BIG": big})


# How long the relay is soaked; longer by hand, with `make soak`.
SOAK_SECONDS = 60


def soak(preset, slowness):
    return run(["node", "tests/soak/soak.mjs", str(SOAK_SECONDS)],
               env={"RVPN_BIN": str(TREE / "build" / preset / "rvpn"),
                    "RVPN_E2E_SLOWNESS": str(slowness)})


# Each step: what it is called, what must have succeeded before, what it does.  `check` steps in
# ctest run once, in the debug preset.
STEPS = [
    ("build-debug", (), lambda: build("debug")),
    ("ctest-debug", ("build-debug",), lambda: ctest("debug")),
    ("build-asan", (), lambda: build("asan")),
    ("ctest-asan", ("build-asan",), lambda: ctest("asan", "-LE", "check")),
    ("npm", (), lambda: npm_install(E2E)),
    ("build-release", (), lambda: build("release")),
    ("cost", ("build-release",), lambda: run(["tools/cost.py"])),
    ("e2e-release", ("build-release", "npm"),
     lambda: end_to_end("release", 1, big="1", but=TORTURE)),
    ("e2e-asan", ("build-asan", "npm"), lambda: end_to_end("asan", 3)),
    ("soak", ("build-asan", "npm"), lambda: soak("asan", 3)),
    ("build-tsan", (), lambda: build("tsan")),
    ("ctest-tsan", ("build-tsan",),
     lambda: ctest("tsan", "-LE", "check", prefix=still_addresses())),
    ("e2e-tsan", ("build-tsan", "npm"),
     lambda: end_to_end("tsan", 5, but=NO_THREADS | TORTURE, prefix=still_addresses())),
    ("e2e-valgrind", ("build-release", "npm"), lambda: valgrind(20)),
    ("tidy", ("build-asan",), lambda: run(["tools/tidy.sh", "build/asan", str(CORES)])),
]


def print_reports():
    """Prints and removes what the sanitizers have written; returns whether there was any."""
    reports = sorted(path for path in REPORTS.glob("*") if path.stat().st_size)
    for report in reports:
        print(report.read_text(encoding="utf-8", errors="replace"))
        report.rename(RESULTS / report.name)
    return bool(reports)


def run_step(name, needs, act, ended):
    for other in needs:
        if ended.get(other, "ok") != "ok":
            return "not run"
    try:
        ok = act()
    except OSError as error:
        print(error)
        ok = False
    return "failed" if print_reports() or not ok else "ok"


def main(names):
    known = [name for name, _, _ in STEPS]
    if names == ["--list"]:
        print("\n".join(known))
        return 0
    if set(names) - set(known):
        print(f"test.py: no such step: {' '.join(sorted(set(names) - set(known)))}")
        return 2
    shutil.rmtree(RESULTS, ignore_errors=True)
    REPORTS.mkdir(parents=True)
    ended = {}
    took = {}
    for name, needs, act in STEPS:
        if names and name not in names:
            continue
        print(f"\n== {name}", flush=True)
        start = time.monotonic()
        ended[name] = run_step(name, needs, act, ended)
        took[name] = time.monotonic() - start
        with open(RESULTS / "steps.txt", "a", encoding="utf-8") as steps:
            steps.write(f"{name}\t{ended[name]}\n")
    print()
    for name, how in ended.items():
        print(f"{name:14} {how:8} {took[name]:6.0f} s")
    print("in all:", tally.line(tally.counted(RESULTS)))
    return 0 if all(how == "ok" for how in ended.values()) else 1


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    sys.exit(main(sys.argv[1:]))
