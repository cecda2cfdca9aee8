//! `labctl class …`: one copy of a lab for each student.

mod grading;
mod hand_in;
mod up;

use class::copies::{self, Copy};
use class::start;
use serde_json::json;

use crate::args::class::{ClassArgs, ClassVerb};
use crate::context::{Context, Running, Shared};
use crate::failure::{ENGINE, Failure, INVALID, NOTHING, Outcome, PARTLY};
use crate::progress::Progress;
use crate::verbs::{exec, lab, verify};
use crate::{interrupt, output};

/// Runs the verb.
pub async fn run(context: &Context, args: ClassArgs) -> Outcome {
    let class = args.class.as_deref();
    match args.verb {
        ClassVerb::Up { lab, roster, options } => {
            up::run(context, class, &lab, &roster, &options).await
        }
        ClassVerb::Status => status(context, class).await,
        ClassVerb::Exec { student, node, command } => {
            let (engine, copy) = one(context, class, &student).await?;
            let running = Running { engine, name: copy.instance.name };
            exec::interact(&running, &node, command, false).await
        }
        ClassVerb::Verify { student, selection } => {
            let (engine, copy) = one(context, class, &student).await?;
            let running = Running { engine, name: copy.instance.name };
            let plan = lab::document(&running).await?.plan;
            verify::check(context, &running, &plan, &selection, None, interrupt::token()).await
        }
        ClassVerb::Grade { grading, from, lab, set } => match from {
            None => grading::running(context, class, &grading).await,
            Some(folder) => {
                let author = lab.map(|file| crate::args::LabFile { file, set });
                grading::archives(context, class, &folder, author.as_ref(), &grading).await
            }
        },
        ClassVerb::Reset { student } => {
            let (engine, copy) = one(context, class, &student).await?;
            reset(&engine, &copy).await?;
            output::tell(&format!("{} is as at the beginning", copy.student.id));
            Ok(0)
        }
        ClassVerb::Snapshot { to, student } => {
            hand_in::snapshot(context, class, &to, &student).await
        }
        ClassVerb::Restore { from, ttl, parallel } => {
            hand_in::restore(context, class, &from, ttl, parallel).await
        }
        ClassVerb::Down { student } => down(context, class, &student).await,
    }
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// The second at which copies are forgotten.
fn expires(hours: Option<f64>) -> Result<Option<i64>, Failure> {
    match hours {
        None => Ok(None),
        Some(hours) if hours > 0.0 && hours < 1e6 => Ok(Some(now() + (hours * 3600.0) as i64)),
        Some(_) => Err(Failure::usage("--ttl is a number of hours, such as 3 or 0.5")),
    }
}

/// The copies of the class that is meant: the named one, or the only one.
async fn find(context: &Context, class: Option<&str>) -> Result<(Shared, Vec<Copy>), Failure> {
    let mut found: Vec<(Shared, Vec<Copy>)> = Vec::new();
    for engine in context.engines().await? {
        let copies = copies::list(engine.as_ref(), class).await?;
        if !copies.is_empty() {
            found.push((engine, copies));
        }
    }
    let mut names: Vec<String> =
        found.iter().flat_map(|(_, copies)| copies.iter().map(|copy| copy.class.clone())).collect();
    names.sort();
    names.dedup();
    if names.len() > 1 {
        return Err(Failure::new(INVALID, "several classes run")
            .help(format!("say which with --class: {}", names.join(", "))));
    }
    found.into_iter().next().ok_or_else(|| {
        let what =
            class.map_or("no class runs".to_owned(), |class| format!("no class `{class}` runs"));
        Failure::new(NOTHING, what).help("`labctl class up FILE --roster students.csv` starts one")
    })
}

/// Some copies by the students' ids; all where none is named.
fn chosen(copies: Vec<Copy>, ids: &[String]) -> Result<Vec<Copy>, Failure> {
    for id in ids {
        if !copies.iter().any(|copy| copy.student.id == *id || copy.student.slug == *id) {
            let near =
                crate::names::nearest(id, copies.iter().map(|copy| copy.student.id.as_str()));
            let failure = Failure::usage(format!("the class has no student `{id}`"));
            return Err(match near {
                Some(near) => failure.help(format!("did you mean `{near}`?")),
                None => failure,
            });
        }
    }
    let named = |copy: &Copy| {
        ids.is_empty() || ids.contains(&copy.student.id) || ids.contains(&copy.student.slug)
    };
    Ok(copies.into_iter().filter(named).collect())
}

async fn one(context: &Context, class: Option<&str>, id: &str) -> Result<(Shared, Copy), Failure> {
    let (engine, copies) = find(context, class).await?;
    let mut copies = chosen(copies, &[id.to_owned()])?;
    Ok((engine, copies.remove(0)))
}

async fn status(context: &Context, class: Option<&str>) -> Outcome {
    let mut rows = Vec::new();
    for engine in context.engines().await? {
        let copies = copies::list(engine.as_ref(), class).await?;
        // What the labels say is enough to find a copy; whether its nodes run, only it can tell.
        let states = if copies.is_empty() { Vec::new() } else { engine.instances().await? };
        for mut copy in copies {
            if let Some(now) = states.iter().find(|one| one.name == copy.instance.name) {
                copy.instance = now.clone();
            }
            rows.push((engine.name(), copy));
        }
    }
    if context.json() {
        let list: Vec<_> =
            rows.iter().map(|(engine, copy)| json!({ "engine": engine, "copy": copy })).collect();
        output::json(&json!({ "schema": 1, "copies": list }))?;
        return Ok(0);
    }
    if rows.is_empty() {
        output::tell("no class runs");
        return Ok(0);
    }
    let table: Vec<Vec<String>> = rows
        .iter()
        .map(|(engine, copy)| {
            let left = copy.expires.map(|end| {
                let minutes = (end - now()) / 60;
                if minutes < 0 {
                    "over: `labctl gc` removes it".into()
                } else {
                    format!("{minutes} min")
                }
            });
            vec![
                copy.class.clone(),
                copy.student.number.to_string(),
                copy.student.id.clone(),
                copy.instance.name.clone(),
                (*engine).to_owned(),
                format!("{}/{}", copy.instance.running, copy.instance.nodes),
                left.unwrap_or_default(),
            ]
        })
        .collect();
    output::say(&output::table(
        &["CLASS", "#", "STUDENT", "INSTANCE", "ENGINE", "NODES", "TIME LEFT"],
        &table,
    ));
    Ok(0)
}

async fn reset(engine: &Shared, copy: &Copy) -> Result<(), Failure> {
    let name = &copy.instance.name;
    let document = deploy::Document::of(engine.as_ref(), name).await?;
    let mut deployment = document.deployment(name)?;
    deployment.labels = copies::labels(&copy.class, &copy.student, copy.expires);
    start::bound(&mut deployment, start::limits_of(&copy.instance.labels));
    engine.remove(name, &|_| {}).await?;
    let wait = std::time::Duration::from_secs(60);
    start::start_one(engine.as_ref(), &deployment, &document.ready_nodes(), wait)
        .await
        .map_err(|(_, error)| Failure::new(ENGINE, error))
}

async fn down(context: &Context, class: Option<&str>, ids: &[String]) -> Outcome {
    use futures::StreamExt;
    let (engine, copies) = find(context, class).await?;
    let copies = chosen(copies, ids)?;
    let started = std::time::Instant::now();
    let progress = Progress::new(context.global.quiet);
    let results: Vec<(String, engine::Result<engine::Changes>)> = futures::stream::iter(&copies)
        .map(|copy| {
            let (engine, progress) = (&engine, &progress);
            async move {
                let name = &copy.instance.name;
                let result = engine.remove(name, &|_| {}).await;
                let word = if result.is_ok() { "removed" } else { "failed" };
                progress.event(&copy.student.id, word, true);
                if result.is_ok() {
                    crate::state::forget(name);
                }
                (copy.student.id.clone(), result)
            }
        })
        .buffer_unordered(16)
        .collect()
        .await;
    progress.clear();
    let failed: Vec<String> = results
        .into_iter()
        .filter_map(|(id, result)| result.err().map(|error| format!("{id}: {error}")))
        .collect();
    if !failed.is_empty() {
        let text = format!("not all could be removed:\n  {}", failed.join("\n  "));
        return Err(Failure::new(PARTLY, text).help("`labctl class down` again tries the rest"));
    }
    output::tell(&format!(
        "Removed {} copies in {:.1}s",
        copies.len(),
        started.elapsed().as_secs_f64()
    ));
    Ok(0)
}
