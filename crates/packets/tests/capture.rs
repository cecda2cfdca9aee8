//! The capture on a real interface, in a network namespace of its own.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may panic and says what it skips"
)]

use std::process::Command;
use std::time::Duration;

use packets::capture::{Interface, run};
use packets::{Capture, Topology, story};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// A namespace for this thread alone, with loopback up.
fn alone() -> bool {
    if !nix::unistd::geteuid().is_root() {
        assert!(std::env::var_os("LABCTL_CI").is_none(), "this test needs root");
        println!("SKIPPED: a network namespace needs root");
        return false;
    }
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
    match Command::new("ip").args(["link", "set", "lo", "up"]).status() {
        Ok(status) => assert!(status.success()),
        Err(error) => {
            assert!(std::env::var_os("LABCTL_CI").is_none(), "ip: {error}");
            println!("SKIPPED: iproute2 is not installed");
            return false;
        }
    }
    true
}

#[test]
fn every_frame_after_the_start_is_caught() {
    if !alone() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (sender, mut batches) = mpsc::channel(64);
        let interfaces = vec![Interface { name: "lo".into(), network: "loop".into() }];
        let capturing = tokio::spawn(run(interfaces, 65_535, sender));
        assert!(batches.recv().await.unwrap().started);
        let listener = TcpListener::bind("127.0.0.1:110").await.unwrap();
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"+OK hello\r\n").await.unwrap();
            let mut buffer = [0; 64];
            let n = stream.read(&mut buffer).await.unwrap();
            assert_eq!(&buffer[..n], b"QUIT\r\n");
            stream.write_all(b"+OK bye\r\n").await.unwrap();
        });
        let mut client = TcpStream::connect("127.0.0.1:110").await.unwrap();
        let mut greeting = [0; 11];
        client.read_exact(&mut greeting).await.unwrap();
        client.write_all(b"QUIT\r\n").await.unwrap();
        let mut rest = String::new();
        client.read_to_string(&mut rest).await.unwrap();
        drop(client);
        serving.await.unwrap();
        let mut capture = Capture::new("host");
        let told = loop {
            let batch = tokio::time::timeout(Duration::from_secs(5), batches.recv())
                .await
                .unwrap()
                .unwrap();
            capture.add(batch);
            let told = story::tell(std::slice::from_ref(&capture), &Topology::default());
            if told.steps.iter().any(|step| step.text == "closes the connection") {
                break told;
            }
        };
        let texts: Vec<&str> = told.steps.iter().map(|step| step.text.as_str()).collect();
        assert_eq!(
            texts,
            [
                "opens a connection to port 110 (POP3)",
                "+OK hello",
                "QUIT",
                "+OK bye",
                "closes the connection"
            ]
        );
        assert_eq!(capture.dropped(), 0);
        drop(batches);
        tokio::time::timeout(Duration::from_secs(5), capturing).await.unwrap().unwrap().unwrap();
    });
}

#[test]
fn an_interface_that_is_not_there_is_named() {
    if !alone() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (sender, _batches) = mpsc::channel(1);
    let interfaces = vec![Interface { name: "nope".into(), network: "x".into() }];
    let error = runtime.block_on(run(interfaces, 100, sender)).unwrap_err();
    assert_eq!(error.to_string(), "there is no interface nope to capture on");
}
