#!/usr/bin/env bash
# validate and plan of a generated lab of 1,000 nodes on 100 networks, and how hostile files are
# refused. Aims: 100 ms and 64 MB; 200 ms and 64 MB. Not a timed test.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --release --quiet -p labctl
cargo run --release --quiet -p lab --example thousand
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
python3 - "$work" <<'P'
import sys
w = sys.argv[1]
bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{i}: &a{i} [" + ",".join([f"*a{i-1}"] * 10) + "]\n" for i in range(1, 12))
open(f"{w}/aliases.yaml", "w").write("name: x\n" + bomb)
open(f"{w}/large.yaml", "w").write("name: x\n" + "# " + "x" * 100_000_000)
open(f"{w}/deep.yaml", "w").write("name: " + "[" * 10_000 + "]" * 10_000)
open(f"{w}/nul.yaml", "wb").write(b"name: a\0b\n")
open(f"{w}/latin1.yaml", "wb").write("name: größe\n".encode("latin-1"))
open(f"{w}/utf16.yaml", "wb").write("name: x\n".encode("utf-16"))
P
for file in "$work"/*.yaml; do
  python3 - target/release/labctl "$file" <<'P'
import os, resource, subprocess, sys, time
labctl, path = sys.argv[1:]
begin = time.monotonic()
code = subprocess.run([labctl, "validate", path], capture_output=True).returncode
took = (time.monotonic() - begin) * 1000
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
print(f"{os.path.basename(path):14} exit {code}  {took:6.1f} ms  {peak:5.1f} MB")
P
done
