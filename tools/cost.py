#!/usr/bin/env python3
"""cost.py - what the relay's own code costs, counted and not timed, beside what is recorded.

tests/cost/cost.c drives the real relay in one thread, in lock-step, under callgrind: bulk both
ways, requests, new visitors, new devices.  Counted for one of each, while the relay turns:

    instructions    of our own objects; those of libraries are printed beside, and not judged,
                    since a distribution may replace them
    system calls    of the whole relay
    bytes copied    by our own calls of memcpy() and memmove()

A figure more than 5 % from tests/cost/recorded.json is a failure, whichever way: what became
cheaper is to be recorded, or it may be lost again unseen.  Figures belong to one compiler and its
flags, and to one kind of processor; with another everything is skipped, and that is said.

usage: cost.py [--record | --profile]     (--profile: also the dearest functions of each work)
"""

import collections
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

Counter = collections.Counter

TREE = pathlib.Path(__file__).resolve().parent.parent
BUILD = TREE / "build" / "release"
PROGRAM = BUILD / "rvpn-cost"
RECORDED = TREE / "tests" / "cost" / "recorded.json"
TAP = TREE / "build" / "results" / "cost.tap"

MARGIN = 0.05
FIGURES = ("instructions", "system calls", "bytes copied")
DIGITS = {"instructions": 0, "system calls": 2, "bytes copied": 0}  # that are recorded

POSITION = re.compile(r"(c?)(ob|fn)=\((\d+)\)(?: (.*))?$")
LIKE = re.compile(r"[+*\-\d]")

# What may ask the kernel for something when it likes: memory, and a clock where valgrind is.
UNSTEADY = re.compile(r"alloc|free|malloc_trim|memalign|clock_gettime")


def read_dump(path):
    """What a dump says, as Counters of events: {(object, function): what it did itself} and
    {(caller, callee): what was done below the call}, callers and callees being such pairs."""
    names, cost, calls = {}, collections.defaultdict(Counter), collections.defaultdict(Counter)
    events, here, there, is_call = [], {}, {}, False
    for line in path.read_text(encoding="utf-8").splitlines():
        position = POSITION.match(line)
        if position:
            called, kind, number, name = position.groups()
            names.setdefault((kind, number), name)
            (there if called else here)[kind] = names[kind, number]
        elif line.startswith("events:"):
            events = line.split()[1:]
        elif line.startswith("calls="):
            is_call = True
        elif LIKE.match(line):
            counts = dict(zip(events, map(int, line.split()[1:])))
            place = here["ob"], here["fn"]
            if is_call:
                calls[place, (there.get("ob", here["ob"]), there["fn"])].update(counts)
            else:
                cost[place].update(counts)
            is_call, there = False, {}
    return cost, calls


def is_own(place):
    """Whether it is the relay's, and not what stands in for the clock or the kernel."""
    return place[0].endswith(PROGRAM.name) and not place[1].startswith(("__wrap_", "set_counted"))


def system_calls(calls):
    """Those of the relay; callgrind counts those of the device and the visitors too, and they have
    no instructions."""
    return sum(events["sysCount"] for (caller, callee), events in calls.items()
               if caller[0].endswith(PROGRAM.name) and caller[1] != "(below main)" and
               "/libc." in callee[0] and not UNSTEADY.search(callee[1]) and events["Ir"])


def of_work(line, cost, calls):
    """(name, {figure: of one}, what else is worth telling) of a work's line and dump."""
    name, unit, times, turns, copied = line.split("\t")
    times = float(times)
    own = sum(events["Ir"] for place, events in cost.items() if is_own(place))
    every = sum(events["Ir"] for events in cost.values())
    asked = system_calls(calls) + int(turns)
    figures = dict(zip(FIGURES, (own / times, asked / times, int(copied) / times)))
    dearest = sorted(((events["Ir"] / times, place[1]) for place, events in cost.items()
                      if is_own(place)), reverse=True)
    return name, figures, {"unit": unit, "with libraries": every / times, "dearest": dearest}


