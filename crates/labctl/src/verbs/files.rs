//! `labctl plan`, `render`, `graph`, `schema`, `init`, `ca`: what comes before an engine.

use std::collections::BTreeMap;
use std::path::Path;

use deploy::Document;
use pictures::Topology;
use serde_json::json;

use crate::args::{LabFile, MaybeLabFile};
use crate::context::Context;
use crate::failure::{Failure, INVALID, NOTHING, Outcome};
use crate::output;
use crate::verbs::lab;

/// `labctl plan`.
pub async fn plan(context: &Context, file: &LabFile, detailed: bool) -> Outcome {
    let plan = lab::plan(context, &file.file, &file.set)?;
    let instance = lab::instance(context.global.instance.as_deref().unwrap_or(&plan.lab))?;
    // With a running instance of that name it is told what `up` would do.
    let mut changes = None;
    for engine in context.engines().await.unwrap_or_default() {
        let Ok(instances) = engine.known().await else { continue };
        if instances.iter().any(|one| one.name == instance) {
            let document = Document::for_instance(engine.as_ref(), &instance, plan.clone()).await?;
            changes = Some(engine.changes(&document.deployment(&instance)?).await?);
        }
    }
    let would_change = changes.as_ref().is_none_or(|changes| !changes.is_empty());
    if context.json() {
        output::json(&json!({ "schema": 1, "plan": plan.json(), "changes": changes }))?;
    } else {
        output::say(super::plan_text::text(&plan).trim_end());
        if let Some(changes) = &changes {
            output::say(&format!("\n`up` would change {instance}:"));
            for (sign, list) in
                [("+", &changes.create), ("~", &changes.replace), ("-", &changes.remove)]
            {
                for name in list {
                    output::say(&format!("  {sign} {name}"));
                }
            }
            if changes.is_empty() {
                output::say("  nothing");
            }
        }
    }
    Ok(if detailed && would_change { INVALID } else { 0 })
}

/// `labctl render`.
pub fn render(context: &Context, file: &LabFile, node: Option<&str>) -> Outcome {
    let plan = lab::plan(context, &file.file, &file.set)?;
    if let Some(name) = node
        && plan.node(name).is_none()
    {
        let near = crate::names::nearest(name, plan.nodes.iter().map(|node| node.name.as_str()));
        let failure = Failure::usage(format!("the lab has no node `{name}`"));
        return Err(match near {
            Some(near) => failure.help(format!("did you mean `{near}`?")),
            None => failure,
        });
    }
    let document = Document::new(plan)?;
    let Document { plan, secrets, .. } = &document;
    let mut configs = BTreeMap::new();
    for one in plan.nodes.iter().filter(|one| node.is_none_or(|name| name == one.name)) {
        let config = ::lab::render::node_config(plan, &one.name, secrets)
            .map_err(|error| Failure::new(INVALID, format!("node {}: {error}", one.name)))?;
        configs.insert(one.name.clone(), config);
    }
    if context.json() {
        output::json(&json!({ "schema": 1, "nodes": configs }))?;
        return Ok(0);
    }
    for (name, config) in configs {
        for (path, text) in &config.files {
            // A private key is not for the screen.
            if text.contains("PRIVATE KEY") {
                continue;
            }
            let (bold, plain) = (output::BOLD, output::PLAIN);
            output::say(&format!("{bold}── {name}:{path}{plain}\n{}", text.trim_end()));
        }
    }
    Ok(0)
}

/// `labctl graph`.
pub async fn graph(context: &Context, file: &MaybeLabFile, format: &str) -> Outcome {
    let here = Path::new("lab.yaml");
    let (plan, marks) = match &file.file {
        Some(path) => (lab::plan(context, path, &file.set)?, BTreeMap::new()),
        None => match context.running().await {
            Ok(running) => {
                let plan = lab::document(&running).await?.plan;
                let marks = super::verify::last_marks(&running.name, &plan);
                (plan, marks)
            }
            Err(_) if here.exists() => (lab::plan(context, here, &[])?, BTreeMap::new()),
            Err(failure) => return Err(failure),
        },
    };
    let topology = Topology::of(&plan, &marks);
    let text = match format {
        "svg" => pictures::svg(&topology),
        "mermaid" => pictures::mermaid(&topology),
        "dot" => pictures::dot(&topology),
        "ascii" | "text" => pictures::text(&topology),
        other => {
            return Err(Failure::usage(format!("`{other}` is no format of a drawing"))
                .help("svg, mermaid, dot and ascii are"));
        }
    };
    output::put(text.as_bytes())?;
    Ok(0)
}

/// `labctl schema`.
pub fn schema() -> Outcome {
    output::json(&::lab::schema())?;
    Ok(0)
}

/// `labctl init`.
pub fn init(context: &Context, name: Option<&str>, to: &Path) -> Outcome {
    let starters = ::lab::starters();
    let Some(name) = name else {
        if context.json() {
            let list: Vec<_> = starters
                .iter()
                .map(|one| json!({ "name": one.name, "title": one.title }))
                .collect();
            output::json(&json!({ "schema": 1, "starters": list }))?;
        } else {
            let rows: Vec<_> = starters
                .iter()
                .map(|one| vec![one.name.to_owned(), one.title.to_owned()])
                .collect();
            output::say(&output::table(&["STARTER", "TITLE"], &rows));
        }
        return Ok(0);
    };
    let Some(starter) = starters.iter().find(|one| one.name == name) else {
        let near = crate::names::nearest(name, starters.iter().map(|one| one.name));
        let help = near.map_or("`labctl init` lists them".to_owned(), |near| {
            format!("did you mean `{near}`?")
        });
        return Err(Failure::usage(format!("there is no starter `{name}`")).help(help));
    };
    let written =
        std::fs::OpenOptions::new().write(true).create_new(true).open(to).and_then(|mut out| {
            use std::io::Write;
            out.write_all(starter.text.as_bytes())
        });
    match written {
        Ok(()) => {
            output::tell(&format!(
                "Wrote {}; `labctl up {}` starts it",
                to.display(),
                to.display()
            ));
            Ok(0)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(Failure::usage(format!("{} is there already", to.display()))
                .help("choose another place with --to FILE"))
        }
        Err(error) => Err(Failure::usage(format!("cannot write {}: {error}", to.display()))),
    }
}

/// `labctl ca`.
pub async fn authority(context: &Context, to: Option<&Path>) -> Outcome {
    let running = context.running().await?;
    let document = lab::document(&running).await?;
    let pem = &document.secrets.ca;
    if pem.is_empty() {
        return Err(Failure::new(NOTHING, "the lab has no certificate authority"));
    }
    match to {
        Some(path) => std::fs::write(path, pem)
            .map_err(|error| Failure::usage(format!("cannot write {}: {error}", path.display())))?,
        None => output::put(pem.as_bytes())?,
    }
    Ok(0)
}
