#!/bin/bash
# run.sh - a relay on port 8000 with a device beside it, and a guide to both.  Ctrl-C stops it all.
#
# usage: run.sh
#   RVPN_PORT   the port, if 8000 is taken
#   RVPN_BIN    the relay, if it is not build/release/rvpn
#   RVPN_STATE  where secret and certificate are kept, if not in rvpn-state
set -euo pipefail

tree=$(cd "$(dirname "$0")/.." && pwd)
relay=${RVPN_BIN:-$tree/build/release/rvpn}
port=${RVPN_PORT:-8000}
state=${RVPN_STATE:-$tree/rvpn-state}
host=hello.localhost
seconds=15 # to wait for each of them to be ready

# The relay reads variables of these names too, and would serve something else.
unset "${!RVPN_@}"

die() {
    echo "run.sh: $*" >&2
    exit 1
}

# Ended by their ids, the last started first; the folder goes with them.
work=
pids=()
# shellcheck disable=SC2317 # called by the trap
clean_up() {
    trap - EXIT INT TERM
    local at
    for ((at = ${#pids[@]} - 1; at >= 0; at--)); do
        kill "${pids[at]}" 2>/dev/null || true
        wait "${pids[at]}" 2>/dev/null || true
    done
    [ -z "$work" ] || rm -rf "$work"
}
trap clean_up EXIT
trap 'echo; exit 0' INT TERM

# wait_for FILE PATTERN PID WHAT: until a line of FILE matches.
wait_for() {
    local end=$((SECONDS + seconds))
    until grep -q "$2" "$1"; do
        if ! kill -0 "$3" 2>/dev/null; then
            cat "$1" >&2
            die "$4 ended before it was ready"
        fi
        if [ $SECONDS -ge $end ]; then
            cat "$1" >&2
            die "$4 was not ready in $seconds seconds"
        fi
        sleep 0.1
    done
}

[ -x "$relay" ] || die "there is no $relay; build it with: make build"
for tool in node npm openssl curl; do
    command -v $tool >/dev/null || die "$tool is missing; install it with: tools/deps.sh --run"
done
[ -d "$tree/examples/node-device/node_modules/ws" ] ||
    npm ci --prefix "$tree/examples/node-device" --no-audit --no-fund --no-progress \
        --loglevel=error >/dev/null ||
    die 'npm could not fetch the packages of examples/node-device'

work=$(mktemp -d)
relay_log=$work/relay.log
device_log=$work/device.log
touch "$relay_log" "$device_log" # each is looked into before its writer may have opened it

# A browser may take localhost for either address.
listen=(--listen "127.0.0.1:$port")
if grep -qs '^0*1 ' /proc/net/if_inet6; then
    listen+=(--listen "[::1]:$port")
fi
"$relay" serve "${listen[@]}" --state "$state" >"$relay_log" 2>&1 &
relay_pid=$!
pids+=("$relay_pid")
wait_for "$relay_log" ' listening ' $relay_pid 'the relay'
port=$(sed -n 's/.* listening .*port=\([0-9]*\).*/\1/p' "$relay_log" | head -n 1)

token=$("$relay" token --state "$state" --host $host --ttl 30d) || die 'no token for the device'
admin=$("$relay" token --state "$state" --scope admin --ttl 1d) || die 'no admin token'

# The device's own certificate: the relay never sees its key.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
    -subj /CN=$host -addext subjectAltName=DNS:$host \
    -keyout "$work/key.pem" -out "$work/cert.pem" 2>"$work/openssl.log" ||
    die "openssl made no certificate: $(cat "$work/openssl.log")"

RVPN_TOKEN=$token node "$tree/examples/node-device/device.mjs" \
    --relay "wss://localhost:$port" --host $host --ca "$state/certificate.pem" \
    --cert "$work/cert.pem" --key "$work/key.pem" >"$device_log" 2>&1 &
device_pid=$!
pids+=("$device_pid")
wait_for "$device_log" ' granted ' $device_pid 'the device'

cat <<GUIDE

The relay listens on port $port, a device serves $host behind it.

  Demonstration page   https://127.0.0.1:$port/
  The device           https://$host:$port/
      (a browser asks whether to trust either: both certificates are self-made)

  HTTP, routed by its Host:
      curl --resolve $host:$port:127.0.0.1 http://$host:$port/
  TLS, routed by its SNI and passed on unread:
      curl -k --resolve $host:$port:127.0.0.1 https://$host:$port/
  Who is connected, and what each has used:
      curl --cacert '$state/certificate.pem' -H "Authorization: Bearer $admin" \\
          https://localhost:$port/api/tunnels

  Ctrl-C stops both.

GUIDE

# Both logs from here on, until one of them ends.
tail -n 0 -f "$relay_log" "$device_log" --pid=$relay_pid &
pids+=($!)
wait -n $relay_pid $device_pid || true
die 'the relay or the device has ended'
