//! `labctl validate`: every problem of a lab file in one run.

use crate::args::LabFile;
use crate::context::Context;
use crate::failure::{INVALID, Outcome};
use crate::output;
use crate::verbs::lab;

/// Runs the verb.
pub fn run(context: &Context, file: &LabFile, strict: bool) -> Outcome {
    let (report, plan) = match ::lab::load(&file.file, &lab::vars(&file.set)?) {
        Ok(lab) => (lab.warnings, Some(lab.plan)),
        Err(report) => (report, None),
    };
    let (errors, warnings) = report.counts();
    let bad = errors > 0 || (strict && warnings > 0);
    if context.json() {
        output::json(&report.json())?;
        return Ok(if bad { INVALID } else { 0 });
    }
    if !report.diagnostics.is_empty() {
        output::complain(lab::render(&report).trim_end());
    }
    match plan {
        Some(plan) if !bad => {
            output::say(&format!(
                "{} is right: {} on {}, {}, {}{}",
                file.file.display(),
                output::count(plan.nodes.len(), "node"),
                output::count(plan.networks.len(), "network"),
                output::count(plan.checks.len(), "check"),
                output::count(plan.scenarios.len(), "scenario"),
                if warnings > 0 {
                    format!(", {}", output::count(warnings, "warning"))
                } else {
                    String::new()
                },
            ));
            Ok(0)
        }
        _ => Ok(INVALID),
    }
}
