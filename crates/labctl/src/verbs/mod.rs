//! One file a verb.

mod admin;
mod capture;
mod class;
mod completion;
mod config;
mod doctor;
mod down;
mod exec;
mod files;
mod forward;
mod gc;
mod hint;
mod lab;
mod link;
mod logs;
mod ls;
mod plan_text;
mod power;
mod ps;
mod ready;
mod service;
mod shell;
mod test_lab;
mod trace;
mod up;
mod validate;
mod verify;

use std::time::Duration;

use crate::args::{Args, Color, Verb};
use crate::context::Context;
use crate::failure::Outcome;

/// Runs what the command line asks for.
pub async fn run(args: Args) -> Outcome {
    match args.global.color {
        Color::Auto => {}
        Color::Always => anstream::ColorChoice::Always.write_global(),
        Color::Never => anstream::ColorChoice::Never.write_global(),
    }
    let context = Context { global: args.global };
    let context = &context;
    match args.verb {
        Verb::Up { lab, exercise, no_verify, isolation, wait, selection } => {
            let wait = Duration::from_secs(wait);
            let options = up::Options { verify: !no_verify, isolation, wait, selection, exercise };
            up::run(context, &lab, options).await
        }
        Verb::Config { node, settings } => config::run(context, &node, &settings).await,
        Verb::Hint { check, all } => hint::run(context, check.as_deref(), all).await,
        Verb::Down { file, all } => down::run(context, file.as_deref(), all).await,
        Verb::Verify { lab, selection, watch } => {
            verify::run(context, &lab, &selection, watch).await
        }
        Verb::Ps => ps::run(context).await,
        Verb::Ls => ls::run(context).await,
        Verb::Exec { node, no_tty, command } => exec::run(context, &node, no_tty, command).await,
        Verb::Shell { node } => shell::run(context, &node).await,
        Verb::Console { node } => shell::console(context, &node).await,
        Verb::Logs { follow, protocol, nodes } => {
            logs::run(context, follow, protocol.as_deref(), nodes).await
        }
        Verb::Validate { lab, strict } => validate::run(context, &lab, strict),
        Verb::Plan { lab, detailed_exitcode } => {
            files::plan(context, &lab, detailed_exitcode).await
        }
        Verb::Render { lab, node } => files::render(context, &lab, node.as_deref()),
        Verb::Graph { lab, format } => files::graph(context, &lab, &format).await,
        Verb::Doctor => doctor::run(context).await,
        Verb::Gc => gc::run(context).await,
        Verb::Start { node } => power::run(context, &node, power::Power::Start).await,
        Verb::Stop { node } => power::run(context, &node, power::Power::Stop).await,
        Verb::Restart { node } => power::run(context, &node, power::Power::Restart).await,
        Verb::Service { node, service, state } => {
            service::run(context, &node, &service, state).await
        }
        Verb::Link { link, action, loss, delay, rate } => {
            link::run(context, &link, action, link::Badness { loss, delay, rate }).await
        }
        Verb::Forward { forwards } => forward::run(context, &forwards).await,
        Verb::Mail(words) => admin::run(context, "mail", &words).await,
        Verb::Dns(words) => admin::run(context, "dns", &words).await,
        Verb::Dhcp(words) => admin::run(context, "dhcp", &words).await,
        Verb::Web(words) => admin::run(context, "web", &words).await,
        Verb::Ca { to } => files::authority(context, to.as_deref()).await,
        Verb::Class(args) => class::run(context, args).await,
        Verb::Completion { shell } => completion::script(shell),
        Verb::Man => completion::manual(),
        Verb::TestLab { lab, variant } => test_lab::run(context, &lab, &variant).await,
        Verb::Schema => files::schema(),
        Verb::Init { name, to } => files::init(context, name.as_deref(), &to),
        Verb::Capture { links, write, filter, count } => {
            capture::run(context, &links, write.as_deref(), filter.as_deref(), count).await
        }
        Verb::Trace { explain, html, mermaid, action } => {
            let options = trace::Options { explain, html: html.as_deref(), mermaid };
            trace::run(context, options, &action).await
        }
        Verb::Ports => trace::table(context).await,
    }
}
