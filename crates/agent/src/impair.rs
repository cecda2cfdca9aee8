//! Bad links: frames lost, a low rate, a delay.

use net::nft::{self, Action, Chain, Family, Hook, Match, Rule, Table};
use node::config::Link;
use node::request::Error;

use crate::agent::Agent;
use crate::control::refused;
use crate::log;
use crate::state::Impairment;

impl Impairment {
    /// Whether the link is good.
    fn is_none(&self) -> bool {
        *self == Self::default()
    }

    fn check(&self) -> Result<(), Error> {
        match self.loss {
            Some(loss) if !(0.0..=1.0).contains(&loss) => {
                Err(Error::new("bad-request", format!("a loss of {loss} is not from 0 to 1")))
            }
            _ => Ok(()),
        }
    }

    /// What the link drops, in both directions.
    fn table(&self, link: &Link) -> Table {
        let mut rules = Vec::new();
        let mut rule = |id: &str, condition| {
            rules.push(Rule { id: id.into(), matches: vec![condition], action: Action::Drop });
        };
        if let Some(loss) = self.loss.filter(|loss| *loss > 0.0) {
            rule("loss", Match::Chance((loss * 1_000_000.0).round() as u32));
        }
        if let Some(rate) = self.rate_bps {
            rule("rate", Match::Above((rate / 8).max(1)));
        }
        let device = || link.name.clone();
        let chain =
            |name: &str, hook| Chain { name: name.into(), hook: Some(hook), rules: rules.clone() };
        let chains =
            vec![chain("in", Hook::Ingress(device())), chain("out", Hook::Egress(device()))];
        Table { family: Family::Netdev, name: table_name(link), chains }
    }
}

fn table_name(link: &Link) -> String {
    format!("impair-{}", link.name)
}

impl Agent {
    /// Makes a link bad, or good again, and keeps that.
    pub(crate) async fn impair(&self, link: &Link, bad: Impairment) -> Result<(), Error> {
        bad.check()?;
        let _changing = self.changing.lock().await;
        self.set_impairment(link, bad).await?;
        self.kept.change(|state| match bad.is_none() {
            true => state.impaired.remove(&link.network),
            false => state.impaired.insert(link.network.clone(), bad),
        });
        Ok(())
    }

    /// Makes links as bad as they were before the node restarted.
    pub(crate) async fn impair_again(&self) {
        for (network, bad) in self.kept.get().impaired {
            let Ok(link) = self.link_to(&network) else { continue };
            if let Err(error) = self.set_impairment(link, bad).await {
                log::say(error);
            }
        }
    }

    async fn set_impairment(&self, link: &Link, bad: Impairment) -> Result<(), Error> {
        let index = self.net.link(&link.name).await.map_err(refused)?.index;
        // The delay first: it is what a kernel may lack, and then nothing has been changed.
        if let Err(error) = net::set_delay(index, bad.delay_ms)
            && bad.delay_ms.is_some()
        {
            let lacking = error.is_unsupported();
            let error = refused(error);
            return Err(match lacking {
                true => {
                    error.help("this kernel has no netem (module sch_netem): loss and rate work")
                }
                false => error,
            });
        }
        let changed = match bad.loss.is_none() && bad.rate_bps.is_none() {
            true => nft::remove(Family::Netdev, &table_name(link)),
            false => nft::replace(&bad.table(link)),
        };
        changed.map_err(filter_refused)
    }
}

/// What the packet filter refused, and which kernel modules it may lack.
pub(crate) fn filter_refused(error: net::Error) -> Error {
    let lacking = error.is_unsupported();
    let error = refused(error);
    match lacking {
        true => error
            .help("the kernel needs nf_tables with its netdev, numgen, limit, ct and nat parts"),
        false => error,
    }
}
