//! The agent's life: set up, serve, end.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use net::{Change, Monitor, Netlink};
use node::Config;
use node::config::{Port, Service, Transport};
use tokio::net::UnixListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;

use crate::changes::Changes;
use crate::control::Control;
use crate::router::{self, Router};
use crate::services::Supervised;
use crate::state::Kept;
use crate::{dhcp, files, firewall, log, reaper, services};

/// What the node needs at the least and does not get.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the control socket {path} cannot be opened: {source}", path = node::paths::AGENT_SOCKET)]
    Socket { source: std::io::Error },
    #[error("signals cannot be received: {0}")]
    Signal(std::io::Error),
    #[error("the router's configuration is not understood: {0}")]
    Router(serde_json::Error),
    #[error(transparent)]
    Net(#[from] net::Error),
}

/// What all parts of the agent share.
#[derive(Debug)]
pub(crate) struct Agent {
    pub(crate) config: Config,
    pub(crate) net: Netlink,
    pub(crate) kept: Kept,
    pub(crate) changes: Changes,
    pub(crate) services: Vec<Arc<Supervised>>,
    /// The router's part, where the node is one.
    pub(crate) router: Option<Router>,
    /// DHCP leases.
    pub(crate) leases: dhcp::Clients,
    /// Whether each interface's cable was in when it was last heard of.
    carriers: Mutex<BTreeMap<String, bool>>,
    /// Held while interfaces, addresses and routes are changed.
    pub(crate) changing: tokio::sync::Mutex<()>,
    pub(crate) started: Instant,
    set_up: AtomicBool,
    problems: Mutex<Vec<String>>,
}

impl Agent {
    /// Whether the node has been set up once.
    pub(crate) fn is_set_up(&self) -> bool {
        self.set_up.load(Ordering::Relaxed)
    }

    /// What failed for good, in words.
    pub(crate) fn problems(&self) -> Vec<String> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes and logs what failed for good: the node never gets ready.
    pub(crate) fn problem(&self, what: impl ToString) {
        let what = what.to_string();
        log::say(&what);
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).push(what);
        self.changes.bump();
    }

    /// The service of that name.
    pub(crate) fn service(&self, name: &str) -> Option<&Arc<Supervised>> {
        self.services.iter().find(|service| service.name() == name)
    }

    /// Whether that service's process should run: as it was left, else as the lab has it.
    pub(crate) fn should_run(&self, name: &str) -> bool {
        let asked = self.kept.get().services.get(name).copied();
        let written = || self.config.services.iter().any(|s| s.name == name && s.enabled);
        let typed = || {
            let router = self.router.as_ref().filter(|router| router.has_other_dhcp());
            router.filter(|_| name == router::dhcp::SERVICE).map(|router| router.serves_dhcp())
        };
        asked.or_else(typed).unwrap_or_else(written)
    }

    async fn set_up(self: &Arc<Self>) {
        for failed in files::write_all(&self.config) {
            self.problem(failed);
        }
        files::name(&self.config);
        self.tell_programs();
        self.set_up_firewall();
        // Where the lab has no such service, the file there is the console's of before a restart.
        let written = self.config.services.iter().any(|own| own.name == router::dhcp::SERVICE);
        if let Some(router) = self.router.as_ref().filter(|_| written) {
            router.read_dhcp(&files::place(router::dhcp::FILE));
        }
        if let Err(error) = self.set_up_network().await {
            self.problem(error);
        }
        for service in &self.services {
            if self.should_run(service.name()) {
                service.switch(true).await;
            }
        }
        self.set_up.store(true, Ordering::Relaxed);
        self.changes.bump();
        log::say(format_args!(
            "{} {} is set up after {:.0?}",
            format!("{:?}", self.config.kind).to_lowercase(),
            self.config.node,
            self.started.elapsed()
        ));
    }

    /// Sets up interfaces, routes and, on a router, all that its configuration says.
    pub(crate) async fn set_up_network(self: &Arc<Self>) -> net::Result<()> {
        self.set_up_links().await?;
        if let Some(router) = &self.router {
            self.set_up_router(router).await?;
            if router.has_other_dhcp() {
                self.serve_dhcp(router, &router.config()).await;
            }
        }
        Ok(())
    }

    /// Tells those whom it concerns that a cable came or went.
    fn carrier(&self, name: &str, on: bool) {
        let mut carriers = self.carriers.lock().unwrap_or_else(PoisonError::into_inner);
        let before = carriers.insert(name.to_owned(), on);
        let link = self.config.links.iter().find(|link| link.name == name);
        if let Some(link) = link.filter(|_| before.is_some_and(|before| before != on)) {
            self.leases.carrier(&link.network, on);
            if let Some(router) = &self.router {
                router.carrier(name, on);
            }
        }
    }

    /// Before any link is up.
    fn set_up_firewall(&self) {
        if self.config.firewall.is_empty() {
            return;
        }
        match firewall::table(&self.config.firewall) {
            Ok(table) => {
                if let Err(error) = net::nft::replace(&table) {
                    self.problem(error);
                }
            }
            Err(invalid) => self.problem(invalid),
        }
    }

    /// Ends the services; waits for them no longer than they have.
    async fn end(&self) {
        let mut changed = self.changes.listen();
        for service in &self.services {
            service.end();
        }
        let ended = async {
            while !self.services.iter().all(|service| service.has_ended()) {
                changed.changed().await;
            }
        };
        let patience = services::GRACE + Duration::from_millis(200);
        let _ = tokio::time::timeout(patience, ended).await;
        self.leave_the_network().await;
    }

    /// Takes the interfaces down: the namespace outlives process 1 by a moment, and in it the
    /// kernel would go on answering pings of a node that is said to be stopped.
    async fn leave_the_network(&self) {
        let leaving = async {
            for link in self.net.links().await.unwrap_or_default() {
                let _ = self.net.down(link.index).await;
            }
        };
        let _ = tokio::time::timeout(Duration::from_millis(200), leaving).await;
    }
}

