//! Commands run in the node without a terminal.

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::Signal;
use node::request::{Error, Output};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use crate::reaper::Own;

/// The most that is taken of each output, in bytes; the rest is read and dropped. Both fit into
/// one frame.
const MAX_OUTPUT: u64 = 1 << 20;
/// Where commands are looked for. First where no process of the node can write, so that a student's
/// own `ping` is not what a check runs.
pub(crate) const PATH: &str = "/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin";
/// What a killed command's pipes may take to close.
const GRACE: Duration = Duration::from_millis(200);

/// Runs a command; 127 when there is none of that name, 124 when it ran out of time.
pub(crate) async fn run(command: &[String], timeout: Duration) -> Result<Output, Error> {
    let Some((program, args)) = command.split_first() else {
        return Err(Error::new("bad-request", "no command was given"));
    };
    let mut command = Command::new(program);
    command
        .args(args)
        .env("PATH", PATH)
        .env("HOME", "/root")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut process = match Own::spawn(&mut command) {
        Ok(process) => process,
        Err(error) => {
            let code = if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 };
            let stderr = match code {
                127 => format!("{program}: command not found\n"),
                _ => format!("{program}: {error}\n"),
            };
            return Ok(Output { code, stderr, ..Output::default() });
        }
    };
    let mut out = tokio::spawn(take(process.child.stdout.take()));
    let mut err = tokio::spawn(take(process.child.stderr.take()));
    let all = async {
        let status = process.child.wait().await;
        (status, (&mut out).await, (&mut err).await)
    };
    if let Ok((status, stdout, stderr)) = tokio::time::timeout(timeout, all).await {
        let status = status.map_err(|error| Error::new("internal", error))?;
        return Ok(Output {
            code: status.code().or(status.signal().map(|n| 128 + n)).unwrap_or(-1),
            stdout: stdout.unwrap_or_default(),
            stderr: stderr.unwrap_or_default(),
        });
    }
    process.signal_group(Signal::SIGKILL);
    let _ = process.child.wait().await;
    let (stdout, stderr) =
        tokio::join!(tokio::time::timeout(GRACE, &mut out), tokio::time::timeout(GRACE, &mut err));
    let text = |taken: Result<Result<String, _>, _>| match taken {
        Ok(Ok(text)) => text,
        _ => String::new(),
    };
    Ok(Output { code: 124, stdout: text(stdout), stderr: text(stderr) })
}

/// Reads to the end and keeps the beginning.
async fn take(pipe: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut pipe) = pipe else { return String::new() };
    let mut bytes = Vec::new();
    let _ = (&mut pipe).take(MAX_OUTPUT).read_to_end(&mut bytes).await;
    let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn sh(script: &str, timeout: Duration) -> Output {
        run(&["sh".into(), "-c".into(), script.into()], timeout).await.unwrap()
    }

    #[tokio::test]
    async fn codes_and_outputs_come_back() {
        let long = Duration::from_secs(20);
        let output = sh("echo out; echo err >&2; exit 3", long).await;
        assert_eq!(output, Output { code: 3, stdout: "out\n".into(), stderr: "err\n".into() });
        assert_eq!(sh("kill -9 $$", long).await.code, 137);
        let output = run(&["no-such-command".into()], long).await.unwrap();
        assert_eq!(
            (output.code, output.stderr.as_str()),
            (127, "no-such-command: command not found\n")
        );
        assert_eq!(run(&[], long).await.unwrap_err().code, "bad-request");
        let output = sh("head -c 3000000 /dev/zero", long).await;
        assert_eq!((output.code, output.stdout.len() as u64), (0, MAX_OUTPUT));
    }

    #[tokio::test]
    async fn what_runs_out_of_time_is_ended_with_its_children() {
        let output = sh("sleep 1000 & echo $!; sleep 1000", Duration::from_millis(300)).await;
        assert_eq!(output.code, 124);
        let child: i32 = output.stdout.trim().parse().unwrap();
        let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
    }
}
