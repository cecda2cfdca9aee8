//! `labctl hint`: one hint for one check that fails, and the next one when it is asked again.

use std::collections::BTreeMap;

use checks::{Outcome as Checked, Verdict};
use serde_json::json;

use crate::args::Selection;
use crate::context::Context;
use crate::failure::{Failure, INTERRUPTED, Outcome};
use crate::verbs::{lab, verify};
use crate::{interrupt, output};

/// How many hints of each check were given, by the check's name.
type Given = BTreeMap<String, usize>;

/// Runs the verb.
pub async fn run(context: &Context, check: Option<&str>, all: bool) -> Outcome {
    let running = context.running().await?;
    let plan = lab::document(&running).await?.plan;
    let stop = interrupt::token();
    // What a check needs has its own hint first, so all are tried; scenarios change the lab.
    let selection = Selection { no_scenarios: true, ..Selection::default() };
    let report = verify::examine(context, &running, &plan, &selection, &stop, true).await;
    if stop.is_cancelled() {
        return Ok(INTERRUPTED);
    }
    let failed: Vec<&Checked> =
        report.outcomes.iter().filter(|one| one.verdict == Verdict::Fail).collect();
    let meant: Vec<&Checked> = match check {
        Some(name) => {
            let one = find(&report.outcomes, name)?;
            match one.verdict {
                Verdict::Fail => vec![one],
                // What is blocked is waited for by asking about what blocks it.
                Verdict::Blocked => failed.iter().take(1).copied().collect(),
                _ => Vec::new(),
            }
        }
        None if all => failed,
        None => failed.into_iter().take(1).collect(),
    };
    if meant.is_empty() {
        let broken = report.outcomes.iter().any(|one| one.verdict == Verdict::Error);
        if broken && check.is_none() {
            let help = "`labctl ps` shows the nodes; `labctl logs NODE` what they say";
            return Err(Failure::new(crate::failure::ENGINE, "the lab cannot be tried").help(help));
        }
        match check {
            Some(name) => output::tell(&format!("`{name}` passes: there is nothing to hint at")),
            None => output::tell("everything passes: there is nothing to hint at"),
        }
        return Ok(0);
    }
    let path = crate::state::file(&running.name, "hints.json");
    let read = path.as_ref().and_then(|path| std::fs::read(path).ok());
    let mut given: Given =
        read.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
    let mut rows = Vec::new();
    for one in meant {
        let hints = hints(one);
        let count = given.entry(one.name.clone()).or_default();
        let level = (*count).min(hints.len().saturating_sub(1));
        *count = level + 1;
        let more = hints.len() - level - 1;
        rows.push(json!({ "check": one.name, "hint": hints.get(level), "more": more }));
        if !context.json() {
            let (bold, plain, dim) = (output::BOLD, output::PLAIN, output::DIM);
            output::say(&format!("{bold}{}{plain}", one.name));
            output::say(&format!("  {}", hints.get(level).map_or("", String::as_str)));
            if more > 0 {
                output::say(&format!("  {dim}ask again for more{plain}"));
            }
        }
    }
    if context.json() {
        output::json(&json!({ "schema": 1, "instance": running.name, "hints": rows }))?;
    }
    if let Some(path) = path {
        let _ = std::fs::write(path, serde_json::to_vec(&given)?);
    }
    Ok(crate::failure::FAILED)
}

/// The check that is meant: by its name, else by a part of it that only one has.
fn find<'a>(outcomes: &'a [Checked], name: &str) -> Result<&'a Checked, Failure> {
    if let Some(exact) = outcomes.iter().find(|one| one.name.eq_ignore_ascii_case(name)) {
        return Ok(exact);
    }
    let part = name.to_lowercase();
    let found: Vec<_> =
        outcomes.iter().filter(|one| one.name.to_lowercase().contains(&part)).collect();
    match found[..] {
        [one] => Ok(one),
        [] => {
            let names = outcomes.iter().map(|one| one.name.as_str());
            let failure = Failure::usage(format!("the lab has no check `{name}`"));
            Err(match crate::names::nearest(name, names) {
                Some(near) => failure.help(format!("did you mean `{near}`?")),
                None => failure.help("`labctl verify` shows them"),
            })
        }
        _ => {
            let names: Vec<&str> = found.iter().map(|one| one.name.as_str()).collect();
            Err(Failure::usage(format!("several checks have `{name}` in their name"))
                .help(names.join(", ")))
        }
    }
}

/// From the author's word to the plain cause: each says a little more.
fn hints(one: &Checked) -> Vec<String> {
    let mut hints: Vec<String> = one.hint.clone().into_iter().collect();
    match &one.explanation {
        Some(why) => {
            if hints.is_empty() {
                let fine = why.walked.iter().rfind(|rung| rung.ok);
                let so_far = fine
                    .map_or_else(String::new, |rung| format!("The {} is in order. ", rung.layer));
                hints.push(format!("{so_far}Look at the {} first.", why.layer));
            }
            hints.push(format!("{}: {}", why.layer, why.says));
            hints.extend(why.help.clone());
        }
        None => hints.push(one.message.clone()),
    }
    hints
}
