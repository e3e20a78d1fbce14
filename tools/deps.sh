#!/bin/bash
# deps.sh - installs the Debian packages that are missing, and nothing when none is.
#
# usage: deps.sh [--run] [--test] [--bench]
#   (none)   what building needs
#   --run    and what the example beside the relay needs
#   --test   and what the tests need
#   --bench  and what the comparison needs
set -euo pipefail

build="gcc make cmake ninja-build pkg-config libc6-dev libssl-dev libjansson-dev libyaml-dev"
# AES in vector registers; the build goes without where it is missing.
if [ "$(uname -m)" = x86_64 ]; then
    build="$build libipsec-mb-dev"
fi
node="ca-certificates curl openssl"
tests="python3 clang clang-format clang-tidy libclang-rt-14-dev libcmocka-dev mandoc shellcheck"
tests="$tests chromium valgrind"
bench="haproxy nginx-light libnginx-mod-stream gnuplot-nox python3 slowhttptest iptables"
bench="$bench iproute2 openssh-client"

# Debian's node is old enough as it is; any other of 18 or later is as good.
has_node() {
    command -v npm >/dev/null && command -v node >/dev/null &&
        [ "$(node -p 'parseInt(process.versions.node)')" -ge 18 ]
}

wanted=$build
for flag in "$@"; do
    case $flag in
        --run) wanted="$wanted $node" ;;
        --test) wanted="$wanted $node $tests" ;;
        --bench) wanted="$wanted $node $bench" ;;
        *)
            echo "deps.sh: unknown argument $flag" >&2
            exit 2
            ;;
    esac
done
if [ "$wanted" != "$build" ] && ! has_node; then
    wanted="$wanted nodejs npm"
fi

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    echo "deps.sh: no apt here; these, under the names Debian 12 gives them, must be installed:" >&2
    echo "    $wanted" >&2
    exit 0
fi

missing=()
for package in $wanted; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
    exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "deps.sh: these packages are missing, and there is no sudo to install them with:" >&2
        echo "    ${missing[*]}" >&2
        echo "As root:  apt-get install ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi

echo "Installing: ${missing[*]}"
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300)
"${apt[@]}" update
"${apt[@]}" install -y --no-install-recommends "${missing[@]}" </dev/null
