//! labctl: network labs for teaching, from one YAML file.
//!
//! One executable is everything: the command line, process 1 of every node, the services and the
//! commands of a node. Which one it is, its name or its first word says ([`multicall`]).

mod args;
mod context;
mod failure;
mod interrupt;
mod multicall;
mod names;
mod output;
mod progress;
mod state;
mod terminal;
mod verbs;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let name = words.next().unwrap_or_default();
    let rest: Vec<_> = words.collect();
    match multicall::find(&name, rest) {
        multicall::Found::Program(program, args) => program(args),
        multicall::Found::CommandLine => command_line(),
    }
}

fn command_line() -> ExitCode {
    use clap::Parser;
    let args = args::Args::parse();
    let runtime =
        match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                output::complain(&format!("error: cannot start: {error}"));
                return ExitCode::from(failure::ENGINE);
            }
        };
    let code = match runtime.block_on(verbs::run(args)) {
        Ok(code) => code,
        Err(failure) => failure.show(),
    };
    // Readers of standard input that are blocked must not keep the program.
    runtime.shutdown_background();
    ExitCode::from(code)
}
