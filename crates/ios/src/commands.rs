//! The commands of every mode, and what help says of their words.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::grammar::Automaton;

/// Where a line is typed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// `R1>`
    #[default]
    User,
    /// `R1#`
    Enable,
    /// `R1(config)#`
    Global,
    /// `R1(config-if)#`, of the interface with this name in the node.
    Interface(String),
    /// `R1(dhcp-config)#`, of this pool.
    DhcpPool(String),
    /// `R1(config-router)#`
    Rip,
    /// `R1(config-std-nacl)#`, of this list.
    StandardList(String),
    /// `R1(config-ext-nacl)#`, of this list.
    ExtendedList(String),
    /// `R1(config-keychain)#`, of this chain.
    KeyChain(String),
    /// `R1(config-keychain-key)#`, of this chain and key.
    Key(String, u8),
    /// `R1(config-line)#`, of the line as typed.
    Line(String),
}

impl Mode {
    /// What the prompt adds to the host name.
    pub fn prompt(&self) -> &'static str {
        match self {
            Mode::User => ">",
            Mode::Enable => "#",
            Mode::Global => "(config)#",
            Mode::Interface(_) => "(config-if)#",
            Mode::DhcpPool(_) => "(dhcp-config)#",
            Mode::Rip => "(config-router)#",
            Mode::StandardList(_) => "(config-std-nacl)#",
            Mode::ExtendedList(_) => "(config-ext-nacl)#",
            Mode::KeyChain(_) => "(config-keychain)#",
            Mode::Key(..) => "(config-keychain-key)#",
            Mode::Line(_) => "(config-line)#",
        }
    }

    /// Whether lines change the configuration here.
    pub fn configures(&self) -> bool {
        !matches!(self, Mode::User | Mode::Enable)
    }

    /// The command that opens it, for messages.
    pub fn opener(&self) -> &'static str {
        match self {
            Mode::User => "",
            Mode::Enable => "enable",
            Mode::Global => "configure terminal",
            Mode::Interface(_) => "interface",
            Mode::DhcpPool(_) => "ip dhcp pool",
            Mode::Rip => "router rip",
            Mode::StandardList(_) => "ip access-list standard",
            Mode::ExtendedList(_) => "ip access-list extended",
            Mode::KeyChain(_) => "key chain",
            Mode::Key(..) => "key",
            Mode::Line(_) => "line",
        }
    }

    /// One of each, to look a line up elsewhere.
    pub fn every() -> [Mode; 9] {
        [
            Mode::Global,
            Mode::Interface(String::new()),
            Mode::DhcpPool(String::new()),
            Mode::Rip,
            Mode::StandardList(String::new()),
            Mode::ExtendedList(String::new()),
            Mode::KeyChain(String::new()),
            Mode::Key(String::new(), 0),
            Mode::Line(String::new()),
        ]
    }
}

/// The automata of a mode: as typed, and after `no`.
#[derive(Debug)]
pub struct Grammar {
    /// As typed.
    pub plain: Automaton,
    /// After `no`.
    pub negated: Automaton,
}

/// A pattern: `+` both as typed and after `no`, `=` only as typed, `-` only after `no`.
fn grammar(patterns: &'static [&'static str]) -> Grammar {
    let of = |marks: &'static [char]| {
        patterns.iter().filter(move |p| p.starts_with(marks)).map(|p| p[1..].trim_start())
    };
    Grammar { plain: Automaton::new(of(&['+', '='])), negated: Automaton::new(of(&['+', '-'])) }
}

const EXEC: &[&str] = &[
    "= enable",
    "= disable",
    "= exit",
    "= logout",
    "= ping ( <A> | <NAME> ) [ repeat <1-1000> ] [ size <36-18024> ]",
    "= traceroute ( <A> | <NAME> )",
    "= show ( arp | ip arp )",
    "= show ( clock | version | history )",
    "= show ip interface [ <IF> ]",
    "= show ip interface brief",
    "= show interfaces [ <IF> ]",
    "= show ip route [ connected | static | rip ]",
    "= show ip route <A>",
    "= show ip protocols",
    "= show ip rip database",
    "= show ip dhcp ( binding | conflict ) [ <A> ]",
    "= show ip dhcp pool [ <NAME> ]",
    "= show ip dhcp server statistics",
    "= show ( access-lists | ip access-lists ) [ <NAME> ]",
    "= show ip nat ( translations | statistics )",
    "= show hosts",
    "= terminal ( length <0-512> | monitor | no monitor )",
];

