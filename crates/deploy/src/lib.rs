//! From a plan to what an engine is told, and the document that is kept with an instance.
//!
//! The one place where the lab and the engines meet: `lab` knows nothing of engines, `engine`
//! nothing of labs.

use std::time::SystemTime;

use engine::{Deployment, Engine, Limits, Network, NodeSpec};
use lab::{Plan, Secrets};
use serde::{Deserialize, Serialize};

/// What is kept with an instance, outside of its nodes: the expected answers are in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Document {
    /// The lab as it was started.
    pub plan: Plan,
    /// Its certificate authority and what else must stay the same while it runs.
    pub secrets: Secrets,
    /// Whether it was started as an exercise: without what is the student's work.
    #[serde(default)]
    pub exercise: bool,
}

/// Why a deployment cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of a node cannot be rendered.
    #[error("node {node}: {why}")]
    Render {
        /// The node.
        node: String,
        /// What the template engine said.
        why: String,
    },
    /// The certificate authority cannot be made.
    #[error("the lab's certificates cannot be made: {0}")]
    Secrets(String),
    /// The document of an instance is not of this version.
    #[error(
        "`{0}` was started by another version of labctl; `labctl up FILE` brings it up to date"
    )]
    Version(String),
    /// An instance has no document.
    #[error(
        "`{0}` was not started as a whole; `labctl up FILE` completes it, `labctl down` removes it"
    )]
    Incomplete(String),
    /// The document cannot be written.
    #[error("the lab cannot be written down: {0}")]
    Write(#[from] serde_json::Error),
    /// The engine.
    #[error(transparent)]
    Engine(#[from] engine::Error),
}

impl Document {
    /// The plan with the secrets of the running instance of this lab, or with new ones: an `up` of
    /// an unchanged lab must change nothing. An exercise that runs stays one.
    ///
    /// # Errors
    /// The engine's, and [`Error::Secrets`].
    pub async fn for_instance(
        engine: &dyn Engine,
        instance: &str,
        plan: Plan,
    ) -> Result<Self, Error> {
        let kept = engine.document(instance).await?;
        let kept = kept.and_then(|text| serde_json::from_str::<Self>(&text).ok());
        let exercise = kept.as_ref().is_some_and(|kept| kept.exercise);
        Ok(Self::make(plan, kept.map(|kept| kept.secrets))?.as_exercise(exercise))
    }

    /// The plan with new secrets.
    ///
    /// # Errors
    /// [`Error::Secrets`].
    pub fn new(plan: Plan) -> Result<Self, Error> {
        Self::make(plan, None)
    }

    fn make(plan: Plan, previous: Option<Secrets>) -> Result<Self, Error> {
        let secrets = Secrets::make(&plan, previous, SystemTime::now())
            .map_err(|error| Error::Secrets(error.to_string()))?;
        Ok(Self { plan, secrets, exercise: false })
    }

    /// The same as an exercise, or as the whole lab.
    #[must_use]
    pub fn as_exercise(mut self, exercise: bool) -> Self {
        self.exercise = exercise;
        self
    }

    /// The nodes that get ready by themselves; in an exercise some wait for the student's work.
    pub fn ready_nodes(&self) -> Vec<String> {
        let later = if self.exercise { self.plan.waits_for_student() } else { Vec::new() };
        let names = self.plan.nodes.iter().map(|node| node.name.as_str());
        names.filter(|name| !later.contains(name)).map(str::to_owned).collect()
    }

    /// The document of a running instance.
    ///
    /// # Errors
    /// The engine's, [`Error::Incomplete`] and [`Error::Version`].
    pub async fn of(engine: &dyn Engine, instance: &str) -> Result<Self, Error> {
        let text = engine.document(instance).await?;
        let text = text.ok_or_else(|| Error::Incomplete(instance.to_owned()))?;
        serde_json::from_str(&text).map_err(|_| Error::Version(instance.to_owned()))
    }

    /// All that an engine is told.
    ///
    /// # Errors
    /// [`Error::Render`] and [`Error::Write`].
    pub fn deployment(&self, instance: &str) -> Result<Deployment, Error> {
        let exercise = self.exercise.then(|| self.plan.exercise());
        // The certificates and all that is checked are those of the whole lab.
        let plan = exercise.as_ref().unwrap_or(&self.plan);
        let nodes = plan.nodes.iter().map(|node| {
            let config =
                lab::render::node_config(plan, &node.name, &self.secrets).map_err(|error| {
                    Error::Render { node: node.name.clone(), why: error.to_string() }
                })?;
            let limits = node.limits.as_ref();
            Ok(NodeSpec {
                config,
                image: node.image.clone(),
                command: node.command.clone(),
                env: node.env.clone(),
                limits: Limits {
                    memory: limits.and_then(|limits| limits.memory).map(|size| size.0),
                    processes: limits.and_then(|limits| limits.processes),
                    cpu: limits.and_then(|limits| limits.cpu),
                    disk: limits.and_then(|limits| limits.disk).map(|size| size.0),
                },
            })
        });
        Ok(Deployment {
            lab: plan.lab.clone(),
            instance: instance.to_owned(),
            networks: plan.networks.iter().map(|net| Network { name: net.name.clone() }).collect(),
            nodes: nodes.collect::<Result<_, Error>>()?,
            document: serde_json::to_string(self)?,
            ..Deployment::default()
        })
    }
}
