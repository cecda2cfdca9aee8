//! The command line, and the configuration it leads to.

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use node::Config;

/// The longest configuration in bytes.
const MAX_CONFIG: u64 = 16 << 20;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("`{0}` is not an option of the agent; it takes --config FILE or --inline-config WORD")]
    Option(String),
    #[error("{0} needs a value after it")]
    Value(&'static str),
    #[error("the configuration {path} cannot be read: {source}", path = path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("the configuration {path} cannot be written: {source}", path = path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error("the configuration on the command line is damaged: {0}")]
    Inline(String),
    #[error("the configuration is not understood: {0}; labctl and the agent may differ in version")]
    Parse(#[from] serde_json::Error),
}

/// Reads the configuration that the command line names; [`node::paths::CONFIG`] without options.
///
/// A configuration on the command line itself is put at [`node::paths::CONFIG`], where the node's
/// commands look for it.
pub(crate) fn read(args: &[OsString]) -> Result<Config, Error> {
    let mut path = PathBuf::from(node::paths::CONFIG);
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match arg.to_str() {
            Some("--config") => path = args.next().ok_or(Error::Value("--config"))?.into(),
            Some("--inline-config") => {
                let word = args.next().ok_or(Error::Value("--inline-config"))?;
                let text = unpack(&word.to_string_lossy())?;
                let config = serde_json::from_str(&text)?;
                // In a container, whose engine enters without asking: nobody else in it may trace
                // process 1 or write to its memory. Where the kernel refuses, the filter does it.
                let _ = nix::sys::prctl::set_dumpable(false);
                keep(Path::new(node::paths::CONFIG), &text)?;
                return Ok(config);
            }
            _ => return Err(Error::Option(arg.to_string_lossy().into())),
        }
    }
    let text = std::fs::File::open(&path).and_then(|file| {
        let mut text = String::new();
        file.take(MAX_CONFIG).read_to_string(&mut text).map(|_| text)
    });
    let text = text.map_err(|source| Error::Read { path, source })?;
    Ok(serde_json::from_str(&text)?)
}

/// Base64 (no padding) of gzip of the text.
fn unpack(word: &str) -> Result<String, Error> {
    let bytes = STANDARD_NO_PAD.decode(word).map_err(|error| Error::Inline(error.to_string()))?;
    let mut text = String::new();
    flate2::read::GzDecoder::new(&bytes[..])
        .take(MAX_CONFIG)
        .read_to_string(&mut text)
        .map_err(|error| Error::Inline(error.to_string()))?;
    Ok(text)
}

/// Keeps a text that may hold passwords: readable by the owner only.
fn keep(path: &Path, text: &str) -> Result<(), Error> {
    use std::os::unix::fs::OpenOptionsExt;
    let write = || -> std::io::Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
        std::io::Write::write_all(&mut file, text.as_bytes())
    };
    write().map_err(|source| Error::Write { path: path.into(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_packed_configuration_is_unpacked_and_a_damaged_one_is_refused() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"{}").unwrap();
        let word = STANDARD_NO_PAD.encode(gzip.finish().unwrap());
        assert_eq!(unpack(&word).unwrap(), "{}");
        assert!(matches!(unpack("!"), Err(Error::Inline(_))));
        assert!(matches!(unpack("AAAA"), Err(Error::Inline(_))));
    }

    #[test]
    fn a_wrong_command_line_is_named() {
        let error = read(&["--verbose".into()]).unwrap_err();
        assert!(error.to_string().starts_with("`--verbose` is not an option"), "{error}");
        let error = read(&["--config".into()]).unwrap_err();
        assert_eq!(error.to_string(), "--config needs a value after it");
        let error = read(&["--config".into(), "/nowhere/node.json".into()]).unwrap_err();
        assert!(error.to_string().contains("/nowhere/node.json"), "{error}");
    }
}
