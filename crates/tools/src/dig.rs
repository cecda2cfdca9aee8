//! `dig`: one question to the DNS server.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::getopt::{fail, line, run};

pub fn main(args: Vec<OsString>) -> ExitCode {
    let mut words = args.into_iter().map(|arg| arg.to_string_lossy().into_owned());
    let Some(name) = words.next() else { return fail("dig", "usage: dig NAME [TYPE]", 2) };
    let request = probes::dns::Request { name, ..probes::dns::Request::default() };
    run(async move {
        match probes::dns::run(&request, &probes::Env::load()).await {
            Ok(outcome) => {
                outcome.answers.iter().for_each(line);
                ExitCode::SUCCESS
            }
            Err(error) => fail("dig", error, 1),
        }
    })
}
