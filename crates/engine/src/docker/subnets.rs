//! Transport subnets: what Docker believes a lab network's addresses are.
//!
//! Docker refuses two networks with one subnet, and every copy of a lab must have the addresses of
//! the sheet. So each network gets a small subnet of its own out of 198.18.0.0/15 (RFC 2544, never
//! routed), which the agent replaces inside the node.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

/// Where transport subnets come from.
const POOL: (u32, u32) = (0xc612_0000, 0xc614_0000); // 198.18.0.0 to 198.19.255.255

/// The prefix length for `nodes` nodes with room to grow: network, gateway and broadcast address
/// are Docker's.
pub fn prefix_for(nodes: usize) -> u8 {
    let wanted = (nodes + nodes / 2 + 3).max(29) as u32;
    (32 - wanted.next_power_of_two().trailing_zeros() as u8).max(16)
}

/// How many nodes a transport subnet can hold.
pub fn capacity(subnet: Ipv4Net) -> usize {
    (1usize << (32 - subnet.prefix_len())).saturating_sub(3)
}

/// The address of the `index`th node.
pub fn address(subnet: Ipv4Net, index: usize) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(subnet.network()) + 2 + index as u32)
}

/// Subnets of length `prefix` that do not overlap `taken`, from `start` (any number) on, wrapping.
pub fn free(prefix: u8, taken: &[Ipv4Net], start: u32) -> impl Iterator<Item = Ipv4Net> + use<'_> {
    let size = 1u32 << (32 - prefix);
    let count = (POOL.1 - POOL.0) / size;
    (0..count).filter_map(move |step| {
        let block = (start.wrapping_add(step)) % count;
        let subnet = Ipv4Net::new(Ipv4Addr::from(POOL.0 + block * size), prefix).ok()?;
        let overlaps = |other: &Ipv4Net| {
            other.contains(&subnet.network()) || subnet.contains(&other.network())
        };
        (!taken.iter().any(overlaps)).then_some(subnet)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_subnets_avoid_what_is_taken_and_wrap() {
        let taken: Vec<Ipv4Net> =
            vec!["198.18.0.0/16".parse().unwrap(), "198.19.0.0/27".parse().unwrap()];
        let first = free(27, &taken, 0).next().unwrap();
        assert_eq!(first, "198.19.0.32/27".parse().unwrap());
        let all = free(27, &taken, 4095).count();
        assert_eq!(all, 2048 - 1);
    }

    #[test]
    fn a_subnet_holds_the_nodes_it_was_made_for() {
        for nodes in [0, 1, 4, 13, 30, 100, 1000] {
            let subnet = Ipv4Net::new(Ipv4Addr::new(198, 18, 0, 0), prefix_for(nodes)).unwrap();
            assert!(capacity(subnet) >= nodes, "{nodes}");
            assert!(subnet.contains(&address(subnet, nodes)));
        }
    }
}
