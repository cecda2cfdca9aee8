//! Faults for lessons: they strike at a stage, for one account or for everybody.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::config::{Fault, Stage};
use crate::directory::Directory;

/// What a fault does now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strike {
    /// Wait first.
    pub delay: Duration,
    /// Then say this instead of the true reply.
    pub reply: Option<String>,
    /// Then close the connection.
    pub drop: bool,
}

/// Counts how often the faults with `times` have struck.
#[derive(Default)]
pub struct Faults {
    struck: Mutex<HashMap<String, u32>>,
}

impl Faults {
    /// Whether a fault strikes at this stage. `account` is whom the stage is about: the user who
    /// logs in or fetches, the recipient, the sender.
    pub fn strike(
        &self,
        directory: &Directory,
        stage: Stage,
        account: Option<&str>,
    ) -> Option<Strike> {
        let data = directory.data();
        let own = account
            .and_then(|user| data.account_name(user))
            .and_then(|name| data.accounts.get(&name).map(|entry| (name, entry)));
        let of_account = own.iter().flat_map(|(name, entry)| {
            entry.faults.iter().enumerate().map(move |(at, fault)| (format!("{name}/{at}"), fault))
        });
        let of_all = data.faults.iter().enumerate().map(|(at, fault)| (format!("*/{at}"), fault));
        of_account
            .chain(of_all)
            .filter(|(_, fault)| fault.stage == stage)
            .find(|(key, fault)| self.happens(key, fault, rand::random()))
            .map(|(_, fault)| Strike {
                delay: Duration::from_millis(fault.delay_ms),
                reply: fault.reply.clone(),
                drop: fault.drop,
            })
    }

    fn happens(&self, key: &str, fault: &Fault, dice: f64) -> bool {
        if dice >= fault.probability {
            return false;
        }
        let Some(times) = fault.times else { return true };
        let mut struck = self.struck.lock().unwrap_or_else(PoisonError::into_inner);
        let count = struck.entry(key.to_owned()).or_default();
        *count += 1;
        *count <= times
    }

    /// Counts from zero again, after faults were changed.
    pub fn reset(&self) {
        self.struck.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// The response code of IMAP (RFC 5530) that comes nearest to a reply of SMTP.
pub fn imap_code(reply: &str) -> &'static str {
    if lasting(reply) { "[CONTACTADMIN]" } else { "[UNAVAILABLE]" }
}

/// The response code of POP3 (RFC 3206) that comes nearest to a reply of SMTP.
pub fn pop3_code(reply: &str) -> &'static str {
    if lasting(reply) { "[SYS/PERM]" } else { "[SYS/TEMP]" }
}

fn lasting(reply: &str) -> bool {
    reply.starts_with('5')
}

/// The fault that a local part names (as mox's localserve has them): `451`, `550`, `temperror`,
/// `permerror`, `drop`, `delay5` (seconds).
pub fn by_address(local: &str) -> Option<Strike> {
    let strike = |reply: Option<String>, delay: u64, drop: bool| {
        Some(Strike { delay: Duration::from_secs(delay), reply, drop })
    };
    let local = local.to_ascii_lowercase();
    if local.len() == 3
        && let Ok(code @ 400..=599) = local.parse::<u16>()
    {
        return strike(Some(format!("{code} {}.0.0 as this address says", code / 100)), 0, false);
    }
    match local.as_str() {
        "temperror" => strike(Some("451 4.3.0 as this address says".into()), 0, false),
        "permerror" => strike(Some("550 5.0.0 as this address says".into()), 0, false),
        "drop" => strike(None, 0, true),
        local => {
            let seconds: u64 = local.strip_prefix("delay")?.parse().ok()?;
            strike(None, seconds.min(600), false)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Account, Config};

    #[test]
    fn faults_strike_their_account_at_their_stage_so_many_times() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::new("a.test", folder.path());
        let mut account = Account::with_password("pw");
        account.faults.push(Fault {
            stage: Stage::Rcpt,
            reply: Some("451 4.3.0 later".into()),
            delay_ms: 0,
            drop: false,
            probability: 1.0,
            times: Some(2),
        });
        config.accounts.insert("u1".into(), account);
        config.accounts.insert("u2".into(), Account::with_password("pw"));
        let directory = Directory::load(&config).unwrap();
        let faults = Faults::default();
        let strikes = |stage, user| faults.strike(&directory, stage, Some(user)).is_some();
        assert!(!strikes(Stage::Data, "u1") && !strikes(Stage::Rcpt, "u2"));
        let seen: Vec<bool> = (0..4).map(|_| strikes(Stage::Rcpt, "U1@a.test")).collect();
        assert_eq!(seen, [true, true, false, false]);
    }

    #[test]
    fn addresses_name_their_fault() {
        assert_eq!(by_address("451").unwrap().reply.unwrap(), "451 4.0.0 as this address says");
        assert!(by_address("drop").unwrap().drop);
        assert_eq!(by_address("delay5").unwrap().delay, Duration::from_secs(5));
        assert_eq!(by_address("client1"), None);
        assert_eq!(by_address("700"), None);
    }
}