/// Runs the agent until SIGTERM or SIGINT.
pub(crate) async fn run(config: Config) -> Result<(), Error> {
    let started = Instant::now();
    let mut end = end_signal()?;
    let orphans = signal(SignalKind::child()).map_err(Error::Signal)?;
    tokio::spawn(bury_orphans(orphans));
    let socket = Path::new(node::paths::AGENT_SOCKET);
    let listener = node::admin::bind(socket).map_err(|source| Error::Socket { source })?;
    let changes = Changes::default();
    if let Err(error) = services::hear_services(changes.clone()) {
        log::say(format_args!("services are looked at from time to time only: {error}"));
    }
    let kept = Kept::load(Path::new(node::paths::STATE).join("agent/state.json"));
    let written = config.router.clone();
    let router = written.map(|written| Router::new(written, kept.get().router)).transpose();
    let router = router.map_err(Error::Router)?;
    let mut services = config.services.clone();
    if router.is_some() && !services.iter().any(|s| s.name == router::dhcp::SERVICE) {
        // Its console may make it a DHCP server at any time.
        services.push(router_dhcp());
    }
    let start = |service| Supervised::start(service, false, changes.clone());
    let services: Vec<_> = services.into_iter().map(start).collect();
    let agent = Arc::new(Agent {
        services,
        router,
        net: Netlink::open()?,
        kept,
        leases: dhcp::Clients::default(),
        carriers: Mutex::default(),
        changing: tokio::sync::Mutex::default(),
        set_up: AtomicBool::new(false),
        problems: Mutex::default(),
        config,
        changes,
        started,
    });
    tokio::spawn(tell_changes(Monitor::open()?, agent.clone()));
    tokio::spawn(serve(listener, agent.clone()));
    let setting_up = tokio::spawn({
        let agent = agent.clone();
        async move { agent.set_up().await }
    });
    end.wait().await;
    setting_up.abort();
    agent.end().await;
    let _ = std::fs::remove_file(socket);
    Ok(())
}

/// The DHCP service of a router that the lab has given none.
fn router_dhcp() -> Service {
    let port = Port { protocol: "dhcp".into(), transport: Transport::Udp, port: 67 };
    Service {
        name: router::dhcp::SERVICE.into(),
        program: router::dhcp::PROGRAM.into(),
        config: router::dhcp::FILE.into(),
        enabled: false,
        ports: vec![port],
    }
}

/// Connections at once; with one more the oldest ends. Any process of the node can connect and say
/// nothing, and each connection is memory and a descriptor of process 1.
const CONNECTIONS: usize = 64;

async fn serve(listener: UnixListener, agent: Arc<Agent>) {
    let control = Arc::new(Control(agent));
    let mut open: VecDeque<JoinHandle<()>> = VecDeque::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                open.retain(|connection| !connection.is_finished());
                if open.len() >= CONNECTIONS
                    && let Some(oldest) = open.pop_front()
                {
                    oldest.abort();
                }
                open.push_back(tokio::spawn(node::server::serve(stream, control.clone())));
            }
            // Out of descriptors: let the ones in use end before the next try.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

async fn tell_changes(mut monitor: Monitor, agent: Arc<Agent>) {
    while let Some(change) = monitor.next().await {
        match &change {
            Change::Link(link) => agent.carrier(&link.name, link.carrier),
            Change::LinkGone(gone) => {
                let lost = agent.config.links.iter().find(|link| link.name == gone.name);
                if let Some(lost) = lost.filter(|_| agent.is_set_up()).cloned() {
                    let agent = agent.clone();
                    tokio::spawn(async move { agent.take_back(&lost).await });
                }
            }
            _ => {}
        }
        agent.changes.bump();
    }
    agent.problem("the kernel does not tell of changes any more");
}

async fn bury_orphans(mut ended: Signal) {
    loop {
        reaper::bury();
        if ended.recv().await.is_none() {
            return;
        }
    }
}

/// SIGTERM and SIGINT.
struct End {
    terminate: Signal,
    interrupt: Signal,
}

fn end_signal() -> Result<End, Error> {
    Ok(End {
        terminate: signal(SignalKind::terminate()).map_err(Error::Signal)?,
        interrupt: signal(SignalKind::interrupt()).map_err(Error::Signal)?,
    })
}

impl End {
    async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
