//! `labctl class snapshot` and `restore`: what each student changed, as one archive a student.

use std::path::{Path, PathBuf};
use std::time::Duration;

use class::handin::{HandIn, SUFFIX};
use class::{handin, start};
use engine::Limits;
use futures::StreamExt;

use super::{chosen, expires, find};
use crate::args::Isolation;
use crate::context::Context;
use crate::failure::{Failure, NOTHING, Outcome, PARTLY};
use crate::output;
use crate::progress::Progress;

/// Nodes' archives are in memory while they are written: so many copies at once.
const PARALLEL: usize = 4;

/// Saves the copies.
pub async fn snapshot(
    context: &Context,
    class: Option<&str>,
    to: &Path,
    ids: &[String],
) -> Outcome {
    let (engine, copies) = find(context, class).await?;
    let copies = chosen(copies, ids)?;
    std::fs::create_dir_all(to)
        .map_err(|error| Failure::usage(format!("cannot make {}: {error}", to.display())))?;
    let mut work = futures::stream::iter(&copies)
        .map(|copy| {
            let engine = &engine;
            async move {
                let path = to.join(format!("{}{SUFFIX}", copy.student.slug));
                let saved = match handin::snapshot(engine.as_ref(), copy).await {
                    Ok(handin) => handin.write(&path).map_err(|error| error.to_string()),
                    Err(error) => Err(error),
                };
                (copy, path, saved)
            }
        })
        .buffered(PARALLEL);
    let mut failed = 0;
    while let Some((copy, path, saved)) = work.next().await {
        match saved {
            Ok(()) => output::say(&path.display().to_string()),
            Err(error) => {
                failed += 1;
                output::complain(&format!("{}: {error}", copy.student.id));
            }
        }
    }
    if failed > 0 {
        let text = format!("{failed} of {} hand-ins could not be saved", copies.len());
        return Err(Failure::new(PARTLY, text));
    }
    Ok(0)
}

/// The archives of a folder, by name.
pub fn archives(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .map_err(|error| Failure::usage(format!("cannot read {}: {error}", folder.display())))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.to_string_lossy().ends_with(SUFFIX))
        .collect();
    paths.sort();
    if paths.is_empty() {
        let text = format!("{} holds no hand-ins (*{SUFFIX})", folder.display());
        return Err(Failure::new(NOTHING, text));
    }
    Ok(paths)
}

/// Brings hand-ins back as running copies.
pub async fn restore(
    context: &Context,
    class: Option<&str>,
    from: &Path,
    ttl: Option<f64>,
    parallel: usize,
) -> Outcome {
    let until = expires(ttl)?;
    let engine = context.isolated(Isolation::Pod).await?;
    let paths = archives(from)?;
    let progress = Progress::new(context.global.quiet);
    let results: Vec<Result<(), String>> = futures::stream::iter(&paths)
        .map(|path| {
            let (engine, progress) = (&engine, &progress);
            async move {
                let handin = HandIn::read(path);
                let handin = handin.map_err(|error| format!("{}: {error}", path.display()))?;
                let id = handin.student.id.clone();
                progress.event(&id, "restoring", false);
                let options = start::Options {
                    class: class.unwrap_or(&handin.document.plan.lab).to_owned(),
                    expires: until,
                    limits: Limits::default(),
                    parallel: 1,
                    wait: Duration::from_secs(60),
                    exercise: handin.document.exercise,
                };
                let restored = handin::restore(engine.as_ref(), &handin, &options).await;
                restored.map_err(|error| format!("{id}: {error}"))?;
                progress.event(&id, "restored", true);
                Ok(())
            }
        })
        .buffer_unordered(parallel.max(1))
        .collect()
        .await;
    progress.clear();
    let failed: Vec<String> = results.into_iter().filter_map(Result::err).collect();
    output::tell(&format!("{} of {} copies restored", paths.len() - failed.len(), paths.len()));
    if !failed.is_empty() {
        let text = format!("not all could be restored:\n  {}", failed.join("\n  "));
        return Err(Failure::new(PARTLY, text));
    }
    Ok(0)
}
