//! Every lab of `labs/` is good.

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
        let lab = lab::load(&path, &lab::Vars::new()).unwrap_or_else(|report| panic!("{}", report.render(false, 100)));
        assert!(lab.warnings.diagnostics.is_empty(), "{}", lab.warnings.render(false, 100));
        assert!(lab.plan.wrong.len() >= 5, "{}: five wrong variants at least", path.display());
        for wrong in &lab.plan.wrong {
            let patched = lab.patched(&wrong.patch).unwrap_or_else(|report| panic!("{}: {report}", wrong.name));
            assert!(!wrong.actions.is_empty() || patched.plan != lab.plan, "{}: changes nothing", wrong.name);
        }
    }
}
