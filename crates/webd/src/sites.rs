//! The sites: which one a name means, and what it has at a path.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::config::{Limits, Site};

/// What a page's template may use.
#[derive(Clone, Debug)]
pub struct Visit<'a> {
    /// The name that was asked for.
    pub host: &'a str,
    /// The path that was asked for.
    pub path: &'a str,
    /// The visitor's address.
    pub client: String,
    /// The server's address.
    pub server: String,
}

/// What is at a path.
#[derive(Debug)]
pub enum Found {
    /// A text made here.
    Page {
        /// The text.
        text: String,
        /// Its media type.
        media: &'static str,
    },
    /// A file.
    File {
        /// The file, open.
        file: std::fs::File,
        /// Bytes.
        length: u64,
        /// When it was changed last.
        changed: SystemTime,
        /// Its media type.
        media: &'static str,
    },
    /// A folder that was asked for without its slash.
    Folder,
    /// Nothing.
    Nothing,
    /// A template that does not work.
    Broken(String),
}

/// All sites, with their templates.
#[derive(Debug)]
pub struct Sites {
    sites: Vec<Loaded>,
    names: BTreeMap<String, usize>,
    limits: Limits,
}

#[derive(Debug)]
struct Loaded {
    site: Site,
    root: Option<PathBuf>,
    templates: minijinja::Environment<'static>,
}

impl Sites {
    /// Compiles the pages of all sites; a template that does not compile is told, with its place.
    ///
    /// # Errors
    /// One sentence about the first page that is not a template.
    pub fn new(sites: Vec<Site>, limits: Limits) -> Result<Self, String> {
        let mut names = BTreeMap::new();
        let mut loaded = Vec::new();
        for site in sites {
            let mut templates = minijinja::Environment::new();
            templates.set_recursion_limit(50);
            for (name, text) in &site.pages {
                if is_template(name) {
                    templates.add_template_owned(name.clone(), text.clone()).map_err(|error| {
                        format!("page {name} of {} is not a template: {error}", title(&site))
                    })?;
                }
            }
            for name in &site.names {
                names.insert(name.trim_end_matches('.').to_ascii_lowercase(), loaded.len());
            }
            // A folder that is missing now may come later: keep it as it was written.
            let root = site
                .root
                .as_ref()
                .map(|root| std::fs::canonicalize(root).unwrap_or_else(|_| root.clone()));
            loaded.push(Loaded { site, root, templates });
        }
        Ok(Self { sites: loaded, names, limits })
    }

    /// The sites as they were configured.
    pub fn list(&self) -> impl Iterator<Item = &Site> {
        self.sites.iter().map(|loaded| &loaded.site)
    }

    fn of(&self, host: &str) -> Option<&Loaded> {
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        self.names.get(&name).and_then(|at| self.sites.get(*at)).or_else(|| self.sites.first())
    }

    /// What the site of `visit.host` has at `names`.
    pub fn find(&self, visit: &Visit<'_>, names: &[String], folder: bool) -> Found {
        let Some(loaded) = self.of(visit.host) else { return Found::Nothing };
        let mut path = names.join("/");
        let page = |path: &str| loaded.site.pages.contains_key(path);
        if folder {
            path = if path.is_empty() { "index.html".into() } else { format!("{path}/index.html") };
        } else if !page(&path) && page(&format!("{path}/index.html")) {
            return Found::Folder;
        }
        if page(&path) {
            return loaded.page(&path, visit);
        }
        loaded.file(names, folder, visit, &self.limits)
    }

    /// The site's own page for what it does not have, if it has one.
    pub fn missing(&self, visit: &Visit<'_>) -> Option<String> {
        match self.find(visit, &["404.html".to_owned()], false) {
            Found::Page { text, .. } => Some(text),
            Found::File { mut file, length, .. } if length <= self.limits.template_bytes => {
                let mut text = String::new();
                std::io::Read::read_to_string(&mut file, &mut text).ok()?;
                Some(text)
            }
            _ => None,
        }
    }
}

impl Loaded {
    fn page(&self, name: &str, visit: &Visit<'_>) -> Found {
        let media = crate::path::media_type(name);
        let Some(text) = self.site.pages.get(name) else { return Found::Nothing };
        if !is_template(name) {
            return Found::Page { text: text.clone(), media };
        }
        match self.templates.get_template(name).and_then(|page| page.render(self.context(visit))) {
            Ok(text) => Found::Page { text, media },
            Err(error) => Found::Broken(format!("page {name}: {error}")),
        }
    }

    fn context(&self, visit: &Visit<'_>) -> minijinja::Value {
        let site = self.site.names.first().map_or(visit.host, String::as_str);
        let variables = minijinja::Value::from_pairs(self.site.variables.clone());
        let known = minijinja::context! {
            site,
            host => visit.host,
            path => visit.path,
            client => &*visit.client,
            server => &*visit.server,
        };
        minijinja::value::merge_maps([known, variables])
    }

