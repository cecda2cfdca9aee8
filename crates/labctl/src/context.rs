//! Which engine, which instance, which lab.

use std::path::Path;
use std::sync::Arc;

use engine::docker::Docker;
use engine::embedded::Embedded;
use engine::pod::Pods;
use engine::{Engine, Instance};

use crate::args::{EngineChoice, Format, Global, Isolation};
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

    fn daemon(&self) -> Result<Docker, Failure> {
        Ok(Docker::connect(self.global.host.as_deref(), crate::multicall::commands())?)
    }

    fn docker(&self) -> Result<Shared, Failure> {
        Ok(Arc::new(self.daemon()?))
    }

    /// Pods on the Docker daemon.
    pub fn pods(&self) -> Result<Shared, Failure> {
        Ok(Arc::new(Pods::new(self.daemon()?)))
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

    /// The engine that starts something new, kept apart as asked for.
    pub async fn isolated(&self, isolation: Isolation) -> Result<Shared, Failure> {
        let engine = self.engine().await?;
        match (engine.name(), isolation) {
            ("docker", Isolation::Pod) => self.pods(),
            ("embedded", Isolation::Nodes) => Err(Failure::usage(
                "the embedded engine holds each lab in one supervisor; its nodes are no containers",
            )
            .help("leave `--isolation nodes` out, or use `--engine docker`")),
            _ => Ok(engine),
        }
    }

    /// The engine that starts `instance` or changes it. One that runs on Docker stays as it is kept
    /// apart; a new one is as asked for, else each node is a container.
    pub async fn engine_for(
        &self,
        instance: &str,
        isolation: Option<Isolation>,
    ) -> Result<Shared, Failure> {
        let is = |one: &Instance| one.name == instance;
        self.kept_apart(isolation, Isolation::Nodes, &format!("`{instance}`"), is).await
    }

    /// The same for a class's copies, of which new ones are a pod each.
    pub async fn engine_of_class(
        &self,
        class: &str,
        isolation: Option<Isolation>,
    ) -> Result<Shared, Failure> {
        let label = class::copies::CLASS;
        let is = |one: &Instance| one.labels.get(label).is_some_and(|name| name == class);
        self.kept_apart(isolation, Isolation::Pod, &format!("the class `{class}`"), is).await
    }

    /// The engine for what `is` tells: as asked for, else where it runs, else as `usual`.
    async fn kept_apart(
        &self,
        asked: Option<Isolation>,
        usual: Isolation,
        what: &str,
        is: impl Fn(&Instance) -> bool,
    ) -> Result<Shared, Failure> {
        let start = self.engine().await?;
        let engine = match asked {
            Some(isolation) => self.isolated(isolation).await?,
            // The embedded engine has one way only.
            None if start.name() == "embedded" => start,
            None => self.isolated(usual).await?,
        };
        let other = match engine.name() {
            "docker" => self.pods()?,
            "pod" => self.docker()?,
            _ => return Ok(engine),
        };
        if !other.known().await?.iter().any(is) {
            return Ok(engine);
        }
        match asked {
            None => Ok(other),
            Some(_) => Err(Failure::new(
                INVALID,
                format!("{what} runs already, kept apart otherwise ({})", other.name()),
            )
            .help("take it down first (`labctl down`, `labctl class down`), or leave `--isolation` out")),
        }
    }

    /// The engines that may hold instances, those that answer.
    pub async fn engines(&self) -> Result<Vec<Shared>, Failure> {
        match self.global.engine {
            EngineChoice::Docker => Ok(vec![self.docker()?, self.pods()?]),
            EngineChoice::Embedded => Ok(vec![self.embedded()]),
            EngineChoice::Auto => {
                let mut found = Vec::new();
                if let Ok(docker) = self.docker()
                    && docker.info().await.is_ok()
                {
                    found.push(docker);
                    found.push(self.pods()?);
                }
                found.push(self.embedded());
                Ok(found)
            }
        }
    }

    /// Removes the copies of classes whose time is over (`class up --ttl`), and tells it. An engine
    /// that cannot say what it holds is told about by the verb itself.
    pub async fn remove_expired(&self) {
        let now = jiff::Timestamp::now().as_second();
        for engine in self.engines().await.unwrap_or_default() {
            let gone = class::copies::remove_expired(engine.as_ref(), now).await;
            for name in gone.unwrap_or_default() {
                crate::state::forget(&name);
                output::tell(&format!("{name}: its time was over, it is removed"));
            }
        }
    }

    /// The instance that a verb without a file is about: `-p`, else the lab of this folder if it
    /// runs, else the only one that runs.
    pub async fn running(&self) -> Result<Running, Failure> {
        let engines = self.engines().await?;
        // With a name there is no need to ask every other instance how it is.
        if let Some(name) = &self.global.instance {
            for engine in &engines {
                if let Ok(Some(_)) = engine.document(name).await {
                    return Ok(Running { engine: engine.clone(), name: name.clone() });
                }
            }
        }
        let mut all = Vec::new();
        for engine in engines {
            for instance in engine.known().await? {
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
