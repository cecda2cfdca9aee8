//! `labctl class up`: a copy for each student, and who has what when not all could be made.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use class::copies;
use class::roster::{self, Problem, Student};
use class::start::{self, Started, State, Wanted};
use engine::Limits;
use serde_json::json;

use super::expires;
use crate::args::LabFile;
use crate::args::class::{Roster, Starting};
use crate::context::{Context, Shared};
use crate::failure::{Failure, INTERRUPTED, INVALID, Outcome, PARTLY};
use crate::progress::Progress;
use crate::verbs::{lab, up};
use crate::{interrupt, output};

/// Runs the verb.
pub async fn run(
    context: &Context,
    class: Option<&str>,
    file: &LabFile,
    roster: &Roster,
    how: &Starting,
) -> Outcome {
    let limits = limits(how)?;
    let until = expires(how.ttl)?;
    let students = students(roster)?;
    context.remove_expired().await;
    let name = match class {
        Some(name) => name.to_owned(),
        None => lab_name(&file.file)?,
    };
    let name = lab::instance(&name)?;
    let engine = context.engine_of_class(&name, how.isolation).await?;
    let options = start::Options {
        class: name.clone(),
        expires: until,
        limits,
        parallel: how.parallel,
        wait: Duration::from_secs(how.wait),
        exercise: how.exercise,
    };
    let wanted = wanted(&engine, &name, file, &students, &options).await?;
    let started = Instant::now();
    let progress = Progress::new(context.global.quiet);
    let count = wanted.len();
    let done = AtomicUsize::new(0);
    let stop = interrupt::token();
    let tell = |one: &Started| {
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        let text = match &one.error {
            None => format!("ready ({done}/{count})"),
            Some(error) => format!("{}: {error}", one.state.word()),
        };
        progress.event(&one.student.id, &text, true);
    };
    let work = start::start(engine.as_ref(), wanted, &options, &tell);
    let all = tokio::select! {
        () = stop.cancelled() => {
            return Err(Failure::new(INTERRUPTED, "interrupted")
                .help("`labctl class up` goes on where it stopped, `labctl class down` removes all"));
        }
        all = work => all,
    };
    progress.clear();
    let ready = all.iter().filter(|one| one.state == State::Ready).count();
    let seconds = started.elapsed().as_secs_f64();
    if context.json() {
        output::json(&json!({
            "schema": 1, "class": name, "engine": engine.name(), "seconds": seconds, "copies": all,
        }))?;
    }
    output::tell(&format!(
        "{ready} of {count} copies of {name} are ready ({}, {seconds:.1}s)",
        engine.name()
    ));
    if ready == count {
        if how.exercise && !context.global.quiet {
            let first = all.first().map(|one| one.instance.as_str()).unwrap_or_default();
            output::tell(&format!(
                "A student works with `labctl -p {first} …`, or with LABCTL_INSTANCE={first} set"
            ));
        }
        return Ok(0);
    }
    if !context.json() {
        table(&all);
    }
    Err(Failure::new(PARTLY, format!("{} of {count} copies are not ready", count - ready))
        .help("`labctl class up` again makes those that are missing and leaves the others"))
}

/// Who has what.
fn table(all: &[Started]) {
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|one| {
            let why = one.error.as_deref().unwrap_or_default();
            let state = one.state.word().to_owned();
            vec![one.student.id.clone(), one.instance.clone(), state, why.replace('\n', "; ")]
        })
        .collect();
    output::say(&output::table(&["STUDENT", "INSTANCE", "STATE", "WHY"], &rows));
}

fn limits(how: &Starting) -> Result<Limits, Failure> {
    if how.cpu.is_some_and(|share| !(share > 0.0 && share <= 1024.0)) {
        return Err(Failure::usage("--cpu is a share of a processor, such as 0.5"));
    }
    for (option, zero) in [
        ("--memory", how.memory == Some(0)),
        ("--disk", how.disk == Some(0)),
        ("--processes", how.processes == Some(0)),
    ] {
        if zero {
            return Err(Failure::usage(format!("{option} must be more than 0")));
        }
    }
    Ok(Limits {
        memory: how.memory.map(|mb| mb << 20),
        processes: how.processes,
        cpu: how.cpu,
        disk: how.disk.map(|mb| mb << 20),
    })
}

