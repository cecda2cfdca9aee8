//! `labctl doctor`: what this machine has for running labs.

use engine::Info;
use serde_json::json;

use crate::args::EngineChoice;
use crate::context::{Context, Shared};
use crate::failure::{ENGINE, Failure, Outcome};
use crate::output;

/// Runs the verb.
pub async fn run(context: &Context) -> Outcome {
    let mut found: Vec<(&str, Result<Info, Failure>)> = Vec::new();
    for choice in [EngineChoice::Docker, EngineChoice::Embedded] {
        let mut global = context.global.clone();
        if global.engine != EngineChoice::Auto && global.engine != choice {
            continue;
        }
        global.engine = choice;
        let one = Context { global };
        if choice == EngineChoice::Embedded {
            found.push(("embedded", asked(one.engine().await).await));
            continue;
        }
        let docker = asked(one.engine().await).await;
        let answers = docker.is_ok();
        found.push(("docker", docker));
        // Where no daemon answers, that is said once.
        if answers {
            found.push(("pod", asked(one.pods()).await));
        }
    }
    let usable = found.iter().any(|(_, result)| result.is_ok());
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    if context.json() {
        let engines: Vec<_> = found
            .iter()
            .map(|(name, result)| match result {
                Ok(info) => json!({ "engine": name, "usable": true, "info": info }),
                Err(Failure { message, help, .. }) => {
                    json!({ "engine": name, "usable": false, "message": message, "help": help })
                }
            })
            .collect();
        output::json(&json!({
            "schema": 1,
            "labctl": env!("CARGO_PKG_VERSION"),
            "kernel": kernel.trim(),
            "engines": engines,
        }))?;
    } else {
        output::say(&format!("labctl {} on Linux {}", env!("CARGO_PKG_VERSION"), kernel.trim()));
        for (name, result) in &found {
            match result {
                Ok(info) => {
                    let (green, plain) = (output::GREEN, output::PLAIN);
                    output::say(&format!("{green}ok{plain}    {name} {}", info.version));
                    for (label, value) in &info.facts {
                        output::say(&format!("        {label}: {value}"));
                    }
                }
                Err(Failure { message, help, .. }) => {
                    let (red, plain) = (output::RED, output::PLAIN);
                    output::say(&format!("{red}no{plain}    {name}: {message}"));
                    if let Some(help) = help {
                        output::say(&format!("        help: {help}"));
                    }
                }
            }
        }
    }
    Ok(if usable { 0 } else { ENGINE })
}

/// What an engine says of itself.
async fn asked(engine: Result<Shared, Failure>) -> Result<Info, Failure> {
    Ok(engine?.info().await?)
}
