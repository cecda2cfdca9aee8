use super::*;
use crate::config::*;
use proptest::prelude::*;

const SHEET: &str = "\
R1(config)#ip dhcp excluded-address 192.168.0.1 192.168.0.50
R1(config)#ip dhcp pool R1_DHCP
R1(dhcp-config)#network 192.168.0.0 255.255.255.0
R1(dhcp-config)#default-router 192.168.0.1
R1(dhcp-config)#dns-server 192.168.0.1
";

const ROUTER: &str = "\
enable
configure terminal
hostname R1
no ip domain-lookup
enable secret class
key chain RIPKEYS
 key 1
  key-string s3cret
interface lan
 description Ground floor
 ip address 192.168.10.1 255.255.255.0
 ip nat inside
 ip access-group 101 in
 ip helper-address 10.0.0.2
 no shutdown
interface GigabitEthernet 0/1
 ip address 10.0.0.1 255.255.255.252
 ip nat outside
 ip rip authentication mode md5
 ip rip authentication key-chain RIPKEYS
exit
ip dhcp pool PRINTER
 host 192.168.10.9 255.255.255.0
 hardware-address 0200.0000.0009
 option 150 ip 10.0.0.9
 lease 0 2 30
router rip
 version 2
 network 192.168.10.0
 network 10.0.0.0
 passive-interface lan
 no auto-summary
ip route 0.0.0.0 0.0.0.0 10.0.0.2
access-list 1 permit 192.168.10.0 0.0.0.255
access-list 101 deny tcp any host 10.9.9.9 eq www
access-list 101 permit tcp any any range 20 25 established log
access-list 101 permit icmp any any echo
access-list 101 permit ip any any
ip access-list standard STAFF
 permit host 10.1.1.1
 deny any
ip nat inside source list 1 interface GigabitEthernet0/1 overload
ip nat inside source static tcp 192.168.10.80 80 interface Gi0/1 8080
line vty 0 4
 password cisco
 login
end
";

#[test]
fn the_sheets_commands_are_taken_as_they_stand() {
    let config = parse(SHEET).unwrap();
    assert_eq!(
        config.dhcp.excluded,
        [("192.168.0.1".parse().unwrap(), "192.168.0.50".parse().unwrap())]
    );
    let pool = &config.dhcp.pools[0];
    assert_eq!(
        (pool.name.as_str(), pool.network),
        ("R1_DHCP", Some("192.168.0.0/24".parse().unwrap()))
    );
    let server = crate::dhcp::server_config(&config).unwrap();
    assert_eq!(server["pools"][0]["excluded"][0], "192.168.0.1-192.168.0.50");
}

#[test]
fn a_whole_router_reads_and_its_running_config_reads_back() {
    let config =
        parse_for(ROUTER, &["lan", "wan"]).unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert_eq!(config.interface("wan").unwrap().label, "GigabitEthernet0/1");
    assert_eq!(config.rip_key(config.interface("wan").unwrap()), Some((1, "s3cret")));
    assert_eq!(config.access_list("101").unwrap().rules.len(), 4);
    assert_eq!(config.dhcp.pools[0].lease, Some(9000));
    assert!(config.rip.as_ref().unwrap().is_passive("lan"));
    assert!(config.rip.as_ref().unwrap().covers("10.0.0.1".parse().unwrap()));
    let text = config.running_config();
    assert!(!text.contains("class") && !text.contains("cisco"), "{text}");
    let again = parse_for(&text, &["lan", "wan"])
        .unwrap_or_else(|problems| panic!("{problems:#?}\n{text}"));
    assert_eq!(again, config, "{text}");
}

#[test]
fn no_takes_back() {
    let text = format!(
        "{ROUTER}no access-list 101\nno router rip\nno ip dhcp pool PRINTER\nno ip route 0.0.0.0 0.0.0.0\ninterface lan\nno ip address\nno ip helper-address\nshutdown\n"
    );
    let config = parse_for(&text, &["lan", "wan"]).unwrap();
    let lan = config.interface("lan").unwrap();
    assert!(
        config.access_list("101").is_none() && config.rip.is_none() && config.routes.is_empty()
    );
    assert!(
        lan.address.is_none()
            && lan.helpers.is_empty()
            && lan.shutdown
            && config.dhcp.pools.is_empty()
    );
}

#[test]
fn what_is_not_understood_is_named_with_its_place_and_the_nearest_command() {
    let problem = |text: &str| parse_for(text, &["lan"]).unwrap_err().remove(0);
    let typo = problem("ip dhcp pool A\n netwrk 10.0.0.0 255.0.0.0\n");
    assert_eq!((typo.line, typo.column, typo.nearest.as_deref()), (2, 2, Some("network")));
    let typo = problem("ip dhpc pool A");
    assert_eq!((typo.column, typo.nearest.as_deref()), (4, Some("ip dhcp")));
    assert!(problem("network 10.0.0.0").message.contains("belongs under"));
    assert!(problem("interface fa0/9").message.contains("FastEthernet0/0 (lan)"));
    assert!(problem("ip route 10.0.0.0").message.contains("A.B.C.D is missing"));
    assert!(problem("ip route 10.0.0.1 255.0.0.0 10.0.0.1").message.contains("10.0.0.0/8"));
    assert!(problem("ip dhcp excluded-address 10.0.0.9 10.0.0.1").message.contains("swap"));
    assert!(problem("ip access-list extended 10").message.contains("100 to 199"));
    assert!(problem("access-list 101 permit tcp any any eq webby").message.contains("not a port"));
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_panic(text in "(\\PC|\n){0,200}") {
        let _ = parse_for(&text, &["lan"]);
    }

    #[test]
    fn any_words_are_read_and_what_is_read_prints_and_reads_back(
        lines in proptest::collection::vec(proptest::collection::vec(proptest::sample::select(vec![
            "no", "ip", "dhcp", "pool", "A", "network", "10.0.0.0", "255.0.0.0", "route", "access-list", "1", "101",
            "permit", "deny", "any", "host", "tcp", "eq", "80", "interface", "lan", "wan", "address", "dhcp", "shutdown",
            "router", "rip", "version", "2", "nat", "inside", "source", "static", "list", "overload", "exit", "lease",
            "default-router", "helper-address", "passive-interface", "default", "key", "chain", "infinite", "remark",
        ]), 1..9), 0..30),
    ) {
        let mut config = RouterConfig { hostname: "R".into(), ..RouterConfig::default() };
        let names = Names::new(&["lan", "wan"]);
        let mut mode = Mode::Global;
        for line in lines {
            if let Ok(next) = config.apply_line(&mode, &line.join(" "), &names) {
                mode = next;
            }
        }
        let text = config.running_config();
        let again = parse_for(&text, &["lan", "wan"]);
        prop_assert!(again.is_ok(), "{:?}\n{}", again, text);
        prop_assert_eq!(again.unwrap().running_config(), text);
    }
}
