//! Scenarios: ordered steps of actions and checks. The lab is put back as it was at the end, also
//! after a failure or a cancellation.

use std::time::Duration;

use lab::check::{Action, Expect, Kind, Scenario, Step, Tried};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::judge::normal;
use crate::kinds::{Attempt, attempt};
use crate::run::{Event, Tell, Trying};
use crate::trial::Trial;
use crate::undo::{Changed, act};
use crate::verdict::{Outcome, Verdict};
use crate::world::World;

/// How long the control before the first action tries to see a check work.
const BASELINE: Duration = Duration::from_secs(5);
/// How long an `until` tries where the author said nothing.
const UNTIL: Duration = Duration::from_secs(30);

/// Runs a scenario; `None` when it was cancelled (what it changed is put back all the same).
pub(crate) async fn run(
    world: &World<'_>,
    scenario: &Scenario,
    before: &[Outcome],
    cancel: &CancellationToken,
    tell: Tell<'_>,
) -> Option<Outcome> {
    let start = Instant::now();
    let mut outcome = Outcome {
        name: scenario.name.clone(),
        group: scenario.group.clone(),
        kind: "scenario".into(),
        points: scenario.points,
        earned: 0.0,
        verdict: Verdict::Pass,
        seconds: 0.0,
        attempts: 1,
        message: String::new(),
        explanation: None,
        hint: None,
        steps: Vec::new(),
        line: scenario.line,
    };
    let failed = |name: &&String| {
        before.iter().any(|known| known.name == **name && known.verdict != Verdict::Pass)
    };
    if let Some(bad) = scenario.needs.iter().find(failed) {
        outcome.verdict = Verdict::Blocked;
        outcome.message = format!("it needs {bad:?}, which did not pass");
        return Some(outcome);
    }
    let proven = baselines(world, scenario, cancel).await?;
    let mut changed = Changed::default();
    let mut cancelled = false;
    for (step, proven) in scenario.steps.iter().zip(proven) {
        // An action is never dropped half way: only between steps and in checks is it cancelled.
        if cancel.is_cancelled() {
            cancelled = true;
            break;
        }
        let Some(done) = one(world, step, proven, &mut changed, cancel, tell).await else {
            cancelled = true;
            break;
        };
        tell(Event::Step { scenario: scenario.name.clone(), outcome: Box::new(done.clone()) });
        let verdict = done.verdict;
        outcome.steps.push(done);
        if verdict != Verdict::Pass {
            outcome.verdict = verdict;
            break;
        }
    }
    let problems = if changed.is_empty() { Vec::new() } else { changed.put_back(world).await };
    if cancelled {
        return None;
    }
    outcome.seconds = start.elapsed().as_secs_f64();
    match outcome.steps.last().filter(|_| outcome.verdict != Verdict::Pass) {
        Some(last) => {
            outcome.message = format!("step {:?}: {}", last.name, last.message);
            outcome.explanation.clone_from(&last.explanation);
            if outcome.verdict == Verdict::Fail {
                outcome.hint.clone_from(&scenario.hint);
            }
        }
        None => {
            outcome.earned = outcome.points;
            outcome.message = format!("{} steps as expected", outcome.steps.len());
        }
    }
    if !problems.is_empty() {
        outcome.verdict = Verdict::Error;
        outcome.earned = 0.0;
        outcome.message = format!("the lab was not put back as it was: {}", problems.join("; "));
    }
    Some(outcome)
}

/// For each step that expects a failure: whether the same thing worked before anything was broken.
async fn baselines(
    world: &World<'_>,
    scenario: &Scenario,
    cancel: &CancellationToken,
) -> Option<Vec<bool>> {
    let mut known: Vec<(Kind, bool)> = Vec::new();
    let mut proven = Vec::new();
    let mut broken = false;
    for step in &scenario.steps {
        let what = tried(world, step);
        // Before the first action there is nothing to compare with, and an answer that says no
        // proves itself.
        broken |= what.is_none();
        let silent =
            |expect: &Expect| matches!(expect, Expect::Fail | Expect::Unreachable | Expect::Silent);
        let Some((kind, _)) = what
            .map(|(_, kind, expect)| normal(&kind, &expect))
            .filter(|(_, expect)| broken && silent(expect))
        else {
            proven.push(false);
            continue;
        };
        if let Some((_, worked)) = known.iter().find(|(seen, _)| *seen == kind) {
            proven.push(*worked);
            continue;
        }
        let worked = tokio::select! {
            () = cancel.cancelled() => return None,
            worked = tokio::time::timeout(BASELINE, works(world, &kind)) => worked.unwrap_or(false),
        };
        proven.push(worked);
        known.push((kind, worked));
    }
    Some(proven)
}

