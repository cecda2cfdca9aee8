//! The DHCP server as a program of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    dhcpd::main(std::env::args_os().skip(1).collect())
}
