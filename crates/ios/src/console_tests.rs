use std::net::Ipv4Addr;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use proptest::prelude::*;

use super::*;
use crate::system::*;

#[derive(Default)]
struct Fake {
    applied: Mutex<Vec<RouterConfig>>,
    cleared: Mutex<Vec<Clear>>,
}

#[async_trait]
impl System for Fake {
    async fn interfaces(&self) -> Vec<InterfaceState> {
        let up = InterfaceState {
            name: "lan".into(),
            address: Some("192.168.0.1/24".parse().unwrap()),
            enabled: true,
            carrier: true,
            mac: "00:60:5c:2b:3d:01".into(),
            mtu: 1500,
            ..InterfaceState::default()
        };
        vec![up, InterfaceState { name: "wan".into(), mtu: 1500, ..InterfaceState::default() }]
    }
    async fn routes(&self) -> Vec<RouteState> {
        let route = |to: &str, via: Option<&str>, source, distance, metric| RouteState {
            to: to.parse().unwrap(),
            via: via.map(|via| via.parse().unwrap()),
            interface: Some(if via.is_some() { "wan" } else { "lan" }.into()),
            source,
            distance,
            metric,
            age: Some(Duration::from_secs(72)),
        };
        vec![
            route("192.168.0.0/24", None, Source::Connected, 0, 0),
            route("192.168.30.0/24", Some("10.0.0.2"), Source::Rip, 120, 1),
            route("172.16.4.0/30", Some("10.0.0.2"), Source::Static, 1, 0),
            route("0.0.0.0/0", Some("10.0.0.2"), Source::Static, 1, 0),
        ]
    }
    async fn arp(&self) -> Vec<ArpEntry> {
        vec![ArpEntry {
            address: Ipv4Addr::new(192, 168, 0, 51),
            mac: Some("00:60:5c:2b:3d:cc".into()),
            age: Some(3),
            interface: "lan".into(),
        }]
    }
    async fn bindings(&self) -> Vec<Binding> {
        vec![Binding {
            address: Ipv4Addr::new(192, 168, 0, 51),
            mac: "00:60:5c:2b:3d:cc".into(),
            state: "bound".into(),
            expires: Some(1_740_895_200),
            manual: false,
            pool: "R1_DHCP".into(),
        }]
    }
    async fn pools(&self) -> Vec<PoolState> {
        vec![PoolState {
            name: "R1_DHCP".into(),
            first: Ipv4Addr::new(192, 168, 0, 1),
            last: Ipv4Addr::new(192, 168, 0, 254),
            next: Some(Ipv4Addr::new(192, 168, 0, 52)),
            total: 254,
            excluded: 50,
            leased: 1,
            exhausted: false,
        }]
    }
    async fn rip(&self) -> Vec<RipEntry> {
        vec![RipEntry {
            to: "192.168.30.0/24".parse().unwrap(),
            via: Some(Ipv4Addr::new(10, 0, 0, 2)),
            interface: Some("wan".into()),
            metric: 2,
            age: Duration::from_secs(12),
        }]
    }
    async fn counters(&self, _list: &str) -> Vec<u64> {
        vec![5, 1]
    }
    async fn translations(&self) -> Vec<TranslationState> {
        Vec::new()
    }
    async fn ping(&self, _to: Ipv4Addr, count: u32, _size: u32) -> Vec<Echo> {
        (0..count)
            .map(|n| if n == 0 { Echo::Timeout } else { Echo::Reply(Duration::from_millis(2)) })
            .collect()
    }
    async fn traceroute(&self, to: Ipv4Addr) -> Vec<Hop> {
        vec![Hop { address: Some(to), times: vec![Some(Duration::from_millis(1)), None] }]
    }
    async fn resolve(&self, _name: &str) -> Option<Ipv4Addr> {
        None
    }
    async fn apply(&self, config: &RouterConfig) -> Result<(), String> {
        self.applied.lock().unwrap().push(config.clone());
        Ok(())
    }
    async fn save(&self, _config: &RouterConfig) -> Result<(), String> {
        Ok(())
    }
    async fn clear(&self, what: Clear) -> Result<(), String> {
        self.cleared.lock().unwrap().push(what);
        Ok(())
    }
    fn now(&self) -> u64 {
        1_740_895_200
    }
    fn uptime(&self) -> u64 {
        60
    }
}

/// The fake never waits, so one poll is enough.
fn block<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}

fn console() -> Console {
    let config = RouterConfig { hostname: "R1".into(), ..RouterConfig::default() };
    Console::new(config, Names::new(&["lan", "wan"]))
}

