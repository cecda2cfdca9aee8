//! The mail server on its own: `mailsrv --config mailsrv.yaml`.

fn main() -> std::process::ExitCode {
    mailsrv::main(std::env::args_os().skip(1).collect())
}
