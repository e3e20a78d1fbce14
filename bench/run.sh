#!/bin/bash
# run.sh - what the relay costs beside HAProxy, and how much memory a slow visitor takes.
#
# usage: run.sh [bulk] [memory]        (neither: both)
#   BYTES     of each transfer (1000000000)
#   ROUNDS    of all transfers, interleaved (5)
#   REQUESTS  small ones of each round (40000)
#   RVPN_BIN  the relay, if it is not build/release/rvpn
#
# As root it runs in a network namespace of its own, with congestion control reno: bbr, a common
# default, costs every relay on loopback up to a third more.
set -euo pipefail

tree=$(cd "$(dirname "$0")/.." && pwd)
limit=1500 # seconds, for each of the two

die() {
    echo "run.sh: $*" >&2
    exit 1
}

if [ "${BENCH_INSIDE:-}" != 1 ] && unshare -n true 2>/dev/null; then
    BENCH_INSIDE=1 exec unshare -n "$0" "$@"
fi
if [ "${BENCH_INSIDE:-}" = 1 ]; then
    ip link set lo up
    sysctl -qw net.ipv4.tcp_congestion_control=reno
fi

[ -x "${RVPN_BIN:-$tree/build/release/rvpn}" ] || die 'there is no relay; build it with: make build'
for tool in node haproxy cc openssl; do
    command -v $tool >/dev/null || die "$tool is missing; install it with: tools/deps.sh --bench"
done
[ -d "$tree/examples/node-device/node_modules/ws" ] ||
    npm ci --prefix "$tree/examples/node-device" --no-audit --no-fund --silent ||
    die 'npm could not fetch the packages of examples/node-device'
mkdir -p "$tree/build/bench"
cc -O2 -D_GNU_SOURCE "$tree/bench/pump.c" -o "$tree/build/bench/pump"

[ $# -gt 0 ] || set -- bulk memory
for what in "$@"; do
    case $what in
        bulk | memory) timeout $limit node "$tree/bench/$what.mjs" ;;
        *) die "unknown argument $what" ;;
    esac
done
