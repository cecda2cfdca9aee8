//! From the address in RCPT TO to mailboxes and addresses elsewhere.

use std::collections::BTreeSet;

use super::Data;
use crate::address::Address;
use crate::config::ListFrom;

/// Aliases of aliases of aliases …
const MAX_DEPTH: usize = 10;

/// What an address is for this server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// An own domain and a known name: here is where its mail goes.
    Own(Expansion),
    /// An own domain, but nobody of that name.
    Unknown,
    /// A list that this sender may not write to.
    NotAllowed,
    /// Another domain.
    Elsewhere,
}

/// Where mail goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expansion {
    /// Accounts that keep it.
    pub boxes: BTreeSet<String>,
    /// Accounts that were reached, also those that only forward: they answer automatically.
    pub reached: BTreeSet<String>,
    /// Addresses on other servers.
    pub elsewhere: BTreeSet<String>,
    /// The list it went through.
    pub list: Option<String>,
}

/// Who sends, for lists that not everybody may write to.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    /// MAIL FROM.
    pub address: &'a str,
    /// Whether the user has logged in.
    pub authenticated: bool,
}

impl Data {
    /// Finds out where mail to `address` goes.
    pub fn expand(&self, address: &Address, sender: Sender<'_>) -> Verdict {
        let mut address = address.clone();
        if address.domain.is_empty() {
            // `<postmaster>` (RFC 5321, 4.5.1).
            address.domain = self.domains.first().map(|d| d.name.clone()).unwrap_or_default();
        }
        if self.own_domain(&address.domain).is_none() {
            return Verdict::Elsewhere;
        }
        let mut expansion = Expansion::default();
        match self.follow(&address, sender, &mut expansion, &mut BTreeSet::new(), 0) {
            Followed::Known => Verdict::Own(expansion),
            Followed::Unknown => Verdict::Unknown,
            Followed::NotAllowed => Verdict::NotAllowed,
        }
    }

    fn follow(
        &self,
        address: &Address,
        sender: Sender<'_>,
        into: &mut Expansion,
        seen: &mut BTreeSet<String>,
        depth: usize,
    ) -> Followed {
        let Some(domain) = self.own_domain(&address.domain) else {
            into.elsewhere.insert(address.to_string());
            return Followed::Known;
        };
        let own = Address { local: address.local.to_lowercase(), domain: domain.name.clone() };
        let key = own.key();
        if depth > MAX_DEPTH || !seen.insert(key.clone()) {
            // A circle: whoever is in it has been reached.
            return Followed::Known;
        }
        if let Some(list) = self.lists.get(&key) {
            let member = || list.members.iter().any(|m| self.same(m, sender.address));
            let allowed = match list.from {
                ListFrom::Anyone => true,
                ListFrom::Users => sender.authenticated,
                ListFrom::Members => member(),
            };
            if !allowed {
                return Followed::NotAllowed;
            }
            into.list.get_or_insert(key);
            self.follow_all(&list.members, sender, into, seen, depth);
            return Followed::Known;
        }
        if let Some(targets) = self.aliases.get(&key) {
            self.follow_all(targets, sender, into, seen, depth);
            return Followed::Known;
        }
        if let Some(entry) = self.accounts.get(&key) {
            into.reached.insert(key.clone());
            if entry.keep || entry.forward.is_empty() {
                into.boxes.insert(key);
            }
            self.follow_all(&entry.forward, sender, into, seen, depth);
            return Followed::Known;
        }
        if let Some(plus) = self.policy.plus
            && let Some((name, _)) = own.local.split_once(plus)
            && !name.is_empty()
        {
            let plain = Address { local: name.to_owned(), domain: own.domain.clone() };
            if self.is_taken(&plain.key()) {
                return self.follow(&plain, sender, into, seen, depth + 1);
            }
        }
        if let Some(target) = &domain.catch_all {
            self.follow_all(std::slice::from_ref(target), sender, into, seen, depth);
            return Followed::Known;
        }
        if own.local == "postmaster" {
            // Must be accepted (RFC 5321, 4.5.1): a mailbox that the admin socket shows.
            into.boxes.insert(key);
            return Followed::Known;
        }
        Followed::Unknown
    }

