#!/bin/bash
# valgrind.sh - the release build under valgrind, in the place of the program that is tested.  What
# valgrind has to say goes to a file in build/results/sanitizer, where test.py looks for it.
#
# usage: valgrind.sh ARGUMENT...       (of rvpn)
set -euo pipefail

tree=$(cd "$(dirname "$0")/.." && pwd)
log=$tree/build/results/sanitizer
mkdir -p "$log"
exec valgrind --quiet --vgdb=no --error-exitcode=99 --leak-check=full \
    --show-leak-kinds=definite,indirect --errors-for-leak-kinds=definite,indirect \
    --log-file="$log/valgrind.%p" "$tree/build/release/rvpn" "$@"
