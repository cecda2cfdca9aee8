#!/usr/bin/env bash
# Capture of small TCP segments between two namespaces: frames caught and dropped, CPU seconds, for
# labctl's capture and tcpdump's in the same run, on the same traffic. First what two TCP stacks on
# this machine send each other, then 1 Gbit/s of the same segments from a packet socket.
# Needs root, iperf3 and tcpdump. Usage: bench/capture.sh [SECONDS]
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-10}
for tool in iperf3 tcpdump; do
    command -v "$tool" >/dev/null || { echo "bench/capture.sh: $tool is missing" >&2; exit 1; }
done
cargo build --release --quiet -p packets --examples
built=$(cargo metadata --format-version 1 --no-deps | python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')/release/examples
work=$(mktemp -d)
a=labctl-bench-a-$$ b=labctl-bench-b-$$
finish() {
    kill "${server:-}" 2>/dev/null || true
    ip netns del "$a" 2>/dev/null || true
    ip netns del "$b" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT
ip netns add "$a"
ip netns add "$b"
ip -n "$a" link add eth0 type veth peer name eth0 netns "$b"
ip -n "$a" addr add 10.9.9.1/24 dev eth0
ip -n "$b" addr add 10.9.9.2/24 dev eth0
ip -n "$a" link set eth0 up
ip -n "$b" link set eth0 up
# A small MSS and no offload: every segment is a frame of its own, as on a real wire.
ip -n "$a" link set eth0 gso_max_segs 1 gro_max_size 1500
ip -n "$b" link set eth0 gso_max_segs 1 gro_max_size 1500
station=$(ip -n "$b" -o link show eth0 | grep -o 'ether [^ ]*' | cut -d ' ' -f 2)
ip netns exec "$b" iperf3 -s -1 >/dev/null &
server=$!
until ip netns exec "$b" ss -ltn | grep -q :5201; do :; done

timed() { # NAME COMMAND…: user and system seconds into $work/NAME.time
    local name=$1
    shift
    /usr/bin/env bash -c 'TIMEFORMAT="%U %S"; time "$@"' _ "$@" >"$work/$name.out" 2>"$work/$name.time"
}
round() { # GENERATOR…: captures while it runs
    rm -f "$work"/labctl.pcapng
    timed labctl ip netns exec "$b" "$built/capture" eth0 "$work/labctl.pcapng" $((seconds + 2)) &
    local one=$!
    timed tcpdump timeout -s INT $((seconds + 2)) ip netns exec "$b" tcpdump -i eth0 -s 128 -B 8192 -w "$work/tcpdump.pcap" &
    local two=$!
    until [ -e "$work/labctl.pcapng" ] && grep -qs listening "$work/tcpdump.time"; do :; done
    ip netns exec "$a" "$@"
    wait "$one" || true
    wait "$two" || true
    echo "  labctl:   $(cat "$work/labctl.out"), CPU user and system: $(tail -n 1 "$work/labctl.time") s"
    echo "  tcpdump:  $(grep -E 'captured|dropped by kernel' "$work/tcpdump.time" | tr '\n' ' '), CPU user and system: $(tail -n 1 "$work/tcpdump.time") s"
}
stacks() {
    iperf3 -c 10.9.9.2 -t "$seconds" -b 1G -M 536 -J |
        python3 -c 'import json,sys; print("%.0f Mbit/s" % (json.load(sys.stdin)["end"]["sum_sent"]["bits_per_second"]/1e6))'
}
export -f stacks
export seconds
echo "TCP stacks, segments of 536 bytes, $seconds s:"
round bash -c stacks
echo "a packet socket, the same segments, $seconds s:"
round "$built/flood" eth0 "$station" 1000 "$seconds"
