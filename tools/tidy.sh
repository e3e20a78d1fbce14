#!/bin/bash
# tidy.sh - clang-tidy over every C file that a configured build directory compiles.
#
# usage: tidy.sh BUILD_DIR [JOBS]
set -euo pipefail

cd "$(dirname "$0")/.."
build=$1
jobs=${2:-$(nproc)}

sed -n 's/^ *"file": "\(.*\.c\)".*/\1/p' "$build/compile_commands.json" | sort -u |
    xargs -r -d '\n' -n 1 -P "$jobs" clang-tidy --quiet -p "$build" 2>&1 |
    { grep -v ' warnings\? generated\.$' || true; }
