//! What is wrong with a lab as a network, told before anything starts.
//!
//! An error is what cannot work or contradicts itself; a warning is what an author may have meant.

mod addresses;
mod checks;
mod dhcp;
mod facts;
mod kinds;
mod mail;
mod names;
mod steps;
mod web;

use crate::diagnostic::{Problem, Span};
use crate::file::File;
use crate::plan::Plan;
use crate::yaml::Node as Tree;

use facts::Facts;

/// Everything that is wrong or doubtful.
pub(crate) fn lint(file: &File, tree: &Tree, plan: &Plan) -> Vec<Problem> {
    let mut lint = Lint { file, tree, plan, facts: Facts::of(plan), problems: Vec::new() };
    lint.addresses();
    lint.gateways_and_resolvers();
    lint.dhcp();
    lint.names();
    lint.web();
    lint.mail();
    lint.checks();
    lint.scenarios();
    lint.problems
}

/// What is at hand.
struct Lint<'a> {
    file: &'a File,
    tree: &'a Tree,
    plan: &'a Plan,
    facts: Facts<'a>,
    problems: Vec<Problem>,
}

impl Lint<'_> {
    fn error(
        &mut self,
        code: &'static str,
        span: Span,
        message: String,
        help: impl std::fmt::Display,
    ) {
        self.problems.push(Problem::error(code, span, message).help(help));
    }

    fn warn(
        &mut self,
        code: &'static str,
        span: Span,
        message: String,
        help: impl std::fmt::Display,
    ) {
        self.problems.push(Problem::warning(code, span, message).help(help));
    }

    fn place(&self, path: &[&str]) -> Span {
        self.tree.span_of(path)
    }

    fn key(&self, path: &[&str]) -> Span {
        self.tree.key_span(path)
    }
}

/// Whether a text may be a host name (RFC 1123): letters, digits, dashes; at most 63.
fn is_host_name(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}
