//! Every lab of `labs/` is good.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::path::Path;

fn labs() -> Vec<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../labs");
    let mut labs: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .collect();
    labs.sort();
    labs
}

#[test]
fn every_lab_loads_without_a_warning_and_its_wrong_variants_do_too() {
    for path in labs() {
        let lab = lab::load(&path, &lab::Vars::new())
            .unwrap_or_else(|report| panic!("{}", report.render(false, 100)));
        assert!(lab.warnings.diagnostics.is_empty(), "{}", lab.warnings.render(false, 100));
        // A lab with an image of somebody else runs on Docker only, and has a test of its own.
        let foreign = lab.plan.nodes.iter().any(|node| node.image.is_some());
        let wrong = lab.plan.wrong.len();
        assert!(wrong >= 5 || foreign, "{}: five wrong variants at least", path.display());
        for wrong in &lab.plan.wrong {
            let patched = lab
                .patched(&wrong.patch)
                .unwrap_or_else(|report| panic!("{}: {report}", wrong.name));
            assert!(
                !wrong.actions.is_empty() || patched.plan != lab.plan,
                "{}: changes nothing",
                wrong.name
            );
        }
    }
}

fn root() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_lab_at_the_top_is_lab06() {
    let top = std::fs::read_to_string(root().join("lab.yaml")).unwrap();
    let own = std::fs::read_to_string(root().join("labs/lab06.yaml")).unwrap();
    let body = |text: &str| text.lines().skip(2).collect::<Vec<_>>().join("\n");
    assert_eq!(body(&top), body(&own));
}

#[test]
fn every_lab_is_a_starter_with_a_page_and_names_its_schema() {
    let names: Vec<&str> = lab::starters().iter().map(|s| s.name).collect();
    for path in labs() {
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(names.contains(&name), "{name} is no starter");
        assert!(path.with_extension("md").exists(), "{name} has no page");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            text.starts_with("# yaml-language-server: $schema=../schema/lab.schema.json\n"),
            "{name}"
        );
        assert_eq!(lab::starter(name).unwrap().text, text);
    }
    assert_eq!(names.len(), labs().len());
}

#[test]
fn the_committed_schema_is_that_of_the_types() {
    let path = root().join("schema/lab.schema.json");
    let text = format!("{:#}\n", lab::schema());
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    assert!(std::fs::read_to_string(&path).unwrap() == text, "run this test with UPDATE_SCHEMA=1");
}
