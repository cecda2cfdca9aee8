//! Starts the node's services, keeps them running, and knows how they are.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::Signal;
use node::config::{Port, Service};
use node::request::{Error, ServiceStatus, Switch};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::Command;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::changes::Changes;
use crate::ports::Listening;
use crate::reaper::Own;
use crate::{files, log};

/// The wait before a crashed service is started again: doubled each time up to the second value.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// A service that ran so long was all right: the next wait is the shortest again.
const STABLE: Duration = Duration::from_secs(10);
/// What a service has to end after SIGTERM, before it is killed.
pub(crate) const GRACE: Duration = Duration::from_millis(600);
/// The longest line taken from a service, in bytes.
const MAX_LINE: u64 = 64 << 10;
/// Lines of standard error kept to explain an end.
const KEPT_LINES: usize = 5;
/// How long a service may take to say how it is.
const ADMIN_PATIENCE: Duration = Duration::from_secs(2);
/// The shortest and longest time between two looks whether a service accepts: it says when it is
/// ready ([`hear_services`]), but need not.
const LOOK: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(500));

/// One service and its process.
#[derive(Debug)]
pub(crate) struct Supervised {
    config: Service,
    live: Mutex<Live>,
    wanted: watch::Sender<Wanted>,
    changes: Changes,
}

/// What a service's process should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    On,
    Off,
    /// The agent ends: stop, and do not come back.
    End,
}

/// How the process is.
#[derive(Clone, Debug, Default)]
struct Live {
    running: bool,
    accepting: bool,
    ended: bool,
    restarts: u32,
    error: Option<String>,
    last_lines: VecDeque<String>,
}

impl Supervised {
    /// Begins to supervise; starts the process when `on`.
    pub(crate) fn start(config: Service, on: bool, changes: Changes) -> Arc<Self> {
        let wanted = watch::Sender::new(if on { Wanted::On } else { Wanted::Off });
        let service = Arc::new(Self { config, live: Mutex::default(), wanted, changes });
        let task = service.clone();
        tokio::spawn(async move {
            task.supervise().await;
            task.set(|live| live.ended = true);
        });
        service
    }

    /// `mail`, `dns`, …
    pub(crate) fn name(&self) -> &str {
        &self.config.name
    }

    /// Whether the process should run.
    pub(crate) fn is_on(&self) -> bool {
        *self.wanted.borrow() == Wanted::On
    }

    /// Whether it runs and all of it accepts, or it is off on purpose.
    pub(crate) fn is_settled(&self) -> bool {
        let live = self.live();
        !self.is_on() || (live.running && live.accepting)
    }

    /// Starts or stops the process, and waits until a stopped one has ended.
    pub(crate) async fn switch(&self, on: bool) {
        let wanted = if on { Wanted::On } else { Wanted::Off };
        let mut changed = self.changes.listen();
        self.wanted.send_if_modified(|have| {
            let differs = *have != wanted && *have != Wanted::End;
            if differs {
                *have = wanted;
            }
            differs
        });
        while !on && self.live().running {
            changed.changed().await;
        }
        self.changes.bump();
    }

    /// Stops the process for good; [`Supervised::has_ended`] tells when.
    pub(crate) fn end(&self) {
        self.wanted.send_replace(Wanted::End);
    }

    /// Whether the supervision is over.
    pub(crate) fn has_ended(&self) -> bool {
        self.live().ended
    }

    /// What is missing, in words; `None` when it is as it should be.
    pub(crate) fn waiting_for(&self) -> Option<String> {
        if self.is_settled() {
            return None;
        }
        let (live, name) = (self.live(), self.name());
        if !live.running {
            let why = live.error.unwrap_or_else(|| "it has not been started yet".into());
            return Some(format!("service {name} does not run: {why}"));
        }
        let listening = Listening::now();
        let silent = self.config.ports.iter().filter(|port| !listening.has(port));
        let silent: Vec<_> = silent.map(|p| format!("{} ({})", p.protocol, p.port)).collect();
        match silent.is_empty() {
            true => Some(format!("service {name} does not answer its status yet")),
            false => Some(format!("service {name} does not accept yet: {}", silent.join(", "))),
        }
    }

