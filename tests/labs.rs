//! Every lab of labs/ is green on every engine, and every wrong variant is found out.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "tests say what broke by panicking"
)]

mod common;

use common::{Labctl, engines, usable};

fn green(lab: &str) {
    for engine in engines() {
        let labctl = Labctl::new(engine, lab);
        let file = format!("labs/{lab}.yaml");
        let ran = labctl.run(&["up", &file]);
        assert_eq!(ran.code, 0, "{lab} on {engine}:\n{}\n{}", ran.out, ran.err);
        assert!(ran.out.contains("passed"), "{}", ran.out);
        labctl.ok(&["down"]);
    }
}

fn found_out(lab: &str) {
    if !usable("embedded") {
        return;
    }
    let labctl = Labctl::new("embedded", &format!("{lab}-wrong"));
    let file = format!("labs/{lab}.yaml");
    let ran = labctl.run(&["test-lab", &file]);
    assert_eq!(ran.code, 0, "{lab}:\n{}\n{}", ran.out, ran.err);
}

macro_rules! labs {
    ($($name:ident $file:literal)*) => {
        /// Up to all checks and scenarios, on Docker and embedded.
        mod green {
            $(#[test] fn $name() { super::green($file); })*
        }

        /// `labctl test-lab`.
        mod wrong {
            $(#[test] fn $name() { super::found_out($file); })*
        }

        #[test]
        fn every_lab_has_its_tests() {
            // `foreign` needs an image and has a test of its own (tests/foreign.rs).
            let tested = [$($file,)* "foreign"];
            for entry in std::fs::read_dir(common::root().join("labs")).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_some_and(|name| name == "yaml") {
                    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
                    assert!(tested.contains(&name.as_str()), "labs/{name}.yaml has no test");
                    assert!(path.with_extension("md").exists(), "labs/{name}.md is missing");
                }
            }
        }
    };
}

labs! {
    mail_local "mail-local"
    lab06 "lab06"
    mastertech "mastertech"
    djelfa "djelfa"
    djelfa_homework "djelfa-homework"
    vaamonde "vaamonde"
    smart "smart"
}

/// Every example of `docs/checks.md` in one lab: it passes, and its wrong variants are found out.
#[test]
fn every_example_of_the_page_on_checks_holds() {
    if !usable("embedded") {
        return;
    }
    let page = std::fs::read_to_string(common::root().join("docs/checks.md")).unwrap();
    let mut blocks = page.split("\n```yaml\n").skip(1).map(|b| b.split("\n```").next().unwrap());
    let mut lab = blocks.next().unwrap().to_owned() + "\nchecks:\n";
    let mut rest = String::new();
    let mut checks = 0;
    for block in blocks {
        if block.starts_with("- ") {
            for line in block.lines() {
                checks += usize::from(line.starts_with("- "));
                lab.push_str(&format!("  {line}\n"));
            }
        } else {
            rest.push_str(block);
            rest.push('\n');
        }
    }
    assert!(checks > 25, "{checks}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("page.yaml");
    std::fs::write(&file, lab + &rest).unwrap();
    let labctl = Labctl::new("embedded", "page");
    let ran = labctl.run(&["test-lab", file.to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{}\n{}", ran.out, ran.err);
    // The lab itself has all of its points.
    let right = ran.out.lines().find(|line| line.contains("shown")).unwrap_or_default();
    let points: Vec<&str> = right.split_whitespace().rev().take(4).collect();
    assert!(matches!(points[..], ["points", all, "of", earned] if all == earned), "{}", ran.out);
}
