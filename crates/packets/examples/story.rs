//! Tells the story of captures: `story CAPTURES.json TOPOLOGY.json ladder|json|mermaid|html|ports`.

use std::io::Write;

use packets::render::{Picture, Style, html, ladder, mermaid, ports_table};
use packets::{Capture, Topology, story};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, captures, topology, form] = arguments.as_slice() else {
        return Err(
            "usage: story CAPTURES.json TOPOLOGY.json ladder|json|mermaid|html|ports".into()
        );
    };
    let captures: Vec<Capture> = serde_json::from_slice(&std::fs::read(captures)?)?;
    let topology: Topology = serde_json::from_slice(&std::fs::read(topology)?)?;
    let story = story::tell(&captures, &topology);
    let text = match form.as_str() {
        "json" => serde_json::to_string_pretty(&story)?,
        "mermaid" => mermaid(&story),
        "html" => html(&story, &Picture::default())?,
        "ports" => ports_table(&story),
        _ => ladder(
            &story,
            Style { color: form == "color", explain: form == "explain", detail: form == "detail" },
        ),
    };
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(())
}