    /// How it is.
    pub(crate) async fn status(&self) -> ServiceStatus {
        let live = self.live();
        let switches = match live.running {
            true => self.switches().await.ok(),
            false => None,
        };
        let protocols = switches.unwrap_or_else(|| {
            let listening = Listening::now();
            let on = |port: &Port| live.running && listening.has(port);
            let mut switches: Vec<Switch> = Vec::new();
            for port in &self.config.ports {
                match switches.iter_mut().find(|s| s.protocol == port.protocol) {
                    Some(switch) => switch.on &= on(port),
                    None => {
                        switches.push(Switch { protocol: port.protocol.clone(), on: on(port) });
                    }
                }
            }
            switches
        });
        ServiceStatus {
            name: self.config.name.clone(),
            running: live.running,
            protocols,
            restarts: live.restarts,
            error: if live.running { None } else { live.error },
        }
    }

    /// Its protocols, as it says itself.
    pub(crate) async fn switches(&self) -> Result<Vec<Switch>, Error> {
        switches(&self.ask(&json!({"op": "status"})).await?)
    }

    /// Switches one protocol of it; the state of that protocol after.
    pub(crate) async fn switch_protocol(&self, protocol: &str, on: bool) -> Result<Switch, Error> {
        let request = json!({"op": "switch", "protocol": protocol, "on": on});
        let all = switches(&self.ask(&request).await?)?;
        self.changes.bump();
        find(&all, self.name(), protocol)
    }

    /// Puts a request to its admin socket and takes the answer.
    async fn ask(&self, request: &Value) -> Result<Value, Error> {
        let path = self.socket();
        let answer = node::admin::ask(&path, request, async |_| Ok(()));
        tokio::time::timeout(ADMIN_PATIENCE, answer).await.unwrap_or_else(|_| {
            let seconds = ADMIN_PATIENCE.as_secs();
            Err(Error::new(
                "service-silent",
                format!("the service {} did not answer within {seconds} s", self.name()),
            ))
        })
    }

    /// Its admin socket.
    pub(crate) fn socket(&self) -> PathBuf {
        Path::new(node::paths::RUN).join(format!("{}.sock", self.config.name))
    }

    fn live(&self) -> Live {
        self.live.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, change: impl FnOnce(&mut Live)) {
        change(&mut self.live.lock().unwrap_or_else(PoisonError::into_inner));
        self.changes.bump();
    }

    async fn supervise(self: &Arc<Self>) {
        let mut wanted = self.wanted.subscribe();
        let mut back_off = BACK_OFF.0;
        loop {
            let now = *wanted.borrow_and_update();
            match now {
                Wanted::End => return,
                Wanted::Off => {
                    back_off = BACK_OFF.0;
                    if wanted.changed().await.is_err() {
                        return;
                    }
                    continue;
                }
                Wanted::On => {}
            }
            let started = Instant::now();
            let crash = self.run(&mut wanted).await;
            let Some(why) = crash else { continue };
            if started.elapsed() >= STABLE {
                back_off = BACK_OFF.0;
            }
            log::line(self.name(), format_args!("{why}; started again in {back_off:?}"));
            self.set(|live| {
                live.restarts = live.restarts.saturating_add(1);
                live.error = Some(why);
            });
            // Switched off, it need not wait for its next start.
            let _ = tokio::time::timeout(back_off, wanted.changed()).await;
            back_off = (back_off * 2).min(BACK_OFF.1);
        }
    }

