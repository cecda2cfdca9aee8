#!/usr/bin/env bash
# The embedded engine: Lab 06 from `up` to all checks green, a hundred copies at once with their memory
# and their `down`, labs of 10 to 1,000 nodes, and Mininet beside it where it can run.
# Prints a report in Markdown. Not a timed test.
# Usage: bench/embedded.sh [COPIES] [LARGEST] [PART…]; parts are lab06, copies, hosts, mininet.
set -euo pipefail
cd "$(dirname "$0")/.."
copies=${1:-100} largest=${2:-1000}
parts=" ${*:3} "
[ $# -gt 2 ] || parts=" lab06 copies hosts mininet "
wanted() { [[ $parts = *" $1 "* ]]; }
labctl=${LABCTL:-target/release/labctl}
[ -x "$labctl" ] || { echo "build it first: cargo build --release -p labctl" >&2; exit 1; }
export LABCTL_ENGINE=embedded
work=$(mktemp -d)
trap '$labctl down -q --all >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
now() { date +%s%N; }
ms() { echo $((($(now) - $1) / 1000000)); }
median() { sort -n | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }'; }
# What all processes that run this labctl hold together in MB; a shared page counts once in all.
memory() {
  python3 - "$labctl" <<'P'
import os, sys
file = os.stat(sys.argv[1])
total = 0
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        exe = os.stat(f"/proc/{pid}/exe")
        if (exe.st_dev, exe.st_ino) == (file.st_dev, file.st_ino):
            rollup = open(f"/proc/{pid}/smaps_rollup").read()
            total += int(rollup.split("Pss:")[1].split()[0])
    except (OSError, IndexError):
        pass    # it has ended meanwhile
print(round(total / 1024))
P
}

# How often the kernel's table of neighbours was full, on all processors.
overflows() {
  local total=0 line
  # The last column, table_fulls, in hexadecimal.
  while read -r line; do total=$((total + 16#${line##* })); done < <(tail -n +2 /proc/net/stat/arp_cache)
  echo "$total"
}

lab06() {
echo "## Lab 06, $(nproc) processors, Linux $(uname -r)"
echo
for _ in $(seq 11); do
  begin=$(now); $labctl up -q -p bench labs/lab06.yaml > "$work/report"; ms "$begin" >> "$work/up"
  begin=$(now); $labctl down -q -p bench > /dev/null 2>&1; ms "$begin" >> "$work/down"
  begin=$(now); $labctl up -q -p bench labs/lab06.yaml --no-verify > /dev/null; ms "$begin" >> "$work/ready"
  $labctl down -q -p bench > /dev/null 2>&1
done
echo "- \`up\` to all nodes ready: median $(median < "$work/ready") ms"
echo "- \`up\` to all checks green: median $(median < "$work/up") ms of $(sort -n "$work/up" | tr '\n' ' ')"
echo "- \`down\`: median $(median < "$work/down") ms"
tail -1 "$work/report"
echo

}

copies() {
echo "## $copies copies of Lab 06 at once"
echo
begin=$(now)
seq "$copies" | xargs -P "$copies" -I N $labctl up -q -p bench-N labs/lab06.yaml --no-verify > /dev/null
echo "- \`up\` to all $((copies * 4)) nodes ready: $(ms "$begin") ms"
running=$($labctl ls -o json | grep -o '"running": *[0-9]*' | awk -F: '{ s += $2 } END { print s }')
echo "- nodes running: $running; memory of all processes: $(memory) MB"
begin=$(now)
seq "$copies" | xargs -P "$copies" -I N $labctl verify -q -p bench-N > "$work/verify" || true
echo "- \`verify\` of all: $(ms "$begin") ms, $(grep -c ' passed;' "$work/verify") reports, $(grep -c ' failed' "$work/verify" || true) with failures"
begin=$(now)
seq "$copies" | xargs -P "$copies" -I N $labctl down -q -p bench-N > /dev/null 2>&1
echo "- \`down\` of all: $(ms "$begin") ms"
full=$(overflows)
for _ in 1 2 3; do
  begin=$(now)
  seq "$copies" | xargs -P "$copies" -I N $labctl up -q -p bench-N labs/lab06.yaml > "$work/green" || true
  echo "- \`up\` to all checks green: $(ms "$begin") ms, $(grep -c ' passed;' "$work/green") reports, $(grep -c ' failed' "$work/green" || true) with failures"
  seq "$copies" | xargs -P "$copies" -I N $labctl down -q -p bench-N > /dev/null 2>&1
done
echo "- neighbours refused by a full table meanwhile: $(($(overflows) - full))"
echo
}

hosts() {
echo "## One lab of many hosts on one switch"
echo
echo "| hosts | up to ready, ms | ms a host | memory, MB | MB a host | down, ms |"
echo "| ---: | ---: | ---: | ---: | ---: | ---: |"
for n in 10 20 50 100 200 500 1000; do
  [ "$n" -le "$largest" ] || continue
  {
    echo "name: many"
    echo "networks: { lan: 10.0.0.0/16 }"
    echo "nodes:"
    for i in $(seq "$n"); do
      echo "  pc$i: { kind: pc, interfaces: { lan: 10.0.$((i / 250)).$((i % 250 + 1)) } }"
    done
  } > "$work/many.yaml"
  begin=$(now); $labctl up -q -p many "$work/many.yaml" --no-verify --wait 300 > /dev/null; up=$(ms "$begin")
  mb=$(memory)
  begin=$(now); $labctl down -q -p many > /dev/null 2>&1; down=$(ms "$begin")
  awk -v n="$n" -v u="$up" -v m="$mb" -v d="$down" \
    'BEGIN { printf "| %d | %d | %.1f | %d | %.2f | %d |\n", n, u, u / n, m, m / n, d }'
done
echo
}

mininet() {
echo "## Mininet beside it"
echo
python=/usr/bin/python3   # Debian's own, which has Debian's mininet
if ! $python -c 'import mininet' 2>/dev/null || ! command -v brctl > /dev/null; then
  echo "SKIPPED: Mininet (Debian packages mininet and bridge-utils) is not there"
  return
fi
echo "| hosts | Mininet, Linux bridge, ms |"
echo "| ---: | ---: |"
for n in 4 10 20 50 100; do
  [ "$n" -le "$largest" ] || continue
  # In a namespace of its own: Mininet puts its interfaces into the one it runs in.
  unshare -n $python - "$n" 2> "$work/mininet" <<'P' || echo "| $n | SKIPPED: $(tail -1 "$work/mininet") |"
import sys, time
from mininet.net import Mininet
from mininet.nodelib import LinuxBridge
n = int(sys.argv[1])
begin = time.time()
net = Mininet(switch=LinuxBridge, controller=None)
switch = net.addSwitch("s1")
for i in range(n):
    net.addLink(net.addHost(f"h{i}"), switch)
net.start()
started = time.time()
net.stop()
print(f"| {n} | up {1000 * (started - begin):.0f}, down {1000 * (time.time() - started):.0f} |")
P
done
}

for part in lab06 copies hosts mininet; do
  if wanted "$part"; then "$part"; fi
done
