//! Stories told from frames, and what is drawn of them.

mod wire;

use packets::render::{Style, html, ladder, mermaid, ports_table};
use packets::story::{Story, ports, tell};
use packets::{Filter, dissect::dissect, merge};
use wire::{World, mail_story, tcp, topology};

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
    let page = html(&story).unwrap();
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
                for frame in &mut capture.frames {
                    let n = frame.data.len();
                    frame.data[at % n] = byte;
                    frame.data.truncate(n.saturating_sub(cut % 40));
                }
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
