#!/bin/bash
# dhcpd beside Kea: leases a second, by the same load generator (perfdhcp) over the same cable, in turns.
# Each runs with a database on the disk; dhcpd has every ACK on the disk before it sends it, Kea's memfile
# is written without fsync. The load rises until two fifths of the exchanges fail; the most leases of a run count.
# Needs root, kea-dhcp4-server, kea-admin (perfdhcp), iproute2; DHCPD names the executable.
#
#   bench/dhcp.sh [seconds per run] [rounds]
set -eu
seconds=${1:-5}
rounds=${2:-3}
here=$(cd "$(dirname "$0")/.." && pwd)
dhcpd=${DHCPD:-${CARGO_TARGET_DIR:-$here/target}/release/dhcpd}
for tool in kea-dhcp4 perfdhcp ip "$dhcpd"; do
  command -v "$tool" >/dev/null || { echo "bench/dhcp.sh: $tool is missing" >&2; exit 1; }
done
# Everything happens in a network namespace of its own.
if [ -z "${IN_NAMESPACE:-}" ]; then IN_NAMESPACE=1 DHCPD=$dhcpd exec unshare -n -m "$0" "$@"; fi
work=$(mktemp -d "${BENCH_DIR:-/var/tmp}/dhcp-bench.XXXXXX")
ip link set lo up
unshare -n sleep 100000 & client=$!
until [ "$(readlink /proc/$client/ns/net)" != "$(readlink /proc/$$/ns/net)" ]; do read -rt 0.01 <> <(:) || true; done
server=
stop() { [ -z "$server" ] || { kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; server=; }; }
trap 'stop; kill $client 2>/dev/null; rm -rf "$work"' EXIT
ip link add eth0 type veth peer name eth0 netns "$client"
ip addr add 10.0.0.1/8 dev eth0
ip link set eth0 up
nsenter -t "$client" -n ip addr add 10.255.0.1/8 dev eth0
nsenter -t "$client" -n ip link set eth0 up

cat > "$work/dhcpd.yaml" <<CONF
state: $work/dhcpd
admin: $work/dhcpd.sock
probe_ms: 0
leases_per_client: 1000000
pools:
  - {name: BENCH, subnet: 10.0.0.0/8, ranges: [10.1.0.0-10.20.255.255], router: 10.0.0.1, dns: [10.0.0.1], lease: 86400}
CONF
cat > "$work/kea.json" <<CONF
{"Dhcp4": {"interfaces-config": {"interfaces": ["eth0"], "dhcp-socket-type": "udp"},
 "control-socket": {"socket-type": "unix", "socket-name": "$work/kea.sock"},
 "lease-database": {"type": "memfile", "persist": true, "name": "$work/kea-leases.csv", "lfc-interval": 0},
 "multi-threading": {"enable-multi-threading": THREADS}, "valid-lifetime": 86400,
 "subnet4": [{"subnet": "10.0.0.0/8", "pools": [{"pool": "10.1.0.0-10.20.255.255"}],
  "option-data": [{"name": "routers", "data": "10.0.0.1"}, {"name": "domain-name-servers", "data": "10.0.0.1"}]}],
 "loggers": [{"name": "kea-dhcp4", "severity": "ERROR", "output_options": [{"output": "$work/kea.log"}]}]}}
CONF

start() { # which
  rm -rf "$work/dhcpd" "$work"/kea-leases.csv*
  case $1 in
  dhcpd) "$dhcpd" --config "$work/dhcpd.yaml" 2>"$work/dhcpd.log" & server=$!
    wait_for "$work/dhcpd.sock" ;;
  kea*)
    case $1 in kea-mt) mt=true ;; *) mt=false ;; esac
    sed "s/THREADS/$mt/" "$work/kea.json" > "$work/kea-now.json"
    mkdir -p /run/kea
    KEA_PIDFILE_DIR=$work KEA_LOCKFILE_DIR=$work kea-dhcp4 -c "$work/kea-now.json" >"$work/kea.out" 2>&1 & server=$!
    wait_for "$work/kea.sock" ;;
  esac
}
wait_for() { # file, 10 seconds at most
  for _ in $(seq 1000); do [ -e "$1" ] && return; kill -0 "$server" || break; read -rt 0.01 <> <(:) || true; done
  echo "bench/dhcp.sh: the server does not start:" >&2; cat "$work"/*.log "$work"/*.out >&2 2>/dev/null; exit 1
}
# Prints "leases/s  share lost" of one run at a rate.
run() { # rate
  nsenter -t "$client" -n perfdhcp -4 -l eth0 -r "$1" -R 1000000 -p "$seconds" -W 500000 -g single 10.0.0.1 > "$work/out" 2>&1 || true
  awk -v s="$seconds" '
    /DISCOVER-OFFER/ {part = 1} /REQUEST-ACK/ {part = 2}
    /sent packets:/ {sent[part] = $3} /received packets:/ {got[part] = $3}
    END {lost = sent[1] ? 100 * (1 - got[2] / sent[1]) : 100; printf "%.0f %.2f\n", got[2] / s, lost}' "$work/out"
}
best() { # which
  local top=0
  for rate in 2000 4000 6000 8000 10000 12000 15000 20000; do
    rm -f "$work/dhcpd.sock" "$work/kea.sock"
    start "$1"
    read -r got lost < <(run "$rate")
    stop
    echo "  $1: offered $rate/s, leased $got/s, lost $lost %" >&2
    [ "$got" -gt "$top" ] && top=$got
    awk -v lost="$lost" 'BEGIN {exit !(lost > 40)}' && break
  done
  echo "$top"
}
echo "dhcpd beside Kea $(kea-dhcp4 -v), $(nproc) cores, $seconds s a run; most leases a second"
for round in $(seq "$rounds"); do
  for which in dhcpd kea kea-mt; do printf 'round %s  %-7s %s\n' "$round" "$which" "$(best "$which")"; done
done
