//! Verdicts, order, retries, controls and scenarios against an engine in memory: one network, whose
//! nodes answer pings and port probes by what is switched on.
#![allow(clippy::unwrap_used, reason = "a test")]

mod memory;

use std::sync::Mutex;
use std::time::{Duration, Instant};

use checks::{Event, Options, Report, Verdict, verify};
use memory::Memory;

fn plan(rest: &str) -> lab::Lab {
    let text = format!(
        "name: t\nnetworks: {{ lan: 10.0.0.0/24 }}\nnodes:\n  \
         a: {{ interfaces: {{ lan: 10.0.0.1 }} }}\n  b: {{ interfaces: {{ lan: 10.0.0.2 }} }}\n  \
         c: {{ interfaces: {{ lan: 10.0.0.3 }}, services: {{ web: {{ pages: {{ index.html: x }} }} }} }}\n{rest}"
    );
    lab::load_text("t.yaml", &text, None, &lab::Vars::default())
        .unwrap_or_else(|report| panic!("{report}"))
}

async fn run(lab: &lab::Lab, engine: &Memory) -> Report {
    verify(lab.plan(), engine, "t", &Options::default(), &|_| {}).await
}

fn verdicts(report: &Report) -> Vec<(&str, Verdict)> {
    report.outcomes.iter().map(|outcome| (outcome.name.as_str(), outcome.verdict)).collect()
}

#[tokio::test]
async fn what_needs_a_failed_check_is_blocked_whatever_the_order() {
    let lab = plan(
        "checks:\n  - { name: last, ping: { from: a, to: c }, needs: [middle] }\n  \
         - { name: middle, ping: { from: a, to: c }, needs: [first] }\n  \
         - { name: first, ping: { from: a, to: b }, points: 2, hint: look }\n  \
         - { name: apart, ping: { from: c, to: a } }\n",
    );
    let engine = Memory::of(lab.plan());
    engine.node("b").pull(true);
    let report = run(&lab, &engine).await;
    use Verdict::{Blocked, Fail, Pass};
    assert_eq!(
        verdicts(&report),
        [("last", Blocked), ("middle", Blocked), ("first", Fail), ("apart", Pass)]
    );
    assert_eq!((report.earned, report.points, report.exit_code()), (1.0, 5.0, 1));
    let first = &report.outcomes[2];
    assert_eq!(first.hint.as_deref(), Some("look"));
    assert_eq!(first.explanation.as_ref().unwrap().layer, probes::Layer::Link);
}

#[tokio::test]
async fn a_check_is_tried_until_its_time_is_over_and_tells_how_long_it_took() {
    let lab = plan("checks:\n  - { name: late, ping: { from: a, to: b }, within: 10 }\n");
    let engine = Memory::of(lab.plan());
    engine.node("b").pull(true);
    let b = engine.node("b");
    let attempts = Mutex::new(0);
    let report = verify(lab.plan(), &engine, "t", &Options::default(), &|event| {
        if matches!(event, Event::Attempt { .. }) {
            let mut attempts = attempts.lock().unwrap();
            *attempts += 1;
            if *attempts == 3 {
                b.pull(false);
            }
        }
    })
    .await;
    let outcome = &report.outcomes[0];
    assert_eq!((outcome.verdict, outcome.attempts), (Verdict::Pass, 4));
    assert!(outcome.seconds > 0.1 && outcome.seconds < 5.0, "{}", outcome.seconds);
}