def measure():
    """[of_work() of each]"""
    with tempfile.TemporaryDirectory(prefix="rvpn-cost-") as name:
        folder = pathlib.Path(name)
        (folder / "state").mkdir(mode=0o700)
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", "--collect-atstart=no", "--collect-systime=yes",
             "--dump-line=no", f"--callgrind-out-file={folder}/dump", PROGRAM, folder / "state"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
            timeout=300, check=False)
        if done.returncode:
            raise OSError(f"{PROGRAM.name} has failed:\n{done.stderr[-2000:]}")
        return [of_work(line, *read_dump(folder / f"dump.{number}"))
                for number, line in enumerate(done.stdout.splitlines(), 1)]


def conditions():
    """What figures belong to."""
    cache = (BUILD / "CMakeCache.txt").read_text(encoding="utf-8")
    compiler = re.search(r"^CMAKE_C_COMPILER:\w+=(.*)$", cache, re.M)[1]
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True)
    cpu = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8")
    return {"compiler": version.stdout.splitlines()[0],
            "flags": re.search(r"^CMAKE_C_FLAGS_RELEASE:\w+=(.*)$", cache, re.M)[1],
            "machine": subprocess.run([compiler, "-dumpmachine"], capture_output=True, text=True,
                                      check=True).stdout.strip(),
            "avx2": bool(re.search(r"\bavx2\b", cpu))}


def skip(recorded, why):
    figures = len(FIGURES) * len(recorded.get("figures", {}))
    TAP.write_text(f"# pass 0\n# fail 0\n# skipped {figures}\n", encoding="utf-8")
    print(f"not judged: {why}")
    return 0


def judge(works, recorded):
    """Prints the table; returns how many figures are as recorded, and how many are not."""
    well = ill = 0
    print(f"{'':32} {'of one':13} {'recorded':>12} {'now':>12} {'ratio':>7}")
    for name, figures, more in works:
        for what in FIGURES:
            now, then = figures[what], recorded.get(name, {}).get(what)
            same = then is not None and abs(now - then) <= MARGIN * then + 10 ** -DIGITS[what]
            well, ill = well + same, ill + (not same)
            ratio = f"{now / then:7.3f}" if then else "      -"
            print(f"{name if what == FIGURES[0] else '':32} {what:13} "
                  f"{'-' if then is None else f'{then:,.10g}':>12} {now:12,.10g} {ratio}"
                  f"{'' if same else '  MORE' if then is None or now > then else '  LESS'}")
        print(f"{'':32} (with libraries {more['with libraries']:,.0f} instructions "
              f"for one {more['unit']})")
    for name in set(recorded) - {name for name, _, _ in works}:
        print(f"{name:32} was recorded, and is no longer measured")
        ill += len(FIGURES)
    return well, ill


def rounded(figures):
    return {what: round(figures[what], DIGITS[what] or None) for what in FIGURES}


def print_profile(works):
    for name, figures, more in works:
        print(f"\n{name}: {figures['instructions']:,.0f} instructions for one {more['unit']}")
        for instructions, function in more["dearest"][:25]:
            print(f"{instructions:12,.1f}  {function}")


def main(argv):
    if argv not in ([], ["--record"], ["--profile"]):
        print(__doc__)
        return 2
    TAP.parent.mkdir(parents=True, exist_ok=True)
    TAP.unlink(missing_ok=True)
    recorded = json.loads(RECORDED.read_text(encoding="utf-8")) if RECORDED.exists() else {}
    if not shutil.which("valgrind"):
        return skip(recorded, "there is no valgrind")
    built = subprocess.run(["cmake", "--build", BUILD, "--target", PROGRAM.name], cwd=TREE,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                           errors="replace", check=False)
    if built.returncode:
        print(built.stdout)
        return 1
    here = conditions()
    works = [(name, rounded(figures), more) for name, figures, more in measure()]
    if argv == ["--record"]:
        new = {"for": here, "figures": {name: figures for name, figures, _ in works}}
        RECORDED.write_text(json.dumps(new, indent=4) + "\n", encoding="utf-8")
        recorded = new
    well, ill = judge(works, recorded.get("figures", {}))
    if argv == ["--profile"]:
        print_profile(works)
    if recorded.get("for") != here:
        return skip(recorded, f"the figures are those of {recorded.get('for')}, and this is {here}")
    TAP.write_text(f"# pass {well}\n# fail {ill}\n", encoding="utf-8")
    if ill:
        print(f"{ill} figures are more than {MARGIN:.0%} from what is recorded.  If that is meant, "
              "record them:  tools/cost.py --record")
    return 1 if ill else 0


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)
    sys.exit(main(sys.argv[1:]))
