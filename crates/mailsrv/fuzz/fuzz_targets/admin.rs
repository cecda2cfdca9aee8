//! Requests on the admin socket, one JSON object a line: each is answered or refused in words. What
//! waits for other servers or forever (`mx`, `transcript` with `follow`) is left out, and `switch`,
//! which opens ports.
#![no_main]

use std::sync::{Arc, OnceLock};

use libfuzzer_sys::fuzz_target;
use mailsrv::Server;
use mailsrv::admin::Answerer;
use mailsrv::config::{Account, Config};
use node::admin::Admin as _;
use serde_json::Value;

struct Place {
    runtime: tokio::runtime::Runtime,
    server: Arc<Server>,
}

fn place() -> &'static Place {
    static PLACE: OnceLock<Place> = OnceLock::new();
    PLACE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder").keep();
        let mut config = Config::new("a.test", &folder);
        config.accounts.insert("u1".into(), Account::with_password("pw"));
        Place {
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime"),
            server: Server::open(config).expect("a server"),
        }
    })
}

fuzz_target!(|text: &str| {
    let place = place();
    for line in text.lines() {
        let Ok(request) = serde_json::from_str::<Value>(line) else { continue };
        if matches!(request["op"].as_str(), Some("mx" | "transcript" | "switch")) {
            continue;
        }
        let (items, _kept) = tokio::sync::mpsc::channel(8);
        let answer = place.runtime.block_on(Answerer(place.server.clone()).answer(request, items));
        if let Ok(answer) = answer {
            assert!(answer.is_object());
        }
    }
});
