//! Prints the plan of a lab file, or what is wrong with it.

use std::io::Write as _;

fn main() -> std::process::ExitCode {
    let mut out = std::io::stdout().lock();
    let Some(path) = std::env::args_os().nth(1) else { return std::process::ExitCode::from(2) };
    let (text, code) = match lab::load(std::path::Path::new(&path), &lab::Vars::new()) {
        Ok(lab) => (format!("{}{:#}", lab.warnings.render(false, 100), lab.plan.json()), 0),
        Err(report) => (report.render(false, 100), 2),
    };
    let _ = writeln!(out, "{text}");
    std::process::ExitCode::from(code)
}
