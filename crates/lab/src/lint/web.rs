//! Web sites: their names, and their pages as templates.

use std::collections::{BTreeMap, HashMap};

use super::Lint;
use crate::diagnostic::Span;

/// What every page may use.
const KNOWN: &[&str] = &["site", "host", "path", "client", "server"];

impl Lint<'_> {
    pub(super) fn web(&mut self) {
        self.sites();
        for node in &self.plan.nodes {
            for site in node.services.web.iter().flat_map(|web| &web.sites) {
                // As webd does: other files are served as they are.
                let pages = site.pages.iter();
                for (page, text) in
                    pages.filter(|(p, _)| p.ends_with(".html") || p.ends_with(".txt"))
                {
                    let span = self.page_place(&node.name, page);
                    self.page(span, page, text, &site.variables);
                }
            }
        }
    }

    fn page_place(&self, node: &str, page: &str) -> Span {
        let web = ["nodes", node, "services", "web"];
        let own = [&web[..], &["pages", page]].concat();
        if self.tree.at(&own).is_some() {
            return self.key(&own);
        }
        let sites = self.tree.at(&[&web[..], &["sites"]].concat());
        let sites = sites.map_or(&[][..], |sites| sites.items());
        let entry = sites.iter().find_map(|site| site.get("pages")?.entry(page));
        entry.map_or_else(|| self.key(&web), |(key, _)| key.span)
    }

    /// A page that would answer with 500, or with a gap.
    fn page(&mut self, span: Span, page: &str, text: &str, variables: &BTreeMap<String, String>) {
        let environment = minijinja::Environment::new();
        let template = match environment.template_from_named_str(page, text) {
            Ok(template) => template,
            Err(error) => {
                let why = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
                self.error(
                    "web::page",
                    span,
                    format!("the page {page} is not a template: {why}"),
                    "pages are templates: `{% raw %} … {% endraw %}` keeps braces as they are",
                );
                return;
            }
        };
        let mut unknown: Vec<String> = template
            .undeclared_variables(false)
            .into_iter()
            .filter(|name| !KNOWN.contains(&name.as_str()) && !variables.contains_key(name))
            .filter(|name| environment.globals().all(|(global, _)| global != name))
            .collect();
        unknown.sort();
        for name in unknown {
            let known = KNOWN.iter().copied().chain(variables.keys().map(String::as_str));
            let help = if name == "variables" {
                "each of `variables:` is used by its own name".to_owned()
            } else {
                crate::decode::suggestion(&name, known)
            };
            self.warn(
                "web::variable",
                span,
                format!("the page {page} uses `{name}`, which has no value"),
                help,
            );
        }
    }

    /// Names of web sites: one node has each, and something resolves it.
    fn sites(&mut self) {
        let mut seen: HashMap<(&str, String), ()> = HashMap::new();
        for node in &self.plan.nodes {
            for name in
                node.services.web.iter().flat_map(|web| &web.sites).flat_map(|site| &site.names)
            {
                let span = self.key(&["nodes", &node.name, "services", "web"]);
                if seen.insert((&node.name, name.to_ascii_lowercase()), ()).is_some() {
                    self.error(
                        "web::duplicate-name",
                        span,
                        format!("two sites of {} are called {name}", node.name),
                        "a name belongs to one site",
                    );
                }
                if name.contains('.')
                    && self.facts.covered(name)
                    && self.facts.addresses(name).is_empty()
                {
                    self.warn(
                        "web::name",
                        span,
                        format!("{name} has no address in the lab's DNS"),
                        format!(
                            "add the record `{name}. A {}`",
                            node.address().map_or_else(|| "…".to_owned(), |a| a.to_string())
                        ),
                    );
                }
            }
        }
    }
}
