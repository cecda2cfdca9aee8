//! `labctl class …`: one copy of a lab for each student.

use std::path::{Path, PathBuf};
use std::time::Duration;

use class::copies::{self, Copy};
use class::grade::{self, Grades};
use class::roster::{self, Problem, Student};
use class::start::{self, Wanted};
use class::{handin, sheets};
use engine::Limits;
use serde_json::json;

use crate::args::class::{ClassArgs, ClassVerb, Grading, Roster};
use crate::context::{Context, Running, Shared};
use crate::failure::{ENGINE, Failure, INVALID, NOTHING, Outcome};
use crate::progress::Progress;
use crate::verbs::{exec, lab, verify};
use crate::{interrupt, output};

/// Runs the verb.
pub async fn run(context: &Context, args: ClassArgs) -> Outcome {
    let class = args.class.as_deref();
    match args.verb {
        ClassVerb::Up { lab, roster, memory, processes, cpu, disk, ttl, parallel, wait } => {
            let limits = Limits {
                memory: memory.map(|mb| mb << 20),
                processes,
                cpu,
                disk: disk.map(|mb| mb << 20),
            };
            let expires = ttl.map(|hours| now() + (hours * 3600.0) as i64);
            let students = students(&roster)?;
            let engine = context.engine().await?;
            up(context, &engine, class, &lab, students, limits, expires, parallel, wait).await
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
        ClassVerb::Grade { grading, from } => match from {
            None => {
                let (engine, copies) = find(context, class).await?;
                let copies = chosen(copies, &grading.student)?;
                graded(context, &engine, copies, &grading).await
            }
            Some(folder) => from_archives(context, class, &folder, &grading).await,
        },
        ClassVerb::Reset { student } => {
            let (engine, copy) = one(context, class, &student).await?;
            reset(&engine, &copy).await?;
            output::tell(&format!("{} is as at the beginning", copy.student.id));
            Ok(0)
        }
        ClassVerb::Snapshot { to, student } => snapshot(context, class, &to, &student).await,
        ClassVerb::Restore { from, parallel } => {
            let engine = context.engine().await?;
            let copies = restore(&engine, class, &from, parallel, context.global.quiet).await?;
            output::tell(&format!("{} copies restored", copies.len()));
            Ok(0)
        }
        ClassVerb::Down => down(context, class).await,
    }
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

fn students(roster: &Roster) -> Result<Vec<Student>, Failure> {
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

#[expect(clippy::too_many_arguments, reason = "the options of one verb")]
async fn up(
    context: &Context,
    engine: &Shared,
    class: Option<&str>,
    file: &crate::args::LabFile,
    students: Vec<Student>,
    limits: Limits,
    expires: Option<i64>,
    parallel: usize,
    wait: u64,
) -> Outcome {
    let vars = lab::vars(&file.set)?;
    let name = match class {
        Some(name) => name.to_owned(),
        None => lab_name(&file.file)?,
    };
    let name = lab::instance(&name)?;
    let options = start::Options {
        class: name.clone(),
        expires,
        limits,
        parallel,
        wait: Duration::from_secs(wait),
    };
    // Every student's lab is read before the first is started: a wrong one refuses the whole class.
    let mut wanted: Vec<Wanted> = Vec::new();
    let mut wrong = Vec::new();
    for student in &students {
        let mut all = vars.clone();
        all.extend(student.variables(&name));
        match ::lab::load(&file.file, &all) {
            Ok(lab) => {
                wanted.push(start::wanted(engine.as_ref(), student, lab.plan, &options).await?);
            }
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
    if let Some(first) = wanted.first() {
        engine.supports(&first.deployment).await?;
    }
    let started = std::time::Instant::now();
    let progress = Progress::new(context.global.quiet);
    let count = wanted.len();
    let done = std::sync::atomic::AtomicUsize::new(0);
    let stop = interrupt::token();
    let tell = |student: &Student, result: Result<(), String>| {
        let done = done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        match result {
            Ok(()) => progress.event(&student.id, &format!("ready ({done}/{count})"), true),
            Err(error) => progress.event(&student.id, &format!("failed: {error}"), true),
        }
    };
    let work = start::start(engine.as_ref(), wanted, &options, &tell);
    let failed = tokio::select! {
        () = stop.cancelled() => {
            return Err(Failure::new(crate::failure::INTERRUPTED, "interrupted")
                .help("`labctl class up` goes on where it stopped, `labctl class down` removes all"));
        }
        failed = work => failed,
    };
    progress.clear();
    output::tell(&format!(
        "{} of {count} copies of {name} are ready ({}, {:.1}s)",
        count - failed,
        engine.name(),
        started.elapsed().as_secs_f64()
    ));
    if failed > 0 {
        return Err(Failure::new(ENGINE, format!("{failed} copies could not be started"))
            .help("`labctl class up` again tries those that are missing"));
    }
    Ok(0)
}

fn lab_name(file: &Path) -> Result<String, Failure> {
    Ok(lab::load(file, &[])
        .map(|lab| lab.plan.lab)
        // A lab that needs a student's variables cannot be read without one.
        .unwrap_or_else(|_| {
            file.file_stem().map(|stem| stem.to_string_lossy().to_lowercase()).unwrap_or_default()
        }))
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
        for copy in copies::list(engine.as_ref(), class).await? {
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

async fn graded(
    context: &Context,
    engine: &Shared,
    copies: Vec<Copy>,
    grading: &Grading,
) -> Outcome {
    let class = copies.first().map(|copy| copy.class.clone()).unwrap_or_default();
    let cancel = interrupt::token();
    let journal =
        crate::state::folder().map(|folder| folder.join("class").join(format!("{class}.jsonl")));
    if let (Some(path), true) = (&journal, grading.again) {
        let _ = std::fs::remove_file(path);
    }
    let options = grade::Options {
        only: grading.only.clone(),
        scenarios: !grading.no_scenarios,
        parallel: grading.parallel,
        journal,
        cancel,
    };
    let total = copies.len();
    let done = std::sync::atomic::AtomicUsize::new(0);
    let grades = grade::grade(engine.as_ref(), &class, copies, &options, &|row| {
        let done = done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        if context.global.quiet || context.json() {
            return;
        }
        let text = match (&row.error, &row.report) {
            (Some(error), _) => format!("error: {error}"),
            (None, Some(report)) => format!("{} of {} points", report.earned, report.points),
            (None, None) => String::new(),
        };
        output::tell(&format!("[{done}/{total}] {}  {text}", row.student.id));
    })
    .await;
    for path in &grading.report {
        write(path, &grades)?;
    }
    show(context, &grades)?;
    Ok(grades.exit_code())
}

fn show(context: &Context, grades: &Grades) -> Result<(), Failure> {
    if context.json() {
        return output::json(grades);
    }
    let rows: Vec<Vec<String>> = grades
        .rows
        .iter()
        .map(|row| {
            let (points, failed) = match (&row.report, row.earned()) {
                (Some(report), Some(earned)) => {
                    let failed =
                        report.outcomes.iter().filter(|o| o.verdict != checks::Verdict::Pass);
                    let names: Vec<&str> = failed.map(|outcome| outcome.name.as_str()).collect();
                    (format!("{earned}/{}", report.points), names.join(", "))
                }
                _ => ("error".to_owned(), row.error.clone().unwrap_or_default()),
            };
            vec![row.student.id.clone(), row.student.title().to_owned(), points, failed]
        })
        .collect();
    output::say(&output::table(&["STUDENT", "NAME", "POINTS", "FAILED"], &rows));
    Ok(())
}

fn write(path: &Path, grades: &Grades) -> Result<(), Failure> {
    let name =
        path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let bytes = match name.rsplit('.').next() {
        Some("csv") if name.contains("moodle") => sheets::moodle(grades).into_bytes(),
        Some("csv") => sheets::csv(grades).into_bytes(),
        Some("json") => sheets::json(grades).into_bytes(),
        Some("xml") => sheets::junit(grades).into_bytes(),
        Some("html") => sheets::html(grades).into_bytes(),
        Some("xlsx") => sheets::xlsx(grades)
            .map_err(|error| Failure::new(ENGINE, format!("make {}: {error}", path.display())))?,
        _ => {
            return Err(Failure::usage(format!("the form of {} is not known", path.display()))
                .help(".csv, moodle.csv (Moodle's gradebook), .xlsx, .json, .xml (JUnit) and .html are"));
        }
    };
    std::fs::write(path, bytes)
        .map_err(|error| Failure::usage(format!("cannot write {}: {error}", path.display())))
}

async fn reset(engine: &Shared, copy: &Copy) -> Result<(), Failure> {
    let name = &copy.instance.name;
    let document = deploy::Document::of(engine.as_ref(), name).await?;
    let mut deployment = document.deployment(name)?;
    deployment.labels = copies::labels(&copy.class, &copy.student, copy.expires);
    engine.remove(name, &|_| {}).await?;
    start::start_one(engine.as_ref(), &deployment, Duration::from_secs(60))
        .await
        .map_err(|error| Failure::new(ENGINE, error))
}

async fn snapshot(context: &Context, class: Option<&str>, to: &Path, ids: &[String]) -> Outcome {
    let (engine, copies) = find(context, class).await?;
    let copies = chosen(copies, ids)?;
    std::fs::create_dir_all(to)
        .map_err(|error| Failure::usage(format!("cannot make {}: {error}", to.display())))?;
    let mut failed = 0;
    for copy in &copies {
        let path = to.join(format!("{}.tar.gz", copy.student.slug));
        let result = match handin::snapshot(engine.as_ref(), copy).await {
            Ok(handin) => handin.write(&path).map_err(|error| error.to_string()),
            Err(error) => Err(error),
        };
        match result {
            Ok(()) => output::say(&path.display().to_string()),
            Err(error) => {
                failed += 1;
                output::complain(&format!("{}: {error}", copy.student.id));
            }
        }
    }
    if failed > 0 {
        return Err(Failure::new(
            ENGINE,
            format!("{failed} of {} hand-ins could not be saved", copies.len()),
        ));
    }
    Ok(0)
}

/// Brings hand-ins up; the copies that are up are given back, failures are told.
async fn restore(
    engine: &Shared,
    class: Option<&str>,
    from: &Path,
    parallel: usize,
    quiet: bool,
) -> Result<Vec<Copy>, Failure> {
    use futures::StreamExt;
    let mut paths: Vec<PathBuf> = std::fs::read_dir(from)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", from.display())))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.to_string_lossy().ends_with(".tar.gz"))
        .collect();
    paths.sort();
    if paths.is_empty() {
        return Err(Failure::new(
            NOTHING,
            format!("{} holds no hand-ins (*.tar.gz)", from.display()),
        ));
    }
    let progress = Progress::new(quiet);
    let results: Vec<Result<String, String>> = futures::stream::iter(paths)
        .map(|path| {
            let progress = &progress;
            async move {
                let read = handin::HandIn::read(&path);
                let handin = read.map_err(|error| format!("{}: {error}", path.display()))?;
                let id = handin.student.id.clone();
                progress.event(&id, "restoring", false);
                let options = start::Options {
                    class: class.unwrap_or(&handin.document.plan.lab).to_owned(),
                    expires: None,
                    limits: Limits::default(),
                    parallel: 1,
                    wait: Duration::from_secs(60),
                };
                let name = handin::restore(engine.as_ref(), &handin, &options)
                    .await
                    .map_err(|error| format!("{id}: {error}"))?;
                progress.event(&id, "restored", true);
                Ok(name)
            }
        })
        .buffer_unordered(parallel.max(1))
        .collect()
        .await;
    progress.clear();
    let mut names = Vec::new();
    let mut failed = Vec::new();
    for result in results {
        match result {
            Ok(name) => names.push(name),
            Err(error) => failed.push(error),
        }
    }
    if !failed.is_empty() {
        return Err(Failure::new(
            ENGINE,
            format!("not all could be restored:\n  {}", failed.join("\n  ")),
        ));
    }
    let copies = copies::list(engine.as_ref(), None).await?;
    Ok(copies.into_iter().filter(|copy| names.contains(&copy.instance.name)).collect())
}

/// Grades hand-ins: brings them up, grades them, takes them down.
async fn from_archives(
    context: &Context,
    class: Option<&str>,
    folder: &Path,
    grading: &Grading,
) -> Outcome {
    let engine = context.engine().await?;
    let copies = restore(&engine, class, folder, grading.parallel, context.global.quiet).await?;
    let names: Vec<String> = copies.iter().map(|copy| copy.instance.name.clone()).collect();
    let outcome = graded(context, &engine, chosen(copies, &grading.student)?, grading).await;
    for name in names {
        engine.remove(&name, &|_| {}).await?;
    }
    outcome
}

async fn down(context: &Context, class: Option<&str>) -> Outcome {
    use futures::StreamExt;
    let (engine, copies) = find(context, class).await?;
    let started = std::time::Instant::now();
    let progress = Progress::new(context.global.quiet);
    let results: Vec<(String, engine::Result<engine::Changes>)> = futures::stream::iter(&copies)
        .map(|copy| {
            let (engine, progress) = (&engine, &progress);
            async move {
                let result = engine.remove(&copy.instance.name, &|_| {}).await;
                progress.event(
                    &copy.student.id,
                    if result.is_ok() { "removed" } else { "failed" },
                    true,
                );
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
        return Err(Failure::new(
            ENGINE,
            format!("not all could be removed:\n  {}", failed.join("\n  ")),
        ));
    }
    output::tell(&format!(
        "Removed {} copies in {:.1}s",
        copies.len(),
        started.elapsed().as_secs_f64()
    ));
    Ok(0)
}
