//! A static web server with templated pages.
//!
//! `webd --config web.yaml` serves each [`config::Site`] on HTTP and, with a certificate, HTTPS.

pub mod config;

/// Runs `webd`; `args` without the program's name.
pub fn main(args: Vec<std::ffi::OsString>) -> std::process::ExitCode {
    let _ = args;
    std::process::ExitCode::FAILURE
}