    fn file(&self, names: &[String], folder: bool, visit: &Visit<'_>, limits: &Limits) -> Found {
        let Some(root) = &self.root else { return Found::Nothing };
        let mut path = root.join(names.iter().collect::<PathBuf>());
        if folder {
            path.push("index.html");
        }
        // Links are followed first and judged by where they lead.
        let Ok(real) = std::fs::canonicalize(&path) else { return Found::Nothing };
        if !real.starts_with(root) || hidden(root, &real) {
            return Found::Nothing;
        }
        let Ok(facts) = std::fs::symlink_metadata(&real) else { return Found::Nothing };
        if facts.is_dir() {
            return if folder { Found::Nothing } else { Found::Folder };
        }
        // Never a pipe or a device, which would block or never end.
        if !facts.is_file() {
            return Found::Nothing;
        }
        let Ok(file) = std::fs::File::open(&real) else { return Found::Nothing };
        let name = real.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let media = crate::path::media_type(name);
        if self.site.templates && is_template(name) && facts.len() <= limits.template_bytes {
            return self.template_file(file, name, visit);
        }
        let changed = facts.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        Found::File { file, length: facts.len(), changed, media }
    }

    fn template_file(&self, mut file: std::fs::File, name: &str, visit: &Visit<'_>) -> Found {
        let mut text = String::new();
        if let Err(error) = std::io::Read::read_to_string(&mut file, &mut text) {
            return Found::Broken(format!("{name}: {error}"));
        }
        match self.templates.render_named_str(name, &text, self.context(visit)) {
            Ok(text) => Found::Page { text, media: crate::path::media_type(name) },
            Err(error) => Found::Broken(format!("{name}: {error}")),
        }
    }
}

/// Whether a real path has a hidden name below the root (a link may lead to one).
fn hidden(root: &Path, real: &Path) -> bool {
    real.strip_prefix(root).is_ok_and(|rest| {
        rest.components().any(|name| name.as_os_str().as_encoded_bytes().starts_with(b"."))
    })
}

fn is_template(name: &str) -> bool {
    name.ends_with(".html") || name.ends_with(".txt")
}

fn title(site: &Site) -> &str {
    site.names.first().map_or("the site", String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visit(host: &str) -> Visit<'_> {
        Visit { host, path: "/", client: "10.0.0.9".into(), server: "10.0.0.1".into() }
    }

    fn text(found: Found) -> String {
        match found {
            Found::Page { text, .. } => text,
            Found::File { mut file, .. } => {
                let mut text = String::new();
                std::io::Read::read_to_string(&mut file, &mut text).unwrap();
                text
            }
            other => format!("{other:?}"),
        }
    }

    fn words(path: &str) -> Vec<String> {
        path.split('/').map(str::to_owned).collect()
    }

    #[test]
    fn pages_are_templates_and_what_visitors_say_is_escaped() {
        let page = "<h1>{{ company }}</h1>{{ host }} {{ client }} {{ site }}".to_owned();
        let site = Site {
            names: vec!["www.x".into()],
            pages: [("index.html".to_owned(), page)].into(),
            variables: [("company".to_owned(), "A & B".to_owned())].into(),
            ..Site::default()
        };
        let sites = Sites::new(vec![site], Limits::default()).unwrap();
        let page = text(sites.find(&visit("<script>"), &[], true));
        assert_eq!(page, "<h1>A &amp; B</h1>&lt;script&gt; 10.0.0.9 www.x");
        assert!(matches!(sites.find(&visit("www.x"), &words("no"), false), Found::Nothing));
    }

    #[test]
    fn a_page_that_is_no_template_is_told_at_the_start() {
        let pages = [("a.html".to_owned(), "{{ oh".to_owned())].into();
        let site = Site { names: vec!["www.x".into()], pages, ..Site::default() };
        let error = Sites::new(vec![site], Limits::default()).unwrap_err();
        assert!(error.contains("a.html") && error.contains("www.x"), "{error}");
    }

    #[test]
    fn links_that_lead_out_are_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("www");
        std::fs::create_dir_all(root.join("sub")).unwrap();
        std::fs::write(folder.path().join("secret"), "secret").unwrap();
        std::fs::write(root.join("a.html"), "A").unwrap();
        std::fs::write(root.join(".hidden"), "hidden").unwrap();
        std::os::unix::fs::symlink("../secret", root.join("out")).unwrap();
        std::os::unix::fs::symlink("..", root.join("up")).unwrap();
        std::os::unix::fs::symlink(".hidden", root.join("seen")).unwrap();
        std::os::unix::fs::symlink("a.html", root.join("in.html")).unwrap();
        let site = Site { root: Some(root), ..Site::default() };
        let sites = Sites::new(vec![site], Limits::default()).unwrap();
        let get = |path: &str| sites.find(&visit("any"), &words(path), false);
        assert_eq!(text(get("a.html")), "A");
        assert_eq!(text(get("in.html")), "A");
        assert!(matches!(get("sub"), Found::Folder));
        for path in ["out", "up/secret", "up", "seen", "nothing", "a.html/x"] {
            assert!(matches!(get(path), Found::Nothing), "{path}");
        }
    }

    #[test]
    fn each_name_has_its_own_site_and_the_first_takes_the_rest() {
        let site = |name: &str| Site {
            names: vec![name.to_owned()],
            pages: [("index.html".to_owned(), name.to_owned())].into(),
            ..Site::default()
        };
        let sites = Sites::new(vec![site("a.x"), site("b.x")], Limits::default()).unwrap();
        for (host, expected) in [("B.X.", "b.x"), ("a.x", "a.x"), ("10.0.0.1", "a.x")] {
            assert_eq!(text(sites.find(&visit(host), &[], true)), expected);
        }
    }
}
