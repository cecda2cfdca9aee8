//! tshark judges what we write and how we read it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may panic and says what it skips"
)]

mod wire;

use std::io::Write;
use std::process::Command;

use packets::{Sighting, dissect::dissect, merge, pcapng};

#[test]
fn tshark_opens_the_file_and_agrees_frame_by_frame() {
    // One link a file: tshark takes a segment that it sees again behind a router for sent again.
    for network in ["lan", "dmz"] {
        let mut merged = merge(&wire::mail_story());
        merged.retain(|sighting| sighting.network == network);
        judge(network, &merged);
    }
}

fn judge(network: &str, merged: &[Sighting]) {
    let mut writer = pcapng::Writer::new(Vec::new(), 65_535, "a lab").unwrap();
    for sighting in merged {
        writer
            .packet(&pcapng::Packet {
                interface: &sighting.network,
                at_ns: sighting.at_ns,
                data: &sighting.data,
                length: sighting.length,
                comment: Some("seen"),
            })
            .unwrap();
    }
    let path =
        std::env::temp_dir().join(format!("labctl-tshark-{network}-{}.pcapng", std::process::id()));
    std::fs::File::create(&path).unwrap().write_all(&writer.into_inner()).unwrap();
    let fields = [
        "frame.number",
        "_ws.col.Protocol",
        "_ws.col.Source",
        "_ws.col.Destination",
        "tcp.srcport",
        "udp.srcport",
        "frame.interface_name",
        "tcp.len",
    ];
    let mut command = Command::new("tshark");
    command.args(["-n", "-r"]).arg(&path).args(["-T", "fields", "-E", "separator=|"]);
    for field in fields {
        command.args(["-e", field]);
    }
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => {
            assert!(std::env::var_os("LABCTL_CI").is_none(), "tshark: {error}");
            println!("SKIPPED: tshark is not installed");
            return;
        }
    };
    std::fs::remove_file(&path).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    let errors: Vec<&str> =
        errors.lines().filter(|line| !line.contains("Running as user")).collect();
    assert!(output.status.success() && errors.is_empty(), "{errors:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split('|').collect()).collect();
    assert_eq!(rows.len(), merged.len());
    for (row, sighting) in rows.iter().zip(merged) {
        let found = dissect(&sighting.data);
        assert_eq!(row[6], sighting.network);
        let protocol = row[1].split('/').next().unwrap().to_ascii_lowercase();
        assert_eq!(protocol, found.protocol, "frame {}", row[0]);
        if let Some(ip) = found.ip {
            assert_eq!(
                (row[2], row[3]),
                (ip.source.to_string().as_str(), ip.destination.to_string().as_str())
            );
        }
        if let Some(tcp) = &found.tcp {
            assert_eq!(
                (row[4], row[7]),
                (tcp.source.to_string().as_str(), tcp.length.to_string().as_str())
            );
        }
        if let Some(udp) = &found.udp {
            assert_eq!(row[5], udp.source.to_string());
        }
    }
}
