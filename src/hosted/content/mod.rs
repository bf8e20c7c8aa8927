//! Owns the question whether a picture or document of the hosted service is one still picture, or one
//! document, of the size that was asked for, whole and nothing beside it: no animation, no script, no
//! second file behind it, and no more pixels than are asked for, known before any is decoded.

mod jpeg;
mod pdf;
mod png;
mod webp;

use std::io::Cursor;

use crate::backend::ErrorKind;
use crate::backend::media;
use crate::caption::{Encoding, FrameError, decoded};
use crate::settings::{Picture, Product, Region, Viewport};

/// Device pixels that a side may be off: services round in one way or another.
const ROUNDED: f64 = 1.0;
/// Marks of scripts that no picture has by chance.
const SCRIPTS: [&str; 4] = ["<script", "<!doctype html", "<iframe", "javascript:"];

/// What an answer is instead, for a sentence that begins "the hosted service".
#[derive(Debug)]
pub(super) struct Unfit {
    pub(super) kind: ErrorKind,
    pub(super) what: String,
}

impl From<String> for Unfit {
    /// Something that is not what was asked for.
    fn from(what: String) -> Self {
        Self { kind: ErrorKind::BackendFailed, what }
    }
}

/// Why bytes are not the one picture or document that they should be.
#[derive(Debug, PartialEq, Eq)]
enum Fault {
    /// They end too soon.
    Cut,
    /// They hold this.
    Holds(String),
}

impl Fault {
    fn holds(what: impl Into<String>) -> Self {
        Self::Holds(what.into())
    }
}

/// Device pixels that a picture may have.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bounds {
    width: (f64, f64),
    height: (f64, f64),
    pixels: u64,
}

/// Whether `bytes` are what `product` of a page in `viewport` is, of at most `max_pixels`.
pub(super) fn check(
    product: &Product,
    viewport: Viewport,
    max_pixels: u64,
    bytes: &[u8],
) -> Result<(), Unfit> {
    match product {
        Product::Picture(picture) => check_picture(picture, viewport, max_pixels, bytes),
        other => {
            is_it(other.media_type(), bytes)?;
            if other.media_type() == "application/pdf" {
                pdf::read(bytes).map_err(|fault| unfit(other.media_type(), fault))?;
            }
            Ok(())
        }
    }
}

/// Whether `bytes` are the picture that was asked for.
pub(super) fn check_picture(
    picture: &Picture,
    viewport: Viewport,
    max_pixels: u64,
    bytes: &[u8],
) -> Result<(), Unfit> {
    let media_type = picture.format.media_type();
    is_it(media_type, bytes)?;
    let (size, encoding) = match media_type {
        "image/jpeg" => (jpeg::read(bytes), Encoding::Jpeg),
        "image/webp" => (webp::read(bytes), Encoding::Webp),
        _ => (png::read(bytes), Encoding::Png),
    };
    let size = size.and_then(|size| no_script(bytes).map(|()| size));
    let size = size.map_err(|fault| unfit(media_type, fault))?;
    let bounds = Bounds::of(&picture.region, viewport, max_pixels);
    if !bounds.hold(size) {
        let what = format!("answered a picture of {} × {} pixels, {bounds}", size.0, size.1);
        return Err(refused(what));
    }
    match decoded(Cursor::new(bytes), encoding, max_pixels) {
        Ok(()) => Ok(()),
        Err(FrameError::Unreadable(why)) => {
            Err(refused(format!("answered {media_type} that cannot be decoded ({why})")))
        }
        Err(error) => Err(refused(format!("answered {media_type}, but {error}"))),
    }
}

fn is_it(media_type: &str, bytes: &[u8]) -> Result<(), Unfit> {
    match media::sniffed(bytes) {
        Some(found) if found != media_type => {
            Err(format!("answered bytes that are {found} instead of {media_type}").into())
        }
        None => Err(format!("answered bytes that are no {media_type}").into()),
        Some(_) => Ok(()),
    }
}

fn unfit(media_type: &str, fault: Fault) -> Unfit {
    match fault {
        Fault::Cut => format!("answered {media_type} that is cut short").into(),
        Fault::Holds(what) => refused(format!("answered {media_type} with {what} in it")),
    }
}

fn refused(what: String) -> Unfit {
    Unfit { kind: ErrorKind::BackendAnswerRefused, what }
}

/// Text that a browser or a viewer might run when it takes the file for another kind.
fn no_script(bytes: &[u8]) -> Result<(), Fault> {
    let found = SCRIPTS.iter().find(|mark| {
        let is_it = |part: &[u8]| part.eq_ignore_ascii_case(mark.as_bytes());
        bytes.windows(mark.len()).any(is_it)
    });
    found.map_or(Ok(()), |mark| Err(Fault::holds(format!("a script ({mark})"))))
}

/// Whether a text inside of a picture is nothing but text.
fn no_markup(text: &[u8]) -> Result<(), Fault> {
    if text.contains(&b'<') { Err(Fault::holds("markup among its remarks")) } else { Ok(()) }
}

impl Bounds {
    fn of(region: &Region, viewport: Viewport, pixels: u64) -> Self {
        let any = (1.0, f64::INFINITY);
        let side = |css: f64| {
            let side = css * viewport.device_scale_factor;
            (side - ROUNDED, side + ROUNDED)
        };
        let least = |css: f64| (side(css).0, f64::INFINITY);
        let (wide, high) = (f64::from(viewport.width), f64::from(viewport.height));
        let (width, height) = match region {
            Region::Viewport => (side(wide), side(high)),
            // A page can be wider than the window, and shorter than that.
            Region::FullPage(full) => {
                let most = full.max_height.map_or(f64::INFINITY, |most| side(f64::from(most)).1);
                (least(wide), (1.0, most.max(side(high).1)))
            }
            Region::Element(_) => (any, any),
            Region::Clip(rect) => (side(rect.width), side(rect.height)),
        };
        Self { width, height, pixels }
    }

    fn hold(&self, (width, height): (u32, u32)) -> bool {
        let within = |side: u32, (least, most): (f64, f64)| {
            side > 0 && (least..=most).contains(&f64::from(side))
        };
        within(width, self.width)
            && within(height, self.height)
            && u64::from(width) * u64::from(height) <= self.pixels
    }
}

impl std::fmt::Display for Bounds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let side = |(least, most): (f64, f64)| match (least <= 1.0, most.is_finite()) {
            (true, false) => "any number".to_owned(),
            (false, false) => format!("{:.0} or more", least + ROUNDED),
            (true, true) => format!("at most {:.0}", most - ROUNDED),
            (false, true) => format!("{:.0}", most - ROUNDED),
        };
        let (width, height) = (side(self.width), side(self.height));
        write!(f, "where {width} × {height} were asked for, and at most {} in all", self.pixels)
    }
}

#[cfg(test)]
mod tests;
