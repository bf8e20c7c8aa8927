//! Owns the masking of what the operator's rules name: it is covered in the page itself, before
//! anything of it is painted, and told of with rule and place. A page whose masks cannot be put on is
//! not captured.

use serde::Deserialize;
use serde_json::{Value, json};

use super::load::Trouble;
use super::page::{Page, QUICK};
use super::script::{WORLD, World};
use crate::backend::{Masked, Place};
use crate::error::{Code, Problem};
use crate::masks::Masks;

const SCRIPT: &str = include_str!("mask.js");
/// Most places of a rule that are told.
const PLACES: usize = 100;

/// What is covered in a page.
#[derive(Debug, Default)]
pub(super) struct Covered {
    /// The rules that covered something.
    pub(super) masked: Vec<Masked>,
    /// Whether what is covered may stand in a snapshot of the page, as text.
    pub(super) in_text: bool,
}

/// The parameters of the command that puts `masks` on every document of a page or of a part of it.
pub(super) fn on_every_document(masks: &Masks) -> Value {
    json!({
        "source": format!("({})({})", SCRIPT, json!(masks.rules())),
        "worldName": WORLD,
        "runImmediately": true,
    })
}

/// Put `masks` on every document of `page` from now on, instead of those that are on.
pub(super) async fn put_on(page: &Page, masks: &Masks) -> Result<(), Trouble> {
    #[derive(Deserialize)]
    struct Added {
        identifier: String,
    }
    if page.masks() == *masks {
        return Ok(());
    }
    let params = on_every_document(masks);
    let added = page.call_raw("Page.addScriptToEvaluateOnNewDocument", params, QUICK).await?;
    let added: Added = serde_json::from_str(added.get())
        .map_err(|error| Problem::internal("reading the browser's answer", error))?;
    if let Some(before) = page.keep_masks(masks.clone(), added.identifier) {
        let params = json!({ "identifier": before });
        page.call_raw("Page.removeScriptToEvaluateOnNewDocument", params, QUICK).await?;
    }
    Ok(())
}

/// Make sure that the masks of `page` are on, and tell what they cover.
///
/// # Errors
/// `mask_failed` when a rule cannot be put into force.
pub(super) async fn cover(page: &Page) -> Result<Covered, Trouble> {
    const PLACES_OF: &str = "most => globalThis.exhibitMask.places(most)";
    #[derive(Deserialize)]
    struct Told {
        frames: bool,
        masked: Vec<One>,
    }
    #[derive(Deserialize)]
    struct One {
        rule: String,
        valid: bool,
        count: u64,
        places: Vec<Place>,
    }
    let masks = page.masks();
    if masks.rules().is_empty() {
        return Ok(Covered::default());
    }
    let (world, most) = (World::isolated(page).await?, [json!(PLACES)]);
    let Told { frames, masked } = world.call(PLACES_OF, &most, QUICK).await?;
    if let Some(bad) = masked.iter().find(|one| !one.valid) {
        let message = format!(
            "`{}` is no CSS selector of this browser, so nothing is captured; the operator mends it \
             in `privacy.mask`",
            bad.rule
        );
        return Err(Problem::new(Code::MaskFailed, message).field("privacy.mask").into());
    }
    let texts = masked.iter().filter(|one| masks.covers_text(&one.rule));
    let in_text = texts.clone().any(|one| one.count > 0) || (frames && texts.count() > 0);
    let masked = masked.into_iter().filter(|one| one.count > 0);
    let masked = masked.map(|One { rule, count, places, .. }| Masked { rule, count, places });
    Ok(Covered { masked: masked.collect(), in_text })
}
