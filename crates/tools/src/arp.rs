//! `arp -a`: the neighbours.

use std::ffi::OsString;
use std::process::ExitCode;

use probes::facts::{Neighbour, Request};

use crate::getopt::{fail, line, run};

pub fn main(args: Vec<OsString>) -> ExitCode {
    if let Some(other) = args.iter().find(|arg| !matches!(arg.to_str(), Some("-a" | "-n" | "-an")))
    {
        return fail("arp", format_args!("{}: only `arp -a` is known", other.display()), 2);
    }
    run(async {
        match probes::facts::run(&Request::default(), &probes::Env::default()).await {
            Ok(facts) => {
                facts.neighbours.iter().for_each(|neighbour| line(shown(neighbour)));
                ExitCode::SUCCESS
            }
            Err(error) => fail("arp", error, 1),
        }
    })
}

fn shown(neighbour: &Neighbour) -> String {
    let mac = neighbour.mac.as_deref().unwrap_or("<incomplete>");
    format!("? ({}) at {mac} [ether] on {}", neighbour.address, neighbour.interface)
}
