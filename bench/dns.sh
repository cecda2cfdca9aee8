#!/bin/bash
# dnsd beside NSD and BIND: answers a second from one core, and memory for a zone of 10^5 records.
# All three serve the same zone on loopback and are asked by the same dnsperf, in turns, so that what
# else the machine does falls on all of them. Needs nsd, bind9, dnsperf; DNSD names the executable.
#
#   bench/dns.sh [seconds per run] [rounds]
set -eu
seconds=${1:-5}
rounds=${2:-3}
here=$(cd "$(dirname "$0")/.." && pwd)
dnsd=${DNSD:-${CARGO_TARGET_DIR:-$here/target}/release/dnsd}
for tool in nsd named dnsperf "$dnsd"; do
  command -v "$tool" >/dev/null || { echo "bench/dns.sh: $tool is missing" >&2; exit 1; }
done
work=$(mktemp -d)
pids=()
stop() {
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  pids=()
}
trap 'stop; rm -rf "$work"' EXIT
cores=$(nproc)
# The server has the last core, dnsperf the first.
server_core=$((cores - 1))
# In a subshell only: it becomes the program, so that the number of the job is the number of the program.
pin() { if [ "$cores" -gt 1 ]; then exec taskset -c "$@"; else shift; exec "$@"; fi; }

zone() { # records
  cat <<ZONE
\$TTL 300
\$ORIGIN lab.test.
@ SOA ns1 admin 1 3600 900 604800 60
@ NS ns1
@ NS ns2
@ MX 10 mail
@ TXT "v=spf1 mx -all"
ns1 A 10.0.0.1
ns2 A 10.0.0.2
mail A 10.0.0.3
mail AAAA 2001:db8::3
www CNAME web
web A 10.0.0.4
*.wild A 10.0.0.5
sub NS ns.sub
ns.sub A 10.0.1.1
ZONE
  for ((n = 0; n < $1; n++)); do echo "host$n A 10.$((n >> 16 & 255)).$((n >> 8 & 255)).$((n & 255))"; done
}
for n in $(seq 0 199); do
  echo "host$n.lab.test A"; echo "lab.test MX"; echo "www.lab.test A"; echo "no$n.lab.test A"
  echo "x$n.wild.lab.test A"; echo "www.sub.lab.test A"
done > "$work/questions"

cat > "$work/nsd.conf" <<CONF
server:
  ip-address: 127.0.0.1@5411
  server-count: 1
  username: ""
  chroot: ""
  zonesdir: "$work"
  database: ""
  pidfile: ""
  xfrdfile: "$work/xfrd.state"
  zonelistfile: "$work/zone.list"
  xfrdir: "$work"
  logfile: "$work/nsd.log"
  rrl-ratelimit: 0
remote-control:
  control-enable: no
zone:
  name: lab.test
  zonefile: lab.zone
CONF
cat > "$work/named.conf" <<CONF
options { directory "$work"; listen-on port 5412 { 127.0.0.1; }; listen-on-v6 { none; }; recursion no;
  pid-file none; session-keyfile none; dnssec-validation no; };
controls { };
zone "lab.test" { type primary; file "lab.zone"; };
CONF
cat > "$work/dnsd.yaml" <<CONF
listen: ["127.0.0.1:5410"]
limits: { per_client: 0 }
zones: [{ name: lab.test, file: lab.zone }]
CONF

await() { # port
  for _ in $(seq 200); do
    if (exec 3<>/dev/tcp/127.0.0.1/"$1") 2>/dev/null; then return; fi
    read -rt 0.1 <> <(:) || true
  done
  echo "bench/dns.sh: nothing listens on port $1" >&2
  exit 1
}
start() {
  pin $server_core "$dnsd" --config "$work/dnsd.yaml" 2>"$work/dnsd.log" & pids+=($!)
  pin $server_core nsd -d -c "$work/nsd.conf" & pids+=($!)
  pin $server_core named -f -n 1 -c "$work/named.conf" & pids+=($!)
  for port in 5410 5411 5412; do await $port; done
}
# Memory of a process and its descendants in KiB; what they share counts once (PSS).
resident() {
  local sum=0 pid
  for pid in "$1" $(pgrep -P "$1" || true); do
    if [ "$pid" = "$1" ]; then
      sum=$((sum + $(awk '/^Pss:/ { print $2 }' "/proc/$pid/smaps_rollup")))
    else
      sum=$((sum + $(resident "$pid")))
    fi
  done
  echo $sum
}

zone 200 > "$work/lab.zone"
start
declare -A best=([5410]=0 [5411]=0 [5412]=0)
for round in $(seq "$rounds"); do
  for port in 5410 5411 5412; do
    qps=$( (pin 0 dnsperf -s 127.0.0.1 -p $port -d "$work/questions" -l "$seconds" -c 8 -T 1 -q 100 2>/dev/null) |
      awk '/Queries per second/ { printf "%d", $4 }')
    echo "round $round port $port: ${qps:-0} answers/s" >&2
    if [ "${qps:-0}" -gt "${best[$port]}" ]; then best[$port]=$qps; fi
  done
done
stop
zone 100000 > "$work/lab.zone"
start
memory_dnsd=$(resident "${pids[0]}") memory_nsd=$(resident "${pids[1]}") memory_bind=$(resident "${pids[2]}")
awk -v d="${best[5410]}" -v n="${best[5411]}" -v b="${best[5412]}" -v md="$memory_dnsd" -v mn="$memory_nsd" -v mb="$memory_bind" 'BEGIN {
  print "server  answers/s  of NSD  MiB for 10^5 records"
  printf "dnsd    %9d  %6.2f  %6.1f\n", d, d / n, md / 1024
  printf "NSD     %9d  %6.2f  %6.1f\n", n, 1, mn / 1024
  printf "BIND    %9d  %6.2f  %6.1f\n", b, b / n, mb / 1024
}'
