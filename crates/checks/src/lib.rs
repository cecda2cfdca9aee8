//! Checks, scenarios, verdicts, explanations, reports: a lab that proves itself.
//!
//! [`verify`] runs the checks of a [`lab::Plan`] against a running instance, each by a node's own
//! client, then the scenarios. One attempt ([`kinds`]) says what was seen; [`judge`] says whether
//! that is what the lab wants; [`explain`] walks the layers of what is broken; [`report`] writes it
//! down. [`actions`] are what can be done to a running lab. `docs/checks.md` shows each kind.

pub mod actions;
mod choose;
mod explain;
mod judge;
mod kinds;
pub mod mutants;
pub mod report;
mod run;
mod scenario;
mod trial;
mod undo;
mod verdict;
mod world;

pub use mutants::{LabTest, Stage, Variant, test_lab};
pub use run::{Event, Options, Tell, verify};
pub use verdict::{Explanation, Outcome, Report, Rung, SCHEMA, Verdict};