    fn follow_all(
        &self,
        targets: &[String],
        sender: Sender<'_>,
        into: &mut Expansion,
        seen: &mut BTreeSet<String>,
        depth: usize,
    ) {
        for target in targets {
            let Ok(mut address) = Address::parse(target, true) else { continue };
            if address.domain.is_empty() {
                address.domain = self.domains.first().map(|d| d.name.clone()).unwrap_or_default();
            }
            self.follow(&address, sender, into, seen, depth + 1);
        }
    }

    fn same(&self, member: &str, address: &str) -> bool {
        let key = |text: &str| self.complete(text).unwrap_or_else(|_| text.to_lowercase());
        key(member) == key(address)
    }
}

enum Followed {
    Known,
    Unknown,
    NotAllowed,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::directory::from_config;

    const ANYBODY: Sender<'_> = Sender { address: "x@out.test", authenticated: false };

    fn data() -> Data {
        let config = Config::parse(
            r#"
hostname: mx.a.test
domains: [ { name: a.test, aliases: [b.test] }, { name: c.test, catch_all: u1@a.test } ]
accounts:
  u1: { }
  u2: { forward: [u1, x@far.test], keep: false }
  "u3@c.test": { forward: [u3@c.test] }
aliases: { info: [u1, loop], loop: [info] }
lists: { all: { members: [u1, u2] }, staff: { members: [u1], from: members }, in: { members: [u1], from: users } }
state: /nowhere
"#,
        )
        .unwrap();
        from_config(&config).unwrap()
    }

    fn boxes(text: &str) -> Vec<String> {
        let address = Address::parse(text, false).unwrap();
        match data().expand(&address, ANYBODY) {
            Verdict::Own(expansion) => {
                expansion.boxes.into_iter().chain(expansion.elsewhere).collect()
            }
            other => vec![format!("{other:?}")],
        }
    }

    #[test]
    fn names_lead_to_mailboxes() {
        for (address, wanted) in [
            ("U1@A.test", vec!["u1@a.test"]),
            ("u1@b.test", vec!["u1@a.test"]),
            ("u1+tag@a.test", vec!["u1@a.test"]),
            ("u2@a.test", vec!["u1@a.test", "x@far.test"]),
            ("info@a.test", vec!["u1@a.test"]),
            ("all@a.test", vec!["u1@a.test", "x@far.test"]),
            ("who@c.test", vec!["u1@a.test"]),
            ("u3@c.test", vec!["u3@c.test"]),
            ("postmaster", vec!["postmaster@a.test"]),
            ("nobody@a.test", vec!["Unknown"]),
            ("nobody+u1@a.test", vec!["Unknown"]),
            ("staff@a.test", vec!["NotAllowed"]),
            ("in@a.test", vec!["NotAllowed"]),
            ("u1@far.test", vec!["Elsewhere"]),
        ] {
            assert_eq!(boxes(address), wanted, "{address}");
        }
    }

    #[test]
    fn a_member_may_write_to_the_members_list() {
        let sender = Sender { address: "u1@a.test", authenticated: false };
        let address = Address::parse("staff@b.test", false).unwrap();
        assert!(matches!(data().expand(&address, sender), Verdict::Own(_)));
    }

    #[test]
    fn logins_are_whole_addresses_or_local_parts() {
        let data = data();
        for (user, name) in [
            ("u1", Some("u1@a.test")),
            ("U1@b.test", Some("u1@a.test")),
            ("u3", Some("u3@c.test")),
            ("u1@c.test", None),
            ("info", None),
        ] {
            assert_eq!(data.account_name(user).as_deref(), name);
        }
    }
}
