//! `link`: an interface is up or down.

use lab::check::Link;
use probes::Layer;

use super::Seen;
use crate::trial::Failure;
use crate::world::World;

pub async fn attempt(world: &World<'_>, check: &Link) -> Seen {
    let status = world.status(&check.node).await?;
    let wanted: Vec<_> = status
        .links
        .iter()
        .filter(|link| check.network.as_ref().is_none_or(|network| *network == link.network))
        .collect();
    if wanted.is_empty() {
        let what = check.network.as_deref().unwrap_or("any network");
        let message = format!("{} has no interface on {what}", check.node);
        return Err(Failure::on(Layer::Link, message).who(&check.node).into());
    }
    let word = |up: bool| if up { "up" } else { "down" };
    for link in &wanted {
        if link.up != check.up {
            let message = format!(
                "{}'s interface on {} is {}, and should be {}",
                check.node,
                link.network,
                word(link.up),
                word(check.up)
            );
            return Err(Failure::on(Layer::Link, message).who(&check.node).into());
        }
    }
    let names: Vec<_> = wanted.iter().map(|link| link.network.as_str()).collect();
    Ok(format!("{} {}", names.join(", "), word(check.up)))
}
