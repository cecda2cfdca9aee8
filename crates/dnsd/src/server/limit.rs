//! How much one client may take.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::net::IpAddr;

use crate::zone::Quick;

/// Addresses remembered in one second; the others of that second are not bounded.
const CLIENTS: usize = 65_536;

/// Counts answers by client and second.
#[derive(Debug, Default)]
pub struct Limiter {
    second: u64,
    counts: HashMap<IpAddr, u32, BuildHasherDefault<Quick>>,
}

impl Limiter {
    /// Whether this client may have one more answer in this second; `most` 0 is no bound.
    pub fn allows(&mut self, client: IpAddr, second: u64, most: u32) -> bool {
        if most == 0 {
            return true;
        }
        if self.second != second {
            self.second = second;
            self.counts.clear();
        }
        if self.counts.len() >= CLIENTS && !self.counts.contains_key(&client) {
            return true;
        }
        let count = self.counts.entry(client).or_insert(0);
        *count = count.saturating_add(1);
        *count <= most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_has_its_own_share_of_each_second() {
        let mut limiter = Limiter::default();
        let (a, b) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
        assert!(limiter.allows(a, 1, 2) && limiter.allows(a, 1, 2) && !limiter.allows(a, 1, 2));
        assert!(limiter.allows(b, 1, 2) && limiter.allows(a, 2, 2) && limiter.allows(a, 2, 0));
    }
}
