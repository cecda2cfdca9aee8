//! `labctl test-lab`: an author's lab must pass, and each wrong variant of it must fail as the
//! author says. So authors test labs as programmers test programs.

use std::sync::Arc;

use async_trait::async_trait;
use engine::Engine;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use lab::Lab;
use lab::check::Wrong;
use serde::Serialize;

use crate::run::{Options, Tell, verify};
use crate::verdict::{Outcome, Report, Verdict};
use crate::world::World;

/// Brings labs up and down again; labctl does it with its engine.
#[async_trait]
pub trait Stage: Send + Sync {
    /// Brings a lab up and waits until its nodes are ready, or will not become more so.
    ///
    /// # Errors
    /// One sentence about what labctl or the engine could not do.
    async fn up(&self, lab: &Lab, instance: &str) -> Result<Arc<dyn Engine>, String>;

    /// Takes an instance down.
    ///
    /// # Errors
    /// One sentence about what is left.
    async fn down(&self, instance: &str) -> Result<(), String>;
}

/// What became of one variant.
#[derive(Clone, Debug, Serialize)]
pub struct Variant {
    /// Its name; the lab's own for the right one.
    pub name: String,
    /// Whether the lab found what the author wrote.
    pub ok: bool,
    /// What was otherwise.
    pub problems: Vec<String>,
    /// What the checks said; absent when it did not come up.
    pub report: Option<Report>,
    /// The line of the lab file.
    pub line: usize,
}

/// What became of a lab's test.
#[derive(Clone, Debug, Serialize)]
pub struct LabTest {
    /// The right lab first, then the wrong ones.
    pub variants: Vec<Variant>,
}

impl LabTest {
    /// Whether everything was as the author wrote.
    pub fn passed(&self) -> bool {
        self.variants.iter().all(|variant| variant.ok)
    }
}

/// Variants that are up at once: they wait for what never comes more than they work.
const PARALLEL: usize = 4;

/// Tests a lab: each variant in its own instance, a few at once. `began` is told each variant's
/// name.
pub async fn test_lab(
    lab: &Lab,
    stage: &dyn Stage,
    instance: &str,
    options: &Options,
    tell: Tell<'_>,
    began: &(dyn Fn(&str) + Send + Sync),
) -> LabTest {
    let plan = lab.plan();
    let mut work: Vec<BoxFuture<'_, Option<Variant>>> = Vec::new();
    for (number, wrong) in std::iter::once(None).chain(plan.wrong.iter().map(Some)).enumerate() {
        let trying = async move {
            if options.cancel.is_cancelled() {
                return None;
            }
            began(wrong.map_or(&plan.lab, |wrong| &wrong.name));
            let Some(wrong) = wrong else {
                let name = format!("{instance}-right");
                return Some(try_one(lab, lab, None, stage, &name, options, tell).await);
            };
            let name = format!("{instance}-wrong{number}");
            Some(match lab.patched(&wrong.patch) {
                Ok(patched) => {
                    try_one(lab, &patched, Some(wrong), stage, &name, options, tell).await
                }
                Err(report) => Variant {
                    name: wrong.name.clone(),
                    ok: false,
                    problems: vec![format!("the patch makes a lab that is not valid: {report}")],
                    report: None,
                    line: wrong.line,
                },
            })
        };
        work.push(trying.boxed());
    }
    let variants =
        futures::stream::iter(work).buffered(PARALLEL).filter_map(std::future::ready).collect();
    LabTest { variants: variants.await }
}

async fn try_one(
    lab: &Lab,
    variant: &Lab,
    wrong: Option<&Wrong>,
    stage: &dyn Stage,
    instance: &str,
    options: &Options,
    tell: Tell<'_>,
) -> Variant {
    let mut result = Variant {
        name: wrong.map_or_else(|| lab.plan().lab.clone(), |wrong| wrong.name.clone()),
        ok: false,
        problems: Vec::new(),
        report: None,
        line: wrong.map_or(0, |wrong| wrong.line),
    };
    match stage.up(variant, instance).await {
        Ok(engine) => {
            // The student's lab is judged by the author's plan.
            let world = World::new(lab.plan(), &*engine, instance);
            let acted = match wrong {
                Some(wrong) => crate::scenario::act_all(&world, &wrong.actions).await,
                None => Ok(()),
            };
            match acted {
                Ok(()) => {
                    let options = Options {
                        scenarios: options.scenarios && wrong.is_none(),
                        ..options.clone()
                    };
                    let report = verify(lab.plan(), &*engine, instance, &options, tell).await;
                    result.problems = match wrong {
                        Some(wrong) => compare(&report, wrong),
                        None => all_right(&report),
                    };
                    result.report = Some(report);
                }
                Err(why) => result.problems.push(why),
            }
        }
        Err(why) => result.problems.push(format!("it does not come up: {why}")),
    }
    if let Err(why) = stage.down(instance).await {
        result.problems.push(format!("it does not go down: {why}"));
    }
    result.ok = result.problems.is_empty();
    result
}

