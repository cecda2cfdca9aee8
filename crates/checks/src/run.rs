//! Runs the checks of a plan against an instance: side by side where they may, again and again
//! until they pass or their time is over.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use engine::Engine;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use lab::Plan;
use lab::check::{Check, Expect, Kind};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::choose::{choose, is_meant};
use crate::explain::explain;
use crate::judge::{Judged, judge, normal};
use crate::kinds::{Attempt, attempt};
use crate::trial::{Failure, Trial};
use crate::verdict::{Explanation, Outcome, Report, SCHEMA, Verdict, plain};
use crate::world::World;

/// The pause after a failed attempt, doubled up to [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_millis(100);
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_millis(800);
/// No single attempt may take longer.
const ATTEMPT: Duration = Duration::from_secs(60);

/// What is run, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Names, groups or kinds of checks and scenarios, `*` for any text; all where empty. What a
    /// chosen check needs runs as well.
    pub only: Vec<String>,
    /// Whether scenarios run after the checks.
    pub scenarios: bool,
    /// Cancelled to end early: what was changed is put back first.
    pub cancel: CancellationToken,
    /// Checks at once.
    pub parallel: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { only: Vec::new(), scenarios: true, cancel: CancellationToken::new(), parallel: 16 }
    }
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A check or scenario begins.
    Started {
        /// Its name.
        name: String,
    },
    /// An attempt was not as wanted; there will be another.
    Attempt {
        /// The check.
        name: String,
        /// Seconds since its beginning.
        seconds: f64,
        /// What was seen.
        why: String,
    },
    /// A step of a scenario ended.
    Step {
        /// The scenario.
        scenario: String,
        /// The step.
        outcome: Box<Outcome>,
    },
    /// A check or scenario ended.
    Finished(Box<Outcome>),
}

/// Takes events; called often, must not block.
pub type Tell<'a> = &'a (dyn Fn(Event) + Send + Sync);

/// Runs the checks, then the scenarios. Never fails: labctl's own trouble is a verdict.
pub async fn verify(
    plan: &Plan,
    engine: &dyn Engine,
    instance: &str,
    options: &Options,
    tell: Tell<'_>,
) -> Report {
    let world = World::new(plan, engine, instance);
    let started = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let clock = Instant::now();
    let chosen = choose(&plan.checks, &options.only);
    let mut outcomes = checks(&world, &chosen, options, tell).await;
    let mut points: f64 = chosen.iter().map(|check| check.points).sum();
    if options.scenarios {
        for scenario in &plan.scenarios {
            let keys =
                [scenario.name.as_str(), scenario.group.as_deref().unwrap_or(""), "scenario"];
            if !options.only.is_empty() && !options.only.iter().any(|only| is_meant(only, &keys)) {
                continue;
            }
            points += scenario.points;
            if options.cancel.is_cancelled() {
                break;
            }
            tell(Event::Started { name: scenario.name.clone() });
            let outcome =
                crate::scenario::run(&world, scenario, &outcomes, &options.cancel, tell).await;
            if let Some(outcome) = outcome {
                tell(Event::Finished(Box::new(outcome.clone())));
                outcomes.push(outcome);
            }
        }
    }
    Report {
        schema: SCHEMA,
        lab: plan.lab.clone(),
        title: plan.title.clone(),
        instance: instance.to_owned(),
        started,
        seconds: clock.elapsed().as_secs_f64(),
        earned: outcomes.iter().map(|outcome| outcome.earned).sum(),
        points,
        interrupted: options.cancel.is_cancelled(),
        outcomes,
    }
}

/// Whether other checks at the same time could be seen by this one.
fn is_alone(kind: &Kind) -> bool {
    matches!(kind, Kind::Ports(_) | Kind::Queue(_) | Kind::Transcript(_))
}

async fn checks(
    world: &World<'_>,
    chosen: &[&Check],
    options: &Options,
    tell: Tell<'_>,
) -> Vec<Outcome> {
    let known: BTreeSet<&str> = chosen.iter().map(|check| check.name.as_str()).collect();
    let mut waiting: Vec<usize> = (0..chosen.len()).collect();
    let mut done: HashMap<usize, Outcome> = HashMap::new();
    let mut running = FuturesUnordered::new();
    let mut alone = false;
    while !options.cancel.is_cancelled() {
        let verdict = |name: &str| {
            chosen
                .iter()
                .position(|check| check.name == name)
                .and_then(|at| done.get(&at))
                .map(|outcome| outcome.verdict)
        };
        let ready: Vec<usize> = waiting
            .iter()
            .copied()
            .filter(|at| {
                let mut needs = chosen[*at].needs.iter();
                needs.all(|name| !known.contains(name.as_str()) || verdict(name).is_some())
            })
            .collect();
        let mut started = false;
        for at in &ready {
            let check = chosen[*at];
            let bad = check
                .needs
                .iter()
                .find(|name| verdict(name).is_some_and(|verdict| verdict != Verdict::Pass));
            if let Some(bad) = bad {
                let outcome = blocked(check, bad);
                tell(Event::Finished(Box::new(outcome.clone())));
                done.insert(*at, outcome);
                waiting.retain(|other| other != at);
                started = true;
                break;
            }
            if alone || running.len() >= options.parallel.max(1) {
                break;
            }
            // What must be alone waits until nothing else runs or could run.
            let others = ready.iter().any(|other| !is_alone(&chosen[*other].kind));
            if is_alone(&check.kind) && (others || !running.is_empty()) {
                continue;
            }
            alone = is_alone(&check.kind);
            waiting.retain(|other| other != at);
            tell(Event::Started { name: check.name.clone() });
            let at = *at;
            running.push(async move { (at, one(world, check, options, tell).await) });
            started = true;
            break;
        }
        if started {
            continue;
        }
        match running.next().await {
            Some((at, Some(outcome))) => {
                alone = false;
                tell(Event::Finished(Box::new(outcome.clone())));
                done.insert(at, outcome);
            }
            Some((_, None)) => break,
            // Needs in a circle: the lab's reader refuses them.
            None => break,
        }
    }
    drop(running);
    let mut outcomes: Vec<_> = done.into_iter().collect();
    outcomes.sort_by_key(|(at, _)| *at);
    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
}

