//! Mail servers, accounts, and the settings of mail programs.

use node::config::{Fetch, MailClient, Security};

use super::Builder;
use crate::check;
use crate::file::{FetchBy, MailProtocol};
use crate::plan::{Account, Mail, Protocol};

impl Builder<'_> {
    pub(super) fn mail(&mut self) {
        for at in 0..self.plan.nodes.len() {
            let name = self.plan.nodes[at].name.clone();
            let Some(said) = self.services(at).and_then(|services| services.mail.clone()) else {
                continue;
            };
            let domains: Vec<_> = said.domain.iter().chain(&said.domains).cloned().collect();
            let Some(first) = domains.first().map(|domain| domain.name.clone()) else { continue };
            for (user, account) in said.accounts.iter() {
                let address =
                    if user.contains('@') { user.clone() } else { format!("{user}@{first}") };
                self.plan.accounts.push(Account {
                    address,
                    user: user.clone(),
                    password: account.password.clone().unwrap_or_default(),
                    node: name.clone(),
                });
            }
            let protocols = MailProtocol::ALL
                .into_iter()
                .map(|protocol| Protocol {
                    protocol,
                    port: said.ports.get(protocol.word()).copied().unwrap_or(protocol.port()),
                    on: !said.off.contains(&protocol),
                })
                .collect();
            self.plan.nodes[at].services.mail = Some(Mail {
                enabled: said.enabled,
                hostname: said.hostname.clone().unwrap_or(first),
                domains,
                protocols,
                settings: said,
            });
        }
        for at in 0..self.plan.nodes.len() {
            let Some(said) = self.file.nodes.0.get(at).and_then(|(_, n)| n.mail.clone()) else {
                continue;
            };
            let (user, domain) = said.address.split_once('@').unwrap_or((&said.address, ""));
            let account = self.plan.account(&said.address);
            self.plan.nodes[at].mail = Some(MailClient {
                name: said.name.clone().unwrap_or_else(|| user.to_owned()),
                user: said
                    .user
                    .clone()
                    .unwrap_or_else(|| account.map_or_else(|| user.to_owned(), |a| a.user.clone())),
                password: said
                    .password
                    .clone()
                    .unwrap_or_else(|| account.map(|a| a.password.clone()).unwrap_or_default()),
                outgoing: said.outgoing.clone().unwrap_or_else(|| domain.to_owned()),
                incoming: said.incoming.clone().unwrap_or_else(|| domain.to_owned()),
                address: said.address.clone(),
                security: match said.security {
                    None | Some(check::Security::Plain) => Security::Plain,
                    Some(check::Security::Starttls) => Security::Starttls,
                    Some(check::Security::Tls) => Security::Tls,
                },
                fetch: match said.fetch {
                    None | Some(FetchBy::Pop3) => Fetch::Pop3,
                    Some(FetchBy::Imap) => Fetch::Imap,
                },
            });
        }
    }
}
