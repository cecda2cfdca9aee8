//! The kernel's answers, in a network namespace of the test's own thread.

// A test says what failed by panicking, and what it skipped by printing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, clippy::print_stderr)]

use std::net::{IpAddr, Ipv4Addr};

use net::{Change, Mac, Monitor, Netlink, Protocol, Reachability, Route};
use nix::sched::{CloneFlags, unshare};

/// Runs `test` in a new network namespace with a veth pair `a`-`b`, or says why not.
fn in_namespace(test: impl AsyncFnOnce(Netlink)) {
    if let Err(error) = unshare(CloneFlags::CLONE_NEWNET) {
        assert!(std::env::var_os("LABCTL_CI").is_none(), "no namespace: {error}");
        println!("SKIPPED: a network namespace needs root: {error}");
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection().unwrap();
        tokio::spawn(connection);
        let pair = rtnetlink::LinkVeth::new("a", "b").build();
        handle.link().add(pair).execute().await.unwrap();
        test(Netlink::open().unwrap()).await;
    });
}

#[test]
fn an_interface_is_found_renamed_addressed_and_flushed() {
    in_namespace(async |net| {
        let a = net.link("a").await.unwrap();
        assert!(!a.up && !a.carrier && !a.loopback && a.peer.is_some());
        let mac = Mac([2, 0, 0, 0, 0, 7]);
        net.rename(a.index, "lan").await.unwrap();
        net.set_mac(a.index, mac).await.unwrap();
        net.up(a.index).await.unwrap();
        net.add_address(a.index, "192.168.1.2/24".parse().unwrap()).await.unwrap();
        net.add_address(a.index, "192.168.1.2/24".parse().unwrap()).await.unwrap();
        net.add_address(a.index, "192.168.1.3/24".parse().unwrap()).await.unwrap();
        let found = net.link_by_address(IpAddr::from([192, 168, 1, 2])).await.unwrap();
        assert_eq!((found.name.as_str(), found.mac, found.up), ("lan", mac, true));
        assert_eq!(net.link_by_mac(mac).await.unwrap().index, a.index);
        assert_eq!(net.ipv4_addresses(a.index).await.unwrap().len(), 2);
        net.flush_addresses(a.index).await.unwrap();
        assert!(net.ipv4_addresses(a.index).await.unwrap().is_empty());
        let gone = net.link("a").await.unwrap_err();
        assert_eq!(gone.to_string(), "there is no interface a");
        let long = net.rename(a.index, "much-too-long-a-name").await.unwrap_err();
        assert!(long.errno().is_some(), "{long}");
    });
}

#[test]
fn routes_are_set_replaced_and_removed_and_keep_who_made_them() {
    in_namespace(async |net| {
        let a = net.link("a").await.unwrap();
        net.up(a.index).await.unwrap();
        net.up(net.link("b").await.unwrap().index).await.unwrap();
        net.add_address(a.index, "10.0.0.1/30".parse().unwrap()).await.unwrap();
        let hop = Ipv4Addr::new(10, 0, 0, 2);
        let route = Route::via("192.168.9.0/24".parse().unwrap(), hop, Protocol::Rip).metric(120);
        net.replace_route(&route).await.unwrap();
        net.replace_route(&route).await.unwrap();
        let default = Route::via("0.0.0.0/0".parse().unwrap(), hop, Protocol::Static);
        net.replace_route(&default).await.unwrap();
        let routes = net.routes().await.unwrap();
        let rip: Vec<_> = routes.iter().filter(|r| r.protocol == Protocol::Rip).collect();
        assert_eq!(rip.len(), 1);
        assert_eq!(
            (rip[0].to, rip[0].via, rip[0].metric, rip[0].link),
            (route.to, Some(hop), 120, Some(a.index))
        );
        assert!(routes.iter().any(|r| r.is_default() && r.via == Some(hop)));
        assert!(routes.iter().any(|r| r.protocol == Protocol::Kernel && r.via.is_none()));
        net.delete_route(&route).await.unwrap();
        net.delete_route(&route).await.unwrap();
        net.delete_route(&default).await.unwrap();
        assert_eq!(net.routes().await.unwrap().len(), 1);
        let nowhere = Route::via(route.to, Ipv4Addr::new(10, 9, 9, 9), Protocol::Static);
        let error = net.replace_route(&nowhere).await.unwrap_err();
        assert_eq!(error.errno(), Some(libc::ENETUNREACH), "{error}");
        assert!(error.to_string().contains("192.168.9.0/24 by 10.9.9.9"), "{error}");
    });
}

