//! Stories told from frames, and what is drawn of them.

mod wire;

use packets::render::{Picture, Style, html, ladder, mermaid, ports_table};
use packets::story::{Story, ports, tell};
use packets::{Batch, Capture, Filter, dissect::dissect, merge};
use wire::{World, ethernet, ipv4, mac, mail_story, tcp, topology, udp};

fn lines(story: &Story) -> Vec<String> {
    story.steps.iter().map(|s| format!("{} {}→{} {}", s.protocol, s.from, s.to, s.text)).collect()
}

#[test]
fn a_mail_is_told_in_order_and_followed_hop_by_hop() {
    let story = tell(&mail_story(), &topology());
    assert_eq!(
        lines(&story),
        [
            "arp pc0→* who has 10.0.1.1? tell 10.0.1.2",
            "arp r1→pc0 10.0.1.1 is at 02:00:00:00:00:02",
            "dns pc0→mail A? mail.com.",
            "dns mail→pc0 A mail.com.: 10.0.2.5",
            "tcp pc0→mail opens a connection to port 25 (SMTP)",
            "smtp mail→pc0 220 mail.com ESMTP",
            "smtp pc0→mail EHLO pc0",
            "smtp mail→pc0 250-mail.com",
            "smtp pc0→mail MAIL FROM:<a@mail.com>",
            "smtp mail→pc0 250 2.1.0 ok",
            "smtp pc0→mail RCPT TO:<b@mail.com>",
            "smtp mail→pc0 250 2.1.5 ok",
            "smtp pc0→mail DATA",
            "smtp mail→pc0 354 go on",
            "smtp pc0→mail the message (3 lines)",
            "smtp mail→mail puts the message on disk",
            "smtp mail→pc0 250 2.0.0 kept",
            "smtp pc0→mail QUIT",
            "smtp mail→pc0 221 bye",
            "tcp pc0→mail closes the connection",
        ]
    );
    let opening = &story.steps[4];
    // SYN, SYN-ACK and ACK, each on two links.
    assert_eq!(opening.frames.len(), 6);
    assert_eq!(opening.to_port, Some(25));
    let way: Vec<_> = opening
        .hops
        .iter()
        .map(|h| (h.network.as_str(), h.from.as_str(), h.to.as_str(), h.ttl))
        .collect();
    assert_eq!(way, [("lan", "pc0", "r1", 64), ("dmz", "r1", "mail", 63)]);
    assert_eq!(story.steps[14].detail, ["Subject: Hello", "", "How are <b>you</b>?"]);
    assert!(story.steps.iter().all(|step| !step.explain.is_empty() && !step.failed));
    // Every frame but the bare acknowledgments has its step.
    let named: std::collections::BTreeSet<usize> =
        story.steps.iter().flat_map(|step| step.frames.iter().copied()).collect();
    assert_eq!(story.frames.len(), merge(&mail_story()).len());
    assert_eq!(named.into_iter().collect::<Vec<_>>(), (1..=story.frames.len()).collect::<Vec<_>>());
}

#[test]
fn a_service_that_is_off_and_a_host_that_is_off_look_different() {
    let mut world = World::default();
    world.across(true, 6, &tcp(40_001, 110, 1, 0, 2, &[]));
    world.across(false, 6, &tcp(110, 40_001, 0, 2, 20, &[]));
    world.across(true, 6, &tcp(40_002, 143, 1, 0, 2, &[]));
    world.across(true, 6, &tcp(40_002, 143, 1, 0, 2, &[]));
    let story = tell(&world.captures(), &topology());
    assert_eq!(
        lines(&story),
        [
            "tcp pc0→mail opens a connection to port 110 (POP3)",
            "tcp mail→pc0 refuses the connection on port 110",
            "tcp pc0→mail opens a connection to port 143 (IMAP): no answer",
        ]
    );
    assert!(story.steps[1].failed && story.steps[2].failed);
    assert_eq!(story.steps[2].frames.len(), 4);
}

