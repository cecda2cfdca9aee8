//! `exec`: a command's output, the last resort.

use std::time::Duration;

use lab::check::Exec;
use node::Request;
use node::request::Output;

use super::Seen;
use crate::trial::{Failure, Unasked};
use crate::world::World;

/// A command may take so long.
const LIMIT: Duration = Duration::from_secs(30);
/// Lines of output that are shown as evidence.
const SHOWN: usize = 8;

pub async fn attempt(world: &World<'_>, check: &Exec) -> Seen {
    let request = Request::Exec {
        command: check.command.to_vec(),
        timeout_ms: u64::try_from(LIMIT.as_millis()).unwrap_or(u64::MAX),
    };
    let output: Output = world.ask(&check.node, &request, LIMIT).await?;
    let both = format!("{}{}", output.stdout, output.stderr);
    let broken = |message: String| {
        let mut failure = Failure::wrong(message).who(&check.node);
        failure.evidence.extend(both.lines().take(SHOWN).map(str::to_owned));
        Err(Unasked::from(failure))
    };
    let command = check.command.join(" ");
    if output.code != check.code {
        return broken(format!(
            "`{command}` ends with {}, and should with {}",
            output.code, check.code
        ));
    }
    for wanted in check.contains.iter() {
        if !both.contains(wanted.as_str()) {
            return broken(format!("`{command}` does not print {wanted:?}"));
        }
    }
    for unwanted in check.lacks.iter() {
        if both.contains(unwanted.as_str()) {
            return broken(format!("`{command}` prints {unwanted:?}"));
        }
    }
    Ok(format!("`{command}` ends with {}", output.code))
}
