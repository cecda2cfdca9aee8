//! The files of a node: what the lab wrote for it, its name, its hosts and its resolver.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use node::Config;

/// A container engine mounts these three into the node: they are written in place, for a rename
/// over a mount is refused.
const HOSTNAME: &str = "/etc/hostname";
const HOSTS: &str = "/etc/hosts";
const RESOLVER: &str = "/etc/resolv.conf";

/// Where a file of [`Config::files`] goes.
pub(crate) fn place(name: &str) -> PathBuf {
    Path::new(node::paths::FILES).join(name)
}

/// Writes the lab's files; gives back, in words, those that could not be written.
pub(crate) fn write_all(config: &Config) -> Vec<String> {
    let mut failed = Vec::new();
    for (name, content) in &config.files {
        let path = place(name);
        let written = path
            .parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            // They may hold passwords, and everything in a node runs as its owner.
            .and_then(|()| write(&path, content, 0o600));
        if let Err(error) = written {
            failed.push(format!("the file {} cannot be written: {error}", path.display()));
        }
    }
    failed
}

/// Sets the host's name, where that is allowed, and the file that tells it.
pub(crate) fn name(config: &Config) {
    // A container without CAP_SYS_ADMIN has its name from the engine.
    let _ = nix::unistd::sethostname(&config.node);
    let _ = write(Path::new(HOSTNAME), &format!("{}\n", config.node), 0o644);
}

/// Writes `/etc/hosts`, with the node's own addresses as they are now.
pub(crate) fn hosts(config: &Config, own: &[Ipv4Addr]) -> std::io::Result<()> {
    write(Path::new(HOSTS), &hosts_text(config, own), 0o644)
}

fn hosts_text(config: &Config, own: &[Ipv4Addr]) -> String {
    let mut text = String::from("127.0.0.1\tlocalhost\n");
    if own.is_empty() {
        let _ = writeln!(text, "127.0.1.1\t{}", config.node);
    }
    for address in own {
        let _ = writeln!(text, "{address}\t{}", config.node);
    }
    for (address, names) in &config.resolver.hosts {
        let _ = writeln!(text, "{address}\t{}", names.join(" "));
    }
    text
}

/// Writes `/etc/resolv.conf`.
pub(crate) fn resolver(servers: &[IpAddr], search: &[String]) -> std::io::Result<()> {
    write(Path::new(RESOLVER), &resolver_text(servers, search), 0o644)
}

fn resolver_text(servers: &[IpAddr], search: &[String]) -> String {
    let mut text = String::new();
    if !search.is_empty() {
        let _ = writeln!(text, "search {}", search.join(" "));
    }
    for server in servers {
        let _ = writeln!(text, "nameserver {server}");
    }
    text
}

/// Writes the configuration for the node's commands: its owner's alone, for it has passwords.
pub(crate) fn program_config(config: &Config) -> std::io::Result<()> {
    write(Path::new(node::paths::CONFIG), &serde_json::to_string(config)?, 0o600)
}

/// Writes in place, unless that is what the file holds.
fn write(path: &Path, content: &str, mode: u32) -> std::io::Result<()> {
    if std::fs::read(path).is_ok_and(|have| have == content.as_bytes()) {
        return Ok(());
    }
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(mode).open(path)?;
    file.write_all(content.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_resolver_read_as_every_system_writes_them() {
        let mut config = Config { node: "pc0".into(), ..Config::default() };
        config.resolver.hosts.push(([10, 0, 0, 1].into(), vec!["r1".into(), "r1.lan".into()]));
        assert_eq!(
            hosts_text(&config, &[[192, 168, 1, 4].into()]),
            "127.0.0.1\tlocalhost\n192.168.1.4\tpc0\n10.0.0.1\tr1 r1.lan\n"
        );
        assert!(hosts_text(&config, &[]).contains("127.0.1.1\tpc0\n"));
        assert_eq!(
            resolver_text(&[[192, 168, 1, 5].into()], &["mail.com".into()]),
            "search mail.com\nnameserver 192.168.1.5\n"
        );
        assert_eq!(resolver_text(&[], &[]), "");
    }

    #[test]
    fn a_file_is_written_in_place_and_one_that_cannot_be_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        write(&path, "long content", 0o600).unwrap();
        let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&path.metadata().unwrap());
        let before = inode(&path);
        write(&path, "short", 0o600).unwrap();
        assert_eq!(
            (std::fs::read_to_string(&path).unwrap().as_str(), inode(&path)),
            ("short", before)
        );
        let config = Config {
            files: [("/proc/nothing/x".to_owned(), String::new())].into(),
            ..Config::default()
        };
        let failed = write_all(&config);
        assert!(failed[0].starts_with("the file /proc/nothing/x cannot be written"), "{failed:?}");
    }
}
