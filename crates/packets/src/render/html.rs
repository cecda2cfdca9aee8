//! One page with everything in it: the ladder beside the topology, play, step, back, filter by
//! protocol, each frame's layers. No other file and no other host is needed.

use crate::story::Story;

/// The page around the story.
const PAGE: &str = include_str!("page.html");

/// The story as a page.
///
/// # Errors
/// When the story cannot be written as JSON.
pub fn html(story: &Story) -> Result<String, serde_json::Error> {
    // Within a script element only `<` could end it.
    let json = serde_json::to_string(story)?
        .replace('<', "\\u003c")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029");
    let title = story.title.replace('&', "&amp;").replace('<', "&lt;");
    let title = if title.is_empty() { "trace".to_owned() } else { title };
    Ok(PAGE.replace("{{title}}", &title).replacen("{{story}}", &json, 1))
}
