//! `traceroute`, printed as Linux prints it.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::process::ExitCode;

use probes::Env;
use probes::trace::{Hop, Request};

use crate::getopt::{Given, fail, line, run};

const USAGE: &str = "usage: traceroute [-n] [-I] [-m hops] [-q probes] [-w seconds] HOST";

pub fn main(args: Vec<OsString>) -> ExitCode {
    run(async move {
        match traceroute(args).await {
            Ok(code) => code,
            Err(why) => fail("traceroute", why, 2),
        }
    })
}

async fn traceroute(args: Vec<OsString>) -> Result<ExitCode, String> {
    let given = Given::read(args, "ndIm:q:w:").map_err(|why| format!("{why}\n{USAGE}"))?;
    let [host] = given.words.as_slice() else { return Err(format!("one host, please\n{USAGE}")) };
    let seconds: f64 = given.number('w', 1.0)?;
    let request = Request {
        to: host.clone(),
        max_hops: given.number('m', 30_u8)?.max(1),
        probes: given.number('q', 3_u8)?.max(1),
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded")]
        timeout_ms: (seconds.clamp(0.01, 60.0) * 1000.0) as u64,
        icmp: given.has('I'),
    };
    let env = Env::load();
    let address =
        probes::resolve(host, &env).await.map_err(|error| crate::ping::unresolved(host, &error))?;
    line(format_args!(
        "traceroute to {host} ({address}), {} hops max, 52 byte packets",
        request.max_hops
    ));
    let work = probes::trace::trace(address, &request, |hop| line(shown(hop)));
    let outcome = tokio::select! {
        outcome = work => outcome.map_err(|error| error.to_string())?,
        _ = tokio::signal::ctrl_c() => return Ok(ExitCode::from(130)),
    };
    Ok(if outcome.reached { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// ` 1  10.0.0.1  0.123 ms  0.110 ms *`: the address again where another one answered.
fn shown(hop: &Hop) -> String {
    let mut text = format!("{:2} ", hop.ttl);
    let mut last: Option<Ipv4Addr> = None;
    for answer in &hop.answers {
        match answer {
            None => text.push_str(" *"),
            Some(answer) => {
                if last != Some(answer.from) {
                    text.push_str(&format!(" {} ", answer.from));
                }
                last = Some(answer.from);
                text.push_str(&format!(" {:.3} ms", answer.ms));
                if let Some(mark) = &answer.mark {
                    text.push_str(&format!(" {mark}"));
                }
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use probes::trace::HopAnswer;

    #[test]
    fn a_hop_is_one_line() {
        let answer = |ms| Some(HopAnswer { from: Ipv4Addr::new(10, 0, 0, 1), ms, mark: None });
        let hop = Hop { ttl: 1, answers: vec![answer(0.5), None, answer(1.25)] };
        assert_eq!(shown(&hop), " 1  10.0.0.1  0.500 ms * 1.250 ms");
    }
}
