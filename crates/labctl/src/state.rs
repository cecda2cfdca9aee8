//! What labctl keeps for a person between two runs: the last trace and the last report of an
//! instance, prompts' histories, journals of gradings. Nothing an instance needs: without this
//! folder everything works.

use std::path::{Path, PathBuf};

/// `$XDG_STATE_HOME/labctl`, or `~/.local/state/labctl`; none without a home.
pub fn folder() -> Option<PathBuf> {
    std::env::var_os("XDG_STATE_HOME")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
        .or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".local/state")))
        .map(|folder| folder.join("labctl"))
}

/// A file of an instance, in a folder that exists.
pub fn file(instance: &str, name: &str) -> Option<PathBuf> {
    let folder = folder()?.join("instances").join(instance);
    std::fs::create_dir_all(&folder).ok()?;
    Some(folder.join(name))
}

/// Forgets an instance that is gone.
pub fn forget(instance: &str) {
    if let Some(folder) = folder() {
        let _ = std::fs::remove_dir_all(folder.join("instances").join(instance));
    }
}