fn blocked(check: &Check, by: &str) -> Outcome {
    Outcome {
        verdict: Verdict::Blocked,
        message: format!("it needs {by:?}, which did not pass"),
        ..blank(check)
    }
}

fn blank(check: &Check) -> Outcome {
    Outcome {
        name: check.name.clone(),
        group: check.group.clone(),
        kind: check.kind.word().to_owned(),
        points: check.points,
        earned: 0.0,
        verdict: Verdict::Error,
        seconds: 0.0,
        attempts: 0,
        message: String::new(),
        explanation: None,
        hint: None,
        steps: Vec::new(),
        line: check.line,
    }
}

async fn one(
    world: &World<'_>,
    check: &Check,
    options: &Options,
    tell: Tell<'_>,
) -> Option<Outcome> {
    let within = check.within.map_or(Duration::ZERO, |seconds| seconds.duration());
    let trying = Trying {
        name: &check.name,
        kind: &check.kind,
        expect: &check.expect,
        within,
        proven: false,
    };
    let tried = trying.run(world, &options.cancel, tell).await?;
    let earned = if tried.verdict == Verdict::Pass { check.points } else { 0.0 };
    Some(Outcome {
        earned,
        verdict: tried.verdict,
        seconds: tried.seconds,
        attempts: tried.attempts,
        message: tried.message,
        explanation: tried.explanation,
        hint: check.hint.clone().filter(|_| tried.verdict == Verdict::Fail),
        ..blank(check)
    })
}

/// Something that is tried until it is as wanted.
pub(crate) struct Trying<'a> {
    pub name: &'a str,
    pub kind: &'a Kind,
    pub expect: &'a Expect,
    pub within: Duration,
    /// Whether it was seen to work before.
    pub proven: bool,
}

/// What came of it.
pub(crate) struct Tried {
    pub verdict: Verdict,
    pub seconds: f64,
    pub attempts: u32,
    pub message: String,
    pub explanation: Option<Explanation>,
}

impl Trying<'_> {
    /// Tries; `None` when cancelled.
    pub async fn run(
        &self,
        world: &World<'_>,
        cancel: &CancellationToken,
        tell: Tell<'_>,
    ) -> Option<Tried> {
        let (kind, expect) = normal(self.kind, self.expect);
        let start = Instant::now();
        let end = start + self.within;
        let mut pause = PAUSE;
        let mut attempts = 0;
        let judged = loop {
            attempts += 1;
            let judged = tokio::select! {
                () = cancel.cancelled() => return None,
                judged = tokio::time::timeout(ATTEMPT, once(world, &kind, &expect, self.proven)) => {
                    judged.unwrap_or_else(|_| Judged::Error(format!(
                        "the attempt did not end within {} s", ATTEMPT.as_secs()
                    )))
                }
            };
            let why = match &judged {
                Judged::Pass(_) => break judged,
                Judged::Fail(failure) => failure.message.clone(),
                Judged::Error(why) => why.clone(),
            };
            if Instant::now() + pause >= end {
                break judged;
            }
            tell(Event::Attempt {
                name: self.name.to_owned(),
                seconds: start.elapsed().as_secs_f64(),
                why: plain(why),
            });
            tokio::select! {
                () = cancel.cancelled() => return None,
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        };
        let seconds = start.elapsed().as_secs_f64();
        let tried = |verdict, message, explanation: Option<Explanation>| {
            let (message, explanation) = (plain(message), explanation.map(Explanation::plain));
            Some(Tried { verdict, seconds, attempts, message, explanation })
        };
        match judged {
            Judged::Pass(seen) => tried(Verdict::Pass, seen, None),
            Judged::Error(why) => tried(Verdict::Error, why, None),
            Judged::Fail(failure) => {
                let explanation = tokio::select! {
                    () = cancel.cancelled() => return None,
                    explanation = why(world, &kind, &expect, &failure) => explanation,
                };
                tried(Verdict::Fail, failure.message, Some(explanation))
            }
        }
    }
}

async fn once(world: &World<'_>, kind: &Kind, expect: &Expect, proven: bool) -> Judged {
    let trial: Trial = attempt(world, kind, &Attempt::new(expect)).await;
    judge(world, kind, expect, trial, proven).await
}

/// A walk explains what should work and does not, or fails otherwise than it should. What works and
/// should not needs none.
async fn why(world: &World<'_>, kind: &Kind, expect: &Expect, failure: &Failure) -> Explanation {
    let walk = explain(world, kind, failure);
    if (expect.is_pass() || failure.who.is_some())
        && let Ok(explanation) = tokio::time::timeout(ATTEMPT, walk).await
    {
        return explanation;
    }
    Explanation {
        layer: failure.layer.unwrap_or(probes::Layer::Reply),
        says: failure.message.clone(),
        evidence: failure.evidence.clone(),
        help: None,
        walked: Vec::new(),
    }
}
