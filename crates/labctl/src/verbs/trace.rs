//! `labctl trace` and `labctl ports`: does something and tells its packets as a story.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::lab::Plan;
use node::request::Output;
use packets::render::{Picture, Style, html, ladder, mermaid, ports_table};
use packets::sniff::during;
use packets::story::{Story, ports, tell};

use crate::context::{Context, Running};
use crate::failure::{Failure, INVALID, NOTHING, Outcome};
use crate::output;
use crate::verbs::capture::{SNAPLEN, refused, taps, topology};
use crate::verbs::lab;

/// When nothing came for so long, what was done is over.
const QUIET: Duration = Duration::from_millis(400);
/// An action's command ends by then.
const TIMEOUT_MS: u64 = 30_000;

/// How the story is shown.
pub struct Options<'a> {
    /// A sentence on each step.
    pub explain: bool,
    /// Also a page, here.
    pub html: Option<&'a Path>,
    /// As a Mermaid diagram.
    pub mermaid: bool,
}

/// Runs `trace`.
pub async fn run(context: &Context, options: Options<'_>, action: &[String]) -> Outcome {
    let running = context.running().await?;
    let plan = lab::document(&running).await?.plan;
    let listening = taps(&running, &plan, &[]).await?;
    let acting = act(&running, &plan, action);
    let (done, captures) = during(listening, SNAPLEN, QUIET, acting).await.map_err(refused)?;
    let (code, said) = done?;
    let mut story = tell(&captures, &topology(&plan));
    story.title = format!("{}: {}", plan.title, action.join(" "));
    keep(&running, &story)?;
    if let Some(path) = options.html {
        let page = html(&story, &picture(&plan))
            .map_err(|error| Failure::new(INVALID, error.to_string()))?;
        std::fs::write(path, page)?;
    }
    if context.json() {
        output::json(&story)?;
    } else if options.mermaid {
        output::say(mermaid(&story).trim_end());
    } else {
        let style =
            Style { color: output::live(), explain: options.explain, detail: options.explain };
        output::say(ladder(&story, style).trim_end());
        if !said.trim().is_empty() {
            output::complain(said.trim_end());
        }
    }
    Ok(code)
}

/// Runs `ports`.
pub async fn table(context: &Context) -> Outcome {
    let running = context.running().await?;
    let text = std::fs::read(last(&running)?).map_err(|_| {
        Failure::new(NOTHING, "there is no trace yet")
            .help("`labctl trace -- mail pc0 pc1` makes one")
    })?;
    let story: Story = serde_json::from_slice(&text)
        .map_err(|error| Failure::new(INVALID, format!("the last trace is damaged: {error}")))?;
    if context.json() {
        output::json(&ports(&story))?;
    } else {
        output::say(ports_table(&story).trim_end());
    }
    Ok(0)
}

/// The picture of the lab for the page, and where everything stands in it.
fn picture(plan: &Plan) -> Picture {
    let topology = pictures::Topology::of(plan, &BTreeMap::new());
    let places = pictures::layout(&topology);
    let at = |point: &pictures::Point| (point.x, point.y);
    let nodes = topology.devices.iter().zip(&places.devices);
    let networks = topology.segments.iter().zip(&places.segments);
    Picture {
        svg: pictures::svg(&topology),
        nodes: nodes.map(|(device, point)| (device.name.clone(), at(point))).collect(),
        networks: networks.map(|(segment, point)| (segment.name.clone(), at(point))).collect(),
    }
}

/// Does it; exit code and what was said.
async fn act(running: &Running, plan: &Plan, action: &[String]) -> Result<(u8, String), Failure> {
    let words: Vec<&str> = action.iter().map(String::as_str).collect();
    let name = action.join(" ");
    if let Some(check) = plan.checks.iter().find(|check| check.name == name) {
        let options = checks::Options {
            only: vec![check.name.clone()],
            scenarios: false,
            ..checks::Options::default()
        };
        let report =
            checks::verify(plan, running.engine.as_ref(), &running.name, &options, &|_| {}).await;
        let said: Vec<&str> =
            report.outcomes.iter().map(|outcome| outcome.message.as_str()).collect();
        return Ok((report.exit_code(), said.join("\n")));
    }
    match words.as_slice() {
        ["ping", from, to] => command(running, from, &["ping", "-c", "2", to]).await,
        ["web", from, url] => command(running, from, &["curl", "-sS", "-i", url]).await,
        ["dns", from, name] => command(running, from, &["nslookup", name]).await,
        ["dhcp", node] => command(running, node, &["ipconfig", "/renew"]).await,
        ["mail", from, to] => {
            let address = plan
                .node(to)
                .and_then(|node| node.mail.as_ref())
                .map_or_else(|| (*to).to_owned(), |mail| mail.address.clone());
            let (code, mut said) =
                command(running, from, &["mail", "send", &address, "-s", "Hello", "-m", "This is a trace."]).await?;
            if code != 0 || plan.node(to).is_none() {
                return Ok((code, said));
            }
            let (code, more) = command(running, to, &["mail", "fetch"]).await?;
            said.push_str(&more);
            Ok((code, said))
        }
        [node, rest @ ..] if plan.node(node).is_some() && !rest.is_empty() => command(running, node, rest).await,
        _ => Err(Failure::new(INVALID, format!("`{name}` is neither a check nor an action")).help(
            "actions: ping FROM TO, mail FROM TO, web FROM URL, dns FROM NAME, dhcp NODE, NODE COMMAND…; or a check's whole name",
        )),
    }
}

async fn command(running: &Running, node: &str, words: &[&str]) -> Result<(u8, String), Failure> {
    let client = running.engine.control(&running.name, node).await?;
    let command = words.iter().map(|word| (*word).to_owned()).collect();
    let output: Output = client
        .call(&node::Request::Exec { command, timeout_ms: TIMEOUT_MS })
        .await
        .map_err(refused)?;
    Ok((u8::try_from(output.code).unwrap_or(1), output.stdout + &output.stderr))
}

/// Where the last trace of an instance is kept.
fn last(running: &Running) -> Result<PathBuf, Failure> {
    crate::state::file(&running.name, "trace.json").ok_or_else(|| {
        Failure::new(crate::failure::ENGINE, "there is nowhere to keep a trace")
            .help("set HOME or XDG_STATE_HOME")
    })
}

fn keep(running: &Running, story: &Story) -> Result<(), Failure> {
    let text =
        serde_json::to_vec(story).map_err(|error| Failure::new(INVALID, error.to_string()))?;
    Ok(std::fs::write(last(running)?, text)?)
}