fn session(console: &mut Console, system: &Fake, lines: &str) -> String {
    let mut screen = String::new();
    for line in lines.lines() {
        screen += &format!("{}{line}\n", console.prompt());
        screen += &block(console.line(line, system)).text;
    }
    screen + &console.prompt()
}

#[test]
fn the_sheets_session_runs_as_printed() {
    let (mut console, system) = (console(), Fake::default());
    let screen = session(
        &mut console,
        &system,
        "en\nconf t\nip dhcp excluded-address 192.168.0.1 192.168.0.50\nip dhcp pool R1_DHCP\nnetwork 192.168.0.0 255.255.255.0\ndefault-router 192.168.0.1\ndns-server 192.168.0.1\nend\nsh ip dhcp bind",
    );
    insta::assert_snapshot!(screen, @r#"
    R1>en
    R1#conf t
    Enter configuration commands, one per line.  End with CNTL/Z.
    R1(config)#ip dhcp excluded-address 192.168.0.1 192.168.0.50
    R1(config)#ip dhcp pool R1_DHCP
    R1(dhcp-config)#network 192.168.0.0 255.255.255.0
    R1(dhcp-config)#default-router 192.168.0.1
    R1(dhcp-config)#dns-server 192.168.0.1
    R1(dhcp-config)#end
    R1#sh ip dhcp bind
    IP address       Client-ID/              Lease expiration        Type
                     Hardware address
    192.168.0.51     0060.5C2B.3DCC          Mar 02 2025 06:00 AM    Automatic
    R1#
    "#);
    assert_eq!(system.applied.lock().unwrap().last().unwrap().dhcp.pools[0].dns_server.len(), 1);
}

#[test]
fn show_commands_have_the_layout_of_lab_sheets() {
    let (mut console, system) = (console(), Fake::default());
    let screen = session(
        &mut console,
        &system,
        "enable\nsh ip int br\nshow ip route\nshow arp\nshow ip dhcp pool\nsh ip rip database\nsh ip ro 192.168.30.9\nping 192.168.30.9\ntraceroute 192.168.30.9",
    );
    insta::assert_snapshot!(screen, @r#"
    R1>enable
    R1#sh ip int br
    Interface                  IP-Address      OK? Method Status                Protocol
    FastEthernet0/0            192.168.0.1     YES manual up                    up
    FastEthernet0/1            unassigned      YES unset  administratively down down
    R1#show ip route
    Codes: L - local, C - connected, S - static, R - RIP
           * - candidate default

    Gateway of last resort is 10.0.0.2 to network 0.0.0.0

         172.16.0.0/16 is subnetted, 1 subnets
    S       172.16.4.0/30 [1/0] via 10.0.0.2
         192.168.0.0/24 is variably subnetted, 2 subnets, 2 masks
    C       192.168.0.0/24 is directly connected, FastEthernet0/0
    L       192.168.0.1/32 is directly connected, FastEthernet0/0
    R    192.168.30.0/24 [120/1] via 10.0.0.2, 00:01:12, FastEthernet0/1
    S*   0.0.0.0/0 [1/0] via 10.0.0.2
    R1#show arp
    Protocol  Address          Age (min)  Hardware Addr   Type   Interface
    Internet  192.168.0.51             3  0060.5C2B.3DCC  ARPA   FastEthernet0/0
    R1#show ip dhcp pool

    Pool R1_DHCP :
     Utilization mark (high/low)    : 100 / 0
     Subnet size (first/next)       : 0 / 0
     Total addresses                : 254
     Leased addresses               : 1
     Excluded addresses             : 50
     Pending event                  : none

     1 subnet is currently in the pool
     Current index        IP address range                    Leased/Excluded/Total
     192.168.0.52         192.168.0.1      - 192.168.0.254    1    / 50      / 254
    R1#sh ip rip database
    192.168.30.0/24
        [1] via 10.0.0.2, 00:00:12, FastEthernet0/1
    R1#sh ip ro 192.168.30.9
    Routing entry for 192.168.30.0/24
      Known via "rip", distance 120, metric 1
      Routing Descriptor Blocks:
      * [120/1] via 10.0.0.2, 00:01:12, FastEthernet0/1
    R1#ping 192.168.30.9

    Type escape sequence to abort.
    Sending 5, 100-byte ICMP Echos to 192.168.30.9, timeout is 2 seconds:
    .!!!!
    Success rate is 80 percent (4/5), round-trip min/avg/max = 2/2/2 ms

    R1#traceroute 192.168.30.9
    Type escape sequence to abort.
    Tracing the route to 192.168.30.9

      1   192.168.30.9    1 msec    *
    R1#
    "#);
}

#[test]
fn wrong_lines_are_marked_and_the_nearest_command_is_told() {
    let (mut console, system) = (console(), Fake::default());
    let screen = session(
        &mut console,
        &system,
        "shwo ip route\nenable\nshow ip dhpc binding\nc\nshow ip\nip route 0.0.0.0 0.0.0.0 1.1.1.1\nconf t\ninterface fa0/9\nnetwork 10.0.0.0\nint fa0/0\nip adress 1.1.1.1 255.0.0.0\nip address 1.1.1.1",
    );
    insta::assert_snapshot!(screen, @r#"
    R1>shwo ip route
       ^
    % Invalid input detected at '^' marker.
    % Nearest command: show
    R1>enable
    R1#show ip dhpc binding
               ^
    % Invalid input detected at '^' marker.
    % Nearest command: show ip dhcp
    R1#c
    % Ambiguous command:  "c"
    R1#show ip
    % Incomplete command.
    R1#ip route 0.0.0.0 0.0.0.0 1.1.1.1
       ^
    % Invalid input detected at '^' marker.
    % This is a configuration command: first type configure terminal
    R1#conf t
    Enter configuration commands, one per line.  End with CNTL/Z.
    R1(config)#interface fa0/9
               ^
    % Invalid input detected at '^' marker.
    % there is no interface FastEthernet0/9: this router has FastEthernet0/0 (lan), FastEthernet0/1 (wan)
    R1(config)#network 10.0.0.0
               ^
    % Invalid input detected at '^' marker.
    % `network` belongs under `ip dhcp pool` or `router rip`
    % Nearest command: ip dhcp pool
    R1(config)#int fa0/0
    R1(config-if)#ip adress 1.1.1.1 255.0.0.0
                     ^
    % Invalid input detected at '^' marker.
    % `adress` does not fit here
    % Nearest command: ip address
    R1(config-if)#ip address 1.1.1.1
    % Incomplete command.
    % Nearest command: ip address 1.1.1.1 A.B.C.D
    R1(config-if)#
    "#);
}

#[test]
fn help_do_no_end_and_pipes_work() {
    let (mut console, system) = (console(), Fake::default());
    let screen = session(
        &mut console,
        &system,
        "en\nshow ip dhcp ?\nsh?\nconf t\nint fa0/0\nip address ?\nno ?\ndo show ip int br | include lan\ndo show run | section interface\nno shutdown\nend\nclear ip dhcp binding *\nwr",
    );
    assert!(screen.contains("  binding              DHCP address bindings\n"), "{screen}");
    assert!(screen.contains("R1#sh?\nshow\n"), "{screen}");
    assert!(
        screen.contains("  A.B.C.D              IP address")
            && screen.contains("  dhcp                 Dynamic")
    );
    assert!(screen.contains("interface FastEthernet0/0\n no ip address\n"), "{screen}");
    assert!(screen.ends_with("R1#wr\nBuilding configuration...\n[OK]\nR1#"), "{screen}");
    assert_eq!(*system.cleared.lock().unwrap(), [Clear::Bindings(None)]);
}

#[test]
fn one_line_outside_of_the_session_leaves_its_mode() {
    let (mut console, system) = (console(), Fake::default());
    let output = block(console.once("show ip dhcp binding", &system));
    assert!(output.text.contains("192.168.0.51") && !output.failed);
    assert_eq!(output.prompt, "R1#");
    assert_eq!(console.prompt(), "R1>");
    assert!(block(console.once("show nothing", &system)).failed);
    assert!(block(console.line("exit", &system)).closed);
}

#[test]
fn access_lists_show_their_counters() {
    let (mut console, system) = (console(), Fake::default());
    let screen = session(
        &mut console,
        &system,
        "en\nconf t\naccess-list 1 permit 192.168.10.0 0.0.0.255\naccess-list 1 deny any\naccess-list 101 permit tcp any host 10.0.0.9 eq 80\nend\nshow access-lists",
    );
    assert!(screen.ends_with(
        "Standard IP access list 1\n    10 permit 192.168.10.0, wildcard bits 0.0.0.255 (5 matches)\n    20 deny any (1 match)\nExtended IP access list 101\n    10 permit tcp any host 10.0.0.9 eq www (5 matches)\nR1#"
    ), "{screen}");
}

proptest! {
    #[test]
    fn any_typing_leaves_a_live_console(lines in proptest::collection::vec("(\\PC){0,40}|(en|conf t|int fa0/0|show ip|no |do |ip dhcp|\\?| ){1,4}", 0..20)) {
        let (mut console, system) = (console(), Fake::default());
        for line in lines {
            let output = block(console.line(&line, &system));
            prop_assert!(output.prompt.starts_with('R') || console.config().hostname != "R1");
        }
    }
}
