//! tshark as the judge of captures, and a capture that runs beside a test.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use packets::dissect::dissect;
use tempfile::TempPath;

use crate::common::{Labctl, skip};

/// A capture that runs beside the test.
pub struct Capturing {
    child: Child,
    /// Until it is handed over.
    file: Option<TempPath>,
}

impl Capturing {
    /// Begins, and waits until nothing is missed any more.
    pub fn start(labctl: &Labctl, arguments: &[&str]) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        let mut command = labctl.command(&["capture", "-w"]);
        command.arg(file.as_os_str()).args(arguments).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("capturing"), "{line}");
        Self { child, file: Some(file) }
    }

    /// Ends it as Ctrl-C does; the file.
    pub fn stop(mut self) -> TempPath {
        let pid = i32::try_from(self.child.id()).unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::SIGINT).unwrap();
        assert!(self.child.wait().unwrap().success());
        self.file.take().unwrap()
    }
}

impl Drop for Capturing {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a program is installed.
pub fn there(program: &str) -> bool {
    let there = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok();
    if !there {
        skip(&format!("{program} is not installed"), "LABCTL_CI");
    }
    there
}

/// What tshark prints of a file; it must not complain.
pub fn tshark(file: &Path, arguments: &[&str]) -> String {
    let output = Command::new("tshark").arg("-nr").arg(file).args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let errors: Vec<&str> =
        errors.lines().filter(|line| !line.contains("Running as user")).collect();
    assert!(output.status.success() && errors.is_empty(), "{}: {errors:?}", file.display());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The frames of a file that labctl wrote.
pub fn frames(file: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(file).unwrap();
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let (mut at, mut frames) = (0, Vec::new());
    while at < bytes.len() {
        if number(at) == 6 {
            frames.push(bytes[at + 28..at + 28 + number(at + 20)].to_vec());
        }
        at += number(at + 4);
    }
    frames
}

/// Frame by frame tshark and labctl agree on protocol, addresses and ports; nothing is malformed.
pub fn agree(file: &Path) -> BTreeMap<String, usize> {
    let fields = [
        "frame.number",
        "_ws.col.Protocol",
        "ip.src",
        "ip.dst",
        "tcp.srcport",
        "tcp.dstport",
        "udp.srcport",
        "udp.dstport",
        "arp.src.proto_ipv4",
        "arp.dst.proto_ipv4",
        "tcp.len",
        "frame.time_epoch",
        "_ws.malformed",
    ];
    // A segment that crosses a router is in the file twice, so streams are not put together here.
    let mut arguments = vec![
        "-o",
        "tcp.desegment_tcp_streams:FALSE",
        "-o",
        "tcp.analyze_sequence_numbers:FALSE",
        "-o",
        "ip.defragment:FALSE",
        "-T",
        "fields",
        "-E",
        "separator=|",
        "-E",
        "occurrence=f",
    ];
    for field in &fields {
        arguments.extend(["-e", field]);
    }
    let text = tshark(file, &arguments);
    let all = frames(file);
    assert_eq!(text.lines().count(), all.len());
    let mut protocols = BTreeMap::new();
    let mut before = String::new();
    for (line, frame) in text.lines().zip(&all) {
        let row: Vec<&str> = line.split('|').collect();
        let found = dissect(frame);
        let say = format!("{}: {line}, labctl: {} {}", file.display(), found.protocol, found.info);
        // `POP/IMF`, `TLSv1.3`, `RIPv2`.
        let theirs = row[1].split('/').next().unwrap().to_ascii_lowercase();
        let theirs = match theirs.as_str() {
            "pop" => "pop3",
            "ripv2" => "rip",
            "mdns" => "dns",
            name if name.starts_with("tls") || name.starts_with("ssl") => "tls",
            name if name.starts_with("igmp") => "igmp",
            name => name,
        };
        assert_eq!(theirs, found.protocol, "{say}");
        *protocols.entry(found.protocol.clone()).or_default() += 1;
        let text = |value: Option<String>| value.unwrap_or_default();
        let v4 = found.ip.filter(|ip| ip.source.is_ipv4());
        // An ICMP error holds another header; the first is the packet's own.
        assert_eq!(row[2], text(v4.map(|ip| ip.source.to_string())), "{say}");
        assert_eq!(row[3], text(v4.map(|ip| ip.destination.to_string())), "{say}");
        if found.icmp.is_none() && found.protocol != "ipv4" {
            let (tcp, udp) = (found.tcp.as_ref(), found.udp.as_ref());
            assert_eq!(row[4], text(tcp.map(|tcp| tcp.source.to_string())), "{say}");
            assert_eq!(row[5], text(tcp.map(|tcp| tcp.destination.to_string())), "{say}");
            assert_eq!(row[6], text(udp.map(|udp| udp.source.to_string())), "{say}");
            assert_eq!(row[7], text(udp.map(|udp| udp.destination.to_string())), "{say}");
            assert_eq!(row[10], text(tcp.map(|tcp| tcp.length.to_string())), "{say}");
        }
        assert_eq!(row[8], text(found.arp.map(|arp| arp.sender.1.to_string())), "{say}");
        assert_eq!(row[9], text(found.arp.map(|arp| arp.target.1.to_string())), "{say}");
        assert!(row[12].is_empty(), "{say}");
        // Times in order: as text they have the same length.
        assert!(before.as_str() <= row[11], "{say}");
        before = row[11].to_owned();
    }
    protocols
}
