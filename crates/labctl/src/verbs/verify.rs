//! `labctl verify`: the checks of a running lab, and how their results are shown.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use ::lab::Plan;
use checks::{Event, Outcome as Checked, Report, Verdict};
use engine::Changes;
use pictures::{Mark, Topology};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::args::{MaybeLabFile, Selection};
use crate::context::{Context, Running};
use crate::failure::{Failure, INTERRUPTED, Outcome};
use crate::progress::Progress;
use crate::verbs::{lab, ready};
use crate::{interrupt, output};

/// Runs the verb.
pub async fn run(
    context: &Context,
    file: &MaybeLabFile,
    selection: &Selection,
    watch: bool,
) -> Outcome {
    let running = context.running().await?;
    let plan = match &file.file {
        Some(path) => lab::plan(context, path, &file.set)?,
        None => lab::document(&running).await?.plan,
    };
    let stop = interrupt::token();
    let names: Vec<String> = plan.nodes.iter().map(|node| node.name.clone()).collect();
    ready::settle(running.engine.as_ref(), &running.name, &names).await;
    if !watch {
        return check(context, &running, &plan, selection, None, stop).await;
    }
    // Verdicts as they were; only what changes is shown again.
    let mut before: BTreeMap<String, Verdict> = BTreeMap::new();
    loop {
        let report = examine(context, &running, &plan, selection, &stop, true).await;
        if stop.is_cancelled() {
            return Ok(INTERRUPTED);
        }
        let now = jiff::Timestamp::now().strftime("%T").to_string();
        for outcome in &report.outcomes {
            if before.insert(outcome.name.clone(), outcome.verdict) != Some(outcome.verdict) {
                if context.json() {
                    output::json_line(outcome)?;
                } else {
                    output::say(&format!("{now}  {}", one_line(outcome)));
                }
            }
        }
    }
}

/// Runs the checks and shows the report; the exit code is the report's.
pub async fn check(
    context: &Context,
    running: &Running,
    plan: &Plan,
    selection: &Selection,
    changes: Option<&Changes>,
    stop: CancellationToken,
) -> Outcome {
    let report = examine(context, running, plan, selection, &stop, context.global.quiet).await;
    // `labctl graph` shows it. A report of some checks only says nothing of the others.
    if let (true, Some(path)) =
        (selection.only.is_empty(), crate::state::file(&running.name, "report.json"))
    {
        let _ = std::fs::write(path, checks::report::json(&report));
    }
    for path in &selection.report {
        write(path, &report, plan)?;
    }
    if context.json() {
        output::json(&json!({
            "schema": 1,
            "instance": running.name,
            "engine": running.engine.name(),
            "changes": changes,
            "report": report,
        }))?;
    } else {
        show(&report);
    }
    if report.outcomes.is_empty() && !report.interrupted && !selection.only.is_empty() {
        return Err(Failure::new(crate::failure::NOTHING, "no check has this name or group").help(
            format!(
                "the lab has: {}",
                plan.checks.iter().map(|check| check.name.as_str()).collect::<Vec<_>>().join(", ")
            ),
        ));
    }
    Ok(if report.interrupted { INTERRUPTED } else { report.exit_code() })
}

pub async fn examine(
    context: &Context,
    running: &Running,
    plan: &Plan,
    selection: &Selection,
    stop: &CancellationToken,
    quiet: bool,
) -> Report {
    let options = checks::Options {
        only: selection.only.clone(),
        scenarios: !selection.no_scenarios,
        cancel: stop.clone(),
        ..checks::Options::default()
    };
    let progress = Progress::new(quiet || context.json());
    // A pipe gets one line a check, when it is done; a terminal sees what is being tried.
    let tried: Mutex<BTreeMap<String, u32>> = Mutex::default();
    let report =
        checks::verify(
            plan,
            running.engine.as_ref(),
            &running.name,
            &options,
            &|event| match event {
                Event::Started { name } if output::live() => progress.event(&name, "trying", false),
                Event::Attempt { name, why, .. } if output::live() => {
                    let mut tried = tried.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    *tried.entry(name.clone()).or_default() += 1;
                    progress.event(&name, &format!("again: {why}"), false);
                }
                Event::Finished(outcome) => {
                    progress.event(&outcome.name, word(outcome.verdict), true);
                }
                Event::Step { scenario, outcome } => {
                    progress.event(&scenario, &outcome.name, false)
                }
                Event::Started { .. } | Event::Attempt { .. } => {}
            },
        )
        .await;
    progress.clear();
    report
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Blocked => "blocked",
        Verdict::Error => "error",
    }
}

fn style(verdict: Verdict) -> anstyle::Style {
    match verdict {
        Verdict::Pass => output::GREEN,
        Verdict::Fail => output::RED,
        Verdict::Blocked | Verdict::Error => output::YELLOW,
    }
}

fn one_line(outcome: &Checked) -> String {
    let (style, plain) = (style(outcome.verdict), output::PLAIN);
    format!("{style}{:>7}{plain}  {}  {}", word(outcome.verdict), outcome.name, outcome.message)
}

