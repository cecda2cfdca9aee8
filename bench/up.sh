#!/usr/bin/env bash
# `up` to verified for Lab 06 on Docker, beside the floor: the same image, nodes and network created
# and started in parallel by plain bollard calls. Prints the medians, their ratio, and memory.
# Not a timed test. Usage: bench/up.sh [ROUNDS]
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-7}
cargo build --release --quiet -p labctl
cargo build --release --quiet -p engine --example floor
labctl=target/release/labctl floor=target/release/examples/floor
work=$(mktemp -d)
export LABCTL_ENGINE=docker LABCTL_INSTANCE=bench-up
trap '$labctl down -q >/dev/null 2>&1 || true; rm -rf "$work"' EXIT

$labctl down -q || true
$labctl up -q labs/lab06.yaml --no-scenarios > "$work/report"   # warms the image
$floor record bench-up > "$work/lab.json"
$labctl ps -o json | python3 -c '
import json,sys
for node in json.load(sys.stdin)["nodes"]:
    told = "%5.1f MB" % (node["memory"] / 1e6) if node.get("memory") else "not told by this Docker"
    print("memory of node %-6s %s" % (node["name"], told))'
$labctl down -q

now() { date +%s%N; }
for _ in $(seq "$rounds"); do
  begin=$(now)
  $labctl up -q labs/lab06.yaml --no-scenarios > "$work/report"
  echo $(( ($(now) - begin) / 1000000 )) >> "$work/up"
  $labctl down -q
  $floor run "$work/lab.json" >> "$work/floor"
done
/usr/bin/env python3 - "$work" $labctl <<'P'
import resource, statistics, subprocess, sys
work, labctl = sys.argv[1:]
read = lambda name: [int(line) for line in open(f"{work}/{name}")]
up, floor = read("up"), read("floor")
subprocess.run([labctl, "up", "-q", "labs/lab06.yaml", "--no-scenarios"], stdout=subprocess.DEVNULL, check=True)
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
a, b = statistics.median(up), statistics.median(floor)
print(f"up to verified  median {a:.0f} ms  of {sorted(up)}")
print(f"floor           median {b:.0f} ms  of {sorted(floor)}")
print(f"ratio           {a / b:.2f}")
print(f"peak memory of labctl {peak:.1f} MB")
P
