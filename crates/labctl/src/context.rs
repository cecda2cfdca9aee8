//! Which engine, which instance, which lab.

use std::path::Path;
use std::sync::Arc;

use engine::Engine;
use engine::docker::Docker;
use engine::embedded::Embedded;

use crate::args::{EngineChoice, Format, Global};
use crate::failure::{Failure, INVALID, NOTHING};
use crate::output;

/// An engine that is shared.
pub type Shared = Arc<dyn Engine>;

/// What every verb starts from.
pub struct Context {
    /// The common options.
    pub global: Global,
}

/// A running instance.
pub struct Running {
    /// What it runs on.
    pub engine: Shared,
    /// Its name.
    pub name: String,
}

impl Context {
    /// Whether data is printed as JSON.
    pub fn json(&self) -> bool {
        self.global.output == Format::Json
    }

    fn docker(&self) -> Result<Shared, Failure> {
        Ok(Arc::new(Docker::connect(self.global.host.as_deref(), crate::multicall::commands())?))
    }

    fn embedded(&self) -> Shared {
        Arc::new(Embedded::new(crate::multicall::commands()))
    }

    /// The engine that starts something new: as chosen, or Docker where it answers.
    pub async fn engine(&self) -> Result<Shared, Failure> {
        match self.global.engine {
            EngineChoice::Docker => self.docker(),
            EngineChoice::Embedded => Ok(self.embedded()),
            EngineChoice::Auto => {
                let why = match self.docker() {
                    Ok(docker) => match docker.info().await {
                        Ok(_) => return Ok(docker),
                        Err(error) => error.to_string(),
                    },
                    Err(failure) => failure.message,
                };
                if !self.global.quiet {
                    output::tell(&format!("{why}; using the embedded engine"));
                }
                Ok(self.embedded())
            }
        }
    }

    /// The engines that may hold instances, those that answer.
    pub async fn engines(&self) -> Result<Vec<Shared>, Failure> {
        match self.global.engine {
            EngineChoice::Docker => Ok(vec![self.docker()?]),
            EngineChoice::Embedded => Ok(vec![self.embedded()]),
            EngineChoice::Auto => {
                let mut found = Vec::new();
                if let Ok(docker) = self.docker()
                    && docker.info().await.is_ok()
                {
                    found.push(docker);
                }
                found.push(self.embedded());
                Ok(found)
            }
        }
    }

    /// The instance that a verb without a file is about: `-p`, else the lab of this folder if it
    /// runs, else the only one that runs.
    pub async fn running(&self) -> Result<Running, Failure> {
        let mut all = Vec::new();
        for engine in self.engines().await? {
            for instance in engine.instances().await? {
                all.push((engine.clone(), instance.name));
            }
        }
        let list = || {
            all.iter()
                .map(|(engine, name)| format!("{name} ({})", engine.name()))
                .collect::<Vec<_>>()
        };
        let wanted = match &self.global.instance {
            Some(name) => Some(name.clone()),
            None => lab_here(Path::new("lab.yaml"))
                .filter(|name| all.iter().any(|(_, other)| other == name)),
        };
        let chosen = match &wanted {
            Some(name) => all.iter().find(|(_, other)| other == name),
            None if all.len() == 1 => all.first(),
            None => None,
        };
        if let Some((engine, name)) = chosen {
            return Ok(Running { engine: engine.clone(), name: name.clone() });
        }
        Err(match (wanted, all.is_empty()) {
            (Some(name), _) => {
                let near = crate::names::nearest(&name, all.iter().map(|(_, name)| name.as_str()));
                let help = match near {
                    Some(near) => format!("did you mean `-p {near}`?"),
                    None if all.is_empty() => "no lab runs; `labctl up FILE` starts one".into(),
                    None => format!("these run: {}", list().join(", ")),
                };
                Failure::new(INVALID, format!("no lab `{name}` runs")).help(help)
            }
            (None, true) => {
                Failure::new(NOTHING, "no lab runs").help("`labctl up FILE` starts one")
            }
            (None, false) => Failure::new(INVALID, "several labs run")
                .help(format!("say which with -p: {}", list().join(", "))),
        })
    }
}

/// The name in a lab file, read without judging the rest.
fn lab_here(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| {
        let name = line.strip_prefix("name:")?.split('#').next()?.trim().trim_matches(['"', '\'']);
        (!name.is_empty()).then(|| name.to_owned())
    })
}

/// Reads `KEY=VALUE` options.
pub fn pairs(texts: &[String]) -> Result<Vec<(String, String)>, Failure> {
    texts
        .iter()
        .map(|text| {
            text.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned())).ok_or_else(
                || {
                    Failure::usage(format!("`--set {text}` has no `=`"))
                        .help("write --set KEY=VALUE")
                },
            )
        })
        .collect()
}
