//! A Mermaid sequence diagram.

use crate::story::Story;

use super::frames;

/// The story as Mermaid.
pub fn mermaid(story: &Story) -> String {
    let mut out = String::from("sequenceDiagram\n");
    for (at, node) in story.nodes.iter().enumerate() {
        out.push_str(&format!("    participant n{at} as {}\n", clean(node)));
    }
    let id = |name: &str| story.nodes.iter().position(|node| node == name);
    for step in &story.steps {
        let label = format!("{}: {} [{}]", step.protocol, clean(&step.text), frames(step));
        let Some(from) = id(&step.from) else { continue };
        match id(&step.to) {
            Some(to) => {
                let arrow = match (step.failed, step.from_port.is_some()) {
                    (true, _) => "--x",
                    _ => "->>",
                };
                out.push_str(&format!("    n{from}{arrow}n{to}: {label}\n"));
            }
            None => {
                let hearing = story.audience(step).into_iter().filter_map(id).chain([from]);
                let (first, last) = hearing.fold((from, from), |(a, b), at| (a.min(at), b.max(at)));
                out.push_str(&format!(
                    "    Note over n{first},n{last}: {} to everybody, {label}\n",
                    clean(&step.from)
                ));
            }
        }
    }
    out
}

/// A text that Mermaid takes as text.
fn clean(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '#' => "#35;".to_owned(),
            ';' => "#59;".to_owned(),
            ':' => "#58;".to_owned(),
            '<' => "#lt;".to_owned(),
            '>' => "#gt;".to_owned(),
            c if c.is_control() => String::new(),
            c => c.to_string(),
        })
        .collect()
}
