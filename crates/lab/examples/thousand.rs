//! Validates and plans a lab of 1,000 nodes on 100 networks, and says how long it took.
//!
//! Exits with 1 where it took more than 100 ms (in a release build) or 64 MB.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Instant;

fn lab() -> String {
    let mut text = String::from("name: thousand\nnetworks:\n");
    for n in 0..100 {
        let _ = writeln!(text, "  n{n}: 10.0.{n}.0/24");
    }
    text.push_str("nodes:\n");
    for n in 0..99 {
        let _ = writeln!(
            text,
            "  r{n}: {{ kind: router, interfaces: {{ n{n}: 10.0.{n}.1, n{}: 10.0.{}.2 }} }}",
            n + 1,
            n + 1
        );
    }
    text.push_str("  mail: { interfaces: { n0: 10.0.0.10 }, services: { mail: { domain: mail.com, accounts: { a: b } }, dns: [mail.com. A 10.0.0.10] } }\n");
    for n in 0..900 {
        let _ = writeln!(
            text,
            "  pc{n}: {{ kind: pc, interfaces: {{ n{}: 10.0.{}.{} }}, dns: 10.0.0.10 }}",
            n % 100,
            n % 100,
            20 + n / 100
        );
    }
    text
}

/// The most memory this process has had, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

fn main() -> std::process::ExitCode {
    let text = lab();
    let mut times: Vec<f64> = Vec::new();
    let mut out = std::io::stdout().lock();
    for _ in 0..5 {
        let start = Instant::now();
        match lab::load_text("thousand.yaml", &text, None, &lab::Vars::new()) {
            Ok(lab) => {
                times.push(start.elapsed().as_secs_f64() * 1000.0);
                let _ = writeln!(
                    out,
                    "{} nodes, {} networks, {} checks: {:.1} ms",
                    lab.plan.nodes.len(),
                    lab.plan.networks.len(),
                    lab.plan.checks.len(),
                    times.last().unwrap_or(&0.0)
                );
            }
            Err(report) => {
                let _ = writeln!(out, "{report}");
                return std::process::ExitCode::from(2);
            }
        }
    }
    times.sort_by(f64::total_cmp);
    let (median, peak) = (times[times.len() / 2], peak());
    let _ = writeln!(out, "median {median:.1} ms, peak {:.1} MB", peak as f64 / 1e6);
    let good = (median < 100.0 || cfg!(debug_assertions)) && peak < 64 << 20;
    std::process::ExitCode::from(u8::from(!good))
}
