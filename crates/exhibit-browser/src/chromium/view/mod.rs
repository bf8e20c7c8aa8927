//! Owns the truth of a picture: that what the browser leaves unpainted outside of the window is painted,
//! and that what is missing all the same is told of, with its place. Where nothing can be missing, the
//! picture is the browser's and nothing here touches it.

mod detect;
mod difference;
mod flat;
mod paste;
mod scroll;
mod survey;
mod tiles;
mod whole;

use tokio::time::Instant;

use super::error::PageError;
use super::page::Page;
use super::screenshot::clip_of_page;
use crate::error::{CaptureError, ErrorKind};
use crate::facts::{BasePicture, PaintWay, Painted};
use crate::settings::{Picture, Rect, Viewport};
use exhibit_tlog::digest::Digest;

pub(super) use detect::Detector;
pub(super) use difference::{Difference, differences};
pub(super) use scroll::{Scrolled, scroll_through};
use survey::{Survey, View};
pub(super) use whole::Missing;

/// What the file of a picture is called, as it was before anything was put into it.
const BASE: &str = "base.png";

/// A picture that was put together.
pub(super) struct Composed {
    pub(super) bytes: Vec<u8>,
    /// The picture as the browser gave it.
    pub(super) base: crate::backend::Companion,
}

/// Take the picture of `rect` and put into it what is `missing`; what could not be goes to the page's
/// facts. The page is left scrolled and changed until [`restore`].
pub(super) async fn compose(
    page: &Page,
    picture: &Picture,
    rect: Rect,
    missing: &Missing,
    viewport: Viewport,
    until: Instant,
) -> Result<Composed, PageError> {
    page.touch_view();
    // Where the page stands is remembered first: a picture beyond the window can scroll it.
    let view = View::of(page).await?;
    view.begin().await?;
    let base = clip_of_page(page, rect).await?;
    let whole = whole::paint(page, view, missing, viewport, until).await?;
    let (patches, format) = (whole.patches, picture.format);
    let work = page.tasks().spawn_blocking(move || {
        let made = paste::paste(&base, rect, &patches, format);
        (base, made)
    });
    let (base, made) = work.await.map_err(whole::broken)?;
    let bytes = made.map_err(|error| match error {
        paste::PasteError::TooLong(why) => {
            CaptureError::new(ErrorKind::PictureTooLarge, format!("the picture is too long: {why}"))
                .field("format")
        }
        other => whole::broken(other),
    })?;
    let sha256 = Digest::of(&base).to_string();
    let record = BasePicture { file: BASE, sha256 };
    {
        let facts = &mut page.observed().facts;
        let sections = facts.painted.as_ref().map_or(0, |painted| painted.sections);
        facts.painted = Some(Painted { base: Some(record), sections, ..whole.painted });
        facts.incomplete_view.extend(whole.unpainted);
    }
    let base =
        crate::backend::Companion { name: BASE.to_owned(), media_type: "image/png", bytes: base };
    Ok(Composed { bytes, base })
}

/// Have the script of ours in a page know the closed shadows there are.
pub(super) async fn know(page: &Page) -> Result<(), PageError> {
    View::of(page).await?.know_shadows().await
}

/// What of the page may be missing in a picture of it; of all of it if `whole`.
pub(super) async fn survey(page: &Page, whole: bool) -> Result<Survey, PageError> {
    let failed = page.observed().network.failed_pictures();
    View::of(page).await?.survey(whole, &failed).await
}

/// Scroll through `rect` and back, so that what loads only when it comes near the window is there.
pub(super) async fn visit(page: &Page, rect: Rect) -> Result<(), PageError> {
    View::of(page).await?.visit(rect.into()).await
}

/// Have what the browser skips away from the window painted; whether there was anything.
pub(super) async fn render(page: &Page) -> Result<bool, PageError> {
    page.touch_view();
    let sections = View::of(page).await?.render().await?;
    if sections > 0 {
        let way = PaintWay::Sections;
        let painted =
            Painted { way, sections, patches: 0, boxes: Vec::new(), hidden: 0, base: None };
        page.observed().facts.painted = Some(painted);
    }
    Ok(sections > 0)
}

/// Give the areas of a page that scroll by themselves the height of what is in them.
pub(super) async fn expand(page: &Page) -> Result<(), PageError> {
    page.touch_view();
    View::of(page).await?.expand().await.map(drop)
}

/// The same of a page whose picture came to nothing, whatever was under way.
pub(super) async fn recover(page: &Page, viewport: Viewport) {
    if !page.view_is_touched() {
        return;
    }
    let sized = page.set_viewport(viewport).await.map_err(PageError::from);
    if let Err(error) = sized.and(restore(page).await) {
        tracing::debug!(?error, "a page is not as it was before its picture was taken");
    }
}

/// Have the page as it was before its view was changed, if it was.
pub(super) async fn restore(page: &Page) -> Result<(), PageError> {
    if page.view_is_touched() {
        View::of(page).await?.restore().await?;
        page.view_is_restored();
    }
    Ok(())
}
