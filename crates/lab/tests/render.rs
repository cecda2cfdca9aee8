//! What is rendered is what the services read.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::time::SystemTime;

// The configurations alone: a lab does not need the services to be built.
#[path = "../../dhcpd/src/config.rs"]
#[allow(dead_code, unused_imports, clippy::all)]
mod dhcpd_config;
#[path = "../../dnsd/src/config.rs"]
#[allow(dead_code, unused_imports, clippy::all)]
mod dnsd_config;
#[path = "../../mailsrv/src/config/mod.rs"]
#[allow(dead_code, unused_imports, clippy::all)]
mod mailsrv_config;
#[path = "../../webd/src/config.rs"]
#[allow(dead_code, unused_imports, clippy::all)]
mod webd_config;

fn lab(text: &str) -> lab::Lab {
    lab::load_text("lab.yaml", text, None, &lab::Vars::new())
        .unwrap_or_else(|report| panic!("{}", report.render(false, 100)))
}

/// Writes a node's files below a folder and lets each service read its own.
fn read_back(config: &node::Config) {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in &config.files {
        let path = folder.path().join(path.trim_start_matches('/'));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    for service in &config.services {
        let path = folder.path().join(service.config.trim_start_matches('/'));
        let text = std::fs::read_to_string(&path).unwrap();
        let why =
            |error: &dyn std::fmt::Display| -> ! { panic!("{}: {error}\n{text}", service.name) };
        match service.name.as_str() {
            "dns" => {
                let read = dnsd_config::Config::read(&path).unwrap_or_else(|e| why(&e));
                for zone in read.zones {
                    assert!(
                        zone.file
                            .is_none_or(|file| config.files.contains_key(file.to_str().unwrap()))
                    );
                }
            }
            "dhcp" => drop(dhcpd_config::Config::read(&path).unwrap_or_else(|e| why(&e))),
            "mail" => drop(mailsrv_config::Config::parse(&text).unwrap_or_else(|e| why(&e))),
            "web" => drop(webd_config::Config::load(&path).unwrap_or_else(|e| why(&e))),
            other => panic!("{other}"),
        }
    }
}

fn check(lab: &lab::Lab) {
    let now = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_780_000_000);
    let secrets = lab::Secrets::make(&lab.plan, None, now).unwrap();
    let configs = lab::render::all(&lab.plan, &secrets).unwrap();
    for config in &configs {
        read_back(config);
    }
    // Once more with what is kept: the same bytes, whatever the clock says.
    let later = now + std::time::Duration::from_secs(86_400);
    let again = lab::Secrets::make(&lab.plan, Some(secrets), later).unwrap();
    assert_eq!(configs, lab::render::all(&lab.plan, &again).unwrap());
}

#[test]
fn the_files_of_every_lab_are_read_by_their_services() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../labs");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "yaml") {
            let lab =
                lab::load(&path, &lab::Vars::new()).unwrap_or_else(|report| panic!("{report}"));
            check(&lab);
            for wrong in &lab.plan.wrong {
                check(&lab.patched(&wrong.patch).unwrap());
            }
        }
    }
}

#[test]
fn every_field_of_every_service_is_understood_by_it() {
    check(&lab(r#"
name: all
networks: { lan: 10.0.0.0/24, far: 10.0.1.0/24 }
nodes:
  r1: { kind: router, interfaces: { lan: 10.0.0.1, far: 10.0.1.1 }, services: { dhcp: { relay: { far: 10.0.0.2 } } } }
  s:
    interfaces: { lan: 10.0.0.2 }
    services:
      dhcp:
        pools:
          LAN: { range: 10.0.0.100-10.0.0.200, exclude: 10.0.0.150, domain: a.test, lease: 1h, options: { 42: "ip:10.0.0.2" }, reservations: { c: 10.0.0.9 } }
          FAR: { network: far, router: 10.0.1.1, lease: infinite }
      dns:
        records: [a.test. A 10.0.0.2, "a.test. TXT \"it's <b>\"", a.test. NS ns2.a.test., ns2.a.test. A 10.0.0.3]
        zones: { b.test: { records: ["@ A 10.0.0.2", "www CNAME @"], dnssec: true } }
        forward: { c.test: 10.0.0.3 }
        root_hints: { a.root.lab: [10.0.0.3] }
      mail:
        domains: [a.test, { name: b.test, aliases: [b2.test], catch_all: u@a.test }]
        accounts:
          u: "it's \"quoted\" <&> \\ back"
          v: { password: "007", forward: [u@a.test], keep: false, auto_reply: { text: gone, subject: "Re: no", every: 1h }, signature: "--\nv", quota: 1M,
               faults: [{ stage: rcpt, reply: "451 later", delay: 100ms, probability: 0.5, times: 3 }] }
          w@b.test: pw
        aliases: { info: u }
        lists: { all: { members: [u, v], from: members }, some: [u] }
        off: [pop3s]
        ports: { smtp: 2525 }
        dkim: true
        relay: { networks: [lan, 10.9.0.0/16], smarthost: { host: a.test, user: x, password: y, tls: starttls, port: 587 } }
        policy: { plain_passwords: false, vrfy: true }
        message_limit: 10M
        retry: [1s, 5s]
      web:
        names: [www.a.test]
        pages: { index.html: "<h1>{% raw %}{{ site }}{% endraw %} & 'x'</h1>" }
        sites: [{ names: [two.a.test], variables: { k: "v: w" } }]
  t:
    interfaces: { lan: 10.0.0.3 }
    services: { dns: { zones: { a.test: { primaries: 10.0.0.2 } } } }
  c: { kind: pc, interfaces: { lan: dhcp }, mail: { address: u@a.test, security: starttls, fetch: imap } }
"#));
}

#[test]
fn a_lab_may_bring_its_own_template_and_a_wrong_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("z.j2"), "; mine {{ zone.name }}\n").unwrap();
    let text = "name: a\nnetworks: { n: 10.0.0.0/24 }\nnodes: { s: { interfaces: { n: 10.0.0.2 }, services: { dns: [a.test. A 10.0.0.2] } } }\ntemplates: { zone: z.j2 }\n";
    let load = || lab::load_text("lab.yaml", text, Some(folder.path()), &lab::Vars::new()).unwrap();
    let config = lab::render::node_config(&load().plan, "s", &lab::Secrets::default()).unwrap();
    assert_eq!(config.files["/etc/labctl/zones/a.test.zone"], "; mine a.test\n");
    std::fs::write(folder.path().join("z.j2"), "{{ nothing.at.all }}").unwrap();
    let error = lab::render::node_config(&load().plan, "s", &lab::Secrets::default()).unwrap_err();
    assert!(error.to_string().contains("zone"), "{error}");
}
