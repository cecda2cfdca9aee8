use super::*;
use crate::wire::Key;
use crate::wire::{Entry, INFINITY};
use proptest::prelude::*;

/// Routers and the cables between them, all in memory: a network that loses nothing.
struct World {
    now: Duration,
    speakers: Vec<Speaker>,
    routes: Vec<BTreeMap<Ipv4Net, Route>>,
    /// (router, interface) pairs of each cable, and whether it is whole.
    cables: Vec<([(usize, String); 2], bool)>,
    queue: Vec<(usize, Output)>,
    messages: usize,
}

fn net(text: &str) -> Ipv4Net {
    text.parse().unwrap()
}

impl World {
    fn new(settings: Vec<Settings>, cables: &[[(usize, &str); 2]]) -> Self {
        let mut world = Self {
            now: Duration::ZERO,
            speakers: Vec::new(),
            routes: vec![BTreeMap::new(); settings.len()],
            cables: cables
                .iter()
                .map(|ends| (ends.map(|(r, i)| (r, i.to_owned())), true))
                .collect(),
            queue: Vec::new(),
            messages: 0,
        };
        for (at, settings) in settings.into_iter().enumerate() {
            let (speaker, outputs) = Speaker::new(settings, 1_000_000, at as u64 + 7, world.now);
            world.speakers.push(speaker);
            world.queue.extend(outputs.into_iter().map(|output| (at, output)));
        }
        world
    }

    /// Delivers everything that is under way.
    fn settle(&mut self) {
        while !self.queue.is_empty() {
            let (from, output) = self.queue.remove(0);
            match output {
                Output::Install(route) => drop(self.routes[from].insert(route.to, route)),
                Output::Remove(to) => drop(self.routes[from].remove(&to)),
                Output::Send { interface, to, bytes } => {
                    self.messages += 1;
                    assert!(self.messages < 20_000, "the routers never come to rest");
                    let address = self.address(from, &interface);
                    let peer =
                        self.cables.iter().filter(|(_, whole)| *whole).find_map(|(ends, _)| {
                            let other =
                                ends.iter().position(|end| *end == (from, interface.clone()))?;
                            Some(ends[1 - other].clone())
                        });
                    if let Some((peer, there)) = peer
                        && to.is_none_or(|(to, _)| to == self.address(peer, &there))
                    {
                        let more = self.speakers[peer].on_packet(
                            &there,
                            (address, wire::PORT),
                            &bytes,
                            self.now,
                        );
                        self.queue.extend(more.into_iter().map(|output| (peer, output)));
                    }
                }
            }
        }
    }

    fn address(&self, router: usize, interface: &str) -> Ipv4Addr {
        let links = &self.speakers[router].settings().interfaces;
        links.iter().find(|link| link.name == interface).unwrap().address.addr()
    }

    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        self.settle();
        loop {
            let next = self.speakers.iter().map(Speaker::deadline).min().unwrap().max(self.now);
            if next > end {
                break;
            }
            self.now = next;
            for at in 0..self.speakers.len() {
                if self.speakers[at].deadline() <= self.now {
                    let outputs = self.speakers[at].on_timer(self.now);
                    self.queue.extend(outputs.into_iter().map(|output| (at, output)));
                }
            }
            self.settle();
        }
        self.now = end;
    }

    /// Cuts or mends a cable; `noticed` is whose ends see it.
    fn cable(&mut self, at: usize, whole: bool, noticed: &[usize]) {
        self.cables[at].1 = whole;
        for (router, interface) in self.cables[at].0.clone() {
            if noticed.contains(&router) {
                let now = self.now;
                let outputs = match whole {
                    true => self.speakers[router].link_up(&interface, now),
                    false => self.speakers[router].link_down(&interface, now),
                };
                self.queue.extend(outputs.into_iter().map(|output| (router, output)));
            }
        }
        self.settle();
    }

    fn via(&self, router: usize, to: &str) -> Option<(Ipv4Addr, u8)> {
        self.routes[router].get(&net(to)).map(|route| (route.via, route.metric))
    }
}

