//! `labctl completion` and `labctl man`.

use clap::CommandFactory;

use crate::args::Args;
use crate::failure::Outcome;
use crate::output;

/// The completion script of a shell.
pub fn script(shell: clap_complete::Shell) -> Outcome {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "labctl", &mut text);
    output::put(&text)?;
    Ok(0)
}

/// The manual page.
pub fn manual() -> Outcome {
    let mut text = Vec::new();
    clap_mangen::Man::new(Args::command()).render(&mut text)?;
    output::put(&text)?;
    Ok(0)
}
