//! What is going on: one live line a subject on a terminal, plain lines in a pipe, nothing with -q.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::output;

/// Shows events.
pub struct Progress {
    mode: Mode,
    started: Instant,
}

enum Mode {
    Quiet,
    Plain,
    Live { all: MultiProgress, bars: Mutex<HashMap<String, ProgressBar>> },
}

impl Progress {
    /// Live on a terminal, plain otherwise; nothing when `quiet`.
    pub fn new(quiet: bool) -> Self {
        let mode = if quiet {
            Mode::Quiet
        } else if output::live() {
            Mode::Live { all: MultiProgress::new(), bars: Mutex::default() }
        } else {
            Mode::Plain
        };
        Self { mode, started: Instant::now() }
    }

    /// `subject` is now at `what`; `last` when nothing follows for it.
    pub fn event(&self, subject: &str, what: &str, last: bool) {
        match &self.mode {
            Mode::Quiet => {}
            Mode::Plain => {
                let seconds = self.started.elapsed().as_secs_f64();
                output::tell(&format!("{seconds:6.2}s  {subject}: {what}"));
            }
            Mode::Live { all, bars } => {
                let mut bars = bars.lock().unwrap_or_else(PoisonError::into_inner);
                let bar = bars.entry(subject.to_owned()).or_insert_with(|| {
                    let bar = all.add(ProgressBar::new_spinner());
                    if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix:<16} {msg}")
                    {
                        bar.set_style(style.tick_chars("⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏✓"));
                    }
                    bar.set_prefix(subject.to_owned());
                    bar.enable_steady_tick(Duration::from_millis(120));
                    bar
                });
                bar.set_message(what.to_owned());
                if last {
                    bar.finish();
                }
            }
        }
    }

    /// Takes the live lines away, before something else is printed.
    pub fn clear(&self) {
        if let Mode::Live { all, bars } = &self.mode {
            for bar in bars.lock().unwrap_or_else(PoisonError::into_inner).values() {
                bar.finish_and_clear();
            }
            let _ = all.clear();
        }
    }

    /// A function for an engine's events.
    pub fn engine(&self) -> impl Fn(engine::Event) + Send + Sync + '_ {
        |event| self.event(&event.subject, event.what, matches!(event.what, "removed" | "created"))
    }
}
