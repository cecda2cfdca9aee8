//! `help`: the commands of a node.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::COMMANDS;
use crate::getopt::{fail, line};

pub fn main(args: Vec<OsString>) -> ExitCode {
    let wanted = args.first().map(|arg| arg.to_string_lossy().into_owned());
    let mut found = false;
    for (name, about, _) in COMMANDS {
        if wanted.as_deref().is_none_or(|wanted| wanted == *name) {
            line(format_args!("{name:<12}{about}"));
            found = true;
        }
    }
    match wanted.filter(|_| !found) {
        Some(wanted) => fail("help", format_args!("no command {wanted}: `help` lists them"), 1),
        None => ExitCode::SUCCESS,
    }
}