/// Three routers, each with a LAN 10.0.N.0/24, cables 0-1, 1-2, 2-0.
fn triangle(key: Option<Key>) -> World {
    let interface = |name: &str, address: &str| Interface {
        key: key.clone(),
        ..Interface::new(name, net(address))
    };
    let router = |n: u8, left: &str, right: &str| Settings {
        interfaces: vec![
            Interface { passive: true, ..Interface::new("lan", net(&format!("10.0.{n}.1/24"))) },
            interface("left", left),
            interface("right", right),
        ],
        ..Settings::default()
    };
    World::new(
        vec![
            router(0, "172.16.0.1/30", "172.16.2.2/30"),
            router(1, "172.16.1.1/30", "172.16.0.2/30"),
            router(2, "172.16.2.1/30", "172.16.1.2/30"),
        ],
        &[[(0, "left"), (1, "right")], [(1, "left"), (2, "right")], [(2, "left"), (0, "right")]],
    )
}

fn ip(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

#[test]
fn routers_that_start_know_each_other_at_once() {
    let mut world = triangle(None);
    world.settle();
    assert_eq!(world.via(0, "10.0.1.0/24"), Some((ip("172.16.0.2"), 2)));
    assert_eq!(world.via(0, "10.0.2.0/24"), Some((ip("172.16.2.1"), 2)));
    assert!(world.via(0, "172.16.1.0/30").is_some());
    assert_eq!(world.via(0, "10.0.0.0/24"), None);
}

#[test]
fn a_cut_cable_is_gone_round_within_a_second_and_mended_at_once() {
    let mut world = triangle(None);
    world.pass(Duration::from_secs(60));
    world.cable(0, false, &[0, 1]);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.via(0, "10.0.1.0/24"), Some((ip("172.16.2.1"), 3)));
    assert_eq!(world.via(1, "10.0.0.0/24"), Some((ip("172.16.1.2"), 3)));
    world.cable(0, true, &[0, 1]);
    assert_eq!(world.via(0, "10.0.1.0/24"), Some((ip("172.16.0.2"), 2)));
}

#[test]
fn a_mended_cable_that_only_one_end_sees_and_that_first_loses_packets_is_used_within_seconds() {
    let mut world = triangle(None);
    world.pass(Duration::from_secs(60));
    for cable in [0, 2] {
        world.cable(cable, false, &[0]);
    }
    world.pass(Duration::from_secs(20));
    assert!(world.routes[0].is_empty() && world.via(1, "10.0.0.0/24").is_none());
    let now = world.now;
    for end in ["left", "right"] {
        // The switch does not forward yet: the first greeting is lost.
        drop(world.speakers[0].link_up(end, now));
    }
    world.pass(Duration::from_secs(1));
    world.cables[0].1 = true;
    world.cables[2].1 = true;
    world.pass(Duration::from_secs(3));
    assert_eq!(world.via(0, "10.0.1.0/24"), Some((ip("172.16.0.2"), 2)));
    assert_eq!(world.via(1, "10.0.0.0/24"), Some((ip("172.16.0.1"), 2)));
}

#[test]
fn a_cut_that_only_one_end_sees_is_found_by_asking() {
    let mut world = triangle(None);
    world.pass(Duration::from_secs(60));
    world.cable(0, false, &[0]);
    world.pass(Duration::from_secs(6));
    assert_eq!(world.via(1, "10.0.0.0/24"), Some((ip("172.16.1.2"), 3)));
    assert_eq!(world.via(0, "10.0.1.0/24"), Some((ip("172.16.2.1"), 3)));
}

#[test]
fn a_neighbour_that_never_answers_such_questions_is_not_given_up_early() {
    let link = Interface::new("wan", net("172.16.0.1/24"));
    let (mut speaker, _) = Speaker::new(
        Settings { interfaces: vec![link], ..Settings::default() },
        0,
        1,
        Duration::ZERO,
    );
    let entry = Entry { to: net("10.0.0.0/8"), next_hop: Ipv4Addr::UNSPECIFIED, metric: 1, tag: 0 };
    let bytes = wire::encode(Command::Response, &[entry], None, 0).remove(0);
    speaker.on_packet("wan", (ip("172.16.0.2"), 520), &bytes, Duration::ZERO);
    for second in 0..170 {
        let outputs = speaker.on_timer(Duration::from_secs(second));
        assert!(
            !outputs.iter().any(|output| matches!(output, Output::Remove(_))),
            "after {second} s"
        );
    }
    let outputs = speaker.on_timer(Duration::from_secs(180));
    assert!(outputs.contains(&Output::Remove(net("10.0.0.0/8"))));
}

