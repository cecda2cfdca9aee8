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
            let tested = [$($file),*];
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
