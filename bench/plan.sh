#!/usr/bin/env bash
# validate and plan of a generated lab of 1,000 nodes on 100 networks, and how hostile files are
# refused. Aims: 100 ms and 64 MB; 200 ms and 64 MB. Not a timed test.
# Usage: bench/plan.sh [LABCTL]   with a release build made before where LABCTL is given.
set -euo pipefail
cd "$(dirname "$0")/.."
labctl=${1:-}
if [ -z "$labctl" ]; then
  cargo build --release --quiet -p labctl
  cargo run --release --quiet -p lab --example thousand
  labctl=${CARGO_TARGET_DIR:-target}/release/labctl
fi
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
mkfifo "$work/fifo"; mkdir "$work/folder"; echo secret > "$work/../labctl-outside.$$"; trap 'rm -rf "$work" "$work/../labctl-outside.$$"' EXIT
ln -s "../labctl-outside.$$" "$work/link"; ln -s . "$work/folder/a"; ln -s . "$work/folder/b"
python3 - "$work" <<'P'
import os, sys
w = sys.argv[1]
def text(name, body): open(f"{w}/{name}.yaml", "w").write(body)
def raw(name, body): open(f"{w}/{name}.yaml", "wb").write(body)
bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{i}: &a{i} [" + ",".join([f"*a{i-1}"] * 10) + "]\n" for i in range(1, 12))
text("aliases", "name: x\n" + bomb)
text("aliases-map", "name: x\na0: &a0 {a: x, b: x}\n" + "".join(
    f"a{i}: &a{i} {{a: *a{i-1}, b: *a{i-1}}}\n" for i in range(1, 40)))
text("merge-keys", "name: x\nm0: &m0 {k0: 1}\n" + "".join(
    f"m{i}: &m{i} {{<<: [*m{i-1}, *m{i-1}], k{i}: 1}}\n" for i in range(1, 60)))
text("merge-list", "name: x\nb: &b {" + ", ".join(f"k{i}: 1" for i in range(2000)) + "}\nm: {<<: [" + ", ".join(["*b"] * 2000) + "]}\n")
text("anchors", "name: x\nl:\n" + "".join(f"- &n{i} x\n" for i in range(60_000)))
text("tags", "name: x\nl: [" + ", ".join(["!!binary aGVsbG8="] * 30_000) + "]\n")
text("tag", "name: !!python/object/apply:os.system [x]\n")
text("large", "name: x\n" + "# " + "x" * 100_000_000)
text("deep", "name: " + "[" * 10_000 + "]" * 10_000)
text("deep-open", "[" * 1_000_000)
text("deep-map", "{a: " * 10_000)
text("deep-block", "".join(" " * min(i, 900) + "a:\n" for i in range(1_000)))
text("deep-dash", "- " * 10_000)
text("deep-question", "? " * 10_000)
text("deep-quoted", "name: x\nt: \"" + "[{" * 10_000 + "\"\n")
text("keys", "name: x\n" + "".join(f"k{i}: 1\n" for i in range(95_000)))
text("keys-flow", "{" + ", ".join(f"k{i}: 1" for i in range(95_000)) + "}")
text("same-keys", "name: x\n" + "k: 1\n" * 200_000)
text("many-nodes", "name: x\nnodes:\n" + "".join(f" n{i}:\n" for i in range(100_000)))
text("wrong-nodes", "name: x\nnodes:\n" + "".join(f" n{i}: {{ x: 1 }}\n" for i in range(15_000)))
text("scalar", "name: x\ntitle: " + "x" * 1_000_000 + "\n")
text("scalar-quoted", "name: x\ntitle: \"" + "\\x41" * 250_000 + "\"\n")
text("scalar-block", "name: x\ntitle: >\n" + " x\n\n" * 250_000)
text("ios-block", "name: x\nnetworks: {l: 10.0.0.0/24}\nnodes:\n r:\n  kind: router\n  interfaces: {l: 10.0.0.1}\n  ios: |\n" + "   ip rote x\n" * 60_000)
raw("nul", b"name: a\0b\n")
raw("nuls", b"\0" * 1_000_000)
raw("escape", b"name: \x1b[2J\n")
raw("latin1", "name: größe\n".encode("latin-1"))
raw("invalid", b"name: \xc3\x28\n")
raw("utf16", "name: x\n".encode("utf-16"))
raw("utf16-bare", "name: x\n".encode("utf-16-be"))
raw("utf32", "name: x\n".encode("utf-32"))
raw("random", os.urandom(1_000_000))
for_ever = "{% for i in range(99999) %}{% for j in range(99999) %}"
end = "{% endfor %}{% endfor %}\n"
text("t-endless", "name: x\n" + for_ever + end)
text("t-output", "name: x\n" + for_ever + "xxxxxxxxxxxxxxxxxxxx" + end)
text("t-range", "name: {{ range(1000000000000) | length }}\n")
text("t-list", "name: {{ range(99999) | list | length }}\n" * 500)
text("t-repeat", "name: {{ 'x' * 100000000000 }}\n")
text("t-double", "name: x\n{% set s = 'xxxxxxxxxxxxxxxx' %}\n" + "{% set s = s ~ s %}\n" * 60 + "t: {{ s|length }}\n")
text("t-double-list", "{% set s = [1] %}\n" + "{% set s = s + s %}\n" * 60 + "t: {{ s|length }}\n")
text("t-recursion", "{% macro m(x) %}{{ m(x ~ x) }}{% endmacro %}name: {{ m('xx') }}\n")
text("t-indent", "name: {{ 'x' | indent(4000000000) }}\n")
text("t-center", "name: {{ 'x' | center(4000000000) }}\n" )
text("t-format", "name: {{ '%4000000000d' | format(1) }}\n")
text("t-power", "name: {{ 9 ** 9 ** 9 ** 9 }}\n")
text("t-replace", "name: {{ ('x' * 2000) | replace('x', 'y' * 2000) }}\n")
text("t-include", "name: {% include '/etc/passwd' %}\n")
text("t-open", "name: {{\n" * 50_000)
text("t-nested", "{% if 1 %}" * 20_000)
text("t-paren", "name: {{ " + "(" * 100_000 + " }}\n")
text("t-vars", "vars: " + "[" * 50_000 + "\nname: {{ x }}\n")
text("t-pick", "name: {{ password(64) }}\nl: [{% for i in range(9999) %}{{ shuffle(range(9999))|first }},{% endfor %}]\n")
lab = "name: x\nnetworks: {l: 10.0.0.0/24}\nnodes: {a: {interfaces: {l: 10.0.0.1}}}\n"
for name, what in [("itself", "i-itself.yaml"), ("folder", "folder"), ("fifo", "fifo"), ("zero", "/dev/zero"),
                   ("passwd", "/etc/passwd"), ("above", "../../../../etc/passwd"), ("link", "link"), ("tty", "/dev/stdin")]:
    text(f"i-{name}", lab + f"include: {what}\n")
