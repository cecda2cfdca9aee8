//! The relay alone: it waits for its socket, copies both ways, and ends with either side.

// A test says what failed by panicking.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

mod common;

use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

fn relay(socket: &Path) -> Child {
    Command::new(common::program())
        .arg("relay")
        .arg(socket)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn it_waits_for_a_socket_whose_folder_is_not_there_yet() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("run/labctl/agent.sock");
    let mut relay = relay(&socket);
    std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
    let listener = UnixListener::bind(&socket).unwrap();
    let (mut agent, _) = listener.accept().unwrap();
    relay.stdin.as_mut().unwrap().write_all(b"question").unwrap();
    let mut asked = [0; 8];
    agent.read_exact(&mut asked).unwrap();
    assert_eq!(&asked, b"question");
    agent.write_all(b"answer").unwrap();
    let mut answered = [0; 6];
    relay.stdout.as_mut().unwrap().read_exact(&mut answered).unwrap();
    assert_eq!(&answered, b"answer");
    // The agent ends: so does the relay, although nobody has closed its input.
    drop(agent);
    assert!(relay.wait().unwrap().success());
}

#[test]
fn it_passes_the_end_of_its_input_on_and_the_last_answer_back() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("agent.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let mut relay = relay(&socket);
    let (mut agent, _) = listener.accept().unwrap();
    drop(relay.stdin.take());
    let mut asked = Vec::new();
    agent.read_to_end(&mut asked).unwrap();
    assert!(asked.is_empty());
    // More than the pipe and the socket hold: written while it is read.
    let writing = std::thread::spawn(move || agent.write_all(&vec![7; 300_000]).unwrap());
    let mut answered = Vec::new();
    relay.stdout.take().unwrap().read_to_end(&mut answered).unwrap();
    writing.join().unwrap();
    assert_eq!(answered.len(), 300_000);
    assert!(relay.wait().unwrap().success());
}

#[test]
fn a_path_that_no_socket_can_have_is_refused_at_once() {
    let output = relay(Path::new(&"x".repeat(200))).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
}
