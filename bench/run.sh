#!/bin/bash
# run.sh - what the relay costs, and what it bears, in figures.
#
# usage: run.sh [WHAT]...              (nothing: bulk memory)
#   bulk    CPU beside HAProxy: BYTES=1000000000 of each transfer, ROUNDS=5, REQUESTS=40000 small
#           ones a round
#   fair    small requests beside big transfers: ROUNDS=5, EACH=3 seconds
#   memory  what a slow visitor takes, for SECONDS=30
#   storm   DEVICES=5000 that all come back at once, STORMS=10 times; FLAGS are the relay's;
#           with RESUME=1 they keep its TLS tickets
#   aborted  what TIMES=1000 downloads leave behind that visitors break off, ROUNDS=2 after the first
#   slow    slow attacks of CONNECTIONS=1000, and what good visitors feel of them
#   big     BYTES=4294967297 up and down through one tunnel: counters and memory
#   loss    transfers of BYTES by each of four visitors while 1 % and 5 % of all packets are lost
#   vanish  how soon machines are missed that go without a word
#   tunnels  rvpn beside other tunnels: ROUNDS=5, EACH=1 second, ONLY=part,of,names; installs first,
#           in ~/.cache/rvpn-bench, those that go, cargo, npm and apt have
#
#   RVPN_BIN  the relay, if it is not build/release/rvpn
#
# As root it runs in a network namespace of its own, with congestion control reno: bbr, a common
# default, costs every relay on loopback up to a third more.
set -euo pipefail

tree=$(cd "$(dirname "$0")/.." && pwd)
limit=1500 # seconds, for each

die() {
    echo "run.sh: $*" >&2
    exit 1
}

[ -x "${RVPN_BIN:-$tree/build/release/rvpn}" ] || die 'there is no relay; build it with: make build'
for tool in node haproxy cc openssl slowhttptest iptables; do
    command -v $tool >/dev/null || die "$tool is missing; install it with: tools/deps.sh --bench"
done
[ -d "$tree/examples/node-device/node_modules/ws" ] ||
    npm ci --prefix "$tree/examples/node-device" --no-audit --no-fund --silent ||
    die 'npm could not fetch the packages of examples/node-device'
mkdir -p "$tree/build/bench"
if [ "${BENCH_INSIDE:-}" != 1 ] && [[ " $* " = *' tunnels '* ]]; then
    [ -x "${LOAD:-$tree/build/release/load}" ] || die 'there is no load; build it with: make build'
    node "$tree/bench/peers/install.mjs"
fi
if [ "${BENCH_INSIDE:-}" != 1 ] && unshare -nm true 2>/dev/null; then
    BENCH_INSIDE=1 exec unshare -nm "$0" "$@"
fi
if [ "${BENCH_INSIDE:-}" = 1 ]; then
    ip link set lo up
    sysctl -qw net.ipv4.tcp_congestion_control=reno
    { cat /etc/hosts && echo '127.0.0.1 bench.example'; } >"$tree/build/bench/hosts"
    mount --bind "$tree/build/bench/hosts" /etc/hosts # for programs that want a name resolved
fi

cc -O2 -D_GNU_SOURCE "$tree/bench/pump.c" -o "$tree/build/bench/pump"
cc -O2 -D_GNU_SOURCE "$tree/bench/fair_device.c" -lssl -lcrypto -o "$tree/build/bench/fair_device"
cc -O2 -D_GNU_SOURCE -pthread "$tree/bench/fair_visitors.c" -o "$tree/build/bench/fair_visitors"

[ $# -gt 0 ] || set -- bulk memory
for what in "$@"; do
    case $what in
        bulk | fair | memory | aborted | storm | slow | big | tunnels) ;;
        loss | vanish) [ "${BENCH_INSIDE:-}" = 1 ] || die "only root can drop packets for $what" ;;
        *) die "unknown argument $what" ;;
    esac
    timeout $limit node "$tree/bench/$what.mjs"
done