#[test]
fn a_network_that_is_gone_is_not_counted_to_infinity() {
    let mut world = triangle(None);
    world.pass(Duration::from_secs(60));
    let before = world.messages;
    let outputs = world.speakers[0].link_down("lan", world.now);
    world.queue.extend(outputs.into_iter().map(|output| (0, output)));
    world.pass(Duration::from_secs(2));
    assert!((1..3).all(|router| world.via(router, "10.0.0.0/24").is_none()));
    assert!(world.messages - before < 60, "{}", world.messages - before);
}

#[test]
fn a_silent_router_times_out_where_asking_is_off() {
    let quiet = |n: u8| Settings {
        interfaces: vec![
            Interface::new("lan", net(&format!("10.0.{n}.1/24"))),
            Interface::new("wan", net(&format!("172.16.0.{}/24", n + 1))),
        ],
        timers: Timers { liveness: 0, ..Timers::default() },
        ..Settings::default()
    };
    let mut world = World::new(vec![quiet(0), quiet(1)], &[[(0, "wan"), (1, "wan")]]);
    world.pass(Duration::from_secs(40));
    assert!(world.via(0, "10.0.1.0/24").is_some());
    world.cable(0, false, &[]);
    world.pass(Duration::from_secs(140));
    assert!(world.via(0, "10.0.1.0/24").is_some());
    world.pass(Duration::from_secs(45));
    assert!(world.via(0, "10.0.1.0/24").is_none());
    let unreachable =
        |world: &World| world.speakers[0].table(world.now).iter().any(|r| r.metric == INFINITY);
    assert!(unreachable(&world));
    world.pass(Duration::from_secs(125));
    assert!(!unreachable(&world));
}

#[test]
fn keys_must_agree() {
    let mut world = triangle(Some((1, "right".into())));
    world.settle();
    assert!(world.via(0, "10.0.1.0/24").is_some());
    let mut settings = world.speakers[1].settings().clone();
    for link in &mut settings.interfaces {
        link.key = Some((1, "wrong".into()));
    }
    let (speaker, outputs) = Speaker::new(settings, 1_000_100, 3, world.now);
    world.speakers[1] = speaker;
    world.routes[1].clear();
    world.queue.extend(outputs.into_iter().map(|output| (1, output)));
    world.pass(Duration::from_secs(40));
    assert!(world.routes[1].is_empty());
}

#[test]
fn a_replayed_message_is_dropped() {
    let key = Some((1, "k".into()));
    let link = Interface { key: key.clone(), ..Interface::new("wan", net("172.16.0.1/24")) };
    let settings = Settings { interfaces: vec![link], ..Settings::default() };
    let (mut speaker, _) = Speaker::new(settings, 0, 1, Duration::ZERO);
    let entry =
        |metric| Entry { to: net("10.0.0.0/8"), next_hop: Ipv4Addr::UNSPECIFIED, metric, tag: 0 };
    let message = |metric, sequence| {
        wire::encode(Command::Response, &[entry(metric)], key.as_ref(), sequence).remove(0)
    };
    let from = (ip("172.16.0.2"), wire::PORT);
    assert!(!speaker.on_packet("wan", from, &message(1, 10), Duration::ZERO).is_empty());
    assert!(speaker.on_packet("wan", from, &message(16, 9), Duration::ZERO).is_empty());
    assert!(!speaker.on_packet("wan", from, &message(16, 11), Duration::ZERO).is_empty());
}

