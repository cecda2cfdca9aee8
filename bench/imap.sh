#!/bin/bash
# mailsrv beside Dovecot: sessions a second of a mixed IMAP load, in the same run. Each session is login, select,
# fetch of all envelopes, fetch of 5 messages, store, append of 4 kB, expunge, logout; N connections at once, each
# with its own account and 50 messages. Both run under the same user on the same disk; Dovecot with
# mail_fsync=optimized (its default: fsync of each message that is saved, of nothing else) and with always, which is
# what mailsrv does for all but flags. Rounds in turns, medians. Then the memory of mailsrv with 100 idle sessions.
# Needs the package dovecot-imapd; MAILSRV and IMAP_LOAD name the executables:
#   cargo build --release -p mailsrv --bins --examples
#
#   bench/imap.sh [connections] [sessions of each] [rounds]
set -eu
users=${1:-20}
each=${2:-20}
rounds=${3:-3}
here=$(cd "$(dirname "$0")/.." && pwd)
built=${CARGO_TARGET_DIR:-$here/target}/release
mailsrv=${MAILSRV:-$built/mailsrv}
load=${IMAP_LOAD:-$built/examples/imap_load}
PATH=$PATH:/usr/sbin
for tool in dovecot "$mailsrv" "$load"; do
  command -v "$tool" >/dev/null || { echo "bench/imap.sh: $tool is missing" >&2; exit 1; }
done
work=$(mktemp -d)
chmod 755 "$work"
pids=
stop() {
  [ -z "${IDLE_PID:-}" ] || kill "$IDLE_PID" 2>/dev/null || true
  for pid in $pids; do kill "$pid" 2>/dev/null || true; done
  for kind in optimized always; do
    [ ! -s "$work/$kind/run/master.pid" ] || kill "$(cat "$work/$kind/run/master.pid")" 2>/dev/null || true
  done
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap stop EXIT
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
wait_for() {
  for _ in $(seq 200); do
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
    sleep 0.05
  done
  echo "bench/imap.sh: nothing listens on port $1" >&2
  exit 1
}

accounts=
for n in $(seq 0 $((users > 100 ? users - 1 : 99))); do accounts="$accounts u$n: pw,"; done
ours=$(free_port)
off=
for name in smtp submission submissions pop3 pop3s imaps; do off="$off, $name: { on: false }"; done
cat >"$work/mailsrv.yaml" <<YAML
hostname: bench.test
listen: 127.0.0.1
domains: [ { name: bench.test } ]
accounts: {$accounts }
protocols: { imap: { port: $ours }$off }
state: $work/state
YAML
RUST_LOG=warn "$mailsrv" --config "$work/mailsrv.yaml" &
pid=$!
pids=$pid
wait_for "$ours"

# A Dovecot of its own for each setting: the machine's own is left alone.
dovecot_at() { # kind port
  local at=$work/$1
  mkdir -p "$at/run" "$at/mail"
  chmod 755 "$at"
  chown nobody:nogroup "$at/mail"
  for n in $(seq 0 $((users - 1))); do echo "u$n:{PLAIN}pw"; done >"$at/users"
  cat >"$at/dovecot.conf" <<CONF
base_dir = $at/run
instance_name = bench-$1
log_path = $at/log
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
default_process_limit = 1000
default_client_limit = 4000
mail_max_userip_connections = 1000
mail_fsync = $1
mail_location = maildir:$at/mail/%u
first_valid_uid = 1
default_login_user = nobody
default_internal_user = nobody
default_internal_group = nogroup
passdb {
  driver = passwd-file
  args = $at/users
}
userdb {
  driver = static
  args = uid=nobody gid=nogroup home=$at/mail/%u
}
namespace inbox {
  inbox = yes
}
service imap-login {
  # Its fastest way (doc: high-performance mode): processes stay and serve many.
  service_count = 0
  process_min_avail = 2
  inet_listener imap {
    port = $2
  }
  inet_listener imaps {
    port = 0
  }
}
service imap {
  service_count = 256
  process_min_avail = 4
}
CONF
  dovecot -c "$at/dovecot.conf"
  wait_for "$2"
}
optimized=$(free_port)
dovecot_at optimized "$optimized"
always=$(free_port)
dovecot_at always "$always"

for port in $ours $optimized $always; do "$load" "127.0.0.1:$port" "$users" 1 fill 50 >/dev/null; done
median() { sort -g | sed -n "$(((rounds + 1) / 2))p"; }
for _ in $(seq "$rounds"); do
  for name in ours optimized always; do
    "$load" "127.0.0.1:${!name}" "$users" "$each" >>"$work/$name.txt"
  done
done
for name in ours optimized always; do
  printf '%-28s %s\n' "$([ $name = ours ] && echo mailsrv || echo "Dovecot, mail_fsync=$name")" \
    "$(median <"$work/$name.txt")"
done
memory() { awk '/^VmRSS/ { printf "%.1f MB", $2 / 1024 }' "/proc/$pid/status"; }
echo "mailsrv after the load: $(memory)"
# Fresh, so that the load has left nothing.
kill "$pid"
wait "$pid" 2>/dev/null || true
RUST_LOG=warn "$mailsrv" --config "$work/mailsrv.yaml" &
pid=$!
pids=$pid
wait_for "$ours"
echo "mailsrv idle: $(memory)"
coproc IDLE { "$load" "127.0.0.1:$ours" 100 1 idle; }
read -r said <&"${IDLE[0]}"
echo "mailsrv with 100 sessions in IDLE ($said): $(memory)"