const ENABLE: &[&str] = &[
    "= configure [ terminal ]",
    "= show ( running-config | startup-config ) [ <LINE> ]",
    "= clear ip dhcp ( binding | conflict ) ( * | <A> )",
    "= clear ( arp-cache | arp )",
    "= clear access-list counters [ <NAME> ]",
    "= clear ip nat translation *",
    "= clear ip route *",
    "= write [ memory ]",
    "= copy running-config startup-config",
];

const GLOBAL: &[&str] = &[
    "= hostname <NAME>",
    "- hostname [ <NAME> ]",
    "= interface <IF>",
    "+ ip route <A> <M> ( <A> | <IF> | Null0 ) [ <1-255> ] [ name <NAME> ] [ permanent ]",
    "- ip route <A> <M>",
    "+ ip dhcp excluded-address <A> [ <A> ]",
    "+ ip dhcp pool <NAME>",
    "+ ip dhcp ping ( packets <0-10> | timeout <100-10000> )",
    "+ service dhcp",
    "+ router rip",
    "+ access-list ( <1-99> | <1300-1999> ) ( permit | deny ) ( any | host <A> | <A> [ <W> ] ) [ log ]",
    "= access-list <1-2699> remark <LINE>",
    "+ access-list ( <100-199> | <2000-2699> ) ( permit | deny ) ( ip | ospf | gre | esp | <0-255> ) ( any | host <A> | <A> <W> ) ( any | host <A> | <A> <W> ) [ log ]",
    "+ access-list ( <100-199> | <2000-2699> ) ( permit | deny ) icmp ( any | host <A> | <A> <W> ) ( any | host <A> | <A> <W> ) [ echo | echo-reply | unreachable | host-unreachable | net-unreachable | port-unreachable | time-exceeded | ttl-exceeded | redirect | <0-255> [ <0-255> ] ] [ log ]",
    "+ access-list ( <100-199> | <2000-2699> ) ( permit | deny ) ( tcp | udp ) ( any | host <A> | <A> <W> ) [ ( eq | gt | lt | neq ) <NAME> | range <NAME> <NAME> ] ( any | host <A> | <A> <W> ) [ ( eq | gt | lt | neq ) <NAME> | range <NAME> <NAME> ] [ established ] [ log ]",
    "- access-list <1-2699>",
    "+ ip access-list standard <NAME>",
    "+ ip access-list extended <NAME>",
    "+ ip nat pool <NAME> <A> <A> ( netmask <M> | prefix-length <1-32> )",
    "- ip nat pool <NAME>",
    "+ ip nat inside source list <NAME> ( interface <IF> | pool <NAME> ) [ overload ]",
    "+ ip nat inside source static <A> <A>",
    "+ ip nat inside source static ( tcp | udp ) <A> <1-65535> ( <A> | interface <IF> ) <1-65535>",
    "+ key chain <NAME>",
    "+ ip name-server <A>+",
    "- ip name-server",
    "+ ip ( domain-name | domain name ) <NAME>",
    "- ip ( domain-name | domain name )",
    "+ ip ( domain-lookup | domain lookup | routing | classless | subnet-zero | cef | source-route | bootp server | finger )",
    "+ ip ( http | ssh | tftp | ftp ) <LINE>",
    "= enable ( secret | password ) <LINE>",
    "- enable ( secret | password )",
    "+ username <LINE>",
    "+ banner <LINE>",
    "+ ( logging | ntp | clock | snmp-server | aaa | boot | cdp | spanning-tree | version | archive ) <LINE>",
    "+ service <LINE>",
    "= line ( console | vty | aux ) <LINE>",
    "+ login <LINE>",
];