/// What each student is to have. Every student's lab is read before the first is started: a wrong
/// one refuses the whole class. What the engine cannot run for some is theirs alone.
async fn wanted(
    engine: &Shared,
    class: &str,
    file: &LabFile,
    students: &[Student],
    options: &start::Options,
) -> Result<Vec<Wanted>, Failure> {
    let vars = lab::vars(&file.set)?;
    let mut plans = Vec::new();
    let mut wrong = Vec::new();
    for student in students {
        let mut all = vars.clone();
        all.extend(student.variables(class));
        match ::lab::load(&file.file, &all) {
            Ok(lab) => plans.push((student, lab.plan)),
            Err(report) => wrong.push((student.id.clone(), report)),
        }
    }
    if let Some((id, report)) = wrong.first() {
        let others = match wrong.len() {
            1 => String::new(),
            n => format!(" (and for {} others)", n - 1),
        };
        let text = format!("for student {id}{others}:\n{}", lab::render(report));
        return Err(Failure { code: INVALID, message: text, help: None, rendered: true });
    }
    if options.exercise && plans.iter().all(|(_, plan)| plan.todo.is_empty()) {
        return Err(up::no_work(&file.file));
    }
    let there = copies::list(engine.as_ref(), Some(class)).await?;
    let mut wanted = Vec::new();
    let mut unsupported = Vec::new();
    for (student, plan) in plans {
        let mut own = options.clone();
        // A copy that is there keeps its time and its bounds where no others are given: other
        // bounds would mean other nodes, and the student's work would be gone.
        if let Some(copy) = there.iter().find(|copy| copy.student.slug == student.slug) {
            own.expires = own.expires.or(copy.expires);
            if own.limits == Limits::default() {
                own.limits = start::limits_of(&copy.instance.labels);
            }
        }
        let mut one = start::wanted(engine.as_ref(), student, plan, &own).await?;
        if let Err(error) = engine.supports(&one.deployment).await {
            let there = there.iter().any(|copy| copy.student.slug == student.slug);
            let state = if there { State::Unchanged } else { State::Missing };
            one.refused.get_or_insert_with(|| (state, error.to_string()));
            unsupported.push(error);
        }
        wanted.push(one);
    }
    if unsupported.len() == wanted.len()
        && let Some(error) = unsupported.into_iter().next()
    {
        return Err(error.into());
    }
    Ok(wanted)
}

pub(super) fn students(roster: &Roster) -> Result<Vec<Student>, Failure> {
    let (name, result) = if let Some(path) = &roster.roster {
        let bytes = std::fs::read(path)
            .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
        (path.display().to_string(), roster::parse(&bytes))
    } else if !roster.students.is_empty() {
        ("--students".to_owned(), roster::named(&roster.students))
    } else if let Some(count) = roster.count {
        return Ok(roster::counted(count));
    } else {
        return Err(Failure::usage("who is in the class?")
            .help("--roster FILE.csv, --students alice,bob or --count 30"));
    };
    result.map_err(|problems| {
        let lines: Vec<String> = problems
            .iter()
            .map(|Problem { line, message }| match line {
                0 => format!("{name}: {message}"),
                line => format!("{name}:{line}: {message}"),
            })
            .collect();
        Failure::new(
            INVALID,
            format!("the roster is not right, nothing was started:\n  {}", lines.join("\n  ")),
        )
    })
}

fn lab_name(file: &Path) -> Result<String, Failure> {
    Ok(lab::load(file, &[])
        .map(|lab| lab.plan.lab)
        // A lab that needs a student's variables cannot be read without one.
        .unwrap_or_else(|_| {
            file.file_stem().map(|stem| stem.to_string_lossy().to_lowercase()).unwrap_or_default()
        }))
}
