//! Which ports the node listens on, from the kernel's own tables.
//!
//! To connect would be a client's visit, which services log and count; the tables tell the same.

use node::config::{Port, Transport};

/// Ports that accept, TCP and UDP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listening(net::Ports);

/// `TCP_LISTEN` of the kernel's `tcp_states.h`.
const LISTEN: &str = "0A";

impl Listening {
    /// Asks the kernel for those of this network namespace, or reads its tables where it does not
    /// know the question.
    pub(crate) fn now() -> Self {
        Self(net::bound_ports().unwrap_or_else(|_| by_tables()))
    }

    /// Whether something accepts there.
    pub(crate) fn has(&self, port: &Port) -> bool {
        match port.transport {
            Transport::Tcp => self.0.tcp.contains(&port.port),
            Transport::Udp => self.0.udp.contains(&port.port),
        }
    }
}

fn by_tables() -> net::Ports {
    let read =
        |name: &str| std::fs::read_to_string(format!("/proc/net/{name}")).unwrap_or_default();
    let mut found = net::Ports::default();
    for table in ["tcp", "tcp6"] {
        found.tcp.extend(ports(&read(table), Some(LISTEN)));
    }
    for table in ["udp", "udp6"] {
        found.udp.extend(ports(&read(table), None));
    }
    found
}

/// The local ports of a table such as `/proc/net/tcp`, of sockets in that state.
fn ports<'a>(table: &'a str, state: Option<&'a str>) -> impl Iterator<Item = u16> + 'a {
    table.lines().skip(1).filter_map(move |line| {
        let mut words = line.split_ascii_whitespace();
        let local = words.nth(1)?;
        let its_state = words.nth(1)?;
        if state.is_some_and(|state| state != its_state) {
            return None;
        }
        u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_ports_are_told_from_connections() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue\n\
            \x20  0: 00000000:0019 00000000:0000 0A 00000000:00000000 00:00000000\n\
            \x20  1: 0100007F:C001 0100007F:0019 01 00000000:00000000 00:00000000\n\
            nonsense\n";
        assert_eq!(ports(table, Some(LISTEN)).collect::<Vec<_>>(), [25]);
        assert_eq!(ports(table, None).collect::<Vec<_>>(), [25, 0xC001]);
    }

    #[test]
    fn a_port_opened_here_is_seen_until_it_is_closed() {
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = |transport, port| Port { protocol: "x".into(), transport, port };
        let tcp_port = port(Transport::Tcp, tcp.local_addr().unwrap().port());
        let udp_port = port(Transport::Udp, udp.local_addr().unwrap().port());
        assert!(Listening::now().has(&tcp_port) && Listening::now().has(&udp_port));
        let tables = Listening(by_tables());
        assert!(tables.has(&tcp_port) && tables.has(&udp_port), "the tables say the same");
        drop((tcp, udp));
        assert!(!Listening::now().has(&tcp_port) && !Listening::now().has(&udp_port));
    }
}