const INTERFACE: &[&str] = &[
    "+ ip address <A> <M>",
    "+ ip address dhcp",
    "- ip address",
    "+ shutdown",
    "= description <LINE>",
    "- description [ <LINE> ]",
    "+ ip helper-address <A>",
    "- ip helper-address",
    "+ ip access-group <NAME> ( in | out )",
    "+ ip nat ( inside | outside )",
    "+ ip rip authentication key-chain <NAME>",
    "+ ip rip authentication mode ( md5 | text )",
    "- ip rip authentication ( key-chain | mode )",
    "+ ip split-horizon",
    "+ ip rip ( send | receive ) version <1-2>",
    "+ ip ( proxy-arp | redirects | unreachables | mroute-cache | route-cache )",
    "+ ( duplex | speed | bandwidth | delay | mtu | clock | keepalive | cdp | negotiation | load-interval ) <LINE>",
    "- ( duplex | speed | bandwidth | delay | mtu | keepalive | description )",
];

const DHCP_POOL: &[&str] = &[
    "= network <A> [ <M> | <NAME> ]",
    "- network [ <A> [ <M> ] ]",
    "= host <A> [ <M> ]",
    "- host [ <A> [ <M> ] ]",
    "+ hardware-address <MAC> [ ethernet | <1-1> ]",
    "+ client-identifier <NAME>",
    "+ client-name <NAME>",
    "+ default-router <A>+",
    "- default-router",
    "+ dns-server <A>+",
    "- dns-server",
    "+ domain-name <NAME>",
    "- domain-name",
    "+ lease ( infinite | <0-365> [ <0-23> [ <0-59> ] ] )",
    "- lease",
    "+ netbios-name-server <A>+",
    "+ bootfile <NAME>",
    "+ next-server <A>",
    "+ option <1-254> ( ip <A>+ | ascii <LINE> | hex <LINE> )",
    "- option <1-254>",
];

const RIP: &[&str] = &[
    "+ version <1-2>",
    "- version",
    "+ network <A>",
    "+ passive-interface ( default | <IF> )",
    "+ auto-summary",
    "+ default-information originate",
    "+ redistribute ( connected | static ) [ metric <1-16> ]",
    "+ timers basic <1-4294967> <1-4294967> <0-4294967> <1-4294967>",
    "- timers basic",
    "+ ( maximum-paths | distance | neighbor | validate-update-source ) [ <LINE> ]",
];

const STANDARD_LIST: &[&str] = &[
    "+ [ <1-99999> ] ( permit | deny ) ( any | host <A> | <A> [ <W> ] ) [ log ]",
    "- <1-99999>",
    "= remark <LINE>",
];

const EXTENDED_LIST: &[&str] = &[
    "+ [ <1-99999> ] ( permit | deny ) ( ip | ospf | gre | esp | <0-255> ) ( any | host <A> | <A> <W> ) ( any | host <A> | <A> <W> ) [ log ]",
    "+ [ <1-99999> ] ( permit | deny ) icmp ( any | host <A> | <A> <W> ) ( any | host <A> | <A> <W> ) [ echo | echo-reply | unreachable | host-unreachable | net-unreachable | port-unreachable | time-exceeded | ttl-exceeded | redirect | <0-255> [ <0-255> ] ] [ log ]",
    "+ [ <1-99999> ] ( permit | deny ) ( tcp | udp ) ( any | host <A> | <A> <W> ) [ ( eq | gt | lt | neq ) <NAME> | range <NAME> <NAME> ] ( any | host <A> | <A> <W> ) [ ( eq | gt | lt | neq ) <NAME> | range <NAME> <NAME> ] [ established ] [ log ]",
    "- <1-99999>",
    "= remark <LINE>",
];

const KEY_CHAIN: &[&str] = &["+ key <0-255>"];

const KEY: &[&str] = &[
    "= key-string <LINE>",
    "- key-string [ <LINE> ]",
    "+ ( accept-lifetime | send-lifetime ) <LINE>",
];

const LINE: &[&str] = &[
    "+ ( password | exec-timeout | transport | privilege | history | logging | access-class | stopbits | speed ) <LINE>",
    "+ login [ local ]",
    "- ( password | exec-timeout )",
];

