//! A web server and its sites.

use super::yes;
use crate::decode::{List, Map, record};

record! {
    /// A web server: one site's fields at once, or `sites:`.
    pub struct Web {
        /// A folder with the site's files, beside the lab file.
        #[serde(default)] pub site: Option<String>,
        /// The names it answers to.
        #[serde(default)] pub names: List<String>,
        /// Pages given here: path to text; templates.
        #[serde(default)] pub pages: Map<String>,
        /// What templates may use.
        #[serde(default)] pub variables: Map<String>,
        /// More sites.
        #[serde(default)] pub sites: List<Site>,
        /// Whether HTTPS is served as well.
        #[serde(default = "yes")] pub tls: bool = true,
        /// Whether it runs from the start.
        #[serde(default = "yes")] pub enabled: bool = true,
    }
    short(node, decoder) {
        match node.text() {
            Some(folder) => Some(Self { site: Some(folder.to_owned()), names: List::default(), pages: Map::default(), variables: Map::default(), sites: List::default(), tls: true, enabled: true }),
            None => decoder.expected(node, "a folder or a mapping", "web: { names: [www.example.com] }"),
        }
    }
}

record! {
    /// One site of a web server.
    pub struct Site {
        /// A folder with its files, beside the lab file.
        #[serde(default)] pub site: Option<String>,
        /// The names it answers to.
        #[serde(default)] pub names: List<String>,
        /// Pages given here: path to text; templates.
        #[serde(default)] pub pages: Map<String>,
        /// What templates may use.
        #[serde(default)] pub variables: Map<String>,
    }
}
