//! Owns the script that is put on every document of a page, and the name of the world it runs in.

use serde_json::{Value, json};

use crate::masks::Masks;

/// Name of our world.
pub(super) const WORLD: &str = "exhibit";

/// Covers what it is told, and answers where that is.
pub(super) const MASK: &str = include_str!("mask.js");

/// The parameters of the command that puts `masks` on every document of a page or of a part of it.
pub(super) fn on_every_document(masks: &Masks) -> Value {
    json!({
        "source": format!("({})({})", MASK, json!(masks.rules())),
        "worldName": WORLD,
        "runImmediately": true,
    })
}
