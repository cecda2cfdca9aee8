#!/usr/bin/env bash
# Lab 06 on Docker, in one pod and with a container for each node, in turn: `up` to all checks green,
# `down`, and COPIES at once as a class. Prints the medians and their ratio. Not a timed test.
# Usage: bench/pods.sh [ROUNDS] [COPIES]      LABCTL=path of another build than target/release/labctl
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-5} copies=${2:-10}
if [ -z "${LABCTL:-}" ]; then
  cargo build --release --quiet -p labctl
  LABCTL=target/release/labctl
fi
work=$(mktemp -d)
export LABCTL_ENGINE=docker
one() { "$LABCTL" -p bench-pods -q "$@"; }
class() { "$LABCTL" class --class bench-pods-class "$@"; }
trap 'one down >/dev/null 2>&1 || true; class down >/dev/null 2>&1 || true; rm -rf "$work"' EXIT

now() { date +%s%N; }
timed() { # NAME COMMAND...: milliseconds to a file
  local name=$1 begin; shift
  begin=$(now)
  "$@" > "$work/report" 2> "$work/errors" || { cat "$work/report" "$work/errors" >&2; return 1; }
  echo $(( ($(now) - begin) / 1000000 )) >> "$work/$name"
}
for isolation in pod nodes; do   # warms the image
  one up labs/lab06.yaml --isolation $isolation --no-verify > /dev/null 2>&1
  one down 2> /dev/null
done
for _ in $(seq "$rounds"); do
  for isolation in pod nodes; do
    timed "up-$isolation" one up labs/lab06.yaml --isolation $isolation --no-scenarios
    timed "down-$isolation" one down
  done
done
for isolation in pod nodes; do
  timed "class-up-$isolation" class up labs/lab06.yaml --isolation $isolation --count "$copies" --parallel "$copies"
  timed "class-grade-$isolation" class grade --again --no-scenarios
  timed "class-down-$isolation" class down
done
/usr/bin/env python3 - "$work" "$copies" <<'P'
import statistics, sys
work, copies = sys.argv[1:]
read = lambda name: sorted(int(line) for line in open(f"{work}/{name}"))
print("%-42s %9s %9s %6s" % ("", "pod", "nodes", "ratio"))
for name, what in [
    ("up", "up to all checks passed"),
    ("down", "down"),
    ("class-up", f"{copies} copies at once, up to ready"),
    ("class-grade", f"{copies} copies graded, without scenarios"),
    ("class-down", f"{copies} copies down"),
]:
    pod, nodes = read(f"{name}-pod"), read(f"{name}-nodes")
    a, b = statistics.median(pod), statistics.median(nodes)
    print("%-42s %6.0f ms %6.0f ms %6.2f   %s %s" % (what, a, b, a / b, pod, nodes))
P
