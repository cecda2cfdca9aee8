//! The ladder in a terminal: one column a node, one line a step.

use std::collections::BTreeSet;

use crate::story::{Step, Story};

use super::frames;

/// How the ladder is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// With ANSI colours.
    pub color: bool,
    /// With a sentence for each step.
    pub explain: bool,
    /// With details: the text of messages, header fields, every link a packet crossed.
    pub detail: bool,
}

/// The widest column of a node.
const MAX_COLUMN: usize = 16;
/// The widest ladder; with more nodes the steps are told in words only.
const MAX_WIDTH: usize = 100;

/// Draws the story.
pub fn ladder(story: &Story, style: Style) -> String {
    let mut out = String::new();
    if !story.title.is_empty() {
        out.push_str(&format!("{}\n\n", story.title));
    }
    if story.steps.is_empty() {
        out.push_str("nothing was seen\n");
        return out;
    }
    let longest = story.nodes.iter().map(|node| node.chars().count()).max().unwrap_or(0);
    let column = (longest + 2).clamp(8, MAX_COLUMN);
    let drawn = column * story.nodes.len() <= MAX_WIDTH;
    if drawn {
        let names: String = story.nodes.iter().map(|node| center(node, column)).collect();
        out.push_str(&format!("{:>10}  {names}\n", ""));
    }
    // What a router rewrites is told once a connection, not once a packet.
    let mut told = BTreeSet::new();
    for step in &story.steps {
        line(story, step, style, drawn.then_some(column), &mut told, &mut out);
    }
    if story.dropped > 0 {
        out.push_str(&format!("\n{} frames were dropped: the story has gaps\n", story.dropped));
    }
    out
}

fn center(text: &str, width: usize) -> String {
    let text: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{text:^width$}")
}

fn line<'a>(
    story: &Story,
    step: &'a Step,
    style: Style,
    column: Option<usize>,
    told: &mut BTreeSet<(&'a str, &'a str)>,
    out: &mut String,
) {
    let (on, off) = if style.color { (color(step), "\x1b[0m") } else { ("", "") };
    let dim = if style.color { "\x1b[2m" } else { "" };
    let picture = match column {
        Some(column) => arrow(story, step, column),
        None => format!("{} → {}", step.from, step.to),
    };
    let ports = match (step.protocol.as_str(), step.to_port, step.from_port) {
        ("tcp" | "udp" | "dns" | "dhcp" | "rip", Some(to), Some(from)) => format!(" {from}→{to}"),
        _ => String::new(),
    };
    let mark = match (step.failed, step.decrypted) {
        (true, true) => " (in TLS) ✗",
        (true, false) => " ✗",
        (false, true) => " (in TLS)",
        (false, false) => "",
    };
    out.push_str(&format!(
        "{:>8.1} ms {on}{picture}{off} {on}{:<5}{off} {}{mark}{dim}{ports}  [{}]{off}\n",
        step.at_ms,
        step.protocol,
        step.text,
        frames(step)
    ));
    let margin = " ".repeat(12 + column.map_or(0, |column| column * story.nodes.len()));
    if style.explain && !step.explain.is_empty() {
        out.push_str(&format!("{margin}{dim}      {}{off}\n", step.explain));
    }
    for hop in &step.hops {
        for rewritten in &hop.rewritten {
            if told.insert((hop.from.as_str(), rewritten.as_str())) {
                out.push_str(&format!("{margin}      {dim}{}: {rewritten}{off}\n", hop.from));
            }
        }
    }
    if style.detail {
        if step.hops.len() > 1 {
            for hop in &step.hops {
                out.push_str(&format!(
                    "{margin}      {dim}on {}: {} → {}, TTL {}, {} → {} [{}]{off}\n",
                    hop.network, hop.from, hop.to, hop.ttl, hop.from_mac, hop.to_mac, hop.frame
                ));
            }
        }
        for detail in &step.detail {
            out.push_str(&format!("{margin}      {dim}│ {detail}{off}\n"));
        }
    }
}

/// The lifelines with the step's arrow.
fn arrow(story: &Story, step: &Step, column: usize) -> String {
    let width = column * story.nodes.len();
    let mut cells = vec![' '; width];
    let place = |name: &str| {
        story.nodes.iter().position(|node| node == name).map(|at| at * column + column / 2)
    };
    for at in 0..story.nodes.len() {
        cells[at * column + column / 2] = '│';
    }
    let from = place(&step.from);
    let ends = match (from, step.to.as_str()) {
        (Some(from), "*") => {
            // To everybody: in both directions as far as there are nodes on the network.
            let hearing: Vec<usize> =
                story.audience(step).into_iter().filter_map(place).chain([from]).collect();
            let first = hearing.iter().copied().min().unwrap_or(from);
            let last = hearing.iter().copied().max().unwrap_or(from);
            fill(&mut cells, first, last, '─');
            if first != from {
                cells[first] = '◀';
            }
            if last != from {
                cells[last] = '▶';
            }
            cells[from] = '●';
            return cells.into_iter().collect();
        }
        (Some(from), to) => place(to).map(|to| (from, to)),
        _ => None,
    };
    match ends {
        Some((from, to)) if from == to => cells[from] = '◆',
        Some((from, to)) => {
            fill(&mut cells, from.min(to), from.max(to), '─');
            cells[from] = if from < to { '├' } else { '┤' };
            cells[to] = if step.failed {
                '✗'
            } else if from < to {
                '▶'
            } else {
                '◀'
            };
        }
        None => {}
    }
    cells.into_iter().collect()
}

fn fill(cells: &mut [char], first: usize, last: usize, with: char) {
    for cell in &mut cells[first + 1..last.max(first + 1)] {
        *cell = if *cell == '│' { '┼' } else { with };
    }
}

fn color(step: &Step) -> &'static str {
    if step.failed {
        return "\x1b[31m";
    }
    match step.protocol.as_str() {
        "arp" => "\x1b[33m",
        "dns" => "\x1b[36m",
        "dhcp" => "\x1b[35m",
        "icmp" => "\x1b[34m",
        "smtp" | "pop3" | "imap" => "\x1b[32m",
        "http" => "\x1b[94m",
        "tls" => "\x1b[95m",
        _ => "\x1b[37m",
    }
}
