//! What came of checks.

use probes::Layer;
use serde::{Deserialize, Serialize};

/// The four ways a check can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It holds.
    Pass,
    /// It does not hold.
    Fail,
    /// A check that it needs did not pass.
    Blocked,
    /// labctl's own trouble; never counted as the student's.
    Error,
}

impl Verdict {
    /// Its word in reports.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Blocked => "blocked",
            Self::Error => "error",
        }
    }
}

/// One check's or scenario's result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The check's name.
    pub name: String,
    /// The heading it stands under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// `ping`, `mail`, …; `scenario`; in a scenario also the actions' words.
    pub kind: String,
    /// What it is worth.
    pub points: f64,
    /// What it earned.
    pub earned: f64,
    /// How it ended.
    pub verdict: Verdict,
    /// Seconds from its first attempt to its verdict.
    pub seconds: f64,
    /// How often it was tried.
    pub attempts: u32,
    /// What was seen, one sentence.
    pub message: String,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explanation: Option<Explanation>,
    /// The author's hint, where it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// A scenario's steps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Outcome>,
    /// The line of the lab file it stands on; 0 for a derived one.
    pub line: usize,
}

/// The first broken layer and how it was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// The first layer that is broken.
    pub layer: Layer,
    /// What is wrong there, one sentence.
    pub says: String,
    /// What shows it: reply lines, addresses, a transcript.
    pub evidence: Vec<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Every layer that was looked at, from the bottom.
    pub walked: Vec<Rung>,
}

/// Text for people to read. Nodes say what their students let them say: with control characters in it
/// a banner could paint another verdict over its own.
pub(crate) fn plain(text: String) -> String {
    let bad = |c: char| c.is_control() && c != '\n' && c != '\t';
    match text.contains(bad) {
        true => text.replace(bad, "\u{fffd}"),
        false => text,
    }
}

impl Explanation {
    /// The same, see [`plain`].
    pub(crate) fn plain(mut self) -> Self {
        self.says = plain(self.says);
        self.evidence = self.evidence.into_iter().map(plain).collect();
        for rung in &mut self.walked {
            rung.says = plain(std::mem::take(&mut rung.says));
        }
        self
    }
}

/// One layer that was looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rung {
    /// The layer.
    pub layer: Layer,
    /// Whether it is in order.
    pub ok: bool,
    /// What was seen.
    pub says: String,
}

/// The results of a lab.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The version of this document's form.
    pub schema: u32,
    /// The lab's name.
    pub lab: String,
    /// Its title.
    pub title: String,
    /// The instance that was tried.
    pub instance: String,
    /// When it began, RFC 3339.
    pub started: String,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// Points earned.
    pub earned: f64,
    /// Points in all.
    pub points: f64,
    /// Whether it was interrupted; what had not ended then is missing.
    pub interrupted: bool,
    /// One for each check and scenario, in the order of the lab.
    pub outcomes: Vec<Outcome>,
}

/// The form's version.
pub const SCHEMA: u32 = 1;

impl Report {
    /// How many ended in a verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.verdict == verdict).count()
    }

    /// Whether there was something and all of it passed.
    pub fn passed(&self) -> bool {
        !self.interrupted
            && !self.outcomes.is_empty()
            && self.outcomes.iter().all(|outcome| outcome.verdict == Verdict::Pass)
    }

    /// 0 all passed, 1 something failed, 3 only labctl's own trouble, 4 nothing to run,
    /// 130 interrupted.
    pub fn exit_code(&self) -> u8 {
        if self.interrupted {
            130
        } else if self.outcomes.is_empty() {
            4
        } else if self.passed() {
            0
        } else if self.count(Verdict::Fail) > 0 || self.count(Verdict::Error) == 0 {
            1
        } else {
            3
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    #[test]
    fn what_a_node_says_moves_no_cursor() {
        let text = plain("220 \u{1b}[2K\rPASS\n\tnext \u{9b}".into());
        assert_eq!(text, "220 \u{fffd}[2K\u{fffd}PASS\n\tnext \u{fffd}");
    }

    pub(crate) fn outcome(name: &str, verdict: Verdict, points: f64) -> Outcome {
        Outcome {
            name: name.into(),
            group: None,
            kind: "ping".into(),
            points,
            earned: if verdict == Verdict::Pass { points } else { 0.0 },
            verdict,
            seconds: 0.25,
            attempts: 1,
            message: "seen".into(),
            explanation: None,
            hint: None,
            steps: Vec::new(),
            line: 3,
        }
    }

    pub(crate) fn report(outcomes: Vec<Outcome>) -> Report {
        Report {
            schema: SCHEMA,
            lab: "lab06".into(),
            title: "Email <protocols>".into(),
            instance: "lab06".into(),
            started: "2026-11-30T12:00:00Z".into(),
            seconds: 1.5,
            earned: outcomes.iter().map(|outcome| outcome.earned).sum(),
            points: outcomes.iter().map(|outcome| outcome.points).sum(),
            interrupted: false,
            outcomes,
        }
    }

    #[test]
    fn exit_codes_are_those_of_the_manual() {
        let of = |verdicts: &[Verdict]| {
            report(verdicts.iter().map(|verdict| outcome("x", *verdict, 1.0)).collect()).exit_code()
        };
        assert_eq!(of(&[]), 4);
        assert_eq!(of(&[Verdict::Pass]), 0);
        assert_eq!(of(&[Verdict::Pass, Verdict::Fail, Verdict::Error]), 1);
        assert_eq!(of(&[Verdict::Blocked]), 1);
        assert_eq!(of(&[Verdict::Pass, Verdict::Error, Verdict::Blocked]), 3);
        let mut report = report(vec![outcome("x", Verdict::Pass, 1.0)]);
        report.interrupted = true;
        assert_eq!(report.exit_code(), 130);
    }
}
