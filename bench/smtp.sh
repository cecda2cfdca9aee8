#!/bin/bash
# mailsrv beside Postfix: messages a second from 20 senders to the mailbox, fsync on, in the same run.
# Both listen on loopback; smtp-source sends 5,000 messages of 4 kB each, three rounds in turns, so
# that what else the machine does falls on both. Prints the median of accepted and of delivered
# messages a second, and the memory of mailsrv when idle and under load.
# Needs root (Postfix) and the package postfix; MAILSRV names the executable.
#
#   bench/smtp.sh [messages] [rounds]
set -eu
messages=${1:-5000}
rounds=${2:-3}
here=$(cd "$(dirname "$0")/.." && pwd)
mailsrv=${MAILSRV:-${CARGO_TARGET_DIR:-$here/target}/release/mailsrv}
PATH=$PATH:/usr/sbin
for tool in smtp-source postfix "$mailsrv"; do
  command -v "$tool" >/dev/null || { echo "bench/smtp.sh: $tool is missing" >&2; exit 1; }
done
work=$(mktemp -d)
chmod 755 "$work"
pid=
stop() {
  [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
  postfix -c "$work/etc" stop >/dev/null 2>&1 || true
}
trap 'stop; rm -rf "$work"' EXIT
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
port=$(free_port)
peer=$(free_port)

off=
for name in submission submissions pop3 pop3s imap imaps; do off="$off, $name: { on: false }"; done
cat >"$work/mailsrv.yaml" <<YAML
hostname: bench.test
listen: 127.0.0.1
domains: [ { name: bench.test } ]
accounts: { bench: pw }
protocols: { smtp: { port: $port }$off }
state: $work/state
YAML
RUST_LOG=warn "$mailsrv" --config "$work/mailsrv.yaml" &
pid=$!

# A second Postfix with its own folders: the machine's own is left alone.
mkdir -p "$work/etc" "$work/queue" "$work/data" "$work/mail"
chown postfix "$work/data"
uid=$(id -u nobody)
gid=$(id -g nobody)
chown "$uid:$gid" "$work/mail"
cat >"$work/etc/main.cf" <<CF
compatibility_level = 3.6
queue_directory = $work/queue
data_directory = $work/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = bench.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
virtual_mailbox_domains = bench.test
virtual_mailbox_base = $work/mail
virtual_mailbox_maps = static:box/
virtual_uid_maps = static:$uid
virtual_gid_maps = static:$gid
virtual_mailbox_limit = 0
default_process_limit = 100
virtual_destination_concurrency_limit = 20
alias_maps =
maillog_file = $work/maillog
maillog_file_prefixes = $work
smtpd_peername_lookup = no
CF
cat >"$work/etc/master.cf" <<CF
127.0.0.1:$peer inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
CF
postfix -c "$work/etc" start >"$work/postfix.log" 2>&1 || { cat "$work/postfix.log" >&2; exit 1; }

wait_port() {
  for _ in $(seq 200); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then return 0; fi
    sleep 0.05
  done
  echo "bench/smtp.sh: nothing listens on $1" >&2
  exit 1
}
wait_port "$port"
wait_port "$peer"
idle=$(awk '/^VmRSS/ { print $2 }' "/proc/$pid/status")

count_files() { find "$1" -type f 2>/dev/null | wc -l; }
now() { date +%s.%N; }
rate() { awk -v n="$messages" -v a="$1" -v b="$2" 'BEGIN { printf "%.0f", n / (b - a) }'; }

# Sends, then waits until the last message is a file in the mailbox.
round() { # port, folder
  local before start accepted done
  before=$(count_files "$2")
  start=$(now)
  smtp-source -d -s 20 -m "$messages" -l 4096 -f a@bench.test -t bench@bench.test "127.0.0.1:$1"
  accepted=$(now)
  for _ in $(seq 3000); do
    [ "$(count_files "$2")" -ge $((before + messages)) ] && break
    sleep 0.02
  done
  done=$(now)
  [ "$(count_files "$2")" -ge $((before + messages)) ] || { echo "messages are missing in $2" >&2; exit 1; }
  echo "$(rate "$start" "$accepted") $(rate "$start" "$done")"
}
median() { sort -n | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }'; }

for n in $(seq "$rounds"); do
  echo "round $n: mailsrv $(round "$port" "$work/state/messages" | tee -a "$work/ours")," \
    "postfix $(round "$peer" "$work/mail/box/new" | tee -a "$work/theirs") (accepted, delivered a second)"
done
load=$(awk '/^VmRSS/ { print $2 }' "/proc/$pid/status")
printf '%-10s %10s %10s\n' server accepted/s delivered/s
for who in ours theirs; do
  name=mailsrv
  [ $who = ours ] || name=postfix
  printf '%-10s %10s %10s\n' $name "$(awk '{print $1}' "$work/$who" | median)" "$(awk '{print $2}' "$work/$who" | median)"
done
echo "mailsrv: $idle kB resident when idle, $load kB with $((messages * rounds)) messages in the mailbox"
