//! The one program of a test's node: the agent, its relay, and services that do what they are told.
//!
//! A service's configuration is JSON: `{"admin": PATH, "tcp": {PROTOCOL: PORT}, "crash": FILE}`.
//! While the file exists, the service ends as soon as it has started.

// A test says what failed by panicking, and what it skipped by printing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use node::request::Error;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

fn main() -> ExitCode {
    let mut args: Vec<_> = std::env::args_os().collect();
    let name = args.remove(0);
    let name = std::path::Path::new(&name).file_name().unwrap().to_string_lossy().into_owned();
    let name = match name.as_str() {
        "labctl" | "testnode" => args.remove(0).to_string_lossy().into_owned(),
        _ => name,
    };
    match name.as_str() {
        "agent" => agent::main(args),
        "relay" => agent::relay(args),
        "dhcpd" => dhcpd::main(args),
        "testd" => {
            let config = std::fs::read_to_string(&args[1]).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(serve(serde_json::from_str(&config).unwrap()))
        }
        _ => panic!("{name} is no program of the test's"),
    }
}

#[derive(serde::Deserialize)]
struct Config {
    admin: std::path::PathBuf,
    tcp: BTreeMap<String, u16>,
    crash: Option<std::path::PathBuf>,
}

struct Service {
    config: Config,
    open: Mutex<BTreeMap<String, JoinHandle<()>>>,
}

async fn serve(config: Config) -> ExitCode {
    if config.crash.as_ref().is_some_and(|file| file.exists()) {
        println!("on standard output");
        eprintln!("this is why");
        return ExitCode::from(9);
    }
    let listener = node::admin::bind(&config.admin).unwrap();
    let protocols: Vec<_> = config.tcp.keys().cloned().collect();
    let service = Arc::new(Service { config, open: Mutex::default() });
    for protocol in protocols {
        service.switch(&protocol, true).await;
    }
    node::admin::serve(listener, service).await;
    ExitCode::SUCCESS
}

impl Service {
    async fn switch(&self, protocol: &str, on: bool) {
        let open = self.open.lock().unwrap().remove(protocol);
        if let Some(task) = open {
            task.abort();
            let _ = task.await;
        }
        if !on {
            return;
        }
        let listener = TcpListener::bind(("0.0.0.0", self.config.tcp[protocol])).await.unwrap();
        let task = tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                });
            }
        });
        self.open.lock().unwrap().insert(protocol.into(), task);
    }
}

impl node::admin::Admin for Service {
    async fn answer(
        &self,
        request: Value,
        items: tokio::sync::mpsc::Sender<Value>,
    ) -> Result<Value, Error> {
        match request["op"].as_str() {
            Some("switch") => {
                self.switch(request["protocol"].as_str().unwrap(), request["on"] == true).await;
            }
            Some("count") => {
                for n in 0..3 {
                    let _ = items.send(json!(n)).await;
                }
            }
            _ => {}
        }
        let open = self.open.lock().unwrap();
        let protocols = self.config.tcp.keys();
        let protocols: Vec<_> = protocols
            .map(|protocol| json!({"protocol": protocol, "on": open.contains_key(protocol)}))
            .collect();
        Ok(json!({ "protocols": protocols }))
    }
}
