//! One page with everything in it: the ladder beside the picture of the lab, play, step, back,
//! filter by protocol, each frame's layers. No other file and no other host is needed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::story::Story;

/// The page around the story.
const PAGE: &str = include_str!("page.html");

/// The picture of the lab, as the crate `pictures` draws it, and where everything stands in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Picture {
    /// The drawing.
    #[serde(skip)]
    pub svg: String,
    /// The middle of each node, in the units of the drawing.
    pub nodes: BTreeMap<String, (f64, f64)>,
    /// The middle of each network.
    pub networks: BTreeMap<String, (f64, f64)>,
}

/// The story as a page. Without a picture the page has none.
///
/// # Errors
/// When the story cannot be written as JSON.
pub fn html(story: &Story, picture: &Picture) -> Result<String, serde_json::Error> {
    let title = story.title.replace('&', "&amp;").replace('<', "&lt;");
    let title = if title.is_empty() { "trace".to_owned() } else { title };
    let (story, places) = (json(story)?, json(picture)?);
    // In one pass: what was captured may hold the name of a place.
    let mut out = String::with_capacity(PAGE.len() + story.len() + picture.svg.len());
    let mut rest = PAGE;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        out.push_str(before);
        out.push_str(match name {
            "title" => &title,
            "story" => &story,
            "places" => &places,
            "svg" => &picture.svg,
            _ => "",
        });
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// JSON for a script element, which only `<` could end.
fn json(value: &impl Serialize) -> Result<String, serde_json::Error> {
    let text = serde_json::to_string(value)?;
    Ok(text.replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029"))
}