#[test]
fn neighbours_are_set_and_forgotten() {
    in_namespace(async |net| {
        let a = net.link("a").await.unwrap();
        net.up(a.index).await.unwrap();
        net.add_address(a.index, "10.0.0.1/30".parse().unwrap()).await.unwrap();
        let (address, mac) = (IpAddr::from([10, 0, 0, 2]), Mac([2, 0, 0, 0, 0, 9]));
        net.set_neighbour(a.index, address, mac).await.unwrap();
        let found = net.neighbours().await.unwrap();
        let found = found.iter().find(|n| n.address == address).unwrap();
        assert_eq!(
            (found.mac, found.state, found.link),
            (Some(mac), Reachability::Permanent, a.index)
        );
        net.flush_neighbours(Some(a.index)).await.unwrap();
        assert!(net.neighbours().await.unwrap().iter().all(|n| n.address != address));
    });
}

#[test]
fn a_pulled_cable_is_noticed_at_the_other_end() {
    in_namespace(async |net| {
        let (a, b) = (net.link("a").await.unwrap(), net.link("b").await.unwrap());
        net.up(a.index).await.unwrap();
        net.up(b.index).await.unwrap();
        let mut monitor = Monitor::open().unwrap();
        net.down(b.index).await.unwrap();
        let deadline = std::time::Duration::from_secs(5);
        tokio::time::timeout(deadline, async {
            loop {
                match monitor.next().await.unwrap() {
                    Change::Link(link) if link.index == a.index && !link.carrier => break,
                    _ => {}
                }
            }
        })
        .await
        .unwrap();
        assert!(net.link("a").await.unwrap().up);
    });
}

#[test]
fn forwarding_is_switched_on_each_interface_through_netlink() {
    in_namespace(async |net| {
        let a = net.link("a").await.unwrap();
        let setting = |name| net::read_sysctl(&["ipv4", "conf", "a", name]).unwrap();
        net::write_sysctl(&["ipv4", "conf", "a", "rp_filter"], "1").unwrap();
        net.set_link_forwarding(a.index, true).await.unwrap();
        net.accept_any_way(a.index).await.unwrap();
        net.announce_addresses(a.index).await.unwrap();
        assert_eq!(setting("arp_notify"), "1");
        assert_eq!((setting("forwarding").as_str(), setting("rp_filter").as_str()), ("1", "0"));
        net.set_forwarding(false).await.unwrap();
        net.set_forwarding(true).await.unwrap();
        assert_eq!(net::read_sysctl(&["ipv4", "ip_forward"]).unwrap(), "1");
    });
}

#[test]
fn lists_asked_for_at_once_and_given_up_half_way_are_all_answered() {
    in_namespace(async |net| {
        let tasks = (0..50).map(|n| {
            let net = net.clone();
            tokio::spawn(async move {
                if n % 5 == 0 {
                    // Polled once, then dropped: the kernel sends on.
                    let list = net.links();
                    tokio::pin!(list);
                    let _ = futures::poll!(&mut list);
                    return;
                }
                assert_eq!(net.links().await.unwrap().len(), 3);
                net.routes().await.unwrap();
                net.addresses(None).await.unwrap();
                net.neighbours().await.unwrap();
            })
        });
        for done in futures::future::join_all(tasks).await {
            done.unwrap();
        }
    });
}

#[test]
fn a_delay_is_set_or_the_kernel_has_none() {
    in_namespace(async |net| {
        let a = net.link("a").await.unwrap();
        net::set_delay(a.index, None).unwrap();
        match net::set_delay(a.index, Some(100)) {
            Ok(()) => net::set_delay(a.index, None).unwrap(),
            Err(error) => {
                assert!(error.is_unsupported(), "{error}");
                println!("SKIPPED: this kernel cannot delay: {error}");
            }
        }
    });
}
