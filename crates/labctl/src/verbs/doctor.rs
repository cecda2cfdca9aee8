//! `labctl doctor`: what this machine has for running labs.

use serde_json::json;

use crate::args::EngineChoice;
use crate::context::Context;
use crate::failure::{ENGINE, Outcome};
use crate::output;

/// Runs the verb.
pub async fn run(context: &Context) -> Outcome {
    let mut found = Vec::new();
    let mut usable = false;
    for choice in [EngineChoice::Docker, EngineChoice::Embedded] {
        let mut global = context.global.clone();
        if global.engine != EngineChoice::Auto && global.engine != choice {
            continue;
        }
        global.engine = choice;
        let name = if choice == EngineChoice::Docker { "docker" } else { "embedded" };
        let result = match (Context { global }).engine().await {
            Ok(engine) => engine.info().await.map_err(|error| {
                let help = error.help().map(str::to_owned);
                (error.to_string(), help)
            }),
            Err(failure) => Err((failure.message, failure.help)),
        };
        usable |= result.is_ok();
        found.push((name, result));
    }
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    if context.json() {
        let engines: Vec<_> = found
            .iter()
            .map(|(name, result)| match result {
                Ok(info) => json!({ "engine": name, "usable": true, "info": info }),
                Err((message, help)) => {
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
                Err((message, help)) => {
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
