//! The DNS server alone.

fn main() -> std::process::ExitCode {
    dnsd::main(std::env::args_os().skip(1).collect())
}