#[test]
fn a_packet_that_a_router_rewrites_is_one_in_both_directions() {
    let mut world = World::default();
    let (pc, router, mail) = ([10, 0, 1, 2], [10, 0, 2, 1], [10, 0, 2, 5]);
    let there = |source, port, ttl| ipv4(source, mail, ttl, 9, 17, &udp(port, 7, b"question"));
    world.on_lan(true, &ethernet(1, mac(2), 0x0800, &there(pc, 5_000, 64)));
    world.on_dmz(true, &ethernet(3, mac(4), 0x0800, &there(router, 40_000, 63)));
    let back = |to, port, ttl| ipv4(mail, to, ttl, 10, 17, &udp(7, port, b"answer"));
    world.on_dmz(false, &ethernet(4, mac(3), 0x0800, &back(router, 40_000, 64)));
    world.on_lan(false, &ethernet(2, mac(1), 0x0800, &back(pc, 5_000, 63)));
    // Another of the same content that no router sent on is another packet.
    world.on_dmz(false, &ethernet(4, mac(3), 0x0800, &back(router, 40_000, 64)));
    let story = tell(&world.captures(), &topology());
    assert_eq!(story.steps.len(), 3, "{:#?}", lines(&story));
    let [there, back, other] = [&story.steps[0], &story.steps[1], &story.steps[2]];
    assert_eq!((there.from.as_str(), there.to.as_str(), there.frames.len()), ("pc0", "mail", 2));
    assert_eq!(there.hops[1].rewritten, ["source rewritten 10.0.1.2:5000 → 10.0.2.1:40000"]);
    assert_eq!((back.from.as_str(), back.to.as_str(), back.to_port), ("mail", "pc0", Some(5_000)));
    assert_eq!(back.hops[1].rewritten, ["destination rewritten 10.0.2.1:40000 → 10.0.1.2:5000"]);
    assert_eq!((other.to.as_str(), other.hops.len()), ("r1", 1));
    let text = ladder(&story, Style::default());
    assert!(text.contains("r1: source rewritten 10.0.1.2:5000 → 10.0.2.1:40000"), "{text}");
}

#[test]
fn fragments_are_one_packet_whatever_their_order() {
    let datagram = udp(5_000, 7, &[b'x'; 56]);
    let fragment = |from: usize, to: usize, more: bool| {
        let mut packet = ipv4([10, 0, 1, 2], [10, 0, 1, 1], 64, 3, 17, &datagram[from..to]);
        let word = u16::try_from(from / 8).unwrap() | if more { 0x2000 } else { 0 };
        packet[6..8].copy_from_slice(&word.to_be_bytes());
        ethernet(1, mac(2), 0x0800, &packet)
    };
    let tell_all = |pieces: &[Vec<u8>]| {
        let mut world = World::default();
        for piece in pieces {
            world.on_lan(true, piece);
        }
        tell(&world.captures(), &topology())
    };
    let (a, b, c) = (fragment(0, 24, true), fragment(24, 48, true), fragment(48, 64, false));
    for order in [[&a, &b, &c], [&c, &b, &a], [&b, &c, &a]] {
        let story = tell_all(&order.map(Clone::clone));
        assert_eq!(lines(&story), ["udp pc0→r1 port 5000 to port 7, 56 bytes"], "{story:#?}");
        assert_eq!(story.steps[0].frames, [1, 2, 3]);
        let last = &story.frames[2];
        assert_eq!(last.layers.iter().filter(|layer| layer.name == "Reassembled").count(), 1);
        assert!(story.frames[..2].iter().all(|frame| frame.protocol == "ipv4"));
    }
    // One is missing, or two overlap: nothing is told.
    assert!(tell_all(&[a.clone(), c.clone()]).steps.is_empty());
    assert!(tell_all(&[a, fragment(16, 48, true), b, c]).steps.is_empty());
}

