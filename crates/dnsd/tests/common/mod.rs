//! Servers and clients for the tests: each on a free port of a loopback address.
#![allow(dead_code, reason = "each test file uses its part")]

use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dnswire::{Edns, Flags, Message, Name, RecordType};

/// The zone of most tests; every kind of look-up has its names in it.
pub const LAB: &str = r#"$TTL 300
@ SOA ns1 admin 1 3600 900 604800 60
@ NS ns1
@ NS ns2
@ MX 10 mail
@ MX 20 mail.other.test.
@ TXT "v=spf1 mx -all"
@ CAA 0 issue "ca.test"
ns1 A 127.0.0.1
ns2 A 10.0.0.2
mail A 10.0.0.3
mail AAAA 2001:db8::3
_dmarc TXT "v=DMARC1; p=reject"
sel._domainkey TXT "v=DKIM1; k=rsa; " "p=MIIB"
_imap._tcp SRV 0 1 143 mail
www CNAME web
web A 10.0.0.4
web A 10.0.0.14
deep CNAME www
dead CNAME nowhere
out CNAME www.other.test.
far CNAME www.example.org.
*.wild A 10.0.0.5
*.wild MX 10 mail
x.wild TXT "exists"
*.alias CNAME web
a.b.ent A 10.0.0.6
sub NS ns.sub
sub NS ns1.other.test.
ns.sub A 10.0.1.1
signed NS ns.signed
ns.signed A 10.0.1.2
signed DS 60485 13 2 D4B7D520E7BB5F0F67674A0CCEB1E3E0614B93C4F9E99B8383F6A1E4469DA50A
loop CNAME loop2
loop2 CNAME loop
dn DNAME other.test.
dx DNAME much.longer.other.test.
big TXT "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
big TXT "1123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
big TXT "2123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
big TXT "3123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
big TXT "4123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
big TXT "5123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
unknown TYPE65280 \# 3 010203
info HINFO "PC" "Linux"
"#;

/// A second zone of the same server.
pub const OTHER: &str = "$TTL 300
@ SOA ns1 admin 7 3600 900 604800 60
@ NS ns1
ns1 A 10.9.0.1
www A 10.9.0.2
mail A 10.9.0.3
";

