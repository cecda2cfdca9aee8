//! `labctl test-lab`: the author's lab must pass, each wrong variant fail as the author says.

use std::sync::Arc;
use std::time::Duration;

use ::lab::Lab;
use async_trait::async_trait;
use checks::Stage;
use deploy::Document;
use engine::Engine;

use crate::args::LabFile;
use crate::context::{Context, Shared};
use crate::failure::{FAILED, INTERRUPTED, Outcome};
use crate::progress::Progress;
use crate::verbs::{lab, ready};
use crate::{interrupt, output};

/// How long a variant's nodes may take. A wrong one may never be ready (a DHCP server that is off):
/// then it is judged as it is.
const WAIT: Duration = Duration::from_secs(8);

struct OnEngine {
    engine: Shared,
}

#[async_trait]
impl Stage for OnEngine {
    async fn up(&self, lab: &Lab, instance: &str) -> Result<Arc<dyn Engine>, String> {
        let document = Document::new(lab.plan().clone()).map_err(|error| error.to_string())?;
        let deployment = document.deployment(instance).map_err(|error| error.to_string())?;
        self.engine.apply(&deployment, &|_| {}).await.map_err(|error| error.to_string())?;
        let names: Vec<String> =
            deployment.nodes.iter().map(|node| node.name().to_owned()).collect();
        let quiet = Progress::new(true);
        let _ = ready::wait_all(self.engine.as_ref(), instance, &names, WAIT, &quiet).await;
        Ok(self.engine.clone())
    }

    async fn down(&self, instance: &str) -> Result<(), String> {
        self.engine.remove(instance, &|_| {}).await.map(|_| ()).map_err(|error| error.to_string())
    }
}

/// Runs the verb.
pub async fn run(context: &Context, file: &LabFile, only: &[String]) -> Outcome {
    let mut lab = lab::load(&file.file, &file.set)?;
    if !only.is_empty() {
        lab.plan.wrong.retain(|wrong| only.contains(&wrong.name));
    }
    let name = context.global.instance.clone().unwrap_or_else(|| {
        // Two runs at once must not share their instances.
        format!("{}-test-{}", lab.plan.lab, std::process::id())
    });
    let instance = lab::instance(&name)?;
    let stage = OnEngine { engine: context.engine().await? };
    let stop = interrupt::token();
    let options = checks::Options { cancel: stop.clone(), ..checks::Options::default() };
    let progress = Progress::new(context.global.quiet || context.json());
    let test = checks::test_lab(&lab, &stage, &instance, &options, &|_| {}, &|variant| {
        progress.event(variant, "trying", false);
    })
    .await;
    progress.clear();
    if context.json() {
        output::json(&serde_json::json!({ "schema": 1, "lab": lab.plan.lab, "test": test }))?;
    } else {
        for variant in &test.variants {
            let (style, word) =
                if variant.ok { (output::GREEN, "OK") } else { (output::RED, "WRONG") };
            let plain = output::PLAIN;
            let marks = variant.report.as_ref().map_or_else(String::new, |report| {
                format!("{} of {} points", report.earned, report.points)
            });
            output::say(&format!("{style}{word:>6}{plain}  {}  {marks}", variant.name));
            for problem in &variant.problems {
                output::say(&format!("        {problem}"));
            }
        }
        let wrong = test.variants.iter().filter(|variant| !variant.ok).count();
        output::say(&format!("\n{} variants, {wrong} not as the author says", test.variants.len()));
    }
    if stop.is_cancelled() {
        return Ok(INTERRUPTED);
    }
    Ok(if test.passed() { 0 } else { FAILED })
}
