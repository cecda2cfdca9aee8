//! The agent as a program of its own: `agent [OPTIONS]`, `agent relay [SOCKET]`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args: Vec<_> = std::env::args_os().skip(1).collect();
    if args.first().is_some_and(|word| word == "relay") {
        return agent::relay(args.split_off(1));
    }
    agent::main(args)
}
