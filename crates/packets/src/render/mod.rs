//! A story for people: in a terminal, as Mermaid, as a page.

mod html;
mod ladder;
mod mermaid;
mod table;

pub use html::{Picture, html};
pub use ladder::{Style, ladder};
pub use mermaid::mermaid;
pub use table::ports_table;

use crate::story::Step;

/// Frame numbers as ranges: `1-3, 7`.
pub(crate) fn frames(step: &Step) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for frame in &step.frames {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *frame => *last = *frame,
            _ => ranges.push((*frame, *frame)),
        }
    }
    let text = ranges.iter().map(|(a, b)| if a == b { a.to_string() } else { format!("{a}-{b}") });
    text.collect::<Vec<_>>().join(", ")
}
