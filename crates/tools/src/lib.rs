//! The commands of a node: ping, nslookup, dig, ip, curl, mail and the others.
//!
//! Each prints what a student knows from Linux, or from Windows where the command is of there
//! (`ipconfig`). They are thin: the clients are crate `probes`, the kernel is crate `net`.

mod arp;
mod console;
mod curl;
mod dig;
mod files;
mod getopt;
mod help;
mod ifconfig;
mod ip;
mod ipconfig;
mod mail;
mod nc;
mod nslookup;
mod ping;
mod shell;
mod traceroute;

use std::ffi::OsString;
use std::process::ExitCode;

/// A command: its arguments without its name, to its exit code.
pub type Command = fn(Vec<OsString>) -> ExitCode;

/// Every command with one line about it, in the order `help` lists them.
const COMMANDS: &[(&str, &str, Command)] = &[
    ("ping", "asks a host for an echo: ping [-c count] HOST", ping::main),
    ("traceroute", "shows the way to a host: traceroute [-n] HOST", traceroute::main),
    ("tracert", "the same, as Windows calls it", traceroute::main),
    ("nslookup", "asks the DNS server: nslookup NAME [SERVER]", nslookup::main),
    ("dig", "asks the DNS server and shows all it said: dig [@SERVER] NAME [TYPE]", dig::main),
    ("mail", "sends and fetches mail: mail send TO, mail fetch", mail::main),
    ("curl", "fetches a page: curl [-v] [-I] URL", curl::main),
    ("nc", "talks to a port: nc [-u] [-z] [-l] HOST PORT", nc::nc),
    ("telnet", "talks to a port: telnet HOST PORT", nc::telnet),
    ("ip", "shows and sets addresses, links, routes, neighbours: ip addr", ip::main),
    (
        "ipconfig",
        "addresses as Windows shows them: ipconfig [/all|/renew|/release]",
        ipconfig::main,
    ),
    ("ifconfig", "addresses as Unix shows them", ifconfig::main),
    ("arp", "shows the neighbours: arp -a", arp::main),
    ("hostname", "shows the node's name", files::hostname),
    ("cat", "shows a file: cat FILE", files::cat),
    ("ls", "lists a folder: ls [-l] [-a] [FOLDER]", files::ls),
    ("echo", "says what follows", files::echo),
    ("sh", "reads commands, one a line", shell::main),
    ("show", "a router's console: show ip route, show ip dhcp binding, …", console::show),
    ("console", "a router's console, line by line", console::main),
    ("help", "lists the commands", help::main),
];

/// The names of all commands.
pub const NAMES: &[&str] = &names();

const fn names() -> [&'static str; COMMANDS.len()] {
    let mut names = [""; COMMANDS.len()];
    let mut i = 0;
    while i < names.len() {
        names[i] = COMMANDS[i].0;
        i += 1;
    }
    names
}

/// Finds a command by its name.
pub fn find(name: &str) -> Option<Command> {
    COMMANDS.iter().find(|(known, _, _)| *known == name).map(|(_, _, main)| *main)
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_name_is_found_once() {
        let mut names = super::NAMES.to_vec();
        assert!(names.iter().all(|name| super::find(name).is_some()));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), super::NAMES.len());
    }
}
