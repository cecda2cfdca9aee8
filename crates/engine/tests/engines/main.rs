//! What an engine is: every promise of `engine::Engine`, tried on all three engines.
//!
//! The test program is also the program of the nodes: supervisor, agent (the real one) and a few
//! commands that say what they see. So it has its own `main`: run as `cargo test -p engine --test
//! engines`, with words of test names to choose some. The tests on Docker (nodes and pods) are skipped
//! where no Docker answers, the embedded engine's where namespaces may not be made.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::zombie_processes,
    reason = "a test program; without the usual harness clippy does not know it for one"
)]

mod both;
mod commands;
mod embedded;
mod pod;
mod support;

use std::process::ExitCode;
use std::sync::Mutex;

/// A test: its name, what it does.
pub type Test = (String, Box<dyn Fn() + Send + Sync>);

fn main() -> ExitCode {
    if let Some(code) = commands::dispatch() {
        return code;
    }
    let words: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    if std::env::args().any(|arg| arg == "--list") {
        return ExitCode::SUCCESS;
    }
    let mut tests = both::tests();
    tests.extend(embedded::tests());
    tests.extend(pod::tests());
    tests.retain(|(name, _)| words.is_empty() || words.iter().any(|word| name.contains(word)));
    let failed = run(tests);
    for name in &failed {
        eprintln!("FAILED: {name}");
    }
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs four at once; the names of those that failed.
fn run(tests: Vec<Test>) -> Vec<String> {
    let queue = Mutex::new(tests.into_iter());
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some((name, test)) = queue.lock().unwrap().next() else { return };
                    let begun = std::time::Instant::now();
                    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(&test));
                    let word = if result.is_ok() { "ok" } else { "FAILED" };
                    eprintln!("{name}: {word} ({:.2} s)", begun.elapsed().as_secs_f64());
                    if result.is_err() {
                        failed.lock().unwrap().push(name);
                    }
                }
            });
        }
    });
    failed.into_inner().unwrap()
}
