//! The web server alone.

fn main() -> std::process::ExitCode {
    webd::main(std::env::args_os().skip(1).collect())
}
