//! From a lab file to what an engine is told.

use std::path::Path;

use ::lab::{Lab, Plan, Vars};
use deploy::Document;

use crate::args::Format;
use crate::context::{Context, Running, pairs};
use crate::failure::{Failure, INVALID};
use crate::output;

/// Loads a lab file; errors are a failure that shows them all.
pub fn load(file: &Path, set: &[String]) -> Result<Lab, Failure> {
    ::lab::load(file, &vars(set)?).map_err(|report| Failure {
        code: INVALID,
        message: render(&report),
        help: None,
        rendered: true,
    })
}

/// `--set KEY=VALUE` options as variables.
pub fn vars(set: &[String]) -> Result<Vars, Failure> {
    Ok(pairs(set)?.into_iter().collect())
}

/// A report for people.
pub fn render(report: &::lab::Report) -> String {
    let width = terminal_size::terminal_size().map_or(100, |(width, _)| usize::from(width.0));
    report.render(true, width)
}

/// Loads a lab file for a verb that works with its plan; warnings go to standard error.
pub fn plan(context: &Context, file: &Path, set: &[String]) -> Result<Plan, Failure> {
    let Lab { plan, warnings, .. } = load(file, set)?;
    if !warnings.diagnostics.is_empty()
        && !context.global.quiet
        && context.global.output == Format::Table
    {
        output::complain(render(&warnings).trim_end());
    }
    Ok(plan)
}

/// The document of a running instance.
pub async fn document(running: &Running) -> Result<Document, Failure> {
    Ok(Document::of(running.engine.as_ref(), &running.name).await?)
}

/// An instance's name, or what is wrong with it.
pub fn instance(name: &str) -> Result<String, Failure> {
    let fine = !name.is_empty()
        && name.len() <= 48
        && !name.starts_with('-')
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    if fine {
        return Ok(name.to_owned());
    }
    Err(Failure::usage(format!("`{name}` cannot be an instance's name"))
        .help("lower-case letters, digits and dashes, at most 48"))
}
