//! Web servers and their sites.

use super::Builder;
use crate::diagnostic::Problem;
use crate::file;
use crate::plan::{Site, Web};

impl Builder<'_> {
    pub(super) fn web(&mut self) {
        for at in 0..self.plan.nodes.len() {
            let name = self.plan.nodes[at].name.clone();
            let Some(said) = self.services(at).and_then(|services| services.web.clone()) else {
                continue;
            };
            let mut sites = Vec::new();
            let own = said.site.is_some() || !said.names.is_empty() || !said.pages.is_empty();
            if own || said.sites.is_empty() {
                let site = file::Site {
                    site: said.site.clone(),
                    names: said.names.clone(),
                    pages: said.pages.clone(),
                    variables: said.variables.clone(),
                };
                sites.push(self.site(&name, &site, &["site"]));
            }
            for (index, site) in said.sites.iter().enumerate() {
                let index = index.to_string();
                sites.push(self.site(&name, site, &["sites", &index, "site"]));
            }
            self.plan.nodes[at].services.web =
                Some(Web { enabled: said.enabled, tls: said.tls, sites });
        }
    }

    fn site(&mut self, node: &str, said: &file::Site, path: &[&str]) -> Site {
        let files = match said.site.as_deref().map(|folder| (folder, self.folder.files(folder))) {
            None => Default::default(),
            Some((_, Ok(files))) => files,
            Some((folder, Err(why))) => {
                let full: Vec<&str> = ["nodes", node, "services", "web"]
                    .into_iter()
                    .chain(path.iter().copied())
                    .collect();
                let span = self.tree.span_of(&full);
                self.problems.push(
                    Problem::error(
                        "web::site",
                        span,
                        format!("the site's folder {folder} cannot be read: {why}"),
                    )
                    .help("the path starts at the lab file's folder; or give `pages:`"),
                );
                Default::default()
            }
        };
        Site {
            names: said.names.to_vec(),
            files,
            pages: said.pages.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
            variables: said.variables.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
        }
    }
}
