//! `labctl link`: pulls a cable, plugs it in, makes it bad.

use node::request::{LinkAction, LinkStatus, Request};
use serde_json::Value;

use crate::args::LinkVerb;
use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::output;

/// How bad a link is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Badness {
    /// Share of frames lost.
    pub loss: Option<f64>,
    /// Milliseconds.
    pub delay: Option<u64>,
    /// Bits a second.
    pub rate: Option<u64>,
}

/// Runs the verb.
pub async fn run(context: &Context, link: &str, verb: LinkVerb, bad: Badness) -> Outcome {
    let Some((node, network)) = link.split_once(':') else {
        return Err(Failure::usage(format!("`{link}` is not a link"))
            .help("write NODE:NETWORK, such as pc0:lan"));
    };
    if bad.loss.is_some_and(|loss| !(0.0..=1.0).contains(&loss)) {
        return Err(Failure::usage("--loss is a share between 0 and 1, such as 0.2"));
    }
    let running = context.running().await?;
    let client = running.engine.control(&running.name, node).await?;
    let action = match verb {
        LinkVerb::Up => LinkAction::Up,
        LinkVerb::Down => LinkAction::Down,
        LinkVerb::Show => LinkAction::Show,
        LinkVerb::Impair => {
            LinkAction::Impair { loss: bad.loss, delay_ms: bad.delay, rate_bps: bad.rate }
        }
    };
    let request = Request::Link { network: network.into(), action };
    let answer: Value = client.call(&request).await.map_err(|error| {
        let code = if error.code.starts_with("no-such") {
            crate::failure::INVALID
        } else {
            crate::failure::ENGINE
        };
        Failure { code, ..Failure::from(error) }
    })?;
    if context.json() {
        output::json(&serde_json::json!({ "schema": 1, "node": node, "link": answer }))?;
    } else if let Ok(status) = serde_json::from_value::<LinkStatus>(answer) {
        let state = if status.up { "up" } else { "down" };
        let address = status.address.unwrap_or_else(|| "no address".into());
        output::say(&format!("{node}:{network} {state}, {address}, {}", status.mac));
    }
    Ok(0)
}
