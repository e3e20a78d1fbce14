#!/bin/bash
# format.sh - lays every C file out as .clang-format says; --check only says which differ.
set -euo pipefail

cd "$(dirname "$0")/.."
how=(-i)
if [ "${1:-}" = --check ]; then
    how=(--dry-run -Werror)
fi
find src tests bench -name node_modules -prune -o -name '*.[ch]' -print0 |
    xargs -0 -r clang-format "${how[@]}"
