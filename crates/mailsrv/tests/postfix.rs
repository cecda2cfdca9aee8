//! Postfix (Debian) as the other server, in both directions, on loopback addresses of an own
//! network namespace: port 25 on both sides and MX records, as between two real servers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test says what went wrong by a panic"
)]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::has;

/// The namespace's own process: set by the test when it runs itself again.
const INSIDE: &str = "LABCTL_POSTFIX_TEST";

fn wait(what: &str, mut good: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(40);
    while !good() {
        assert!(Instant::now() < deadline, "{what} does not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn postfix_sends_to_mailsrv_and_mailsrv_to_postfix() {
    if !has("postfix") || !has("unshare") || !has("ip") {
        return;
    }
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED: Postfix needs root");
        return;
    }
    if std::env::var_os(INSIDE).is_none() {
        let status = Command::new("unshare")
            .args(["--net", "--mount", "--pid", "--fork", "--mount-proc"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "postfix_sends_to_mailsrv_and_mailsrv_to_postfix", "--nocapture"])
            .env(INSIDE, "1")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    let up = Command::new("ip").args(["link", "set", "lo", "up"]).status().unwrap();
    assert!(up.success());
    // Postfix wants to see its address on an interface.
    for address in ["127.0.0.2/8", "127.0.0.3/8", "127.0.0.4/8"] {
        let added =
            Command::new("ip").args(["address", "add", address, "dev", "lo"]).status().unwrap();
        assert!(added.success());
    }
    let folder = tempfile::tempdir().unwrap();
    let dns = dns_server(folder.path());
    let _postfix = Postfix::start(folder.path());
    let state = folder.path().join("mailsrv");
    let config = folder.path().join("mailsrv.yaml");
    let text = format!(
        "hostname: mx.a.test\nlisten: 127.0.0.2\ndomains: [ {{ name: a.test }} ]\naccounts: {{ u1: pw }}\n\
         relay: {{ networks: [127.0.0.1/32, 127.0.0.2/32] }}\n\
         policy: {{ verify: true, dmarc_reject: true }}\ndns: [ \"{dns}\" ]\nstate: {}\n",
        state.display()
    );
    std::fs::write(&config, text).unwrap();
    let mut server = Command::new(env!("CARGO_BIN_EXE_mailsrv"))
        .arg("--config")
        .arg(&config)
        // As in a node, which trusts no authority but the lab's.
        .env("SSL_CERT_FILE", "/dev/null")
        .env("SSL_CERT_DIR", "/nonexistent")
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    wait("mailsrv listens", || std::net::TcpStream::connect("127.0.0.2:25").is_ok());
    // mailsrv -> Postfix, by MX.
    let mail = "MAIL FROM:<u1@a.test>\r\nRCPT TO:<box@p.test>\r\nDATA\r\nFrom: u1@a.test\r\nSubject: to Postfix\r\n\r\n..dot\r\n.\r\n";
    talk("127.0.0.2:25", mail);
    let new = folder.path().join("mail/box/new");
    let arrived =
        || std::fs::read_dir(&new).ok().and_then(|mut d| d.next()).map(|e| e.unwrap().path());
    wait("the mail reaches Postfix", || arrived().is_some());
    let text = std::fs::read_to_string(arrived().unwrap()).unwrap();
    assert!(text.contains("Subject: to Postfix\n") && text.contains("\n\n.dot\n"), "{text}");
    assert!(text.contains("from mx.a.test"), "{text}");
    // Postfix -> mailsrv, and a user whom mailsrv does not know: Postfix tells the sender.
    talk(
        "127.0.0.3:25",
        "MAIL FROM:<box@p.test>\r\nRCPT TO:<u1@a.test>\r\nRCPT TO:<nobody@a.test>\r\nDATA\r\nSubject: from Postfix\r\n\r\n..dot\r\n.\r\n",
    );
    let kept = |words: &[&str]| holds(&state.join("messages"), words);
    let delivered = |words: &[&str]| holds(&new, words);
    wait("the notice of Postfix arrives", || std::fs::read_dir(&new).unwrap().count() >= 2);
    wait("the mail of Postfix arrives", || {
        kept(&[
            "Return-Path: <box@p.test>\r\nReceived: from mx.p.test",
            "Subject: from Postfix\r\n",
            "\r\n\r\n.dot\r\n",
        ])
    });
    // And the other way: Postfix refuses, mailsrv tells the sender.
    talk(
        "127.0.0.2:25",
        "MAIL FROM:<u1@a.test>\r\nRCPT TO:<x@refused.test>\r\nDATA\r\nSubject: no\r\n\r\n.\r\n",
    );
    wait("the notice of mailsrv arrives", || kept(&["Action: failed"]));
    // Notices of success (RFC 3461) go through both: with the sender's own name of the message.
    talk(
        "127.0.0.2:25",
        "MAIL FROM:<u1@a.test> RET=HDRS ENVID=E+2B1\r\nRCPT TO:<box@p.test> NOTIFY=SUCCESS ORCPT=rfc822;first+40p.test\r\nDATA\r\nSubject: tell me\r\n\r\n.\r\n",
    );
    wait("Postfix tells of its delivery", || {
        kept(&[
            "Reporting-MTA: dns; mx.p.test",
            "Original-Envelope-Id: E+1",
            "Original-Recipient: rfc822;first@p.test",
            "Action: delivered",
        ])
    });
    talk(
        "127.0.0.3:25",
        "MAIL FROM:<box@p.test> RET=HDRS ENVID=E+2B2\r\nRCPT TO:<u1@a.test> NOTIFY=SUCCESS ORCPT=rfc822;first+40a.test\r\nDATA\r\nSubject: tell me too\r\n\r\n.\r\n",
    );
    wait("mailsrv tells of its delivery", || {
        delivered(&[
            "Reporting-MTA: dns; mx.a.test",
            "Original-Envelope-Id: E+2",
            "Original-Recipient: rfc822; first@a.test",
            "Action: delivered",
        ])
    });
    // 8-bit text and addresses beyond ASCII, both ways.
    talk(
        "127.0.0.2:25",
        "MAIL FROM:<u1@a.test> BODY=8BITMIME SMTPUTF8\r\nRCPT TO:<box@p.test>\r\nDATA\r\nSubject: Grüße hin\r\n\r\nschön\r\n.\r\n",
    );
    wait("Postfix has the 8-bit mail", || delivered(&["Subject: Grüße hin\n\nschön\n"]));
    talk(
        "127.0.0.3:25",
        "MAIL FROM:<bücher@p.test> BODY=8BITMIME SMTPUTF8\r\nRCPT TO:<u1@a.test>\r\nDATA\r\nSubject: Grüße her\r\n\r\nschön\r\n.\r\n",
    );
    wait("mailsrv has the 8-bit mail", || {
        kept(&[
            "Return-Path: <bücher@p.test>",
            "with UTF8SMTP",
            "Subject: Grüße her\r\n\r\nschön\r\n",
        ])
    });
    // Whom dnsd's SPF and DMARC records let send, is noted; who is not, is refused, and Postfix tells.
    talk(
        "127.0.0.3:25",
        "MAIL FROM:<box@p.test>\r\nRCPT TO:<u1@a.test>\r\nDATA\r\nFrom: box@p.test\r\nSubject: from p.test\r\n\r\n.\r\n",
    );
    wait("the mail is from where it says", || {
        kept(&[
            "Authentication-Results: mx.a.test;",
            "spf=pass (mx.a.test: domain of box@p.test designates 127.0.0.3 as permitted sender)",
            "dmarc=pass header.from=p.test",
            "Subject: from p.test",
        ])
    });
    talk(
        "127.0.0.3:25",
        "MAIL FROM:<x@liar.test>\r\nRCPT TO:<u1@a.test>\r\nDATA\r\nFrom: x@liar.test\r\nSubject: a lie\r\n\r\n.\r\n",
    );
    wait("Postfix tells that the lie was refused", || delivered(&["550 5.7.1", "(DMARC)"]));
    assert!(!kept(&["Subject: a lie"]));
    server.kill().unwrap();
    server.wait().unwrap();
}

/// Whether one message in a folder has all of these in it.
fn holds(folder: &Path, words: &[&str]) -> bool {
    std::fs::read_dir(folder).into_iter().flatten().flatten().any(|entry| {
        std::fs::read_to_string(entry.path())
            .is_ok_and(|text| words.iter().all(|word| text.contains(word)))
    })
}

/// Says EHLO and these lines; every reply must be good.
fn talk(address: &str, lines: &str) {
    use std::io::{BufRead, BufReader, Write};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let mut replies = BufReader::new(stream.try_clone().unwrap());
    let mut reply = || loop {
        let mut line = String::new();
        replies.read_line(&mut line).unwrap();
        assert!(line.starts_with('2') || line.starts_with('3'), "{address}: {line}");
        if line.as_bytes().get(3) != Some(&b'-') {
            return;
        }
    };
    reply();
    stream.write_all(b"EHLO pc0.a.test\r\n").unwrap();
    reply();
    let (commands, message) = lines.split_once("DATA\r\n").unwrap();
    for command in commands.split_inclusive("\r\n").chain(["DATA\r\n"]) {
        stream.write_all(command.as_bytes()).unwrap();
        reply();
    }
    stream.write_all(message.as_bytes()).unwrap();
    reply();
    stream.write_all(b"QUIT\r\n").unwrap();
    reply();
}

/// The zones: where the mail of each goes, who may send for it, what is to be done with the rest.
/// Notices have no sender: the server's own name answers for them.
const ZONES: &[(&str, &str)] = &[
    (
        "a.test",
        "@ MX 10 mx\nmx A 127.0.0.2\n@ TXT \"v=spf1 mx -all\"\nmx TXT \"v=spf1 a -all\"\n_dmarc TXT \"v=DMARC1; p=reject\"\n",
    ),
    (
        "p.test",
        "@ MX 10 mx\nmx A 127.0.0.3\n@ TXT \"v=spf1 mx -all\"\nmx TXT \"v=spf1 a -all\"\n_dmarc TXT \"v=DMARC1; p=reject\"\n",
    ),
    ("refused.test", "@ MX 10 mx.p.test.\n"),
    // Its mail comes from elsewhere: what Postfix says to be from it is not.
    (
        "liar.test",
        "@ MX 10 mx.p.test.\n@ TXT \"v=spf1 ip4:192.0.2.1 -all\"\n_dmarc TXT \"v=DMARC1; p=reject\"\n",
    ),
];

/// dnsd with these zones, on a thread of its own. Postfix asks port 53 of what resolv.conf says.
fn dns_server(folder: &Path) -> std::net::SocketAddr {
    let mut arguments: Vec<std::ffi::OsString> = vec!["--listen".into(), "127.0.0.4:53".into()];
    for (name, records) in ZONES {
        let file = folder.join(format!("{name}.zone"));
        let head =
            "$TTL 60\n@ SOA ns.dns.test. admin.dns.test. 1 3600 600 86400 60\n@ NS ns.dns.test.\n";
        std::fs::write(&file, format!("{head}{records}")).unwrap();
        arguments.extend(["--zone".into(), format!("{name}={}", file.display()).into()]);
    }
    std::thread::spawn(move || dnsd::main(arguments));
    let address = "127.0.0.4:53".parse().unwrap();
    wait("dnsd listens", || std::net::TcpStream::connect(address).is_ok());
    address
}

struct Postfix(PathBuf);

impl Postfix {
    /// Postfix for p.test on 127.0.0.3, with folders of its own.
    fn start(folder: &Path) -> Self {
        let shell = r#"
set -eu
cd "$1"
chmod 755 "$1"
printf 'nameserver 127.0.0.4\n' > resolv.conf
mount --bind resolv.conf /etc/resolv.conf
mkdir -p etc queue data mail
chown postfix data
chown nobody mail
cat > etc/main.cf <<CF
compatibility_level = 3.6
queue_directory = $1/queue
data_directory = $1/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = mx.p.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.3
inet_protocols = ipv4
smtp_bind_address = 127.0.0.3
virtual_mailbox_domains = p.test liar.test
virtual_mailbox_base = $1/mail
virtual_mailbox_maps = static:box/
virtual_uid_maps = static:$(id -u nobody)
virtual_gid_maps = static:$(id -g nobody)
smtpd_recipient_restrictions = check_recipient_access inline:{ { refused.test = REJECT } }, permit_mynetworks, reject
alias_maps =
maillog_file = $1/maillog
maillog_file_prefixes = $1
CF
cat > etc/master.cf <<CF
127.0.0.3:25 inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
CF
/usr/sbin/postfix -c "$1/etc" start
"#;
        let output =
            Command::new("bash").args(["-c", shell, "postfix"]).arg(folder).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        wait("Postfix listens", || std::net::TcpStream::connect("127.0.0.3:25").is_ok());
        Self(folder.to_owned())
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", std::fs::read_to_string(self.0.join("maillog")).unwrap_or_default());
        }
        let _ = Command::new("/usr/sbin/postfix")
            .arg("-c")
            .arg(self.0.join("etc"))
            .arg("stop")
            .output();
    }
}