/// The grammar of a mode.
pub fn of(mode: &Mode) -> &'static Grammar {
    macro_rules! table {
        ($patterns:expr) => {{
            static GRAMMAR: LazyLock<Grammar> = LazyLock::new(|| grammar($patterns));
            &GRAMMAR
        }};
    }
    match mode {
        Mode::User => table!(EXEC),
        Mode::Enable => {
            static GRAMMAR: LazyLock<Grammar> = LazyLock::new(|| Grammar {
                plain: Automaton::new(EXEC.iter().chain(ENABLE).map(|p| p[1..].trim_start())),
                negated: Automaton::default(),
            });
            &GRAMMAR
        }
        Mode::Global => table!(GLOBAL),
        Mode::Interface(_) => table!(INTERFACE),
        Mode::DhcpPool(_) => table!(DHCP_POOL),
        Mode::Rip => table!(RIP),
        Mode::StandardList(_) => table!(STANDARD_LIST),
        Mode::ExtendedList(_) => table!(EXTENDED_LIST),
        Mode::KeyChain(_) => table!(KEY_CHAIN),
        Mode::Key(..) => table!(KEY),
        Mode::Line(_) => table!(LINE),
    }
}

/// What help says of a keyword.
pub fn help(word: &str) -> &'static str {
    static WORDS: LazyLock<HashMap<&'static str, &'static str>> = LazyLock::new(|| {
        let lines = HELP.lines().filter_map(|line| line.split_once(' '));
        lines.map(|(word, text)| (word, text.trim())).collect()
    });
    WORDS.get(word).copied().unwrap_or("")
}

const HELP: &str = "\
A.B.C.D IP address, mask or wildcard
H.H.H Hardware address
INTERFACE Interface, such as FastEthernet0/0, or the lab's network
LINE Text up to the end of the line
WORD Name
access-group Filter packets by an access list
access-list Add an access list entry
access-lists List access lists
address Set the IP address of an interface
any Any address
arp ARP table
auto-summary Automatic summary to classful networks
binding DHCP address bindings
brief Brief summary of IP status and configuration
clear Reset functions
client-identifier Client identifier of a host
clock The time
configure Enter configuration mode
conflict Addresses that someone else answered for
connected Connected networks
copy Copy the configuration
default-information Distribution of the default route
default-router Default routers
deny Drop packets
description Interface specific description
dhcp Dynamic Host Configuration Protocol
disable Turn off privileged commands
dns-server DNS servers
do Run an exec command
domain-name Domain name
enable Turn on privileged commands
end Exit to privileged mode
eq Match only packets on a given port
established Match established connections
excluded-address Prevent DHCP from assigning certain addresses
exit Exit from the current mode
extended Extended access list
hardware-address Hardware address of a host
helper-address Destination of DHCP broadcasts
history The last commands
host A single address
hostname Set the system's name
hosts DNS servers and domain
in Inbound packets
inside The private side
interface Select an interface to configure
interfaces Interface status
ip IP information and commands
key Keys for authentication
lease Address lease time
line Configure a terminal line
list Access list of inside addresses
log Log matches
logout Exit from the console
nat Network address translation
network Networks that take part
no Negate a command or set its defaults
option Raw DHCP options
out Outbound packets
outside The public side
overload Many inside hosts on one address
passive-interface Suppress routing updates on an interface
permit Let packets pass
ping Send echo messages
pool DHCP or address pool
protocols Routing protocols
redistribute Redistribute routes of another kind
remark Comment of an access list
rip Routing Information Protocol
route Routing table, or a static route
router Enable a routing process
running-config The configuration in use
service Services of the router
show Show running system information
shutdown Shut down the interface
standard Standard access list
startup-config The configuration of the next start
static Static routes or translations
tcp Transmission Control Protocol
terminal Configure from the terminal, or terminal settings
timers Adjust routing timers
traceroute Trace the route to a destination
translations Translations in use
udp User Datagram Protocol
version Version of the program or protocol
write Keep the running configuration
";
