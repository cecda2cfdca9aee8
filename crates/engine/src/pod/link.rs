//! The way to a pod's supervisor: one `docker exec` a pod that stays open, made once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bollard::errors::Error::DockerResponseServerError;

use super::container;
use super::mux::{Mux, Stream};
use crate::docker::{Docker, connect, talk};
use crate::embedded::wire::{self, Call, Reply, Request};
use crate::{Error, ExecOptions, PATIENCE, Result};

/// A pod's connection, while it is there.
type Slot = Arc<tokio::sync::Mutex<Option<Mux>>>;

/// The connections that are open, by instance.
#[derive(Clone, Debug, Default)]
pub(super) struct Links(Arc<Mutex<HashMap<String, Slot>>>);

impl Links {
    fn slot(&self, instance: &str) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slots.entry(instance.to_owned()).or_default().clone()
    }

    /// Forgets a pod's connection.
    pub(super) fn forget(&self, instance: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(instance);
    }

    /// Begins a conversation with a pod's supervisor.
    pub(super) async fn call(
        &self,
        docker: &Docker,
        instance: &str,
        call: &Call,
    ) -> Result<Stream> {
        let what = format!("asking the pod of {instance}");
        let mut last = String::new();
        // The pod may have been started again since it was last spoken with.
        for _ in 0..2 {
            let mux = self.open(docker, instance).await?;
            let begun = async {
                let mut stream = mux.open().await?;
                wire::put(&mut stream, call).await.map(|()| stream)
            };
            match begun.await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = mux.closed().map_or(error.to_string(), str::to_owned),
            }
            let slot = self.slot(instance);
            let mut slot = slot.lock().await;
            if slot.as_ref().is_some_and(|mux| mux.closed().is_some()) {
                *slot = None;
            }
        }
        Err(Error::failed(what, last))
    }

    /// Asks one question.
    pub(super) async fn ask(
        &self,
        docker: &Docker,
        instance: &str,
        request: Request,
    ) -> Result<Reply> {
        let call = Call { request, stdin: false };
        let mut stream = self.call(docker, instance, &call).await?;
        next(&mut stream, instance).await
    }

    async fn open(&self, docker: &Docker, instance: &str) -> Result<Mux> {
        let slot = self.slot(instance);
        let mut slot = slot.lock().await;
        if let Some(mux) = slot.as_ref().filter(|mux| mux.closed().is_none()) {
            return Ok(mux.clone());
        }
        let words = [node::paths::PROGRAM, "supervisor", "relay"];
        let command = words.map(str::to_owned).to_vec();
        let options = ExecOptions { command, stdin: true, ..ExecOptions::default() };
        let name = container::name(instance);
        let deadline = Instant::now() + PATIENCE;
        let mut pause = Duration::from_millis(20);
        loop {
            let why = match talk::attach(docker, &name, &options).await {
                Ok((_, output, input)) => {
                    let mux = Mux::new(talk::bytes(output), input);
                    *slot = Some(mux.clone());
                    return Ok(mux);
                }
                Err(DockerResponseServerError { status_code: 404, .. }) => {
                    return Err(Error::NotFound(format!("no pod of `{instance}` runs on Docker")));
                }
                Err(error @ DockerResponseServerError { status_code: 409, .. }) => {
                    connect::chain(&error)
                }
                Err(error) => {
                    let what = format!("reach the pod of {instance}");
                    return Err(Error::failed(what, connect::chain(&error)));
                }
            };
            // Docker starts it again after its supervisor has died, in a moment.
            let state = container::find(docker, instance).await?.state().unwrap_or_default();
            let coming = matches!(state.as_str(), "restarting" | "running");
            if !coming || Instant::now() > deadline {
                return Err(dead(instance, if coming { &why } else { &state }));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }
}

/// A pod that does not run.
fn dead(instance: &str, state: &str) -> Error {
    Error::NotFound(format!(
        "the pod of {instance} does not run ({state}); `labctl up` starts it again, `labctl down \
         {instance}` clears it away"
    ))
}

/// The next reply; a failure of the supervisor's is an error.
pub(super) async fn next(stream: &mut Stream, instance: &str) -> Result<Reply> {
    let what = || format!("asking the pod of {instance}");
    match wire::get::<Reply>(stream).await {
        Ok(Some(Reply::Failed(failure))) => Err(failure.into()),
        Ok(Some(reply)) => Ok(reply),
        Ok(None) => Err(Error::failed(what(), "it has ended; Docker starts it again")),
        Err(error) => Err(Error::failed(what(), error)),
    }
}

/// A reply that does not belong to the question.
pub(super) fn unexpected(instance: &str, reply: &Reply) -> Error {
    Error::failed(format!("asking the pod of {instance}"), format!("it answered {reply:?}"))
}
