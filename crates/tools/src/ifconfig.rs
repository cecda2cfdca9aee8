//! `ifconfig`: the interfaces.

use std::ffi::OsString;
use std::process::ExitCode;

use probes::facts::{Link, Request};

use crate::getopt::{fail, print, run};

pub fn main(args: Vec<OsString>) -> ExitCode {
    let wanted = args.first().map(|arg| arg.to_string_lossy().into_owned());
    run(async move {
        let facts = match probes::facts::run(&Request::default(), &probes::Env::default()).await {
            Ok(facts) => facts,
            Err(error) => return fail("ifconfig", error, 1),
        };
        let shown: String = facts
            .links
            .iter()
            .filter(|link| wanted.as_deref().is_none_or(|w| w == "-a" || w == link.name))
            .map(text)
            .collect();
        match wanted.filter(|_| shown.is_empty()) {
            Some(name) => fail("ifconfig", format_args!("{name}: no such interface"), 1),
            None => {
                print(shown);
                ExitCode::SUCCESS
            }
        }
    })
}

fn text(link: &Link) -> String {
    let mut flags = vec!["BROADCAST"];
    if link.up {
        flags.insert(0, "UP");
    }
    if link.carrier {
        flags.push("RUNNING");
    }
    let mut text =
        format!("{}: flags=<{},MULTICAST>  mtu {}\n", link.name, flags.join(","), link.mtu);
    for net in &link.addresses {
        text.push_str(&format!(
            "        inet {}  netmask {}  broadcast {}\n",
            net.addr(),
            net.netmask(),
            net.broadcast()
        ));
    }
    text.push_str(&format!(
        "        ether {}\n        RX packets {}\n        TX packets {}\n\n",
        link.mac, link.rx_packets, link.tx_packets
    ));
    text
}
