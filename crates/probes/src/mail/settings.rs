//! Requests out of a node's own mail settings.

use super::types::{Fetch, Login, Protocol, Security, Send, Server};
use crate::MailSettings;

impl MailSettings {
    /// The server that mail is handed to.
    pub fn outgoing_server(&self) -> Server {
        Server { host: self.outgoing.clone(), security: self.security, ..Server::default() }
    }

    /// The server that mail is fetched from.
    pub fn incoming_server(&self) -> Server {
        Server { host: self.incoming.clone(), security: self.security, ..Server::default() }
    }

    /// Sends as this node's user. Plain connections do not log in, as the sheets have it; under
    /// TLS the server expects it.
    pub fn send(&self, to: &[String], subject: &str, body: &str) -> Send {
        let login =
            (self.security != Security::Plain).then(|| (self.user.clone(), self.password.clone()));
        Send {
            server: self.outgoing_server(),
            login,
            from: self.address.clone(),
            from_name: Some(self.name.clone()).filter(|name| !name.is_empty()),
            to: to.to_vec(),
            subject: subject.to_owned(),
            body: body.to_owned(),
            timeout_ms: 10_000,
            ..Send::default()
        }
    }

    /// Fetches this node's mail.
    pub fn fetch(&self, protocol: Option<Protocol>) -> Fetch {
        Fetch {
            protocol: protocol.unwrap_or(self.fetch),
            server: self.incoming_server(),
            user: self.user.clone(),
            password: self.password.clone(),
            timeout_ms: 10_000,
            ..Fetch::default()
        }
    }

    /// Logs in as this node's user.
    pub fn login(&self, protocol: Protocol) -> Login {
        let server = match protocol {
            Protocol::Smtp => self.outgoing_server(),
            Protocol::Pop3 | Protocol::Imap => self.incoming_server(),
        };
        Login {
            protocol,
            server,
            user: self.user.clone(),
            password: self.password.clone(),
            timeout_ms: 10_000,
        }
    }
}