/// The report for people: one line a check, what failed explained below, a summary at the end.
pub fn show(report: &Report) {
    let width =
        report.outcomes.iter().map(|outcome| outcome.name.chars().count()).max().unwrap_or(0);
    let mut group = None;
    for outcome in &report.outcomes {
        if outcome.group != group {
            if let Some(name) = &outcome.group {
                let (bold, plain) = (output::BOLD, output::PLAIN);
                output::say(&format!("{bold}{name}{plain}"));
            }
            group.clone_from(&outcome.group);
        }
        let (style, plain, dim) = (style(outcome.verdict), output::PLAIN, output::DIM);
        let time = format!("{:.2}s", outcome.seconds);
        output::say(&format!(
            "{style}{:>7}{plain} {time:>7}  {:width$}  {dim}{}{plain}",
            word(outcome.verdict).to_uppercase(),
            outcome.name,
            outcome.message,
        ));
        for step in &outcome.steps {
            let (style, plain) = (self::style(step.verdict), output::PLAIN);
            output::say(&format!(
                "                 {style}{}{plain} {}  {dim}{}{plain}",
                if step.verdict == Verdict::Pass { "✓" } else { "✗" },
                step.name,
                step.message,
            ));
        }
    }
    for outcome in report.outcomes.iter().filter(|outcome| outcome.verdict != Verdict::Pass) {
        explain(outcome);
        for step in outcome.steps.iter().filter(|step| step.verdict != Verdict::Pass) {
            explain(step);
        }
    }
    let count =
        |verdict| report.outcomes.iter().filter(|outcome| outcome.verdict == verdict).count();
    let mut parts = vec![format!("{} passed", count(Verdict::Pass))];
    for (verdict, text) in
        [(Verdict::Fail, "failed"), (Verdict::Blocked, "blocked"), (Verdict::Error, "in error")]
    {
        if count(verdict) > 0 {
            parts.push(format!("{} {text}", count(verdict)));
        }
    }
    let interrupted = if report.interrupted { ", interrupted" } else { "" };
    output::say(&format!(
        "\n{}{interrupted}; {} of {} points in {:.1}s",
        parts.join(", "),
        // The sum of nothing is minus zero.
        report.earned + 0.0,
        report.points + 0.0,
        report.seconds
    ));
}

fn explain(outcome: &Checked) {
    let Some(explanation) = &outcome.explanation else { return };
    let (bold, plain, cyan, dim) = (output::BOLD, output::PLAIN, output::CYAN, output::DIM);
    output::say(&format!("\n{bold}{}{plain}", outcome.name));
    output::say(&format!("  broken: {} — {}", explanation.layer, explanation.says));
    for line in &explanation.evidence {
        output::say(&format!("  {dim}{line}{plain}"));
    }
    if let Some(hint) = &outcome.hint {
        output::say(&format!("  {cyan}hint:{plain} {hint}"));
    }
}

/// Good and bad nodes of a report, for a drawing: bad where a failed check is about the node.
pub fn marks(report: &Report, plan: &Plan) -> BTreeMap<String, Mark> {
    let mut marks = BTreeMap::new();
    for outcome in &report.outcomes {
        let Some(check) = plan.checks.iter().find(|check| check.name == outcome.name) else {
            continue;
        };
        for node in nodes(check, plan) {
            let mark = marks.entry(node).or_insert(Mark::Good);
            if outcome.verdict != Verdict::Pass {
                *mark = Mark::Bad;
            }
        }
    }
    marks
}

/// The marks of an instance's last verification; none where there was none.
pub fn last_marks(instance: &str, plan: &Plan) -> BTreeMap<String, Mark> {
    crate::state::file(instance, "report.json")
        .and_then(|path| std::fs::read(path).ok())
        .and_then(|text| serde_json::from_slice::<Report>(&text).ok())
        .map(|report| marks(&report, plan))
        .unwrap_or_default()
}

/// The nodes that a check is about: what its fields name.
fn nodes(check: &::lab::check::Check, plan: &Plan) -> Vec<String> {
    let mut found = Vec::new();
    let mut values = vec![serde_json::to_value(&check.kind).unwrap_or_default()];
    while let Some(value) = values.pop() {
        match value {
            serde_json::Value::String(text) if plan.node(&text).is_some() => found.push(text),
            serde_json::Value::Array(items) => values.extend(items),
            serde_json::Value::Object(map) => {
                values.extend(map.into_iter().map(|(_, value)| value))
            }
            _ => {}
        }
    }
    found
}

/// Writes a report in the form that the file's name says.
fn write(path: &Path, report: &Report, plan: &Plan) -> Result<(), Failure> {
    let svg = || pictures::svg(&Topology::of(plan, &marks(report, plan)));
    let text = match path.extension().and_then(|name| name.to_str()) {
        Some("json") => checks::report::json(report),
        Some("xml") => checks::report::junit(report),
        Some("csv") => checks::report::csv(std::slice::from_ref(report)),
        Some("md") => checks::report::markdown(report),
        Some("html") => checks::report::html(report, &svg()),
        _ => {
            return Err(Failure::usage(format!("the form of {} is not known", path.display()))
                .help("let its name end in .json, .xml (JUnit), .csv, .md or .html"));
        }
    };
    std::fs::write(path, text)
        .map_err(|error| Failure::usage(format!("cannot write {}: {error}", path.display())))
}