/// A folder that goes with the test.
pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// A port that is free for TCP and UDP on all loopback addresses.
pub fn free_port() -> u16 {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = tcp.local_addr().unwrap().port();
        if UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// A process that ends with the test.
pub struct Running {
    pub child: Child,
    pub address: SocketAddr,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a program and waits until it accepts on TCP.
pub fn start(mut command: Command, address: SocketAddr) -> Running {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    // A socket that looks for a free port can meet itself at the one it looks for (RFC 9293 section 3.5).
    let serves = || {
        TcpStream::connect(address)
            .is_ok_and(|one| one.local_addr().is_ok_and(|own| own != address))
    };
    while !serves() {
        if child.try_wait().unwrap().is_some() || Instant::now() > until {
            let mut text = String::new();
            let _ = child.kill();
            child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
            panic!("{command:?} does not serve {address}: {text}");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    // What it says from now on must not stop it.
    let mut stderr = child.stderr.take().unwrap();
    std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
    Running { child, address }
}

/// Our server with a configuration; `listen` is added.
pub fn dnsd(folder: &Path, name: &str, ip: &str, port: u16, config: &str) -> Running {
    let path = folder.join(format!("{name}.yaml"));
    std::fs::write(&path, format!("listen: ['{ip}:{port}']\n{config}")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_dnsd"));
    command.arg("--config").arg(path);
    start(command, SocketAddr::new(ip.parse::<IpAddr>().unwrap(), port))
}

/// Our server with the two zones.
pub fn lab(folder: &Path) -> Running {
    zones(folder);
    dnsd(
        folder,
        "lab",
        "127.0.0.1",
        free_port(),
        "zones: [{ name: lab.test, file: lab.zone, allow_transfer: [127.0.0.0/8] }, { name: other.test, file: other.zone }]",
    )
}

/// Writes the two zones.
pub fn zones(folder: &Path) {
    std::fs::write(folder.join("lab.zone"), LAB).unwrap();
    std::fs::write(folder.join("other.zone"), OTHER).unwrap();
}

/// Where a tool is; where it is missing the test is skipped, or fails in CI.
pub fn tool(name: &str) -> Option<PathBuf> {
    let places = ["/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/local/bin", "/usr/local/sbin"];
    let found = places.iter().map(|place| Path::new(place).join(name)).find(|path| path.exists());
    if found.is_none() {
        assert!(std::env::var_os("LABCTL_CI").is_none(), "{name} is missing");
        println!("SKIPPED: {name} is not installed");
    }
    found
}

/// What dig prints.
pub fn dig(server: SocketAddr, words: &str) -> Option<String> {
    let mut command = Command::new(tool("dig")?);
    command.arg(format!("@{}", server.ip())).args([
        "-p",
        &server.port().to_string(),
        "+time=3",
        "+tries=2",
    ]);
    let output = command.args(words.split_whitespace()).output().unwrap();
    Some(String::from_utf8(output.stdout).unwrap())
}

/// A question and how it is asked.
#[derive(Clone, Debug)]
pub struct Ask {
    pub name: String,
    pub kind: String,
    pub dnssec: bool,
    pub size: Option<u16>,
    pub class: u16,
    pub recursion: bool,
}

impl Ask {
    pub fn new(name: &str, kind: &str) -> Self {
        Self {
            name: name.into(),
            kind: kind.into(),
            dnssec: false,
            size: Some(1232),
            class: 1,
            recursion: false,
        }
    }

    pub fn message(&self) -> Message {
        let kind: RecordType = self.kind.parse().unwrap();
        let mut message =
            Message::query(4711, Name::complete(&self.name).unwrap(), kind, self.recursion);
        message.edns = self.size.map(|size| Edns { size, dnssec: self.dnssec, ..Edns::default() });
        message.questions[0].class = self.class;
        message
    }
}

/// Sends bytes by UDP and waits for the answer.
pub fn exchange(server: SocketAddr, bytes: &[u8]) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
    let mut buffer = [0; 65_535];
    for _ in 0..2 {
        socket.send(bytes).unwrap();
        if let Ok(size) = socket.recv(&mut buffer) {
            return Some(buffer[..size].to_vec());
        }
    }
    None
}

/// Asks by UDP.
pub fn ask(server: SocketAddr, ask: &Ask) -> Message {
    let bytes = exchange(server, &ask.message().write(512))
        .unwrap_or_else(|| panic!("{server} is silent: {ask:?}"));
    Message::read(&bytes).unwrap()
}

/// Asks for a name and type.
pub fn query(server: SocketAddr, name: &str, kind: &str) -> Message {
    ask(server, &Ask::new(name, kind))
}

/// The records of a section as sorted text.
pub fn texts(records: &[dnswire::Record]) -> Vec<String> {
    let mut texts: Vec<_> = records
        .iter()
        .map(|r| format!("{} {} {} {}", r.name.lower(), r.ttl, r.kind, r.text()))
        .collect();
    texts.sort();
    texts
}

/// The rcode, whether authoritative, and the sorted data of the answers.
pub fn brief(message: &Message) -> (String, bool, Vec<String>) {
    let mut data: Vec<_> =
        message.answers.iter().map(|r| format!("{} {}", r.kind, r.text())).collect();
    data.sort();
    (message.rcode_word(), message.flags.has(Flags::AA), data)
}

/// One request on the admin socket.
pub fn admin(socket: &Path, request: serde_json::Value) -> Result<serde_json::Value, node::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(node::admin::ask(socket, &request, async |_| Ok(())))
}

/// Waits until something is so.
pub fn wait_for<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < until, "{what} did not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The questions that the servers are compared by.
pub fn questions() -> Vec<Ask> {
    let mut all: Vec<Ask> = [
        "lab.test SOA",
        "lab.test NS",
        "lab.test MX",
        "lab.test TXT",
        "lab.test CAA",
        "lab.test A",
        "lab.test SRV",
        "ns1.lab.test A",
        "mail.lab.test A",
        "mail.lab.test AAAA",
        "mail.lab.test TXT",
        "web.lab.test A",
        "WWW.Lab.TEST A",
        "www.lab.test CNAME",
        "www.lab.test AAAA",
        "www.lab.test MX",
        "deep.lab.test A",
        "dead.lab.test A",
        "far.lab.test A",
        "loop.lab.test A",
        "_dmarc.lab.test TXT",
        "sel._domainkey.lab.test TXT",
        "_imap._tcp.lab.test SRV",
        "_tcp.lab.test A",
        "_domainkey.lab.test TXT",
        "nope.lab.test A",
        "nope.nope.lab.test MX",
        "x.web.lab.test A",
        "y.wild.lab.test A",
        "y.wild.lab.test MX",
        "y.wild.lab.test TXT",
        "a.y.wild.lab.test A",
        "x.wild.lab.test A",
        "x.wild.lab.test TXT",
        "a.x.wild.lab.test A",
        "wild.lab.test A",
        "*.wild.lab.test A",
        "y.alias.lab.test A",
        "y.alias.lab.test CNAME",
        "ent.lab.test A",
        "b.ent.lab.test A",
        "a.b.ent.lab.test A",
        "x.b.ent.lab.test A",
        "sub.lab.test A",
        "sub.lab.test NS",
        "sub.lab.test DS",
        "www.sub.lab.test A",
        "ns.sub.lab.test A",
        "signed.lab.test DS",
        "www.signed.lab.test A",
        "dn.lab.test DNAME",
        "www.dn.lab.test DNAME",
        "dn.lab.test A",
        "unknown.lab.test TYPE65280",
        "info.lab.test HINFO",
        "big.lab.test TXT",
        "other.test SOA",
        "www.other.test A",
        "nowhere.example A",
        "test A",
        "lab.test DS",
        "lab.test ANY",
        "web.lab.test ANY",
    ]
    .iter()
    .map(|line| {
        let (name, kind) = line.split_once(' ').unwrap();
        Ask::new(name, kind)
    })
    .collect();
    for (name, kind, size) in [
        ("big.lab.test", "TXT", None),
        ("big.lab.test", "TXT", Some(512)),
        ("web.lab.test", "A", None),
    ] {
        all.push(Ask { size, ..Ask::new(name, kind) });
    }
    all.push(Ask { dnssec: true, ..Ask::new("nope.lab.test", "A") });
    all.push(Ask { dnssec: true, ..Ask::new("www.signed.lab.test", "A") });
    all.push(Ask { class: 3, ..Ask::new("web.lab.test", "A") });
    all.push(Ask { recursion: true, ..Ask::new("web.lab.test", "A") });
    all.push(Ask { recursion: true, ..Ask::new("www.sub.lab.test", "A") });
    all
}
