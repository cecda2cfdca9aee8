#!/bin/bash
# mailsrv beside Dovecot: POP3 fetch of 5,000 messages, in the same run, the same bytes in both
# mailboxes, rounds in turns so that what else the machine does falls on both. Prints the median of
# each measurement of bench/dovecot.py, and the memory of mailsrv.
# Both listen on loopback. Needs root (Dovecot changes users) and the packages dovecot-pop3d,
# dovecot-imapd, postfix (for smtp-source) and python3; MAILSRV names the executable.
#
#   bench/dovecot.sh [messages] [rounds] [measurement ...]
set -eu
messages=${1:-5000}
rounds=${2:-3}
shift $(($# < 2 ? $# : 2))
measurements=${*:-pop3-one-by-one pop3-pipelined}
here=$(cd "$(dirname "$0")/.." && pwd)
mailsrv=${MAILSRV:-${CARGO_TARGET_DIR:-$here/target}/release/mailsrv}
PATH=$PATH:/usr/sbin
for tool in smtp-source dovecot python3 "$mailsrv"; do
  command -v "$tool" >/dev/null || { echo "bench/dovecot.sh: $tool is missing" >&2; exit 1; }
done
work=$(mktemp -d)
chmod 755 "$work"
pid=
peer=
stop() {
  [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
  [ -z "$peer" ] || kill "$peer" 2>/dev/null || true
  wait 2>/dev/null || true
}
trap 'stop; rm -rf "$work"' EXIT
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
smtp=$(free_port)
pop3=$(free_port)
imap=$(free_port)
their_pop3=$(free_port)
their_imap=$(free_port)

off=
for name in submission submissions pop3s imaps; do off="$off, $name: { on: false }"; done
cat >"$work/mailsrv.yaml" <<YAML
hostname: bench.test
listen: 127.0.0.1
domains: [ { name: bench.test } ]
accounts: { bench: pw }
protocols: { smtp: { port: $smtp }, pop3: { port: $pop3 }, imap: { port: $imap }$off }
state: $work/state
YAML
RUST_LOG=warn "$mailsrv" --config "$work/mailsrv.yaml" &
pid=$!

# A Dovecot with its own folders: the machine's own is left alone. Its users have no password file;
# everybody's password is pw, and the mailbox is a Maildir.
uid=$(id -u nobody)
gid=$(id -g nobody)
mkdir -p "$work/run" "$work/their/Maildir/new" "$work/their/Maildir/cur" "$work/their/Maildir/tmp"
cat >"$work/dovecot.conf" <<CONF
base_dir = $work/run
state_dir = $work/run
log_path = $work/dovecot.log
protocols = pop3 imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
mail_location = maildir:$work/their/Maildir
mail_fsync = always
mail_max_userip_connections = 1000
first_valid_uid = 1
passdb {
  driver = static
  args = password=pw
}
userdb {
  driver = static
  args = uid=$uid gid=$gid home=$work/their
}
namespace inbox {
  inbox = yes
}
service pop3-login {
  inet_listener pop3 {
    port = $their_pop3
  }
  inet_listener pop3s {
    port = 0
  }
}
service imap-login {
  inet_listener imap {
    port = $their_imap
  }
  inet_listener imaps {
    port = 0
  }
}
CONF
dovecot -F -c "$work/dovecot.conf" &
peer=$!

wait_port() {
  for _ in $(seq 200); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then return 0; fi
    sleep 0.05
  done
  echo "bench/dovecot.sh: nothing listens on $1" >&2
  cat "$work/dovecot.log" >&2 || true
  exit 1
}
for port in "$smtp" "$pop3" "$imap" "$their_pop3" "$their_imap"; do wait_port "$port"; done
memory() { awk -v what="$1" '$1 == what ":" { print $2 }' "/proc/$pid/status"; }
idle=$(memory VmRSS)

# The same bytes in both mailboxes.
smtp-source -d -s 20 -m "$messages" -l 4096 -f a@bench.test -t bench@bench.test "127.0.0.1:$smtp"
for file in "$work"/state/messages/*; do cp "$file" "$work/their/Maildir/new/${file##*/}.bench"; done
chown -R "$uid:$gid" "$work/their"

median() { sort -n | awk '{ a[NR] = $1 } END { print a[int((NR + 1) / 2)] }'; }
client() { python3 "$here/bench/dovecot.py" "$1" "$2" "$messages"; } # measurement, port
printf '%-24s %12s %12s\n' "median a second" mailsrv dovecot
for what in $measurements; do
  ours=$pop3
  theirs=$their_pop3
  [ "${what%%-*}" = pop3 ] || { ours=$imap; theirs=$their_imap; }
  # Each once before the count: Dovecot writes its index at the first look.
  client "$what" "$ours" >/dev/null
  client "$what" "$theirs" >/dev/null
  for _ in $(seq "$rounds"); do
    client "$what" "$ours" >>"$work/$what.ours"
    client "$what" "$theirs" >>"$work/$what.theirs"
  done
  printf '%-24s %12s %12s\n' "$what" "$(median <"$work/$what.ours")" "$(median <"$work/$what.theirs")"
done
echo "mailsrv: $idle kB resident when idle, $(memory VmRSS) kB at the end, $(memory VmHWM) kB at most"