#[test]
fn a_default_route_and_static_ones_are_told() {
    let first = Settings {
        interfaces: vec![Interface::new("wan", net("172.16.0.1/24"))],
        redistribute: vec![net("192.0.2.0/24")],
        default_originate: true,
        ..Settings::default()
    };
    let second = Settings {
        interfaces: vec![Interface::new("wan", net("172.16.0.2/24"))],
        ..Settings::default()
    };
    let mut world = World::new(vec![first, second], &[[(0, "wan"), (1, "wan")]]);
    world.settle();
    assert_eq!(world.via(1, "0.0.0.0/0"), Some((ip("172.16.0.1"), 2)));
    assert!(world.via(1, "192.0.2.0/24").is_some());
    let settings = Settings { default_originate: false, ..world.speakers[0].settings().clone() };
    let outputs = world.speakers[0].replace(settings, world.now);
    world.queue.extend(outputs.into_iter().map(|output| (0, output)));
    world.settle();
    assert_eq!(world.via(1, "0.0.0.0/0"), None);
}

#[test]
fn a_passive_interface_is_silent_but_listens() {
    let passive = Interface { passive: true, ..Interface::new("wan", net("172.16.0.1/24")) };
    let settings = Settings { interfaces: vec![passive], ..Settings::default() };
    let (mut speaker, outputs) = Speaker::new(settings, 0, 1, Duration::ZERO);
    assert!(outputs.is_empty());
    assert!(speaker.on_timer(Duration::from_secs(100)).is_empty());
    let entry = Entry { to: net("10.0.0.0/8"), next_hop: Ipv4Addr::UNSPECIFIED, metric: 1, tag: 0 };
    let bytes = wire::encode(Command::Response, &[entry], None, 0).remove(0);
    let outputs =
        speaker.on_packet("wan", (ip("172.16.0.2"), 520), &bytes, Duration::from_secs(100));
    assert!(matches!(outputs[..], [Output::Install(_)]), "{outputs:?}");
}

proptest! {
    #[test]
    fn any_message_at_any_time_leaves_a_live_speaker(
        messages in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..64), 0u64..400, any::<u8>()), 0..60),
    ) {
        let settings = Settings { interfaces: vec![Interface::new("wan", net("172.16.0.1/24"))], ..Settings::default() };
        let (mut speaker, _) = Speaker::new(settings, 0, 1, Duration::ZERO);
        let mut now = Duration::ZERO;
        for (tail, pass, last) in messages {
            now += Duration::from_secs(pass);
            let mut bytes = vec![last % 3, 2, 0, 0, 0, 2, 0, 0];
            bytes.extend(tail);
            bytes.resize(4 + (bytes.len() - 4).div_ceil(20) * 20, last);
            speaker.on_packet("wan", (Ipv4Addr::new(172, 16, 0, last), 520), &bytes, now);
            speaker.on_timer(now);
            speaker.on_timer(now);
            prop_assert!(speaker.deadline() > now);
        }
    }

    /// Whatever cables are cut and mended, the routers come to rest with the right tables.
    #[test]
    fn tables_are_right_after_any_cuts(steps in proptest::collection::vec((0usize..3, any::<bool>(), 0u64..40), 1..12)) {
        let mut world = triangle(None);
        for (cable, whole, pass) in steps {
            world.messages = 0;
            world.cable(cable, whole, &[0, 1, 2]);
            world.pass(Duration::from_secs(pass));
        }
        world.messages = 0;
        world.pass(Duration::from_secs(420));
        let whole: Vec<bool> = world.cables.iter().map(|(_, whole)| *whole).collect();
        for from in 0..3usize {
            for to in (0..3usize).filter(|to| *to != from) {
                // Cable n joins n and n + 1.
                let direct = whole[if (from + 1) % 3 == to { from } else { to }];
                let third = 3 - from - to;
                let joins = |a: usize, b: usize| whole[if (a + 1) % 3 == b { a } else { b }];
                let round = joins(from, third) && joins(third, to);
                let metric = world.via(from, &format!("10.0.{to}.0/24")).map(|(_, metric)| metric);
                let expected = if direct { Some(2) } else if round { Some(3) } else { None };
                prop_assert_eq!(metric, expected, "{} to {}, cables {:?}", from, to, whole);
            }
        }
    }
}
