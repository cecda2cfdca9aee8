//! What an instance shall be, kept on the labels of a volume: volumes cost almost nothing to create,
//! and unlike those of networks and containers their labels can be changed by making another.

use std::collections::{BTreeMap, HashMap};

use bollard::models::VolumeCreateRequest;
use sha2::{Digest, Sha256};

use super::{Docker, inline, labels, remove};
use crate::Deployment;
use crate::error::Result;

/// Keeps a deployment's document and own labels on a volume beside `labels`, in place of older ones.
/// The volume's name is `stem` and a digest of all of that, so that one that is `there` is as it
/// should be; `anew` makes it again all the same.
pub(crate) async fn keep(
    docker: &Docker,
    deployment: &Deployment,
    (stem, mut labels): (&str, HashMap<String, String>),
    there: Vec<&str>,
    anew: bool,
) -> Result<()> {
    for (label, value) in &deployment.labels {
        labels.insert(format!("{}{label}", labels::OWN), value.clone());
    }
    let sorted: BTreeMap<&String, &String> = labels.iter().collect();
    let digest = Sha256::digest(format!("{}\0{sorted:?}", deployment.document));
    let digest: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let name = format!("{stem}{digest}");
    if anew || !there.contains(&name.as_str()) {
        labels.insert(labels::DOCUMENT.into(), inline::pack(&deployment.document)?);
        let request = VolumeCreateRequest {
            name: Some(name.clone()),
            labels: Some(labels),
            ..Default::default()
        };
        let api = docker.api.clone();
        let what = format!("keep the lab of {}", deployment.instance);
        docker.settle(what, async move { api.create_volume(request).await }).await?;
    }
    for other in there.into_iter().filter(|other| *other != name) {
        remove::volume(docker, other).await?;
    }
    Ok(())
}
