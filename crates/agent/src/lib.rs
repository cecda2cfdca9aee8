//! Process 1 of a node.
//!
//! [`main`] reads what the node is told ([`node::Config`]), sets up its interfaces, routes and
//! resolver, starts and supervises its services, and answers labctl on a socket until it is told
//! to end. [`relay`] joins its standard input and output to that socket; it is what labctl runs in
//! a node to reach the agent. See `docs/agent.md`.
//!
//! The agent keeps what was done to the node (cables pulled, services switched off, changed
//! addresses) in [`node::paths::STATE`], so a node restarted by its engine comes up as it was left.

mod agent;
mod changes;
mod control;
mod dhcp;
mod exec;
mod files;
pub mod firewall;
mod host;
mod impair;
mod keylog;
mod links;
mod log;
mod options;
mod ports;
mod reaper;
mod relay;
mod router;
mod services;
mod snapshot;
mod state;
mod status;

use std::ffi::OsString;
use std::process::ExitCode;

pub use relay::relay;

/// Runs the agent until SIGTERM: `[--config FILE | --inline-config WORD]`.
///
/// Exit code 0 after SIGTERM, 2 when the configuration cannot be read, 1 when the kernel refuses
/// what no node can do without.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let config = match options::read(&args) {
        Ok(config) => config,
        Err(error) => {
            log::say(&error);
            return ExitCode::from(2);
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            log::say(format_args!("no runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(agent::run(config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::say(&error);
            ExitCode::FAILURE
        }
    }
}
