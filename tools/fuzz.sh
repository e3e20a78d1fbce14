#!/bin/bash
# fuzz.sh - runs every fuzz target for so many seconds, as many at once as there are cores.
# What is found is left in build/fuzz/findings, named after its target.
#
# usage: fuzz.sh SECONDS [TARGET...]
set -euo pipefail

cd "$(dirname "$0")/.."
seconds=$1
shift

cmake --preset fuzz --log-level=WARNING
cmake --build build/fuzz -j "$(nproc)"
mkdir -p build/fuzz/findings

fuzz_one() {
    local program=$1 seconds=$2
    local name=${program##*/fuzz_}
    local log=build/fuzz/findings/$name.log

    # New inputs go to a corpus of this build's own; the one in tests/ is only read.
    mkdir -p "build/fuzz/corpus/$name"
    if "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="build/fuzz/findings/$name-" "build/fuzz/corpus/$name" \
        "tests/corpus/$name" >"$log" 2>&1; then
        echo "$name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") runs, no finding"
    else
        tail -n 40 "$log"
        echo "$name: FOUND something, see $log"
        return 1
    fi
}
export -f fuzz_one

targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
    mapfile -t targets < <(find build/fuzz -maxdepth 1 -name 'fuzz_*' -type f -executable | sort)
else
    targets=("${targets[@]/#/build/fuzz/fuzz_}")
fi
if [ ${#targets[@]} -eq 0 ]; then
    echo 'fuzz.sh: there is no fuzz target' >&2
    exit 1
fi
# shellcheck disable=SC2016 # $0 and $1 are the inner shell's
printf '%s\0' "${targets[@]}" |
    xargs -0 -n 1 -P "$(nproc)" bash -c 'fuzz_one "$1" "$0"' "$seconds"
