//! Ctrl-C: the first asks to stop and clean up, the second ends at once.

use tokio_util::sync::CancellationToken;

/// A token that the first Ctrl-C (or SIGTERM) cancels. The second one ends the program with 130;
/// what it leaves carries labels, so `labctl down` finds it.
pub fn token() -> CancellationToken {
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        wait().await;
        cancelled.cancel();
        wait().await;
        crate::output::complain(
            "interrupted again: leaving at once; `labctl down` removes the rest",
        );
        std::process::exit(i32::from(crate::failure::INTERRUPTED));
    });
    token
}

async fn wait() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut term) = signal(SignalKind::terminate()) else {
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = term.recv() => {}
    }
}
