#!/usr/bin/env bash
# A class of copies of Lab 06: up, grade, down. Wall time, nodes a second, memory of the machine.
# Usage: bench/class.sh embedded [COPIES] | docker [COPIES] [--isolation pod] | compose [COPIES]
# `compose` brings up the same containers with docker-compose: as many projects with distinct
# subnets (it cannot give two projects the same), side by side, without waiting for any service.
# LABCTL names a release build of labctl; without it one is made. Not a timed test.
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:-embedded} copies=${2:-100}
shift $(( $# < 2 ? $# : 2 ))
if [ -z "${LABCTL:-}" ]; then
  cargo build --release --quiet -p labctl
  LABCTL=target/release/labctl
fi
work=$(mktemp -d)
export XDG_STATE_HOME=$work/state
class=bench-class
now() { date +%s%N; }
# used: proportional memory of every process of a lab's nodes and what holds them, in MB. Docker's own
# processes are in it (containerd-shim, one a container).
used() {
  python3 - "$(readlink -f "$LABCTL")" <<'P'
import os, re, sys
total = 0
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        line = open(f"/proc/{pid}/cmdline").read().replace("\0", " ")
        if not re.search(r"labctl|mailsrv|dnsd|dhcpd|webd|ripd|containerd-shim", line):
            continue
        total += int(re.search(r"^Pss:\s+(\d+)", open(f"/proc/{pid}/smaps_rollup").read(), re.M)[1])
    except (OSError, TypeError):
        continue
print(total // 1024)
P
}
# cpu: user and system seconds of the whole machine so far
cpu() { awk '/^cpu /{print ($2+$3+$4+$7+$8)/100}' /proc/stat; }
report() { # NAME START CPU
  python3 - "$1" "$2" "$(now)" "$3" "$(cpu)" "$copies" <<'P'
import sys
name, a, b, c, d, copies = sys.argv[1], *map(float, sys.argv[2:])
wall = (b - a) / 1e9
print(f"{name:<8} {wall:7.1f} s  {4 * copies / wall:6.1f} nodes/s  {d - c:6.1f} s of CPU")
P
}

if [ "$what" = compose ]; then
  # The containers are described as labctl makes them, once.
  export LABCTL_ENGINE=docker LABCTL_INSTANCE=$class-model
  trap '$LABCTL down -q >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
  $LABCTL up -q --no-verify labs/lab06.yaml
  docker inspect $(docker ps -q --filter "label=labctl.instance=$LABCTL_INSTANCE") > "$work/model.json"
  python3 - "$work" "$copies" <<'P'
import json, os, sys
work, copies = sys.argv[1], int(sys.argv[2])
model = json.load(open(f"{work}/model.json"))
def security(options, at):
    # docker-compose wants the system call filter as a file.
    for option in options or []:
        name, _, value = option.partition("=")
        if name == "seccomp" and value.startswith("{"):
            open(f"{work}/seccomp{at}.json", "w").write(value)
            option = f"seccomp:{work}/seccomp{at}.json"
        yield option
for number in range(copies):
    services = {}
    for at, one in enumerate(sorted(model, key=lambda one: one["Name"])):
        host, config = one["HostConfig"], one["Config"]
        services[config["Labels"].get("labctl.node", f"n{at}")] = {
            "image": one["Image"], "entrypoint": config["Entrypoint"] or [], "command": config["Cmd"] or [],
            "cap_drop": host["CapDrop"] or [], "cap_add": host["CapAdd"] or [],
            "security_opt": list(security(host["SecurityOpt"], at)), "tmpfs": list(host["Tmpfs"] or {}),
            "pids_limit": host["PidsLimit"], "mem_limit": host["Memory"],
            "networks": {"lan": {"ipv4_address": f"10.{200 + number // 250}.{number % 250}.{at + 2}"}},
        }
    subnet = f"10.{200 + number // 250}.{number % 250}.0/24"
    folder = f"{work}/c{number:03}"
    os.mkdir(folder)
    whole = {"version": "2.4", "services": services,
             "networks": {"lan": {"ipam": {"config": [{"subnet": subnet}]}}}}
    json.dump(whole, open(f"{folder}/docker-compose.yml", "w"))
P
  $LABCTL down -q
  each() { # ARGUMENTS: docker-compose in every project, four at once
    seq -f "%03g" 0 $((copies - 1)) |
      xargs -P 4 -I{} docker-compose --log-level ERROR -p "benchclass{}" -f "$work/c{}/docker-compose.yml" "$@"
  }
  trap 'each down -t 0 >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
  before=$(used) start=$(now) busy=$(cpu)
  each up -d >"$work/log" 2>&1 || { tail "$work/log"; exit 1; }
  report up "$start" "$busy"
  echo "memory   $(( $(used) - before )) MB more in use"
  start=$(now) busy=$(cpu)
  each down -t 0 >"$work/log" 2>&1
  report down "$start" "$busy"
  exit
fi

export LABCTL_ENGINE=$what
labctl() { "$LABCTL" class --class $class "$@"; }
trap 'labctl down -q >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
before=$(used) start=$(now) busy=$(cpu)
labctl up -q labs/lab06.yaml --count "$copies" --parallel "${PARALLEL:-8}" "$@"
report up "$start" "$busy"
echo "memory   $(( $(used) - before )) MB more in use"
start=$(now) busy=$(cpu)
labctl grade -q --parallel "${GRADING:-16}" --report "$work/moodle.csv" --report "$work/wall.html" > "$work/grades"
report grade "$start" "$busy"
grep -c ',18$' "$work/moodle.csv" | sed 's/$/ copies with all points/'
start=$(now) busy=$(cpu)
labctl down -q
report down "$start" "$busy"
