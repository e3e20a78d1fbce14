#!/bin/bash
# run.sh - what the relay costs, and what it bears, in figures.
#
# usage: run.sh bench|quick [QUESTION]...    the tables and the goals; see bench.mjs
#           installs first, in ~/.cache/rvpn-bench, those that go, cargo, npm and apt have
#        run.sh one SUBJECT WORK [OPTION]...  one figure of them
#        run.sh ab WORKS ROUNDS BIN BIN...    relays against each other; see ab.mjs
#        run.sh WHAT...
#   memory  what a slow visitor takes, for SECONDS=30
#   storm   DEVICES=5000 that all come back at once, STORMS=10 times; FLAGS are the relay's;
#           with RESUME=1 they keep its TLS tickets
#   aborted  what TIMES=1000 downloads leave behind that visitors break off, ROUNDS=2 after the first
#   slow    slow attacks of CONNECTIONS=1000, and what good visitors feel of them
#   big     BYTES=4294967297 up and down through one tunnel: counters and memory
#   loss    transfers of BYTES by each of four visitors while 1 % and 5 % of all packets are lost
#   vanish  how soon machines are missed that go without a word
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
[ -x "$tree/build/release/load" ] || die 'there is no load generator; build it with: make build'
for tool in node haproxy cc openssl slowhttptest iptables taskset; do
    command -v $tool >/dev/null || die "$tool is missing; install it with: tools/deps.sh --bench"
done
[ -d "$tree/examples/node-device/node_modules/ws" ] ||
    npm ci --prefix "$tree/examples/node-device" --no-audit --no-fund --silent ||
    die 'npm could not fetch the packages of examples/node-device'
mkdir -p "$tree/build/bench"
if [ "${BENCH_INSIDE:-}" != 1 ] && [[ ${1:-bench} =~ ^(bench|quick)$ ]]; then
    node "$tree/bench/peers/install.mjs" >&2
fi
if [ "${BENCH_INSIDE:-}" != 1 ] && unshare -nm true 2>/dev/null; then
    BENCH_INSIDE=1 exec unshare -nm "$0" "$@"
fi
if [ "${BENCH_INSIDE:-}" = 1 ]; then
    ip link set lo up
    sysctl -qw net.ipv4.tcp_congestion_control=reno net.ipv4.ip_local_port_range='10000 65000'
    { cat /etc/hosts && echo '127.0.0.1 bench.example'; } >"$tree/build/bench/hosts"
    mount --bind "$tree/build/bench/hosts" /etc/hosts # for programs that want a name resolved
fi

case ${1:-bench} in
    bench | quick | one) exec node "$tree/bench/bench.mjs" "${@:-bench}" ;;
    ab) exec node "$tree/bench/ab.mjs" "${@:2}" ;;
esac
cc -O2 -D_GNU_SOURCE "$tree/bench/pump.c" -o "$tree/build/bench/pump"
for what in "$@"; do
    case $what in
        memory | aborted | storm | slow | big) ;;
        loss | vanish) [ "${BENCH_INSIDE:-}" = 1 ] || die "only root can drop packets for $what" ;;
        *) die "unknown argument $what" ;;
    esac
    timeout $limit node "$tree/bench/$what.mjs"
done
