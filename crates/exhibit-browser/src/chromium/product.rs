//! Owns the making of what a capture is for, of a page that is ready: a picture, a document, or
//! what is told of it; with its snapshots.

use serde_json::{Value, json};
use tokio::time::Instant;

use super::cut::cut;
use super::emulate::omit_background;
use super::error::PageError;
use super::limits::QUICK;
use super::look;
use super::mask;
use super::outline;
use super::page::Page;
use super::picture::{self, Shot};
use super::print::print;
use super::product_request::ProductRequest;
use super::snapshot::snapshots;
use super::view;
use crate::backend::{Companion, Snapshots};
use crate::error::CaptureError;
use crate::settings::{Observation, Picture, Product};
use exhibit_verify::blob::Blob;

/// Why there are no snapshots of a page in which something is covered.
const WITHHELD: &str = "what the operator's rules cover in the page would stand in them as text";

/// Longest title told, in characters: less than the browser itself leaves of one.
const TITLE: usize = 4_000;

/// What was made of a page.
#[derive(Debug)]
pub(super) struct Made {
    /// The picture, document or report.
    pub(super) bytes: Blob,
    /// A picture's size in device pixels.
    pub(super) pixels: Option<(u32, u32)>,
    /// What goes with it.
    pub(super) companions: Vec<Companion>,
    /// The snapshots.
    pub(super) snapshots: Snapshots,
    /// The page's title, by the browser's word.
    pub(super) title: Option<String>,
}

/// Make `request` of the page as it stands.
pub(super) async fn make(page: &Page, request: &ProductRequest<'_>) -> Result<Made, PageError> {
    // One that ran out of time left the page as it needed it.
    view::restore(page).await?;
    let made = make_of(page, request).await;
    let restored = view::restore(page).await;
    let made = made?;
    restored.map(|()| made)
}

async fn make_of(page: &Page, request: &ProductRequest<'_>) -> Result<Made, PageError> {
    let covered = mask::cover(page).await?;
    let withheld = request.snapshot && covered.in_text;
    {
        let facts = &mut page.observed().facts;
        (facts.painted, facts.incomplete_view) = (None, Vec::new());
        facts.masked = covered.masked;
        facts.snapshots_withheld = withheld.then_some(WITHHELD);
    }
    // What the page itself takes out of its fields meanwhile is a secret as well.
    look::secrets(page).await?;
    let snapshots = snapshots(page, request.snapshot && !withheld);
    let (made, snapshots, title) = match request.product {
        Product::Picture(wanted) => {
            // Scrolling and measuring come before the snapshots, so that all show the same.
            let frame = picture::frame(page, request.settings, wanted, request.max_pixels).await?;
            let touched = frame.touches(page);
            if touched {
                recover(page).await?;
            }
            let taking = picture_of(page, wanted, frame, request.until);
            if touched {
                let made = taking.await?;
                view::restore(page).await?;
                let (snapshots, title) = tokio::try_join!(snapshots, title(page))?;
                (made, snapshots, title)
            } else {
                tokio::try_join!(taking, snapshots, title(page))?
            }
        }
        Product::Pdf(wanted) => {
            let printing = async {
                let document = print(page, request, wanted).await?;
                let hidden = look::secrets(page).await?;
                Ok((hidden.clean_document(document, page.tasks()).await?, None, Vec::new()))
            };
            tokio::try_join!(printing, snapshots, title(page))?
        }
        Product::Inspection { console } => {
            let inspecting = async { report(page, outline::inspect(page, *console).await?).await };
            tokio::try_join!(inspecting, snapshots, title(page))?
        }
        Product::Observation(wanted) => {
            tokio::try_join!(observation(page, request, wanted), snapshots, title(page))?
        }
    };
    if request.product.shows_the_page() {
        mask::covered_still(page).await?;
    }
    let (bytes, pixels, companions) = made;
    Ok(Made { bytes, pixels, companions, snapshots, title })
}

/// Tell anew what the masks cover of a page whose parts may have moved for the picture.
async fn recover(page: &Page) -> Result<(), PageError> {
    let covered = mask::cover(page).await?;
    page.observed().facts.masked = covered.masked;
    Ok(())
}

/// Bytes, a picture's size, what goes with it.
type Parts = (Blob, Option<(u32, u32)>, Vec<Companion>);

async fn picture_of(
    page: &Page,
    wanted: &Picture,
    frame: picture::Frame,
    until: Instant,
) -> Result<Parts, PageError> {
    if wanted.omit_background {
        omit_background(page, true).await?;
    }
    let taken = picture::take(page, wanted, frame, until).await;
    if wanted.omit_background {
        omit_background(page, false).await?;
    }
    let Shot { bytes, pixels, companions } = taken?;
    Ok((bytes.into(), Some(pixels), companions))
}

async fn observation(
    page: &Page,
    request: &ProductRequest<'_>,
    wanted: &Observation,
) -> Result<Parts, PageError> {
    let mut told = outline::observe(page, wanted).await?;
    let mut companions = Vec::new();
    if let Some(wanted) = &wanted.picture {
        let frame = picture::frame(page, request.settings, wanted, request.max_pixels).await?;
        if frame.touches(page) {
            recover(page).await?;
        }
        let taken = picture::take(page, wanted, frame, request.until).await?;
        view::restore(page).await?;
        let format = wanted.format;
        let name = format!("screenshot.{}", format.extension());
        told["screenshot"] = json!({ "file": name, "format": format.extension() });
        companions.push(Companion { name, media_type: format.media_type(), bytes: taken.bytes });
        companions.extend(taken.companions);
    }
    let (bytes, pixels, _) = report(page, told).await?;
    Ok((bytes, pixels, companions))
}

/// What is told of a page, without its secrets.
async fn report(page: &Page, told: Value) -> Result<Parts, PageError> {
    let told = look::secrets(page).await?.clean(told, page.tasks()).await?;
    let bytes = serde_json::to_vec_pretty(&told)
        .map_err(|error| CaptureError::internal("writing down what is in the page", error))?;
    Ok((bytes.into(), None, Vec::new()))
}

/// The page's title, by the browser's word.
pub(super) async fn title(page: &Page) -> Result<Option<String>, PageError> {
    let info = page.call_raw("Target.getTargetInfo", json!({}), QUICK).await?;
    let info: Value = serde_json::from_str(info.get())
        .map_err(|error| CaptureError::internal("reading the browser's answer", error))?;
    let title = info["targetInfo"]["title"].as_str();
    Ok(title.map(|title| cut(title.to_owned(), TITLE)))
}
