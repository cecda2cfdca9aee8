//! Checks, scenarios, verdicts, explanations, reports.
