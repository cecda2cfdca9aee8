//! Every example of docs/checks.md is a valid part of a lab, and every kind has one.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::Path;

fn blocks(page: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for line in page.lines() {
        match (&mut open, line) {
            (None, "```yaml") => open = Some(String::new()),
            (Some(_), "```") => blocks.extend(open.take()),
            (Some(text), line) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, _) => {}
        }
    }
    blocks
}

#[test]
fn every_example_is_valid_and_every_kind_has_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/checks.md");
    let blocks = blocks(&std::fs::read_to_string(path).unwrap());
    let (base, examples) = blocks.split_first().unwrap();
    let mut checks = String::from("checks:\n");
    let mut rest = String::new();
    for example in examples {
        if example.starts_with("- ") {
            for line in example.lines() {
                checks.push_str(&format!("  {line}\n"));
            }
        } else {
            rest.push_str(example);
        }
    }
    let text = format!("{base}{checks}{rest}");
    let lab = lab::load_text("docs/checks.md", &text, None, &lab::Vars::default());
    let lab = lab.unwrap_or_else(|report| panic!("{report}"));
    let plan = lab.plan();
    for word in lab::check::Kind::WORDS.iter().filter(|word| **word != "path") {
        assert!(plan.checks.iter().any(|check| check.kind.word() == *word), "no example of {word}");
    }
    assert_eq!((plan.scenarios.len(), plan.wrong.len()), (1, 2));
    for wrong in &plan.wrong {
        lab.patched(&wrong.patch).unwrap_or_else(|report| panic!("{}: {report}", wrong.name));
    }
}