text("i-bomb", lab + "include: [" + ", ".join(["i-bomb.yaml"] * 1000) + "]\n")
for name, what in [("above", "/"), ("loop", "folder"), ("fifo", "."), ("link", "link")]:
    text(f"s-{name}", f"name: x\nnetworks: {{l: 10.0.0.0/24}}\nnodes: {{a: {{interfaces: {{l: 10.0.0.1}}, services: {{web: {{site: {what}}}}}}}}}\n")
for name, what in [("fifo", "fifo"), ("zero", "/dev/zero"), ("passwd", "/etc/passwd")]:
    text(f"x-{name}", lab + f"templates: {{zone: {what}}}\n")
text("set", "name: {{ v }}\n")
P
measure() {
  python3 - "$@" <<'P'
import os, resource, subprocess, sys, time
labctl, path, *more = sys.argv[1:]
begin = time.monotonic()
try:
    ran = subprocess.run([labctl, "validate", path, *more], capture_output=True, stdin=subprocess.DEVNULL, timeout=20)
    code, said = ran.returncode, next((l for l in ran.stderr.decode(errors="replace").splitlines() if "::" in l), "")
except subprocess.TimeoutExpired:
    code, said = "TIMEOUT", ""
took = (time.monotonic() - begin) * 1000
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
over = " OVER" if took > 200 or peak > 64 or code != 2 else ""
print(f"{os.path.basename(path) + ' ' + ' '.join(m[:16] for m in more):24} exit {code}  {took:7.1f} ms  {peak:6.1f} MB  {said[:30]}{over}")
P
}
for file in "$work"/*.yaml; do measure "$labctl" "$file"; done
measure "$labctl" "$work/set.yaml" --set "v=$(printf '[%.0s' $(seq 100000))"
measure "$labctl" "$work/set.yaml" --set "v={{ v }}"
measure "$labctl" "$work/set.yaml" --set "$(printf 'a.%.0s' $(seq 30000))=1"
measure "$labctl" "$work/set.yaml" --set $'v=x\nnodes: {'
