//! `show …` and `console`: a router's console, answered by its agent.

use std::ffi::OsString;
use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;

use node::request::Output;
use node::{Client, Error, Request};
use serde_json::{Value, json};

use crate::getopt::{fail, print, run};

/// A connection to the node's own agent.
///
/// # Errors
/// When there is none, as outside of a lab.
pub async fn agent() -> Result<Client, Error> {
    tokio::net::UnixStream::connect(node::paths::AGENT_SOCKET).await.map(Client::new).map_err(
        |error| {
            Error::new("no-agent", format!("this node's agent does not answer: {error}"))
                .help("the command works inside a node of a lab: `labctl exec NODE -- …`")
        },
    )
}

pub fn show(args: Vec<OsString>) -> ExitCode {
    let mut line = "show".to_owned();
    for arg in args {
        line.push(' ');
        line.push_str(&arg.to_string_lossy());
    }
    run(async move {
        match ask(&line).await {
            Ok(output) => code(&output),
            Err(error) => failed(&error),
        }
    })
}

/// Reads lines and has each answered, until `exit` in user or privileged mode or the end of input.
pub fn main(args: Vec<OsString>) -> ExitCode {
    if !args.is_empty() {
        let words: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
        let line = words.join(" ");
        return run(async move {
            match ask(&line).await {
                Ok(output) => code(&output),
                Err(error) => failed(&error),
            }
        });
    }
    run(async {
        let client = match agent().await {
            Ok(client) => client,
            Err(error) => return failed(&error),
        };
        match converse(&client).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&error),
        }
    })
}

/// A session of its own, which keeps its mode; the prompt says which.
async fn converse(client: &Client) -> Result<(), Error> {
    let session = std::process::id().to_string();
    let request = |op: &str, line: &str| Request::Admin {
        service: "console".into(),
        request: json!({ "op": op, "session": session, "line": line }),
    };
    let terminal = std::io::stdin().is_terminal();
    let mut answer: Value = client.call(&request("prompt", "")).await?;
    loop {
        if answer["closed"] == true {
            break;
        }
        if terminal {
            print(answer["prompt"].as_str().unwrap_or_default());
        }
        let mut line = String::new();
        match std::io::stdin().lock().read_line(&mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        answer = client.call(&request("line", line.trim_end())).await?;
        print(answer["text"].as_str().unwrap_or_default());
    }
    client.call::<Value>(&request("end", "")).await?;
    Ok(())
}

async fn ask(line: &str) -> Result<Output, Error> {
    agent().await?.call(&Request::Console { line: line.to_owned() }).await
}

fn code(output: &Output) -> ExitCode {
    print(&output.stdout);
    let _ = std::io::stderr().lock().write_all(output.stderr.as_bytes());
    u8::try_from(output.code).map_or(ExitCode::FAILURE, ExitCode::from)
}

fn failed(error: &Error) -> ExitCode {
    let help = error.help.as_deref().map_or(String::new(), |help| format!("\n{help}"));
    fail("console", format_args!("{}{help}", error.message), 1)
}
