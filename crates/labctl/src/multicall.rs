//! Which program this executable is, by its name or its first word.

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

/// A program: what comes after its name, to its exit code.
pub type Program = fn(Vec<OsString>) -> ExitCode;

/// What the words ask for.
pub enum Found {
    /// One of the node's programs.
    Program(Program, Vec<OsString>),
    /// labctl itself.
    CommandLine,
}

/// The services and process 1.
fn inner(name: &str) -> Option<Program> {
    Some(match name {
        "agent" => agent::main,
        "relay" => agent::relay,
        "supervisor" => engine::embedded::supervisor_main,
        engine::docker::DEAFEN => engine::docker::deafen_main,
        "dnsd" => dnsd::main,
        "dhcpd" => dhcpd::main,
        "mailsrv" => mailsrv::main,
        "webd" => webd::main,
        _ => return None,
    })
}

/// The names that a node offers as commands, for the links in its `/bin`.
pub fn commands() -> Vec<String> {
    let services = ["agent", "relay", "dnsd", "dhcpd", "mailsrv", "webd"];
    let mut names: Vec<String> =
        tools::NAMES.iter().chain(&services).map(|name| (*name).to_owned()).collect();
    names.sort();
    names.dedup();
    names
}

/// Finds the program. A node's commands are found by the name of the link only, so that no verb of
/// labctl is hidden by one.
pub fn find(name: &OsStr, args: Vec<OsString>) -> Found {
    let file = std::path::Path::new(name).file_name().and_then(OsStr::to_str).unwrap_or_default();
    if let Some(program) = inner(file).or_else(|| tools::find(file)) {
        return Found::Program(program, args);
    }
    let first = args.first().and_then(|word| word.to_str()).unwrap_or_default();
    match inner(first) {
        Some(program) => Found::Program(program, args.into_iter().skip(1).collect()),
        None => Found::CommandLine,
    }
}