#[tokio::test]
async fn checks_without_needs_run_side_by_side() {
    let checks: String =
        (0..12).map(|n| format!("  - {{ name: n{n}, ping: {{ from: a, to: b }} }}\n")).collect();
    let lab = plan(&format!("checks:\n{checks}"));
    let engine = Memory::of(lab.plan());
    engine.slow(Duration::from_millis(150));
    let start = Instant::now();
    let report = run(&lab, &engine).await;
    assert!(report.passed());
    assert!(start.elapsed() < Duration::from_millis(900), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_dead_node_never_makes_a_must_not_check_pass() {
    let lab = plan(
        "checks:\n  - { name: silence, ping: { from: a, to: b }, expect: unreachable }\n  \
         - { name: nobody, ping: { from: a, to: 10.0.0.99 }, expect: unreachable }\n  \
         - { name: filtered, port: { from: a, to: b, port: 9, state: silent } }\n  \
         - { name: whatever, ping: { from: a, to: b }, expect: fail }\n",
    );
    let engine = Memory::of(lab.plan());
    // Everything works: what must not work does.
    let all = |report: &Report| report.outcomes.iter().map(|o| o.verdict).collect::<Vec<_>>();
    use Verdict::{Fail, Pass};
    assert_eq!(all(&run(&lab, &engine).await), [Fail, Pass, Fail, Fail]);
    // B filters: that is what was meant.
    engine.node("b").filter(true);
    assert_eq!(all(&run(&lab, &engine).await), [Pass, Pass, Pass, Pass]);
    // B is unplugged, or stopped; A is unplugged, or stopped.
    for (node, stop) in [("b", false), ("b", true), ("a", false), ("a", true)] {
        if stop {
            engine.node(node).stop();
        } else {
            engine.node(node).pull(true);
        }
        let report = run(&lab, &engine).await;
        let nobody = if node == "b" { Pass } else { Fail };
        assert_eq!(all(&report), [Fail, nobody, Fail, Fail], "{node} {stop}: {report:#?}");
        engine.node(node).start();
        engine.node(node).pull(false);
    }
}

#[tokio::test]
async fn trouble_of_labctl_is_nobodys_failure() {
    let lab = plan("checks:\n  - { name: x, ping: { from: a, to: b } }\n");
    let engine = Memory::of(lab.plan());
    engine.node("a").mute();
    let report = run(&lab, &engine).await;
    assert_eq!((report.outcomes[0].verdict, report.exit_code()), (Verdict::Error, 3));
    assert!(report.outcomes[0].explanation.is_none());
}

const FAULTS: &str = "checks:\n  - { name: link, link: a }\nscenarios:\n  - name: faults\n    points: 3\n    steps:\n      \
    - { down: b }\n      - { check: { ping: { from: a, to: b } }, expect: unreachable }\n      \
    - { up: b }\n      - { until: { ping: { from: a, to: b } }, within: 5 }\n      \
    - { off: c.http }\n      - { stop: b }\n      - { check: { ping: { from: a, to: b } } }\n";

#[tokio::test]
async fn a_scenario_puts_the_lab_back_after_a_failed_step() {
    let lab = plan(FAULTS);
    let engine = Memory::of(lab.plan());
    let report = run(&lab, &engine).await;
    let outcome = report.outcomes.last().unwrap();
    assert_eq!(outcome.verdict, Verdict::Fail);
    let steps: Vec<_> = outcome.steps.iter().map(|step| step.verdict).collect();
    assert_eq!(steps.iter().filter(|verdict| **verdict == Verdict::Pass).count(), 6);
    assert!(outcome.message.contains("step"), "{}", outcome.message);
    assert!(engine.node("b").is_whole() && engine.node("c").is_whole());
}

#[tokio::test]
async fn a_scenario_puts_the_lab_back_when_it_is_interrupted() {
    let text = FAULTS.replace(
        "check: { ping: { from: a, to: b } } }",
        "until: { ping: { from: a, to: b } }, within: 60 }",
    );
    let lab = plan(&text);
    let engine = Memory::of(lab.plan());
    let options = Options::default();
    let cancel = options.cancel.clone();
    let report = verify(lab.plan(), &engine, "t", &options, &|event| {
        if let Event::Step { outcome, .. } = event
            && outcome.kind == "stop"
        {
            cancel.cancel();
        }
    })
    .await;
    assert!(report.interrupted);
    assert_eq!(report.exit_code(), 130);
    assert!(engine.node("b").is_whole() && engine.node("c").is_whole());
}

#[tokio::test]
async fn chosen_checks_bring_what_they_need() {
    let lab = plan(
        "checks:\n  - { name: one, ping: { from: a, to: b } }\n  \
         - { name: two, ping: { from: a, to: c }, needs: [one] }\n  \
         - { name: three, link: a }\nscenarios:\n  - { name: s, steps: [{ down: b }, { check: { link: a } }] }\n",
    );
    let engine = Memory::of(lab.plan());
    let options = Options { only: vec!["tw*".into()], ..Options::default() };
    let report = verify(lab.plan(), &engine, "t", &options, &|_| {}).await;
    assert_eq!(verdicts(&report), [("one", Verdict::Pass), ("two", Verdict::Pass)]);
    let options = Options { only: vec!["nothing".into()], ..Options::default() };
    let report = verify(lab.plan(), &engine, "t", &options, &|_| {}).await;
    assert_eq!(report.exit_code(), 4);
}