fn all_right(report: &Report) -> Vec<String> {
    let mut problems: Vec<String> = report
        .outcomes
        .iter()
        .filter(|outcome| outcome.verdict != Verdict::Pass)
        .map(|o| format!("{:?} should pass, and is {}: {}", o.name, o.verdict.word(), o.message))
        .collect();
    if report.outcomes.is_empty() {
        problems.push("the lab has no checks".into());
    }
    if report.interrupted {
        problems.push("it was interrupted".into());
    }
    problems
}

/// What a wrong variant's report lacks of what the author wrote.
pub fn compare(report: &Report, wrong: &Wrong) -> Vec<String> {
    let mut problems = Vec::new();
    if report.interrupted {
        problems.push("it was interrupted".into());
    }
    for outcome in report.outcomes.iter().filter(|o| o.verdict == Verdict::Error) {
        problems.push(format!("{:?} could not be tried: {}", outcome.name, outcome.message));
    }
    let bad: Vec<&Outcome> = report
        .outcomes
        .iter()
        .filter(|o| matches!(o.verdict, Verdict::Fail | Verdict::Blocked))
        .collect();
    if bad.is_empty() {
        problems.push("every check passes: the lab does not find this mistake".into());
    }
    if let Some(earned) = wrong.earned
        && (earned - report.earned).abs() > 1e-6
    {
        problems.push(format!("it earns {} points, and should earn {earned}", report.earned));
    }
    if !wrong.fails.is_empty() {
        let mut seen: Vec<&str> = bad.iter().map(|outcome| outcome.name.as_str()).collect();
        let mut wanted: Vec<&str> = wrong.fails.iter().map(String::as_str).collect();
        seen.sort_unstable();
        wanted.sort_unstable();
        if seen != wanted {
            problems.push(format!("these fail: {seen:?}, and should: {wanted:?}"));
        }
    }
    let first = bad.iter().find_map(|outcome| outcome.explanation.as_ref());
    if let Some(layer) = wrong.layer {
        let wanted = serde_json::to_value(layer).ok();
        let wanted = wanted.as_ref().and_then(|value| value.as_str()).unwrap_or_default();
        match first {
            Some(explanation) if explanation.layer.word() == wanted => {}
            Some(explanation) => problems.push(format!(
                "the first broken layer is {}, and should be {wanted}: {}",
                explanation.layer, explanation.says
            )),
            None => problems.push(format!("nothing is explained, and {wanted} should be named")),
        }
    }
    if let Some(text) = &wrong.says {
        let said = first.is_some_and(|explanation| {
            let mut all = vec![&explanation.says];
            all.extend(&explanation.evidence);
            all.extend(&explanation.help);
            all.iter().any(|line| line.to_lowercase().contains(&text.to_lowercase()))
        });
        if !said {
            let says = first.map_or("nothing", |explanation| explanation.says.as_str());
            problems.push(format!("the explanation should say {text:?}, and says {says:?}"));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Explanation;
    use crate::verdict::tests::{outcome, report};

    #[test]
    fn a_variant_must_fail_as_written() {
        let mut failed = outcome("ping", Verdict::Fail, 2.0);
        failed.explanation = Some(Explanation {
            layer: probes::Layer::Route,
            says: "pc0 has the wrong gateway".into(),
            evidence: Vec::new(),
            help: None,
            walked: Vec::new(),
        });
        let seen = report(vec![outcome("link", Verdict::Pass, 1.0), failed]);
        let wrong = |text: serde_json::Value| serde_json::from_value::<Wrong>(text).unwrap();
        let right = wrong(serde_json::json!({
            "name": "wrong gateway", "earned": 1.0, "fails": ["ping"], "layer": "route", "says": "Gateway",
        }));
        assert_eq!(compare(&seen, &right), Vec::<String>::new());
        for (key, value) in [
            ("earned", serde_json::json!(3.0)),
            ("fails", serde_json::json!(["link"])),
            ("layer", serde_json::json!("arp")),
            ("says", serde_json::json!("mask")),
        ] {
            let mut text = serde_json::to_value(&right).unwrap();
            text[key] = value;
            assert_eq!(compare(&seen, &wrong(text)).len(), 1, "{key}");
        }
        let green = report(vec![outcome("link", Verdict::Pass, 1.0)]);
        assert!(!compare(&green, &wrong(serde_json::json!({ "name": "x" }))).is_empty());
    }
}