    /// Runs the process once: why it ended, or `None` when it was told to.
    async fn run(self: &Arc<Self>, wanted: &mut watch::Receiver<Wanted>) -> Option<String> {
        self.set(|live| live.last_lines.clear());
        let mut command = Command::new(program());
        command
            .arg0(&self.config.program)
            .arg("--config")
            .arg(files::place(&self.config.config))
            .env("NOTIFY_SOCKET", notify_socket())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut process = match Own::spawn(&mut command) {
            Ok(process) => process,
            Err(error) => {
                return Some(format!("{} cannot be started: {error}", self.config.program));
            }
        };
        self.set(|live| live.running = true);
        let out = tokio::spawn(self.clone().copy(process.child.stdout.take()));
        let err = tokio::spawn(self.clone().copy(process.child.stderr.take()));
        let watching = tokio::spawn(self.clone().watch_ports());
        let told = tokio::select! {
            _ = process.child.wait() => false,
            _ = wanted.wait_for(|wanted| *wanted != Wanted::On) => true,
        };
        if told {
            process.signal(Signal::SIGTERM);
            if tokio::time::timeout(GRACE, process.child.wait()).await.is_err() {
                process.signal(Signal::SIGKILL);
            }
        }
        watching.abort();
        let status = process.child.wait().await;
        // What it left running would hold its pipes, and its ports, for ever.
        process.signal_group(Signal::SIGKILL);
        let _ = tokio::time::timeout(GRACE, async { tokio::join!(out, err) }).await;
        let last = self.live().last_lines.back().cloned();
        self.set(|live| (live.running, live.accepting) = (false, false));
        if told {
            self.set(|live| live.error = None);
            return None;
        }
        let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        Some(match last {
            Some(line) => format!("it ended ({how}): {line}"),
            None => format!("it ended ({how}) without a word"),
        })
    }

    /// Copies the service's lines to the node's log.
    async fn copy(self: Arc<Self>, pipe: Option<impl AsyncRead + Unpin>) {
        let Some(pipe) = pipe else { return };
        let mut pipe = BufReader::new(pipe);
        loop {
            let mut line = Vec::new();
            match (&mut pipe).take(MAX_LINE).read_until(b'\n', &mut line).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            log::line(self.name(), &line);
            let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
            if live.last_lines.len() == KEPT_LINES {
                live.last_lines.pop_front();
            }
            live.last_lines.push_back(line);
        }
    }

    /// Looks until all that is switched on accepts.
    async fn watch_ports(self: Arc<Self>) {
        let mut pause = LOOK.0;
        let mut changed = self.changes.listen();
        loop {
            // A silent port is in order when its protocol is switched off, which only the service
            // knows; and one that answers nobody yet is not ready whatever its ports do.
            if self.socket().exists()
                && let Ok(switches) = self.switches().await
            {
                let listening = Listening::now();
                let mut silent = self.config.ports.iter().filter(|port| !listening.has(port));
                let off = |port: &Port| {
                    switches.iter().any(|switch| switch.protocol == port.protocol && !switch.on)
                };
                if silent.all(off) {
                    self.set(|live| live.accepting = true);
                    return;
                }
            }
            // Something has happened, such as a service's word, or some time has gone by.
            if tokio::time::timeout(pause, changed.changed()).await.is_err() {
                pause = (pause * 3 / 2).min(LOOK.1);
            }
        }
    }
}

/// Where services say that they are ready, as sd_notify(3) does. The word itself does not count: it
/// only says when to look.
fn notify_socket() -> PathBuf {
    Path::new(node::paths::RUN).join("notify.sock")
}

/// Has whoever waits for a service look again each time that one says something.
pub(crate) fn hear_services(changes: Changes) -> std::io::Result<()> {
    let path = notify_socket();
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let socket = tokio::net::UnixDatagram::bind(path)?;
    tokio::spawn(async move {
        let mut word = [0; 64];
        while socket.recv(&mut word).await.is_ok() {
            changes.bump();
        }
    });
    Ok(())
}

/// The program of the node; this very one where a test has no `/bin/labctl`.
fn program() -> PathBuf {
    let path = Path::new(node::paths::PROGRAM);
    match path.exists() {
        true => path.into(),
        false => std::env::current_exe().unwrap_or_else(|_| path.into()),
    }
}

/// The protocols in a service's answer to `status` or `switch`.
fn switches(answer: &Value) -> Result<Vec<Switch>, Error> {
    let protocols = answer.get("protocols").cloned().unwrap_or_default();
    serde_json::from_value(protocols).map_err(|error| {
        Error::new("bad-reply", format!("the service's status is not understood: {error}"))
    })
}

/// One protocol among a service's.
pub(crate) fn find(all: &[Switch], service: &str, protocol: &str) -> Result<Switch, Error> {
    all.iter().find(|switch| switch.protocol == protocol).cloned().ok_or_else(|| {
        let names: Vec<_> = all.iter().map(|switch| switch.protocol.as_str()).collect();
        Error::new("no-such-protocol", format!("the service {service} has no protocol {protocol}"))
            .help(format!("it has: {}", names.join(", ")))
    })
}
