//! Port, banner, login, reply, mailbox: the service at the end of the way.

use probes::{Layer, Probe, port};

use super::{Broken, Step, Walk};
use crate::trial::Failure;

impl Walk<'_, '_> {
    /// What is left when the way is in order.
    pub async fn service(&mut self, failure: &Failure) -> Step {
        if let (Some((number, udp)), Some(target)) = (self.needs.port, self.needs.target.clone()) {
            self.port(&target, number, udp).await?;
        }
        let asker = self.needs.asker.clone();
        if failure.layer == Some(Layer::Login) {
            return Err(self.login(&asker, failure).await);
        }
        Ok(())
    }

    async fn port(&mut self, target: &str, number: u16, udp: bool) -> Step {
        let asker = self.needs.asker.clone();
        let Ok(address) = self.world.target(&asker, target).await else { return Ok(()) };
        let transport =
            if udp { node::config::Transport::Udp } else { node::config::Transport::Tcp };
        let request = port::Request {
            to: address.host,
            port: number,
            transport,
            timeout_ms: 1500,
            ..port::Request::default()
        };
        let Ok(outcome) = self.world.probe::<port::Outcome>(&asker, Probe::Port(request)).await
        else {
            return Ok(());
        };
        let word = if udp { "udp" } else { "tcp" };
        let what = format!("port {word}/{number} of {target} ({})", outcome.address);
        let state = self.switch(target, number).await;
        match outcome.state {
            port::State::Open => {
                self.fine(Layer::Port, format!("{what} is open"));
                Ok(())
            }
            port::State::Refused => {
                let broken = match state {
                    Some((service, false)) => Broken::new(
                        Layer::Port,
                        format!("{what} refuses: the service {service} of {target} is off"),
                    )
                    .help(format!("`labctl service {target} {service} on`")),
                    _ => Broken::new(
                        Layer::Port,
                        format!("{what} refuses: no service listens there"),
                    )
                    .help(format!("start the service on {target}, or use the right port")),
                };
                Err(broken.evidence(outcome.detail))
            }
            // A datagram that gets no answer proves nothing about the port.
            port::State::Silent if udp => Ok(()),
            port::State::Silent => {
                let mut broken = Broken::new(
                    Layer::Port,
                    format!("{what} does not answer: a packet filter (firewall) drops the packets"),
                )
                .help(format!("allow {word}/{number} on {target} and on the routers between"));
                if let Some((service, true)) = state {
                    broken =
                        broken.evidence(format!("the service {service} of {target} itself is on"));
                }
                Err(broken)
            }
            port::State::Unreachable => {
                Err(Broken::new(Layer::Route, format!("{what} cannot be reached"))
                    .evidence(outcome.detail))
            }
            port::State::Prohibited => {
                Err(Broken::new(Layer::Port, format!("{what} is forbidden by a packet filter"))
                    .evidence(outcome.detail))
            }
        }
    }

    /// The service behind a port, as `SERVICE.PROTOCOL`, and whether it is on.
    async fn switch(&self, target: &str, number: u16) -> Option<(String, bool)> {
        let protocol = match number {
            25 => "smtp",
            465 => "submissions",
            587 => "submission",
            110 => "pop3",
            995 => "pop3s",
            143 => "imap",
            993 => "imaps",
            53 => "dns",
            67 => "dhcp",
            80 => "http",
            443 => "https",
            _ => return None,
        };
        let status = self.world.status(target).await.ok()?;
        for service in &status.services {
            if !service.running && service.protocols.is_empty() {
                let own = matches!(
                    (service.name.as_str(), number),
                    ("mail", 25 | 465 | 587 | 110 | 995 | 143 | 993)
                        | ("dns", 53)
                        | ("dhcp", 67)
                        | ("web", 80 | 443)
                );
                if own {
                    return Some((service.name.clone(), false));
                }
            }
            if let Some(found) = service.protocols.iter().find(|known| known.protocol == protocol) {
                let name = format!("{}.{protocol}", service.name);
                return Some((name, found.on && service.running));
            }
        }
        None
    }

    /// A login that was refused: the password, or the user, without telling either.
    async fn login(&self, asker: &str, failure: &Failure) -> Broken {
        let mut broken = Broken::new(Layer::Login, failure.message.clone());
        let plan = self.world.plan;
        let wanted = plan.node(asker).and_then(|node| node.mail.as_ref());
        let seen = self.world.facts(asker).await.ok().and_then(|facts| facts.mail);
        if let (Some(wanted), Some(seen)) = (wanted, seen) {
            let account = plan.account(&wanted.address);
            let right = account.map_or(&wanted.password, |account| &account.password);
            if !seen.user.eq_ignore_ascii_case(&wanted.user) {
                broken.says = format!(
                    "{asker}'s mail program has the wrong user name: {}, and should have {}",
                    seen.user, wanted.user
                );
                broken = broken.help("correct the user name in the mail program");
            } else if seen.password != *right {
                broken.says =
                    format!("{asker}'s mail program has the wrong password for {}", seen.user);
                broken = broken.help("the password must be the one of the account on the server");
            } else {
                broken = broken.help(format!(
                    "user and password are those of the lab: look at the account {} on the server",
                    wanted.address
                ));
            }
        }
        broken
    }
}