#[test]
fn ports_are_the_homeworks_answer() {
    let story = tell(&mail_story(), &topology());
    let table: Vec<_> = ports(&story)
        .into_iter()
        .map(|p| (p.service, p.transport, p.port, p.servers, p.clients))
        .collect();
    let one = |name: &str| vec![name.to_owned()];
    let row = |service: &str, transport: &str, port| {
        (service.to_owned(), transport.to_owned(), port, one("mail"), one("pc0"))
    };
    assert_eq!(table, [row("smtp", "tcp", 25), row("dns", "udp", 53)]);
    assert!(ports_table(&story).contains("SMTP     25    TCP"), "{}", ports_table(&story));
}

#[test]
fn filters_pass_what_they_say() {
    let merged = merge(&mail_story());
    let count = |text: &str| {
        let filter = Filter::parse(text).unwrap();
        merged.iter().filter(|sighting| filter.passes(sighting, &dissect(&sighting.data))).count()
    };
    assert_eq!(count("arp"), 2);
    assert_eq!(count("dns and network lan"), 2);
    assert_eq!(count("tcp port 25") + count("not tcp port 25"), merged.len());
    assert_eq!(
        count("smtp and src host 10.0.2.5 and node mail"),
        count("tcp src port 25 and network dmz")
    );
    assert_eq!(count("host 192.168.9.9"), 0);
}

#[test]
fn the_drawings_hold_the_story_and_nothing_foreign() {
    let story = tell(&mail_story(), &topology());
    let text = ladder(&story, Style { color: false, explain: true, detail: true });
    assert!(text.contains("DATA") && text.contains("on dmz: r1 → mail, TTL 63"), "{text}");
    assert!(!text.contains('\u{1b}'));
    assert!(ladder(&story, Style { color: true, ..Style::default() }).contains("\u{1b}[32m"));
    let diagram = mermaid(&story);
    assert!(diagram.starts_with("sequenceDiagram\n    participant n0 as pc0\n"));
    assert!(diagram.contains("n0->>n2: smtp: MAIL FROM#58;#lt;a@mail.com#gt;"), "{diagram}");
    let page = html(&story, &Picture::default()).unwrap();
    // What was captured cannot become part of the page.
    assert!(!page.contains("<b>you</b>"));
    assert!(page.contains("\\u003cb>you"));
    for foreign in ["src=\"http", "href=\"http", "@import", "url("] {
        assert!(!page.contains(foreign), "{foreign}");
    }
}

#[test]
fn any_frames_make_a_story() {
    use proptest::prelude::*;
    let mut runner = proptest::test_runner::TestRunner::default();
    let cuts = (0_usize..200, 0_usize..2_000, any::<u8>());
    runner
        .run(&cuts, |(cut, at, byte)| {
            let mut captures = mail_story();
            for capture in &mut captures {
                let mut spoilt = Capture::new(capture.node.clone());
                for frame in capture.frames() {
                    let mut data = frame.data.to_vec();
                    let n = data.len();
                    data[at % n] = byte;
                    data.truncate(n.saturating_sub(cut % 40));
                    let mut batch = Batch::new(frame.network, frame.interface);
                    batch.push(frame.at_ns, frame.outgoing, frame.length, &data);
                    spoilt.add(batch);
                }
                *capture = spoilt;
            }
            let story = tell(&captures, &topology());
            let _ = ladder(&story, Style::default());
            Ok(())
        })
        .unwrap();
}

/// Writes what the example `story` reads, where asked to: for looking at the drawings.
#[test]
fn the_captures_travel_as_json() {
    let captures = mail_story();
    let text = serde_json::to_string(&captures).unwrap();
    let back: Vec<packets::Capture> = serde_json::from_str(&text).unwrap();
    assert_eq!(back, captures);
    if let Some(folder) = std::env::var_os("LABCTL_STORY") {
        let folder = std::path::Path::new(&folder);
        std::fs::write(folder.join("captures.json"), text).unwrap();
        std::fs::write(folder.join("topology.json"), serde_json::to_string(&topology()).unwrap())
            .unwrap();
    }
}