/// Waits until something works.
async fn works(world: &World<'_>, kind: &Kind) -> bool {
    loop {
        if matches!(attempt(world, kind, &Attempt::new(&Expect::Pass)).await, Trial::Works(_)) {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// What a step tries: its name, kind and expectation.
fn tried(world: &World<'_>, step: &Step) -> Option<(String, Kind, Expect)> {
    let (Action::Check(what) | Action::Until(what)) = &step.action else { return None };
    match &**what {
        Tried::Kind(kind) => Some((step.name.clone(), kind.clone(), step.expect.clone())),
        Tried::Named(name) => {
            let check = world.plan.checks.iter().find(|check| check.name == *name)?;
            let own = step.expect.is_pass();
            let expect = if own { check.expect.clone() } else { step.expect.clone() };
            Some((step.name.clone(), check.kind.clone(), expect))
        }
    }
}

async fn one(
    world: &World<'_>,
    step: &Step,
    proven: bool,
    changed: &mut Changed,
    cancel: &CancellationToken,
    tell: Tell<'_>,
) -> Option<Outcome> {
    let mut outcome = Outcome {
        name: step.name.clone(),
        group: None,
        kind: word(&step.action),
        points: 0.0,
        earned: 0.0,
        verdict: Verdict::Pass,
        seconds: 0.0,
        attempts: 1,
        message: String::new(),
        explanation: None,
        hint: None,
        steps: Vec::new(),
        line: step.line,
    };
    let (Action::Check(what) | Action::Until(what)) = &step.action else {
        let start = Instant::now();
        match act(world, &step.action, changed).await {
            Ok(said) => outcome.message = said,
            Err(why) => (outcome.verdict, outcome.message) = (Verdict::Error, why),
        }
        outcome.seconds = start.elapsed().as_secs_f64();
        return Some(outcome);
    };
    let Some((name, kind, expect)) = tried(world, step) else {
        outcome.verdict = Verdict::Error;
        outcome.message = format!("there is no such check: {what:?}");
        return Some(outcome);
    };
    let until = matches!(step.action, Action::Until(_));
    let default = if until { UNTIL } else { Duration::ZERO };
    let within = step.within.map_or(default, |seconds| seconds.duration());
    let trying = Trying { name: &name, kind: &kind, expect: &expect, within, proven };
    let result = trying.run(world, cancel, tell).await?;
    outcome.verdict = result.verdict;
    outcome.seconds = result.seconds;
    outcome.attempts = result.attempts;
    outcome.explanation = result.explanation;
    outcome.message = if until && result.verdict == Verdict::Pass {
        format!("after {:.1} s: {}", result.seconds, result.message)
    } else {
        result.message
    };
    Some(outcome)
}

/// The key of an action in a lab file.
fn word(action: &Action) -> String {
    match action {
        Action::Off(_) => "off",
        Action::On(_) => "on",
        Action::Down(_) => "down",
        Action::Up(_) => "up",
        Action::Stop(_) => "stop",
        Action::Start(_) => "start",
        Action::Restart(_) => "restart",
        Action::Impair(_) => "impair",
        Action::AddUser(_) => "add_user",
        Action::RemoveUser(_) => "remove_user",
        Action::Record(_) => "record",
        Action::Address(_) => "address",
        Action::Ios(_) => "ios",
        Action::Check(_) => "check",
        Action::Until(_) => "until",
    }
    .to_owned()
}

/// Does the actions of a wrong variant, for good.
pub(crate) async fn act_all(world: &World<'_>, steps: &[Step]) -> Result<(), String> {
    let mut changed = Changed::default();
    for step in steps {
        act(world, &step.action, &mut changed)
            .await
            .map_err(|why| format!("step {:?}: {why}", step.name))?;
    }
    Ok(())
}
