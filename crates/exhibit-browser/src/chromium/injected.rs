//! Owns the script that is put on every document of a page, and the name of the world it runs in.

use serde_json::{Value, json};

use crate::masks::Masks;

/// Name of our world.
pub(super) const WORLD: &str = "exhibit";

/// Covers what it is told, and answers where that is.
pub(super) const MASK: &str = include_str!("mask.js");

/// Tells that world of what only the page's own world hears of.
const MASK_PAGE: &str = include_str!("mask_page.js");

/// Name of the event by which it does.
pub(super) const MASK_EVENT: &str = "exhibit-changed";

/// Tells which fields are for secrets.
pub(super) const TYPED: &str = include_str!("typed.js");

/// Remembers which canvases lost what was drawn in them.
const LOST: &str = include_str!("view/lost.js");

/// The parameters of the commands that put `masks` on every document of a page or of a part of it: in
/// our world, and in the page's own.
pub(super) fn on_every_document(masks: &Masks) -> [Value; 2] {
    let (rules, event) = (json!(masks.rules()), json!(MASK_EVENT));
    [
        json!({
            "source": format!("({MASK})({rules}, {event})"),
            "worldName": WORLD,
            "runImmediately": true,
        }),
        json!({ "source": format!("({MASK_PAGE})({event})"), "runImmediately": true }),
    ]
}

/// The parameters of the command that has every document of a page remember its fields for secrets, and
/// the canvases that it loses.
pub(super) fn remember_on_every_document() -> Value {
    let source = format!("({LOST})();({TYPED})()");
    json!({ "source": source, "worldName": WORLD, "runImmediately": true })
}
