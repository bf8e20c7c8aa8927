//! Owns the question whether an answer of the hosted service is what it was asked for: its type by
//! its own word and by its bytes, and whether it is whole.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::call::Delivered;
use super::content::{Unfit, check, check_picture};
use crate::backend::{Companion, media};
use crate::settings::{Observation, Product, Viewport};
use crate::shown::shown_within;

/// What the service was asked for.
#[derive(Clone)]
pub(super) enum Expected {
    /// A capture.
    Capture {
        product: Product,
        viewport: Viewport,
        /// Largest picture in device pixels.
        max_pixels: u64,
        /// Whether what it says of the page is wanted with it.
        metadata: bool,
    },
    /// The steps of a sequence.
    Sequence,
}

/// What it made.
pub(super) struct Made {
    /// The picture, document or report.
    pub(super) bytes: Vec<u8>,
    pub(super) companions: Vec<Companion>,
    /// What it says of the page, or of the steps.
    pub(super) told: Option<Value>,
}

impl Made {
    /// Size of a PNG; other pictures do not tell theirs so simply.
    pub(super) fn pixels(&self) -> Option<(u32, u32)> {
        media::png_size(&self.bytes)
    }
}

/// What was delivered, if it is what was asked for; else what it is, for a sentence that begins
/// "the hosted service".
pub(super) fn read(expected: &Expected, delivered: Delivered) -> Result<Made, Unfit> {
    let Delivered { media_type, bytes } = delivered;
    if bytes.is_empty() {
        return Err("answered nothing at all".to_owned().into());
    }
    let plain = |bytes| Made { bytes, companions: Vec::new(), told: None };
    match expected {
        Expected::Sequence => {
            let told = object(&media_type, &bytes)?;
            if !told["step_results"].is_array() || !told["outputs"].is_array() {
                return Err("answered JSON without `step_results` and `outputs`".to_owned().into());
            }
            Ok(Made { told: Some(told), ..plain(Vec::new()) })
        }
        Expected::Capture { product: Product::Inspection { .. }, .. } => {
            object(&media_type, &bytes)?;
            Ok(plain(bytes))
        }
        Expected::Capture {
            product: Product::Observation(wanted), viewport, max_pixels, ..
        } => observation(wanted, (*viewport, *max_pixels), object(&media_type, &bytes)?, bytes),
        Expected::Capture { product, viewport, max_pixels, metadata: true } => {
            let mut told = object(&media_type, &bytes)?;
            let bytes = base64(&told["data"])?;
            check(product, *viewport, *max_pixels, &bytes)?;
            Ok(Made { told: Some(told["metadata"].take()), ..plain(bytes) })
        }
        Expected::Capture { product, viewport, max_pixels, metadata: false } => {
            let wanted = product.media_type();
            if media_type != wanted {
                return Err(format!("answered {} instead of {wanted}", shown(&media_type)).into());
            }
            check(product, *viewport, *max_pixels, &bytes)?;
            Ok(plain(bytes))
        }
    }
}

/// Bytes written as base64, with or without the prefix of a `data:` address.
pub(super) fn base64(value: &Value) -> Result<Vec<u8>, String> {
    let text = value.as_str().ok_or("answered JSON without `data`")?;
    let text = match text.strip_prefix("data:") {
        Some(rest) => rest.split_once(',').map_or("", |(_, data)| data),
        None => text,
    };
    STANDARD.decode(text).map_err(|_| "answered `data` that is no base64".to_owned())
}

fn object(media_type: &str, bytes: &[u8]) -> Result<Value, String> {
    if media_type != "application/json" {
        return Err(format!("answered {} instead of application/json", shown(media_type)));
    }
    match serde_json::from_slice(bytes) {
        Ok(told @ Value::Object(_)) => Ok(told),
        Ok(_) => Err("answered JSON that is no object".to_owned()),
        Err(error) => Err(format!("answered what is no JSON ({error})")),
    }
}

/// An observation's picture is a file of its own.
fn observation(
    wanted: &Observation,
    (viewport, max_pixels): (Viewport, u64),
    mut told: Value,
    bytes: Vec<u8>,
) -> Result<Made, Unfit> {
    let Some(picture) = &wanted.picture else {
        return Ok(Made { bytes, companions: Vec::new(), told: None });
    };
    let (format, asked) = (picture.format, picture);
    let picture = base64(&told["screenshot"]["base64"])?;
    check_picture(asked, viewport, max_pixels, &picture)?;
    let name = format!("screenshot.{}", format.extension());
    told["screenshot"] = json!({ "file": name, "format": format.extension() });
    let companion = Companion { name, media_type: format.media_type(), bytes: picture };
    let bytes = serde_json::to_vec_pretty(&told).map_err(|error| format!("answered {error}"))?;
    Ok(Made { bytes, companions: vec![companion], told: None })
}

fn shown(media_type: &str) -> String {
    let plain = shown_within(media_type, 60);
    if plain.is_empty() { "no content type".to_owned() } else { plain }
}
